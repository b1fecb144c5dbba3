"""The commands that a server takes: what stands in the lines of MAIL, RCPT and BDAT (RFC 5321 section 4.1.1).

Nothing that a later reader could take for something else gets through: a line with a control character is refused
before it is looked at, a path holds one address without comments or blanks, and a parameter stands there once.
"""

from pysendmail.errors import DataError
from pysendmail.message import address
from pysendmail.smtp.answer import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.message.address import Mailbox

    Parameters = dict[bytes, bytes]

_CONTROLS = bytes(range(32)) + b"\x7f"
_KEYWORD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
_UNQUOTED = address.ATEXT + address.HIGH + b".@[]:,"  # and source routes and address literals need the last four
_HEX = b"0123456789ABCDEF"
_LARGEST = 18  # digits of a number of octets; more of them are no size that anybody has
_ENVID = 100
_ORCPT = 500
_NOTIFY = (b"SUCCESS", b"FAILURE", b"DELAY")


def has_controls(line: bytes) -> bool:
    """Tell whether the line holds a control character: CR, NUL, TAB and others."""
    return len(line.translate(None, _CONTROLS)) != len(line)


def split_verb(line: bytes) -> tuple[bytes, bytes]:
    """Return the verb in upper case and what stands behind it, without the blanks around."""
    verb, _, rest = line.strip(b" ").partition(b" ")
    return verb.upper(), rest.lstrip(b" ")


def read_path(text: bytes, word: bytes) -> "tuple[Mailbox | None, Parameters]":
    """Read `FROM:<address> KEY=value ...`, where `word` is `FROM:` or `TO:`; None is the null path.

    Source routes are read and dropped. Raises Refused for anything that is not exactly one address.
    """
    if text[: len(word)].upper() != word:
        raise Refused(501, "5.5.4", f"write {_verb(word)} {word.decode()}<address>")
    text = text[len(word) :].lstrip(b" ")
    end = _end_of_path(text)
    path, rest = text[:end], text[end:]
    if not path or (rest and rest[0] != 32):
        raise Refused(501, "5.5.4", f"write {_verb(word)} {word.decode()}<address>")
    return _mailbox(path, "5.1.7" if word == b"FROM:" else "5.1.3"), _parameters(rest)


def read_size(value: bytes) -> int:
    """Read the number of octets that SIZE= or BDAT names. Raises Refused."""
    if not value.isdigit() or len(value) > _LARGEST:
        raise Refused(501, "5.5.4", f"a number of octets has 1 to {_LARGEST} digits")
    return int(value)


def read_chunk(text: bytes) -> tuple[int, bool]:
    """Read `size [LAST]` of BDAT: how many octets follow, and whether they are the last. Raises Refused."""
    words = text.split(b" ")
    last = len(words) == 2 and words[1].upper() == b"LAST"
    if len(words) != 1 and not last:
        raise Refused(501, "5.5.4", "write BDAT size [LAST]")
    return read_size(words[0]), last


def read_body(value: bytes) -> bytes:
    """Read BODY= (RFC 6152). Raises Refused."""
    word = value.upper()
    if word not in (b"7BIT", b"8BITMIME"):
        raise Refused(501, "5.5.4", "BODY is 7BIT or 8BITMIME")
    return word


def read_ret(value: bytes) -> bytes:
    """Read RET= (RFC 3461 section 4.3). Raises Refused."""
    word = value.upper()
    if word not in (b"FULL", b"HDRS"):
        raise Refused(501, "5.5.4", "RET is FULL or HDRS")
    return word


def read_envid(value: bytes) -> bytes:
    """Read ENVID= (RFC 3461 section 4.4) and return what it stands for. Raises Refused."""
    text = _from_xtext(value)
    if not 1 <= len(text) <= _ENVID:
        raise Refused(501, "5.5.4", f"ENVID has 1 to {_ENVID} characters")
    return text


def read_notify(value: bytes) -> bytes:
    """Read NOTIFY= (RFC 3461 section 4.1) and return it in its one spelling. Raises Refused."""
    words = value.upper().split(b",")
    if words == [b"NEVER"]:
        return b"NEVER"
    if not all(word in _NOTIFY for word in words):
        raise Refused(501, "5.5.4", "NOTIFY is NEVER, or a list out of SUCCESS,FAILURE,DELAY")
    return b",".join([word for word in _NOTIFY if word in words])


def read_orcpt(value: bytes) -> bytes:
    """Read ORCPT= (RFC 3461 section 4.2) and return its type and the address it stands for. Raises Refused.

    An address of the type utf-8 stays in its own encoding (RFC 6533 section 3).
    """
    kind, semicolon, text = value.partition(b";")
    if not semicolon or not kind or not text or kind.upper().translate(None, _KEYWORD) or len(value) > _ORCPT:
        raise Refused(501, "5.5.4", f"ORCPT is type;address of at most {_ORCPT} octets")
    return kind + b";" + (text if kind.lower() == b"utf-8" else _from_xtext(text))


def _verb(word: bytes) -> str:
    return "MAIL" if word == b"FROM:" else "RCPT"


def _end_of_path(text: bytes) -> int:
    """Find where the path ends: behind the > that is not quoted; without brackets (as some write) at the blank."""
    if text[:1] != b"<":
        end = text.find(b" ")
        return end if end >= 0 else len(text)
    if b'"' not in text:
        return text.find(b">") + 1
    quoted = False
    at = 1
    while at < len(text):
        octet = text[at]
        if quoted and octet == 92:  # a backslash takes the next octet with it
            at += 1
        elif octet == 34:
            quoted = not quoted
        elif octet == 62 and not quoted:
            return at + 1
        at += 1
    return 0


def _mailbox(path: bytes, status: str) -> "Mailbox | None":
    """Read one path. Raises Refused."""
    inner = path[1:-1] if path[0] == 60 else path
    if not inner:
        return None
    if not path.isascii() and not _is_utf8(path):
        raise Refused(553, "5.6.7", "the address is not UTF-8")
    bare = _without_quoted(inner)
    if bare.translate(None, _UNQUOTED) or (path[0] != 60 and bare != inner):
        raise Refused(501, status, "bad address: a character that has no place in it")
    found = address.parse(b"<" + inner + b">")
    if found.errors:
        raise Refused(501, status, f"bad address: {found.errors[0][2]}")
    if len(found.mailboxes) != 1 or found.warnings:
        raise Refused(501, status, "bad address: one is wanted")
    mailbox = found.mailboxes[0]
    try:
        address.domain_to_ascii(mailbox.domain) if mailbox.domain else None
    except DataError as error:
        raise Refused(501, status[0] + ".1.2", error.text) from None
    return mailbox


def _without_quoted(text: bytes) -> bytes:
    """Return the text without its quoted strings; an open one stays."""
    while (start := text.find(b'"')) >= 0:
        end = start + 1
        while end < len(text) and text[end] != 34:
            end += 2 if text[end] == 92 else 1
        if end >= len(text):
            return text
        text = text[:start] + text[end + 1 :]
    return text


def _parameters(text: bytes) -> "Parameters":
    """Read ` KEY=value KEY ...`; a keyword without a value has b"". Raises Refused for one that stands there twice."""
    found: Parameters = {}
    for word in text.split(b" "):
        if not word:
            continue
        key, equals, value = word.partition(b"=")
        key = key.upper()
        if not key or key.translate(None, _KEYWORD) or b"=" in value or bool(equals) != bool(value):
            raise Refused(501, "5.5.4", "a parameter is KEYWORD or KEYWORD=value")
        if key in found:
            raise Refused(501, "5.5.4", f"{key.decode()} stands there twice")
        found[key] = value
    return found


def _from_xtext(text: bytes) -> bytes:
    """Decode xtext (RFC 3461 section 4). Raises Refused for what is none, and for what is not printable ASCII."""
    first, *rest = text.split(b"+")
    pieces = [first]
    for piece in rest:
        code = piece[:2]
        if len(code) != 2 or code.translate(None, _HEX):
            raise Refused(501, "5.5.4", "+ is followed by two hexadecimal digits in upper case")
        pieces += bytes((int(code, 16),)), piece[2:]
    decoded = b"".join(pieces)
    if has_controls(decoded) or not decoded.isascii():
        raise Refused(501, "5.5.4", "a parameter stands for printable ASCII text")
    return decoded


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
