"""What a server says: one reply, as the octets that leave."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LINE = 500  # octets of one line's text; with the code and CRLF it stays within 512 (RFC 5321 section 4.5.3.1.5)
_LINES = 100
_SHORT = 40  # characters that fit into a line however each of them is written
_LONGEST = 20_000  # characters of a text that are looked at


class Answer:
    """A reply code, an enhanced status code (RFC 3463; "" for none), and the text, of which each line becomes one."""

    __slots__ = ("code", "status", "text")

    def __init__(self, code: int, status: str, text: str) -> None:
        self.code = code
        self.status = status
        self.text = text

    def __repr__(self) -> str:
        return f"Answer({self.code}, {self.status!r}, {self.text!r})"

    @property
    def wire(self) -> bytes:
        """The octets of the reply, whatever is in the text."""
        lead = f"{self.status} " if self.status else ""
        return reply(self.code, [lead + line for line in _pieces(self.text)])


class Refused(Exception):
    """A command that cannot be taken, with the answer to it."""

    def __init__(self, code: int, status: str, text: str) -> None:
        super().__init__(text)
        self.answer = Answer(code, status, text)


def reply(code: int, lines: "list[str]") -> bytes:
    """Return a reply of several lines as octets: ASCII, and nothing in a line that could end it."""
    last = len(lines) - 1
    return b"".join(
        [b"%d%c%b\r\n" % (code, b" " if at == last else b"-", _clean(line)) for at, line in enumerate(lines)]
    )


def _pieces(text: str) -> "list[str]":
    """Cut text into lines that a client has to take."""
    found: list[str] = []
    for line in text[:_LONGEST].split("\n"):
        found += _folded(line) if len(line) > _SHORT else (line,)
    return found if len(found) <= _LINES else [*found[: _LINES - 1], "..."]


def _folded(line: str) -> "Iterable[str]":
    """Break a line before the word that would make it too long, and a word that is too long anywhere."""
    piece = ""
    for word in line.split(" "):
        while len(_clean(word)) > LINE - 20:
            yield from filter(None, (piece,))
            piece, word = word[: _SHORT], word[_SHORT :]
        if piece and len(_clean(piece)) + len(_clean(word)) > LINE - 20:
            yield piece
            piece = word
        else:
            piece = f"{piece} {word}" if piece else word
    yield piece


def _clean(line: str) -> bytes:
    if not line.isprintable():
        line = "".join([c if c.isprintable() else "?" for c in line])
    return line.encode("ascii", "backslashreplace")
