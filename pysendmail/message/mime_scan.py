"""Walk through the MIME structure of a body while it streams by (RFC 2046 section 5.1, RFC 2045 section 5).

A message is seen as a row of entities. Each has a header (only the text behind a multipart's close delimiter has none)
and then text: the content of a leaf, or what a multipart says before its first delimiter. scan() yields, in order,

    (HEADER, header with its blank line, entity), (TEXT, octets, entity) …, (END, b"", entity), (DELIMITER, line, None)

and the octets put together are the body again, whatever the input. The walk keeps a list of the open multiparts, no
recursion, and holds no more than one chunk, one header and one line.

Where readers differ, the walk goes with most of them: a delimiter is a whole line (blanks may follow); a line that is a
delimiter of several open multiparts belongs to the outermost; the CRLF before a delimiter is a part of it; a multipart
in which no part ever begins is a leaf.
"""

from pysendmail import errors
from pysendmail.message.header import Field
from pysendmail.message.media_type import parse_content_type, parse_encoding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HEADER, TEXT, END, DELIMITER = range(4)
LEAF, MULTIPART, MESSAGE, OUTSIDE = range(4)

MAX_DEPTH = 100
MAX_PART_HEADER = 1 << 20
_LONGEST_DELIMITER = 998
_ENOUGH = 1000  # octets of a line that show whether it belongs to a header
_NAME_OCTETS = bytes(octet for octet in range(33, 127) if octet != 58)
IDENTITY = (b"", b"7bit", b"8bit", b"binary")
_DESCENDED = (b"message/rfc822", b"message/news")


class Entity:
    """A message or part: what its header says, and what the walk makes of it.

    `kind`: LEAF; MULTIPART (its text is the preamble; becomes LEAF at END if no part of it has begun); MESSAGE (holds
    another message, has no text of its own); OUTSIDE (text behind a close delimiter). `blank`: the empty line that
    ended the header, or b"". `top`: the header is that of a message, not of a part. `typed`: it has a Content-Type.
    `media` and `encoding` are in lower case, `encodings` are all that are named. `sealed` says, if not empty, why
    nothing in it may change; `delimiters` must not come up in its text.
    """

    __slots__ = (
        "blank", "boundary", "delimiters", "encoding", "encodings", "fields", "index", "kind", "media", "sealed", "top",
        "typed",
    )  # fmt: skip

    def __init__(self, index: int, fields: list[Field], blank: bytes, *, top: bool, default: bytes) -> None:
        self.index = index
        self.fields = fields
        self.blank = blank
        self.top = top
        self.kind = LEAF
        self.sealed = ""
        self.delimiters: list[bytes] = []
        types = [parse_content_type(field.value) for field in fields if field.name == b"content-type"]
        self.encodings = [parse_encoding(f.value) for f in fields if f.name == b"content-transfer-encoding"]
        self.encoding = self.encodings[0] if self.encodings else b""
        self.typed = bool(types)
        media, parameters = types[0] if types else (default, {})
        self.media = media or b"text/plain"
        self.boundary = parameters.get(b"boundary", b"").rstrip(b" \t")
        if self.media.startswith(b"multipart/") and self.boundary:
            self.kind = MULTIPART
        elif self.media in _DESCENDED and self.encoding in IDENTITY:
            self.kind = MESSAGE
        if any(other != types[0] for other in types) and any(_composite(other[0]) for other in types):
            self.kind = LEAF
            self.sealed = "a part with two different Content-Type fields"
        elif self.media.startswith(b"multipart/") and parameters.get(b"boundary") == b"":
            self.sealed = "a multipart with an empty or unquoted boundary"  # readers differ widely
        elif self.media in (b"application/pkcs7-mime", b"application/x-pkcs7-mime"):
            self.sealed = f"a part that is signed or encrypted ({self.media.decode()})"


class _Level:
    """An open multipart."""

    __slots__ = ("default", "delimiter", "sealed")

    def __init__(self, entity: Entity) -> None:
        self.delimiter = b"--" + entity.boundary
        self.default = b"message/rfc822" if entity.media == b"multipart/digest" else b"text/plain"
        self.sealed = entity.sealed


class _Levels:
    """The open multiparts, outermost first.

    `lines` tells whose delimiter a line is: (level, whether it closes that level). `mark` is what all delimiters begin
    with, the CRLF before them included: only where it is found a line has to be looked at.
    """

    __slots__ = ("lines", "mark", "open")

    def __init__(self) -> None:
        self.open: list[_Level] = []
        self.lines: dict[bytes, tuple[int, bool]] = {}
        self.mark = b""

    def push(self, level: _Level) -> None:
        index = len(self.open)
        self.open.append(level)
        self.lines.setdefault(level.delimiter, (index, False))
        self.lines.setdefault(level.delimiter + b"--", (index, True))
        self._find_mark()

    def cut(self, depth: int) -> None:
        """Leave the `depth` outermost levels."""
        while len(self.open) > depth:
            delimiter = self.open.pop().delimiter
            for line in (delimiter, delimiter + b"--"):
                if self.lines.get(line, (-1, False))[0] == len(self.open):
                    del self.lines[line]
        self._find_mark()

    def _find_mark(self) -> None:
        self.mark = b""
        if self.open:
            first, last = min(self.lines), max(self.lines)
            same = len(first)
            while not last.startswith(first[:same]):
                same -= 1
            self.mark = b"\r\n" + first[:same]


def scan(chunks: "Iterable[bytes]", fields: list[Field]) -> "Iterator[tuple[int, bytes, Entity | None]]":
    """Walk through the body in wire form that belongs to the header `fields`; see the head of this module.

    The first entity is the message itself; its HEADER event has no octets. Raises DataError for a part's header beyond
    all measure.
    """
    reader = _Reader(chunks)
    levels = _Levels()
    entity = Entity(0, fields, b"", top=True, default=b"text/plain")
    header = b""
    while True:
        own = _enter(entity, levels)
        yield HEADER, header, entity
        found = None
        if entity.kind != MESSAGE:
            for text in reader.text(levels):
                yield TEXT, text, entity
            found = reader.found
            if entity.kind == MULTIPART and found != (own, False):
                entity.kind = LEAF
        yield END, b"", entity
        index = entity.index + 1
        if entity.kind == MESSAGE:
            header, entity = _next_entity(reader, levels, index, True)
        elif found is None:
            return
        else:
            level, closes = found
            levels.cut(level if closes else level + 1)
            yield DELIMITER, reader.delimiter, None
            if closes:
                header, entity = b"", Entity(index, [], b"", top=False, default=b"text/plain")
                entity.kind = OUTSIDE
            else:
                header, entity = _next_entity(reader, levels, index, False)


def _enter(entity: Entity, levels: _Levels) -> int:
    """Place the entity within the open multiparts; a multipart becomes one of them. Return its level."""
    own = len(levels.open)
    if own and not entity.sealed:
        entity.sealed = levels.open[-1].sealed
    if entity.media == b"multipart/signed" and not entity.sealed:
        entity.sealed = "a signed part (multipart/signed)"
    if entity.kind == MULTIPART:
        if own < MAX_DEPTH:
            levels.push(_Level(entity))
        else:
            entity.kind = LEAF
            entity.sealed = entity.sealed or f"parts within parts, over {MAX_DEPTH} deep"
    entity.delimiters = [level.delimiter for level in levels.open]
    return own


def _next_entity(reader: "_Reader", levels: _Levels, index: int, top: bool) -> tuple[bytes, Entity]:
    lines, blank = reader.header(levels.lines)
    default = b"text/plain" if top or not levels.open else levels.open[-1].default
    return b"".join(lines) + blank, Entity(index, _fields(lines), blank, top=top, default=default)


def _composite(media: bytes) -> bool:
    return media.startswith((b"multipart/", b"message/"))


def _fields(lines: list[bytes]) -> list[Field]:
    """Join the lines of a header to fields; what belongs to none (`From …`, a blank first) becomes one without name."""
    starts = [number for number, line in enumerate(lines) if line[0] not in b" \t" or not number]
    fields = []
    for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
        name, colon, _ = lines[start].partition(b":")
        named = colon and not lines[start].startswith((b"From ", b">From ", b" ", b"\t"))
        fields.append(Field(name.rstrip(b" \t").lower() if named else b"", b"".join(lines[start:end])))
    return fields


class _Reader:
    """Read headers and texts from a stream of chunks in wire form.

    The two octets before the current place stay in the buffer (the very beginning gets a CRLF before it), so that a
    delimiter at the beginning of a text is found like any other.
    """

    __slots__ = ("_at", "_chunks", "_data", "delimiter", "found")

    def __init__(self, chunks: "Iterable[bytes]") -> None:
        self._chunks = iter(chunks)
        self._data = b"\r\n"
        self._at = 2
        self.found: tuple[int, bool] | None = None
        self.delimiter = b""

    def _fill(self) -> bool:
        """Append the next chunk to what is left; False at the end."""
        chunk = next(self._chunks, b"")
        self._data = self._data[self._at - 2 :] + chunk
        self._at = 2
        return bool(chunk)

    def _take(self, end: int) -> bytes:
        data = self._data[self._at : end]
        self._at = end
        return data

    def header(self, delimiters: dict[bytes, tuple[int, bool]]) -> tuple[list[bytes], bytes]:
        """Read the lines of a header; return them and the empty line, b"" if something else ended the header."""
        lines: list[bytes] = []
        room = MAX_PART_HEADER
        while True:
            end = self._line_end()
            line = self._data[self._at : min(end, self._at + _ENOUGH)]
            if line == b"\r\n":
                return lines, self._take(end)
            if not _is_header_line(line, delimiters):
                return lines, b""
            while not self._data.endswith(b"\r\n", 0, end) and end - self._at <= room and self._fill():
                end = self._line_end()
            room -= end - self._at
            if room < 0:
                raise errors.DataError(f"the header of a part is larger than {MAX_PART_HEADER >> 20} MiB")
            lines.append(self._take(end))

    def _line_end(self) -> int:
        """Return where the line ends, CRLF included, or the end of the buffer if that shows enough of a longer line."""
        while (end := self._data.find(b"\r\n", self._at)) < 0 and len(self._data) - self._at < _ENOUGH:
            if not self._fill():
                break
        return end + 2 if end >= 0 else len(self._data)

    def text(self, levels: _Levels) -> "Iterator[bytes]":
        """Yield what stands before the next delimiter line or the end.

        After that `found` says whose line it is (None: the end) and `delimiter` is the line with the CRLF before it.
        """
        while True:
            stop, after = self._find_delimiter(levels)
            if stop > self._at:
                yield self._take(stop)
            if after:
                self.delimiter = self._take(after)
                return
            if not self._fill():
                if rest := self._take(len(self._data)):
                    yield rest
                return

    def _find_delimiter(self, levels: _Levels) -> tuple[int, int]:
        """Return where the text in the buffer ends, and where the delimiter line behind it ends (0: unknown)."""
        self.found = None
        mark, data = levels.mark, self._data
        search = self._at - 2
        while mark:
            start = data.find(mark, search)
            if start < 0:
                return len(data) - len(mark) + 1, 0  # the rest may be the beginning of a mark
            end = data.find(b"\r\n", start + len(mark))
            if end < 0 and len(data) - start <= _LONGEST_DELIMITER + 1:  # the 1: its CR may be there already
                return start, 0
            line = data[start + 2 : end] if 0 <= end - start <= _LONGEST_DELIMITER else b""
            self.found = levels.lines.get(line.rstrip(b" \t"))
            if self.found:
                return start, end + 2
            search = end if end >= 0 else start + len(mark)
        return len(data), 0


def _is_header_line(line: bytes, delimiters: dict[bytes, tuple[int, bool]]) -> bool:
    if line.startswith(b"--") and line.rstrip(b" \t\r\n") in delimiters:
        return False
    if line.startswith((b" ", b"\t", b"From ", b">From ")):
        return True
    name, colon, _ = line.partition(b":")
    name = name.rstrip(b" \t")
    return bool(colon and name) and not name.translate(None, _NAME_OCTETS)
