"""Aliases of local names: lists of addresses, nested, and included from other files.

`default` and `*` stand for every local name that has no alias; a name that comes out of them and has none is final.
Programs, files and the like are not offered (alias_syntax.py says which): mail goes to the other values of the alias,
with a note for the log, and whoever has no other is refused. Errors name file and line, never what stands there but for
the names in a loop.
"""

import os

from pysendmail.config import alias_list
from pysendmail.config.alias_file import OWNER, AliasFile, Entry
from pysendmail.config.alias_syntax import Final, Include, Refused, key_of, listed
from pysendmail.config.reader import read_regular, shown
from pysendmail.errors import ConfigError, DataError, NoUser
from pysendmail.message.address import Mailbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Step = tuple[bytes, "Entry | _List", Iterator[Mailbox | Include | Refused], bytes]

FILE_LIMIT = 16 << 20
_CATCH_ALL = (b"default", b"*")
_LOCALHOST = frozenset((b"localhost", b"localhost.localdomain"))
_STEPS = 500_000  # aliases and addresses that one message may lead through
_DEEPEST = 16  # lists within lists
_NOTES = 20
_OPEN, _DONE = 1, 2


class Aliases:
    """An alias file and the lists that it includes, of which each is read when it is first needed.

    `hosts` are domains, in lower case, whose names are looked up like names without a domain. `owner` is the uid of the
    file's owner. Threads may share it: what is kept is the same whoever finds it.
    """

    __slots__ = ("_file", "_lists", "_stamps", "hosts", "owner")

    def __init__(self, file: AliasFile, owner: int = 0, hosts: frozenset[bytes] = _LOCALHOST) -> None:
        self._file = file
        self._lists: dict[bytes, list[Mailbox | Include | Refused] | ConfigError] = {}
        self._stamps: dict[bytes, object] = {}
        self.owner = owner
        self.hosts = hosts

    @property
    def place(self) -> str:
        """Return the name of the file, fit to be shown."""
        return self._file.place

    def expand(self, mailbox: Mailbox) -> list[Mailbox] | None:
        """Return what a recipient stands for, as Expansion.expand does, on its own."""
        return Expansion(self).expand(mailbox)

    def expansion(self) -> "Expansion":
        """Begin the expansion of one message's recipients."""
        return Expansion(self)

    def find(self, mailbox: Mailbox) -> tuple[bytes, Entry] | None:
        """Return the alias of a recipient and its key: of his name, of his name without +detail. Raises ConfigError."""
        if mailbox.domain and mailbox.domain.lower() not in self.hosts:
            return None
        key = key_of(mailbox.local)
        base, plus, _ = key.partition(b"+")
        for one in (key, base + b"+*", base) if plus and base else (key,):
            if (entry := self._file.find(one)) is not None:
                return one, entry
        return None

    def catch_all(self) -> tuple[bytes, Entry] | None:
        """Return the alias of names that have none. Raises ConfigError."""
        for key in _CATCH_ALL:
            if (entry := self._file.find(key)) is not None:
                return key, entry
        return None

    def owner_of(self, key: bytes) -> bytes:
        """Return the name of the alias who gets what comes back from a list, b"" if it has none. Raises ConfigError."""
        if not self._file.has_owners:
            return b""
        found = self._file.find(OWNER + key.removesuffix(b"+*"))
        return b"" if found is None else found.name

    def included(self, path: bytes) -> "list[Mailbox | Include | Refused]":
        """Return what a list contains. Raises ConfigError."""
        known = self._lists.get(path)
        if known is None:
            self._stamps[path] = _stamp(path)
            try:
                known = self._lists[path] = alias_list.read(path, self.owner)
            except ConfigError as error:  # kept, so that a bad list costs its time once
                folder = os.path.dirname(path)
                self._stamps[folder] = _stamp(folder)
                known = self._lists[path] = error
        if isinstance(known, ConfigError):
            raise ConfigError(known.text, known.place)
        return known

    def is_current(self) -> bool:
        """Tell whether all files are as they were when they were read."""
        return all([_stamp(path) == stamp for path, stamp in list(self._stamps.items())])

    def problems(self) -> "Iterator[tuple[str, bool]]":
        """Look at every entry; give what is wrong with it, and whether it is an error or only a value that is refused."""
        if orphan := self._file.orphan():
            yield f"{orphan}: expected name: address, from the beginning of the line", True
        states: dict[bytes, int] = {}
        for key, offset, again in self._file.names():
            if again:
                yield f"{self._file.at(offset)}: the name has an alias above already, which is the one that counts", False
                continue
            walk = _Walk(self, states)
            try:
                entry = self._file.find(key)
                if entry is not None:
                    walk.begin(key, entry)
            except (ConfigError, DataError) as error:
                yield str(error), True
            for source, what in walk.refused:
                yield f"{source.place}: {what} is not offered as an alias; mail for it is refused", False

    def names(self) -> "Iterator[bytes]":
        """Give the names that have aliases."""
        return (key for key, _, again in self._file.names() if not again)

    def folders(self) -> set[str]:
        """Return the folders of the lists, so far as they can be found."""
        if self._file.includes:
            for _ in self.problems():
                pass
        return {os.path.dirname(os.fsdecode(path)) for path in self._lists}

    def watch(self, file_name: str, status: os.stat_result) -> None:
        """Note how the file was when it was read."""
        self._stamps[os.fsencode(file_name)] = _of(status)


class _List:
    """A list as the place of what stands in it."""

    __slots__ = ("_path",)

    def __init__(self, path: bytes) -> None:
        self._path = path

    @property
    def place(self) -> str:
        """Return the name of the file, fit to be shown."""
        return shown(os.fsdecode(self._path))


class Expansion:
    """The expansion of the recipients of one message, which together have a bound; `notes` are for the log."""

    __slots__ = ("_aliases", "_known", "_left", "notes")

    def __init__(self, aliases: Aliases) -> None:
        self._aliases = aliases
        self._known: dict[bytes, list[Mailbox]] = {}
        self._left = _STEPS
        self.notes: list[str] = []

    def expand(self, mailbox: Mailbox) -> list[Mailbox] | None:
        """Return what a recipient stands for, each address once, or None if he has no alias; it is not to be changed.

        What is left without a domain has no alias of its own. Raises ConfigError for an alias that is none or leads
        back to itself, NoUser for one that leads to nobody, DataError when it goes too far.
        """
        aliases = self._aliases
        found = aliases.find(mailbox)
        if found is None:
            # Who writes a domain means one name; a name in it that nobody knows stays what it is.
            found = None if mailbox.domain else aliases.catch_all()
        if found is None:
            return None
        key, entry = found
        known = self._known.get(key)
        if known is None:
            walk = _Walk(aliases, {}, self._left)
            try:
                walk.begin(key, entry)
            finally:
                self._left = walk.left
            known = list(walk.found.values())
            if not known:
                raise _nobody(entry, walk.refused)
            for source, what in walk.refused[: max(0, _NOTES - len(self.notes))]:
                self.notes.append(f"{source.place}: {what} is not offered as an alias, and gets no copy")
            self._known[key] = known
        self._left -= len(known)
        if self._left < 0:
            raise _too_far()
        return known


class _Walk:
    """A walk through all that an alias leads to, by a stack of its own, since lists nest without limit."""

    __slots__ = ("_aliases", "_states", "found", "left", "refused")

    def __init__(self, aliases: Aliases, states: dict[bytes, int], left: int = 1 << 62) -> None:
        self._aliases = aliases
        self._states = states  # of names, and of the paths of lists, which begin with a slash and a zero
        self.left = left
        self.found: dict[tuple[bytes, bytes], Mailbox] = {}
        self.refused: list[tuple[Entry | _List, str]] = []

    def begin(self, start: bytes, first: Entry) -> None:
        """Gather all addresses below an entry, in their order. Raises ConfigError or DataError."""
        states = self._states
        if start in states:
            return
        stack: list[Step] = [(start, first, iter(first.targets), self._aliases.owner_of(start))]
        states[start] = _OPEN
        try:
            while stack:
                key, source, rest, owner = stack[-1]
                for target in rest:
                    self.left -= 1
                    if self.left < 0:
                        raise _too_far()
                    step = self._step(target, source, owner)
                    if step is None:
                        continue
                    if states.get(step[0]) == _OPEN:
                        raise _loop([*[one for one, *_ in stack], step[0]], source.place)
                    if step[0] not in states:
                        if step[0][:2] == b"/\0" and sum([one[:2] == b"/\0" for one, *_ in stack]) >= _DEEPEST:
                            raise ConfigError(f"lists include each other more than {_DEEPEST} deep", source.place)
                        states[step[0]] = _OPEN
                        stack.append(step)
                        break
                else:
                    states[key] = _DONE
                    stack.pop()
        finally:
            for key, *_ in stack:
                states[key] = _DONE

    def _step(self, target: "Mailbox | Include | Refused", source: "Entry | _List", owner: bytes) -> "Step | None":
        """Take an address, or return what has to be walked through; a list within another one may have an own owner."""
        if isinstance(target, Refused):
            self.refused.append((source, target.what))
            return None
        if isinstance(target, Include):
            try:
                return b"/\0" + target.path, _List(target.path), iter(self._aliases.included(target.path)), owner
            except ConfigError as error:
                text = f"{error.text} (a list that {source.place} includes)" if error.place else error.text
                raise ConfigError(text, error.place or source.place) from None
        found = None if isinstance(target, Final) else self._aliases.find(target)
        if found is None and not target.domain and not isinstance(target, Final):
            if not any([self._states.get(key) == _OPEN for key in _CATCH_ALL]):
                found = self._aliases.catch_all()
        if found is None:
            self.found.setdefault(target.key, listed(target, owner) if owner else target)
            return None
        return found[0], found[1], iter(found[1].targets), self._aliases.owner_of(found[0]) or owner


def load(file_name: str) -> Aliases:
    """Read an alias file. Raises ConfigError if it is missing or unreadable."""
    text, status = read_regular(file_name, FILE_LIMIT)
    name = os.fsencode(os.uname().nodename.lower())
    found = Aliases(AliasFile(text, shown(file_name)), status.st_uid, _LOCALHOST | {name} - {b""})
    found.watch(file_name, status)
    return found


def parse(text: bytes, place: str) -> Aliases:
    """Take the text of an alias file; `place` is its name in errors."""
    return Aliases(AliasFile(text, place), os.geteuid())


def _stamp(path: bytes) -> object:
    try:
        return _of(os.stat(path))
    except (OSError, ValueError):
        return None


def _of(status: os.stat_result) -> object:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev


def _loop(chain: list[bytes], place: str) -> ConfigError:
    """Make the error that names the aliases on the way, the middle of a long way left out."""
    chain = chain[chain.index(chain[-1]) :]
    names = [one.removeprefix(b"/\0").decode("utf-8", "backslashreplace")[:100] for one in chain]
    if len(names) > 10:
        names[5:-4] = ["..."]
    return ConfigError(f"the alias leads back to itself: {' -> '.join(names)}", place)


def _nobody(entry: Entry, refused: "list[tuple[Entry | _List, str]]") -> NoUser:
    name = entry.name.decode("utf-8", "backslashreplace")[:100]
    why = f": {refused[0][0].place} names {refused[0][1]}, which is not offered" if refused else ""
    return NoUser(f'the alias "{name}" leads to nobody{why}', None if refused else entry.place)


def _too_far() -> DataError:
    error = DataError(f"the aliases of its recipients lead through more than {_STEPS} names")
    error.status = "5.5.3"
    return error
