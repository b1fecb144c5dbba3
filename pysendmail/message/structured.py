"""Structured header fields with 8-bit text, taken apart into pieces that stay and texts that become encoded words.

Text may be encoded where RFC 2047 5 permits it: words of a phrase and comments. Words without blanks between them are
encoded together, quoted strings by what they mean.
"""

from pysendmail.errors import DataError
from pysendmail.message.address import domain_to_ascii, parse
from pysendmail.message.pieces import Piece, add_plain
from pysendmail.message.tokens import ATOM, COMMENT, QUOTED, SPACE, SPECIAL, token, unquote

_AT, _COLON, _LESS = b"@:<"


def address_pieces(text: bytes) -> list[Piece]:
    """Take an address list apart; domains become A-labels. Raises DataError for a local part that is not ASCII.

    A bad element of the list is one text as a whole, so that it does not become an address on its way.
    """
    found = parse(text)
    spans = [(mailbox.start, mailbox.end, True) for mailbox in found.mailboxes]
    spans += [(start, end, False) for start, end, _ in found.errors if not text[start:end].isascii()]
    builder, at = _Builder(text), 0
    for start, end, is_mailbox in sorted(spans):
        builder.take_phrase(at, start)
        if is_mailbox:
            _take_mailbox(builder, start, end)
        else:
            builder.word(text[start:end], text[start:end])
            builder.end_words()
        at = end
    builder.take_phrase(at, len(text))
    return builder.finish()


def phrase_pieces(text: bytes, identifiers: bool, urls: bool) -> list[Piece]:
    """Take any other structured field apart, in which `<...>` may hold identifiers or URLs.

    8-bit octets of URLs get percent signs (RFC 3987 3.1). Raises DataError for an identifier that is not ASCII.
    """
    builder, at = _Builder(text), 0
    while identifiers or urls:
        opening = _find_special(text, at, _LESS)
        if opening < 0:
            break
        closing = text.find(b">", opening)
        end = closing + 1 if closing >= 0 else len(text)
        builder.take_phrase(at, opening)
        builder.plain(_in_angles(text[opening:end], urls))
        at = end
    builder.take_phrase(at, len(text))
    return builder.finish()


def comment_pieces(comment: bytes, blanks: bytes) -> list[Piece]:
    """Take a comment apart; its blanks, parentheses and words in ASCII stay (RFC 2047 5 (2))."""
    import re

    if comment.isascii():
        return [Piece(blanks, comment)]
    pieces: list[Piece] = []
    for match in re.finditer(rb"([ \t\r\n]+)|([()])|((?:\\.|[^ \t\r\n()\\])+)", comment, re.DOTALL):
        blank, parenthesis, word = match.groups()
        if blank:
            blanks += blank
            continue
        if parenthesis or word.isascii():
            add_plain(pieces, blanks, parenthesis or word)
        else:
            pieces.append(Piece(blanks, b"", re.sub(rb"\\(.)", rb"\1", word, flags=re.DOTALL)))
        blanks = b""
    return pieces


class _Builder:
    """Gathers pieces; words that follow each other without blanks are kept back until it is known if all are ASCII."""

    __slots__ = ("_blanks", "_pieces", "_shown", "_words", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._pieces: list[Piece] = []
        self._blanks = b""
        self._words = bytearray()
        self._shown = bytearray()

    def take_phrase(self, at: int, stop: int) -> None:
        """Take the tokens of a stretch of text that holds no address."""
        while at < stop:
            kind, end = token(self.text, at)
            end = min(end, stop)  # where an identifier begins inside what a tokeniser takes for a comment
            raw = self.text[at:end]
            if kind == SPACE:
                self.space(raw)
            elif kind == COMMENT:
                self.comment(raw)
            elif kind == SPECIAL and raw not in b".@":
                self.plain(raw)
            else:
                self.word(raw, unquote(raw) if kind == QUOTED else raw)
            at = end
        self.end_words()

    def space(self, raw: bytes) -> None:
        """Take blanks."""
        self.end_words()
        self._blanks += raw

    def word(self, raw: bytes, shown: bytes) -> None:
        """Take a word as written and as it is meant to be shown."""
        self._words += raw
        self._shown += shown

    def end_words(self) -> None:
        """Put the words away that stand together."""
        if self._words.isascii():
            words, self._words = self._words, bytearray()
            if words:
                self.plain(bytes(words))
        else:
            self._pieces.append(Piece(self._blanks or b" ", b"", bytes(self._shown)))
            self._blanks = b""
        self._words.clear()
        self._shown.clear()

    def plain(self, raw: bytes) -> None:
        """Take what stays as it is; an encoded word before it needs a blank in between."""
        if self._words:
            self.end_words()
        after_text = self._pieces and self._pieces[-1].text is not None
        add_plain(self._pieces, self._blanks or (b" " if after_text else b""), raw)
        self._blanks = b""

    def comment(self, raw: bytes) -> None:
        """Take a comment."""
        self.end_words()
        if raw.isascii():
            self.plain(raw)
        else:
            self._pieces += comment_pieces(raw, self._blanks or b" ")
            self._blanks = b""

    def finish(self) -> list[Piece]:
        """Give the pieces; blanks at the end are dropped."""
        self.end_words()
        return self._pieces


def _take_mailbox(builder: _Builder, at: int, stop: int) -> None:
    after_at = False
    while at < stop:
        kind, end = token(builder.text, at)
        raw = builder.text[at:end]
        if kind == SPACE:
            builder.space(raw)
        elif kind == COMMENT:
            builder.comment(raw)
        elif raw.isascii():
            builder.plain(raw)
        elif kind == ATOM and after_at:
            builder.plain(domain_to_ascii(raw))
        else:
            raise DataError("local part of an address that is not ASCII")
        if kind == SPECIAL and raw[0] in (_AT, _COLON):
            after_at = raw[0] == _AT
        at = end


def _find_special(text: bytes, at: int, special: int) -> int:
    """Find the special outside of quotes and comments; -1 if there is none."""
    while at < len(text):
        kind, end = token(text, at)
        if kind == SPECIAL and text[at] == special:
            return at
        at = end
    return -1


def _in_angles(raw: bytes, urls: bool) -> bytes:
    if raw.isascii():
        return raw
    if not urls:
        raise DataError("identifier that is not ASCII")
    return b"".join([bytes((octet,)) if octet < 128 else b"%%%02X" % octet for octet in raw])
