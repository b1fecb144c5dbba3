"""Reading Postfix's files: main.cf with its continued lines and $names, and the sources of its lookup tables.

Nothing is run, no database is opened, and a name that contains itself comes to an end.
"""

from pysendmail.config.foreign.source import Files, Line
from pysendmail.config.reader import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 20
_LONGEST = 16000
_STEPS = 1000  # names that one value may lead through
_TEXT_TYPES = ("hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash")


class Parameters:
    """The parameters of main.cf, each with its line; `asked` are those that were looked at."""

    __slots__ = ("_defaults", "_left", "asked", "lines")

    def __init__(self, files: Files, defaults: dict[str, str]) -> None:
        self._defaults = defaults
        self._left = 0
        self.asked: set[str] = set()
        self.lines: dict[str, Line] = {}
        for line in _logical(files.main_file().lines()):
            name, equals, value = line.text.partition("=")
            if not equals:
                raise line.wrong("expected name = value")
            self.lines[name.strip(" \t")] = Line(line.place, value.strip(" \t"))

    def line(self, name: str) -> Line | None:
        """Return the line of a parameter."""
        self.asked.add(name)
        return self.lines.get(name)

    def get(self, name: str) -> str:
        """Return the value of a parameter, with what stands for the $names in it, "" if it has none."""
        self.asked.add(name)
        self._left = _STEPS
        return self._expanded(self._raw(name), 0)

    def yes(self, name: str) -> bool:
        """Tell whether a parameter is on."""
        return self.get(name).lower() == "yes"

    def _raw(self, name: str) -> str:
        line = self.lines.get(name)
        return line.text if line is not None else self._defaults.get(name, "")

    def _expanded(self, text: str, depth: int) -> str:
        if "$" not in text:
            return text
        parts: list[str] = []
        size = 0
        while text and size <= _LONGEST and depth <= _DEEPEST and self._left > 0:
            self._left -= 1
            before, dollar, text = text.partition("$")
            parts.append(before)
            if text[:1] == "$":
                parts.append("$")
                text = text[1:]
            elif dollar:
                name, text = _name(text)
                parts.append(self._expanded(self._raw(name), depth + 1))
            size = sum([len(part) for part in parts])
        return "".join(parts)[:_LONGEST]


def _name(text: str) -> tuple[str, str]:
    """Take a parameter's name; what is more than a name in braces stands for nothing."""
    closing = {"{": "}", "(": ")"}.get(text[:1])
    if closing is not None:
        name, _, rest = text[1:].partition(closing)
        return name, rest
    end = next((index for index, letter in enumerate(text) if not (letter.isalnum() or letter == "_")), len(text))
    return text[:end], text[end:]


def _logical(lines: "Iterator[Line]") -> "Iterator[Line]":
    """Join lines that begin with a blank to the one above; comments and empty lines between them do not count."""
    whole: Line | None = None
    for line in lines:
        text = line.text.strip(" \t")
        if not text or text[0] == "#":
            continue
        if line.text[0] in " \t" and whole is not None:
            whole = Line(whole.place, f"{whole.text} {text}")
            if len(whole.text) > _LONGEST:
                raise line.wrong("this is more than a value may be long")
        else:
            if whole is not None:
                yield whole
            whole = Line(line.place, text)
    if whole is not None:
        yield whole


def words(value: str) -> list[str]:
    """Cut a list at blanks and commas."""
    return value.replace(",", " ").replace("\t", " ").split()


class Tables:
    """What a list of lookup tables has, in the order in which they are asked; `unread` are those of other kinds."""

    __slots__ = ("entries", "unread")

    def __init__(self, files: Files, value: str) -> None:
        self.entries: dict[str, Line] = {}
        self.unread: list[str] = []
        for table in words(value):
            kind, _, name = table.removeprefix("proxy:").partition(":")
            if kind == "static":
                self.entries.setdefault("*", Line("", name))
            elif kind in _TEXT_TYPES and name[:1] == "/":
                for line in _logical(files.need(name).lines()):
                    key, _, result = line.text.replace("\t", " ", 1).partition(" ")
                    self.entries.setdefault(key.lower(), Line(line.place, result.strip(" \t")))
            else:
                self.unread.append(shown(table)[:60])

    def find(self, *keys: str) -> Line | None:
        """Return the entry of the first key that has one."""
        for key in (*keys, "*"):
            if key and key.lower() in self.entries:
                return self.entries[key.lower()]
        return None
