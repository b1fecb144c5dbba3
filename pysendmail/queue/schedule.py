"""When the next attempt is made, and when there is none any more: arithmetic only, without a clock.

Times may be wrong: clocks jump, and computers sleep. So the age of a message alone ends nothing. It is given up when its
time is over *and* a fair part of the attempts were made that fit into that time. A message that seems to come from the
future has no age at all; for it the number of attempts alone counts.
"""

_SPREAD = 0.25  # the part of a pause that chance may take off, so that what failed together does not come again together
_FAIR = 4  # a message gets at least one in so many of the attempts that fit into its time


class Schedule:
    """The times of one account, in seconds.

    `first` is the pause after the first attempt; each one after it is twice as long, up to `longest`. A message is
    given up when it is older than `expire`; its sender is told of the delay when it is older than `warn`, or never if
    that is None.
    """

    __slots__ = ("enough", "expire", "first", "longest", "most", "warn")

    def __init__(
        self, first: float = 60.0, longest: float = 3600.0, expire: float = 432_000.0, warn: float | None = 14_400.0
    ) -> None:
        self.first = first
        self.longest = max(first, longest)
        self.expire = expire
        self.warn = warn
        self.most = self._attempts_within(expire)
        self.enough = max(1, self.most // _FAIR)

    def pause(self, attempts: int, chance: float = 0.0) -> float:
        """Return how long to wait after so many attempts; `chance` is a random number from 0 up to 1."""
        doublings = min(max(attempts - 1, 0), 64)  # beyond that any first pause has reached the longest
        return min(self.first * 2.0**doublings, self.longest) * (1.0 - _SPREAD * chance)

    def is_over(self, age: float, attempts: int) -> bool:
        """Tell whether a message of this age, in seconds, is given up after so many attempts."""
        if age < 0:
            return attempts >= self.most
        return age >= self.expire and attempts >= self.enough

    def is_late(self, age: float) -> bool:
        """Tell whether the sender of a message of this age should know that it has not left yet."""
        return self.warn is not None and age >= self.warn

    def _attempts_within(self, seconds: float) -> int:
        """Return how many attempts fit into a time, the one at its beginning included."""
        attempts, passed = 1, 0.0
        while (pause := self.pause(attempts)) < self.longest and passed + pause <= seconds:
            attempts += 1
            passed += pause
        return attempts + max(0, int((seconds - passed) // self.longest)) if pause >= self.longest else attempts
