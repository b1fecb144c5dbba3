"""Connections that are kept for the next message: authenticated, idle, and watched.

Who has no message any more parks his session here; the next one for the same smarthost takes it. Nothing is said on a
parked connection: what the server says meanwhile is heard when its descriptor becomes readable, or when the session is
taken, and a server that has gone or says good-bye has its session closed at once. The kernel probes the connection now
and then (TCP keep-alive), which keeps the state of firewalls alive and finds out a peer that has vanished.

A session leaves when it was idle for as long as its smarthost's patience is trusted, when it is too old, when there are
too many, or when the machine has slept: who wakes up has heard nothing of what became of his connections.
"""

from _thread import allocate_lock
from time import CLOCK_BOOTTIME, clock_gettime, monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from pysendmail.delivery.session import Session

AGE = 600.0
"""Seconds after which a connection is given up: addresses, certificates and passwords change, and servers move."""

_MOST = 64  # sessions
_NAP = 1.0  # seconds of sleep that no server takes for absence


class Parked:
    """A session with what is known of it: how many messages it has carried, and since when it stands (monotonic)."""

    __slots__ = ("asleep", "carried", "fd", "key", "session", "since", "until")

    def __init__(self, key: "Hashable", session: "Session", carried: int, since: float, until: float) -> None:
        self.key = key
        self.session = session
        self.carried = carried
        self.since = since
        self.until = until
        self.fd = session.fileno()
        self.asleep = asleep()

    def is_good(self, now: float) -> bool:
        """Tell whether another message can be sent over it, as far as is known."""
        return now < self.until and asleep() < self.asleep + _NAP and self.session.usable


class Pool:
    """The parked sessions, by whatever tells apart where they lead (`key`). All methods may be called from any thread."""

    __slots__ = ("_lock", "_parked")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._parked: dict[int, Parked] = {}

    @property
    def count(self) -> int:
        """How many sessions are parked."""
        return len(self._parked)

    def has(self, key: "Hashable") -> bool:
        """Tell whether a session is there for this key."""
        with self._lock:
            return any([one.key == key for one in self._parked.values()])

    def park(self, key: "Hashable", session: "Session", carried: int, since: float, now: float, idle: float) -> None:
        """Keep a session for up to `idle` seconds, unless it is of no use any more."""
        one = Parked(key, session, carried, since, min(now + idle, since + AGE))
        if now >= one.until or not session.usable:
            session.close()
            return
        session.keep_alive()
        with self._lock:
            self._parked[one.fd] = one
            surplus = list(self._parked.values())[:-_MOST]
            for each in surplus:
                del self._parked[each.fd]
        _close(surplus)

    def take(self, key: "Hashable", now: float) -> Parked | None:
        """Return the session that was used last, None if there is none of use. Its caller has to close or park it."""
        while True:
            with self._lock:
                one = next((one for one in reversed(self._parked.values()) if one.key == key), None)
                if one is None:
                    return None
                del self._parked[one.fd]
            if one.is_good(now):
                return one
            one.session.close()

    def watch(self) -> tuple[list[int], float | None]:
        """Return the descriptors to be watched for what servers say, and when the next session is to be closed."""
        with self._lock:
            return list(self._parked), min([one.until for one in self._parked.values()], default=None)

    def heed(self, ready: "Iterable[int]", now: float) -> None:
        """Close the sessions whose time is over, and those on whose descriptors something came that ends them."""
        with self._lock:
            spoken = [one for fd in ready if (one := self._parked.pop(fd, None)) is not None]
            over = [one for one in self._parked.values() if now >= one.until]
            for one in over:
                del self._parked[one.fd]
        for one in spoken:
            if one.is_good(now):
                with self._lock:
                    self._parked[one.fd] = one
            else:
                one.session.close()
        _close(over)

    def drop(self, key: "Hashable") -> None:
        """Close the sessions of this key."""
        with self._lock:
            gone = [one for one in self._parked.values() if one.key == key]
            for one in gone:
                del self._parked[one.fd]
        _close(gone)

    def close(self) -> None:
        """Close all sessions."""
        with self._lock:
            gone = list(self._parked.values())
            self._parked.clear()
        _close(gone)


def asleep() -> float:
    """Return for how many seconds the machine has slept since it was started."""
    return clock_gettime(CLOCK_BOOTTIME) - monotonic()


def _close(gone: "Iterable[Parked]") -> None:
    for one in gone:
        one.session.close()
