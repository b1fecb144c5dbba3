"""Lines of a header field made of pieces: plain text as it came, and text that has to become encoded words (RFC 2047).

A reader drops the blanks between two encoded words and keeps all others. So texts to be encoded that have only blanks
between them are joined, blanks included, and a blank next to an encoded word that was there before goes into ours.
"""

from pysendmail.message.encoded_word import LONGEST, encoded_words, looks_encoded, narrowest
from pysendmail.message.tokens import unfold

LONGEST_LINE = 76  # of a line that holds encoded words (RFC 2047 2)


class Piece:
    """The blanks before it (folds included), and plain octets or, if `text` is not None, a text to be encoded."""

    __slots__ = ("blanks", "raw", "text")

    def __init__(self, blanks: bytes, raw: bytes, text: bytes | None = None) -> None:
        self.blanks = blanks
        self.raw = bytearray(raw)
        self.text = None if text is None else bytearray(text)


def add_plain(pieces: list[Piece], blanks: bytes, raw: bytes) -> None:
    """Append plain octets, to the piece before them if it is plain and no blanks stand between."""
    if pieces and not blanks and pieces[-1].text is None:
        pieces[-1].raw += raw
    else:
        pieces.append(Piece(blanks, raw))


def lay_out(name: bytes, pieces: list[Piece], label: str) -> bytes:
    """Write a field, `name` with its colon, and fold new lines at 76 characters where blanks let us; CRLF at the end.

    Folds that are there stay; a piece without blanks before it stays in the line of the one before.
    """
    out, column = bytearray(name), len(name)
    joined = _joined(pieces)
    for place, piece in enumerate(joined):
        blanks = piece.blanks
        if b"\n" in blanks:
            column = -blanks.rfind(b"\n") - 1
        elif (blanks and (len(out) > len(name) or piece.text is not None)
              and column + len(blanks) + _width(joined, place, label) > LONGEST_LINE):
            out += b"\r\n"
            column = 0
        out += blanks
        column += len(blanks)
        if piece.text is None:
            out += piece.raw
            column += len(piece.raw)
        else:
            words = encoded_words(bytes(piece.text), label, LONGEST_LINE - column)
            out += b"\r\n ".join(words)
            column = len(words[-1]) + (column if len(words) == 1 else 1)
    return bytes(out + b"\r\n")


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Put texts that become neighbours into one, and blanks at encoded words into the text."""
    done: list[Piece] = []
    for piece in pieces:
        last = done[-1] if done else None
        if last and piece.blanks:
            if piece.text is not None and last.text is not None:
                last.text += unfold(piece.blanks) + piece.text
                continue
            if piece.text is not None and looks_encoded(last.raw.lstrip(b"(")):
                piece.text[:0] = unfold(piece.blanks)
            elif last.text is not None and looks_encoded(piece.raw.rstrip(b")")):
                last.text += unfold(piece.blanks)
        done.append(piece)
    return done


def _width(pieces: list[Piece], place: int, label: str) -> int:
    """Tell the columns that this piece and what is tied to it, as parentheses are, need in the line where it begins."""
    piece, width = pieces[place], 0
    tied = pieces[place + 1:place + 2]
    if piece.text is None:
        width = len(piece.raw)
        if not tied or tied[0].blanks or tied[0].text is None:
            return width
        piece, tied = tied[0], pieces[place + 2:place + 3]
    text = bytes(piece.text or b"")
    width += _text_width(text, label) if place else narrowest(label)  # the first text begins in the line of the name
    if tied and not tied[0].blanks:
        width += len(tied[0].raw) - len(tied[0].raw.lstrip(b"),;"))
    return width


def _text_width(text: bytes, label: str) -> int:
    """Tell the columns of the whole text if a line of its own holds it as one word, else those of the shortest word."""
    if len(text) < LONGEST:
        words = encoded_words(text, label, LONGEST)
        if len(words) == 1:
            return len(words[0])
    return narrowest(label)
