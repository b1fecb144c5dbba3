"""What another program's configuration says in our words, and what became of each of its lines."""

from pysendmail.config.reader import is_word
from pysendmail.config.values import Expected
from pysendmail.config.words import SECRETS, WORDS
from pysendmail.errors import ConfigError
from pysendmail.log import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pysendmail.config.foreign.source import Line

SAME, DIFFERS, IGNORED, LOST = "same", "differs", "ignored", "lost"
_DEFAULT = "default"
_NO_LOGINS = ("any", "all", "default", "everybody", "listener")  # they mean something else in a section for callers
_OPTIONAL = ("expire", "warn", "retry", "connections")
_UNFIT = frozenset(map(chr, [*range(9), *range(10, 32), 127]))


class Remark:
    """What became of a line: `theirs` is its word, `verdict` one of SAME, DIFFERS, IGNORED and LOST, `text` says more."""

    __slots__ = ("place", "text", "theirs", "verdict")

    def __init__(self, place: str, theirs: str, verdict: str, text: str) -> None:
        self.place = place
        self.theirs = theirs
        self.verdict = verdict
        self.text = text

    def __str__(self) -> str:
        return f"{self.place}: {self.theirs}: {self.verdict}: {self.text}"


class Draft:
    """An account in the making; `parent` is the name of the one that it takes over."""

    __slots__ = ("name", "parent", "words")

    def __init__(self, name: str, parent: str = "") -> None:
        self.name = name
        self.parent = parent
        self.words: dict[str, tuple[str, str]] = {}

    def set(self, word: str, value: str, place: str) -> None:
        """Write a word; the last one counts."""
        self.words.pop(word, None)
        self.words[word] = value, place

    def get(self, word: str) -> str:
        """Return what was written, "" if nothing was."""
        return self.words.get(word, ("", ""))[0]


class Translation:
    """A configuration in our words: accounts, of which the first is the default, and who has to use which."""

    __slots__ = ("accounts", "default", "place", "remarks", "tool", "users")

    def __init__(self, tool: str, place: str) -> None:
        self.tool = tool
        self.place = place
        self.default = Draft(_DEFAULT)
        self.accounts = [self.default]
        self.users: dict[str, tuple[str, str]] = {}  # login: account and place
        self.remarks: list[Remark] = []

    def remark(self, line: "Line", theirs: str, verdict: str, text: str) -> None:
        """Say what became of a line; a word that does not look like one is not repeated."""
        self.remarks.append(Remark(line.place, theirs if is_word(theirs.lower()) else "(line)", verdict, text))

    def take(
        self, line: "Line", theirs: str, word: str, value: str, more: str = "", draft: Draft | None = None
    ) -> None:
        """Write a word because of a line; `more` says what is different.

        What mail does not depend on is left out if its value is none; else our reader says so.
        """
        ours = f"{word} (not shown)" if word in SECRETS else f"{word} {_printable(value)}"
        try:
            WORDS[word][1](value)
        except Expected as expected:
            if word in _OPTIONAL:
                self.remark(line, theirs, LOST, f"{word}: expected {expected}")
                return
            ours = f"{word} (not shown)"  # it may be anything
        (draft or self.default).set(word, value, line.place)
        self.remark(line, theirs, DIFFERS if more else SAME, f"{ours}; {more}" if more else ours)

    def imply(self, word: str, value: str, draft: Draft | None = None) -> None:
        """Write a word that no line asks for, because the other program does so by itself."""
        (draft or self.default).set(word, value, self.place)

    def add_server(self, line: "Line", theirs: str, host: str, port: str) -> None:
        """Have the default account try another server where those before fail; each then has its port with it."""
        default = self.default
        before, place = default.words["host"]
        if " " not in before and before.count(":") != 1 and before[:1] != "[":
            before = with_port(before, default.get("port"))
        default.words["host"] = f"{before} {with_port(host, port)}", place
        self.remark(line, theirs, SAME, f"host {_printable(default.get('host'))}")

    def separate(self, name: str, leave: tuple[str, ...]) -> Draft:
        """Begin another account with all words of the default one but for those in `leave`."""
        draft = self.account(name, "")
        draft.words = {word: entry for word, entry in self.default.words.items() if word not in leave}
        return draft

    def account(self, name: str, parent: str = _DEFAULT) -> Draft:
        """Begin another account; its name is made fit and unlike all others."""
        fit = "".join([letter if is_word(letter) else "_" for letter in name.lower()])[:32] or "account"
        names = {draft.name for draft in self.accounts}
        number, candidate = 2, fit
        while candidate in names:
            candidate, number = f"{fit}_{number}", number + 1
        draft = Draft(candidate, parent)
        self.accounts.append(draft)
        return draft

    def assign(self, line: "Line", login: str, draft: Draft) -> None:
        """Have a user use an account; what is no login is told."""
        plain = login.replace(".", "a").replace("-", "a").lower()
        odd = login.isdecimal() or login.lower() in _NO_LOGINS
        if is_word(plain) and not odd and login[0] not in ".-":
            self.users[login] = draft.name, line.place
        else:
            self.remark(line, "(line)", LOST, "expected a login at its beginning")

    def has_secret(self) -> bool:
        """Tell whether a password, or a command for one, was found."""
        return any(word in SECRETS for draft in self.accounts for word in draft.words)

    def text(self) -> tuple[bytes, list[str]]:
        """Return the configuration, and for each of its lines the place that it comes from. Raises ConfigError."""
        rows = list(self.rows())
        for text, place, _ in rows:
            if not _UNFIT.isdisjoint(text) or len(text) > 16000:
                raise ConfigError("a value here is too long, or has a character that no configuration may have", place)
        return "\n".join([text for text, _, _ in rows]).encode("latin-1"), [place for _, place, _ in rows]

    def rows(self) -> "Iterator[tuple[str, str, str]]":
        """Give each line of the configuration with its place and its word."""
        single = len(self.accounts) == 1 and self.accounts[0].name == _DEFAULT
        for draft in self.accounts:
            if not single:
                parent = f" : {draft.parent}" if draft.parent and draft is not self.default else ""
                yield f"account {draft.name}{parent}", self.place, "account"
            for word, (value, place) in draft.words.items():
                yield f"{word} {quoted(value)}", place, word
        for login, (account, place) in self.users.items():
            yield f"caller {login}", place, "caller"
            yield f"use_account {account}", place, "use_account"


def with_port(host: str, port: str) -> str:
    """Write a server with its port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def quoted(value: str) -> str:
    """Write a value so that it is read as it is."""
    odd = not value or value.strip(" \t") != value or (len(value) > 1 and value[0] == value[-1] == '"')
    return f'"{value}"' if odd else value


def _printable(value: str) -> str:
    return printable(value.encode("latin-1"), 200)
