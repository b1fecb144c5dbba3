"""Drive the server machine by hand."""

from pysendmail.smtp.answer import Answer
from pysendmail.smtp.receiver import Envelope, Rcpt, Receiver
from pysendmail.smtp.server import Limits, Server

OK = Answer(250, "2.0.0", "Ok: queued")


class Recorder(Receiver):
    """Keep what the server tells, and answer each message at once unless `slow`."""

    def __init__(self, slow: bool = False) -> None:
        self.slow = slow
        self.server: Server | None = None
        self.messages: list[tuple[Envelope, bytes]] = []
        self.dropped = 0
        self.open: bytearray | None = None
        self.pieces: list[int] = []
        self.refuse_mail: Answer | None = None
        self.refuse_rcpt: dict[bytes, Answer] = {}
        self.refuse_begin: Answer | None = None
        self.refuse_data: Answer | None = None
        self.logins: list[tuple[bytes, bytes]] = []

    def mail(self, envelope: Envelope) -> Answer | None:
        return self.refuse_mail

    def rcpt(self, envelope: Envelope, recipient: Rcpt) -> Answer | None:
        return self.refuse_rcpt.get(recipient.mailbox.address)

    def begin(self, envelope: Envelope) -> Answer | None:
        assert self.open is None
        if self.refuse_begin is None:
            self.open = bytearray()
        return self.refuse_begin

    def data(self, text: bytes) -> Answer | None:
        assert self.open is not None
        assert text
        self.pieces.append(len(text))
        if self.refuse_data is None:
            self.open += text
        return self.refuse_data

    def end(self, envelope: Envelope) -> None:
        assert self.open is not None
        self.messages.append((envelope, bytes(self.open)))
        self.open = None
        if not self.slow:
            assert self.server is not None
            self.server.answer(OK)

    def drop(self) -> None:
        assert self.open is not None
        self.open = None
        self.dropped += 1

    def login(self, user: bytes, password: bytes) -> bool:
        self.logins.append((user, password))
        return (user, password) == (b"joe", b"secret")

    @property
    def texts(self) -> list[bytes]:
        """The messages that came whole."""
        return [text for _, text in self.messages]


def serve(
    recorder: Recorder | None = None, strict: bool = True, limits: Limits | None = None, login: bool = False
) -> tuple[Server, Recorder]:
    """Make a server whose greeting was taken."""
    recorder = recorder or Recorder()
    server = Server(recorder, "here", strict=strict, limits=limits, login=login)
    recorder.server = server
    assert server.output() == b"220 here ESMTP pysendmail\r\n"
    return server, recorder


def drain(server: Server) -> bytes:
    """Take all that the server has to say."""
    said = b""
    while data := server.output():
        said += data
    return said


def talk(server: Server, data: bytes) -> bytes:
    """Say something and take all answers."""
    server.feed(data)
    return drain(server)


def codes(said: bytes) -> list[int]:
    """Return the code of each reply."""
    return [int(line[:3]) for line in said.splitlines() if line[3:4] != b"-"]


def addresses(envelope: Envelope) -> list[bytes]:
    return [recipient.mailbox.address for recipient in envelope.recipients]
