"""What a server asks of the program around it, and the envelope that both know."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.message.address import Mailbox
    from pysendmail.smtp.answer import Answer


class Rcpt:
    """One recipient as the client gave it, with the DSN parameters of RFC 3461 in the form that Mail has them."""

    __slots__ = ("mailbox", "notify", "orcpt")

    def __init__(self, mailbox: "Mailbox", notify: bytes | None, orcpt: bytes | None) -> None:
        self.mailbox = mailbox
        self.notify = notify
        self.orcpt = orcpt


class Envelope:
    """What came before the message.

    `sender` is None for the null sender. `size` is what SIZE announced, 0 for nothing. `hello` is the name that the
    client gave itself; `login` the user it proved to be, None without AUTH. `received` counts the message's octets.
    """

    __slots__ = ("body", "envid", "extended", "hello", "login", "received", "recipients", "ret", "sender", "size", "utf8")

    def __init__(self, sender: "Mailbox | None", hello: bytes, extended: bool, login: bytes | None) -> None:
        self.sender = sender
        self.hello = hello
        self.extended = extended
        self.login = login
        self.recipients: list[Rcpt] = []
        self.size = 0
        self.body: bytes | None = None
        self.utf8 = False
        self.ret: bytes | None = None
        self.envid: bytes | None = None
        self.received = 0


class Receiver:
    """The program around the server. Each method that returns an Answer refuses by it, and agrees by None."""

    __slots__ = ()

    def mail(self, envelope: Envelope) -> "Answer | None":
        """Judge the sender, who stands in the envelope."""
        return None

    def rcpt(self, envelope: Envelope, recipient: Rcpt) -> "Answer | None":
        """Judge a recipient before it is put into the envelope."""
        return None

    def begin(self, envelope: Envelope) -> "Answer | None":
        """Get ready for the message; `drop` or `end` follows."""
        return None

    def data(self, text: bytes) -> "Answer | None":
        """Take the message's next octets. If they are refused `drop` follows, and the answer waits for the message's end."""
        return None

    def end(self, envelope: Envelope) -> None:
        """Take the end of the message; the server waits until its `answer` is called, now or later."""
        raise NotImplementedError

    def drop(self) -> None:
        """Forget the message that was begun: it will never be whole."""

    def login(self, user: bytes, password: bytes) -> bool:
        """Tell whether the password is right, where AUTH is offered."""
        return False
