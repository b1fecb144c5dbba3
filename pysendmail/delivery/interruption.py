"""Signals that end the command, and when they may.

Until a transaction begins a signal ends the command wherever it is. From then on ending it anywhere would leave open
whether the message was taken, even where the answer has come already; so a signal then takes effect only where the
command waits for the server. After the last answer it waits for nothing, and no signal turns a success into a failure.
"""

import _signal

from pysendmail.errors import Interrupted

_NUMBERS = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)


class _State:
    """`held`: signals have to wait. `number`: the one that came."""

    __slots__ = ("held", "number")

    def __init__(self) -> None:
        self.held = False
        self.number = 0


_state = _State()


def install() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise Interrupted, but for those that the caller wants to be ignored."""
    for number in _NUMBERS:
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, _caught)


def hold() -> None:
    """Let signals take effect only within `Waiting` from now on."""
    _state.held = True


class Waiting:
    """A context in which a signal, also one that came before, raises Interrupted."""

    __slots__ = ("_held",)

    def __enter__(self) -> None:
        if _state.number:
            raise Interrupted(f"ended by signal {_state.number}")
        self._held = _state.held
        _state.held = False

    def __exit__(self, *_: object) -> None:
        _state.held = self._held


def _caught(number: int, _frame: object) -> None:
    _state.number = number
    if not _state.held:
        for other in _NUMBERS:
            _signal.signal(other, _signal.SIG_IGN)
        raise Interrupted(f"ended by signal {number}")
