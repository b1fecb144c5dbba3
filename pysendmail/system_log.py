"""The system's log, which we never wait for: one that stands still must not hold up the mail.

The C library's syslog(3) waits without end where the log's socket is there, its queue is full and nobody reads. Here a
line that finds no room in a fifth of a second is dropped, as are those of the next seconds that find none at once; what
was dropped is counted, and told when there is room again.
"""

import _socket
import errno
import os
import select
from _thread import allocate_lock
from time import monotonic

_FACILITIES = {"LOG_USER": 1, "LOG_MAIL": 2, "LOG_DAEMON": 3, **{f"LOG_LOCAL{n}": 16 + n for n in range(8)}}
_PATIENCE = 0.2  # seconds
_PAUSE = 5.0  # seconds for which a log that had no room is not waited for
_LONGEST = 8192  # octets of a line


class SystemLog:
    """The connection to the log at `path`; for any thread."""

    __slots__ = ("_dropped", "_impatient", "_line", "_lock", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = allocate_lock()
        self._line: _socket.socket | None = None
        self._impatient = 0.0
        self._dropped = 0

    def write(self, facility: str, level: int, clock: str, tag: str, text: str) -> None:
        """Write a line; `clock` is its time as "Nov  1 12:34:56". What cannot be written is dropped."""
        head = f"<{8 * _FACILITIES.get(facility, 2) + level}>{clock} {tag}[{os.getpid()}]: "
        with self._lock:
            told = f"{head}warning: {self._dropped} lines were dropped: the log had no room"
            if self._dropped and self._send(told.encode()):
                self._dropped = 0
            if not self._send((head + text).encode("utf-8", "backslashreplace")[:_LONGEST]):
                self._dropped += 1

    def _send(self, data: bytes) -> bool:
        """Send one datagram; tell whether that was done. A log that was started anew is called again."""
        for _ in range(2):
            try:
                if self._line is None:
                    self._line = self._call()
                return self._put(self._line, data)
            except OSError:
                self.close()
        return False

    def _put(self, line: "_socket.socket", data: bytes) -> bool:
        end = 0.0
        while True:
            try:
                line.send(data)
                return True
            except BlockingIOError:
                now = monotonic()
                end = end or (now + _PATIENCE if now >= self._impatient else now)
                if now >= end:
                    self._impatient = now + _PAUSE
                    return False
                poll = select.poll()
                poll.register(line, select.POLLOUT)
                poll.poll(int((end - now) * 1000) + 1)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                return False

    def _call(self) -> "_socket.socket":
        for kind in (_socket.SOCK_DGRAM, _socket.SOCK_SEQPACKET):
            line = _socket.socket(_socket.AF_UNIX, kind | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
            try:
                line.connect(self._path)
                return line
            except OSError as error:
                line.close()
                if error.errno != errno.EPROTOTYPE:
                    raise
        raise OSError(errno.EPROTOTYPE, "the log's socket is of another kind")

    def close(self) -> None:
        """End the connection; the next line makes a new one."""
        if self._line is not None:
            self._line.close()
            self._line = None
