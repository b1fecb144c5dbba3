"""What happens to one recipient of a queue in memory."""

from pysendmail.queue import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from pysendmail.queue.values import Recipient, Result

    T = TypeVar("T")

_LIMIT = 1024


def copy(value: "T") -> "T":
    """Return another object with the same values."""
    made = object.__new__(type(value))
    for name in value.__slots__:  # type: ignore[attr-defined]
        setattr(made, name, getattr(value, name))
    return made


def hold(one: "Recipient") -> None:
    """Keep him from being claimed."""
    one.origin, one.state = one.state, states.HELD


def unhold(one: "Recipient") -> None:
    """Let him be as he was before."""
    one.state, one.origin = one.origin, ""


def take_out(one: "Recipient", now: float) -> None:
    """Remove him."""
    one.state, one.origin, one.done = states.REMOVED, "", now


def report(one: "Recipient", result: "Result") -> None:
    """Write one accepted result."""
    origin = ""
    if result.state == states.HELD:
        origin = result.origin if result.origin in states.WAITING else one.origin
    one.state, one.origin, one.owner, one.due = result.state, origin, "", result.due
    one.warned = one.warned or result.warned
    one.reply, one.dsn, one.relay = result.reply[:_LIMIT], result.dsn, result.relay
    one.done = result.tried if result.state in (states.SENT, states.FAILED) else 0.0
    one.code = result.code
    if result.attempted:
        one.attempts += 1
        one.first_tried = one.first_tried or result.tried
        one.last_tried = result.tried
