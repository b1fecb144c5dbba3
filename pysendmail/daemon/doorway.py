"""Who is let in: the sockets at which callers come, and how many of them there is room for.

One user never takes all the room. Where there is none left, whoever has been silent for longest and owes us something has
to go; if there is nobody like that, the next one is turned away, or waits at the socket where the system itself is short.
"""

import _socket
import errno
import sys

from pysendmail import errors, wire
from pysendmail.command.identity import NO_UID
from pysendmail.daemon.client import Client
from pysendmail.daemon.connection import ANSWERED, ASKING, SENDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.daemon.hall import Hall

_AT_ONCE = 64  # callers that are let in before the others have their turn
_SPARE = 64  # descriptors that are not for callers
_MANY = 16384  # descriptors, where the system has no limit
_SUSPECT = 10.0  # seconds after which a silent caller has to go if there is no room for another one
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)


class Doorway:
    """The listening sockets of a hall, each with whether SMTP is spoken there."""

    __slots__ = ("_hall", "_listeners", "_most", "_of", "_resting")

    def __init__(self, hall: "Hall") -> None:
        self._hall = hall
        self._most = _descriptors() - _SPARE
        self._of: dict[int, int] = {}  # callers who are here, by uid
        self._listeners: list[tuple[_socket.socket, bool]] = []
        self._resting: list[tuple[_socket.socket, bool]] = []

    def listen(self, listener: _socket.socket, smtp: bool = False) -> None:
        """Take callers from a listening UNIX socket, or clients that speak SMTP from one of any kind."""
        listener.setblocking(False)
        self._listeners.append((listener, smtp))
        self._watch(listener, smtp)

    def close(self) -> None:
        """Take nobody else."""
        self._resting.clear()
        for listener, _ in self._listeners:
            self._hall.loop.forget(listener.fileno())

    def admit(self, line: _socket.socket, smtp: bool) -> None:
        """Let a caller in, if there is room for him."""
        hall = self._hall
        uid = NO_UID
        try:
            line.setblocking(False)
            if not smtp:
                peer = line.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
                uid = int.from_bytes(peer[4:8], sys.byteorder)
            elif line.family != _socket.AF_UNIX:
                line.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except OSError:
            line.close()
            return
        if self._is_full(uid) and not self._make_room():
            hall.register.turned_away += 1
            _turn_away(line, smtp)
            return
        self._of[uid] = self._of.get(uid, 0) + 1
        if smtp:
            from pysendmail.daemon.listener import Peer

            hall.clients.add(Peer(hall, line, uid))
        else:
            hall.clients.add(Client(hall, line, uid))

    def left(self, uid: int) -> None:
        """Note that a caller has gone."""
        self._of[uid] -= 1
        if not self._of[uid]:
            del self._of[uid]
        self.resume()

    def resume(self) -> None:
        """Take callers again where that has rested."""
        while self._resting:
            self._watch(*self._resting.pop())

    def _watch(self, listener: _socket.socket, smtp: bool) -> None:
        self._hall.loop.watch(listener.fileno(), lambda events: self._welcome(listener, smtp))

    def _welcome(self, listener: _socket.socket, smtp: bool) -> None:
        self._hall.active = self._hall.loop.now
        for _ in range(_AT_ONCE):
            try:
                descriptor, _ = listener._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _SHORT and not self._make_room():
                    self._hall.loop.forget(listener.fileno())
                    self._resting.append((listener, smtp))
                return
            self.admit(_socket.socket(fileno=descriptor), smtp)

    def _is_full(self, uid: int) -> bool:
        if len(self._hall.clients) >= self._most:
            return True
        return uid not in (0, self._hall.own) and self._of.get(uid, 0) >= self._most * 2 // 3

    def _make_room(self) -> bool:
        """End the connection of who has been silent for longest and owes us something; tell whether there was one."""
        silent = [one for one in self._hall.clients if one.state in (ASKING, SENDING, ANSWERED)]
        worst = min(silent, key=lambda one: one.last, default=None)
        if worst is None or self._hall.loop.now - worst.last < _SUSPECT:
            return False
        worst.refuse(errors.TempFail("nothing was heard for too long, and others wait; nothing was sent"))
        worst.close()
        return True


def _descriptors() -> int:
    """Return how many descriptors the system lets us have; the daemon's start has raised that to what is of use."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else _MANY


def _turn_away(line: _socket.socket, smtp: bool) -> None:
    """Answer a caller before he has said a word."""
    text = "too many callers at once; try later"
    said = wire.frame(wire.ERR, f"sendmail: {text}\n".encode()) + wire.frame(wire.EXIT, b"\x4b")
    try:
        line.send(f"421 4.3.2 {text}\r\n".encode() if smtp else said)
    except OSError:
        pass  # then he sees that nobody answers
    line.close()
