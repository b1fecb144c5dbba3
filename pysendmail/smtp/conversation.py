"""A conversation in lines, seen from the side that answers, as a machine without I/O.

One method at a time is `_step`: it takes the next piece out of the input (a command, a stretch of a message) and tells
whether there was one. Replies leave in the order of the commands because nothing is looked at before what stands before
it has been answered; so PIPELINING needs no code of its own. A step that takes nothing makes the conversation wait, and
so do replies that the other side does not take: work then goes on in `output`. The driver reads only while `wants_input`,
and memory is bounded by what one read brings.
"""

from pysendmail.smtp.answer import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LONG = "the line is too long"
_OUTPUT = 16384  # octets of replies that may wait for the client


class Conversation:
    """Octets in, octets out.

    `closing` says that the connection is to be closed once `output` is empty. `strict` knows no line end but CRLF; else
    LF, CRLF and CR CR LF end a line.
    """

    def __init__(self, strict: bool) -> None:
        self.closing = False
        self._strict = strict
        self._step: Callable[[], bool] = self._wait
        self._input = b""
        self._at = 0  # where in the input the next step begins
        self._starved = True
        self._overlong = False
        self._out: list[bytes] = []
        self._out_size = 0

    def feed(self, data: bytes) -> None:
        """Take what the client sent."""
        if not self.closing:
            self._input = self._input[self._at :] + data
            self._at = 0
            self._work()

    def output(self) -> bytes:
        """Return what is to be sent now, of moderate size; ask again after it has left, until it is empty."""
        self._work()
        data = b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        return data

    def lost(self) -> None:
        """Note that the client has gone, or that nothing more of it is wanted."""
        self.closing = True
        self._step = self._wait
        self._input = b""
        self._at = 0

    def close(self, answer: Answer) -> None:
        """Say `answer` as the last thing; what the client has sent beyond it is not looked at."""
        if not self.closing:
            self._write(answer.wire)
            self.lost()

    @property
    def wants_input(self) -> bool:
        """Whether more of the client's octets can be dealt with: if not, leave them unread."""
        return self._starved and not (self.closing or self._out or self._waits)

    @property
    def unfinished(self) -> bool:
        """Whether `output` has more to say than it said last, or is going to look at more of what came."""
        return bool(self._out) or not (self._starved or self.closing or self._waits)

    @property
    def _waits(self) -> bool:
        return self._step == self._wait

    def _work(self) -> None:
        while not self.closing and self._out_size < _OUTPUT:
            self._starved = not self._step()
            if self._starved:
                return

    def _wait(self) -> bool:
        """Take nothing, until somebody puts another step in this one's place."""
        return False

    def _next_line(self, limit: int) -> tuple[bytes | None, str]:
        """Take a line without its line end; it is None if it has not come. With it comes what is wrong, or "".

        What is too long for a line is thrown away while it comes.
        """
        end = self._input.find(b"\n", self._at)
        if end < 0:
            last = len(self._input) - 1  # the octet that says what kind of line end this is going to be
            if last + 1 - self._at < limit:
                return None, ""
            stray = self._strict and self._input.find(b"\r", self._at, last) >= 0
            self._overlong, self._at = True, last
            return (b"", "bare CR") if stray else (None, "")
        line, self._at = self._input[self._at : end], end + 1
        overlong, self._overlong = self._overlong or len(line) >= limit, False
        fault = LONG if overlong else ""
        if not self._strict:
            return line.removesuffix(b"\r").removesuffix(b"\r"), fault
        if b"\r" in line[:-1]:
            return line, "bare CR"
        return line[:-1], fault if line[-1:] == b"\r" else "bare LF"

    def _say(self, answer: Answer) -> None:
        """Send an answer; a 421 is the last one."""
        if answer.code == 421:
            self.close(answer)
        else:
            self._write(answer.wire)

    def _write(self, octets: bytes) -> None:
        if not self.closing:
            self._out.append(octets)
            self._out_size += len(octets)
