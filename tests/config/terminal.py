"""A terminal for tests: a Python program that runs with a pseudo-terminal as its controlling one."""

import os
import pty
import select
import sys
import termios
import time
from pathlib import Path

import pysendmail

_ROOT = str(Path(pysendmail.__file__).parents[1])
_PATIENCE = 20.0


class Terminal:
    """Run `program` (Python text) on a new terminal; what it prints there, and its echo flag, can be looked at."""

    def __init__(self, program: str) -> None:
        text = f"import sys; sys.path.insert(0, {_ROOT!r})\n{program}"
        self.pid, self.fd = pty.fork()
        if self.pid == 0:  # pragma: no cover
            os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", text])
        self.shown = b""
        self.status: int | None = None

    def read_until(self, text: bytes, times: int = 1) -> bytes:
        """Wait until `text` was shown so many times; return all that was shown so far."""
        end = time.monotonic() + _PATIENCE
        while self.shown.count(text) < times:
            assert time.monotonic() < end, self.shown
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    data = os.read(self.fd, 4096)
                except OSError:
                    data = b""
                assert data, self.shown
                self.shown += data
        return self.shown

    def type(self, text: bytes) -> None:
        os.write(self.fd, text)

    @property
    def echo(self) -> bool:
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def wait(self) -> int:
        """Wait for the program's end; return its exit status, negative for a signal."""
        end = time.monotonic() + _PATIENCE
        while self.status is None:
            assert time.monotonic() < end, self.shown
            self._drain()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        self._drain()
        return self.status

    def _drain(self) -> None:
        while select.select([self.fd], [], [], 0.02)[0]:
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                return
            self.shown += data

    def close(self) -> None:
        if self.status is None:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
