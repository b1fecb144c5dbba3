"""A smarthost in memory, links to it, and a clock that moves only while somebody waits: deliveries without a network."""

import contextlib
from collections.abc import Callable, Iterator, Mapping

import pytest

from pysendmail.config import accounts, reader
from pysendmail.delivery import connect, deliver, interruption, link, session
from pysendmail.delivery.parcel import Parcel
from pysendmail.delivery.session import Route
from pysendmail.message import header
from pysendmail.message.body import BodyWriter
from pysendmail.smtp.sasl import Credentials

CAPABILITIES = ("PIPELINING", "SIZE 100000000", "8BITMIME", "CHUNKING", "DSN", "SMTPUTF8", "ENHANCEDSTATUSCODES")
LOCK_STEP = ("8BITMIME",)
DATA_ONLY = ("PIPELINING", "8BITMIME")


class Hang(Exception):
    """The server ends the connection; `last` is what it says before."""

    def __init__(self, last: bytes = b"") -> None:
        super().__init__()
        self.last = last


Answer = Callable[["Connection", bytes], bytes | None]


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Smarthost:
    """What all connections have in common: capabilities for each connection, and what is answered to each command.

    `answer` is asked first, with the connection and the line ("." for the message's end, "greeting" at the beginning);
    where it returns None the server is obedient. It may raise Hang. Each answer comes after `pause` seconds.
    """

    def __init__(
        self, answer: Answer | None = None, *capabilities: tuple[str, ...], pause: float = 0.0, together: bool = False
    ) -> None:
        self.answer = answer or (lambda connection, line: None)
        self.capabilities = capabilities or (CAPABILITIES,)
        self.pause = pause
        self.together = together  # answers that are due at once come in one piece
        self.connections: list[Connection] = []
        self.accepted: list[tuple[list[bytes], bytes]] = []  # recipients and text of each message that was taken

    @property
    def lines(self) -> list[bytes]:
        """Every command of every connection."""
        return [line for connection in self.connections for line in connection.lines]

    def recipients(self) -> list[bytes]:
        """Everybody for whom a message was taken, as often as it was."""
        return [recipient for recipients, _ in self.accepted for recipient in recipients]


class Connection:
    """The server's end of one connection."""

    def __init__(self, host: Smarthost) -> None:
        self.host = host
        self.number = len(host.connections)
        self.lines: list[bytes] = []
        self.out: list[tuple[float, bytes]] = []  # what the client has not read yet, and how long it takes to come
        self.gone = False
        self.heard = 0
        self._buffer = b""
        self._recipients: list[bytes] = []
        self._mail = False
        self._text: bytes | None = None  # being taken after DATA
        self._due = 0  # octets of BDAT still to come
        host.connections.append(self)
        self._reply(b"greeting", b"220 mx.test ESMTP")

    def take(self, data: bytes) -> None:
        """Take octets from the client and put the answers out."""
        self._buffer += data
        self.heard += len(data)
        while not self.gone and self._step():
            pass

    def _step(self) -> bool:
        if self._due:
            if len(self._buffer) < self._due:
                return False
            text, self._buffer, self._due = self._buffer[: self._due], self._buffer[self._due :], 0
            self._end(text)
            return True
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            return False
        self._buffer = rest
        if self._text is None:
            self._command(line)
        elif line == b".":
            text, self._text = self._text, None
            self._end(text)
        else:
            self._text += line.removeprefix(b".") + b"\r\n"
        return True

    def _command(self, line: bytes) -> None:
        self.lines.append(line)
        verb = line.partition(b" ")[0].upper()
        if verb == b"EHLO":
            words = self.host.capabilities[min(self.number, len(self.host.capabilities) - 1)]
            lines = [b"mx.test", *(word.encode() for word in words)]
            good = b"\r\n".join(b"250%s%s" % (b" " if n == len(lines) else b"-", w) for n, w in enumerate(lines, 1))
            self._reply(line, good)
        elif verb == b"MAIL":
            self._mail, self._recipients = self._reply(line, b"250 2.1.0 ok"), []
        elif verb == b"RCPT":
            if self._reply(line, b"250 2.1.5 ok" if self._mail else b"503 5.5.1 MAIL first"):
                self._recipients.append(line.partition(b"<")[2].partition(b">")[0])
        elif verb == b"BDAT":
            self._due = int(line.split()[1])
        elif verb == b"DATA":
            if self._reply(line, b"354 go ahead" if self._recipients else b"554 5.5.1 no valid recipients"):
                self._text = b""
        elif verb == b"RSET":
            self._reply(line, b"250 ok")
            self._mail, self._recipients = False, []
        else:
            self._reply(line, b"221 bye" if verb == b"QUIT" else b"250 ok")

    def _end(self, text: bytes) -> None:
        good = b"250 2.0.0 kept" if self._recipients else b"554 5.5.1 no valid recipients"
        if self._reply(b".", good) and self._recipients:
            self.host.accepted.append((self._recipients, text))
        self._mail, self._recipients = False, []

    def _reply(self, line: bytes, good: bytes) -> bool:
        """Put the answer out; tell whether it is a good one, and still heard by somebody."""
        try:
            reply = self.host.answer(self, line)
        except Hang as hang:
            self.gone, reply = True, hang.last
        else:
            reply = good if reply is None else reply
        if reply:
            self.out.append((self.host.pause, reply + b"\r\n"))
        return reply[:1] in (b"2", b"3")


class MemoryLink:
    """What Link is, to a connection in memory. `cut` is after how many octets of the server the line goes dead."""

    def __init__(self, connection: Connection, clock: Clock, cut: int | None = None) -> None:
        self.address = (2, ("192.0.2.1", 587))
        self.peer = "192.0.2.1"
        self.tls = None
        self.eof = False
        self.closed = False
        self.waits = 0
        self._connection = connection
        self._clock = clock
        self._cut = cut

    def local_address(self) -> str:
        return "192.0.2.2"

    def write(self, data: bytes, patience: float, deadline: float) -> None:
        assert not self.closed
        if self._clock.now >= deadline:
            raise link.TimedOut("the server does not take what we send")
        if self._connection.gone and not self._connection.out:
            raise link.Lost("the connection broke while sending: Broken pipe")
        self._connection.take(data)

    def arrived(self) -> bytes:
        self.eof = self.eof or (self._connection.gone and not self._connection.out)
        return b""

    def drain(self) -> bytes:
        data = b"".join(reply for pause, reply in self._connection.out if not pause)
        self._connection.out.clear()
        return data

    def read(self, deadline: float) -> bytes:
        self.waits += 1
        with interruption.Waiting():
            pass
        out = self._connection.out
        if not out:
            if not self._connection.gone and self._cut != 0:
                self._clock.now = max(deadline, self._clock.now)
                raise link.TimedOut("the server does not answer in time")
            self.eof = True
            return b""
        pause, data = out.pop(0)
        if self._clock.now + pause >= deadline:
            self._clock.now = max(deadline, self._clock.now)
            raise link.TimedOut("the server does not answer in time")
        self._clock.now += pause
        while self._connection.host.together and out:
            data += out.pop(0)[1]
        if self._cut is not None:
            data, self._cut = data[: self._cut], self._cut - len(data[: self._cut])
            self._connection.gone = self._connection.gone or not self._cut
            if not self._cut:
                out.clear()
        self.eof = not data
        return data

    def close(self) -> None:
        self.closed = True
        self._connection.gone = True


def _heard(self: session.Session) -> bool:
    """Hear all answers: whatever comes is there to be read, and the wait for it takes no time."""
    self.finish()
    return True


@contextlib.contextmanager
def connected(smarthost: Smarthost, *, cut: int | None = None) -> Iterator[tuple[Clock, list[MemoryLink]]]:
    """Let every session reach `smarthost`, by one address, and every wait go by a clock of its own."""
    clock = Clock()
    links: list[MemoryLink] = []

    class Connector:
        def __init__(self, found: object, source_ip: object, timeout: object) -> None:
            self.exhausted = False

        def next(self, deadline: float) -> MemoryLink:
            self.exhausted = True
            links.append(MemoryLink(Connection(smarthost), clock, cut))
            return links[-1]

    with pytest.MonkeyPatch.context() as patch:
        for module in (connect, deliver, link, session):
            patch.setattr(module, "monotonic", clock.monotonic)
        patch.setattr(session.Session, "heard", _heard)
        patch.setattr(session, "addresses", lambda host, port, deadline: [])
        patch.setattr(session, "Connector", Connector)
        patch.setattr(interruption, "_state", interruption._State())  # a signal of one delivery is not one of the next
        yield clock, links


def route(words: Mapping[str, object] | None = None, credentials: Credentials | None = None) -> Route:
    """Return a route by a configuration of these words; in clear unless they say otherwise."""
    written = {"host": "mx.test", "domain": "me.test", "tls": "off", "syslog": "off", **(words or {})}
    text = "".join(f"{word} {value}\n" for word, value in written.items() if value is not None)
    file = reader.parse(text.encode(), "conf")
    return Route(accounts.choose(file, account=None, sender=None, header_from=None)[0], credentials)


def parcel(*recipients: bytes, body: bytes = b"text\n", sender: bytes = b"s@x.test", **fields: bytes) -> Parcel:
    """Return a small message to these recipients."""
    writer = BodyWriter()
    writer.feed(body)
    made = [header.make(name.encode(), value) for name, value in {"Subject": b"test", **fields}.items()]
    return Parcel(made, writer.finish(), sender, list(recipients or (b"r@y.test",)))
