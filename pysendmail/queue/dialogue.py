"""The dialogue about one message, on its way from who sends it to who takes callers and has one who wants to see it (-v).

The reader makes a file beside the queue before the message is committed, keeps it open, and removes it when nobody waits
any more. The writer finds it by the queue id, and adds line after line; where there is none, nobody wants to see it. What
is in it is what -v shows anywhere, with secrets masked, and it is for the queue's own user alone. It hardly grows beyond
LIMIT, and need not outlive a crash: what that leaves is removed by the next who takes callers alone.
"""

import os

from pysendmail.log import dialogue_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 1 << 20
"""Octets of one dialogue that are shown."""

_INFIX = "-dialogue-"
_REST = b"the rest of the dialogue is not shown, since it is too long"
_ROOM = 8192  # octets that the last lines may go beyond that


def file(queue: str, qid: str) -> str:
    """Return the path of the dialogue about a message of this queue."""
    return f"{queue}{_INFIX}{qid}"


class Reader:
    """Make the file for a message's dialogue and read what comes into it. Raises OSError where it cannot be made."""

    __slots__ = ("_fd", "_path", "_read")

    def __init__(self, queue: str, qid: str) -> None:
        self._path = file(queue, qid)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._read = 0

    def read(self) -> bytes:
        """Return the whole lines that have come since the last time."""
        data = os.pread(self._fd, LIMIT + _ROOM, self._read)
        data = data[: data.rfind(b"\n") + 1]
        self._read += len(data)
        return data

    def close(self) -> None:
        """Remove the file."""
        os.close(self._fd)
        try:
            os.unlink(self._path)
        except OSError:
            pass  # it is gone, or goes with what a crash would have left


class Writer:
    """Write the dialogue about a message, as a trace of smtp.client. Raises OSError where nobody wants to see it."""

    __slots__ = ("_fd", "_left")

    def __init__(self, queue: str, qid: str) -> None:
        self._fd = os.open(file(queue, qid), os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._left = LIMIT - os.fstat(self._fd).st_size

    def __call__(self, direction: str, line: bytes) -> None:
        """Write one line, if there is room for it."""
        if self._left <= 0:
            return
        data = dialogue_line(direction, line).encode("utf-8", "surrogateescape")
        self._left -= len(data)
        if self._left <= 0:
            data += dialogue_line("=", _REST).encode()  # the size is beyond the limit now, which the next writer sees
        try:
            os.write(self._fd, data)
        except OSError:
            self._left = 0  # a full disk: the message counts, and not what is shown of it

    def close(self) -> None:
        """Write no more."""
        os.close(self._fd)


def sweep(queue: str) -> None:
    """Remove what is left of dialogues of which nobody can be reading any more."""
    for path in _left_over(queue):
        try:
            os.unlink(path)
        except OSError:
            pass  # it does no harm


def _left_over(queue: str) -> "Iterator[str]":
    folder, name = os.path.split(queue)
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return
    for one in names:
        if one.startswith(name + _INFIX):
            yield os.path.join(folder, one)
