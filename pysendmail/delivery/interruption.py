"""Signals that end the command, and when they may.

The sendmail command delivers one message, in the main thread. Until its transaction begins a signal ends the command
wherever it is. From then on ending it anywhere would leave open whether the message was taken, even where the answer has
come already; so a signal then takes effect only where the command waits for the server. After the last answer it waits
for nothing, and no signal turns a success into a failure.

A runner of the queue delivers many messages, in threads, while Python tells only the main thread of a signal. So within
`Postponed` a signal is noted and raises nothing by itself. A thread with a message in hand (between `hold` and `let_go`)
may finish it, within some time and unless a second signal comes; any other thread ends where it waits next. Only within
`Breakable` the main thread is ended as ever.
"""

import _signal
from _thread import get_ident
from time import monotonic

from pysendmail.errors import Interrupted

_NUMBERS = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
GRACE = 30.0
"""Seconds that a message in hand may take after a signal; a service manager kills after 90."""

_LOOK = 0.5  # seconds that a thread waits at most before it looks for a signal: none can wake it


class _State:
    """`held`: signals have to wait. `number`: the one that came first, at the time `since`.

    `postponed`: a runner is at work. `breakable`: its main thread may be ended now. `hurry`: a second signal came.
    `busy`: the threads with a message in hand.
    """

    __slots__ = ("breakable", "busy", "held", "hurry", "number", "postponed", "since")

    def __init__(self) -> None:
        self.held = False
        self.number = 0
        self.postponed = False
        self.breakable = False
        self.hurry = False
        self.since = 0.0
        self.busy: set[int] = set()


_state = _State()


def install() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise Interrupted, but for those that the caller wants to be ignored."""
    for number in _NUMBERS:
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, _caught)


def hold() -> None:
    """Let signals take effect only within `Waiting` from now on; of a runner's thread, say that it has a message in hand."""
    if _state.postponed:
        _state.busy.add(get_ident())
    else:
        _state.held = True


def let_go() -> None:
    """Say that this thread has no message in hand any more; outside of a runner, that the command may be ended again."""
    if _state.postponed:
        _state.busy.discard(get_ident())
    else:
        _state.held = False


def pending() -> int:
    """Return the number of the signal that asks for the end, 0 if there is none."""
    return _state.number


def bounded(seconds: float) -> float:
    """Return how long a wait within `Waiting` may last before it has to be begun anew."""
    return min(seconds, _LOOK) if _state.postponed else seconds


class Waiting:
    """A context in which a signal, also one that came before, raises Interrupted."""

    __slots__ = ("_held",)

    def __enter__(self) -> None:
        self._held = _state.held
        if _state.number and not (_state.postponed and _may_go_on()):
            raise Interrupted(f"ended by signal {_state.number}")
        if not _state.postponed:
            _state.held = False

    def __exit__(self, *_: object) -> None:
        if not _state.postponed:
            _state.held = self._held


class Postponed:
    """A context in which signals are noted, and raise nothing at once; `pending` tells of them."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _state.postponed
        _state.postponed = True

    def __exit__(self, *_: object) -> None:
        _state.postponed = self._before


class Breakable:
    """A context of the main thread within `Postponed` in which a signal, also one that came before, raises Interrupted."""

    __slots__ = ()

    def __enter__(self) -> None:
        _state.breakable = True
        if _state.number:
            _state.breakable = False
            raise Interrupted(f"ended by signal {_state.number}")

    def __exit__(self, *_: object) -> None:
        _state.breakable = False


def _may_go_on() -> bool:
    return get_ident() in _state.busy and not _state.hurry and monotonic() < _state.since + GRACE


def _caught(number: int, _frame: object) -> None:
    _state.hurry = bool(_state.number)
    if not _state.number:
        _state.number, _state.since = number, monotonic()
    if _state.postponed:
        if not _state.breakable:
            return
        _state.breakable = False  # one is enough
    elif not _state.held:
        for other in _NUMBERS:
            _signal.signal(other, _signal.SIG_IGN)
    else:
        return
    raise Interrupted(f"ended by signal {number}")
