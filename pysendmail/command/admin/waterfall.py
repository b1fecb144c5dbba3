"""The time that an attempt took as a bar: a dot for what the message had waited before, then connecting, then sending.

Bars of one message have one scale, so that they can be compared; what took any time at all is to be seen.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.queue.sights import Leg

_SIGNS = ".-#"
_MOST = 1e10  # seconds


def length(leg: "Leg") -> float:
    """Return how long it was from the arrival of the message to the end of the attempt, in seconds."""
    return sum(_parts(leg))


def bar(leg: "Leg", longest: float, columns: int) -> str:
    """Return the bar of a leg, where `longest` seconds take `columns`."""
    parts = _parts(leg)
    if columns < len(_SIGNS) or longest <= 0:
        return ""
    sizes = [_size(part, longest, columns) for part in parts]
    while sum(sizes) > columns:  # what was lifted to one column is taken from the largest
        sizes[sizes.index(max(sizes))] -= 1
    return "".join([sign * size for sign, size in zip(_SIGNS, sizes, strict=True)])


def numbers(leg: "Leg") -> str:
    """Return the three times in words."""
    waiting, connecting, sending = _parts(leg)
    return f"waited {seconds(waiting)}, connected {seconds(connecting)}, sent {seconds(sending)}"


def seconds(value: float) -> str:
    """Return a length of time with milliseconds, or in larger units where those say nothing any more."""
    if value < 100:
        return f"{value:.3f}s"
    whole = round(value)
    if whole < 6000:
        return f"{whole // 60}m{whole % 60:02d}s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}h{minutes:02d}m" if hours < 100 else f"{hours // 24}d{hours % 24:02d}h"


def _size(part: float, longest: float, columns: int) -> int:
    return max(1, min(columns, round(part / longest * columns))) if part > 0 else 0


def _parts(leg: "Leg") -> tuple[float, float, float]:
    """Return the three times, none below zero and none beyond all sense: clocks are set."""
    return _sane(leg.waiting), _sane(leg.connecting), _sane(leg.sending)


def _sane(value: float) -> float:
    return min(max(value, 0.0), _MOST)
