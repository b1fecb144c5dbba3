"""What stands in an alias file: names, addresses, and values of other kinds.

The right side of an entry, and each line of a list that is included, is addresses parted by commas. Besides addresses
there may be `:include:/list`; `\\name`, which has no alias; and what we do not offer: programs (`|`), files (`/`), and
Exim's and others' `:fail:` and the like, whose text goes on to the end of the entry. An unquoted `|program` ends at the
comma, as in Sendmail and Postfix.
"""

from pysendmail.message.address import ATEXT, Mailbox
from pysendmail.message.address import parse as parse_addresses
from pysendmail.message.tokens import SPECIAL, tokens, unquote

_ODD = b'|:\\/"'  # begin what is no ordinary address, or bring it in
_NAME = ATEXT + b"."
_BLANKS = b" \t"
_INCLUDE = b":include:"

Target = "Mailbox | Include | Refused"


class Include:
    """A list in another file."""

    __slots__ = ("path",)

    def __init__(self, path: bytes) -> None:
        self.path = path


class Refused:
    """A value to which we do not send; `what` it is."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what


class Listed(Mailbox):
    """An address that stands for a list; `owner` is the name of the alias who gets what comes back, b"" if there is none."""

    __slots__ = ("owner",)

    def __init__(self, of: Mailbox, owner: bytes) -> None:
        super().__init__(of.local, of.domain, of.start, of.end)
        self.owner = owner


class Final(Listed):
    """A name that was written with a backslash, whose alias does not count."""

    __slots__ = ()


def listed(mailbox: Mailbox, owner: bytes) -> Mailbox:
    """Return an address as one of a list that has an owner."""
    return Final(mailbox, owner) if isinstance(mailbox, Final) else Listed(mailbox, owner)


def key_of(name: bytes) -> bytes:
    """Return what all spellings of a name have in common."""
    if name.isascii():
        return name.lower()
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return name.lower()
    import unicodedata

    return unicodedata.normalize("NFC", text.casefold()).encode()


def name_of(line: bytes) -> tuple[bytes, int] | None:
    """Return the name that an entry is for and where its addresses begin; None if the line begins no entry."""
    colon = line.find(b":")
    name = line[:colon].rstrip(_BLANKS)
    if colon > 0 and name and not name.translate(None, _NAME):
        return name, colon + 1
    if line[:1] == b'"':
        closing = _closing(line)
        colon = line.find(b":", closing + 1)
        if 1 < closing < colon and not line[closing + 1 : colon].strip(_BLANKS):
            return unquote(line[: closing + 1]), colon + 1  # a name with blanks is no address
    if colon <= 0:
        return None
    found = parse_addresses(line[:colon])
    if found.errors or len(found.mailboxes) != 1 or found.mailboxes[0].domain:
        return None
    return found.mailboxes[0].local, colon + 1


def without_comment(line: bytes) -> bytes:
    """Return a line without outer blanks, and without what follows `#` at its beginning or after a blank."""
    bare = line.strip(_BLANKS)
    if b"#" not in bare:
        return bare
    quoted = False
    at = 0
    while at < len(bare):
        octet = bare[at : at + 1]
        if octet == b"#" and not quoted and (at == 0 or bare[at - 1] in _BLANKS):
            return bare[:at].rstrip(_BLANKS)
        if octet == b'"':
            quoted = not quoted
        at += 2 if octet == b"\\" and quoted else 1
    return bare


def targets(text: bytes) -> "list[Mailbox | Include | Refused] | None":
    """Read a list of values, None if it is none or empty."""
    if len(text.translate(None, _ODD)) == len(text):
        return _addresses(text)
    found: list[Mailbox | Include | Refused] = []
    at = 0
    while at < len(text):
        end = _comma(text, at)
        piece = text[at:end].strip(_BLANKS)
        if piece:
            value = _unquoted(piece)
            if value[:1] == b":" and value[: len(_INCLUDE)].lower() != _INCLUDE:
                found.append(Refused(_kind(value)))
                break
            more = _target(piece, value)
            if more is None:
                return None
            found += more
        at = end + 1
    return found or None


def _target(piece: bytes, value: bytes) -> "list[Mailbox | Include | Refused] | None":
    """Read one value; `piece` is as it was written, `value` without quotation marks around it."""
    if value[:1] == b"|":
        return [Refused("a program")]
    if value[:1] == b":":
        return [Include(_unquoted(value[len(_INCLUDE) :].strip(_BLANKS)))]
    if value[:1] == b"/" and (value is not piece or b"@" not in piece):
        return [Refused("a file")]
    if value[:1] == b"\\":
        bare = _addresses(value[1:])
        return None if bare is None else [Final(one, b"") for one in bare if isinstance(one, Mailbox)]
    return _addresses(piece)


def _addresses(text: bytes) -> "list[Mailbox | Include | Refused] | None":
    """Read addresses, None if there is anything else; a colon would be of a group, or of another entry."""
    found = parse_addresses(text)
    if found.errors or not found.mailboxes or any([not one.local for one in found.mailboxes]):
        return None
    if (b":" in text or b";" in text) and any(
        kind == SPECIAL and text[start:end] in (b":", b";") for kind, start, end in tokens(text)
    ):
        return None
    return list(found.mailboxes)


def _kind(value: bytes) -> str:
    """Name a value that begins with a colon, as far as it may be shown."""
    word = value[1:].partition(b":")[0]
    return f":{word.decode()}:" if word.isalpha() and word.isascii() and len(word) <= 20 else "a value with a colon"


def _comma(text: bytes, at: int) -> int:
    """Find the comma that ends the value at `at`; one within quotation marks is part of it."""
    comma = -1
    while True:
        if comma < at:  # looked for only then: a search behind every quotation mark would be quadratic
            comma = text.find(b",", at)
            if comma < 0:
                comma = len(text)
        quote = text.find(b'"', at, comma)
        if quote < 0:
            return comma
        at = _closing(text, quote) + 1


def _closing(text: bytes, opening: int = 0) -> int:
    """Return where the quotation mark at `opening` has its partner, or the end of the text."""
    at = opening + 1
    end = text.find(b'"', at)
    while end >= 0:
        escape = text.find(b"\\", at, end)
        if escape < 0:
            return end
        at = escape + 2
        if at > end:
            end = text.find(b'"', at)
    return len(text)


def _unquoted(piece: bytes) -> bytes:
    """Return a value without the quotation marks around the whole of it."""
    if piece[:1] != b'"' or len(piece) < 2 or _closing(piece) != len(piece) - 1:
        return piece
    return unquote(piece)
