"""The header of a message: its fields as bytes, and a reader that finds where the header ends.

What is a field: one or more printable ASCII characters but the colon, then blanks if there are any, then the colon.
A line that begins with a blank continues the field before it. Everything else ends the header, the empty line by being
eaten, any other line by becoming the first line of the body. Two kinds of line are judged only by what follows them:

* A line of blanks only continues the field (obs-FWS, RFC 5322 section 4.2) if a field, a continuation line or the empty
  line follows. If text or the end of the input follows, it was meant as the blank line, and is taken for it.
* A line `From …` or `>From …` before the first field is an mbox line if a field follows (after more such lines
  perhaps), and is dropped. If anything else follows there is no header at all, and the line is text like the rest.

The judgement never depends on how the input was cut into pieces. A name of more than 998 octets is no name, so that one
endless line of text is known for text early, and streams.
"""

from pysendmail import errors

MAX_HEADER = 4 << 20  # room for 100,000 recipients; an ordinary one has a few thousand octets
MAX_FIELDS = 100_000
MAX_LINES = 300_000
_OF_A_LINE = 50  # octets of memory that a line takes besides what stands in it

ADDRESS_FIELDS = frozenset(
    b"from sender reply-to to cc bcc"
    b" resent-from resent-sender resent-reply-to resent-to resent-cc resent-bcc"
    b" errors-to return-receipt-to disposition-notification-to mail-followup-to mail-reply-to".split()
)
"""The fields whose value is a list of addresses; no other field is parsed for them."""

_LONGEST_NAME = 998
_ENOUGH = _LONGEST_NAME + 4  # an unfinished line of this length shows whether it is a field, whatever its end will be
_NAME_OCTETS = bytes(octet for octet in range(33, 127) if octet != 58)


class Field:
    """One header field: `name` in lower case without trailing blanks, `raw` as it leaves, each line ended by CRLF."""

    __slots__ = ("name", "raw")

    def __init__(self, name: bytes, raw: bytes) -> None:
        self.name = name
        self.raw = raw

    def __repr__(self) -> str:
        return f"Field({self.raw!r})"

    @property
    def value(self) -> bytes:
        """What stands after the colon, unfolded (the CRLFs removed) and without blanks at both ends."""
        return self.raw[self.raw.index(b":") + 1 :].replace(b"\r\n", b"").strip(b" \t")


def make(name: bytes, value: bytes) -> Field:
    """Make the field `Name: value`; the value holds no line end but CRLF before a blank."""
    return Field(name.lower(), b"%b: %b\r\n" % (name, value))


def resent_block(fields: list[Field]) -> tuple[int, int]:
    """Find the first resent block (RFC 5322 section 3.6.6) as a slice of the fields, empty if there is none.

    Resending puts a block of Resent- fields on top: it ends at any other field, and where a field that a block has once
    comes again (an older block follows it directly).
    """
    start = next((at for at, field in enumerate(fields) if field.name.startswith(b"resent-")), None)
    if start is None:
        return 0, 0
    once: set[bytes] = set()
    for end in range(start, len(fields)):
        name = fields[end].name
        if name in once or not name.startswith(b"resent-"):
            return start, end
        if name in (b"resent-from", b"resent-sender", b"resent-date", b"resent-message-id"):
            once.add(name)
    return start, len(fields)


class HeaderReader:
    """Split the header from the body while the message comes in.

    `fields` are complete and `rest` (the raw octets behind the header, so far as they were fed) is set once `feed`
    returned True or `finish` was called. `complete` says that a blank line ended the header; without one `rest` begins
    with the line that was no field. `removed` holds the mbox lines that were dropped.
    """

    __slots__ = (
        "_held",
        "_lines",
        "_name",
        "_number",
        "_open",
        "_over",
        "_pending",
        "_size",
        "complete",
        "fields",
        "removed",
        "rest",
    )

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self.rest = b""
        self.complete = False
        self.removed: list[bytes] = []
        self._pending = bytearray()  # a line whose end has not come yet
        self._open = False  # that line is known to belong to the header
        self._name = b""
        self._lines: list[bytes] = []  # of the field that may still be continued
        self._held: list[bytes] = []  # raw lines that the next line will judge
        self._size = 0
        self._number = 0  # of lines
        self._over = False

    @property
    def held(self) -> int:
        """How many octets of memory the header takes, about."""
        return self._size + self._number * _OF_A_LINE + len(self._pending)

    def feed(self, data: bytes) -> bool:
        """Take more of the message; True says that the header is over and that what comes next belongs to the body.

        Raises errors.DataError for a NUL in the header and for a header beyond all measure.
        """
        if self._over:
            self.rest += data
            return True
        if b"\n" in data:
            if self._pending:
                data = bytes(self._pending) + data
                self._pending.clear()
                self._open = False
            data = self._take_lines(data)
        if not self._over:
            self._pending += data
            if len(self._pending) > _ENOUGH:
                self._judge_unfinished()
        return self._over

    def finish(self) -> None:
        """Take the end of the input: what is left is a line without its line end."""
        if self._over:
            return
        last = bytes(self._pending)
        self._end(last if last and not self._take(last) else b"")

    def _take_lines(self, data: bytes) -> bytes:
        """Take the whole lines of the data; return the unfinished one behind them (b"" when the header is over)."""
        position = 0
        plain = b"\r" not in data and b"\0" not in data
        while end := data.find(b"\n", position) + 1:
            raw = data[position:end]
            if plain and raw[0] in b" \t" and self._lines and not self._held and not raw.isspace():
                # the thousands of lines of a list of recipients
                self._size += len(raw)
                self._number += 1
                self._lines.append(raw[:-1])
            elif not self._take(raw):
                self._end(data[end if self.complete else position :])
                return b""
            position = end
        self._check_size(self._size)
        return data[position:]

    def _take(self, raw: bytes) -> bool:
        """Take one line; False says that it ended the header: the blank line (then `complete` is set), or text."""
        line = _text(raw)
        if not line:
            if self._held and not self._lines:
                return False  # an mbox line and no field: all of it is text
            self._keep_blank_lines()
            self.complete = True
            return False
        if line[0] in b" \t":
            if not self._lines:
                return False
            self._count(raw)
            if not line.strip(b" \t"):
                self._held.append(raw)
                return True
            self._keep_blank_lines()
            self._lines.append(line)
            return True
        if name := _name_of(line):
            self._count(raw)
            self._begin(name, line)
            return True
        if not self._lines and len(raw) <= _ENOUGH and line.startswith((b"From ", b">From ")):
            self._held.append(raw)
            return True
        return False

    def _begin(self, name: bytes, line: bytes) -> None:
        if self._lines:
            self._keep_blank_lines()
            self._close_field()
        elif self._held:
            self.removed += [_text(raw) for raw in self._held]
            self._held.clear()
        self._name = name
        self._lines = [line]

    def _keep_blank_lines(self) -> None:
        if self._held:
            self._lines += [_text(raw) for raw in self._held]
            self._held.clear()

    def _close_field(self) -> None:
        if len(self.fields) >= MAX_FIELDS:
            raise errors.DataError(f"the header has more than {MAX_FIELDS} fields")
        self.fields.append(Field(self._name, b"\r\n".join(self._lines) + b"\r\n"))

    def _count(self, raw: bytes) -> None:
        self._size += len(raw)
        self._number += 1
        self._check_size(self._size)
        if b"\0" in raw:
            raise errors.DataError("NUL in the header of the message")

    def _check_size(self, size: int) -> None:
        if size > MAX_HEADER:
            raise errors.DataError(f"the header is larger than {MAX_HEADER >> 20} MiB")
        if self._number > MAX_LINES:
            raise errors.DataError(f"the header has more than {MAX_LINES} lines")

    def _judge_unfinished(self) -> None:
        """End the header at an unfinished line that cannot belong to it, so that a long line need not be kept."""
        if not self._open:
            line = bytes(self._pending[:_ENOUGH]).replace(b"\r", b" ")
            self._open = bool(self._lines) if line[0] in b" \t" else bool(_name_of(line))
        if self._open:
            self._check_size(self._size + len(self._pending))
        else:
            self._end(bytes(self._pending))

    def _end(self, rest: bytes) -> None:
        if self._held:
            if self._lines:  # lines of blanks, and no header after them: the first was the blank line
                self.complete = True
                del self._held[0]
            rest = b"".join(self._held) + rest
        if self._lines:
            self._close_field()
        self.rest = rest
        self._over = True
        self._pending.clear()


def _text(raw: bytes) -> bytes:
    """Return a line without its line end (LF, CR LF or CR CR LF), every other CR made a blank."""
    if raw.endswith(b"\n"):
        raw = raw[: -3 if raw.endswith(b"\r\r\n") else -2 if raw.endswith(b"\r\n") else -1]
    return raw.replace(b"\r", b" ") if b"\r" in raw else raw


def _name_of(line: bytes) -> bytes:
    """Return the field name at the beginning of the line in lower case, or b"" when the line begins no field."""
    colon = line.find(b":", 0, _LONGEST_NAME + 1)
    if colon < 1:
        return b""
    name = line[:colon].rstrip(b" \t")
    return b"" if name.translate(None, _NAME_OCTETS) else name.lower()
