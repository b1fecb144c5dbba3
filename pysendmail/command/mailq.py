"""The list of the queue as Postfix's mailq prints it, which people and monitoring know how to read.

Listed is what waits for an attempt, is held or is being delivered. A message that failed for good is still kept for a
while, but waits for nothing: `pysendmail queue list` shows it.
"""

from time import asctime, localtime

from pysendmail.command.output import Gone, Output
from pysendmail.log import printable
from pysendmail.queue.states import ACTIVE, HELD, UNCERTAIN, WAITING
from pysendmail.queue.values import Select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pysendmail.queue.store import Store
    from pysendmail.queue.values import Item, Recipient

NOTHING = "Mail queue is empty\n"
_HEADING = "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"
_INDENT = " " * 41
_NULL_SENDER = "MAILER-DAEMON"
_NO_REASON = "not tried yet"
_REASON_END = 78  # the column where a reason that is short enough ends
_ADDRESS_LIMIT = 320
_LISTED = (*WAITING, ACTIVE, HELD)


def mailq(store: "Store | None", uid: int | None = None) -> int:
    """Print the messages of `uid` (None: of everybody) that are in `store` and return the exit code.

    A queue that does not exist (None) is an empty one. Raises what the store raises, and TempFail if standard output
    cannot be written.
    """
    output = Output()
    try:
        for text in lines(() if store is None else store.listing(Select(uid=uid, states=_LISTED))):
            output.write(text)
        output.flush()
    except Gone:
        pass
    return 0


def whose(caller: int, owner: int) -> int | None:
    """Return the uid to whose messages `caller` is limited in a queue that belongs to `owner`; None for no limit."""
    return None if caller in (0, owner) else caller


def lines(items: "Iterable[Item]") -> "Iterator[str]":
    """Yield the list's text: one piece for each message, one before them and one behind them."""
    octets = number = 0
    for item in items:
        yield "\n" if number else _HEADING
        yield _entry(item)
        number += 1
        octets += item.message.size
    yield f"\n-- {octets // 1024} Kbytes in {number} Request{'s' if number != 1 else ''}.\n" if number else NOTHING


def _entry(item: "Item") -> str:
    """Return the lines of one message: itself, then its recipients below what keeps them here."""
    message = item.message
    sender = printable(message.sender, _ADDRESS_LIMIT) if message.sender else _NULL_SENDER
    mark = _mark(item.recipients)
    parts = [f"{message.qid + mark:<16} {message.size:>7} {_arrival(message.created)} {sender}\n"]
    for reason, addresses in _by_reason(item.recipients, mark):
        if reason:
            parts.append(f"({reason})".rjust(_REASON_END) + "\n")
        parts += [f"{_INDENT}{address}\n" for address in addresses]
    return "".join(parts)


def _mark(recipients: "list[Recipient]") -> str:
    """Return `*` for a message that is being delivered, `!` for one that is held for all its recipients."""
    states = {recipient.state for recipient in recipients}
    if ACTIVE in states:
        return "*"
    return "!" if states == {HELD} else ""


def _by_reason(recipients: "list[Recipient]", mark: str) -> "Iterable[tuple[str, list[str]]]":
    """Group the addresses by what keeps them here.

    Those of whom nothing is known come last: who reads a list takes what follows a reason for its recipients.
    """
    groups: dict[str, list[str]] = {}
    for recipient in recipients:
        reason = _reason(recipient, mark)
        groups.setdefault(reason, []).append(printable(recipient.address, _ADDRESS_LIMIT))
    if len(groups) > 1 and "" in groups:
        groups.setdefault(_NO_REASON, []).extend(groups.pop(""))
    return groups.items()


def _reason(recipient: "Recipient", mark: str) -> str:
    reply = printable(recipient.reply)
    if recipient.state == UNCERTAIN:
        return f"may have arrived: {reply}" if reply else "may have arrived"
    if recipient.state == HELD and mark != "!":
        return f"held: {reply}" if reply else "held"
    return reply


def _arrival(created: float) -> str:
    """Return the local time without its year, and a blank behind it."""
    try:
        return asctime(localtime(created))[:20]
    except (OverflowError, OSError, ValueError):  # the clock of its time was far from any time
        return "--- --- -- --:--:-- "
