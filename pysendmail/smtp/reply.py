"""Replies of a server, cut out of the byte stream under strict limits (RFC 5321 section 4.2)."""

from pysendmail.errors import ProtocolError

LINE_LIMIT = 4096  # octets kept of one line; the rest of it is skipped
LINES_LIMIT = 512  # lines of one reply
TEXT_LIMIT = 4096  # octets of a reply that are kept for the log; a hostile one to each recipient would add up
REPLY_LIMIT = 262144  # octets of one reply, the skipped ones included


class Reply:
    """One complete reply: its code, and the text of each line after the code."""

    __slots__ = ("code", "lines")

    def __init__(self, code: int, lines: list[bytes]) -> None:
        self.code = code
        self.lines = lines

    @property
    def kind(self) -> int:
        """The first digit: 2 done, 3 go on, 4 not now, 5 refused."""
        return self.code // 100

    @property
    def text(self) -> bytes:
        """The lines joined by blanks, behind the code, as the log shows them."""
        return (b"%d %s" % (self.code, b" ".join(line.strip() for line in self.lines)))[:TEXT_LIMIT]

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 3463), or None where there is none or it is of another class than the code."""
        if not self.lines:
            return None
        word = self.lines[-1].split(b" ", 1)[0]
        parts = word.split(b".")
        if len(parts) != 3 or len(parts[0]) != 1 or not all(p.isdigit() and len(p) <= 3 for p in parts):
            return None
        return word.decode("ascii") if int(parts[0]) == self.kind else None

    @property
    def status(self) -> str:
        """The enhanced status code, made up from the code where the server gave none."""
        return self.enhanced or f"{self.kind}.0.0"

    def __repr__(self) -> str:
        return f"Reply({self.code}, {self.lines!r})"


class ReplyReader:
    """Turn octets into replies, however they are split."""

    __slots__ = ("_buffer", "_code", "_kept", "_lines", "_octets", "error")

    def __init__(self) -> None:
        self.error: ProtocolError | None = None
        self._buffer = b""
        self._kept: bytes | None = None  # the beginning of an overlong line whose end has not come yet
        self._lines: list[bytes] = []
        self._code = 0
        self._octets = 0

    @property
    def partial(self) -> bool:
        """Whether octets were received that do not make a whole reply yet."""
        return bool(self._buffer or self._lines or self._kept is not None)

    def feed(self, data: bytes) -> list[Reply]:
        """Take octets and return the replies that they complete.

        What is no reply (a line without a code, codes that change within a reply, a reply beyond the limits) is kept
        in `error`, so that the replies before it still count; nothing is read after it.
        """
        replies: list[Reply] = []
        if self.error is None:
            try:
                self._read(data, replies)
            except ProtocolError as error:
                self.error = error
        return replies

    def _read(self, data: bytes, replies: list[Reply]) -> None:
        lines = (self._buffer + data).split(b"\n")
        self._buffer = lines.pop()
        for line in lines:
            self._octets += len(line) + 1
            if self._kept is not None:
                line, self._kept = self._kept, None
            self._line(line, replies)
        if self._kept is not None or len(self._buffer) > LINE_LIMIT:
            self._octets += len(self._buffer)
            if self._kept is None:
                self._kept = self._buffer[:LINE_LIMIT]
            self._buffer = b""
        if self._octets > REPLY_LIMIT:
            raise ProtocolError("the server's reply is longer than any SMTP reply may be")

    def _line(self, line: bytes, replies: list[Reply]) -> None:
        line = line[:LINE_LIMIT].removesuffix(b"\r")
        digits, mark = line[:3], line[3:4]
        if len(digits) != 3 or not digits.isdigit() or digits[0] not in b"2345" or mark not in (b"", b" ", b"-"):
            raise ProtocolError("the server does not speak SMTP: its answer has no reply code")
        code = int(digits)
        if self._lines and code != self._code:
            raise ProtocolError("the server does not speak SMTP: the reply code changes within a reply")
        self._code = code
        self._lines.append(line[4:])
        if mark == b"-":
            if len(self._lines) >= LINES_LIMIT or self._octets > REPLY_LIMIT:
                raise ProtocolError("the server's reply has more lines than any SMTP reply may have")
            return
        replies.append(Reply(code, self._lines))
        self._lines = []
        self._octets = 0
