"""Lines of a label and a text on a terminal: the text goes on below itself where it is too long."""

from pysendmail.command.admin.table import beginning, fit, width

_LABEL = 13
_GAP = 1
_SMALLEST = 20  # columns; whoever has fewer sees lines that are broken once more
_LINES = 12  # that one text may take; what a server says need not fill the terminal


def row(label: str, text: str, terminal: int) -> str:
    """Return the lines of one label, each with its end."""
    terminal = max(terminal, _SMALLEST)
    room = min(_LABEL, terminal // 3)
    lines = wrap(text, terminal - room - _GAP)
    heads = [fit(label, room), *[" " * room] * (len(lines) - 1)]
    return "".join([f"{head}{' ' * _GAP}{line}".rstrip() + "\n" for head, line in zip(heads, lines, strict=True)])


def wrap(text: str, columns: int, most: int = _LINES) -> list[str]:
    """Return a text as lines of at most so many columns, broken at blanks where there are some; cut after `most` lines."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if width(joined) <= columns:
            line = joined
            continue
        if line:
            lines.append(line)
        while width(word) > columns:
            piece = beginning(word, columns) or word[0]
            lines.append(piece)
            word = word[len(piece) :]
        line = word
        if len(lines) > most:
            break
    lines.append(line)
    if len(lines) > most:
        lines = [*lines[: most - 1], fit(f"{lines[most - 1]} ...", columns)]
    return lines
