"""What is to be sent, and what became of each recipient."""

from pysendmail import errors
from pysendmail.smtp.reply import Reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SENT, DEFERRED, FAILED, UNCERTAIN = "sent", "deferred", "failed", "uncertain"


class Mail:
    """A message ready for the wire, with its envelope.

    `recipients` and `reverse_path` are addresses without angle brackets; `size` is the number of octets with CRLF line
    ends and without dot-stuffing; `chunks` returns a fresh iterator over these octets. `notify`, `ret` and `envid` are
    the DSN parameters of RFC 3461 as written on the command line, or None. Where recipients have parameters of their own,
    `each` holds them instead of `notify`: NOTIFY, and ORCPT with its type but not in xtext.
    """

    __slots__ = ("chunks", "each", "eight_bit", "envid", "notify", "recipients", "ret", "reverse_path", "size", "utf8")

    def __init__(
        self,
        reverse_path: bytes,
        recipients: list[bytes],
        size: int,
        chunks: "Callable[[], Iterator[bytes]]",
        *,
        eight_bit: bool = False,
        utf8: bool = False,
        notify: bytes | None = None,
        ret: bytes | None = None,
        envid: bytes | None = None,
        each: "dict[bytes, tuple[bytes | None, bytes | None]] | None" = None,
    ) -> None:
        self.reverse_path = reverse_path
        self.recipients = recipients
        self.size = size
        self.chunks = chunks
        self.eight_bit = eight_bit
        self.utf8 = utf8
        self.notify = notify
        self.ret = ret
        self.envid = envid
        self.each = each


class Outcome:
    """What became of one recipient.

    `state` is one of SENT, DEFERRED, FAILED, UNCERTAIN; `exit_code` the sysexits code that this outcome asks for;
    `dsn` the enhanced status; `text` what the server said, or what happened instead (octets, not yet made printable);
    `stage` the command that was answered ("MAIL", "RCPT", "DATA", "end of data") or what else went wrong.
    """

    __slots__ = ("dsn", "exit_code", "recipient", "stage", "state", "text")

    def __init__(self, recipient: bytes, state: str, exit_code: int, dsn: str, text: bytes, stage: str) -> None:
        self.recipient = recipient
        self.state = state
        self.exit_code = exit_code
        self.dsn = dsn
        self.text = text
        self.stage = stage

    def __repr__(self) -> str:
        return f"Outcome({self.recipient!r}, {self.state}, {self.exit_code}, {self.dsn}, {self.text!r}, {self.stage!r})"


# What a 5xx to this command says about the message: the class of the failure, with its exit code.
_REFUSALS: "dict[str, type[errors.Failure]]" = {
    "MAIL": errors.Unavailable,
    "RCPT": errors.NoUser,
    "DATA": errors.DataError,
    "end of data": errors.DataError,
}
_LOGIN_CODES = (530, 534, 535, 538)
_LOGIN_STATUSES = ("5.7.8", "5.7.9")


def wants_login(reply: Reply) -> bool:
    """Tell whether a refusal is about our login, not about this message (RFC 4954 section 6)."""
    return reply.code in _LOGIN_CODES or reply.enhanced in _LOGIN_STATUSES


def judge(recipients: "Iterable[bytes]", reply: Reply, stage: str) -> "dict[bytes, Outcome]":
    """Return what `reply` to the command `stage` means for each recipient, by its class and then its enhanced code."""
    state, exit_code = _verdict(reply, stage)
    dsn, text = "4.5.0" if reply.kind == 3 else reply.status, reply.text
    return {recipient: Outcome(recipient, state, exit_code, dsn, text, stage) for recipient in recipients}


def _verdict(reply: Reply, stage: str) -> tuple[str, int]:
    """Return the state and the exit code that a reply asks for."""
    if reply.kind == 2:
        return SENT, 0
    if reply.kind == 3:
        return DEFERRED, errors.ProtocolError.exit_code
    if wants_login(reply):
        return DEFERRED, errors.NoPermission.exit_code
    if reply.kind == 4:
        return DEFERRED, errors.TempFail.exit_code
    if stage == "MAIL" and (reply.code == 552 or reply.enhanced in ("5.3.4", "5.2.3")):
        return FAILED, errors.DataError.exit_code  # the message is too large for the server
    return FAILED, _REFUSALS[stage].exit_code


def from_failure(recipient: bytes, failure: errors.Failure, stage: str) -> Outcome:
    """Return the outcome of a recipient for whom `failure` ended the attempt before any answer about him."""
    state = DEFERRED if failure.temporary else FAILED
    return Outcome(recipient, state, failure.exit_code, failure.status, str(failure).encode("utf-8", "replace"), stage)
