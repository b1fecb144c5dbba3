"""A caller who speaks SMTP: a client of the loopback listener, or a user's `sendmail -bs`.

To the hall it is a caller like any other (client.py has the other kind), who comes again with each message. Which user
is behind a client of the listener nobody can tell, and who it got its messages from neither: so there a stray line end,
which could have the end of a message seen in two places, ends the connection (smtp/server.py).
"""

import _socket

from pysendmail import errors
from pysendmail.command import smtp_answer
from pysendmail.command.identity import NO_UID
from pysendmail.command.smtp_session import SmtpSession
from pysendmail.command.smtp_stdio import host_name
from pysendmail.daemon.connection import ANSWERED, ASKING, LARGEST, LOOK, ROOM, SENDING, SMALL, WAITING, Connection
from pysendmail.daemon.loop import GONE, READ, WRITE
from pysendmail.log import printable
from pysendmail.options import Options
from pysendmail.smtp.answer import Answer
from pysendmail.smtp.server import Limits, Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.daemon.hall import Hall
    from pysendmail.smtp.receiver import Envelope, Rcpt

_READ = 1 << 17
_TURNS = 2  # blocks of answers that one client gets before others have their turn
_RECIPIENTS = {True: 10_000, False: 50_000}  # where line ends are strict, and where not
_OF_ONE = 400  # octets that a recipient takes besides his address
_PATIENCE = 300.0  # seconds for a command, or for a message to go on (RFC 5321 section 4.5.3.2.7)
_WHOLE = 3600.0  # seconds for a message to be whole
_FAREWELL = 5.0  # seconds for a client to go after our last word


class Peer(Connection):
    """One of them; `strict` is as in smtp/dots.py."""

    __slots__ = ("_began", "_closing", "_qid", "_server", "_session", "options", "program")

    def __init__(
        self, hall: "Hall", line: _socket.socket, uid: int, options: Options | None = None, strict: bool = True
    ) -> None:
        super().__init__(hall, line, uid)
        self._session = _Gathering(hall, uid)
        try:
            largest = min(LARGEST, hall.largest_of(uid))
        except errors.NoPermission:
            largest = LARGEST  # MAIL will say that nothing may be sent
        limits = Limits(largest, _RECIPIENTS[strict])
        self._server = Server(self._session, host_name(), strict=strict, limits=limits)
        self._began: float | None = None  # when the message that is coming in began
        self._closing = False
        self._qid = ""
        self.program = "sendmail"
        self.options = options or Options()
        hall.loop.post(self._resume)  # when the hall knows us

    # What the hall asks

    @property
    def state(self) -> int:
        """What the client does, as client.py has it."""
        if self._closing or self._server.closing:
            return ANSWERED
        return {"message": SENDING, "answer": WAITING}.get(self._server.waiting_for, ASKING)

    @property
    def held(self) -> int:
        """Octets of memory that the envelope and the header take."""
        return self._session.held + self._session.header

    @property
    def coming(self) -> int:
        """Octets of a message that is still coming in."""
        return self._session.coming

    @property
    def patience(self) -> float:
        """Seconds that the client may do nothing."""
        return _FAREWELL if self.state == ANSWERED else _PATIENCE

    def expire(self) -> None:
        """End it for having done nothing for too long."""
        if self.state == ANSWERED:
            self.close()
        else:
            self._server.close(Answer(421, "4.4.2", f"nothing was heard for {_PATIENCE:.0f} seconds"))
            self._go_on()

    def answer(self, code: int, text: str = "") -> None:
        """Answer the message by an exit code and text for standard error; 0 says that it is in the queue, or was sent."""
        lines = [line.removeprefix(f"{self.program}: ") for line in text.splitlines()]
        self._conclude(smtp_answer.of_exit(code, "\n".join(lines)) if code else smtp_answer.queued(self._qid))

    def refuse(self, failure: errors.Failure) -> None:
        """Answer the message with a failure; where none waits for an answer, end the session with it."""
        if self.fd < 0 or self.state == ANSWERED:
            return
        self._hall.register.refused += 1
        if not failure.logged:
            who = "listener" if self.uid == NO_UID else f"uid={self.uid}"
            self._hall.note(f"fatal: {who}: {printable(str(failure))}")
        if self.state == WAITING:
            self._conclude(smtp_answer.of_failure(failure))
        else:
            self._server.close(smtp_answer.of_failure(failure, 421))
            self._go_on()

    def reassure(self) -> None:
        """Note that a sign was due; SMTP has none."""
        self.spoken = self._hall.loop.now

    def close(self) -> None:
        if self._drop():
            self._server.lost()
            self._hall.left(self)

    # Octets

    def ready(self, events: int) -> None:
        try:
            if events & READ:
                self._read()
            elif events & GONE:
                self.close()
            if self.fd >= 0:
                self._go_on()
        except Exception as error:
            self._confess(error)

    def _read(self) -> None:
        data = self._hear(_READ)
        if data is None:
            return
        if not data:
            # He may still be listening, as a command is whose input has ended.
            if self.state == SENDING:
                self._server.close(Answer(421, "4.4.2", "the input ended within a message, which was not sent"))
            elif self.state == ASKING and self.uid != NO_UID:
                self._server.close(Answer(221, "2.0.0", "Bye"))
            else:
                self.close()
            return
        if self._closing:
            return  # what he says now comes too late, but has to be read for him to read our last word
        before = self._server.waiting_for
        self._server.feed(data)
        if self._server.waiting_for != "message":
            self._began = None
        elif self._began is None or before != "message":
            self._began = self.last = self._hall.loop.now
        else:
            self.last = self._hall.loop.now
            if self.last - self._began > _WHOLE:
                self._server.close(Answer(421, "4.4.2", f"a message has to be whole within {_WHOLE:.0f} seconds"))

    def _go_on(self) -> None:
        """Say what there is to say, and have done what is whole."""
        while True:
            if not self._flush():
                return
            if self._session.given is None:
                break
            self._submit()
        unsaid = bool(self._out) or self._server.unfinished
        if self._server.closing and not unsaid and not self._closing:
            self._closing = True
            self.last = self._hall.loop.now
            try:
                self.line.shutdown(_socket.SHUT_WR)
            except OSError:
                self.close()
                return
        self._wait_for((WRITE if unsaid else 0) | (READ if self._closing or self._server.wants_input else 0))

    def _flush(self) -> bool:
        """Send what the client takes; False says that he is gone."""
        for _ in range(_TURNS):
            self._out = self._out or self._server.output()
            if not self._push():
                return False
            if self._out:
                break
        return True

    # Messages

    def _submit(self) -> None:
        """Have the message committed; its answer comes from the hall."""
        try:
            envelope, message = self._session.whole()
            self._qid = self._hall.submit(self, message, envelope)
        except errors.Failure as failure:
            self.refuse(failure)
        except Exception as error:
            self._confess(error)

    def _conclude(self, answer: Answer) -> None:
        self.job = None
        if self.fd >= 0 and self.state == WAITING:
            self.spoken = self.last = self._hall.loop.now
            self._server.answer(answer)
            self._hall.loop.post(self._resume)

    def _resume(self) -> None:
        """Go on where something was said that may have come from within `_go_on`."""
        if self.fd >= 0:
            self._go_on()


class _Gathering(SmtpSession):
    """The messages of one client, within what the hall has room for. `held` are octets of the envelope."""

    __slots__ = ("_hall", "_uid", "held")

    def __init__(self, hall: "Hall", uid: int) -> None:
        super().__init__(hall.room)
        self._hall = hall
        self._uid = uid
        self.held = 0

    @property
    def coming(self) -> int:
        """Octets of a message that is still coming in."""
        return self._intake.total

    @property
    def header(self) -> int:
        """Octets of memory that the header of that takes."""
        return self._intake.held

    def mail(self, envelope: "Envelope") -> Answer | None:
        try:
            if self._uid == NO_UID:  # who comes by TCP can come again; for a program that runs sendmail -bs this is all
                self._hall.check_open()
            self._hall.check_requests()
            self._hall.check_caller(self._uid)
            self._hall.check_room(2 * envelope.size + ROOM)
        except errors.Failure as failure:
            return smtp_answer.of_failure(failure)
        self.held = 0
        return None

    def rcpt(self, envelope: "Envelope", recipient: "Rcpt") -> Answer | None:
        self.held += len(recipient.mailbox.address) + len(recipient.orcpt or b"") + _OF_ONE
        if len(envelope.recipients) % 100 == 99:
            try:
                self._hall.check_requests()
            except errors.Failure as failure:
                return smtp_answer.of_failure(failure)
        return None

    def data(self, text: bytes) -> Answer | None:
        before = self._intake.total
        answer = super().data(text)
        look = self._intake.total // LOOK != before // LOOK
        if answer is None and (look or self._intake.held > SMALL):
            try:
                self._hall.check_requests()
                self._hall.check_room(2 * self._hall.coming_of(self._uid) + ROOM)
            except errors.Failure as failure:
                return smtp_answer.of_failure(failure)
        return answer

    def end(self, envelope: "Envelope") -> None:
        super().end(envelope)
        self.held = 0

    def drop(self) -> None:
        super().drop()
        self.held = 0
