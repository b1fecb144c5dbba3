"""What stands between the machine that speaks SMTP to a client and whoever takes a whole message."""

from pysendmail import errors
from pysendmail.command import smtp_answer
from pysendmail.command.envelope import Envelope
from pysendmail.command.intake import Intake, Message
from pysendmail.smtp.receiver import Receiver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pysendmail.smtp import receiver
    from pysendmail.smtp.answer import Answer


class SmtpSession(Receiver):
    """Gather each message; when its end has come, and the server waits for its answer, `whole` returns it.

    `room` returns what Intake is made with.
    """

    __slots__ = ("_intake", "_room", "given")

    def __init__(self, room: "Callable[[], dict[str, Any]]" = dict) -> None:
        self._room = room
        self._intake = Intake()
        self.given: receiver.Envelope | None = None  # as the client gave it; None while no message is whole

    def begin(self, envelope: "receiver.Envelope") -> "Answer | None":
        self._intake = Intake(**self._room())
        self.given = None
        return None

    def data(self, text: bytes) -> "Answer | None":
        try:
            self._intake.feed(text)
        except errors.Failure as failure:
            return smtp_answer.of_failure(failure)
        return None

    def end(self, envelope: "receiver.Envelope") -> None:
        self.given = envelope

    def drop(self) -> None:
        self._intake = Intake()

    def whole(self) -> tuple[Envelope, Message]:
        """Return the message whose end has come, with its envelope as compose wants it. Raises Failure."""
        intake, given = self._intake, self.given
        self._intake, self.given = Intake(), None
        if given is None:
            raise errors.SoftwareError("a message was asked for before its end had come")
        sender = given.sender.address if given.sender is not None else b""
        recipients = [(one.mailbox.address, one.notify, one.orcpt) for one in given.recipients]
        return Envelope(sender, recipients, given.ret, given.envid), intake.finish()
