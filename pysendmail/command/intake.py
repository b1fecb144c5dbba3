"""Read the message from standard input to its end; half a message is never a message."""

import os
import select

from pysendmail import errors
from pysendmail.message.body import Body, BodyWriter
from pysendmail.message.header import Field, HeaderReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 262144
_DOT_LINES = (b".\n", b".\r\n")


class Message:
    """What came in: header fields and body. `empty` means that there was no octet at all."""

    __slots__ = ("body", "empty", "fields", "notes")

    def __init__(self, fields: list[Field], body: Body, empty: bool, notes: list[str]) -> None:
        self.fields = fields
        self.body = body
        self.empty = empty
        self.notes = notes


def read_message(descriptor: int, ignore_dots: bool) -> Message:
    """Read a message. Raises NoInput, InputError, DataError, or TempFail for a full disk.

    Without `ignore_dots` a line of a lone dot ends a message from a terminal; elsewhere it does so only as the very
    last line.
    """
    reader = HeaderReader()
    writer = BodyWriter()
    in_header = True
    total = 0
    for data in _pieces(descriptor, ignore_dots):
        total += len(data)
        if not in_header:
            writer.feed(data)
        elif reader.feed(data):
            in_header = False
            writer.feed(reader.rest)
    if in_header:
        reader.finish()
        writer.feed(reader.rest)
    body = writer.finish(drop_final_dot=not ignore_dots)
    notes = [f"removed before the header: {len(reader.removed)} mbox line(s)"] if reader.removed else []
    return Message(reader.fields, body, not total, notes)


def _pieces(descriptor: int, ignore_dots: bool) -> "Iterator[bytes]":
    """Yield what comes in until the end of input, or until a line of a lone dot on a terminal unless it is ignored."""
    terminal = os.isatty(descriptor)
    first = at_line_start = True
    while True:
        try:
            data = os.read(descriptor, _PIECE)
        except BlockingIOError:
            select.select([descriptor], [], [])
            continue
        except OSError as error:
            if first:
                raise errors.NoInput(f"standard input cannot be read: {error.strerror}; nothing was sent") from None
            raise errors.InputError(f"reading the message failed: {error.strerror}; nothing was sent") from None
        first = False
        if not data:
            if terminal and not os.isatty(descriptor):  # a terminal that is gone answers with the end of input
                raise errors.InputError("the terminal was closed before the end of the message; nothing was sent")
            return
        if terminal and not ignore_dots and at_line_start and data in _DOT_LINES:
            return
        at_line_start = data.endswith(b"\n")
        yield data
