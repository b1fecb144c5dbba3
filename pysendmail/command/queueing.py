"""Commit a message to the queue: all of it, or what a first attempt has left of it."""

import os

from pysendmail.queue.schedule import Schedule
from pysendmail.queue.settings import Settings
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.states import ACTIVE, FAILED, QUEUED, SENT
from pysendmail.queue.store import Stored
from pysendmail.queue.values import Entry, Message, QueuedRecipient, Recipient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases
    from pysendmail.config.reader import File
    from pysendmail.delivery.deliver import Report
    from pysendmail.delivery.parcel import Parcel
    from pysendmail.queue.settings import Readers
    from pysendmail.queue.store import Store
    from pysendmail.queue.verdict import Verdict


def open_queue(account: "Account", create: bool = True) -> "Store":
    """Open the queue of an account, which has one. Raises TempFail or ConfigError with what is wrong with it."""
    return SqliteStore(str(account.queue), create=create)


def settings_of(
    account: "Account", domain: bytes, file: "File", aliases: "Callable[[Account], Aliases | None] | None" = None
) -> Settings:
    """Gather the words of an account that are about its queue; `domain` is that of reports.

    `aliases` finds those of an account that hold for who gets a report, where others than this process's own do.
    """

    def readers(to: bytes) -> "Readers":
        from pysendmail.command import reporting
        from pysendmail.command.compose import aliases_of

        return reporting.readers_of(account, file, aliases or (lambda one: aliases_of(one, file)))(to)

    first, longest = account.retry
    return Settings(
        schedule=Schedule(first, longest, account.expire, account.warn),
        connections=account.connections,
        rate=account.rate,
        keep=account.keep_connections or 0.0,
        hold_uncertain=account.uncertain == "hold",
        postmaster=account.postmaster or b"",
        host=os.uname().nodename,
        domain=domain,
        reporter=_reporter(account),
        readers=readers,
    )


def _reporter(account: "Account") -> bytes:
    """Return the author of reports: an address that the server takes, where the account says that it takes few."""
    own = account.sender if account.set_from_header == "on" else None
    found = account.null_sender or account.local_sender or own or b""
    return found if found.isascii() and b"@" in found else b""


class Submitted:
    """A message on its way into the queue: the parcel, and what the queue has to know besides.

    `account` and `config` name the way by which it is to leave, as Entry has them; `now` is in seconds since the epoch.
    """

    __slots__ = ("account", "config", "now", "parcel", "qid", "tag", "uid")

    def __init__(
        self, parcel: "Parcel", *, qid: str, uid: int, account: str, config: str, now: float, tag: str = ""
    ) -> None:
        self.parcel = parcel
        self.qid = qid
        self.uid = uid
        self.account = account
        self.config = config
        self.now = now
        self.tag = tag

    def entry(self, recipients: list[QueuedRecipient] | None = None) -> Entry:
        """Return the entry that holds the message for these recipients, or for all of them."""
        parcel = self.parcel
        if recipients is None:
            recipients = [QueuedRecipient(one, self.orcpt(one), self.notify(one)) for one in parcel.recipients]
        return Entry(
            self.qid,
            self.uid,
            parcel.reverse_path,
            self.header,
            parcel.body,
            recipients,
            created=self.now,
            account=self.account,
            config=self.config,
            ret=parcel.ret,
            envid=parcel.envid,
            tag=self.tag,
        )

    def notify(self, recipient: bytes) -> bytes | None:
        """Return when a recipient's fate is to be reported (RFC 3461)."""
        parcel = self.parcel
        return parcel.notify if parcel.each is None else parcel.each[recipient][0]

    def orcpt(self, recipient: bytes) -> bytes | None:
        """Return a recipient's original address (RFC 3461), None if nobody gave one."""
        each = self.parcel.each
        return None if each is None else each[recipient][1]

    @property
    def header(self) -> bytes:
        """The header fields as they are stored."""
        fields = self.parcel.fields
        return fields if isinstance(fields, bytes) else b"".join([field.raw for field in fields])

    def message(self) -> Message:
        """Return what a queue would know of the message, for judging outcomes before there is one in it."""
        parcel = self.parcel
        body = parcel.body
        return Message(
            0, self.qid, self.uid, parcel.reverse_path, self.account, self.config, self.now, len(self.header), body.size,
            body.eight_bit, body.nul, body.long_line, parcel.ret, parcel.envid, self.tag, False,
        )  # fmt: skip


def commit(store: "Store", parts: list[Submitted]) -> None:
    """Put the whole message into the queue, all its parts or none."""
    store.add_many([submitted.entry() for submitted in parts])


class Attempted:
    """A part of a message of which a first attempt was made: with what report, and by which settings it goes on."""

    __slots__ = ("report", "settings", "submitted")

    def __init__(self, submitted: Submitted, report: "Report", settings: Settings) -> None:
        self.submitted = submitted
        self.report = report
        self.settings = settings


def keep_rest(store: "Store", parts: list[Attempted], now: float, mail_back: bool = False) -> bool:
    """Queue the recipients whom a first attempt has left, and with them the reports on those who were refused.

    Returns False, and queues nothing, if no recipient is left: then the exit code tells all. With `mail_back` those who
    were refused are told of by mail all the same, if all of them can be.
    """
    judged = [(part, _verdicts(part.submitted.message(), part.submitted, part.report, part.settings, now)) for part in parts]
    left = any([verdict.result.state not in (SENT, FAILED) for _, verdicts in judged for verdict in verdicts])
    refused = [(part, verdict) for part, verdicts in judged for verdict in verdicts if verdict.result.state == FAILED]
    told = all([part.submitted.parcel.reverse_path and verdict.report for part, verdict in refused])
    if not left and not (mail_back and refused and told):
        return False
    store.add_many([entry for part, verdicts in judged for entry in _rest(part, verdicts, now)])
    return True


def _rest(part: Attempted, verdicts: "list[Verdict]", now: float) -> list[Entry]:
    """Return what a part leaves for the queue: its message for who is left, and the reports on who was refused."""
    from pysendmail.queue import bounce

    submitted = part.submitted
    stored = Stored(submitted.header, submitted.parcel.body)
    left = [v for v in verdicts if v.result.state not in (SENT, FAILED)]
    refused = [v for v in verdicts if v.result.state == FAILED]
    reports = bounce.notices(submitted.message(), refused, lambda: stored, part.settings, now)
    rest = [submitted.entry([_queued(v) for v in left])] if left else []
    return [*rest, *(notice.entry for notice in reports)]


def _verdicts(
    message: Message, submitted: Submitted, report: "Report", settings: Settings, now: float
) -> "list[Verdict]":
    """Judge each outcome as the queue's runner would."""
    from pysendmail.queue import verdict

    at = verdict.Circumstances(now, int.from_bytes(os.urandom(2), "big") / 65536, report.relay)
    judged = []
    for number, outcome in enumerate(report.outcomes):
        address = outcome.recipient
        recipient = Recipient(
            0, number, address, submitted.orcpt(address), submitted.notify(address), ACTIVE, QUEUED, now, 0, False, now,
            now, 0.0, "", "", "", "",
        )  # fmt: skip
        verdict_ = verdict.judge(message, recipient, outcome, settings, at)
        verdict_.result.code = outcome.exit_code
        judged.append(verdict_)
    return judged


def _queued(judged: "Verdict") -> QueuedRecipient:
    """Return a recipient who has had his first attempt, as he enters the queue."""
    result = judged.result
    return QueuedRecipient(
        judged.recipient.address,
        judged.recipient.orcpt,
        judged.recipient.notify,
        state=result.state,
        due=result.due,
        attempts=1,
        reply=result.reply,
        dsn=result.dsn,
        relay=result.relay,
        tried=result.tried,
        code=result.code,
    )
