"""The one seam to the network: connect, read, write, start TLS, close, each bounded by a deadline.

Deadlines are times of `time.monotonic`. Sockets never block: every wait is a poll with what is left of the deadline.
While a write waits, what the server says in the meantime is read and kept, so that two full pipes never wait for each
other.
"""

import _socket
import select
from time import monotonic

from pysendmail import errors
from pysendmail.delivery.interruption import Waiting, bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.delivery.tls import TLS

    Address = tuple[int, tuple[str, int] | tuple[str, int, int, int]]

_READ = 65536
_MOST_UNREAD = 16 << 20  # what a server may say while we only write
_AGAIN = (BlockingIOError, InterruptedError)
# Seconds of silence before the first probe, seconds between two, and how many may stay unanswered.
_PROBES = ((_socket.TCP_KEEPIDLE, 15), (_socket.TCP_KEEPINTVL, 5), (_socket.TCP_KEEPCNT, 3))
_SILENCE = "the server does not answer in time"


class TimedOut(errors.TempFail):
    """The peer did not do its part in time."""

    status = "4.4.2"


class Lost(errors.TempFail):
    """The connection ended too early."""

    status = "4.4.2"


class Link:
    """A connected socket, in clear or under TLS.

    `address` is what was connected to, as (family, socket address); `peer` is its host part for the log; `eof` is true
    once the peer is known to have ended the connection.
    """

    __slots__ = ("_arrived", "_broken", "_fresh", "_poll", "_size", "_socket", "address", "eof", "peer", "tls")

    def __init__(self, socket: "_socket.socket", address: "Address") -> None:
        self.address = address
        self.peer = address[1][0].split("%", 1)[0]
        self.tls: TLS | None = None
        self.eof = False
        self._socket = socket
        self._arrived: list[bytes] = []
        self._broken: errors.Failure | None = None
        self._size = 0
        self._fresh = False  # what came with the end of the handshake has not been read
        self._poll = select.poll()
        self._poll.register(socket.fileno(), select.POLLIN)

    def local_address(self) -> str:
        """Return our own end's address, without the port. Raises Lost."""
        try:
            name: str = self._socket.getsockname()[0]
        except OSError as error:
            raise Lost(f"the connection broke: {error.strerror}") from error
        return name.split("%", 1)[0]

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def keep_alive(self) -> None:
        """Have the system probe the peer of an idle connection."""
        try:
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
            for option, value in _PROBES:
                self._socket.setsockopt(_socket.IPPROTO_TCP, option, value)
        except OSError:
            pass  # it goes without, only a vanished peer is found out later

    def start_tls(self, tls: "TLS", deadline: float) -> None:
        """Do the TLS handshake; everything after it is encrypted. Raises TempFail, also for a certificate not verified."""
        if self._arrived:
            raise errors.TempFail("the server sent data ahead of the TLS handshake (an injection); connection given up")
        try:
            while not tls.handshake():
                self._send(tls.take(), deadline)
                data = self._receive(deadline)
                if not data:
                    raise Lost("the server closed the connection during the TLS handshake")
                tls.feed(data)
        except errors.Failure:
            self._send_alert(tls)
            raise
        self.tls = tls
        self._fresh = True
        self._send(tls.take(), deadline)

    def write(self, data: bytes, patience: float, deadline: float) -> None:
        """Send all of `data`. `patience` bounds in seconds the time without progress, `deadline` the whole."""
        if self.tls is not None:
            self.tls.write(data)
            data = self.tls.take()
        self._send(data, deadline, patience)

    def arrived(self) -> bytes:
        """Return what the peer has said by now, without waiting. A connection that broke is for the next read or write."""
        self._take_in()
        data = self._kept()
        self.eof = self.eof or (self.tls is not None and self.tls.eof)
        return data

    def drain(self) -> bytes:
        """Return what the peer said before a connection broke, without waiting and without raising."""
        try:
            while self._size < _MOST_UNREAD and self._take_in():
                pass
            return self._kept()
        except errors.Failure:
            return b""  # there is no more to be had

    def read(self, deadline: float) -> bytes:
        """Wait for octets from the peer; none mean that it has ended the connection."""
        data = self._kept()
        while not data:
            if self._broken is not None:
                raise self._broken
            raw = b"" if self.tls is not None and self.tls.eof else self._receive(deadline)
            if not raw:
                self.eof = True
                return b""
            data = self._decrypt(raw)
            if not data and monotonic() >= deadline:  # records without content can come without end
                raise TimedOut(_SILENCE)
        return data

    def close(self) -> None:
        """Close the connection without waiting for the peer."""
        try:
            if self.tls is not None:
                self.tls.close()
                self._socket.send(self.tls.take())
        except (OSError, errors.Failure):
            pass  # a farewell that cannot be said changes nothing: the connection is closed all the same
        self._socket.close()

    def _decrypt(self, data: bytes) -> bytes:
        if self.tls is None:
            return data
        if self._broken is not None:
            raise self._broken
        tls = self.tls
        if not (data or self._fresh):
            return b""
        self._fresh = False
        tls.feed(data)
        piece = tls.read(_READ)
        pieces = [piece]
        try:
            while len(piece) == _READ or (piece and tls.broken):
                piece = tls.read(_READ)
                pieces.append(piece)
        except errors.Failure as failure:
            self._broken = failure  # what came whole before the broken record still counts
            return b"".join(pieces)
        answer = tls.take()
        if answer:  # a key update is answered by the TLS layer itself
            try:
                self._send(answer, monotonic() + 1)
            except (Lost, TimedOut) as failure:
                self._broken = failure  # to be told when what came with it has been heard
        return b"".join(pieces)

    def _kept(self) -> bytes:
        """Return what was taken in so far, under TLS also what came together with the end of the handshake."""
        if not (self._arrived or self._fresh):
            if self._broken is not None and self.tls is not None:
                raise self._broken
            return b""
        data = b"".join(self._arrived)
        self._arrived.clear()
        self._size = 0
        return self._decrypt(data)

    def _take_in(self) -> bool:
        """Keep what can be had without waiting; tell whether there was any."""
        try:
            data = self._recv()
        except _AGAIN:
            return False
        except Lost:
            data = b""
        self._keep(data)
        self.eof = not data
        return not self.eof

    def _keep(self, data: bytes) -> None:
        self._arrived.append(data)
        self._size += len(data)

    def _send_alert(self, tls: "TLS") -> None:
        """Tell the peer why its handshake was refused, as far as that goes without waiting."""
        try:
            alert = tls.take()
            if alert:
                self._socket.send(alert)
        except (OSError, errors.Failure):
            pass  # the peer is refused anyway

    def _send(self, data: bytes, deadline: float, patience: float | None = None) -> None:
        view = memoryview(data)
        limit = deadline if patience is None else min(deadline, monotonic() + patience)
        while view:
            try:
                sent = self._socket.send(view)
            except _AGAIN:
                self._wait_to_write(limit)
                continue
            except OSError as error:
                raise Lost(f"the connection broke while sending: {error.strerror or error}") from None
            view = view[sent:]
            if patience is not None:
                limit = min(deadline, monotonic() + patience)

    def _wait_to_write(self, deadline: float) -> None:
        self._poll.modify(self._socket.fileno(), select.POLLIN | select.POLLOUT)
        try:
            event = self._wait(deadline, "the server does not take what we send")
        finally:
            self._poll.modify(self._socket.fileno(), select.POLLIN)
        if event & select.POLLIN and not event & select.POLLOUT:
            try:
                data = self._recv()
            except _AGAIN:
                return
            if not data:
                raise Lost("the server closed the connection while we were sending")
            self._keep(data)
            if self._size > _MOST_UNREAD:
                raise errors.ProtocolError("the server sends without end while it is being written to")

    def _receive(self, deadline: float) -> bytes:
        while True:
            try:
                return self._recv()
            except _AGAIN:
                self._wait(deadline, _SILENCE)

    def _recv(self) -> bytes:
        try:
            return self._socket.recv(_READ)
        except _AGAIN:
            raise
        except OSError as error:
            raise Lost(f"the connection broke: {error.strerror or error}") from None

    def _wait(self, deadline: float, text: str) -> int:
        """Wait until the socket is ready and return the events. Raises TimedOut with `text` at the deadline."""
        while True:
            left = deadline - monotonic()
            if left <= 0:
                raise TimedOut(text)
            try:
                with Waiting():
                    events = self._poll.poll(bounded(min(left, 86400)) * 1000 + 1)
            except OSError as error:  # memory is short, say; what the server says now nobody will hear
                raise Lost(f"the connection cannot be waited for: {error.strerror or error}") from None
            if events:
                return events[0][1]


def wait_for_any(descriptors: "list[int]", seconds: float) -> bool:
    """Wait a moment until something can be read from one of some connections; tell whether that is so."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    try:
        return bool(poll.poll(int(seconds * 1000) + 1))
    except OSError:
        return False  # each of them is looked at by itself in the end
