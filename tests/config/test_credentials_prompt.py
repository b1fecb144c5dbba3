"""The question on the terminal: no echo while it stands, and the terminal as before whatever ends it."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from pysendmail.config import prompt
from tests.config.terminal import Terminal

ASK = """
import _signal, os, termios
from pysendmail import errors
from pysendmail.config import prompt
{before}
try:
    print("got", ascii(prompt.ask("password for tim: ", seconds={seconds})), flush=True)
except errors.TempFail as error:
    print("failed:", error, flush=True)
{after}
"""


def asking(before: str = "", after: str = "", seconds: float = 20) -> str:
    return ASK.format(before=before, after=after, seconds=seconds)


@pytest.fixture
def on_terminal() -> Iterator[Callable[[str], Terminal]]:
    opened: list[Terminal] = []

    def start(program: str) -> Terminal:
        opened.append(Terminal(program))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


Start = Callable[[str], Terminal]


def test_what_is_typed_is_returned_and_not_shown(on_terminal: Start) -> None:
    terminal = on_terminal(asking())
    terminal.read_until(b"password for tim: ")
    assert not terminal.echo
    terminal.type(b" s3cret#\xff \n")
    terminal.read_until(b"got b' s3cret#\\xff '")
    assert terminal.wait() == 0
    assert terminal.echo
    assert terminal.shown.count(b"s3cret") == 1  # our own print, no echo


@pytest.mark.parametrize(("typed", "result"), [(b"\n", b"b''"), (b"\x04", b"b''")])
def test_an_empty_line_and_the_end_of_input_are_empty_answers(on_terminal: Start, typed: bytes, result: bytes) -> None:
    terminal = on_terminal(asking())
    terminal.read_until(b"tim: ")
    terminal.type(typed)
    terminal.read_until(b"got " + result)
    assert terminal.wait() == 0
    assert terminal.echo


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_deadly_signal_kills_after_the_terminal_was_restored(on_terminal: Start, number: int) -> None:
    terminal = on_terminal(asking("_signal.signal(_signal.SIGINT, _signal.SIG_DFL)"))
    terminal.read_until(b"tim: ")
    assert not terminal.echo
    os.kill(terminal.pid, number)
    assert terminal.wait() == -number
    assert terminal.echo


def test_control_c_reaches_the_programs_own_handler_with_the_terminal_restored(on_terminal: Start) -> None:
    handler = """
def leave(number, frame):
    os.write(1, b"handler, echo %d" % bool(termios.tcgetattr(0)[3] & termios.ECHO))
_signal.signal(_signal.SIGINT, leave)"""
    terminal = on_terminal(asking(handler, "print(_signal.getsignal(_signal.SIGINT) is leave, flush=True)"))
    terminal.read_until(b"tim: ")
    terminal.type(b"\x03")
    terminal.read_until(b"handler, echo 1")
    terminal.read_until(b"failed: interrupted by signal 2 while asking for the password\r\nTrue")
    assert terminal.wait() == 0


def test_a_signal_with_another_meaning_does_not_end_the_question(on_terminal: Start) -> None:
    terminal = on_terminal(asking("_signal.signal(_signal.SIGUSR1, lambda n, f: os.write(1, b'usr1;'))"))
    terminal.read_until(b"tim: ")
    os.kill(terminal.pid, signal.SIGUSR1)
    terminal.read_until(b"usr1;")
    terminal.type(b"word\n")
    terminal.read_until(b"got b'word'")
    assert terminal.wait() == 0
    assert terminal.shown.count(b"usr1;") == 1


def test_an_ignored_signal_stays_ignored(on_terminal: Start) -> None:
    terminal = on_terminal(asking("_signal.signal(_signal.SIGHUP, _signal.SIG_IGN)"))
    terminal.read_until(b"tim: ")
    os.kill(terminal.pid, signal.SIGHUP)
    terminal.type(b"word\n")
    terminal.read_until(b"got b'word'")
    assert terminal.wait() == 0


def test_a_question_that_was_stopped_is_asked_again(on_terminal: Start) -> None:
    # The handler stands for the shell that stops and continues the program: nobody would continue it here.
    terminal = on_terminal(asking("_signal.signal(_signal.SIGTSTP, lambda n, f: os.write(1, b'stopped;'))"))
    terminal.read_until(b"tim: ")
    terminal.type(b"half\x1a")
    terminal.read_until(b"password for tim: ", times=2)
    assert b"stopped;" in terminal.shown
    terminal.type(b"whole\n")
    terminal.read_until(b"got b'whole'")
    assert terminal.wait() == 0
    assert terminal.echo


def test_a_question_that_nobody_answers_ends(on_terminal: Start) -> None:
    terminal = on_terminal(asking(seconds=0.05))
    terminal.read_until(b"failed: nobody typed a password in time")
    assert terminal.wait() == 0
    assert terminal.echo


def test_text_typed_ahead_is_not_taken_for_the_answer(on_terminal: Start) -> None:
    terminal = on_terminal(asking("os.write(1, b'ready;'); os.read(0, 100)"))
    terminal.read_until(b"ready;")
    terminal.type(b"ahead\ngo\n")  # a read takes one line, the other waits in the terminal
    terminal.read_until(b"tim: ")
    terminal.type(b"real\n")
    terminal.read_until(b"got b'real'")
    assert terminal.wait() == 0


def test_a_program_in_the_background_asks_nothing(on_terminal: Start) -> None:
    background = """
import os
if os.fork() == 0:
    os.setpgid(0, 0)
    from pysendmail.config import prompt
    os.write(1, b"answer %a;" % prompt.ask("password: "))
    os._exit(0)
os.wait()
"""
    terminal = on_terminal(background)
    terminal.read_until(b"answer None;")
    assert b"password" not in terminal.shown


def test_without_a_terminal_there_is_no_answer() -> None:
    assert prompt.ask("password: ", path="/nonexistent/tty") is None
    assert prompt.ask("password: ", path="/dev/null") is None
