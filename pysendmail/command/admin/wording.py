"""Numbers, times and addresses in the words that the commands for the queue use."""

import os
from time import asctime, localtime, strftime

from pysendmail.log import REPLY_LIMIT, printable

_UNITS = ((604800, "w", "week"), (86400, "d", "day"), (3600, "h", "hour"), (60, "m", "minute"), (1, "s", "second"))
_PREFIXES = "-KMGTPEZY"
_ADDRESS_LIMIT = 320


def number(count: int, noun: str) -> str:
    """Return `1 message`, `2 messages`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def octets(size: int) -> str:
    """Return a size in at most five characters: `512`, `4.2K`, `13M`."""
    if size < 1000:
        return str(size)
    value = float(size)
    power = 0
    while value >= 999.5:
        value /= 1024
        power += 1
    return f"{value:.1f}{_PREFIXES[power]}" if value < 9.95 else f"{value:.0f}{_PREFIXES[power]}"


def volume(size: int) -> str:
    """Return a size as it stands in a sentence: `512 octets`, `4.2K`."""
    return f"{octets(size)} octets" if size < 1000 else octets(size)


def span(seconds: float) -> str:
    """Return a length of time in its largest unit, in few characters: `5m`, `2d`."""
    length, short, _ = _unit(seconds)
    return f"{int(max(seconds, 0) // length)}{short}"


def duration(seconds: float) -> str:
    """Return a length of time in its largest unit: `5 minutes`."""
    length, _, noun = _unit(seconds)
    return number(int(max(seconds, 0) // length), noun)


def _unit(seconds: float) -> tuple[int, str, str]:
    """Return the largest unit of which there are two, or seconds."""
    return next((unit for unit in _UNITS if seconds >= 2 * unit[0]), _UNITS[-1])


def ago(then: float, now: float) -> str:
    """Return how long ago something was."""
    return f"{duration(now - then)} ago"


def moment(seconds: float) -> str:
    """Return a time since the epoch as local date and time."""
    try:
        return asctime(localtime(seconds))
    except (OverflowError, OSError, ValueError):  # no time that a calendar has
        return f"{seconds:.0f} seconds since 1970"


def instant(seconds: float, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a time since the epoch as local date and time, with milliseconds."""
    try:
        return f"{strftime(form, localtime(seconds))}.{int(seconds * 1000) % 1000:03d}"
    except (OverflowError, OSError, ValueError):  # no time that a calendar has
        return f"{seconds:.3f}"


def zone(seconds: float) -> str:
    """Return how far local time is from UTC at a time: `+0100`."""
    try:
        return strftime("%z", localtime(seconds))
    except (OverflowError, OSError, ValueError):
        return ""


def address(raw: bytes) -> str:
    """Return an address fit to be shown, `<>` for the null sender."""
    return printable(raw, _ADDRESS_LIMIT) or "<>"


def login(uid: int) -> str:
    """Return a user's number, with his name if he has one."""
    import pwd

    try:
        return f"{uid} ({pwd.getpwuid(uid).pw_name})"
    except (KeyError, OverflowError):
        return str(uid)


def shown(text: "str | bytes", limit: int = REPLY_LIMIT) -> str:
    """Return what may hold anything as one line of at most `limit` characters."""
    return printable(os.fsencode(text) if isinstance(text, str) else text, limit)
