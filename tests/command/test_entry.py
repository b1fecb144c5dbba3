"""What the command says of what should never have happened."""

import errno
import subprocess
import sys

import pytest

from pysendmail.entry import judge
from tests.conftest import ROOT

# Runs the command with a part of it that raises what is named by the argument.
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import pysendmail.command.main as command
def run(*arguments):
    {0}
command.run = run
from pysendmail.entry import main
main()
"""

FAULTS: list[tuple[BaseException, int, str]] = [
    (OSError(errno.EMFILE, "x"), 75, "Too many open files"),
    (OSError(errno.ENFILE, "x"), 75, "operating system"),
    (OSError(errno.ENOMEM, "x"), 75, "Cannot allocate memory"),
    (OSError(errno.ENOSPC, "x"), 75, "No space left"),
    (OSError(errno.EIO, "x"), 71, "Input/output error"),
    (PermissionError(errno.EPERM, "x"), 71, "not permitted"),
    (ImportError("x"), 75, "cannot be loaded"),
    (ValueError("secret"), 70, "internal error (ValueError at"),
    (KeyError("secret"), 70, "please report it"),
    (RecursionError("secret"), 70, "RecursionError"),
]


@pytest.mark.parametrize(("fault", "code", "says"), FAULTS)
def test_every_fault_has_an_exit_code_and_one_line_without_what_may_be_secret(
    fault: BaseException, code: int, says: str
) -> None:
    try:
        raise fault
    except BaseException as error:
        found, text = judge(error)
    assert (found, text.count("\n")) == (code, 0)
    assert says in text and "secret" not in text and "test_entry.py:" in text


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ("raise MemoryError", 75, "sendmail: there is not enough memory; try later\n"),
        ("raise KeyboardInterrupt", 75, "sendmail: ended by signal 2\n"),
        ("raise SystemExit(0)", 70, "sendmail: internal error (SystemExit at <string>:6)"),
        ("return 0", 0, ""),
        ("return 67", 67, ""),
    ],
)
def test_nothing_ends_the_command_with_another_code_or_a_traceback(fault: str, code: int, says: str) -> None:
    command = [sys.executable, "-IS", "-c", PROGRAM.format(fault), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(says) and done.stderr.count("\n") == bool(says)
