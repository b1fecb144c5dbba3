"""Messages of the queue as JSON, one object a line, for programs: times in seconds since the epoch, null for never.

Octets that are no UTF-8 are written out (\\xff). Everything outside ASCII is escaped, so a line is harmless wherever it
is shown.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.admin.outlook import Outlook
    from pysendmail.queue.values import Item, Recipient


def line(value: "dict[str, object]") -> str:
    """Return an object as one line."""
    import json

    return json.dumps(value, ensure_ascii=True) + "\n"


def message(item: "Item", outlook: "Outlook") -> "dict[str, object]":
    """Return what is known of a message and of the recipients that stand with it."""
    of = item.message
    return {
        "id": of.qid,
        "uid": of.uid,
        "sender": text(of.sender),
        "created": of.created,
        "size": of.size,
        "header_size": of.header_size,
        "body_size": of.body_size,
        "account": text(of.account),
        "config": text(of.config),
        "tag": text(of.tag),
        "bounce": of.bounce,
        "ret": _optional(of.ret),
        "envid": _optional(of.envid),
        "recipients": [_recipient(one, outlook.next(of, one)) for one in item.recipients],
    }


def _recipient(one: "Recipient", following: float | None) -> "dict[str, object]":
    return {
        "address": text(one.address),
        "state": one.state,
        "next": following,
        "attempts": one.attempts,
        "first_tried": one.first_tried or None,
        "last_tried": one.last_tried or None,
        "done": one.done or None,
        "reply": text(one.reply),
        "dsn": text(one.dsn),
        "relay": text(one.relay),
        "orcpt": _optional(one.orcpt),
        "notify": _optional(one.notify),
        "warned": one.warned,
        "owner": one.owner,
    }


def text(value: "bytes | str") -> str:
    """Return octets, or text that may hold octets which are none, as text."""
    raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return raw.decode("utf-8", "backslashreplace")


def _optional(value: bytes | None) -> str | None:
    return None if value is None else text(value)
