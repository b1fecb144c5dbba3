"""What a configuration says for the whole daemon: where it listens, who it is, and what callers may do.

Loaded only for a file that has one of these words; a word of accounts means nothing here, and the other way round.
"""

import os

from pysendmail.config import values
from pysendmail.config.callers import CALLER_WORDS, Rule
from pysendmail.config.values import Expected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.config.reader import File

_LONGEST_SOCKET = 107  # octets of a name, by the kernel
_USER_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_LISTEN = (
    "127.0.0.1:PORT, [::1]:PORT or localhost:PORT; only programs of this machine may connect,"
    " since the listener offers no login"
)


class Daemon:
    """`listen` holds (address, port, optional): where `optional`, this machine may lack the address.

    `submission_socket` is a path, None for the usual one; `run_as` is (user, group), as names or numbers, the group None
    for the user's own; `idle_exit` is in seconds, None for never; `agent` has sendmail start a user's own daemon;
    `callers` are the sections in their order.
    """

    __slots__ = ("_lines", "agent", "callers", "idle_exit", "listen", "received_user", "run_as", "submission_socket")

    def __init__(self) -> None:
        self.listen: list[tuple[str, int, bool]] = []
        self.submission_socket: str | None = None
        self.run_as: tuple[str, str | None] | None = None
        self.idle_exit: float | None = None
        self.agent = False
        self.received_user = False
        self.callers: list[Rule] = []
        self._lines: dict[str, int] = {}

    def take(self, word: str, value: str, line: int, home: str) -> None:
        """Take a word that holds for the whole file. Raises Expected."""
        result = DAEMON_WORDS[word](value)
        if word == "listen":
            assert isinstance(result, list)
            taken = {listener[:2] for listener in self.listen}
            if not taken.isdisjoint([listener[:2] for listener in result]):
                raise Expected("an address that does not stand above already")
            self.listen += result
            return
        if word in self._lines:
            raise Expected(f"it once; it stands in line {self._lines[word]} already")
        if word == "submission_socket" and isinstance(result, str):
            result = _socket_path(result, home)
        self._lines[word] = line
        setattr(self, word, result)

    def line_of(self, word: str) -> int:
        """Return the line where a word was written, 0 if it was not."""
        return self._lines.get(word, 0)

    def begin_caller(self, name: str, place: str) -> None:
        """Begin a section. Raises Expected."""
        rule = Rule(name, place)
        for other in self.callers:
            if (other.kind, other.name) == (rule.kind, rule.name):
                raise Expected(f"another name; this one has a section at {other.place}")
        self.callers.append(rule)

    def settle(self, file: "File") -> None:
        """Check what words say of each other. Raises ConfigError."""
        from pysendmail.errors import ConfigError

        for rule in self.callers:
            fault = rule.settle(file.accounts)
            if fault is not None:
                word, text = fault
                raise ConfigError(f"{word}: {text}", file.at(rule.lines[word]))


def listen(value: str) -> list[tuple[str, int, bool]]:
    """Read addresses with ports, of this machine alone."""
    found: list[tuple[str, int, bool]] = []
    for word in value.split():
        host, _, port = word.rpartition(":")
        try:
            number = values.port(port)
        except Expected:
            raise Expected(_LISTEN) from None
        if host.lower() == "localhost":
            found += ("127.0.0.1", number, False), ("::1", number, True)
        else:
            found.append((_loopback(host), number, False))
    if not found:
        raise Expected(_LISTEN)
    return found


def _loopback(host: str) -> str:
    """Return an address of this machine that nobody else can reach. Raises Expected for any other."""
    import _socket

    six = host[:1] == "[" and host[-1:] == "]"
    family = _socket.AF_INET6 if six else _socket.AF_INET
    try:
        packed = _socket.inet_pton(family, host[1:-1] if six else host)
    except (OSError, ValueError):
        raise Expected(_LISTEN) from None
    if packed != bytes(15) + b"\1" if six else packed[0] != 127:
        raise Expected(_LISTEN)
    return _socket.inet_ntop(family, packed)


def submission_socket(value: str) -> str:
    """Read where the daemon's socket is."""
    name = values.path(value)
    if not name or name[-1] == "/":
        raise Expected("a path that begins with / or ~/")
    return name


def _socket_path(name: str, home: str) -> str:
    if name[:2] == "~/":
        if not home:
            raise Expected("the whole path, since the home folder is not known")
        name = home + name[1:]
    if len(os.fsencode(name)) > _LONGEST_SOCKET:
        raise Expected(f"a path of at most {_LONGEST_SOCKET} octets, which is as long as a socket's name can be")
    return name


def run_as(value: str) -> tuple[str, str | None]:
    """Read a user and perhaps a group."""
    user, colon, group = value.partition(":")
    for name in (user, group) if colon else (user,):
        if not name or name[0] == "-" or not _USER_CHARACTERS.issuperset(name.removesuffix("$")):
            raise Expected("a user, or user:group")
    return user, group if colon else None


DAEMON_WORDS: "dict[str, Callable[[str], object]]" = {
    "listen": listen,
    "submission_socket": submission_socket,
    "run_as": run_as,
    "idle_exit": values.duration_or_off,
    "agent": values.flag,
    "received_user": values.flag,
}
"""The words that hold for the whole file, and how their values are read."""

__all__ = ["CALLER_WORDS", "DAEMON_WORDS", "Daemon", "Rule"]
