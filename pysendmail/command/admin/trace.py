"""pysendmail trace: the way that a message has come, by its Received fields, the oldest first."""

import os
from time import localtime, strftime, time

from pysendmail import errors
from pysendmail.command.admin import queue_object, wording
from pysendmail.command.admin.rows import wrap
from pysendmail.command.admin.table import Column, Table, terminal_width
from pysendmail.command.output import Gone, Output
from pysendmail.message import journey
from pysendmail.message.header import HeaderReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from typing import Any

    from pysendmail.message.date import Moment
    from pysendmail.message.header import Field
    from pysendmail.message.hop import Party
    from pysendmail.message.journey import Journey, Stop

_PIECE = 262144
_COLUMNS = [
    Column("#", 4, right=True),
    Column("TIME", 19, spare=4),
    Column("DELAY", 8, right=True),
    Column("FROM", 10, flexible=True, spare=2),
    Column("BY", 10, flexible=True),
    Column("WITH", 8, spare=5),
    Column("", 12, flexible=True, spare=3),
]
_BAR = len(_COLUMNS) - 1
_SIGN = "    ! "


def add_parser(commands: "Any") -> None:
    """Add the subcommand to the parser of the command line."""
    parser: ArgumentParser = commands.add_parser(
        "trace",
        help="show by which servers a message came, and where it waited",
        description="Read a message that has arrived, and show its hops with their delays, the oldest first.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("file", metavar="FILE", help="the file with the message, - for standard input")


def run(asked: "Namespace") -> int:
    """Show the way of a message. Raises NoInput, InputError and DataError."""
    found = journey.follow(_header(asked.file), time())
    output = Output()
    try:
        if asked.json:
            output.write(queue_object.line(_object(found)))
        else:
            for line in _lines(found, terminal_width()):
                output.write(line)
        output.flush()
    except Gone:
        pass  # as after | head
    return 0


def _header(name: str) -> "list[Field]":
    """Read the header of the message in a file."""
    place = "standard input" if name == "-" else wording.shown(name)
    try:
        descriptor = 0 if name == "-" else os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file has this name"
        raise errors.NoInput(f"cannot be read: {reason}", place) from None
    reader = HeaderReader()
    some = False
    try:
        while data := os.read(descriptor, _PIECE):
            some = True
            if reader.feed(data.replace(b"\0", b"?")):  # whoever put it there hides nothing by it
                break
    except OSError as error:
        raise errors.InputError(f"cannot be read: {error.strerror}", place) from None
    finally:
        if descriptor:
            os.close(descriptor)
    reader.finish()
    if not some:
        raise errors.DataError("there is no message in it", place)
    if not reader.fields:
        raise errors.DataError("it does not begin with the header of a message", place)
    return reader.fields


def _lines(found: "Journey", terminal: int) -> "Iterator[str]":
    if not found.stops:
        yield "It has no Received field: no server has passed it on.\n"
        return
    table = Table(_COLUMNS, terminal)
    yield table.heading()
    scale = _Scale(found)
    room = max(terminal - sum([column.columns + 2 for column in _COLUMNS[:_BAR]]), 12) // 3 + 6
    for number, stop in enumerate(found.stops, 1):
        yield table.row(_cells(number, stop, scale.bar(stop, min(room, 40))))
        for kind, text in stop.signs:
            for index, line in enumerate(wrap(f"{kind}: {wording.shown(text)}", max(terminal - len(_SIGN), 20))):
                yield f"{_SIGN if not index else ' ' * len(_SIGN)}{line}\n"
    yield "\n"
    if found.left_out:
        yield f"{wording.number(found.left_out, 'older hop')} left out: a loop, or forged.\n"
    yield from _summary(found)


def _summary(found: "Journey") -> "Iterator[str]":
    first = next((stop.hop.when for stop in found.stops if stop.hop.when is not None), None)
    if found.total is not None:
        yield f"From the first hop to the last: {_signed(found.total)}.\n"
    if found.written is not None and first is not None:
        passed = first.seconds - found.written.seconds
        relation = f"{journey.span(passed)} before" if passed >= 0 else f"{journey.span(-passed)} after"
        yield f"Its Date is {_time(found.written)}, {relation} the first hop.\n"
    doubtful = sum([1 for stop in found.stops if stop.signs])
    if doubtful:
        yield f"{wording.number(doubtful, 'hop')} of {len(found.stops)} with something odd, marked by !\n"


def _cells(number: int, stop: "Stop", bar: str) -> "list[str | tuple[str, str]]":
    hop = stop.hop
    return [
        str(number),
        "" if hop.when is None else _time(hop.when),
        "" if stop.delay is None else _signed(stop.delay),
        _party(hop.origin) or wording.shown(hop.comment, 200),
        _party(hop.by),
        wording.shown(hop.protocol, 40),
        bar,
    ]


def _party(party: "Party") -> str:
    return wording.shown(journey.shown(party), 300)


def _signed(seconds: float) -> str:
    return f"-{journey.span(-seconds)}" if seconds < 0 else journey.span(seconds)


def _time(when: "Moment") -> str:
    """Return the local time of a date."""
    try:
        return strftime("%Y-%m-%d %H:%M:%S", localtime(when.seconds))
    except (OverflowError, OSError, ValueError):  # no time that a calendar has
        return f"{when.seconds:.0f}"


class _Scale:
    """The scale of the bars: where on the way a delay lies, and how long it was."""

    __slots__ = ("_first", "_length")

    def __init__(self, found: "Journey") -> None:
        times = [stop.hop.when.seconds for stop in found.stops if stop.hop.when is not None]
        self._first = min(times, default=0.0)
        self._length = max(times, default=0.0) - self._first

    def bar(self, stop: "Stop", columns: int) -> str:
        """Return the bar of a stop: `#` for the time since the one before, `<` where that is less than none."""
        when, delay = stop.hop.when, stop.delay
        if when is None or columns < 1:
            return ""
        end = self._column(when.seconds, columns)
        if delay is None or delay == 0:
            return " " * min(end, columns - 1) + "|"
        begin = self._column(when.seconds - abs(delay) if delay > 0 else when.seconds, columns)
        if delay < 0:
            end = self._column(when.seconds - delay, columns)
        begin = min(begin, columns - 1)
        return " " * begin + ("#" if delay > 0 else "<") * max(end - begin, 1)

    def _column(self, seconds: float, columns: int) -> int:
        return round((seconds - self._first) / self._length * columns) if self._length > 0 else 0


def _object(found: "Journey") -> "dict[str, object]":
    return {
        "written": None if found.written is None else found.written.seconds,
        "total": found.total,
        "left_out": found.left_out,
        "hops": [_hop_object(number, stop) for number, stop in enumerate(found.stops, 1)],
    }


def _hop_object(number: int, stop: "Stop") -> "dict[str, object]":
    hop = stop.hop
    return {
        "number": number,
        "from": _party_object(hop.origin),
        "by": _party_object(hop.by),
        "with": hop.protocol or None,
        "id": hop.id or None,
        "for": hop.recipient or None,
        "comment": hop.comment or None,
        "time": None if hop.when is None else hop.when.seconds,
        "zone": None if hop.when is None else hop.when.zone,
        "delay": stop.delay,
        "signs": [{"kind": kind, "text": text} for kind, text in stop.signs],
    }


def _party_object(party: "Party") -> "dict[str, str | None]":
    return {"name": party.name or None, "reverse": party.reverse or None, "address": party.address or None}
