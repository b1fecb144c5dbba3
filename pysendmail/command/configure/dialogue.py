"""What is asked on the terminal, and told meanwhile; where there is no terminal, what is missing is said instead."""

import os

from pysendmail import errors
from pysendmail.command.console import complain, say, write
from pysendmail.config import prompt
from pysendmail.log import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 1800.0  # seconds for an answer: a password for programs has to be made first, perhaps
_ENOUGH = 20  # answers of no sense to one question


class Dialogue:
    """Who is asked. `terminal` tells whether anybody is; `yes` that everything that can be confirmed is.

    With `silent` standard output is left to the result; then nothing is told but what somebody at a terminal has to know.
    """

    __slots__ = ("silent", "terminal", "yes")

    def __init__(self, *, yes: bool, silent: bool) -> None:
        self.yes = yes
        self.silent = silent
        self.terminal = not yes and prompt.may_ask()

    def tell(self, text: str) -> None:
        """Tell a line."""
        if not self.silent:
            say(text)
        elif self.terminal:
            write(2, f"{printable(text, 4096)}\n")

    def warn(self, text: str) -> None:
        """Tell a line that counts also where nobody is asked."""
        if self.silent:
            complain("pysendmail", text)
        else:
            say(text)

    def ask(self, question: str, missing: str, default: str = "", check: "Callable[[str], str] | None" = None) -> str:
        """Return the answer to a question, `default` for an empty one; `check` returns what is wrong with it.

        Raises UsageError, which says what is `missing`, where nobody can be asked.
        """
        for _ in range(_ENOUGH if self.terminal else 0):
            line = prompt.ask_line(f"{question}{f' [{default}]' if default else ''}: ", seconds=_PATIENCE)
            answer = os.fsdecode(self._line(line, missing)).strip() or default
            fault = "expected no control characters" if _has_controls(os.fsencode(answer)) else ""
            fault = fault or ("" if check is None else check(answer))
            if answer and not fault:
                return answer
            write(2, f"{printable(fault or 'an answer is needed', 400)}\n")
        raise errors.UsageError(missing)

    def ask_password(self, question: str, missing: str) -> bytes:
        """Return a password, which is not shown while it is typed. Raises UsageError as `ask`."""
        for _ in range(_ENOUGH if self.terminal else 0):
            line = prompt.ask_line(f"{question} (not shown): ", seconds=_PATIENCE, secret="password")
            password = self._line(line, missing)
            if password and not _has_controls(password):
                return password
            write(2, "control characters are none of a password\n" if password else "a password is needed\n")
        raise errors.UsageError(missing)

    def confirm(self, question: str, missing: str, *, default: bool = True) -> bool:
        """Return the answer to a question of yes or no; who says yes to everything is not asked."""
        if self.yes:
            return True
        answer = self.ask(f"{question} y or n", missing, "y" if default else "n", _yes_or_no)
        return answer[0] in "yY"

    def _line(self, line: bytes | None, missing: str) -> bytes:
        if line is None:
            raise errors.UsageError(missing)
        if not line:
            raise errors.TempFail("the input ended before the answer; nothing was written")
        return line.removesuffix(b"\n").removesuffix(b"\r")


def _has_controls(text: bytes) -> bool:
    return any([octet < 32 or octet == 127 for octet in text])


def _yes_or_no(answer: str) -> str:
    return "" if answer.lower() in ("y", "yes", "n", "no") else "expected y or n"
