"""`sendmail -bs` where there is a daemon: it speaks the SMTP, and octets are carried to it and back.

The request is a frame like any other; the daemon's greeting ends the use of frames (pysendmail-protocol(7)).
"""

import _socket
import os
import select
from time import monotonic, sleep

from pysendmail import entry, errors, wire
from pysendmail.command.console import complain
from pysendmail.command.smtp_line import Line
from pysendmail.delivery.interruption import Waiting
from pysendmail.smtp.answer import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.main import Call

_PIECE = 65536
_PATIENCE = 75.0  # seconds for the daemon to greet us, or to take what we have for it
_SILENCE = 3600.0  # seconds; the daemon ends a silent session long before, and an answer comes sooner as well
_ANSWER = 30.0  # seconds for the client to take an answer
_RETURNS = 5.0  # seconds in which a daemon that is being restarted is back
_LOOK = 0.1


def attempt(call: "Call", line: Line) -> int | None:
    """Have the daemon serve the client and return the exit code; None if there is no daemon for it. Raises Failure."""
    found = entry.socket_path(os.getuid())
    return None if found is None else _serve(found, call, line)


def insist(call: "Call", line: Line, failure: errors.Failure) -> int:
    """Do the same with the system's daemon as soon as it is back; `failure` is why there is no doing without it."""
    end = monotonic() + _RETURNS
    while (code := _serve((entry.SYSTEM_SOCKET, None), call, line)) is None:
        if monotonic() >= end:
            raise errors.TempFail(f"the daemon is not there, and without it nothing can be sent ({failure}); try later")
        with Waiting():
            sleep(_LOOK)
    return code


def _serve(found: "tuple[bytes, int | None]", call: "Call", line: Line) -> int | None:
    try:
        daemon = entry.connect(*found)
    except entry.Refused as refusal:
        raise errors.TempFail(str(refusal)) from None
    if daemon is None:
        return None
    try:
        daemon.settimeout(_PATIENCE)
        daemon.sendall(wire.request(call.name, call.arguments))
        said = daemon.recv(_PIECE, _socket.MSG_PEEK)
        if said[:1] in (b"2", b"4"):
            return _carry(daemon, line, call.program)
        code = entry.answer(daemon)  # a refusal, in frames
        line.say(Answer(421, "4.3.2", "the daemon does not serve us now").wire)
        return code
    except entry.Refused as refusal:
        raise errors.TempFail(str(refusal)) from None
    except OSError:
        raise errors.TempFail("the daemon ended the session; what it has not answered may have been taken or not") from None
    finally:
        daemon.close()


def _carry(daemon: "_socket.socket", line: Line, program: str) -> int:
    """Carry octets both ways until the daemon ends the session; return the exit code.

    Raises Gone, and OSError if the daemon ends it without a last word.
    """
    daemon.setblocking(False)
    poll = select.poll()
    last = _LastReply()
    waiting = b""  # from the client, for the daemon
    ended = False
    while True:
        poll.register(daemon, select.POLLIN | (select.POLLOUT if waiting else 0))
        if not (waiting or ended):
            poll.register(line.source, select.POLLIN)
        with Waiting():
            ready = dict(poll.poll(_SILENCE * 1000))
        if not ready:
            raise errors.TempFail("neither the client nor the daemon says anything")
        events = ready.get(daemon.fileno(), 0)
        if events & ~select.POLLOUT:
            said = daemon.recv(_PIECE)
            if not said:
                break
            last.feed(said)
            if ended:
                line.say(said)  # perhaps nobody takes it any more
            else:
                line.write(said, _ANSWER)
        if events & select.POLLOUT:
            waiting = waiting[daemon.send(waiting) :]
        if line.source in ready:
            heard = line.read(0)
            ended = heard == b""
            waiting = heard or b""
            if ended:
                daemon.shutdown(_socket.SHUT_WR)
            poll.unregister(line.source)
    if last.code == b"221":
        return 0
    if last.code != b"421":
        raise OSError
    complain(program, f"the session was ended: {last.text.decode('ascii', 'replace')}")
    return errors.TempFail.exit_code


class _LastReply:
    """The last line of what the daemon says."""

    __slots__ = ("_open", "text")

    def __init__(self) -> None:
        self._open = b""
        self.text = b""

    @property
    def code(self) -> bytes:
        return self.text[:3]

    def feed(self, data: bytes) -> None:
        *lines, self._open = (self._open + data[-4096:]).split(b"\r\n")
        if lines:
            self.text = lines[-1]
