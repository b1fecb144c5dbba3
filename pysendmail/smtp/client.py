"""The client's side of one SMTP connection as a machine without I/O (RFC 5321).

Theory of operation. The machine has two ends: `output` gives octets for the server, `feed` takes octets from it. Each
command that leaves puts an expectation (a handler, its name, how long its answer may take) into a queue; each complete
reply takes the oldest expectation out and calls its handler. That queue is the whole state of the protocol: with
PIPELINING several expectations wait in it, without it there is one at a time, and the code is the same. A reply that
nobody expects is an error, but for a 421, which says that the server is leaving.

`lost` ends the connection from outside (end of input, time-out, a broken TLS record, rubbish). It gives every recipient
that has no outcome yet one: uncertain if the message's end had left and neither MAIL nor the recipient was refused,
otherwise deferred.
"""

from pysendmail import errors
from pysendmail.log import Masker
from pysendmail.smtp.extensions import Extensions
from pysendmail.smtp.outcome import Mail, wants_login
from pysendmail.smtp.reply import Reply, ReplyReader
from pysendmail.smtp.transaction import Transaction, refuse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterator

    from pysendmail.smtp.sasl import Mechanism
else:
    from _collections import deque

_OUTPUT = 65536  # commands are gathered up to about so many octets
_INPUT = 65536  # replies are taken out of so many octets at a time


class Patience:
    """How long each kind of reply may take, in seconds (RFC 5321 section 4.5.3.2)."""

    __slots__ = ("command", "data", "end_of_data")

    def __init__(self, timeout: float = 300, end_of_data: float = 600) -> None:
        self.command = min(300.0, timeout)
        self.data = min(120.0, timeout)
        self.end_of_data = end_of_data

    def of(self, name: str) -> float:
        """Return the seconds that the answer to the command `name` may take."""
        return {"DATA": self.data, "end of data": self.end_of_data}.get(name, self.command)


class Client:
    """One connection to a server. `name` is what EHLO says; `trace` is told each line, masked, with its direction.

    The driver writes what `output` gives, calls `flushed` when it has left, and asks again; when nothing comes it reads
    and calls `feed`, until the client is `idle`.
    """

    def __init__(
        self,
        name: bytes,
        patience: Patience,
        masker: Masker | None = None,
        trace: "Callable[[str, bytes], None] | None" = None,
    ) -> None:
        self.name = name
        self.extensions = Extensions()
        self.replies = 0  # complete replies so far, for the driver's clock
        self.tls_ready = False
        self.authenticated = False
        self.closing = False  # the server said good-bye, or what it says cannot be trusted any more
        self._patience = patience
        self.trace = trace
        self._masker = masker or Masker()
        self._reader = ReplyReader()
        self._expected: deque[tuple[Callable[[Reply], None], str]] = deque()
        self._answered = "greeting"
        self._out: list[bytes] = []
        self._plan: Iterator[bytes | None] | None = None
        self._stream: Iterator[bytes] | None = None
        self._ahead: bytes | None = None  # the next piece of the stream, so that the last one is known for what it is
        self._end_in_output = False
        self._transaction: Transaction | None = None
        self._last: Transaction | None = None
        self._farewell: Reply | None = None
        self.expect(self._on_greeting, "greeting")

    # What the session asks for

    def hello(self) -> None:
        """Say EHLO, and HELO to a server that does not know it."""
        self.extensions = Extensions()
        self.command(b"EHLO " + self.name, self._on_ehlo, "EHLO")

    def start_tls(self) -> None:
        """Ask for TLS; when `tls_ready` is true the driver does the handshake and calls `secured` (RFC 3207)."""
        self.command(b"STARTTLS", self._on_starttls, "STARTTLS")

    def secured(self) -> None:
        """Forget all that was said in clear, now that TLS is to begin. Raises TempFail if more was said than asked for."""
        if self._expected or self._reader.partial or self._reader.error:
            raise errors.TempFail("the server sent data ahead of the TLS handshake (an injection); connection given up")
        self.tls_ready = False
        self.extensions = Extensions()

    def authenticate(self, mechanism: "Mechanism") -> None:
        """Run a SASL exchange (RFC 4954). Its answers raise NoPermission where the server refuses the login."""
        from pysendmail.smtp.sasl import Exchange

        Exchange(self, mechanism, self._masker).begin()

    def send(self, mail: Mail, recipients: list[bytes]) -> Transaction:
        """Begin a transaction for some of the recipients of `mail`; it is over when the client is idle again."""
        if not self.idle:
            raise errors.SoftwareError("a transaction was begun before the last command was answered")
        transaction = Transaction(self, mail, recipients)
        limit = self.extensions.size
        if limit is not None and mail.size > limit:
            refuse_size(transaction, limit)
            return transaction
        if self._last is not None and not self._last.spent:
            self.command(b"RSET", transaction.on_reset, "RSET")
        self._transaction = transaction
        self._plan = transaction.commands()
        return transaction

    def quit(self) -> None:
        """Say QUIT; nobody need wait for the answer."""
        self.command(b"QUIT", lambda reply: None, "QUIT")

    # The two ends

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send and nothing to wait for."""
        return not (self._expected or self._out or self._plan or self._stream)

    @property
    def unsent(self) -> bool:
        """Whether more is going to be said, now or when answers have come."""
        return bool(self._out or self._plan or self._stream)

    @property
    def unanswered(self) -> bool:
        """Whether answers are due, or a message is still on its way out."""
        return bool(self._expected or self._stream)

    @property
    def waiting_for(self) -> str:
        """The command whose answer is due next, or the last one that was answered."""
        return self._expected[0][1] if self._expected else self._answered

    @property
    def patience(self) -> float:
        """How long the reply that is due next may take, in seconds."""
        return self._patience.of(self.waiting_for)

    def output(self) -> bytes:
        """Return what is to be sent now, of moderate size; empty when a reply has to come first."""
        size = sum(map(len, self._out))
        while size < _OUTPUT:
            piece = self._next_piece()
            if piece is None:
                break
            size += len(piece)
            self._out.append(piece)
        data = b"".join(self._out)
        self._out.clear()
        if not data:
            self.flushed()
        return data

    def flushed(self) -> None:
        """Note that all that `output` gave has left."""
        if self._end_in_output and self._transaction is not None:
            self._transaction.end_left = True
        self._end_in_output = False

    def feed(self, data: bytes) -> None:
        """Take what the server sent. Raises a Failure where the session cannot go on."""
        for start in range(0, len(data), _INPUT):
            for reply in self._reader.feed(data[start : start + _INPUT]):
                self._take(reply)
        if self._reader.error is not None:
            self.closing = True
            if not self._over:
                raise self._reader.error

    def lost(self, failure: errors.Failure) -> None:
        """End the connection: unanswered recipients get their outcome. Raises `failure` when no transaction is on."""
        self.closing = True
        stage = self.waiting_for
        self._expected.clear()
        self._out.clear()
        self._stream = self._plan = None
        if self._transaction is not None:
            self._transaction.give_up(failure, stage, self._farewell)
            self._finish()
        elif not self._over:
            raise failure

    # What a transaction and a login use

    def expect(self, handler: "Callable[[Reply], None]", name: str) -> None:
        """Expect one more reply, and have `handler` called with it."""
        self._expected.append((handler, name))

    def line(self, line: bytes, handler: "Callable[[Reply], None]", name: str, shown: bytes | None = None) -> bytes:
        """Return a command line for the wire, with its answer expected; the transcript has `shown` in its place."""
        self._expected.append((handler, name))
        if self.trace is not None:
            self.trace(">", self._masker.mask(line) if shown is None else shown)
        return _wire([line])

    def lines(self, lines: list[bytes], handler: "Callable[[Reply], None]", name: str) -> bytes:
        """Return several command lines for the wire, with the answer to each expected."""
        self._expected.extend([(handler, name)] * len(lines))
        if self.trace is not None:
            for line in lines:
                self.trace(">", self._masker.mask(line))
        return _wire(lines)

    def begin_stream(self, chunks: "Iterator[bytes]", size: int) -> None:
        """Send a message of `size` octets before anything else."""
        self._stream, self._ahead = chunks, next(chunks, None)
        if self.trace is not None:
            self.trace(">", b"[message of %d octets]" % size)

    def abandon_stream(self) -> bool:
        """Stop sending the message, if some of it has not left yet; the connection is of no use after that."""
        if self._stream is None and not self._end_in_output:
            return False
        self._stream = self._plan = None
        self._end_in_output = False
        self._out.clear()
        self.closing = True
        return True

    def refuse(self, what: str, reply: Reply, login: bool = False) -> None:
        """Raise what a refusal means while no message is on its way; a `login` is refused by any 5xx."""
        text = f"{what}: {self._masker.mask(reply.text).decode('utf-8', 'backslashreplace')}"
        if wants_login(reply) or (login and reply.kind == 5):
            raise errors.NoPermission(text)
        if reply.kind in (4, 5):
            raise errors.TempFail(text)
        raise errors.ProtocolError(text)

    def command(self, line: bytes, handler: "Callable[[Reply], None]", name: str, shown: bytes | None = None) -> None:
        """Send a command line, in the manner of `line`."""
        self._out.append(self.line(line, handler, name, shown))

    # Inside

    @property
    def _over(self) -> bool:
        """Whether the last transaction has all its answers, so that trouble after it changes nothing."""
        return self._last is not None and self._transaction is None and not self._expected

    def _take(self, reply: Reply) -> None:
        """Hand a reply to whoever expects it."""
        self.replies += 1
        if self.trace is not None:
            self._show(reply, self.trace)
        if not self._expected:
            self._unexpected(reply)
            return
        if reply.code == 421:
            self._farewell = reply
            self.closing = True
        handler, self._answered = self._expected.popleft()
        handler(reply)
        if not self._expected:
            self._settle()

    def _finish(self) -> None:
        self._last, self._transaction = self._transaction, None

    def _settle(self) -> None:
        """Close the transaction when its last answer has come."""
        if self._transaction is not None and self.idle:
            self._finish()

    def _next_piece(self) -> bytes | None:
        """Return the next octets to send, empty ones to be asked again, None when an answer has to come first."""
        if self._stream is not None:
            piece, self._ahead = self._ahead, next(self._stream, None)
            if self._ahead is None:
                self._stream = None
                self._end_in_output = True
                if self._plan is not None and next(self._plan, b"") == b"":  # nothing comes after the message
                    self._plan = None
            return piece or b""
        if self._plan is None or (self._expected and b"PIPELINING" not in self.extensions):
            return None
        piece = next(self._plan, b"")
        if piece is None:  # the plan waits for answers
            return None if self._expected else b""
        if not piece:
            self._plan = None
            self._settle()
            return None
        return piece

    def _on_greeting(self, reply: Reply) -> None:
        if reply.kind != 2:
            self.refuse("the server does not serve us now", reply)

    def _on_ehlo(self, reply: Reply) -> None:
        if reply.kind == 2:
            self.extensions = Extensions(reply.lines)
        elif reply.kind == 5 and not wants_login(reply):
            self.command(b"HELO " + self.name, self._on_helo, "HELO")
        else:
            self.refuse("EHLO was refused", reply)

    def _on_helo(self, reply: Reply) -> None:
        if reply.kind != 2:
            self.refuse("neither EHLO nor HELO is accepted", reply)

    def _on_starttls(self, reply: Reply) -> None:
        if reply.kind != 2:
            self.refuse("STARTTLS was refused", reply)
        self.tls_ready = True

    def _unexpected(self, reply: Reply) -> None:
        """Deal with a reply that answers no command."""
        self.closing = True
        if reply.code == 421:
            self._farewell = reply
        elif not self._over or self._last is None:
            if self.tls_ready:
                raise errors.TempFail("the server sent data ahead of the TLS handshake (an injection)")
            raise errors.ProtocolError("the server does not speak SMTP: it sent a reply that answers no command")
        elif reply.code != 221:
            self._last.doubt(reply)

    def _show(self, reply: Reply, trace: "Callable[[str, bytes], None]") -> None:
        last = len(reply.lines) - 1
        for number, line in enumerate(self._masker.mask_lines(reply.lines)):
            mark = b" " if number == last else b"-"
            trace("<", b"%d%s%s" % (reply.code, mark, line))


def _wire(lines: list[bytes]) -> bytes:
    """Return command lines as they leave. A line end in one of them would be a command of somebody else's making."""
    data = b"\r\n".join(lines) + b"\r\n"
    if data.count(b"\n") != len(lines) or data.count(b"\r") != len(lines):
        raise errors.SoftwareError("a line end was about to get into an SMTP command; nothing more was sent")
    return data
