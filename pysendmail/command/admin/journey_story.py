"""pysendmail log ID: the whole story of one message, with a bar for the time of each attempt."""

from pysendmail.command.admin import journey_object, queue_object, waterfall, wording
from pysendmail.command.admin.rows import row
from pysendmail.command.admin.table import terminal_width
from pysendmail.queue.states import FAILED, REMOVED, SENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pysendmail.command.admin.outlook import Outlook
    from pysendmail.queue.sights import Leg
    from pysendmail.queue.values import Item

_SMALLEST = 20
_INDENT = 2


def lines(item: "Item | None", legs: "list[Leg]", outlook: "Outlook", terminal: int | None = None) -> "Iterator[str]":
    """Yield the lines; `item` is None if the message is not in the queue any more."""
    terminal = max(terminal_width() if terminal is None else terminal, _SMALLEST)
    qid, uid, created, sender = _facts(item, legs)
    yield row("id", wording.shown(qid), terminal)
    accepted = f"{wording.instant(created)} {wording.zone(created)}, handed in by uid {wording.login(uid)}"
    yield row("accepted", accepted, terminal)
    yield row("from", wording.address(sender), terminal)
    for address, text in _recipients(item, legs, outlook):
        yield row("to", f"{wording.address(address)}: {text}", terminal)
    longest = max(map(waterfall.length, legs), default=0.0)
    for leg in legs:
        yield "\n"
        yield from _leg(leg, longest, terminal)


def line(item: "Item | None", legs: "list[Leg]", outlook: "Outlook") -> str:
    """Return the story as one line of JSON."""
    qid, uid, created, sender = _facts(item, legs)
    recipients: list[dict[str, object]] = []
    if item is not None:
        for one in item.recipients:
            following = outlook.next(item.message, one)
            recipients.append({"address": queue_object.text(one.address), "state": one.state, "next": following})
    else:
        for address, state in _ends(legs).items():
            recipients.append({"address": queue_object.text(address), "state": state, "next": None})
    value: dict[str, object] = {
        "id": qid,
        "uid": uid,
        "accepted": created,
        "sender": queue_object.text(sender),
        "queued": item is not None,
        "recipients": recipients,
        "legs": [journey_object.leg(leg) for leg in legs],
    }
    return queue_object.line(value)


def _facts(item: "Item | None", legs: "list[Leg]") -> tuple[str, int, float, bytes]:
    """Return id, uid, time of arrival and sender of a message."""
    of = legs[0] if item is None else item.message
    return of.qid, of.uid, of.created, of.sender


def _recipients(item: "Item | None", legs: "list[Leg]", outlook: "Outlook") -> "Iterator[tuple[bytes, str]]":
    """Yield each recipient with what has become of him by now."""
    if item is None:
        yield from _ends(legs).items()
        return
    travelled = {leg.recipient for leg in legs}
    for one in item.recipients:
        text = one.state
        following = outlook.next(item.message, one)
        if following is not None:
            waits = "now" if following <= outlook.now else f"in {wording.duration(following - outlook.now)}"
            text += f", the next attempt is due {waits}"
        if one.reply and one.address not in travelled:
            text += f" ({wording.shown(one.reply)})"
        yield one.address, text


def _ends(legs: "list[Leg]") -> dict[bytes, str]:
    """Return the last state of each recipient of a message that is gone: one that was not an end was ended by hand."""
    return {leg.recipient: leg.state if leg.state in (SENT, FAILED) else REMOVED for leg in legs}


def _answer(leg: "Leg") -> str:
    """Return what was answered, with the status if that is not part of it."""
    text, status = wording.shown(leg.reply) or "none", wording.shown(leg.dsn)
    return text if status in text else f"{text} ({status})"


def _leg(leg: "Leg", longest: float, terminal: int) -> "Iterator[str]":
    yield row(leg.state, f"{wording.instant(leg.at)} {wording.address(leg.recipient)}", terminal)
    if leg.relay:
        yield row("  relay", wording.shown(leg.relay), terminal)
        yield row("  encryption", wording.shown(leg.tls) or "none", terminal)
    yield row("  reply", _answer(leg), terminal)
    yield row("  times", waterfall.numbers(leg), terminal)
    drawn = waterfall.bar(leg, longest, terminal - _INDENT - 2)
    if drawn:
        yield f"{' ' * _INDENT}[{drawn}]\n"
