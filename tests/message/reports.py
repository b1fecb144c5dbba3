"""Make a report with facts that stay the same, and read it back as others read it: by Python's email package."""

import email
import email.policy
from email.message import EmailMessage, Message
from typing import Any

from pysendmail.message import dsn
from pysendmail.message.body import Body, BodyWriter
from pysendmail.message.dsn import Facts, Recipient
from pysendmail.message.header import Field

HEADER = (
    b"From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
)
TEXT = b"Shall we?\r\n"
RELAY = "mail.example.net[192.0.2.1]:587"
UNKNOWN = "550 5.1.1 <bob@example.net>: unknown"


def facts(**changed: Any) -> Facts:
    known: dict[str, Any] = {
        "host": "mail.example.org",
        "domain": b"example.org",
        "now": 1700003600.0,
        "unique": b"unique",
        "qid": "4ABC",
        "sender": b"alice@example.org",
        "arrived": 1700000000.0,
        "retry_until": 1700432000.0,
    }
    return Facts(**(known | changed))


def recipient(address: bytes = b"bob@example.net", **changed: Any) -> Recipient:
    known: dict[str, Any] = {"status": "5.1.1", "reply": UNKNOWN, "relay": RELAY, "last_attempt": 1700003599.0}
    return Recipient(address, **(known | changed))


def body_of(text: bytes) -> Body:
    writer = BodyWriter()
    writer.feed(text)
    return writer.finish()


def report(
    kind: str = dsn.FAILED,
    recipients: list[Recipient] | None = None,
    header: bytes = HEADER,
    text: bytes | None = TEXT,
    ret: bytes | None = None,
    limit: int = dsn.LIMIT,
    **changed: Any,
) -> tuple[list[Field], Body]:
    """Build a report; what is not said is about one ordinary message to one unknown recipient."""
    body = None if text is None else body_of(text)
    return dsn.build(kind, facts(**changed), recipients or [recipient()], header, body, ret, limit=limit)


def octets(made: tuple[list[Field], Body]) -> bytes:
    fields, body = made
    return b"".join([field.raw for field in fields]) + b"\r\n" + b"".join(body.chunks())


def parts(made: tuple[list[Field], Body]) -> list[bytes]:
    """Cut the report at its boundary, without any reader: header and content of each part, line ends as they are."""
    fields, body = made
    media = next(field.value for field in fields if field.name == b"content-type")
    delimiter = b"--" + media.partition(b'boundary="')[2].removesuffix(b'"')
    before, *found, after = (b"\r\n" + b"".join(body.chunks())).split(b"\r\n" + delimiter)
    assert (before, after) == (b"", b"--\r\n")
    return [part.removeprefix(b"\r\n") for part in found]


def inner(message: Message, *places: int) -> Message:
    """Give the part of a part of a message that stands at these places."""
    for place in places:
        found = message.get_payload(place)
        assert isinstance(found, Message)
        message = found
    return message


def content(message: Message) -> bytes:
    """Give what a leaf holds, decoded."""
    found = message.get_payload(decode=True)
    assert isinstance(found, bytes)
    return found


def raw_parsed(made: tuple[list[Field], Body]) -> Message:
    """Read the report by the rules that keep what cannot be decoded as it is."""
    return email.message_from_bytes(octets(made))


def parsed(made: tuple[list[Field], Body]) -> EmailMessage:
    return email.message_from_bytes(octets(made), policy=email.policy.default)


def blocks(made: tuple[list[Field], Body]) -> list[Message]:
    """Give the groups of fields of the record: that on the message, then one a recipient."""
    found = [part for part in raw_parsed(made).walk() if part.get_content_type() == "message/delivery-status"]
    assert len(found) == 1
    payload = found[0].get_payload()
    assert isinstance(payload, list)
    return [block for block in payload if isinstance(block, Message)]


def human(made: tuple[list[Field], Body]) -> str:
    """Give the text for people, line ends as in Python."""
    part = next(parsed(made).iter_parts())
    assert isinstance(part, EmailMessage)
    text = part.get_content()
    assert isinstance(text, str)
    return text.replace("\r\n", "\n")


def prose(made: tuple[list[Field], Body]) -> str:
    """Give the text for people as if it had no lines."""
    return " ".join(human(made).split())
