"""The text of an alias file, and where in it a name has its entry.

A large file is not read entry by entry for the few names of one message: they are looked for in the text, which takes
milliseconds where reading takes a second. Whoever asks for more names gets an index, and what an entry says is read
when it is asked for.

A line that begins with a blank continues the one before. A line that begins no entry is an error for the name that
stands first in it and for the entry above, from which an address may be missing.
"""

from pysendmail.config.alias_syntax import key_of, name_of, targets, without_comment
from pysendmail.errors import ConfigError
from pysendmail.message.address import ATEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pysendmail.config.alias_syntax import Include, Refused
    from pysendmail.message.address import Mailbox

OWNER = b"owner-"
_SMALL = 1 << 16  # octets, of which the index is made at once
_SEARCHES = 8  # after so many the index is cheaper
_QUOTED = 32  # lines with a quoted name, among which a search looks
_PLAIN = ATEXT + b"."
_LETTERS = frozenset(_PLAIN)
_WANTED_NAME = "expected name: address, the name without a domain"
_WANTED = "expected addresses, parted by commas, after name and colon"


class Entry:
    """What an alias says: `targets` in their order; it begins at an offset of its file."""

    __slots__ = ("_file", "_offset", "name", "targets")

    def __init__(self, name: bytes, file: "AliasFile", offset: int, found: "list[Mailbox | Include | Refused]") -> None:
        self.name = name
        self._file = file
        self._offset = offset
        self.targets = found

    @property
    def place(self) -> str:
        """Return file and line of the entry."""
        return self._file.at(self._offset)


class AliasFile:
    """The text of an alias file; `place` is its name in errors."""

    __slots__ = ("_counted", "_entries", "_index", "_lower", "_owners", "_searches", "_text", "place")

    def __init__(self, text: bytes, place: str) -> None:
        self.place = place
        text = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
        self._text = b"".join((b"\n", text, b"\n"))
        self._lower = b""
        self._searches = 0
        self._counted = 0, 0  # an offset, and the lines that end before it
        self._index: dict[bytes, int] | None = None
        self._owners: bool | None = None
        self._entries: dict[int, Entry] = {}

    def find(self, key: bytes) -> Entry | None:
        """Return the entry of a name, given by its key; of several the first. Raises ConfigError for one that is none."""
        at = self._at(key)
        return None if at is None else self._entry(at)

    def names(self) -> "Iterator[tuple[bytes, int, bool]]":
        """Give the key of each entry, its offset, and whether it is a second one of its name."""
        seen: set[bytes] = set()
        for key, at in self._lines():
            yield key, at, key in seen
            seen.add(key)

    @property
    def includes(self) -> bool:
        """Tell whether the file may include lists."""
        return b":include:" in self._text.lower()

    @property
    def has_owners(self) -> bool:
        """Tell whether there may be an alias of a list's owner."""
        if self._owners is None:
            self._owners = OWNER in self._text.lower()
        return self._owners

    def orphan(self) -> str:
        """Return the place of a first line that continues nothing, "" if there is none."""
        offset = 0
        for line in self._text.split(b"\n"):
            if without_comment(line):
                return self.at(offset) if line[0] in b" \t" else ""
            offset += len(line) + 1
        return ""

    def at(self, offset: int) -> str:
        """Return file and line of what begins at an offset."""
        before, line = self._counted
        line = line + self._text.count(b"\n", before, offset) if offset >= before else self._text.count(b"\n", 0, offset)
        self._counted = offset, line
        return f"{self.place}:{line}"

    def _at(self, key: bytes) -> int | None:
        if self._index is None:
            if len(self._text) > _SMALL and self._searches < _SEARCHES and not key.translate(None, _PLAIN):
                self._searches += 1
                found = self._search(key)
                if found is not None:
                    return found or None
            index: dict[bytes, int] = {}
            for name, at in self._lines():
                index.setdefault(name, at)
            self._index = index
        return self._index.get(key)

    def _search(self, key: bytes) -> int | None:
        """Look for the line that a name of plain letters begins; 0 if there is none, None if that cannot be told."""
        lower = self._lower = self._lower or self._text.lower()
        found = 0
        at = lower.find(b"\n" + key)
        while at >= 0:
            if lower[at + 1 + len(key)] not in _LETTERS and _key_at(self._text, at + 1) == key:
                found = at + 1
                break
            at = lower.find(b"\n" + key, at + 1)
        quoted = lower.find(b'\n"')
        for _ in range(_QUOTED):
            if quoted < 0 or (found and quoted > found):
                return found
            if _key_at(self._text, quoted + 1) == key:
                return quoted + 1
            quoted = lower.find(b'\n"', quoted + 1)
        return None

    def _lines(self) -> "Iterator[tuple[bytes, int]]":
        """Give the key and the offset of each line that begins an entry, or should."""
        offset = 0
        for line in self._text.split(b"\n"):
            if line and line[0] not in b" \t#":
                name, colon, _ = line.partition(b":")
                yield name.lower() if colon and name and not name.translate(None, _PLAIN) else _key(line), offset
            offset += len(line) + 1

    def _entry(self, at: int) -> Entry:
        known = self._entries.get(at)
        if known is not None:
            return known
        lines, end = self._logical(at)
        parsed = name_of(lines[0])
        if parsed is None:
            raise ConfigError(_WANTED_NAME, self.at(at))
        name, begin = parsed
        found = targets(b" ".join([lines[0][begin:], *lines[1:]]))
        if found is None:
            raise ConfigError(_WANTED, self.at(at))
        if end < len(self._text) and name_of(without_comment(self._line(end))) is None:
            raise ConfigError(_WANTED_NAME, self.at(end))
        self._entries[at] = known = Entry(name, self, at, found)
        return known

    def _logical(self, at: int) -> tuple[list[bytes], int]:
        """Return a line with those that continue it, without comments, and where the next entry begins."""
        lines: list[bytes] = []
        while True:
            line = self._line(at)
            bare = without_comment(line)
            if lines and bare and line[0] not in b" \t":
                return lines, at
            if bare:
                lines.append(bare)
            at += len(line) + 1
            if at >= len(self._text):
                return lines, at

    def _line(self, at: int) -> bytes:
        return self._text[at : self._text.index(b"\n", at)]


def _key_at(text: bytes, at: int) -> bytes:
    return _key(text[at : text.index(b"\n", at)])


def _key(line: bytes) -> bytes:
    """Return the key of the name for which a line is, or of its first word if it is for none."""
    parsed = name_of(without_comment(line))
    if parsed is not None:
        return key_of(parsed[0])
    return key_of(line.replace(b"\t", b" ").partition(b" ")[0].partition(b":")[0])
