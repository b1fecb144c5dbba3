"""8-bit parameters of Content-Type and Content-Disposition, encoded without loss (RFC 2231).

A parameter that every reader has to understand as it stands, such as `boundary`, is never encoded: DataError.
"""

from pysendmail.errors import DataError
from pysendmail.message.address import ATEXT
from pysendmail.message.encoded_word import LONGEST, characters_of, encoded_words, label_for
from pysendmail.message.pieces import LONGEST_LINE, Piece, add_plain
from pysendmail.message.structured import comment_pieces
from pysendmail.message.tokens import BAD, COMMENT, QUOTED, SPACE, SPECIAL, token, tokens, unfold, unquote

_NEVER = frozenset((b"boundary", b"charset", b"protocol", b"micalg", b"type", b"start", b"access-type"))
_SAFE = bytes(octet for octet in ATEXT + b"." if octet not in b"*'%/?=")
_BLANKS = b" \t\r\n"

Token = tuple[int, bytes]  # kind and octets


def parameter_pieces(text: bytes, charset: str) -> list[Piece]:
    """Take the field's text apart, its 8-bit values encoded. Raises DataError where that is not safe."""
    segments = _segments(text)
    names = {_halves(segment)[0].lower() for segment in segments[1:]}
    pieces: list[Piece] = []
    for segment in segments:
        if pieces:
            pieces[-1].raw += b";"
        if all([octets.isascii() for kind, octets in segment if kind != COMMENT]):
            _add_tokens(pieces, segment)
        elif not pieces:
            raise DataError("media type or disposition that is not ASCII")
        else:
            for item in segment:
                if item[0] == COMMENT:
                    _add_tokens(pieces, [(SPACE, b" "), item])
            pieces += [Piece(b" ", written) for written in _encoded(*_halves(segment), names, charset)]
    return pieces


def _segments(text: bytes) -> "list[list[Token]]":
    """Split at the semicolons outside of quotes and comments."""
    segments: list[list[Token]] = [[]]
    for kind, start, end in tokens(text):
        if kind == BAD and not text[start:end].isascii():
            raise DataError("quotation mark or parenthesis without its partner")
        if kind == SPECIAL and text[start] == 59:
            segments.append([])
        else:
            segments[-1].append((kind, text[start:end]))
    return segments


def _add_tokens(pieces: list[Piece], segment: "list[Token]") -> None:
    """Add tokens as they are, but comments encoded."""
    blanks = b""
    for kind, octets in segment:
        if kind == SPACE:
            blanks = octets
            continue
        if kind == COMMENT and not octets.isascii():
            pieces += comment_pieces(octets, blanks or b" ")
        else:
            add_plain(pieces, blanks, octets)
        blanks = b""


def _halves(segment: "list[Token]") -> tuple[bytes, bytes]:
    """Take a parameter apart into its name and its value as written, comments left out."""
    name, _, value = b"".join([octets for kind, octets in segment if kind != COMMENT]).partition(b"=")
    return name.strip(_BLANKS), value.strip(_BLANKS)


def _encoded(name: bytes, value: bytes, names: set[bytes], charset: str) -> list[bytes]:
    """Write a parameter in ASCII, as one `name=value` or as several."""
    base, star, _ = name.lower().partition(b"*")
    if not base or base.translate(None, _SAFE):
        raise DataError("name of a parameter that is not ASCII or missing")
    content = _content(value)
    if base in _NEVER or (star and name[-1:] != b"*"):
        raise DataError(f"{base.decode()} parameter that cannot be encoded")
    if star:  # percent signs are its encoding already; only the octets that lack them get them
        return [name + b"=" + _percent(content, _SAFE + b"%'")]
    label = label_for(content, charset)
    if base + b"*" in names or base + b"*0*" in names or base + b"*0" in names:
        # The proper form stands beside it: this one is for readers that know only encoded words here.
        return [name + b'="' + b" ".join(encoded_words(content, label, LONGEST)) + b'"']
    return _continued(name, characters_of(content, label), label.encode() + b"''")


def _content(value: bytes) -> bytes:
    """Give what a value stands for; blanks in an unquoted one, a common mistake, are part of it."""
    if value[:1] == b'"' and token(value, 0) == (QUOTED, len(value)):
        return unquote(value)
    if b'"' in value or b"\\" in value:
        raise DataError("malformed value of a parameter")
    return unfold(value)


def _continued(name: bytes, characters: list[bytes], head: bytes) -> list[bytes]:
    """Write `name*=…`, or `name*0*=…; name*1*=…` if one line does not hold it (RFC 2231 3)."""
    forms = [_percent(character, _SAFE) for character in characters]
    room = LONGEST_LINE - 2  # a blank before it and a semicolon after it
    whole = name + b"*=" + head + b"".join(forms)
    if len(whole) <= room:
        return [whole]
    written, line = [], bytearray(name + b"*0*=" + head)
    for form in forms:
        if len(line) + len(form) > room:
            written.append(bytes(line + b";"))
            line = bytearray(b"%b*%d*=" % (name, len(written)))
        line += form
    return [*written, bytes(line)]


def _percent(octets: bytes, safe: bytes) -> bytes:
    return b"".join([bytes((octet,)) if octet in safe else b"%%%02X" % octet for octet in octets])
