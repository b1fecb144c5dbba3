"""The lexical tokens of structured fields (RFC 5322 3.2, obsolete forms included), over bytes and in linear time.

Nothing is decoded and nothing is lost: the tokens cover the text without gaps. Comments nest to any depth without
recursion. Octets with the high bit set count as text of atoms (RFC 6532), whether they are UTF-8 or not.
"""

from pysendmail.message.address import ATEXT, HIGH, folds_well

ATOM, QUOTED, COMMENT, LITERAL, SPACE, SPECIAL, BAD = range(7)

_PRINTABLE = bytes(range(32, 127)) + HIGH + b"\t"


def _kinds() -> bytes:
    table = bytearray([BAD]) * 256
    for octets, kind in ((ATEXT + HIGH, ATOM), (b'"', QUOTED), (b"(", COMMENT), (b"[", LITERAL),
                         (b" \t\r\n", SPACE), (b"<>@,;:.)]", SPECIAL)):
        for octet in octets:
            table[octet] = kind
    return bytes(table)


_KIND = _kinds()


def token(text: bytes, at: int) -> tuple[int, int]:
    """Read the token that begins at `at`, which is less than len(text), and return its kind and its end.

    BAD is a control character, a stray backslash, a line end that folds nothing, or a quoted string, comment or
    domain literal that is not closed (it then reaches to the end of the text) or holds a control character.
    """
    kind = _KIND[text[at]]
    if kind == ATOM:
        return ATOM, _run_end(text, at, ATOM)
    if kind == SPACE:
        return _space(text, at)
    if kind == SPECIAL or kind == BAD:
        return kind, at + 1
    end = _quoted_end(text, at) if kind == QUOTED else _bracketed_end(text, at)
    return (kind, end) if end and is_printable(text[at:end]) else (BAD, end or len(text))


def tokens(text: bytes) -> list[tuple[int, int, int]]:
    """List the tokens of a field's value as (kind, start, end); together they cover the text."""
    found = []
    at, size = 0, len(text)
    while at < size:
        kind, end = token(text, at)
        found.append((kind, at, end))
        at = end
    return found


def is_printable(octets: bytes) -> bool:
    """Say whether there is no control character but TAB and the line ends of folds."""
    left = octets.translate(None, _PRINTABLE)
    return not left or (not left.translate(None, b"\r\n") and folds_well(octets))


def unfold(octets: bytes) -> bytes:
    """Take the line ends out of a folded text; the blanks after them stay (RFC 5322 2.2.3)."""
    return octets.translate(None, b"\r\n")


def unquote(octets: bytes) -> bytes:
    """Give the text that a quoted string stands for: no quotation marks, backslashes or line ends (RFC 5322 3.2.4)."""
    inner = unfold(octets)[1:-1]
    if b"\\" not in inner:
        return inner
    # Split pairs of backslashes off first: what is left of them can only escape the octet after it.
    return b"\\".join(part.replace(b"\\", b"") for part in inner.split(b"\\\\"))


def why_bad(text: bytes, start: int, end: int) -> str:
    """Say in a few words what is wrong with the BAD token at this place."""
    if not is_printable(text[start:end]):
        return "control character"
    unclosed = {b'"': "quotation mark without its partner", b"(": "comment that is not closed",
                b"[": "[ without its ]"}
    return unclosed.get(text[start:start + 1], "backslash outside quotation marks")


def _run_end(text: bytes, at: int, kind: int) -> int:
    kinds, size = _KIND, len(text)
    at += 1
    while at < size and kinds[text[at]] == kind:
        at += 1
    return at


def _space(text: bytes, at: int) -> tuple[int, int]:
    end = _run_end(text, at, SPACE)
    blanks = text[at:end]
    return SPACE if folds_well(blanks) and (blanks[-1] != 10 or end == len(text)) else BAD, end


def _quoted_end(text: bytes, at: int) -> int:
    """Find the end of the quoted string, or 0 if it is not closed."""
    at += 1
    end = text.find(b'"', at)
    while end >= 0:
        escape = text.find(b"\\", at, end)
        if escape < 0:
            return end + 1
        at = escape + 2
        if at > end:  # asked for only then: a search at every backslash would be quadratic
            end = text.find(b'"', at)
    return 0


def _bracketed_end(text: bytes, at: int) -> int:
    """Find the end of the comment or domain literal, or 0 if it is not closed; only comments nest."""
    opening, closing = (40, 41) if text[at] == 40 else (0, 93)
    depth, size = 1, len(text)
    at += 1
    while at < size:
        octet = text[at]
        if octet == closing:
            depth -= 1
            if not depth:
                return at + 1
        elif octet == opening:
            depth += 1
        elif octet == 92:
            at += 1
        at += 1
    return 0
