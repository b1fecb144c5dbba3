"""What the programs for administrators have in common: how they read their command line, and how they end."""

import os
import sys
from argparse import ArgumentParser

from pysendmail import entry, errors
from pysendmail.command.console import complain, open_missing_descriptors, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


class Parser(ArgumentParser):
    """A parser that speaks as the rest of the program does: whoever does not read what it says stops nothing."""

    def _print_message(self, message: str, file: "Any" = None) -> None:
        write(1 if file is sys.stdout else 2, message)

    def error(self, message: str) -> "NoReturn":
        write(2, self.format_usage())
        self.exit(2, f"{self.prog}: error: {message}\n")


def conclude(program: str, run: "Callable[[], int]") -> "NoReturn":
    """Run a program, and end the process with its exit code; whatever goes wrong is one line on standard error."""
    open_missing_descriptors()
    os.umask(0o077)
    try:
        code, text = run(), ""
    except SystemExit as end:  # argparse ends the process by itself, with 2 for a wrong command line
        code, text = errors.UsageError.exit_code if end.code else 0, ""
    except errors.Failure as failure:
        code, text = failure.exit_code, str(failure)
    except KeyboardInterrupt:
        code, text = errors.TempFail.exit_code, "interrupted"
    except MemoryError:
        code, text = errors.TempFail.exit_code, "there is not enough memory; try later"
    except Exception as error:
        code, text = entry.judge(error)
    if text:
        complain(program, text)
    os._exit(code)
