"""A message that a caller has handed over, made ready for the queue: its parts, and what the log says of them."""

from pysendmail.command.compose import intake_lines, log_tag
from pysendmail.command.identity import mail_domain
from pysendmail.command.queueing import Submitted, settings_of
from pysendmail.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail import errors
    from pysendmail.command.compose import Composed
    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases
    from pysendmail.config.reader import File
    from pysendmail.options import Options
    from pysendmail.queue.settings import Settings
    from pysendmail.queue.values import Entry, Notice


class Handover:
    """The parts of one message from `uid`, composed at `now`.

    `entries` are what is to be committed, all or none: the parts, and reports on recipients who are no addresses and
    were skipped. `qids` are the ids of the parts. `awaited`: the caller waits for the smarthost's answers.
    """

    __slots__ = ("_logs", "_now", "awaited", "entries", "qids")

    def __init__(
        self,
        parts: "list[Composed]",
        options: "Options",
        uid: int,
        now: float,
        file: "File",
        aliases: "Callable[[Account], Aliases | None]",
    ) -> None:
        mode = _mode(options.delivery, parts[0].base)
        self._now = now
        self._logs: list[tuple[str, Log, list[tuple[str, str]]]] = []
        self.awaited = mode == "i"
        self.entries: list[Entry] = []
        self.qids = [composed.qid for composed in parts]
        for composed in parts:
            account = composed.account
            log = Log(account.syslog, account.logfile, log_tag(options))
            self._logs.append((composed.qid, log, intake_lines(composed, options, uid)))
            submitted = Submitted(
                composed.parcel, qid=composed.qid, uid=uid, account=account.name, config="", now=now, tag=log.tag
            )
            entry = submitted.entry()
            if mode == "q":
                for recipient in entry.recipients:
                    recipient.due = now + account.retry[0]
            entry.awaited = self.awaited
            self.entries.append(entry)
            if composed.bad:
                settings = settings_of(account, mail_domain(account), file, aliases)
                self.entries += [notice.entry for notice in _reports(submitted, composed, settings)]

    def tell(self, failure: "errors.Failure | None") -> None:
        """Write what the log says of a message that came in, and what became of it."""
        outcome = "queued" if failure is None else f"fatal: {failure}"
        for qid, log, lines in self._logs:
            told = [(part, [(f"{qid}: {text}", False)]) for part, text in lines]
            log.write_parts([*told, ("cleanup", [(f"{qid}: {outcome}", failure is not None)])], self._now)


def _mode(asked: str | None, account: "Account") -> str:
    """Return how a message is delivered: what the caller asks for, else what is configured, else in the background."""
    return asked or (account.delivery if account.written("delivery") else "b")


def _reports(submitted: Submitted, composed: "Composed", settings: "Settings") -> "list[Notice]":
    from pysendmail.queue import bounce, states
    from pysendmail.queue.store import Stored
    from pysendmail.queue.values import Recipient, Result
    from pysendmail.queue.verdict import FAILED, Verdict

    now = submitted.now
    verdicts = []
    for number, (text, why) in enumerate(composed.bad):
        recipient = Recipient(
            0, number, text, None, None, states.ACTIVE, states.QUEUED, now, 0, False, now, now, now, "", "", "", "",
        )  # fmt: skip
        result = Result(0, number, states.FAILED, tried=now, dsn="5.1.3")
        verdicts.append(Verdict(recipient, result, FAILED, f"no mail address: {why}", False))
    stored = Stored(submitted.header, submitted.parcel.body)
    return bounce.notices(submitted.message(), verdicts, lambda: stored, settings, now)
