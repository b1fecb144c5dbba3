"""Legs of journeys as JSON, one object a line, for programs: see queue_object.py for what holds of all of it."""

from pysendmail.command.admin.queue_object import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.queue.sights import Leg


def leg(of: "Leg") -> "dict[str, object]":
    """Return what is known of one leg."""
    return {
        "leg": of.id,
        "id": of.qid,
        "uid": of.uid,
        "accepted": of.created,
        "sender": text(of.sender),
        "time": of.at,
        "recipient": text(of.recipient),
        "state": of.state,
        "relay": text(of.relay),
        "tls": text(of.tls),
        "dsn": text(of.dsn),
        "reply": text(of.reply),
        "waiting": of.waiting,
        "connecting": of.connecting,
        "sending": of.sending,
    }
