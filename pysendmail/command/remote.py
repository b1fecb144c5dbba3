"""Let a daemon do what the command was asked for, where the short way of entry.py is not enough.

That is so for messages from a terminal, for options that only options.py understands, for the list of the queue and its
like, and where the daemon should be there but is not.
"""

import os
from time import monotonic, sleep

from pysendmail import entry, errors, wire
from pysendmail.command.intake import read_pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pysendmail.command.main import Call
    from pysendmail.options import Options

_RETURNS = 5.0  # seconds in which a daemon that is being restarted is back
_LOOK = 0.1
_ASKED = ("list", "queue", "verify", "aliases")  # what a daemon does without a message


def attempt(call: "Call", options: "Options") -> int | None:
    """Have a daemon do what was asked for and return the exit code; None if it has to be done here. Raises Failure.

    What was read of standard input meanwhile is then in `call.taken`.
    """
    found = entry.socket_path(os.getuid())
    if found is None:
        return None
    if options.mode in _ASKED:
        return _ask(found, call.name, call.arguments)
    if options.mode != "deliver" or not call.stdin_open:
        return None
    code, data, ended = _send(found, call, read_pieces(0, options.ignore_dots))
    if code is None:
        call.taken = data, ended
    return code


def insist(call: "Call", message: "Iterator[bytes]", failure: errors.Failure) -> int:
    """Hand a message over to the system's daemon as soon as it is back; `failure` is why it cannot be sent from here.

    Raises TempFail if it does not come back.
    """
    end = monotonic() + _RETURNS
    while not _answers():
        if monotonic() >= end:
            text = f"the daemon is not there, and without it nothing can be sent ({failure}); nothing was sent, try later"
            raise errors.TempFail(text)
        sleep(_LOOK)
    code, _, _ = _send((entry.SYSTEM_SOCKET, None), call, message)
    if code is None:
        raise errors.TempFail("the daemon has ended once more; nothing was sent, try later")
    return code


def ask(name: bytes, arguments: list[bytes]) -> int | None:
    """Have a daemon do something, show what it says and return the exit code; None if there is no daemon for it."""
    found = entry.socket_path(os.getuid())
    return None if found is None else _ask(found, name, arguments)


def explain(arguments: list[bytes], message: "Iterator[bytes]") -> "tuple[int | None, bytes, bool]":
    """Have a daemon explain a message; return what entry.deliver does. Raises Failure."""
    found = entry.socket_path(os.getuid())
    if found is None:
        return None, b"", False
    try:
        return entry.send(found, b"pysendmail", arguments, message)
    except entry.Refused as refusal:
        raise _failure(refusal) from None


def fetch(name: bytes, arguments: list[bytes]) -> "tuple[int, bytes] | None":
    """Have a daemon say something; return the exit code and what it says, None if there is no daemon. Raises Failure."""
    found = entry.socket_path(os.getuid())
    kept: list[bytes] = []
    code = None if found is None else _ask(found, name, arguments, kept.append)
    return None if code is None else (code, b"".join(kept))


def _ask(
    found: "tuple[bytes, int | None]",
    name: bytes,
    arguments: list[bytes],
    keep: "Callable[[bytes], object] | None" = None,
) -> int | None:
    try:
        line = entry.connect(*found)
    except entry.Refused as refusal:
        raise _failure(refusal) from None
    if line is None:
        return None
    try:
        facts = wire.frame(wire.FACTS, b"columns=%d" % _columns())
        line.sendall(facts + wire.request(name, arguments))
        return entry.answer(line, keep)
    except (entry.Refused, OSError):
        raise errors.TempFail("the daemon ended before it had answered; try later") from None


def _send(
    found: "tuple[bytes, int | None]", call: "Call", pieces: "Iterator[bytes]"
) -> "tuple[int | None, bytes, bool]":
    try:
        return entry.send(found, call.name, call.arguments, pieces)
    except entry.Refused as refusal:
        raise _failure(refusal) from None


def _answers() -> bool:
    """Tell whether somebody takes calls at the system's socket."""
    line = entry.connect(entry.SYSTEM_SOCKET, None)
    if line is None:
        return False
    line.close()
    return True


def _columns() -> int:
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def _failure(refusal: entry.Refused) -> errors.Failure:
    kinds = (errors.NoInput, errors.InputError)
    return next((kind for kind in kinds if kind.exit_code == refusal.code), errors.TempFail)(str(refusal))
