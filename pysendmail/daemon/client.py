"""One caller of the accept process: a connection that speaks frames.

It goes through a few states. What is not expected in a state ends the connection, and with it all that came over it: a
message that was not ended by its right length is none. An answer ends the connection as well: a caller who is still
sending is told by an error, and finds it.
"""

from pysendmail import errors, options, wire
from pysendmail.command.intake import Intake
from pysendmail.daemon.connection import (
    ANSWERED,
    ASKING,
    LARGEST,
    LOOK,
    ROOM,
    SENDING,
    SERVED,
    SMALL,
    WAITING,
    Connection,
)
from pysendmail.daemon.loop import GONE, READ, WRITE
from pysendmail.log import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from pysendmail.daemon.hall import Hall
    from pysendmail.options import Options

_READ = 1 << 18
_LINE = 4096
_PIECE = 1 << 16
_SILENCE = 3600.0  # seconds without a word in which a message may stop half-way


class Client(Connection):
    """A caller."""

    __slots__ = ("_decoder", "_intake", "columns", "enclosed", "largest", "name", "options", "state", "words")

    def __init__(self, hall: "Hall", line: "_socket.socket", uid: int) -> None:
        super().__init__(hall, line, uid)
        self._decoder = wire.Decoder()
        self._intake: Intake | None = None
        self.state = ASKING
        self.name = b""
        self.words: list[bytes] = []
        self.columns = 80
        self.options: Options | None = None
        self.enclosed: Intake | None = None  # what came with a request that is no message
        self.largest = LARGEST

    @property
    def held(self) -> int:
        """Octets of memory that this caller makes us keep for a request that is not complete."""
        return self._decoder.held + (self._intake.held if self._intake is not None else 0)

    @property
    def coming(self) -> int:
        """Octets of a message that is still coming in."""
        return self._intake.total if self._intake is not None else 0

    @property
    def patience(self) -> float:
        """Seconds that the caller may say nothing."""
        return _SILENCE

    def expire(self) -> None:
        """End it for having said nothing for too long."""
        self.close()

    @property
    def program(self) -> str:
        """The name that stands before what the caller is told."""
        return self.name.decode() if self.name in (b"mailq", b"newaliases", b"pysendmail") else "sendmail"

    def ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if self.fd >= 0 and events & (READ | GONE):
            self._read()

    def _read(self) -> None:
        data = self._hear(_READ)
        if data is None:
            return
        if not data:
            self.close()
            return
        if self.state == ANSWERED:
            return  # what he says now comes too late
        self.last = self._hall.loop.now
        try:
            for kind, content in self._decoder.feed(data):
                self._take(kind, content)
                if self.state == ANSWERED or self.fd < 0:
                    return
            if self.held > SMALL:
                self._hall.check_requests()
        except wire.Broken as broken:
            self._hall.note(f"uid={self.uid}: a caller of the socket does not speak our protocol: {broken}")
            self.close()
        except errors.Failure as failure:
            self.refuse(failure)
        except Exception as error:
            self._confess(error)

    def _take(self, kind: int, content: bytes) -> None:
        """Take one frame. Raises Broken, or the Failure that is the answer."""
        if self.state == SENDING:
            if kind == wire.DATA[0]:
                self._feed(content)
                return
            if kind == wire.END[0]:
                self._end(content)
                return
        elif self.state == ASKING:
            if kind == wire.FACTS[0]:
                self._learn(content)
                return
            if kind == wire.REQUEST[0] and not self.words:
                self._ask(content)
                return
        raise wire.Broken("a frame that was not expected")

    def _learn(self, content: bytes) -> None:
        """Take the facts that a command tells of itself: the columns of its terminal."""
        for fact in content.split(b"\0"):
            name, _, value = fact.partition(b"=")
            if name == b"columns" and value.isdigit() and len(value) <= 4:
                self.columns = int(value)

    def _ask(self, content: bytes) -> None:
        version, *words = content.split(b"\0")
        if version != wire.VERSION or not words:
            raise errors.TempFail("the command and the daemon are of different releases; restart the daemon")
        self.words = words
        self.name = words[0]
        if self.name == b"pysendmail":
            if words[1:2] == [b"explain"]:
                self._receive()
            else:
                self._serve()
            return
        self.options = options.parse(words[1:], self.name)
        mode = self.options.mode
        if mode == "deliver":
            if not self.options.extract and not self.options.recipients:
                raise errors.UsageError("no recipients in the arguments (-t takes them from the header)")
            self.largest = min(LARGEST, self._hall.largest_of(self.uid))
            self._receive()
        elif mode == "smtp":
            self._converse(self.options)
        elif mode in ("list", "queue", "verify", "aliases"):
            self._serve()
        else:
            raise errors.UsageError("the daemon does not do that")

    def _converse(self, asked: "Options") -> None:
        """Make room for one who speaks SMTP over this connection from now on; he waits for the greeting."""
        self._hall.loop.forget(self.fd)
        self.fd = -1
        self._hall.converse(self, asked)

    def _receive(self) -> None:
        """Go on with what stands on the caller's standard input."""
        self._intake = Intake(**self._hall.room())
        self.state = SENDING

    def _serve(self) -> None:
        """Have the request answered by a thread."""
        self.state = SERVED
        self._hall.loop.forget(self.fd)
        self._hall.serve(self)

    def served(self, code: int, text: str = "") -> None:
        """Go on after a thread has sent the text of the answer, but for a last line for standard error."""
        self.line.setblocking(False)
        self._watched = READ
        self._hall.loop.watch(self.fd, self.ready)
        self.answer(code, text)

    # The message

    def _feed(self, data: bytes) -> None:
        intake = self._intake
        assert intake is not None
        before = intake.total
        intake.feed(data)
        if intake.total > self.largest:
            raise errors.DataError(f"the message is larger than {self.largest} octets; nothing was sent")
        if intake.total // LOOK != before // LOOK:
            self._hall.check_room(2 * self._hall.coming_of(self.uid) + ROOM)

    def _end(self, content: bytes) -> None:
        intake, options = self._intake, self.options
        assert intake is not None
        if len(content) != 8 or int.from_bytes(content, "big") != intake.total:
            raise wire.Broken("a message has another length than it says")
        self._intake = None
        if options is None:
            self.enclosed = intake
            self._serve()
            return
        message = intake.finish(drop_final_dot=not options.ignore_dots)
        self.state = WAITING
        self._hall.submit(self, message)

    # The answer

    def answer(self, code: int, text: str = "") -> None:
        """Tell the exit code, and a line for standard error before it."""
        parts = [wire.frame(wire.ERR, text.encode("utf-8", "surrogateescape"))] if text else []
        self.state = ANSWERED
        self._intake = self.job = None
        self._send(b"".join([*parts, wire.frame(wire.EXIT, bytes([code]))]))

    def refuse(self, failure: errors.Failure) -> None:
        if self.state == ANSWERED or self.fd < 0:
            return
        if self.name != b"pysendmail" and (self.options is None or self.options.mode == "deliver"):
            self._hall.register.refused += 1
        if not failure.logged:
            self._hall.note(f"fatal: uid={self.uid}: {printable(str(failure))}")
        quiet = self.options is not None and self.options.errors == "q"
        self.answer(failure.exit_code, "" if quiet else f"{self.program}: {printable(str(failure), _LINE)}\n")

    def show(self, text: bytes) -> None:
        """Say something on standard error to a caller who waits."""
        parts = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
        self._send(b"".join([wire.frame(wire.ERR, part) for part in parts]))

    def reassure(self) -> None:
        """Give a sign of life to a caller who waits."""
        self._send(wire.frame(wire.ALIVE, b""))

    def _send(self, data: bytes) -> None:
        self.spoken = self._hall.loop.now
        self._out += data
        self._flush()

    def _flush(self) -> None:
        if not self._push():
            return
        if self.state == ANSWERED and not self._out:
            self.close()
            return
        self._wait_for(READ | WRITE if self._out else READ)

    def close(self) -> None:
        self._intake = None
        if self._drop():
            self._hall.left(self)
