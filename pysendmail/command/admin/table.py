"""A table that fits the terminal: columns of fixed width, and some that share what is left."""

import os

from pysendmail.command.console import elsewhere

_DEFAULT_WIDTH = 80
_GAP = 2
_CUT = "..."


def terminal_width(descriptor: int = 1) -> int:
    """Return the columns of the terminal, 80 where there is none."""
    away = elsewhere()
    if away is not None:
        return away.columns
    try:
        return os.get_terminal_size(descriptor).columns or _DEFAULT_WIDTH
    except OSError:
        return _DEFAULT_WIDTH


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    from unicodedata import category, east_asian_width

    if category(character) in ("Mn", "Me", "Cf"):  # a mark on the character before it, or nothing to be seen
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int, end: str = "") -> str:
    """Return `text` and `end` in exactly so many columns: filled with blanks, or `text` cut short, which dots show."""
    if not end and len(text) <= columns and text.isascii():
        return text.ljust(columns)
    room = max(columns - width(end), 0)
    if width(text) > room:
        mark = _CUT[:room]
        text = beginning(text, room - len(mark)) + mark
    line = text + end
    return line + " " * (columns - width(line))


def beginning(text: str, columns: int) -> str:
    """Return as much of `text` as so many columns hold."""
    if text.isascii():
        return text[:columns]
    for place, character in enumerate(text):
        columns -= _columns(character)
        if columns < 0:
            return text[:place]
    return text


class Column:
    """A column: its heading; its `columns` on the terminal, or at least so many where it is `flexible`; its side.

    Where a terminal is too narrow for all, those of the highest `spare` go first; 0 stays.
    """

    __slots__ = ("columns", "flexible", "heading", "right", "spare")

    def __init__(self, heading: str, columns: int, *, flexible: bool = False, right: bool = False, spare: int = 0) -> None:
        self.heading = heading
        self.columns = columns
        self.flexible = flexible
        self.right = right
        self.spare = spare


class Table:
    """The layout of columns on a terminal of some width; `row` makes the lines."""

    __slots__ = ("_places", "_width")

    def __init__(self, columns: list[Column], terminal: int) -> None:
        places = list(enumerate(columns))
        while _least(places) > terminal and any([column.spare for _, column in places]):
            places.remove(max(places, key=lambda place: place[1].spare))
        self._width = terminal
        self._places = _widened(places, terminal)

    def heading(self) -> str:
        """Return the line above the table."""
        return self._line([fit(column.heading, size) for column, _, size in self._places])

    def row(self, cells: "list[str | tuple[str, str]]") -> str:
        """Return the line for the cells of all columns, fit to be shown; of a pair the second part is never cut off."""
        parts = []
        for column, index, size in self._places:
            cell = cells[index]
            text, end = cell if isinstance(cell, tuple) else (cell, "")
            if column.right:
                text = text.rjust(size)
            parts.append(fit(text, size, end))
        return self._line(parts)

    def _line(self, parts: list[str]) -> str:
        line = (" " * _GAP).join(parts).rstrip()
        return (line if width(line) <= self._width else fit(line, self._width)) + "\n"


def _least(places: "list[tuple[int, Column]]") -> int:
    return sum([column.columns + _GAP for _, column in places]) - _GAP


def _widened(places: "list[tuple[int, Column]]", terminal: int) -> "list[tuple[Column, int, int]]":
    """Return each column with its index and its width, when the flexible ones have shared what is left."""
    left = max(terminal - _least(places), 0)
    sharers = len([column for _, column in places if column.flexible])
    widened = []
    for index, column in places:
        share = 0
        if column.flexible:
            share = left // sharers
            left -= share
            sharers -= 1
        widened.append((column, index, column.columns + share))
    return widened
