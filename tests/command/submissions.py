"""Submissions made without a process: a configuration, a caller, a message, and what becomes of them."""

from pysendmail.command.compose import Composed, compose
from pysendmail.command.envelope import Envelope
from pysendmail.command.identity import Caller
from pysendmail.command.intake import Message
from pysendmail.config import reader
from pysendmail.message.body import BodyWriter
from pysendmail.message.header import HeaderReader
from pysendmail.options import parse

NOW = 1_700_000_000.0
QID = "3ZTESTQID"
PLAIN = "host smtp.example\nfrom alice@example.org\nmaildomain example.org\n"


def message(text: bytes) -> Message:
    """Read a message from octets."""
    header, body = HeaderReader(), BodyWriter()
    if not header.feed(text):
        header.finish()
    body.feed(header.rest)
    return Message(header.fields, body.finish(drop_final_dot=False), not text, [])


def user(uid: int = 4711, login: bytes = b"carol", gecos: bytes = b"Carol Jones,,,") -> Caller:
    """Make a user whom no password file has to know."""
    caller = Caller.of(uid)
    caller.login, caller.gecos = login, gecos
    return caller


def composed(
    text: bytes,
    *arguments: str,
    config: str = PLAIN,
    caller: Caller | None = None,
    envelope: Envelope | None = None,
    received: bool = False,
) -> Composed:
    """Compose what leaves for a message and sendmail's arguments."""
    options = parse([argument.encode() for argument in arguments], b"sendmail")
    file = reader.parse(config.encode(), "conf")
    return compose(options, caller or user(), file, message(text), now=NOW, qid=QID, envelope=envelope, received=received)


def header(result: Composed) -> bytes:
    """Return the header as it leaves."""
    fields = result.parcel.fields
    assert isinstance(fields, list)
    return b"".join([field.raw for field in fields])
