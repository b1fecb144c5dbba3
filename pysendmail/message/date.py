"""Read the date of a header field: RFC 5322 with its obsolete forms, and that of asctime(3), which some servers write."""

from pysendmail.message.tokens import COMMENT, tokens

_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_DAYS = (b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun")
_ZONES = {
    b"ut": 0, b"utc": 0, b"gmt": 0, b"z": 0, b"est": -300, b"edt": -240, b"cst": -360, b"cdt": -300, b"mst": -420,
    b"mdt": -360, b"pst": -480, b"pdt": -420, b"cet": 60, b"cest": 120, b"bst": 60,
}  # fmt: skip
_LONGEST = 400  # octets; no date is longer, whatever its comments say


class Moment:
    """A date that was read: seconds since the epoch, and the minutes that its zone is east of UTC.

    `zone` is None where it names none that is known; the time is then taken for UTC, as RFC 5322 section 4.3 says.
    """

    __slots__ = ("seconds", "zone")

    def __init__(self, seconds: float, zone: int | None) -> None:
        self.seconds = seconds
        self.zone = zone


def read(text: bytes) -> Moment | None:
    """Read a date; None if it is none."""
    text = text[:_LONGEST]
    plain = b"".join([b" " if kind == COMMENT else text[start:end] for kind, start, end in tokens(text)])
    words = b":".join([part.strip() for part in plain.lower().split(b":")]).replace(b",", b" ").split()
    if words and words[0][:3] in _DAYS and words[0].isalpha():
        del words[0]
    if len(words) >= 4 and words[0].isalpha():  # asctime: Nov 28 02:21:49 [CET] 2026
        month, day, clock, *rest = words
        zone, year = rest[:-1], rest[-1]
    elif len(words) >= 4:
        day, month, year, clock, *zone = words
    else:
        return None
    return _moment(day, month, year, clock, zone[0] if zone else b"")


def _moment(day: bytes, month: bytes, year: bytes, clock: bytes, zone: bytes) -> Moment | None:
    from datetime import UTC, datetime

    parts = clock.split(b":")
    numbers = [day, year, *parts]
    if month[:3] not in _MONTHS or len(parts) not in (2, 3):
        return None
    if not all([part.isdigit() and len(part) < 5 for part in numbers]):
        return None
    hour, minute, second = [int(part) for part in [*parts, b"0"][:3]]
    if second > 60:
        return None
    east = _zone(zone)
    try:
        start = datetime(_year(year), _MONTHS.index(month[:3]) + 1, int(day), hour, minute, tzinfo=UTC)
    except ValueError:
        return None
    return Moment(start.timestamp() + second - 60 * (east or 0), east)


def _year(digits: bytes) -> int:
    """Read a year, of two or three digits as RFC 5322 section 4.3 says."""
    year = int(digits)
    if len(digits) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(digits) == 3 else year


def _zone(word: bytes) -> int | None:
    sign, digits = word[:1], word[1:]
    if sign in (b"+", b"-") and len(digits) == 4 and digits.isdigit() and digits[2:] < b"60":
        east = int(digits[:2]) * 60 + int(digits[2:])
        return -east if sign == b"-" else east
    return _ZONES.get(word)
