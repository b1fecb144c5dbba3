"""Signals that are waited for, and otherwise wait themselves.

Not by sigtimedwait: where a process was stopped until the time was over (by SIGSTOP, by a debugger, by a machine that
slept), Python's one tells of a signal that never came.
"""

import _signal
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST = 4096


class Signals:
    """Wait for some signals, in the main thread, which has them blocked at all other times."""

    __slots__ = ("_numbers", "_reader", "_writer")

    def __init__(self, numbers: "Iterable[int]") -> None:
        self._numbers = tuple(numbers)
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> list[int]:
        """Return those that have come, or come within that time; each once."""
        handlers = [(number, _signal.signal(number, _note)) for number in self._numbers]
        before = _signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        try:
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, self._numbers)
            waiting = select.poll()
            waiting.register(self._reader, select.POLLIN)
            waiting.poll(seconds * 1000)
        finally:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, self._numbers)
            _signal.set_wakeup_fd(before)
            for number, handler in handlers:
                _signal.signal(number, handler)
        try:
            came = os.read(self._reader, _MOST)
        except BlockingIOError:
            return []
        return [number for number in dict.fromkeys(came) if number in self._numbers]


def _note(number: int, frame: object) -> None:
    """Do nothing: the number is in the pipe already."""
