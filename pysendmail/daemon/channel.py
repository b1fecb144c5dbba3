"""The line to a caller who waits for text: requests other than messages are answered in a thread, through this."""

import _socket
import select

from pysendmail import wire

_PATIENCE = 60.0  # seconds in which a caller has to take something


class Hangup(Exception):
    """The caller is gone, or does not read."""


class Channel:
    """Send text for the standard output and error of a caller's command. It may be used by one thread at a time."""

    __slots__ = ("_line",)

    def __init__(self, line: "_socket.socket") -> None:
        self._line = line
        line.settimeout(_PATIENCE)

    def write(self, descriptor: int, data: bytes) -> None:
        """Send text for descriptor 1 or 2. Raises Hangup."""
        kind = wire.OUT if descriptor == 1 else wire.ERR
        try:
            for start in range(0, len(data), wire.PIECE):
                self._line.sendall(wire.frame(kind, data[start : start + wire.PIECE]))
        except OSError:
            raise Hangup from None

    def wait(self, seconds: float) -> None:
        """Let so much time go by. Raises Hangup as soon as the caller is gone; he has nothing to say any more."""
        poll = select.poll()
        poll.register(self._line, select.POLLIN | select.POLLRDHUP)
        if poll.poll(seconds * 1000):
            raise Hangup

    def reassure(self) -> None:
        """Give a sign of life. Raises Hangup."""
        try:
            self._line.sendall(wire.frame(wire.ALIVE, b""))
        except OSError:
            raise Hangup from None
