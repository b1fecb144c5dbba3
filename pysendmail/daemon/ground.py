"""What the daemon's children stand on: the configuration, the sockets, the user, the queue's folder, the log."""

from time import monotonic, sleep, time

from pysendmail.command.console import complain
from pysendmail.daemon import configuration, listening, privileges, renewal
from pysendmail.daemon.setup import Setup
from pysendmail.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.daemon.listening import Address, Listener
    from pysendmail.daemon.notify import Notifier

SOCKET = "/run/pysendmail/submit.sock"
QUEUE = "/var/spool/pysendmail/queue.db"
_LAST = 1.0  # seconds


class Wish:
    """What the command line asks for. `socket` and `queue` hold where the configuration names none."""

    __slots__ = ("agent", "credentials", "foreground", "home", "idle", "interval", "path", "program", "queue", "socket")

    def __init__(self, program: str, path: str) -> None:
        self.program = program
        self.path = path
        self.home = ""
        self.socket = SOCKET
        self.queue = QUEUE
        self.idle: float | None = None
        self.interval: float | None = None
        self.agent = False
        self.foreground = True
        self.credentials = ""


class Ground:
    """All that outlives a child; `found` and `user` change when the configuration does."""

    __slots__ = (
        "_listeners", "_log", "_passed", "_renewal", "_started", "_told", "_unwanted", "_wish", "found", "notifier",
        "queue", "user",
    )  # fmt: skip

    def __init__(self, wish: Wish, notifier: "Notifier", passed: "list[Listener]") -> None:
        """Read the configuration, make the queue's folder and bind the sockets. Raises Failure."""
        self._wish = wish
        self._passed = passed
        self._listeners: list[Listener] = []
        self._unwanted: list[Listener] = []
        self._told = 0.0
        self._started = time()
        self.notifier = notifier
        by_manager = wish.credentials and wish.path.startswith(f"{wish.credentials}/")
        self._renewal = renewal.offer() if by_manager else -1
        self.found = self._read()
        self._take(self.found)

    def _read(self) -> configuration.Configuration:
        return configuration.read(self._wish.path, self._wish.home, self._wish.credentials, self._renewal)

    def _take(self, found: configuration.Configuration) -> None:
        """Stand on this configuration from now on; if that fails nothing has changed. Raises Failure."""
        fresh: list[Listener] = []
        try:
            user = privileges.identity(found.file, agent=self._wish.agent)
            account = found.account()
            queue = account.queue if account is not None and account.queue else self._wish.queue
            privileges.prepare_queue(queue, user)
            kept, fresh = self._bind(found)
        except BaseException:
            found.close()
            raise
        self._unwanted = [one for one in [*self._listeners, *self._unwanted] if one not in kept]
        self._listeners = kept + fresh
        if self.found is not found:
            self.found.close()
        self.found, self.user, self.queue = found, user, queue
        self._log = Log(account.syslog, account.logfile) if account is not None else Log()

    def _bind(self, found: configuration.Configuration) -> "tuple[list[Listener], list[Listener]]":
        """Return those of our sockets that the configuration still wants, and new ones for what is missing.

        What the service manager has passed on stays, and takes the place of the submission socket.
        """
        path = found.file.daemon.submission_socket or self._wish.socket
        ports = found.file.daemon.listen
        wanted: list[Address] = [path, *[(address, port) for address, port, _ in ports]]
        kept = [one for one in [*self._listeners, *self._unwanted] if one.address in wanted]
        have = [one.address for one in [*self._passed, *kept]]
        fresh: list[Listener] = []
        try:
            if path not in have and not any(one.kind == listening.FRAMES for one in self._passed):
                fresh.append(listening.bind_name(path, 0o600 if self._wish.agent else 0o666))
            for address, port, optional in ports:
                if (address, port) not in have:
                    fresh += listening.bind_port(address, port, optional)
        except BaseException:
            for one in fresh:
                one.close()
            raise
        return kept, fresh

    def renew(self) -> None:
        """Read the configuration anew and stand on it. Raises Failure, and nothing has changed."""
        self._take(self._read())

    def drop_unwanted(self) -> None:
        """Close the sockets that the configuration does not name any more."""
        for one in self._unwanted:
            one.close()
        self._unwanted = []

    def close(self) -> None:
        """Close the sockets, and take away their names where they are ours."""
        for one in [*self._listeners, *self._unwanted]:
            one.close()
        self._listeners, self._unwanted = [], []

    def admit_last(self) -> None:
        """Take our sockets' names away, and wait for a moment until whoever has come before has been let in."""
        end = monotonic() + _LAST
        named = [one for one in self._listeners if isinstance(one.address, str)]
        for one in named:
            one.hide()
        while any(one.waiting() for one in named) and monotonic() < end:
            sleep(_LAST / 200)

    def close_unless_waiting(self) -> bool:
        """Take the sockets' names away, unless somebody has just come; tell whether that was done.

        Whoever comes to a socket of the service manager starts the daemon again.
        """
        if any(one.waiting() for one in self._listeners):
            return False
        for one in self._listeners:
            one.hide()
        if not any(one.waiting() for one in self._listeners):
            return True
        for one in self._listeners:
            one.show()
        return False

    def setup(self) -> Setup:
        """Return what a child is given, but for its pipes and sockets."""
        setup = Setup(self.found.path, self.found.file, self.queue)
        daemon = self.found.file.daemon
        setup.idle = daemon.idle_exit if daemon.line_of("idle_exit") else self._wish.idle
        if any(not isinstance(one.address, str) for one in self._listeners):
            setup.idle = None  # nobody would start the daemon again for who comes to a port of ours
        setup.interval = self._wish.interval
        setup.agent = self._wish.agent
        setup.foreground = self._wish.foreground
        setup.started = self._started
        return setup

    def sockets(self) -> list[tuple[str, int]]:
        """Return the sockets, each with what is spoken there."""
        return [(one.kind, one.fd) for one in [*self._passed, *self._listeners]]

    def status(self) -> str:
        """Return what the service manager is to show."""
        where = [_shown(one.address) for one in [*self._passed, *self._listeners] if one.address is not None]
        return f"Serving {', '.join(where)}" if where else "Serving the socket of the service manager"

    def watchdog(self, now: float) -> None:
        """Tell the service manager that all is well, as often as it wants to hear that."""
        every = self.notifier.every
        if every is not None and now - self._told >= every / 2:
            self._told = now
            self.notifier.tell("WATCHDOG=1")

    def log(self, text: str, warning: bool = False) -> None:
        """Write a line of the daemon's own life."""
        self._log.write("master", text, time(), warning)

    def complain(self, text: str) -> None:
        """Tell why the daemon cannot start."""
        self.log(f"fatal: {text}", warning=True)
        complain(self._wish.program, text)


def _shown(address: "Address") -> str:
    if isinstance(address, str):
        return address
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
