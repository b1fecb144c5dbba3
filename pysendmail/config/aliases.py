"""Plain alias lists: `name: address[, address...]`, for local names, nested to any depth.

A line that begins with a blank continues the one before; `#` at the beginning of a line or after a blank begins a
comment. `default` stands for every local name that is not in the list. Programs, files and lists in other files
(`|command`, `/file`, `:include:`) are not offered: a list that has them is refused as a whole, because a message that
goes to some of its recipients only is lost for the others. Errors name file and line, never what stands there.
"""

from pysendmail.config.reader import read_regular, shown
from pysendmail.errors import ConfigError
from pysendmail.message.address import Mailbox
from pysendmail.message.address import parse as parse_addresses

FILE_LIMIT = 16 << 20
_DEFAULT = b"default"
_NOT_AN_ADDRESS = (b"|", b"/", b":", b"\\")  # as the first octet of an unqualified name: program, file, list, no more
_OPEN, _DONE = 1, 2


class Aliases:
    """An alias list that was read; names are compared without regard to case."""

    __slots__ = ("_entries", "_place")

    def __init__(self, place: str) -> None:
        self._place = place
        self._entries: dict[bytes, tuple[int, list[Mailbox]]] = {}

    def add(self, name: bytes, line: int, targets: list[Mailbox]) -> None:
        """Add an entry. Raises ConfigError if the name has one."""
        key = name.lower()
        if key in self._entries:
            raise ConfigError(f"the name has an alias in line {self._entries[key][0]} already", f"{self._place}:{line}")
        self._entries[key] = line, targets

    def expand(self, mailbox: Mailbox) -> list[Mailbox] | None:
        """Return what a recipient stands for, each address once, or None if it has no alias.

        Only unqualified names have aliases; what is left unqualified is no name of the list. Raises ConfigError for
        an alias that leads back to itself.
        """
        key = None if mailbox.domain else self._key(mailbox)
        if key is None:
            return None
        found: dict[tuple[bytes, bytes], Mailbox] = {}
        self._walk(key, found, {})
        return list(found.values())

    def check(self) -> None:
        """Raise ConfigError if any alias leads back to itself."""
        states: dict[bytes, int] = {}
        for key in self._entries:
            self._walk(key, {}, states)

    def _key(self, mailbox: Mailbox) -> bytes | None:
        key = mailbox.local.lower()
        if key in self._entries:
            return key
        return _DEFAULT if _DEFAULT in self._entries else None

    def _walk(self, start: bytes, found: dict[tuple[bytes, bytes], Mailbox], states: dict[bytes, int]) -> None:
        """Gather the addresses below an entry in their order; a stack of its own, since lists nest without limit."""
        if start in states:
            return
        states[start] = _OPEN
        stack = [(start, iter(self._entries[start][1]))]
        while stack:
            name, targets = stack[-1]
            for target in targets:
                key = None if target.domain else self._key(target)
                if key is None:
                    found.setdefault(target.key, target)
                elif states.get(key) == _OPEN:
                    place = f"{self._place}:{self._entries[key][0]}"
                    raise ConfigError("the alias leads back to itself", place)
                elif key not in states:
                    states[key] = _OPEN
                    stack.append((key, iter(self._entries[key][1])))
                    break
            else:
                states[name] = _DONE
                stack.pop()


def load(file_name: str) -> Aliases:
    """Read an alias file. Raises ConfigError if it is missing, unreadable, or anything but a plain list."""
    text, _ = read_regular(file_name, FILE_LIMIT)
    return parse(text, shown(file_name))


def parse(text: bytes, place: str) -> Aliases:
    """Read the text of an alias list; `place` is its name in errors. Raises ConfigError."""
    aliases = Aliases(place)
    entry: list[bytes] = []
    begin = 0
    lines = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n")
    for number, content in enumerate(lines, 1):
        bare = _without_comment(content)
        if not bare:
            continue
        if content[:1] in (b" ", b"\t"):
            if not entry:
                raise ConfigError("expected name: address, from the beginning of the line", f"{place}:{number}")
            entry.append(bare)
            continue
        if entry:
            _take(aliases, b" ".join(entry), f"{place}:{begin}", begin)
        entry, begin = [bare], number
    if entry:
        _take(aliases, b" ".join(entry), f"{place}:{begin}", begin)
    return aliases


def _without_comment(line: bytes) -> bytes:
    """Return a line without comment and outer blanks."""
    bare = line.strip(b" \t")
    if b"#" not in bare:
        return bare
    if bare[:1] == b"#":
        return b""
    at = bare.replace(b"\t", b" ").find(b" #")
    return bare if at < 0 or b'"' in bare else bare[:at].rstrip(b" \t")


def _take(aliases: Aliases, entry: bytes, place: str, line: int) -> None:
    """Read one entry, its continuation lines joined to it."""
    name, targets = _split(entry, place)
    found = parse_addresses(targets)
    if found.errors or not found.mailboxes or _has_more(targets):
        raise ConfigError(_wanted(targets), place)
    for mailbox in found.mailboxes:
        if not mailbox.domain and (not mailbox.local or mailbox.local[:1] in _NOT_AN_ADDRESS):
            raise ConfigError(_wanted(targets), place)
    aliases.add(name, line, found.mailboxes)


def _split(entry: bytes, place: str) -> tuple[bytes, bytes]:
    """Cut an entry in its name, which may be quoted, and its addresses."""
    end = entry.find(b'"', 1) + 1 if entry[:1] == b'"' else 0
    colon = entry.find(b":", end)
    parsed = parse_addresses(entry[:colon]) if colon > 0 else None
    if parsed is None or parsed.errors or len(parsed.mailboxes) != 1 or parsed.mailboxes[0].domain:
        raise ConfigError("expected name: address, the name without a domain", place)
    return parsed.mailboxes[0].local, entry[colon + 1 :]


def _has_more(targets: bytes) -> bool:
    """Tell whether there is a colon or semicolon outside quotes and address literals: a group, or another entry."""
    if b":" not in targets and b";" not in targets:
        return False
    from pysendmail.message.tokens import SPECIAL, tokens

    return any(kind == SPECIAL and targets[start:end] in (b":", b";") for kind, start, end in tokens(targets))


def _wanted(targets: bytes) -> str:
    """Say what was expected of the addresses of an entry, and what is not offered if it looks like that."""
    first = targets.strip(b' \t"')[:1]
    if first in (b"|", b"/", b":"):
        return "programs, files and :include: are not offered; expected addresses, parted by commas"
    return "expected addresses, parted by commas, after name and colon"
