"""What the user sees: standard output and error, one clean line at a time."""

import os
import select
from _thread import get_ident

from pysendmail.log import dialogue_line, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LIMIT = 4096
_PATIENCE = 2  # seconds for a reader to make room, once
_PIECE = 4096  # what a pipe that is ready takes without blocking (PIPE_BUF)
_deaf: set[int] = set()  # descriptors whose reader has gone or does not read
_elsewhere: "dict[int, Elsewhere]" = {}  # by thread


class Elsewhere:
    """A context in which a thread speaks to a user at another process.

    `write` takes a descriptor of that process and octets for it; its terminal has `columns`.
    """

    __slots__ = ("columns", "write")

    def __init__(self, write: "Callable[[int, bytes], None]", columns: int = 80) -> None:
        self.write = write
        self.columns = columns

    def __enter__(self) -> None:
        _elsewhere[get_ident()] = self

    def __exit__(self, *_: object) -> None:
        del _elsewhere[get_ident()]


def elsewhere() -> Elsewhere | None:
    """Return where the user of this thread is, None if he is at this process."""
    return _elsewhere.get(get_ident()) if _elsewhere else None


def complain(program: str, text: str) -> None:
    """Write `program: text` as one line to standard error."""
    write(2, f"{program}: {printable(text, _LIMIT)}\n")


def say(text: str) -> None:
    """Write `text` as one line to standard output."""
    write(1, f"{printable(text, _LIMIT)}\n")


def show(direction: str, line: bytes) -> None:
    """Write one line of the dialogue to standard error, as -v asks."""
    write(2, dialogue_line(direction, line))


def write(descriptor: int, text: str) -> None:
    """Write all of `text`. A reader who has gone or never reads stops nothing: the exit code tells all that counts."""
    data = text.encode("utf-8", "surrogateescape")
    away = elsewhere()
    if away is not None:
        away.write(descriptor, data)
        return
    if descriptor in _deaf:
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    while data:
        try:
            if not poll.poll(_PATIENCE * 1000):
                _deaf.add(descriptor)
                return
            data = data[os.write(descriptor, data[:_PIECE]) :]
        except BlockingIOError:
            continue
        except OSError:
            _deaf.add(descriptor)
            return


def open_missing_descriptors() -> None:
    """Open /dev/null where standard descriptors are closed, else the first socket would become standard output."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)
