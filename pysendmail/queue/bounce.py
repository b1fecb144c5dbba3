"""Reports to senders, made so that they enter the queue in the commit of the results that they are about.

A report is a message of its own, from the null sender, to whomever the sender's address stands for here. What cannot be
delivered of our own reports is reported to the postmaster of the configuration, once; without one it stays as failed.
"""

import os
from _thread import allocate_lock

from pysendmail import errors
from pysendmail.log import queue_id
from pysendmail.message import dsn
from pysendmail.queue.values import Entry, Notice, QueuedRecipient
from pysendmail.queue.verdict import DELAYED, FAILED
from pysendmail.smtp.transaction import xtext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.message.body import Body
    from pysendmail.message.header import Field
    from pysendmail.queue.settings import Readers, Settings
    from pysendmail.queue.store import Stored
    from pysendmail.queue.values import Message
    from pysendmail.queue.verdict import Verdict


class Ids:
    """Give queue ids, each a new one: within one process time alone does not tell them apart."""

    __slots__ = ("_last", "_lock")

    def __init__(self) -> None:
        self._last = 0
        self._lock = allocate_lock()

    def next(self, now: float) -> str:
        """Return an id for a message that enters the queue at `now` (seconds since the epoch)."""
        with self._lock:
            self._last = max(self._last + 1, int(now * 1e6))
            return queue_id((self._last + 0.5) / 1e6, os.getpid())


ids = Ids()
"""The ids of this process; whoever gives ids beside the reports takes them from here."""


def notices(
    message: "Message", verdicts: "list[Verdict]", stored: "Callable[[], Stored]", settings: "Settings", now: float
) -> list[Notice]:
    """Return the reports that these verdicts on recipients of one message ask for; `stored` opens the message.

    Raises a Failure if a report cannot be made now (no room for its text, say).
    """
    kinds: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.report:
            kinds.setdefault(verdict.report, []).append(verdict)
    made = []
    for kind, about in kinds.items():
        to = _addressee(message, about, settings)
        if to:
            entry = _report(kind, to, message, about, stored, settings, now)
            made.append(Notice(entry, [(message.id, each.recipient.number) for each in about], failure=kind == FAILED))
    return made


def _addressee(message: "Message", about: "list[Verdict]", settings: "Settings") -> bytes:
    """Return whom to tell, b"" for nobody: a report on the report to the postmaster would go round for ever."""
    if message.sender:
        return message.sender
    postmaster = settings.postmaster
    told = {postmaster, *_readers(postmaster, message, settings)[0]}
    return b"" if any([verdict.recipient.address in told for verdict in about]) else postmaster


def _readers(to: bytes, message: "Message", settings: "Settings") -> "Readers":
    """Return who gets a report to an address, and by which account."""
    if settings.readers is None or not to:
        return [to], message.account
    return settings.readers(to)


def _report(
    kind: str,
    to: bytes,
    message: "Message",
    about: "list[Verdict]",
    stored: "Callable[[], Stored]",
    settings: "Settings",
    now: float,
) -> Entry:
    from time import localtime

    qid = ids.next(now)
    facts = dsn.Facts(
        host=settings.host,
        domain=settings.domain,
        reporter=settings.reporter,
        now=now,
        utc_offset=localtime(now).tm_gmtoff // 60,
        unique=f"{qid}.{os.urandom(6).hex()}".encode(),
        qid=message.qid,
        sender=message.sender,
        to=to,
        envid=message.envid,
        arrived=message.created,
        retry_until=message.created + settings.schedule.expire if kind == DELAYED else None,
    )
    fields, body = _build(kind, facts, [_recipient(verdict) for verdict in about], stored, message.ret)
    header = b"".join([field.raw for field in fields])
    readers, account = _readers(to, message, settings)
    return Entry(
        qid, message.uid, b"", header, body, [QueuedRecipient(one) for one in readers], created=now, account=account,
        config=message.config, tag=message.tag, bounce=True,
    )  # fmt: skip


def _build(
    kind: str, facts: dsn.Facts, recipients: list[dsn.Recipient], stored: "Callable[[], Stored]", ret: bytes | None
) -> "tuple[list[Field], Body]":
    """Make the report. A message that is damaged, or for which there is no room, is represented by less of it."""
    header = b""
    try:
        original = stored()
        header = original.header
        return dsn.build(kind, facts, recipients, header, original.body if kind == FAILED else None, ret)
    except errors.Failure:
        return dsn.build(kind, facts, recipients, header, None, ret)


def _recipient(verdict: "Verdict") -> dsn.Recipient:
    recipient, result = verdict.recipient, verdict.result
    kind, _, original = (recipient.orcpt or b"").partition(b";")
    return dsn.Recipient(
        recipient.address,
        result.dsn,
        verdict.reply,
        result.relay,
        orcpt=(kind + b";" + (xtext(original) if kind.lower() != b"utf-8" else original)) if original else None,
        last_attempt=result.tried,
        uncertain=verdict.uncertain,
    )
