"""The files of another program: found below a root, read whole, handed out line by line.

Text is latin-1, one octet a character, as in the reader of our own file. No error shows what stands in a file.
"""

import os

from pysendmail.config.reader import FILE_LIMIT, read_regular, shown
from pysendmail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NOTHING = b"-"
_LINE_LIMIT = 16384
_CONTROLS = frozenset(map(chr, [*range(9), *range(10, 32), 127]))  # all but TAB


class Line:
    """A line of a file, without its end, and its place as it is shown."""

    __slots__ = ("place", "text")

    def __init__(self, place: str, text: str) -> None:
        self.place = place
        self.text = text

    def wrong(self, text: str) -> ConfigError:
        """Return an error about the line."""
        return ConfigError(text, self.place)


class Source:
    """A file that was read."""

    __slots__ = ("place", "status", "text")

    def __init__(self, place: str, text: bytes, status: os.stat_result) -> None:
        self.place = place
        self.text = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").removesuffix(b"\r").decode("latin-1")
        self.status = status

    def lines(self) -> "Iterator[Line]":
        """Give the lines. Raises ConfigError at one that is too long or holds a control character."""
        for number, text in enumerate(self.text.split("\n"), 1):
            line = Line(f"{self.place}:{number}", text)
            if len(text) > _LINE_LIMIT or not _CONTROLS.isdisjoint(text):
                raise line.wrong("not a configuration line")
            yield line

    def first(self) -> Line | None:
        """Return the first line that is not empty, without outer blanks."""
        for line in self.lines():
            if line.text.strip(" \t"):
                return Line(line.place, line.text.strip(" \t"))
        return None


class Files:
    """The files that belong to one program's configuration; `main` is the one that it is known by.

    `root` stands before each absolute name; `credentials` is the folder of systemd's, "" without. `read` are those that
    were read.
    """

    __slots__ = ("credentials", "folder", "main", "read", "root")

    def __init__(self, main: str, root: str = "", credentials: str = "") -> None:
        self.credentials = credentials
        self.main = main
        self.folder = os.path.dirname(main)
        self.root = root
        self.read: list[Source] = []

    def take(self, path: str) -> Source | None:
        """Read a file, by its absolute name or one in the folder of `main`; None if it is not there. Raises ConfigError."""
        name = f"{self.root}{path}" if path[:1] == "/" else f"{self.folder}/{path}"
        try:
            os.stat(name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError):
            pass  # what is wrong is told when it is read
        return self._read(name)

    def need(self, path: str) -> Source:
        """Read a file that has to be there. Raises ConfigError."""
        source = self.take(path)
        if source is None:
            raise ConfigError("cannot be read: No such file or directory", shown(f"{self.root}{path}"))
        return source

    def main_file(self) -> Source:
        """Read the main file. Raises ConfigError."""
        return self._read(self.main)

    def _read(self, name: str) -> Source:
        source = Source(shown(name), *read_regular(handed_over(name, self.credentials) or name, FILE_LIMIT))
        self.read.append(source)
        return source


def handed_over(name: str, credentials: str) -> str | None:
    """Return where systemd has put a file of /etc for a service that cannot read it, None if it has not.

    It is called by its name below /etc, with `-` for each slash.
    """
    if not credentials or name[:5] != "/etc/":
        return None
    copy = f"{credentials}/{name[5:].replace('/', '-')}"
    return copy if is_handed_over(copy) else None


def is_handed_over(copy: str) -> bool:
    """Tell whether there is more than what the unit sets for a file that is missing."""
    try:
        return read_regular(copy, FILE_LIMIT)[0].strip() != NOTHING
    except ConfigError:
        return False


def host_and_port(value: str) -> tuple[str, str]:
    """Cut `host:port`, `[host]:port` or an address; the port may be missing."""
    if value[:1] == "[" and "]" in value:
        host, _, rest = value[1:].partition("]")
        return host.removeprefix("ipv6:").removeprefix("IPv6:"), rest.lstrip(":")
    if value.count(":") == 1:
        host, _, port = value.partition(":")
        return host, port
    return value, ""


_SERVICES = {"smtp": "25", "submission": "587", "submissions": "465", "smtps": "465", "ssmtp": "465"}


def port_number(port: str) -> str:
    """Return the number of a port that may be given by its name."""
    return _SERVICES.get(port.lower(), port)
