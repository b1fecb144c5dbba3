"""One mail transaction: the commands it says, and what the answers to them mean for each recipient (RFC 5321 section 3.3).

The commands are a generator. The client advances it only when a command may leave: at once with PIPELINING, else when
every answer is in. Where it yields None, all that was sent has to be answered first.
"""

from pysendmail import errors
from pysendmail.smtp.outcome import DEFERRED, SENT, UNCERTAIN, Mail, Outcome, from_failure, judge
from pysendmail.smtp.reply import Reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pysendmail.smtp.client import Client

ONE_FLIGHT = 65536  # a message of up to so many octets leaves together with its envelope
_GROUP = 100  # RCPT commands made at a time
_EARLY, _LATER = ("MAIL", "RCPT"), errors.TempFail.exit_code
_TOO_MANY = ("4.5.3", "5.5.3")


class Transaction:
    """One MAIL command and what belongs to it.

    `outcomes` fills as answers come; `left_over` holds the recipients that were refused only because the transaction
    was full, for a later one.
    """

    __slots__ = (
        "_asked", "_client", "accepted", "end_left", "left_over", "mail", "mail_reply", "outcomes", "recipients", "spent",
    )  # fmt: skip

    def __init__(self, client: "Client", mail: Mail, recipients: list[bytes]) -> None:
        self._client = client
        self.mail = mail
        self.recipients = recipients
        self._asked = iter(recipients)
        self.outcomes: dict[bytes, Outcome] = {}
        self.accepted: list[bytes] = []
        self.left_over: list[bytes] = []
        self.mail_reply: Reply | None = None
        self.end_left = False  # the message's last octet was handed to the connection
        self.spent = False  # the server ended it, so the next transaction needs no RSET

    @property
    def _mail_refused(self) -> bool:
        return self.mail_reply is not None and self.mail_reply.kind != 2

    @property
    def pending(self) -> list[bytes]:
        """The recipients that have neither an outcome nor a place in a later transaction."""
        later = set(self.left_over)
        return [r for r in self.recipients if r not in self.outcomes and r not in later]

    @property
    def unseen(self) -> bool:
        """Whether the server ended the connection before it said anything to MAIL, and cannot have the whole message."""
        reply = self.mail_reply
        return self._client.closing and (not self.end_left if reply is None else reply.code == 421)

    @property
    def put_off(self) -> bool:
        """Whether everybody was put off before anything was taken, so that another server may be asked at once.

        Nothing was refused for good, no recipient was accepted, and the message cannot have been taken.
        """
        outcomes = self.outcomes.values()
        return (
            len(outcomes) == len(self.recipients)
            and not self.accepted
            and all([one.state == DEFERRED and one.exit_code == _LATER and one.stage in _EARLY for one in outcomes])
        )

    def commands(self) -> "Iterator[bytes | None]":
        """Yield the command lines, the last one with the message's stream behind it; None where answers must come first."""
        client = self._client
        yield client.line(self._mail_command(), self._on_mail, "MAIL")
        pipelining = b"PIPELINING" in client.extensions
        group = _GROUP if pipelining else 1
        for start in range(0, len(self.recipients), group):
            if self._mail_refused:
                break
            commands = [self._rcpt_command(recipient) for recipient in self.recipients[start : start + group]]
            yield client.lines(commands, self._on_rcpt, "RCPT")
        chunking = b"CHUNKING" in client.extensions
        if not pipelining or (chunking and self.mail.size > ONE_FLIGHT):
            while client.unanswered:
                yield None
            if self._mail_refused or not self.accepted:
                return
        if chunking:
            line = client.line(b"BDAT %d LAST" % self.mail.size, self._on_end_of_data, "end of data")
            client.begin_stream(self.mail.chunks(), self.mail.size)
            yield line
            return
        yield client.line(b"DATA", self._on_data, "DATA")
        while client.unanswered:
            yield None

    def give_up(self, failure: errors.Failure, stage: str, farewell: Reply | None) -> None:
        """Give every recipient without an outcome the one that the end of the connection means for him."""
        if farewell is not None and not self.end_left:
            self._conclude(self.pending, farewell, "RCPT")
            return
        text = b"it is not known whether the message was delivered: " + str(failure).encode("utf-8", "replace")
        for recipient in self.pending:
            if self.end_left:
                outcome = Outcome(recipient, UNCERTAIN, errors.TempFail.exit_code, "4.4.2", text, stage)
            else:
                outcome = from_failure(recipient, failure, stage)
            self.outcomes[recipient] = outcome

    def doubt(self, reply: Reply) -> None:
        """Take back what one reply too many makes doubtful: any of them may have answered another command than it seemed.

        That matters where one of them was a refusal. Who was left over may have been served, so he is not tried again.
        """
        if reply.kind == 2 and len(self.accepted) == len(self.recipients):
            return
        text = b"the server sent one reply too many, the message may have been refused: " + reply.text
        for recipient in self.left_over:  # counted among the served, and taken back with them
            self.outcomes[recipient] = Outcome(recipient, SENT, 0, "2.0.0", text, "end of data")
        self.left_over.clear()
        for outcome in self.outcomes.values():
            if outcome.state == SENT:
                outcome.state, outcome.exit_code, outcome.dsn = UNCERTAIN, errors.TempFail.exit_code, "4.5.0"
                outcome.text = text

    # Commands

    def _mail_command(self) -> bytes:
        mail, extensions = self.mail, self._client.extensions
        line = b"MAIL FROM:<" + mail.reverse_path + b">"
        if b"SIZE" in extensions:
            line += b" SIZE=%d" % mail.size
        if mail.eight_bit and b"8BITMIME" in extensions:
            line += b" BODY=8BITMIME"
        if mail.utf8:
            line += b" SMTPUTF8"
        if b"DSN" in extensions:
            if mail.ret:
                line += b" RET=" + mail.ret
            if mail.envid:
                line += b" ENVID=" + xtext(mail.envid)
        return line

    def _rcpt_command(self, recipient: bytes) -> bytes:
        line = b"RCPT TO:<" + recipient + b">"
        notify, original, each = self.mail.notify, None, self.mail.each
        if each is not None:
            notify, original = each.get(recipient, (None, None))
        if not (notify or original) or b"DSN" not in self._client.extensions:
            return line
        if notify:
            line += b" NOTIFY=" + notify
        kind, _, address = (original or b"rfc822;" + recipient).partition(b";")
        if address.isascii():
            line += b" ORCPT=" + kind + b";" + xtext(address)
        return line

    # Answers

    def on_reset(self, reply: Reply) -> None:
        """Take the answer to the RSET before the transaction; only a good-bye matters to it."""
        if reply.code == 421:
            self._on_mail(reply)

    def _on_mail(self, reply: Reply) -> None:
        self.mail_reply = reply
        if reply.kind != 2:
            self._conclude(self.pending, reply, "MAIL")

    def _on_rcpt(self, reply: Reply) -> None:
        recipient = next(self._asked)  # answers come in the order of the commands
        if self._mail_refused:
            return
        if reply.kind == 2:
            self.accepted.append(recipient)
        elif self.accepted and _is_full(reply):
            self.left_over.append(recipient)
        else:
            self._conclude([recipient], reply, "RCPT")

    def _on_data(self, reply: Reply) -> None:
        client = self._client
        if reply.kind == 2:  # a yes to the message before it was sent is none
            raise errors.ProtocolError("the server answered DATA as if the message had been sent")
        if reply.kind != 3:
            self._conclude(self.accepted, reply, "DATA")
            return
        if not self.accepted:
            # RFC 2920 section 3.1: DATA may be let through although nobody is there; an empty message ends it.
            client.begin_stream(iter((b".\r\n",)), 0)
        else:
            from pysendmail.message.body import dot_stuff

            client.begin_stream(_with_final_dot(dot_stuff(self.mail.chunks())), self.mail.size)
        client.expect(self._on_end_of_data, "end of data")

    def _on_end_of_data(self, reply: Reply) -> None:
        self.spent = reply.kind == 2
        if not self.end_left and self._client.abandon_stream() and reply.kind in (2, 3):
            raise errors.ProtocolError("the server answered before the message had ended")
        if reply.kind == 3:
            raise errors.ProtocolError("the answer to the message's end is no final one")
        self._conclude(self.accepted, reply, "end of data")

    def _conclude(self, recipients: list[bytes], reply: Reply, stage: str) -> None:
        """Give each of `recipients` the outcome that `reply` means."""
        self.outcomes.update(judge(recipients, reply, stage))


def refuse_size(transaction: Transaction, limit: int) -> None:
    """Fail all recipients because the message is larger than the server's SIZE (RFC 1870 section 6)."""
    failure = errors.DataError(f"the message has {transaction.mail.size} octets, the server takes {limit} at most")
    failure.status = "5.3.4"
    transaction.give_up(failure, "SIZE", None)


def _is_full(reply: Reply) -> bool:
    """Tell whether a refused RCPT means "too many recipients in this transaction" (RFC 5321 section 4.5.3.1.10)."""
    if reply.code not in (452, 552):
        return False
    return reply.enhanced is None or reply.enhanced in _TOO_MANY


def xtext(text: bytes) -> bytes:
    """Encode the value of a DSN parameter (RFC 3461 section 4)."""
    return b"".join(b"+%02X" % c if c < 33 or c > 126 or c in b"+=" else bytes((c,)) for c in text)


def _with_final_dot(chunks: "Iterator[bytes]") -> "Iterator[bytes]":
    yield from chunks
    yield b".\r\n"
