"""The server's side of one SMTP connection as a machine without I/O (RFC 5321).

Whatever the client may do to have the end of a message seen in two places ends the connection, and nothing that came
with it is done.
"""

from pysendmail import errors
from pysendmail.smtp.answer import Answer, Refused, reply
from pysendmail.smtp.command_line import (
    has_controls,
    read_body,
    read_chunk,
    read_envid,
    read_notify,
    read_orcpt,
    read_path,
    read_ret,
    read_size,
    split_verb,
)
from pysendmail.smtp.conversation import LONG, Conversation
from pysendmail.smtp.dots import DotReader, LineEnds
from pysendmail.smtp.receiver import Envelope, Rcpt, Receiver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.smtp.server_login import LoginExchange

LINE_LIMIT = 2048  # octets of a command with its line end
LOGIN_LIMIT = 12288  # octets of a line within AUTH (RFC 4954 section 4)
_PIECE = 65536  # octets of a message that are looked at in one step
_OVERSHOOT = 1000  # recipients that may be refused in one transaction before each of them is a mistake
# What a browser says that some web page has sent here.
_HTTP = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"PRI", b"HOST:")
_OK = Answer(250, "2.0.0", "Ok")
_TAKEN = Answer(250, "2.1.5", "Ok")
_FULL = Answer(452, "4.5.3", "too many recipients; send the message to these first")


class Limits:
    """What one client may do. `size` in octets of a message, 0 for no limit; `errors` and `idle` in commands.

    `errors` are commands that make no sense; `idle` are those that bring no message nearer.
    """

    __slots__ = ("errors", "idle", "recipients", "size")

    def __init__(self, size: int = 0, recipients: int = 1000, errors: int = 20, idle: int = 1000) -> None:
        self.size = size
        self.recipients = recipients
        self.errors = errors
        self.idle = idle


class Server(Conversation):
    """One client. `name` is this host's, in ASCII; `strict` as in dots.py; `login` offers AUTH and insists on it.

    `waiting_for` is one of "command", "login", "message", "answer" (of the receiver, while the client waits) and "nothing".
    """

    def __init__(
        self, receiver: Receiver, name: str, *, strict: bool, limits: Limits | None = None, login: bool = False
    ) -> None:
        super().__init__(strict)
        self._step = self._read_command
        self.messages = 0  # taken with a positive answer
        self.finished = False  # QUIT was said
        self._receiver = receiver
        self._name = name
        self._limits = limits or Limits()
        self._offers_login = login
        self._hello = b""
        self._extended = False
        self._user: bytes | None = None
        self._login: LoginExchange | None = None
        self._envelope: Envelope | None = None
        self._refused_recipients = 0
        self._begun = False  # the receiver has a message in hand
        self._chunked = False  # BDAT has come, so that only BDAT or RSET may follow
        self._refusal: Answer | None = None  # the answer to the message, known before its end
        self._dots = DotReader(strict)
        self._line_ends = LineEnds()
        self._left = self._chunk = 0
        self._last = False
        self._errors = self._idle = 0
        self._say(Answer(220, "", f"{name} ESMTP pysendmail"))

    def answer(self, answer: Answer) -> None:
        """Answer the message whose end the receiver was told; `output` goes on from there."""
        if not self._waits:
            raise errors.SoftwareError("an answer was given to a message whose end has not come")
        self._begun = False
        self._conclude(answer)

    def lost(self) -> None:
        """Note that the client has gone, or that nothing more of it is wanted. A message that is not whole is dropped."""
        self._forget()
        super().lost()

    @property
    def waiting_for(self) -> str:
        """What has to come next, for the driver's clock."""
        if self.closing:
            return "nothing"
        if self._waits:
            return "answer"
        if self._step != self._read_command:
            return "message"
        return "login" if self._login is not None else "command"

    # Steps

    def _read_command(self) -> bool:
        """Take a command, or a line of a login."""
        line, fault = self._next_line(LINE_LIMIT if self._login is None else LOGIN_LIMIT)
        if line is None:
            return False
        try:
            if fault:
                if fault != LONG:
                    self._fatal(fault)
                    return True
                raise Refused(500, "5.5.2", fault)
            if self._login is not None:
                self._go_on_login(self._login, line)
            else:
                self._command(line)
        except Refused as refused:
            self._login = None
            if self._count_mistake():
                self._say(refused.answer)
        return True

    def _read_data(self) -> bool:
        """Take a stretch of what follows DATA."""
        piece = self._input[self._at : self._at + _PIECE]
        if not piece:
            return False
        self._at += len(piece)
        text, rest = self._dots.feed(piece)
        if self._dots.fault:
            self._fatal(self._dots.fault)
            return True
        self._take(text)
        if rest is not None:
            self._at -= len(rest)
            self._end()
        return True

    def _read_chunk(self) -> bool:
        """Take a stretch of what follows BDAT, and answer when it was the end of that."""
        if self._left:
            piece = self._input[self._at : self._at + min(self._left, _PIECE)]
            if not piece:
                return False
            self._at += len(piece)
            self._left -= len(piece)
            fault = self._line_ends.feed(piece) if self._strict else ""
            if fault:
                self._fatal(fault)
                return True
            self._take(piece)
            if self._left:
                return True
        if self._last:
            fault = self._line_ends.finish() if self._strict else ""
            if fault:
                self._fatal(fault)
            else:
                self._end()
            return True
        self._step = self._read_command
        self._say(self._refusal or Answer(250, "2.0.0", f"{self._chunk} octets received"))
        if self._envelope is None:
            self._forget()
        elif self._refusal is not None:
            self._refusal = Answer(503, "5.5.1", "the message was refused already; RSET begins anew")
        return True

    # Commands

    def _command(self, line: bytes) -> None:
        verb, rest = split_verb(line)
        if verb in _HTTP:
            self.close(Answer(421, "4.7.0", "this is no web server"))
            return
        if has_controls(line):
            raise Refused(500, "5.5.2", "control character in a command")
        command = _COMMANDS.get(verb)
        if command is None:
            raise Refused(500, "5.5.1", "the command is not known; HELP lists those that are")
        command(self, rest)

    def _ehlo(self, rest: bytes) -> None:
        self._greet(rest, extended=True)
        size = f"SIZE {self._limits.size}" if self._limits.size else "SIZE"
        offers = ["PIPELINING", size, "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "CHUNKING"]
        if self._offers_login:
            offers.append("AUTH PLAIN LOGIN")
        self._write(reply(250, [self._name, *offers]))

    def _helo(self, rest: bytes) -> None:
        self._greet(rest, extended=False)
        self._write(reply(250, [self._name]))

    def _greet(self, rest: bytes, extended: bool) -> None:
        if not rest or b" " in rest or not rest.isascii():
            raise Refused(501, "5.5.4", f"write {'EHLO' if extended else 'HELO'} name")
        self._pass_time()
        self._forget()
        self._hello, self._extended = rest, extended

    def _mail(self, rest: bytes) -> None:
        if self._offers_login and self._user is None:
            raise Refused(530, "5.7.0", "AUTH has to come first")
        if self._envelope is not None:
            raise Refused(503, "5.5.1", "there is a sender already; RSET begins anew")
        sender, parameters = read_path(rest, b"FROM:")
        envelope = Envelope(sender, self._hello, self._extended, self._user)
        for key, value in parameters.items():
            self._set_parameter(envelope, key, value)
        self._need_utf8(envelope, sender.address if sender is not None else b"")
        limit = self._limits.size
        refusal = _too_large(limit) if limit and envelope.size > limit else self._receiver.mail(envelope)
        if refusal is None:
            self._envelope = envelope
            self._refused_recipients = 0
        else:
            self._pass_time()
        self._say(refusal or Answer(250, "2.1.0", "Ok"))

    def _set_parameter(self, envelope: Envelope, key: bytes, value: bytes) -> None:
        if key == b"SIZE":
            envelope.size = read_size(value)
        elif key == b"BODY":
            envelope.body = read_body(value)
        elif key == b"SMTPUTF8" and not value:
            envelope.utf8 = True
        elif key == b"RET":
            envelope.ret = read_ret(value)
        elif key == b"ENVID":
            envelope.envid = read_envid(value)
        elif not (key == b"AUTH" and value and self._offers_login):  # whose message it was elsewhere counts for nothing
            raise _unknown(key)

    def _rcpt(self, rest: bytes) -> None:
        envelope = self._envelope
        if envelope is None or self._chunked:
            raise Refused(503, "5.5.1", "MAIL has to come first" if envelope is None else "the message has begun")
        mailbox, parameters = read_path(rest, b"TO:")
        if mailbox is None:
            raise Refused(501, "5.1.3", "a recipient has an address")
        recipient = Rcpt(mailbox, None, None)
        for key, value in parameters.items():
            if key == b"NOTIFY":
                recipient.notify = read_notify(value)
            elif key == b"ORCPT":
                recipient.orcpt = read_orcpt(value)
            else:
                raise _unknown(key)
        self._need_utf8(envelope, mailbox.address)
        refusal = _FULL if len(envelope.recipients) >= self._limits.recipients else self._receiver.rcpt(envelope, recipient)
        if refusal is None:
            envelope.recipients.append(recipient)
            self._say(_TAKEN)
            return
        self._refused_recipients += 1
        if self._refused_recipients > _OVERSHOOT:
            self._count_mistake()
        self._say(refusal)

    def _need_utf8(self, envelope: Envelope, address: bytes) -> None:
        if self._strict and not envelope.utf8 and not address.isascii():
            raise Refused(553, "5.6.7", "an address that is not ASCII needs the SMTPUTF8 of MAIL")

    def _data(self, rest: bytes) -> None:
        envelope = self._ready(rest)
        if self._chunked:
            raise Refused(503, "5.5.1", "the message came by BDAT so far and goes on by BDAT")
        refusal = self._receiver.begin(envelope)
        if refusal is not None:
            self._conclude(refusal)
            return
        self._begun = True
        self._dots = DotReader(self._strict)
        self._step = self._read_data
        self._say(Answer(354, "", "end the message with a dot on a line of its own"))

    def _ready(self, rest: bytes) -> Envelope:
        """Return the envelope if a message may follow it. Raises Refused."""
        if rest:
            raise Refused(501, "5.5.4", "DATA takes no argument")
        if self._envelope is None:
            raise Refused(503, "5.5.1", "MAIL has to come first")
        if not self._envelope.recipients:
            raise Refused(554, "5.5.1", "no valid recipients")
        return self._envelope

    def _bdat(self, rest: bytes) -> None:
        """Take the announcement of a chunk, whose octets follow whatever the answer to it is going to be."""
        try:
            self._left, self._last = read_chunk(rest)
        except Refused as refused:  # where the next command stands cannot be known
            self.close(refused.answer)
            return
        self._chunk = self._left
        self._step = self._read_chunk
        if self._chunked:
            return
        self._line_ends = LineEnds()
        try:
            envelope = self._ready(b"")
        except Refused as refused:
            self._refusal = refused.answer
            self._count_mistake()
        else:
            self._refusal = self._receiver.begin(envelope)
            self._begun = self._refusal is None
        self._chunked = True

    def _rset(self, rest: bytes) -> None:
        self._pass_time()
        self._forget()
        self._say(_OK)

    def _noop(self, rest: bytes) -> None:
        self._pass_time()
        self._say(_OK)

    def _vrfy(self, rest: bytes) -> None:
        self._pass_time()
        if not rest:
            raise Refused(501, "5.5.4", "write VRFY address")
        self._say(Answer(252, "2.0.0", "send a message, and its delivery will tell"))

    def _expn(self, rest: bytes) -> None:
        raise Refused(502, "5.5.1", "EXPN is not offered")

    def _starttls(self, rest: bytes) -> None:
        raise Refused(502, "5.5.1", "STARTTLS is not offered: this connection does not leave the machine")

    def _help(self, rest: bytes) -> None:
        self._pass_time()
        self._say(Answer(214, "2.0.0", " ".join([verb.decode() for verb in _COMMANDS])))

    def _quit(self, rest: bytes) -> None:
        self.finished = True
        self.close(Answer(221, "2.0.0", "Bye"))

    # Login

    def _auth(self, rest: bytes) -> None:
        if not self._offers_login:
            raise Refused(502, "5.5.1", "AUTH is not offered")
        if self._user is not None or self._envelope is not None:
            raise Refused(503, "5.5.1", "AUTH is not for now")
        from pysendmail.smtp.server_login import LoginExchange

        self._login = LoginExchange(rest)
        self._challenge(self._login)

    def _go_on_login(self, login: "LoginExchange", line: bytes) -> None:
        login.take(line)
        self._challenge(login)

    def _challenge(self, login: "LoginExchange") -> None:
        if login.challenge is not None:
            self._write(b"334 %b\r\n" % login.challenge)
            return
        self._login = None
        if self._receiver.login(login.user, login.password):
            self._user = login.user
            self._say(Answer(235, "2.7.0", "Ok"))
            return
        self._errors += self._limits.errors // 4
        raise Refused(535, "5.7.8", "user or password is wrong")

    # The message

    def _take(self, text: bytes) -> None:
        """Hand text to the receiver, unless the message is refused by now."""
        if self._refusal is not None or self._envelope is None or not text:
            return
        self._envelope.received += len(text)
        limit = self._limits.size
        self._refusal = (
            _too_large(limit) if limit and self._envelope.received > limit else self._receiver.data(text)
        )
        if self._refusal is not None:
            self._drop()

    def _end(self) -> None:
        """Have the message answered, now or when the receiver has made up its mind."""
        if self._refusal is not None or self._envelope is None:
            self._conclude(self._refusal or Answer(503, "5.5.1", "MAIL has to come first"))
            return
        self._step = self._wait
        self._receiver.end(self._envelope)

    def _conclude(self, answer: Answer) -> None:
        """Answer the message; the next transaction may begin."""
        self._forget()
        self._step = self._read_command
        self._say(answer)
        if answer.code < 300:
            self.messages += 1
            self._errors = self._idle = 0
        else:
            self._pass_time()

    def _forget(self) -> None:
        """End the transaction, if there is one."""
        self._drop()
        self._envelope = self._refusal = None
        self._chunked = False

    def _drop(self) -> None:
        if self._begun:
            self._begun = False
            if not self._waits:  # the end of which was told is in the receiver's hands
                self._receiver.drop()

    # Patience

    def _count_mistake(self) -> bool:
        self._errors += 1
        if self._errors > self._limits.errors:
            self.close(Answer(421, "4.7.0", "too many errors"))
        return not self.closing

    def _pass_time(self) -> None:
        """Count a command that brings no message nearer; one too many ends the connection."""
        self._idle += 1
        if self._idle > self._limits.idle:
            self.close(Answer(421, "4.7.0", "too many commands without a message"))

    def _fatal(self, fault: str) -> None:
        """End the connection over what could have the end of a message, or of a command, seen in two places."""
        self.close(Answer(550, "5.5.2", f"{fault} received; lines end with CRLF here"))


def _too_large(limit: int) -> Answer:
    return Answer(552, "5.3.4", f"the message is larger than {limit} octets")


def _unknown(key: bytes) -> Refused:
    return Refused(555, "5.5.4", f"the parameter {key.decode()} is not known here")


_COMMANDS: "dict[bytes, Callable[[Server, bytes], None]]" = {
    b"EHLO": Server._ehlo,
    b"HELO": Server._helo,
    b"MAIL": Server._mail,
    b"RCPT": Server._rcpt,
    b"DATA": Server._data,
    b"BDAT": Server._bdat,
    b"RSET": Server._rset,
    b"NOOP": Server._noop,
    b"VRFY": Server._vrfy,
    b"EXPN": Server._expn,
    b"HELP": Server._help,
    b"QUIT": Server._quit,
    b"AUTH": Server._auth,
    b"STARTTLS": Server._starttls,
}
