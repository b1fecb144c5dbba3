"""A child as its parent sees it: what it says, how long it has been silent, how long it may take to end."""

import _signal
import os
from time import monotonic

from pysendmail.daemon.child import SAYS
from pysendmail.daemon.setup import READY_EVERY

ACCEPT, DELIVER = "accept", "deliver"
ROLES = (DELIVER, ACCEPT)  # in the order of their start

_RECENT = 2 * READY_EVERY
_HUNG = 6 * READY_EVERY
_START = 600.0  # a large queue may have to be brought up to date
_TO_END = {ACCEPT: 40.0, DELIVER: 90.0}
"""Seconds from SIGTERM to SIGKILL: accept gives its callers 30, deliver may have to wait for a slow server."""


class Child:
    """One process; `up` once it serves, `ending` once it was told to end, `said` is why it ended, if it said so."""

    __slots__ = ("_heard", "_killed", "_pulse", "_since", "ending", "pid", "role", "said", "started", "up")

    def __init__(self, role: str, pid: int, pulse: int, now: float) -> None:
        self.role = role
        self.pid = pid
        self._pulse = pulse
        self.started = self._heard = now
        self._since = 0.0
        self._killed = False
        self.up = False
        self.ending = False
        self.said = ""

    def __str__(self) -> str:
        return f"{self.role} ({self.pid})"

    def listen(self, now: float) -> None:
        """Take what the child has said since the last time."""
        while True:
            try:
                data = os.read(self._pulse, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                return
            beats, says, text = data.partition(SAYS)
            if beats:
                self.up = True
                self._heard = now
            if says:
                self.said = text.partition(b"\n")[0].decode("utf-8", "replace")

    def overdue(self, now: float) -> str:
        """Tell why the child has to be killed, nothing if it has not."""
        if self._killed:
            return ""
        if self.ending:
            return "did not end in time" if now - self._since > _TO_END[self.role] else ""
        if not self.up:
            return "does not come up" if now - self.started > _START else ""
        return "does not answer" if now - self._heard > _HUNG else ""

    def is_well(self, now: float) -> bool:
        """Tell whether the child serves, and has said so not long ago."""
        return self.up and now - self._heard < _RECENT

    def end(self) -> None:
        """Ask the child to end; the time that it has for that does not begin anew when it is asked again."""
        if not self.ending:
            self._since = monotonic()
        self.ending = True
        self._send(_signal.SIGTERM)

    def kill(self, now: float) -> None:
        """End the child without asking it."""
        self._killed = True
        self._send(_signal.SIGKILL)

    def reason(self) -> str:
        """Return what the child said about its end, to be put behind it."""
        return f": {self.said}" if self.said else ""

    def close(self) -> None:
        """Forget the pipe of a child that has ended."""
        os.close(self._pulse)

    def _send(self, number: int) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass  # it has just ended, and will be reaped
