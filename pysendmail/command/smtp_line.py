"""The two descriptors of a session on standard input and output; pipes, a socket, a terminal or files."""

import os
import select

from pysendmail.delivery.interruption import Waiting

_PIECE = 65536
_LAST_WORD = 2.0  # seconds for a client to take what is said before we go


class Gone(Exception):
    """Nobody takes what is said."""


class Line:
    """What is read from one descriptor and written to the other; neither is ever waited for without a limit."""

    __slots__ = ("_output", "source")

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self._output = target

    def read(self, seconds: float) -> bytes | None:
        """Return what comes next, b"" at the end of input, None if nothing comes in time. A signal may end the wait."""
        poll = select.poll()
        poll.register(self.source, select.POLLIN)
        with Waiting():
            if not poll.poll(max(0.0, seconds) * 1000):
                return None
        try:
            return os.read(self.source, _PIECE)
        except BlockingIOError:
            return None
        except OSError:  # a terminal that was closed, a connection that was reset
            return b""

    def write(self, data: bytes, seconds: float) -> None:
        """Write all of `data`, whose reader may take so long for each piece. Raises Gone."""
        poll = select.poll()
        poll.register(self._output, select.POLLOUT)
        while data:
            if not poll.poll(seconds * 1000):
                raise Gone
            try:
                data = data[os.write(self._output, data[: select.PIPE_BUF]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise Gone from None

    def say(self, data: bytes) -> None:
        """Write a last word, if anybody takes it."""
        try:
            self.write(data, _LAST_WORD)
        except Gone:
            pass  # why it is over is told by the exit code as well
