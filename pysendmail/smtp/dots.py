"""The end of a message that is being received: the lone dot, with the dots before other lines taken off again, and the
line ends that a strict server insists on (RFC 5321 sections 2.3.8, 4.1.1.4 and 4.5.2).

Two readers that see the end of a message in different places are what SMTP smuggling lives on. So the strict manner
knows one line end, CRLF, and anything else that contains a CR or an LF is a fault that ends the connection. The lenient
manner is for a caller on a pipe, whose message never passed through another server: LF, CRLF and CR CR LF end a line
there, as they do for a message on standard input.

All work is done on whole pieces by the bytes type. How the input was cut never matters: what could be the beginning of
the end is held back until the next octets tell.
"""


# The longest first: its beginnings are those of the others too.
_STRICT = (b"\r\n.\r\n",)
_LENIENT = (b"\n.\r\r\n", b"\n.\r\n", b"\n.\n")
_OTHERS = bytes(octet for octet in range(256) if octet not in b"\r\n")


class DotReader:
    """Take a message as DATA sends it, and return its text as it came but for the dots."""

    __slots__ = ("_ends", "_fresh", "_held", "_strict", "fault")

    def __init__(self, strict: bool) -> None:
        self.fault = ""  # the line end that is none, once one was seen
        self._strict = strict
        self._ends = _STRICT if strict else _LENIENT
        self._held = self._ends[0][: 2 if strict else 1]  # as if a line had just ended
        self._fresh = True

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Return the text that is complete by now, and what stands behind the message's end, None before that."""
        data = self._held + data
        end, after = _find_end(data, self._ends)
        if after:
            text, rest = data[:end], data[after:]
        else:
            keep = len(data) - self._unclear(data)
            text, rest = data[:keep], None
            self._held = data[keep:]
        if self._strict:
            self.fault = line_end_fault(text)
            text = text.replace(b"\r\n.", b"\r\n") if b"." in text else text
        elif b"." in text:
            text = text.replace(b"\n.", b"\n")
        if self._fresh and text:
            self._fresh = False
            text = text[2 if self._strict else 1 :]
        return text, rest

    def _unclear(self, data: bytes) -> int:
        """Return how many octets at the end of the data may begin the message's end."""
        end = self._ends[0]
        for size in range(len(end) - 1, 0, -1):
            if data.endswith(end[:size]):
                return size
        return 0


class LineEnds:
    """Look for line ends that are none in text that comes in pieces, for a message that BDAT sends."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = b""

    def feed(self, data: bytes) -> str:
        """Return what the fault is, "" if there is none so far."""
        data = self._half + data
        self._half = b"\r" if data.endswith(b"\r") else b""
        return line_end_fault(data[:-1] if self._half else data)

    def finish(self) -> str:
        """Return what the fault is with the end of the text."""
        return "bare CR" if self._half else ""


def line_end_fault(text: bytes) -> str:
    """Return "bare LF" or "bare CR" for the first of them in the text, "" if there is none."""
    pairs = text.count(b"\r\n")
    if text.count(b"\n") == pairs == text.count(b"\r"):
        return ""
    stray = text.replace(b"\r\n", b"").translate(None, _OTHERS)
    return "bare LF" if stray[0] == 10 else "bare CR"


def _find_end(data: bytes, ends: tuple[bytes, ...]) -> tuple[int, int]:
    """Return where the text ends and where what follows the message begins; (0, 0) if its end is not there."""
    best = (0, 0)
    for end in ends:
        at = data.find(end)
        if at >= 0 and (not best[1] or at < best[0]):
            best = (at, at + len(end))
    if not best[1]:
        return best
    return best[0] + ends[0].index(b"."), best[1]  # the line end before the dot belongs to the text
