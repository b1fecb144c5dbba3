"""How many messages may leave in how much time."""

from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
else:
    from _collections import deque


class Pace:
    """Let no more than `count` messages begin within any `seconds`; times are of a clock that never jumps."""

    __slots__ = ("_begun", "_lock", "count", "seconds")

    def __init__(self, count: int, seconds: float) -> None:
        self.count = count
        self.seconds = seconds
        self._begun: deque[float] = deque(maxlen=count)
        self._lock = allocate_lock()

    def begin(self, now: float) -> float:
        """Count a message that begins now and return 0.0, or return how many seconds it has to wait, and count nothing."""
        with self._lock:
            if len(self._begun) == self.count:
                wait = self._begun[0] + self.seconds - now
                if wait > 0:
                    return wait
            self._begun.append(now)
            return 0.0
