"""How many messages each caller may hand in within a time: so many at once, and from then on evenly."""

_TIDY = 1024  # callers; those who have been quiet long enough are then forgotten


class Rates:
    """For each caller the time at which he would have used up nothing (the generic cell rate algorithm)."""

    __slots__ = ("_free",)

    def __init__(self) -> None:
        self._free: dict[int, float] = {}

    def wait(self, uid: int, rate: tuple[int, float], now: float) -> float:
        """Return after how many seconds one more message is within the rate, 0 if it is now."""
        count, period = rate
        return max(self._free.get(uid, now) - period * (count - 1) / count - now, 0.0)

    def use(self, uid: int, rate: tuple[int, float], now: float) -> None:
        """Count a message; `now` is the time of a clock that never goes back."""
        count, period = rate
        self._free[uid] = max(self._free.get(uid, now), now) + period / count
        if len(self._free) > _TIDY:
            self._free = {one: free for one, free in self._free.items() if free > now}
