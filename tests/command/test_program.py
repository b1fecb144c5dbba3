"""How the programs for administrators end: with their exit code and one line at most, whatever becomes of their output."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.command.caller import LIMIT
from tests.conftest import ROOT, Installed

HELP = [["bin/pysendmail", "--help"], ["bin/pysendmail", "queue", "list", "--help"], ["sbin/pysendmaild", "--version"]]
WRONG = [["bin/pysendmail", "queue"], ["bin/pysendmail", "check", "--too"], ["sbin/pysendmaild", "--reload", "x"]]
CONCLUDE = """
import sys
sys.path.insert(0, sys.argv[1])
from pysendmail.command.program import conclude
def run():
    {}
conclude("a-program", run)
"""
BACKGROUND = """
import sys
sys.path.insert(0, sys.argv[1])
from pysendmail.daemon import launch
from pysendmail.daemon.ground import Wish
def broken(*_):
    raise ValueError("secret")
launch.Ground = broken
wish = Wish("pysendmaild", "/nonexistent/secret")
wish.foreground = False
raise SystemExit(launch.launch(wish, {}))
"""


def run(command: list[str], **more: object) -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end."""
    return subprocess.run(command, timeout=LIMIT, check=False, **more)  # type: ignore[call-overload,no-any-return]


def within(installed: Installed, words: list[str]) -> list[str]:
    """Give the words of a command with the path of the program."""
    return [str(pathlib.Path(installed.prefix) / words[0]), *words[1:]]


@pytest.mark.parametrize("words", HELP)
@pytest.mark.parametrize("output", ["full", "gone", "closed"])
def test_help_that_nobody_can_read_ends_in_silence(installed: Installed, words: list[str], output: str) -> None:
    command = within(installed, words)
    if output == "closed":
        done = run(["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE)
    else:
        reader, writer = os.pipe()
        os.close(reader)
        with open("/dev/full", "wb") as full:
            done = run(command, stdout=full if output == "full" else writer, stderr=subprocess.PIPE)
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("words", HELP)
def test_help_goes_to_standard_output(installed: Installed, words: list[str]) -> None:
    done = run(within(installed, words), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.startswith((b"usage: pysendmail", b"pysendmail "))


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_command_line_is_told_on_standard_error_alone(installed: Installed, words: list[str]) -> None:
    command = within(installed, words)
    done = run(command, capture_output=True)
    assert (done.returncode, done.stdout) == (64, b"")
    assert done.stderr.startswith(b"usage: ") and b": error: " in done.stderr.splitlines()[-1]
    for manner in ("2>&-", "2>/dev/full", "2>&- >&-"):
        assert run(["sh", "-c", f'exec "$@" {manner}', "sh", *command], stdout=subprocess.PIPE).stdout == b""


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        ("return 67", 67, ""),
        ("raise OSError(28, 'secret')", 75, "a-program: the operating system refused something: No space left on device ("),
        ("raise PermissionError(13, 'secret')", 71, "a-program: the operating system refused something: Permission denied ("),
        ("raise ValueError('secret')", 70, "a-program: internal error (ValueError at <string>:6)"),
        ("raise MemoryError", 75, "a-program: there is not enough memory; try later"),
        ("raise KeyboardInterrupt", 75, "a-program: interrupted"),
        ("raise SystemExit(2)", 64, ""),
        ("raise SystemExit(0)", 0, ""),
    ],
)
def test_whatever_goes_wrong_is_one_line(what: str, code: int, says: str) -> None:
    done = run([sys.executable, "-IS", "-c", CONCLUDE.format(what), str(ROOT)], capture_output=True)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(says.encode()) and done.stderr.count(b"\n") == bool(says)
    assert b"secret" not in done.stderr


def test_a_daemon_that_fails_in_the_background_says_why() -> None:
    done = run([sys.executable, "-IS", "-c", BACKGROUND, str(ROOT)], capture_output=True)
    assert (done.returncode, done.stdout) == (70, b"")
    assert done.stderr.startswith(b"pysendmaild: internal error (ValueError at ") and done.stderr.count(b"\n") == 1
    assert b"secret" not in done.stderr
