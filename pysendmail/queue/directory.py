"""The ways by which lanes leave, kept while they are good, so that a password is asked for once and TLS is resumed."""

from _thread import allocate_lock

from pysendmail.queue.pace import Pace
from pysendmail.queue.schedule import Schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.delivery.session import Route
    from pysendmail.queue.settings import Routes, Way

    Key = tuple[str, str]

_MOST = 1000  # ways


class Known:
    """One way, with its route once that was needed, and the pace that the word `rate` asks for."""

    __slots__ = ("_lock", "_route", "pace", "way")

    def __init__(self, way: "Way", pace: Pace | None) -> None:
        self.way = way
        self.pace = pace
        self._route: Route | None = None
        self._lock = allocate_lock()

    def route(self) -> "Route":
        """Return the route; the first time that may take a while. Raises the Failure that keeps messages waiting."""
        with self._lock:
            if self._route is None:
                self._route = self.way.route()
            return self._route


class Directory:
    """The ways of all lanes, as `routes` finds them. It may be used from any thread.

    `gone` is told the account and configuration whose way has changed or is refused. `horizon` is the longest pause that
    any of them knows.
    """

    __slots__ = ("_gone", "_known", "_lock", "_routes", "horizon")

    def __init__(self, routes: "Routes", gone: "Callable[[Key], object]" = lambda key: None) -> None:
        self._routes = routes
        self._gone = gone
        self._lock = allocate_lock()
        self._known: dict[Key, Known] = {}
        self.horizon = Schedule().longest

    def find(self, account: str, config: str) -> Known:
        """Return the way of an account and configuration. Raises ConfigError or NoPermission if there is none."""
        key = (account, config)
        with self._lock:
            known = self._known.get(key)
        if known is not None and not known.way.stale():
            return known
        way = self._routes(account, config)
        self.horizon = max(self.horizon, way.settings.schedule.longest)
        rate = way.settings.rate
        pace = known.pace if known is not None else None
        if rate is None:
            pace = None
        elif pace is None or (pace.count, pace.seconds) != rate:
            pace = Pace(*rate)
        found = Known(way, pace)
        if known is not None:
            self._gone(key)
        with self._lock:
            self._known.pop(key, None)
            self._known[key] = found
            for old in list(self._known)[:-_MOST]:
                del self._known[old]
        return found

    def forget(self, account: str, config: str) -> None:
        """Forget the route to where a login was refused: the next time the password is asked for anew."""
        with self._lock:
            known = self._known.get((account, config))
            if known is not None:
                self._known[account, config] = Known(known.way, known.pace)
        self._gone((account, config))
