"""The sections `caller`: what those whose messages the daemon takes may do. Read only where a file has such sections.

A pattern of addresses is (local part, domain) in the form in which addresses are compared: the local part without its
quotation marks, letters of ASCII in lower case, the domain in A-labels. None stands for any local part, or anything.
"""

from pysendmail.config import values
from pysendmail.config.values import Expected
from pysendmail.errors import DataError
from pysendmail.message.address import domain_to_ascii
from pysendmail.message.address import parse as parse_addresses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container

Pattern = tuple[bytes | None, bytes | None]

ANY: Pattern = (None, None)
LOGIN = b"%U"  # in the local part of a rule; no other letter there is a capital
USER, GROUP, LISTENER, EVERYBODY = "user", "group", "listener", "everybody"

_WHO = "a login, a uid, @ and a group, listener, or * for everybody else"
_SENDERS = "addresses, *@domain or any, parted by blanks"
_NO_LOGIN = "%U: who connects to the listener has no login"
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_NO_LOGINS = ("any", "all", "default", "everybody")  # what somebody might write for *


class Rule:
    """What one section says. `kind` is USER, GROUP, LISTENER or EVERYBODY; `name` is the login, group, uid or gid.

    `number` is the uid or gid if it was given as such. `senders` is empty if any may be used; `written` are those of
    them that are addresses, as they are written in a field. `aligned` replaces a sender that may not be used, None
    refuses it; all these addresses may have %U in them. `size` is in octets, `rate` (messages, seconds). `place` is the
    file and line where the section begins.
    """

    __slots__ = (
        "align", "aligned", "deny", "kind", "lines", "messages", "name", "number", "place", "rate", "senders", "shown",
        "size", "use_account", "written",
    )  # fmt: skip

    def __init__(self, name: str, place: str) -> None:
        self.place = place
        self.shown = name
        self.kind, bare = _kind(name)
        self.name = bare.encode("latin-1")
        self.number = values.number(bare, 0, (1 << 32) - 2, _WHO) if bare.isdecimal() else None
        self.senders: list[Pattern] = []
        self.written: list[bytes] = []
        self.align: bool | bytes = False
        self.aligned: bytes | None = None
        self.use_account: str | None = None
        self.size: int | None = None
        self.rate: tuple[int, float] | None = None
        self.messages: int | None = None
        self.deny = False
        self.lines: dict[str, int] = {}

    def take(self, word: str, value: str, line: int) -> None:
        """Take one line of the section. Raises Expected, and KeyError for a word that no such section has."""
        result = CALLER_WORDS[word](value)
        if word == "senders":
            assert isinstance(result, list)
            self.senders += [pattern for pattern, _ in result]
            self.written += [address for _, address in result if address]
        elif word in self.lines:
            raise Expected(f"it once; it stands in line {self.lines[word]} already")
        else:
            setattr(self, word, result)
        self.lines.setdefault(word, line)

    def settle(self, accounts: "Container[str]") -> tuple[str, str] | None:
        """Check what words say of each other, and choose the address that replaces others; return a word and its fault."""
        if self.use_account is not None and self.use_account not in accounts:
            return "use_account", "there is no account of this name in the file"
        if self.kind == LISTENER:
            if any(LOGIN in address for address in self.written):
                return "senders", _NO_LOGIN
            if isinstance(self.align, bytes) and LOGIN in self.align:
                return "align", _NO_LOGIN
        if isinstance(self.align, bytes):
            self.aligned = self.align
            if self.senders and not self._allows(_compared(self.align)):
                return "align", "expected one of the addresses of senders"
        elif self.align:
            if not self.written:
                return "align", "on: needs an address in senders that is no pattern"
            self.aligned = self.written[0]
        return None

    def _allows(self, address: Pattern) -> bool:
        """Tell whether an address that is written in this section stands among its senders."""
        return any(pattern in (ANY, address, (None, address[1])) for pattern in self.senders)


def _kind(name: str) -> tuple[str, str]:
    """Return the kind of a section and the name without what marks it."""
    if name == "*":
        return EVERYBODY, ""
    if name == "listener":
        return LISTENER, ""
    kind, bare = (GROUP, name[1:]) if name[:1] == "@" else (USER, name)
    odd = bare.strip() != bare or any(character in bare for character in ',:#*"@/%')
    if not bare or odd or (kind == USER and (" " in bare or bare.lower() in _NO_LOGINS)):
        raise Expected(_WHO)
    return kind, bare


def senders(value: str) -> list[tuple[Pattern, bytes | None]]:
    """Read what addresses may be used; each that is no pattern comes with itself."""
    found = [_sender(word) for word in _words(value)]
    if not found:
        raise Expected(_SENDERS)
    return found


def _sender(word: bytes) -> tuple[Pattern, bytes | None]:
    if word.lower() == b"any":
        return ANY, None
    if word[:2] == b"*@":
        return (None, _domain(word[2:]).lower()), None
    if b'"' not in word and (b"*" in word or b"?" in word):
        raise Expected(_SENDERS)
    address = _address(word)
    return _compared(address), address


def _address(word: bytes) -> bytes:
    """Check one address and return it as it goes into fields, its domain in A-labels."""
    found = parse_addresses(word)
    if found.errors or found.warnings or len(found.mailboxes) != 1 or not found.mailboxes[0].domain:
        raise Expected(_SENDERS)
    mailbox = found.mailboxes[0]
    return mailbox.address[: -len(mailbox.domain)] + _domain(mailbox.domain)


def _compared(address: bytes) -> Pattern:
    """Return an address of a rule as it is compared with others."""
    mailbox = parse_addresses(address).mailboxes[0]
    return LOGIN.join([part.lower() for part in mailbox.local.split(LOGIN)]), mailbox.domain.lower()


def _domain(name: bytes) -> bytes:
    """Return a domain in A-labels. Raises Expected."""
    try:
        return domain_to_ascii(name.removesuffix(b"."))
    except DataError:
        raise Expected(_SENDERS) from None


def _words(value: str) -> list[bytes]:
    """Cut a value at blanks and commas that are not in quotation marks."""
    words, word, quoted = [], "", False
    for character in value + " ":
        if character in " \t," and not quoted:
            words.append(word)
            word = ""
        else:
            quoted ^= character == '"'
            word += character
    if quoted:
        raise Expected(_SENDERS)
    return [word.encode("latin-1") for word in words if word]


def align(value: str) -> bool | bytes:
    """Read whether a sender that may not be used is replaced, and by which."""
    try:
        return values.flag(value)
    except Expected:
        pass
    words = _words(value)
    if len(words) != 1 or (b'"' not in words[0] and b"*" in words[0]) or b"@" not in words[0]:
        raise Expected("on, off or one mail address with its domain")
    return _address(words[0])


def size(value: str) -> int | None:
    """Read a size in octets, or with a unit of 1024: K, M or G; None for off."""
    if value.lower() == "off":
        return None
    digits = value.rstrip("kKmMgG")
    unit = _UNITS.get(value[len(digits) :].lower(), 0)
    expected = "off, or a size such as 500K, 10M or 1G"
    if not unit:
        raise Expected(expected)
    return values.number(digits, 1, 1 << 40, expected) * unit


def messages(value: str) -> int | None:
    """Read how many messages may wait; None for off."""
    if value.lower() == "off":
        return None
    return values.number(value, 1, 1_000_000_000, "off, or a number of messages")


def use_account(value: str) -> str:
    """Read the name of an account."""
    if not value:
        raise Expected("the name of an account")
    return value


CALLER_WORDS: "dict[str, Callable[[str], object]]" = {
    "senders": senders,
    "align": align,
    "use_account": use_account,
    "size": size,
    "rate": values.rate,
    "messages": messages,
    "deny": values.flag,
}
"""The words of a section, and how their values are read."""
