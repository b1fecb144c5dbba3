"""What the user sees: standard output and error, one clean line at a time."""

import os
from time import sleep

from pysendmail.log import printable

_LIMIT = 4096
_ATTEMPTS = 50


def complain(program: str, text: str) -> None:
    """Write `program: text` as one line to standard error."""
    write(2, f"{program}: {printable(text, _LIMIT)}\n")


def say(text: str) -> None:
    """Write `text` as one line to standard output."""
    write(1, f"{printable(text, _LIMIT)}\n")


def show(direction: str, line: bytes) -> None:
    """Write one line of the dialogue to standard error, as -v asks."""
    mark = {">": "--> ", "<": "<-- "}.get(direction, "=== ")
    write(2, f"{mark}{printable(line)}\n")


def write(descriptor: int, text: str) -> None:
    """Write all of `text`. A reader who has gone or never reads stops nothing: the exit code tells all that counts."""
    data = text.encode("utf-8", "surrogateescape")
    for _ in range(_ATTEMPTS):
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            sleep(0.01)
        except OSError:
            return
        if not data:
            return
