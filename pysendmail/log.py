"""Text that is fit to be shown: masking of secrets, removal of control characters, and the lines of the log.

Everything that a server, a message or a caller said passes through `printable` before it reaches stderr, a log or a
report. Log lines have Postfix's shape, so that pflogsumm, logwatch and habit can read them.
"""

import os
from binascii import b2a_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pysendmail.system_log import SystemLog

_SYSTEM_LOG = "/dev/log"
_WARNING, _INFO = 4, 6  # of syslog(3)
_CLOCK = len("Nov  1 12:34:56")
REPLY_LIMIT = 1024
_SHORTEST_SECRET = 3
_SHORTEST_FOLDED = 8  # the pieces of anything shorter are found by chance
_HEAD = 12  # a server that repeats a command may cut it; from so many octets on the beginning of a long secret goes too
_HIDDEN = b"****"
_BLANKS = bytes(range(0x20)) + b"\x7f"
_TO_BLANK = bytes.maketrans(_BLANKS, b"?" * len(_BLANKS))
# C1 controls, line and paragraph separators, and what changes the direction of text (Unicode Bidi_Control)
_DANGEROUS = dict.fromkeys(
    [*range(0x80, 0xA0), 0xAD, 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF], "?"
)


def printable(text: bytes | str, limit: int = REPLY_LIMIT) -> str:
    """Return `text` as one line without C0, C1 and bidirectional controls, of at most `limit` characters."""
    if len(text) <= limit and text.isascii():
        plain = text if isinstance(text, str) else text.decode("ascii")
        if plain.isprintable():
            return plain
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if len(raw) > 4 * limit:
        raw = raw[: 4 * limit]
    clean = raw.replace(b"\r\n", b" ").replace(b"\t", b" ").translate(_TO_BLANK)
    if clean.isascii():
        line = clean.decode("ascii")
    else:
        line = clean.decode("utf-8", "backslashreplace").translate(_DANGEROUS)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def dialogue_line(direction: str, line: bytes) -> str:
    """Return one line of an SMTP dialogue as -v shows it: sent (">"), received ("<"), or said of the connection ("=")."""
    mark = {">": "--> ", "<": "<-- "}.get(direction, "=== ")
    return f"{mark}{printable(line)}\n"


class Masker:
    """Replace known secrets, raw and in base64 at each of its three alignments, by asterisks.

    Where a secret stands in pieces, as in a reply that a server has folded, the whole text is replaced; where a long
    one is cut off, what there is of it. What a server gives away on purpose, backwards or in another code, cannot be
    recognised.
    """

    __slots__ = ("_folded", "_heads", "_needles")

    def __init__(self, secrets: "Iterable[bytes]" = ()) -> None:
        self._needles: list[bytes] = []
        self._folded: list[bytes] = []
        self._heads: list[tuple[bytes, bytes]] = []  # the beginning of each long needle, and all of it
        self.add(secrets)

    def add(self, secrets: "Iterable[bytes]") -> None:
        """Mask these secrets too."""
        needles = set(self._needles)
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                needles.add(secret)
                needles.update(_base64_forms(secret))
        self._needles = sorted(needles, key=len, reverse=True)
        self._folded = [needle for needle in map(_unfolded, self._needles) if len(needle) >= _SHORTEST_FOLDED]
        self._heads = [(needle[:_HEAD], needle) for needle in self._needles if len(needle) > 2 * _HEAD]

    def mask(self, text: bytes) -> bytes:
        """Return `text` with every secret in it replaced."""
        return self.mask_lines([text])[0]

    def mask_lines(self, lines: list[bytes]) -> list[bytes]:
        """Return the lines of one reply with every secret in them replaced, also one that goes over several lines."""
        if not self._needles:
            return lines
        lines = [self._without_wholes(line) for line in lines]
        if self._has_pieces(b" ".join(lines)):
            return [_HIDDEN] * len(lines)
        return [self._without_beginnings(line) for line in lines]

    def _without_wholes(self, text: bytes) -> bytes:
        for needle in self._needles:
            if needle in text:
                text = text.replace(needle, _HIDDEN)
        return text

    def _has_pieces(self, text: bytes) -> bool:
        together = _unfolded(text)
        return any([needle in together for needle in self._folded])

    def _without_beginnings(self, text: bytes) -> bytes:
        for head, needle in self._heads:
            if head in text:
                text = _without_beginning(text, needle)
        return text


def _without_beginning(text: bytes, needle: bytes) -> bytes:
    """Replace each beginning of `needle` in `text`, as far as it goes."""
    pieces = []
    while (at := text.find(needle[:_HEAD])) >= 0:
        end = _HEAD
        while text[at + end : at + end + 1] == needle[end : end + 1] != b"":
            end += 1
        pieces += [text[:at], _HIDDEN]
        text = text[at + end :]
    return b"".join(pieces) + text


def _unfolded(text: bytes) -> bytes:
    """Return `text` without blanks and without the status codes that stand at the beginning of each line of a reply."""
    words = text.split()
    return b"".join([word for word in words if word.count(b".") != 2 or not word.replace(b".", b"").isdigit()])


def _base64_forms(secret: bytes) -> "list[bytes]":
    """Return what any base64 text that holds `secret` must contain, for the three places where it may begin."""
    forms = [b2a_base64(secret, newline=False).rstrip(b"=")]
    for before in range(3):
        text = b2a_base64(bytes(before) + secret, newline=False)
        first = (8 * before + 5) // 6
        last = 8 * (before + len(secret)) // 6
        if last - first >= 4:
            forms.append(text[first:last])
    return forms


_ID_DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZ"  # without vowels, as Postfix has them: some parsers take no others


def queue_id(now: float, pid: int) -> str:
    """Return an id of upper-case letters and digits, unique on this machine: time in microseconds and process id."""
    number = (int(now * 1_000_000) << 22) | (pid & 0x3FFFFF)
    digits = []
    while number:
        number, digit = divmod(number, len(_ID_DIGITS))
        digits.append(_ID_DIGITS[digit])
    return "".join(reversed(digits))


def delays_text(delays: "tuple[float, float, float, float]") -> str:
    """Return the part of a delivery's line that says how long it took: before the queue, in it, connecting, sending."""
    return f"delay={_seconds(sum(delays))}, delays={'/'.join(map(_seconds, delays))}"


def _seconds(value: float) -> str:
    """Write seconds with two significant digits, and never more than two behind the point, as Postfix does."""
    if value >= 9.95:
        return f"{value:.0f}"
    text = f"{value:.1f}" if value >= 0.995 else f"{max(value, 0.0):.2f}"
    return text.rstrip("0").rstrip(".")


class Log:
    """Where lines go: syslog, a file, both or neither. What cannot be written is dropped: a log fails no message."""

    __slots__ = ("_facility", "_path", "tag")

    stamped = (-1, "")  # the second of the last line, and how it is written: many lines have the same
    _system: "SystemLog | None" = None  # there is one for all of them

    def __init__(self, facility: str | None = "LOG_MAIL", path: str | None = None, tag: str = "pysendmail") -> None:
        # Without a system log each line would cost a new attempt to reach it.
        self._facility = facility if facility and os.path.exists(_SYSTEM_LOG) else None
        self._path = path
        self.tag = tag

    def write(self, part: str, line: str, now: float, warning: bool = False) -> None:
        """Write one line under the name `tag/part`; `now` is the time of the event in seconds since the epoch."""
        self.write_all(part, [(line, warning)], now)

    def write_all(self, part: str, lines: "list[tuple[str, bool]]", now: float) -> None:
        """Write lines of one part, each with whether it is a warning."""
        self.write_parts([(part, lines)], now)

    def write_parts(self, parts: "list[tuple[str, list[tuple[str, bool]]]]", now: float) -> None:
        """Write the lines of several parts, in this order."""
        if self._facility:
            system = Log._system
            if system is None:
                from pysendmail.system_log import SystemLog

                system = Log._system = SystemLog(_SYSTEM_LOG)
            clock = _stamp(now)[:_CLOCK]
            for part, lines in parts:
                for line, warning in lines:
                    system.write(self._facility, _WARNING if warning else _INFO, clock, f"{self.tag}/{part}", line)
        if self._path:
            stamp, pid = _stamp(now), os.getpid()
            heads = [(f"{stamp} {self.tag}/{part}[{pid}]: ", lines) for part, lines in parts]
            self._append("".join([f"{head}{line}\n" for head, lines in heads for line, _ in lines]))

    @staticmethod
    def reopen() -> None:
        """Forget the connection to the system's log; a child process needs one of its own."""
        Log._system = None

    def _append(self, line: str) -> None:
        if self._path == "/dev/stderr":
            # Whose it is may not be allowed to open it anew, as the daemon in a container.
            try:
                os.write(2, line.encode("utf-8", "backslashreplace"))
            except OSError:
                pass  # as below
            return
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
            fd = os.open(str(self._path), flags, 0o600)
        except (OSError, ValueError):
            return
        try:
            os.write(fd, line.encode("utf-8", "backslashreplace"))
        except OSError:
            pass  # a full disk under the log is no reason to fail a message that the smarthost has accepted
        finally:
            os.close(fd)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _stamp(now: float) -> str:
    """Return the time in the traditional form of syslog files, in local time, and the name of this machine."""
    second = int(now)
    known, text = Log.stamped
    if known != second:
        from time import localtime

        t = localtime(second)
        clock = f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}"
        text = f"{_MONTHS[t.tm_mon - 1]} {t.tm_mday:2d} {clock} {os.uname().nodename.split('.')[0]}"
        Log.stamped = (second, text)
    return text
