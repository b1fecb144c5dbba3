"""Text that is fit to be shown: masking of secrets, removal of control characters, and the lines of the log.

Everything that a server, a message or a caller said passes through `printable` before it reaches stderr, a log or a
report. Log lines have Postfix's shape, so that pflogsumm, logwatch and habit can read them.
"""

import os
import syslog as _syslog
from binascii import b2a_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

REPLY_LIMIT = 1024
_SHORTEST_SECRET = 3
_BLANKS = bytes(range(0x20)) + b"\x7f"
_TO_BLANK = bytes.maketrans(_BLANKS, b"?" * len(_BLANKS))
# C1 controls, line and paragraph separators, and what changes the direction of text (Unicode Bidi_Control)
_DANGEROUS = dict.fromkeys(
    [*range(0x80, 0xA0), 0xAD, 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF], "?"
)


def printable(text: bytes | str, limit: int = REPLY_LIMIT) -> str:
    """Return `text` as one line without C0, C1 and bidirectional controls, of at most `limit` characters."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if len(raw) > 4 * limit:
        raw = raw[: 4 * limit]
    clean = raw.replace(b"\r\n", b" ").replace(b"\t", b" ").translate(_TO_BLANK)
    if clean.isascii():
        line = clean.decode("ascii")
    else:
        line = clean.decode("utf-8", "backslashreplace").translate(_DANGEROUS)
    return line if len(line) <= limit else line[: limit - 3] + "..."


class Masker:
    """Replace known secrets, raw and in base64 at each of its three alignments, by asterisks."""

    __slots__ = ("_needles",)

    def __init__(self, secrets: "Iterable[bytes]" = ()) -> None:
        needles = set()
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                needles.add(secret)
                needles.update(_base64_forms(secret))
        self._needles = sorted(needles, key=len, reverse=True)

    def mask(self, text: bytes) -> bytes:
        """Return `text` with every secret in it replaced."""
        for needle in self._needles:
            if needle in text:
                text = text.replace(needle, b"****")
        return text


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


def queue_id(now: float, pid: int) -> str:
    """Return an id of upper-case letters and digits, unique on this machine: time in microseconds and process id."""
    number = (int(now * 1_000_000) << 22) | (pid & 0x3FFFFF)
    digits = []
    while number:
        number, digit = divmod(number, 36)
        digits.append("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit])
    return "".join(reversed(digits))


def delivery_line(
    recipient: bytes, relay: str, delay: float, delays: "tuple[float, float, float, float]", dsn: str, status: str, text: str
) -> str:
    """Return the line that tells one recipient's outcome, without the queue id; `delay` and `delays` in seconds."""
    parts = "/".join(_seconds(value) for value in delays)
    return (
        f"to=<{printable(recipient, 320)}>, relay={relay}, delay={_seconds(delay)}, delays={parts}, "
        f"dsn={dsn}, status={status} ({text})"
    )


def _seconds(value: float) -> str:
    """Write seconds with two significant digits, as Postfix does."""
    if value <= 0:
        return "0"
    return f"{value:.0f}" if value >= 9.95 else f"{value:.2g}"


class Log:
    """Where lines go: syslog, a file, both or neither. What cannot be written is dropped: a log fails no message."""

    __slots__ = ("_facility", "_path", "_tag")

    def __init__(self, facility: str | None = "LOG_MAIL", path: str | None = None, tag: str = "pysendmail") -> None:
        self._facility = facility
        self._path = path
        self._tag = tag

    def write(self, part: str, line: str, now: float, warning: bool = False) -> None:
        """Write one line under the name `tag/part`; `now` is the time of the event in seconds since the epoch."""
        if self._facility:
            _syslog.openlog(f"{self._tag}/{part}", _syslog.LOG_PID, getattr(_syslog, self._facility, _syslog.LOG_MAIL))
            _syslog.syslog(_syslog.LOG_WARNING if warning else _syslog.LOG_INFO, line)
        if self._path:
            self._append(f"{_stamp(now)} {self._tag}/{part}[{os.getpid()}]: {line}\n")

    def _append(self, line: str) -> None:
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
    """Return the time in the traditional form of syslog files, in local time."""
    from time import localtime

    t = localtime(now)
    return f"{_MONTHS[t.tm_mon - 1]} {t.tm_mday:2d} {t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} {os.uname().nodename.split('.')[0]}"
