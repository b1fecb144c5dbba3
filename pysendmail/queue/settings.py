"""What a runner has to know of an account besides the way to its smarthost."""

from pysendmail.queue.schedule import Schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.delivery.session import Route
    from pysendmail.log import Log

    Routes = Callable[[str, str], "Way"]
    """Return the way for the messages of an account (its name) and a configuration (its path), as they were queued.

    Raises ConfigError or NoPermission if there is none, which says why the messages wait.
    """

    Readers = tuple[list[bytes], str]
    """The addresses that get a report, and the name of the account by which it leaves."""

_LANE_PAUSE = 1800.0  # seconds; a smarthost that is back is found again after so long at the latest
_LOGIN_STEPS = 3  # a refused login is repeated as late as after so many failures: servers shut out who insists


class Settings:
    """The words of the configuration that are about the queue.

    schedule: from `retry`, `expire` and `warn`. connections: how many at once. rate: how many messages in how many
    seconds, None for any number. keep: for how many seconds an idle connection is kept. hold_uncertain: keep for
    somebody's decision what may have arrived. postmaster: where a report goes that cannot be delivered itself, b"" for
    nowhere. readers: finds who gets a report to an address, and by which account; None where it is just this address, by
    the account of the message. host: this machine's name, and domain: that of the reports' own addresses (A-labels), both
    as reports show them. reporter: the address of their author, b"" for MAILER-DAEMON there.
    """

    __slots__ = (
        "connections", "domain", "hold_uncertain", "host", "keep", "lane", "postmaster", "rate", "readers", "reporter",
        "schedule",
    )  # fmt: skip

    def __init__(
        self,
        *,
        schedule: Schedule | None = None,
        connections: int = 2,
        rate: "tuple[int, float] | None" = None,
        keep: float = 0.0,
        hold_uncertain: bool = False,
        postmaster: bytes = b"",
        host: str = "localhost",
        domain: bytes = b"",
        reporter: bytes = b"",
        readers: "Callable[[bytes], Readers] | None" = None,
    ) -> None:
        self.schedule = schedule or Schedule()
        self.connections = connections
        self.rate = rate
        self.keep = keep
        self.hold_uncertain = hold_uncertain
        self.postmaster = postmaster
        self.host = host
        self.domain = domain
        self.reporter = reporter
        self.readers = readers
        own = self.schedule
        self.lane = Schedule(own.first, min(own.longest, _LANE_PAUSE), own.expire, own.warn)

    def closed_for(self, failures: int, login: bool, chance: float) -> float:
        """Return for how many seconds a smarthost is left alone after so many failures in a row."""
        return self.schedule.pause(failures + _LOGIN_STEPS, chance) if login else self.lane.pause(failures, chance)


class Way:
    """How the messages of one account and configuration leave.

    `route` is called when there is something to send: it finds the password, which may take a while
    or ask a question, and raises the Failure that keeps the messages waiting. `log` gives the log for messages of a tag.
    `stale` tells whether the configuration has changed since.
    """

    __slots__ = ("log", "route", "settings", "stale")

    def __init__(
        self,
        settings: Settings,
        route: "Callable[[], Route]",
        log: "Callable[[str], Log]",
        stale: "Callable[[], bool]" = lambda: False,
    ) -> None:
        self.settings = settings
        self.route = route
        self.log = log
        self.stale = stale
