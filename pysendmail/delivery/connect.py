"""Find a host's addresses and connect to the first that answers, IPv6 and IPv4 in turn (RFC 8305)."""

import _socket
import errno
import select
from time import monotonic

from pysendmail import errors
from pysendmail.delivery.interruption import Waiting, bounded
from pysendmail.delivery.link import Link, TimedOut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pysendmail.delivery.link import Address

_STAGGER = 0.25  # seconds until the next address is tried beside the ones under way (RFC 8305 section 5)
_IN_PROGRESS = (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK, errno.EINTR)


def addresses(host: str, port: int, deadline: float) -> "list[Address]":
    """Return the host's addresses as (family, socket address), families taking turns. Raises TempFail."""
    answer = _look_up(host, port, deadline)
    if isinstance(answer, OSError):
        raise errors.TempFail(f"the address of {host} cannot be found: {answer.strerror or answer}")
    found: list[Address] = list(dict.fromkeys((family, address) for family, _, _, _, address in answer))
    if not found:
        raise errors.TempFail(f"{host} has no address")
    first = [a for a in found if a[0] == found[0][0]]
    second = [a for a in found if a[0] != found[0][0]]
    mixed = []
    for number in range(max(len(first), len(second))):
        mixed += first[number : number + 1] + second[number : number + 1]
    return mixed


def _look_up(host: str, port: int, deadline: float) -> "list[tuple[int, int, int, str, Any]] | OSError":
    """Ask the resolver, in a thread of its own since it knows no deadline; an address literal needs no thread."""
    try:
        return _getaddrinfo(host, port, _socket.AI_NUMERICHOST)
    except OSError:
        pass  # not a literal
    found: list[tuple[int, int, int, str, Any]] | OSError | None = in_time(lambda: _asked(host, port), deadline)
    if found is None:
        raise TimedOut(f"the address of {host} was not found in time")
    return found


def _asked(host: str, port: int) -> "list[tuple[int, int, int, str, Any]] | OSError":
    try:
        return _getaddrinfo(host, port, 0)
    except OSError as error:
        return error
    except UnicodeError:
        return OSError("the name is no host name")


def in_time(ask: "Callable[[], Any]", deadline: float) -> "Any":
    """Return what a function returns that knows neither deadlines nor signals and never raises; None if it takes longer."""
    import _thread

    answers: list[Any] = []
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            answers.append(ask())
        finally:
            done.release()

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:  # the caller may have no more processes; the resolver's own limits have to do
        run()
    while True:
        left = max(0.0, min(deadline - monotonic(), 86400))
        with Waiting():
            found = done.acquire(timeout=bounded(left))
        if found:
            return answers[0] if answers else None
        if left <= 0:
            return None


def _getaddrinfo(host: str, port: int, flags: int) -> "list[tuple[int, int, int, str, Any]]":
    # As text the name would load the codec for internationalized names, which takes longer than all the rest.
    name = host.encode("ascii", "replace")
    found: list[tuple[int, int, int, str, Any]] = _socket.getaddrinfo(
        name, port, _socket.AF_UNSPEC, _socket.SOCK_STREAM, _socket.IPPROTO_TCP, flags
    )
    return found


class Connector:
    """Connections to a list of addresses: each `next` gives a Link to the first address that answers of those left."""

    __slots__ = ("_left", "_source", "_timeout", "errors")

    def __init__(self, found: "list[Address]", source_ip: str | None, timeout: float) -> None:
        self._left = found
        self._source = source_ip
        self._timeout = timeout
        self.errors: list[str] = []  # one line an address that did not answer

    @property
    def exhausted(self) -> bool:
        """Whether every address was tried."""
        return not self._left

    def next(self, deadline: float) -> Link:
        """Return a Link. Raises TempFail when none of the addresses left can be reached in time."""
        race = _Race(self._source)
        started = monotonic()
        while True:
            now = monotonic()
            if self._left and (not race.open or now >= started + _STAGGER):
                race.start(self._left.pop(0), now + self._timeout, self.errors)
                started = now
                continue
            if not race.open:
                raise errors.TempFail("; ".join(self.errors) or "no address is left to try")
            until = min(min(race.deadlines()), deadline)
            if self._left:
                until = min(until, started + _STAGGER)
            won = race.wait(until, self.errors)
            if won is not None:
                # Those that lost only for being slower are kept for a second try.
                self._left += race.abandon()
                return won
            if monotonic() >= deadline:
                race.abandon()
                raise TimedOut("; ".join([*self.errors, "no connection in time"]))


class _Race:
    """Connection attempts under way, by descriptor."""

    __slots__ = ("_poll", "_source", "open")

    def __init__(self, source: str | None) -> None:
        self.open: dict[int, tuple[_socket.socket, Address, float]] = {}
        self._poll = select.poll()
        self._source = source

    def start(self, address: "Address", deadline: float, problems: list[str]) -> None:
        """Begin to connect; what fails at once is noted in `problems`."""
        family, where = address
        sock = None
        try:
            sock = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            if self._source:
                sock.bind((self._source, 0))
            failed = sock.connect_ex(where)
            if failed and failed not in _IN_PROGRESS:
                raise OSError(failed, _strerror(failed))
        except OSError as error:
            problems.append(_problem(where, error))
            if sock is not None:
                sock.close()
            return
        self.open[sock.fileno()] = (sock, address, deadline)
        self._poll.register(sock.fileno(), select.POLLOUT)

    def deadlines(self) -> "Iterator[float]":
        """Yield the time at which each attempt ends."""
        return (deadline for _, _, deadline in self.open.values())

    def wait(self, until: float, problems: list[str]) -> Link | None:
        """Wait for one attempt to end, or until a look at what else is up is due; return its Link if it succeeded."""
        try:
            with Waiting():
                events = self._poll.poll(bounded(max(0.0, until - monotonic())) * 1000 + 1)
        except OSError as error:
            raise errors.TempFail(f"waiting for a connection failed: {error.strerror}") from error
        for fd, _ in events:
            sock, address, _ = self._forget(fd)
            failed = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            if not failed:
                return Link(sock, address)
            problems.append(_problem(address[1], OSError(failed, _strerror(failed))))
            sock.close()
        now = monotonic()
        for fd, (_, _, deadline) in list(self.open.items()):
            if now >= deadline:
                sock, address, _ = self._forget(fd)
                problems.append(f"{_name(address[1])}: no answer in time")
                sock.close()
        return None

    def abandon(self) -> "list[Address]":
        """Close every attempt still under way and return their addresses."""
        left = []
        for sock, address, _ in self.open.values():
            sock.close()
            left.append(address)
        self.open.clear()
        return left

    def _forget(self, fd: int) -> "tuple[_socket.socket, Address, float]":
        self._poll.unregister(fd)
        return self.open.pop(fd)


def _strerror(number: int) -> str:
    import os

    return os.strerror(number)


def _problem(where: "tuple[str, int] | tuple[str, int, int, int]", error: OSError) -> str:
    return f"{_name(where)}: {error.strerror or error}"


def _name(where: "tuple[str, int] | tuple[str, int, int, int]") -> str:
    return f"{where[0]} port {where[1]}"
