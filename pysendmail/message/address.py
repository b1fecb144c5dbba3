"""Address lists of header fields and arguments (RFC 5322 3.4, obsolete syntax included), over bytes and in linear time.

An element of an ordinary shape, `local@domain`, `Name <local@domain>` or `"Name" <local@domain>`, is taken apart by a
few searches; any other goes to element.py, which reads tokens. Both give the same answer where both can give one.

What two readers could take for different recipients is an error, never a guess: `a@b@c`, `<a@b`, `John Smith`, whatever
follows a quotation mark without its partner. Words before `<...>` are a name, even when they look like an address.
"""

from pysendmail.errors import DataError

ATEXT = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~"
HIGH = bytes(range(128, 256))
_DOMAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_." + HIGH
_LITERAL = bytes(octet for octet in range(33, 127) if octet not in b"[\\]")
_BLANKS = b" \t\r\n"
_SPEC = ATEXT + b"."
_PHRASE = ATEXT + HIGH + b"." + _BLANKS
_QUOTED_NAME = bytes(octet for octet in range(32, 256) if octet not in b'"\\\x7f') + b"\t\r\n"
_QUOTE, _DOT, _LESS, _GREATER = b'".<>'


class Mailbox:
    """One address: local part and domain without quoting, comments and blanks, and where it stood in the text.

    `domain` is b"" for an unqualified name; a domain literal keeps its brackets; case is kept and nothing is converted.
    text[start:end] is the addr-spec as written, a source route included, angle brackets excluded. `owner` is that of the
    list through which the address was found, b"" without one.
    """

    __slots__ = ("_address", "domain", "end", "local", "start")
    owner = b""

    def __init__(self, local: bytes, domain: bytes, start: int, end: int, address: bytes = b"") -> None:
        self.local = local
        self.domain = domain
        self.start = start
        self.end = end
        self._address = address

    @property
    def address(self) -> bytes:
        """Give the form for the envelope (RFC 5321 4.1.2): the local part quoted only where it must be."""
        if self._address:  # known from the text, where nothing had to be taken off or put on
            return self._address
        local = self.local if _is_dot_string(self.local) else quote(self.local)
        return local + b"@" + self.domain if self.domain else local

    @property
    def key(self) -> tuple[bytes, bytes]:
        """Give what two spellings of one recipient share: the exact local part and the case-folded domain."""
        return self.local, self.domain.lower()

    def __repr__(self) -> str:
        return f"Mailbox({self.local!r}, {self.domain!r}, {self.start}, {self.end})"


class AddressList:
    """What an address list held: mailboxes in order, bad pieces as (start, end, reason), and notes for the log."""

    __slots__ = ("errors", "mailboxes", "warnings")

    def __init__(self) -> None:
        self.mailboxes: list[Mailbox] = []
        self.errors: list[tuple[int, int, str]] = []
        self.warnings: list[str] = []


def parse(text: bytes) -> AddressList:
    """Read an address list, a field's value (folded or not) or an argument; never raise.

    Groups are expanded and source routes stripped. A bad piece becomes an error, its neighbours are read all the same.
    """
    found = AddressList()
    size = len(text)
    ordinary = folds_well(text)
    at = _read_ordinary(text, 0, found) if ordinary else 0
    if at < size:
        from pysendmail.message.element import Reader

        reader = Reader(text, found)
        while at < size:
            comma = text.find(b",", at) if ordinary else -1
            at = reader.read_past(at, comma if comma >= 0 else size)
            at = _read_ordinary(text, at, found)
        reader.finish()
    return found


def parse_sender(text: bytes) -> tuple[Mailbox | None, bytes]:
    """Read the one address of -f and the name that stands before it; (None, b"") is the null sender.

    b"", blanks and `<>` are the null sender. Raises DataError for anything but one address.
    """
    piece = text.strip(b" \t")
    if not piece or piece == b"<>":
        return None, b""
    mailbox = _plain(text, 0, piece, set())
    if mailbox is not None and (piece[-1] != _GREATER or piece[0] == _LESS):  # no name
        return mailbox, b""
    from pysendmail.message.element import read_sender

    return read_sender(text)


def domain_to_ascii(domain: bytes) -> bytes:
    """Turn the U-labels of a UTF-8 domain into A-labels (IDNA, non-transitional); ASCII stays as it is.

    Raises DataError for what no domain can be: blanks, control characters, empty labels, code points IDNA refuses.
    """
    fault = domain_fault(domain)
    if fault:
        raise DataError(f'bad domain "{domain.decode("utf-8", "backslashreplace")}": {fault}')
    if domain.isascii():
        return domain
    from pysendmail.message.idna import to_ascii

    return to_ascii(domain)


def domain_fault(domain: bytes) -> str:
    """Say what is wrong with the syntax of a domain or domain literal; "" if nothing is.

    Of ASCII only letters, digits, dots, hyphens and underscores can stand in a domain of an envelope (RFC 5321 4.1.2;
    the underscore is in use); where the hyphens stand is left to the servers.
    """
    if domain[:1] == b"[":
        inner = domain[1:-1]
        return "" if inner and domain[-1:] == b"]" and not inner.translate(None, _LITERAL) else "bad domain literal"
    if not domain:
        return "no domain after the @"
    if domain.translate(None, _DOMAIN):
        return "character in the domain that no domain has"
    if b".." in b"." + domain + b".":
        return "empty label in the domain"
    return ""


def quote(octets: bytes) -> bytes:
    """Make a quoted string of printable text (RFC 5322 3.2.4)."""
    return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def folds_well(text: bytes) -> bool:
    """Say whether each line end of the text, but for one at its very end, is a fold."""
    if b"\n" not in text and b"\r" not in text:
        return True
    folds = text.count(b"\r\n ") + text.count(b"\r\n\t") + text.endswith(b"\r\n")
    return text.count(b"\n") == folds == text.count(b"\r")


def _read_ordinary(text: bytes, at: int, found: AddressList) -> int:
    """Read elements from `at` on so long as they have an ordinary shape; return where the first other one begins."""
    domains: set[bytes] = set()
    size = len(text)
    while at < size:
        comma = text.find(b",", at)
        if comma < 0:
            comma = size
        piece = text[at:comma].strip(_BLANKS)
        if piece:
            mailbox = _plain(text, at, piece, domains)
            if mailbox is None and piece[0] == _QUOTE:
                mailbox, comma = _with_quoted_name(text, at, comma, domains)
            if mailbox is None:
                return at
            found.mailboxes.append(mailbox)
        at = comma + 1
    return at


def _plain(text: bytes, at: int, piece: bytes, domains: set[bytes]) -> Mailbox | None:
    """Read `local@domain` or `Name <local@domain>` standing at or after `at`; None for any other shape."""
    if piece[-1] == _GREATER:
        opening = piece.find(b"<")
        if opening < 0 or piece[:opening].translate(None, _PHRASE):
            return None
        piece = piece[opening + 1:-1]
    if piece.translate(None, _SPEC) != b"@":
        return None
    return _mailbox(piece, text.find(piece, at), domains)


def _with_quoted_name(text: bytes, at: int, comma: int, domains: set[bytes]) -> tuple[Mailbox | None, int]:
    """Read `"Name" <local@domain>`, where the name may hold commas; return it and the place of the comma after it."""
    opening = text.find(b'"', at)
    closing = text.find(b'"', opening + 1)
    if closing < 0 or text[opening + 1:closing].translate(None, _QUOTED_NAME):
        return None, comma
    if comma < closing:
        comma = text.find(b",", closing)
        if comma < 0:
            comma = len(text)
    piece = text[closing + 1:comma].strip(_BLANKS)
    if piece[:1] != b"<" or piece[-1] != _GREATER or piece.translate(None, _SPEC) != b"<@>":
        return None, comma
    return _mailbox(piece[1:-1], text.find(b"<", closing) + 1, domains), comma


def _mailbox(spec: bytes, start: int, domains: set[bytes]) -> Mailbox | None:
    """Make a mailbox of an addr-spec of atoms, dots and one @; None if anything is odd about it."""
    local, _, domain = spec.partition(b"@")
    if domain not in domains:
        if domain_fault(domain):
            return None
        domains.add(domain)
    if not local or local[0] == _DOT:
        return None
    plain = b".." not in spec and local[-1] != _DOT
    return Mailbox(local, domain, start, start + len(spec), spec if plain else b"")


def _is_dot_string(local: bytes) -> bool:
    return not local.translate(None, _SPEC + HIGH) and b".." not in b"." + local + b"."
