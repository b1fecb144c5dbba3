"""Asking on the terminal, for a password without echo, and leaving the terminal as it was.

While the question stands, signals that would end or stop us only wake the wait: the terminal is restored first, then
the signal is sent once more and does what the program's own handlers, or the system, make of it.
"""

import os
from time import monotonic

from pysendmail import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

SECONDS = 300.0
_LINE_LIMIT = 4096


def ask(question: str, *, seconds: float = SECONDS, path: str = "/dev/tty") -> bytes | None:
    """Return the password that the user types, without its line's end; None if there is no terminal that we may ask on.

    Raises TempFail if no line comes in time, or if a signal ended the question and left the program running.
    """
    line = ask_line(question, seconds=seconds, path=path, secret="password")
    return None if line is None else line.removesuffix(b"\n")


def ask_line(
    question: str, *, seconds: float = SECONDS, path: str = "/dev/tty", secret: str = ""
) -> bytes | None:
    """Do what `ask` does, with the end of the line: no octet at all means that the user ended the input.

    What is typed is shown unless it is a `secret`, which is the word for it.
    """
    import _signal

    try:
        tty = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    deadline = monotonic() + seconds
    try:
        while os.tcgetpgrp(tty) == os.getpgrp():  # in the background, asking would stop us
            answer, caught = _ask_once(tty, question, deadline, secret)
            if caught is None:
                return answer
            os.kill(os.getpid(), caught)
            if caught != _signal.SIGTSTP:
                raise errors.TempFail(f"interrupted by signal {caught} while asking for {_what(secret)}")
    except OSError:
        return None
    finally:
        os.close(tty)
    return None


def may_ask(path: str = "/dev/tty") -> bool:
    """Tell whether there is a terminal on which we may ask."""
    try:
        tty = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(tty) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(tty)


def _what(secret: str) -> str:
    return f"the {secret}" if secret else "an answer"


def _ask_once(tty: int, question: str, deadline: float, secret: str) -> tuple[bytes | None, int | None]:
    """Ask once; return the answer, or the number of the signal that came instead."""
    import termios

    bell, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        before = _hold_signals(waker)
        try:
            saved = termios.tcgetattr(tty)
            fit = termios.tcgetattr(tty)
            fit[0] |= termios.ICRNL
            fit[3] |= termios.ICANON | termios.ISIG | (termios.ECHONL if secret else termios.ECHO)
            if secret:
                fit[3] &= ~termios.ECHO
            try:
                termios.tcsetattr(tty, termios.TCSANOW, fit)
                if secret:
                    termios.tcflush(tty, termios.TCIFLUSH)
                os.write(tty, question.encode("utf-8", "backslashreplace"))
                return _read_line(tty, bell, deadline, secret)
            finally:
                termios.tcsetattr(tty, termios.TCSANOW, saved)
        except termios.error:
            return None, None
        finally:
            _release_signals(before)
    finally:
        os.close(bell)
        os.close(waker)


def _read_line(tty: int, bell: int, deadline: float, secret: str) -> tuple[bytes | None, int | None]:
    """Wait for a line from the terminal or for a signal's number from the bell."""
    import select

    poll = select.poll()
    poll.register(tty, select.POLLIN)
    poll.register(bell, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll(max(0.0, 1000 * (deadline - monotonic())))}
        if not ready:
            raise errors.TempFail(f"nobody typed {f'a {secret}' if secret else 'an answer'} in time")
        if bell in ready and (number := os.read(bell, 1)[0]) in _held():  # others have handlers, which have run
            return None, number
        if tty in ready:
            return os.read(tty, _LINE_LIMIT), None


def _held() -> tuple[int, ...]:
    """Return the signals that end or stop a program."""
    import _signal

    return _signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGTSTP


def _hold_signals(waker: int) -> tuple[int, dict[int, object]]:
    """Let those signals ring the bell only; return what was there before."""
    import _signal

    old = _signal.set_wakeup_fd(waker)
    handlers: dict[int, object] = {}
    for number in _held():
        handler = _signal.getsignal(number)
        if handler is not None and handler != _signal.SIG_IGN:
            handlers[number] = _signal.signal(number, _ring)
    return old, handlers


def _release_signals(before: tuple[int, dict[int, object]]) -> None:
    import _signal

    old, handlers = before
    for number, handler in handlers.items():
        _signal.signal(number, handler)
    _signal.set_wakeup_fd(old)


def _ring(number: int, frame: "FrameType | None") -> None:
    """Do nothing: the interpreter has put the signal's number into the bell already."""
