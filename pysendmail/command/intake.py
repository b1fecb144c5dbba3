"""Read the message from standard input to its end; half a message is never a message."""

import os
import select

from pysendmail import errors
from pysendmail.message.body import Body, BodyWriter
from pysendmail.message.header import Field, HeaderReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

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


class Intake:
    """A message that comes in piece by piece; `total` octets of it have come.

    `memory` and `folders` are as in BodyWriter.
    """

    __slots__ = ("_in_header", "_reader", "_writer", "total")

    def __init__(self, **room: "Any") -> None:
        self.total = 0
        self._reader = HeaderReader()
        self._writer = BodyWriter(**room)
        self._in_header = True

    @property
    def held(self) -> int:
        """How many octets of memory the header takes, about."""
        return self._reader.held

    def feed(self, data: bytes) -> None:
        """Take the next octets, cut anywhere. Raises DataError, or TempFail for a full disk."""
        self.total += len(data)
        if not self._in_header:
            self._writer.feed(data)
        elif self._reader.feed(data):
            self._in_header = False
            self._writer.feed(self._reader.rest)

    def finish(self, drop_final_dot: bool = False) -> Message:
        """Return the whole message; a last line that is a lone dot goes if `drop_final_dot`. Raises as `feed`."""
        reader = self._reader
        if self._in_header:
            reader.finish()
            self._writer.feed(reader.rest)
        body = self._writer.finish(drop_final_dot)
        notes = [f"removed before the header: {len(reader.removed)} mbox line(s)"] if reader.removed else []
        return Message(reader.fields, body, not self.total, notes)


def read_message(
    descriptor: int,
    ignore_dots: bool,
    taken: "tuple[bytes, bool] | None" = None,
    copy: BodyWriter | None = None,
) -> Message:
    """Read a message. Raises NoInput, InputError, DataError, or TempFail for a full disk.

    Without `ignore_dots` a line of a lone dot ends a message from a terminal; elsewhere it does so only as the very
    last line. `taken` is what was read before, and whether that was all. `copy` gets all octets as they came.
    """
    intake = Intake()
    for data in read_pieces(descriptor, ignore_dots, taken):
        intake.feed(data)
        if copy is not None:
            copy.add_wire(data)
    return intake.finish(drop_final_dot=not ignore_dots)


def read_pieces(descriptor: int, ignore_dots: bool, taken: "tuple[bytes, bool] | None" = None) -> "Iterator[bytes]":
    """Yield a message piece by piece as it comes, from the beginning of what was read before."""
    data, ended = taken or (b"", False)
    if data:
        yield data
    if not ended:
        yield from _pieces(descriptor, ignore_dots)


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
