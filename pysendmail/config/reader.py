"""Read a configuration file: `word value` lines in msmtp's manner, gathered in accounts.

No error ever shows what stands in the file, because a caller may name any file: it gives the line's number, the word if
it looks like one, and what was expected. Values are text of one octet a character (latin-1) until a converter of
`words` has read them, so that every octet arrives as it was written.
"""

import os

from pysendmail.config.values import Expected
from pysendmail.config.words import ACTS, OF_THE_DAEMON, OLD, REFUSED, SECRETS, WORDS
from pysendmail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.config.accounts import Account
    from pysendmail.config.callers import Rule
    from pysendmail.config.daemon import Daemon

FILE_LIMIT = 1 << 20
_PIECE = 1 << 20
_LINE_LIMIT = 16384
_WORD_LIMIT = 40
_WORD_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_CONTROLS = bytes([*range(9), *range(11, 32), 127])  # all but TAB and LF
_CONTROL_LETTERS = frozenset(_CONTROLS.decode("ascii"))
_DEFAULT = "default"
_FOREIGN = ("/ssmtp/ssmtp.conf", "/nullmailer/remotes", "/dma/dma.conf")


class Section:
    """The words that hold for one account, each with its value and the line where it stands.

    `headless` is the default account that begins without an `account` line.
    """

    __slots__ = ("headless", "line", "name", "notes", "words")

    def __init__(self, name: str, line: int, headless: bool = False) -> None:
        self.name = name
        self.line = line
        self.headless = headless
        self.words: dict[str, tuple[object, int]] = {}
        self.notes: dict[str, tuple[str, int]] = {}

    def inherit(self, other: "Section") -> None:
        """Take over everything that was written for another section."""
        self.words.update(other.words)
        self.notes.update(other.notes)


class File:
    """A configuration file that was read: its accounts in their order.

    `place` is the file's name fit to be shown; `msmtp` says that it is one of msmtp's own files, whose defaults differ;
    `tool` names another program whose configuration was put in our words, and `origins` where each line comes from;
    `caller_config` that callers with a low uid may name files of their own; `secrets` are the words in it that call for
    care with its rights. `written` is what stands there for the daemon, None if nothing does; `daemon` is never None.
    `made` is for accounts.py to keep what it has made of the sections.
    """

    __slots__ = ("accounts", "caller_config", "made", "msmtp", "origins", "place", "secrets", "tool", "written")

    def __init__(self, place: str, msmtp: bool = False, tool: str = "", origins: list[str] | None = None) -> None:
        self.place = place
        self.msmtp = msmtp
        self.tool = tool
        self.origins = origins
        self.accounts: dict[str, Section] = {}
        self.caller_config = False
        self.secrets: set[str] = set()
        self.made: dict[tuple[str, int | None], Account] = {}
        self.written: Daemon | None = None

    @property
    def daemon(self) -> "Daemon":
        """Return what holds for the daemon, which is the default where nothing was written."""
        if self.written is None:
            from pysendmail.config.daemon import Daemon

            self.written = Daemon()
        return self.written

    def at(self, line: int) -> str:
        """Return the place of a line, as errors name it."""
        if self.tool:
            return self.origins[line - 1] if self.origins and line else self.place
        return f"{self.place}:{line}" if line else self.place


class _Reader:
    """Where the reading of a file has come to."""

    __slots__ = ("defaults", "file", "home", "rule", "section")

    def __init__(self, file: File, home: str) -> None:
        self.file = file
        self.home = home
        self.defaults = Section("", 0)
        self.section: Section | None = None
        self.rule: Rule | None = None

    def wrong(self, line: int, text: str) -> ConfigError:
        return ConfigError(text, self.file.at(line))

    def take(self, line: int, word: str, value: str) -> None:
        """Take one line, of which comments and blanks are gone."""
        row = WORDS.get(word)
        if row is None or self.rule is not None:
            self._take_structure(line, word, value)
            return
        doing, convert, extra = row
        try:
            result = convert(value)
        except Expected as expected:
            hint = "; a comment needs a line of its own" if " #" in value else ""
            raise self.wrong(line, f"{word}: expected {expected}{hint}") from None
        if doing == ACTS or doing == OLD:
            self._set(line, str(extra) if doing == OLD else word, result)
        elif result and doing == REFUSED:
            raise self.wrong(line, f"{word}: {extra}")
        elif result:
            self._current(line).notes[word] = str(extra), line

    def _set(self, line: int, word: str, value: object) -> None:
        if word == "caller_config":
            self._require_top(line, word)
            self.file.caller_config = bool(value)
            return
        if isinstance(value, str) and value[:2] == "~/":
            if not self.home:
                raise self.wrong(line, f"{word}: the home folder is not known; write the whole path")
            value = self.home + value[1:]
        if word in SECRETS:
            self.file.secrets.add(word)
        section = self._current(line)
        if section.words.get(word, (None, 0))[1] >= section.line > 0:
            section.notes[word] = "stands here a second time, and this is the one that counts", line
        section.words[word] = value, line

    def _current(self, line: int) -> Section:
        """Return the section that the line belongs to; above all others that is the default account."""
        if self.section is None:
            self.section = self.file.accounts[_DEFAULT] = Section(_DEFAULT, line, headless=True)
        return self.section

    def _take_structure(self, line: int, word: str, value: str) -> None:
        if word == "account":
            self.rule = None
            self._begin_account(line, value)
        elif word == "defaults":
            if value:
                raise self.wrong(line, "defaults: expected nothing behind it")
            self.rule = None
            self.section = self.defaults
        elif word == "caller":
            self._read(line, word, lambda: self.file.daemon.begin_caller(value, self.file.at(line)))
            self.rule = self.file.daemon.callers[-1]
        elif self.rule is not None:
            self._take_of_caller(line, word, value, self.rule)
        elif word in OF_THE_DAEMON:
            self._require_top(line, word)
            self._read(line, word, lambda: self.file.daemon.take(word, value, line, self.home))
        elif is_word(word):
            raise self.wrong(line, f'unknown word "{word}"')
        else:
            raise self.wrong(line, "not a configuration line")

    def _take_of_caller(self, line: int, word: str, value: str, rule: "Rule") -> None:
        from pysendmail.config.callers import CALLER_WORDS

        if word in CALLER_WORDS:
            self._read(line, word, lambda: rule.take(word, value, line))
        elif word in WORDS or word in OF_THE_DAEMON:
            where = "above the first account" if word in OF_THE_DAEMON else 'below "account" or "defaults"'
            raise self.wrong(line, f"{word}: is no word of a caller; it stands {where}")
        else:
            raise self.wrong(line, f'unknown word "{word}"' if is_word(word) else "not a configuration line")

    def _read(self, line: int, word: str, read: "Callable[[], None]") -> None:
        try:
            read()
        except Expected as expected:
            raise self.wrong(line, f"{word}: expected {expected}") from None

    def _require_top(self, line: int, word: str) -> None:
        """Raise ConfigError if an account has begun by a line of its own."""
        section = self.section
        if section is not None and section is not self.defaults and not section.headless:
            raise self.wrong(line, f"{word}: stands above the first account")

    def _begin_account(self, line: int, value: str) -> None:
        name, colon, parents = value.partition(":")
        name = name.strip(" \t")
        accounts = self.file.accounts
        if not name or "," in name or "#" in name:
            raise self.wrong(line, "account: expected a name, then perhaps : and the accounts that it takes over")
        if name in accounts:
            hint = ""
            if accounts[name].headless:
                hint = ' by words above the first account; if they are for all accounts, write "defaults" above them'
            raise self.wrong(line, f"account: the name was used in line {accounts[name].line}{hint}")
        section = Section(name, line)
        section.inherit(self.defaults)
        for parent in parents.split(",") if colon else ():
            known = accounts.get(parent.strip(" \t"))
            if known is None:
                raise self.wrong(line, "account: expected accounts that stand above, parted by commas, after the colon")
            section.inherit(known)
        accounts[name] = self.section = section


def is_word(text: str) -> bool:
    """Tell whether a text of a file may be shown: 1 to 40 of `[a-z_0-9]`."""
    return 0 < len(text) <= _WORD_LIMIT and _WORD_CHARACTERS.issuperset(text)


def parse(
    text: bytes, place: str, *, home: str = "", msmtp: bool = False, tool: str = "", origins: list[str] | None = None
) -> File:
    """Read the text of a file; `place` is its name in errors, `home` replaces ~; for the others see File.

    Raises ConfigError.
    """
    file = File(place, msmtp, tool, origins)
    reader = _Reader(file, home)
    text = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").removesuffix(b"\r")
    lines = text.decode("latin-1").split("\n")
    unfit = _unfit_line(text, lines)
    for line, content in enumerate(lines, 1):
        if line == unfit:
            raise ConfigError("not a configuration line", file.at(line))
        content = content.strip(" \t")
        if content and content[0] != "#":
            word = content.partition(" ")[0].partition("\t")[0]
            reader.take(line, word, _unquoted(content[len(word) :].strip(" \t")))
    if file.written is not None:
        file.written.settle(file)
    return file


def _unquoted(value: str) -> str:
    """Take away the quotes around a value; others in it are its own, as in msmtp."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _unfit_line(text: bytes, lines: list[str]) -> int:
    """Return the number of the first line that is too long or holds a control character, 0 if there is none."""
    if len(text.translate(None, _CONTROLS)) == len(text) and len(max(lines, key=len)) <= _LINE_LIMIT:
        return 0
    bad = (len(line) > _LINE_LIMIT or not _CONTROL_LETTERS.isdisjoint(line) for line in lines)
    return 1 + list(bad).index(True)


def load(file_name: str, *, uid: int, home: str = "") -> File:
    """Read a file that `uid` uses. Raises ConfigError, also for a secret that others can read."""
    if file_name.endswith(_FOREIGN):
        from pysendmail.config.foreign import convert

        return convert.load(file_name, uid=uid, home=home)
    text, status = read_regular(file_name, FILE_LIMIT)
    file = parse(text, shown(file_name), home=home, msmtp=is_msmtp(file_name))
    check_rights(file, status, uid)
    return file


def read_regular(file_name: str, limit: int) -> tuple[bytes, os.stat_result]:
    """Return the content of a regular file of at most `limit` octets, and its status; never wait for anything.

    Raises ConfigError for what is missing, unreadable, too large, or a folder, device, socket or pipe.
    """
    place = shown(file_name)
    try:
        # Asked before it is opened, because opening a device may do something; and again, because it may have changed.
        _require_regular(os.stat(file_name), place)
        fd = os.open(file_name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            status = os.fstat(fd)
            _require_regular(status, place)
            return _read_all(fd, limit, place), status
        finally:
            os.close(fd)
    except OSError as error:
        raise ConfigError(f"cannot be read: {os.strerror(error.errno or 0)}", place) from None
    except ValueError:
        raise ConfigError("is no file name", place) from None


def _require_regular(status: os.stat_result, place: str) -> None:
    if status.st_mode & 0o170000 != 0o100000:
        raise ConfigError("is not a regular file", place)


def _read_all(fd: int, limit: int, place: str) -> bytes:
    parts = []
    left = limit + 1
    while left > 0 and (part := os.read(fd, min(left, _PIECE))):
        parts.append(part)
        left -= len(part)
    if left <= 0:
        raise ConfigError(f"is larger than {limit // 1024} KiB", place)
    return b"".join(parts)


def check_rights(file: File, status: os.stat_result, uid: int) -> None:
    """Refuse a file with a password or a password command that somebody else could read or have written."""
    if not file.secrets:
        return
    word = "password" if "password" in file.secrets else "passwordeval"
    if status.st_uid not in (uid, 0):
        raise ConfigError(f"{word} stands in it, so it must belong to you or to root: run chown", file.place)
    # The group that msmtp's own package gives the system's file to is its administrator's affair.
    if word == "password" and status.st_mode & (0o026 if file.msmtp and status.st_uid == 0 else 0o066):
        raise ConfigError(f"a password stands in it that others can read: run chmod 600 {file.place}", file.place)
    if status.st_mode & 0o002:
        raise ConfigError(f"passwordeval stands in it and others can write it: run chmod 600 {file.place}", file.place)


def is_msmtp(file_name: str) -> bool:
    """Tell by its name whether a file is msmtp's."""
    return file_name.endswith(("/.msmtprc", "/msmtprc", "/msmtp/config")) or file_name in (".msmtprc", "msmtprc")


def foreign_tool(file_name: str) -> str:
    """Tell by its name whose configuration a file is, if it has to be put in our words; "" for any other."""
    return file_name.split("/")[-2] if file_name.endswith(_FOREIGN) else ""


def shown(file_name: str) -> str:
    """Return a file's name fit to be shown."""
    if file_name.isascii() and file_name.isprintable():
        return file_name
    from pysendmail.log import printable

    return printable(os.fsencode(file_name))
