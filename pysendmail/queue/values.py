"""What goes into a queue, and what comes out of it."""

from pysendmail.queue.states import QUEUED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.message.body import Body

HORIZON = 86400.0
"""Seconds that a due time may lie ahead; one farther away was set by a wrong clock, and counts as reached."""

AHEAD = 3600.0
"""Seconds by which a message that somebody waits for is taken for older, so that its turn comes first."""


class QueuedRecipient:
    """A recipient who enters the queue.

    `address` is the canonical address, `orcpt` and `notify` are the DSN parameters of RFC 3461 as octets (`orcpt` with
    its type, b"rfc822;a@b", not in xtext) or None. Whoever has already been tried once (interactive delivery) enters in
    another state of states.FIRST, with `due`, the number of `attempts`, and `reply`, `dsn`, `relay`, `tried` and `code`
    of the last one. `due` None is the entry's time of creation.
    """

    __slots__ = ("address", "attempts", "code", "dsn", "due", "notify", "orcpt", "relay", "reply", "state", "tried")

    def __init__(
        self,
        address: bytes,
        orcpt: bytes | None = None,
        notify: bytes | None = None,
        *,
        state: str = QUEUED,
        due: float | None = None,
        attempts: int = 0,
        reply: str = "",
        dsn: str = "",
        relay: str = "",
        tried: float = 0.0,
        code: int = 0,
    ) -> None:
        self.address = address
        self.orcpt = orcpt
        self.notify = notify
        self.state = state
        self.due = due
        self.attempts = attempts
        self.reply = reply
        self.dsn = dsn
        self.relay = relay
        self.tried = tried
        self.code = code


class Entry:
    """A message that enters the queue.

    `qid` comes from log.queue_id; `sender` is the reverse-path, b"" the null one; `account` and `config` say how it is
    to be sent ("" the default account, "" the configuration of whoever runs the queue); `header` holds the prepared
    fields with CRLF line ends, without the blank line after them; `created` is in seconds since the epoch; `bounce`
    marks a report of our own; `awaited` says that somebody waits for the answers (awaited.py). Only `header`, `body`, and
    what the recipients' addresses say is ever sent.
    """

    __slots__ = (
        "account", "awaited", "body", "bounce", "config", "created", "envid", "header", "qid", "recipients", "ret", "sender",
        "tag", "uid",
    )  # fmt: skip

    def __init__(
        self,
        qid: str,
        uid: int,
        sender: bytes,
        header: bytes,
        body: "Body",
        recipients: list[QueuedRecipient],
        *,
        created: float,
        account: str = "",
        config: str = "",
        ret: bytes | None = None,
        envid: bytes | None = None,
        tag: str = "",
        bounce: bool = False,
        awaited: bool = False,
    ) -> None:
        self.qid = qid
        self.uid = uid
        self.sender = sender
        self.header = header
        self.body = body
        self.recipients = recipients
        self.created = created
        self.account = account
        self.config = config
        self.ret = ret
        self.envid = envid
        self.tag = tag
        self.bounce = bounce
        self.awaited = awaited


class Message:
    """What a queue knows of a message, but for its text.

    `id` is a number that grows with each message of a queue and never comes again; `size` counts the octets of header,
    blank line and body. The rest is as in Entry, and `eight_bit`, `nul`, `long_line` as in Body.
    """

    __slots__ = (
        "account", "awaited", "body_size", "bounce", "config", "created", "eight_bit", "envid", "header_size", "id",
        "long_line", "nul", "qid", "ret", "sender", "tag", "uid",
    )  # fmt: skip

    def __init__(
        self,
        id: int,
        qid: str,
        uid: int,
        sender: bytes,
        account: str,
        config: str,
        created: float,
        header_size: int,
        body_size: int,
        eight_bit: bool,
        nul: bool,
        long_line: bool,
        ret: bytes | None,
        envid: bytes | None,
        tag: str,
        bounce: bool,
        awaited: bool = False,
    ) -> None:
        self.id = id
        self.qid = qid
        self.uid = uid
        self.sender = sender
        self.account = account
        self.config = config
        self.created = created
        self.header_size = header_size
        self.body_size = body_size
        self.eight_bit = eight_bit
        self.nul = nul
        self.long_line = long_line
        self.ret = ret
        self.envid = envid
        self.tag = tag
        self.bounce = bounce
        self.awaited = awaited

    @property
    def size(self) -> int:
        """Octets of the whole message with its blank line."""
        return self.header_size + 2 + self.body_size

    def __repr__(self) -> str:
        return f"Message({self.id}, {self.qid!r}, {self.sender!r})"


class Recipient:
    """A recipient in the queue: `message` and `number` (from 0, in the order of the envelope) name him.

    `state` is one of states.STATES; `origin` the waiting state that comes back when a lease or a hold ends, "" otherwise.
    Times are in seconds since the epoch, 0.0 for never: `due` is when the next attempt may begin, `done` when he came
    into a state that no attempt follows. `attempts` counts those that ended with a result; `reply`, `dsn` and `relay`
    are of the last one, and so is `code`, the exit code (sysexits) that it asks for, 0 where there is none. `warned`: the
    sender was told of the delay. `owner` holds the lease of an active recipient.
    """

    __slots__ = (
        "address", "attempts", "code", "done", "dsn", "due", "first_tried", "last_tried", "message", "notify", "number",
        "orcpt", "origin", "owner", "relay", "reply", "state", "warned",
    )  # fmt: skip

    def __init__(
        self,
        message: int,
        number: int,
        address: bytes,
        orcpt: bytes | None,
        notify: bytes | None,
        state: str,
        origin: str,
        due: float,
        attempts: int,
        warned: bool,
        first_tried: float,
        last_tried: float,
        done: float,
        reply: str,
        dsn: str,
        relay: str,
        owner: str,
        code: int = 0,
    ) -> None:
        self.message = message
        self.number = number
        self.address = address
        self.orcpt = orcpt
        self.notify = notify
        self.state = state
        self.origin = origin
        self.due = due
        self.attempts = attempts
        self.warned = warned
        self.first_tried = first_tried
        self.last_tried = last_tried
        self.done = done
        self.reply = reply
        self.dsn = dsn
        self.relay = relay
        self.owner = owner
        self.code = code

    def __repr__(self) -> str:
        return f"Recipient({self.message}/{self.number}, {self.address!r}, {self.state})"


class Item:
    """A message and some of its recipients: those that were claimed, or those that were asked for."""

    __slots__ = ("message", "recipients")

    def __init__(self, message: Message, recipients: list[Recipient]) -> None:
        self.message = message
        self.recipients = recipients

    def __repr__(self) -> str:
        return f"Item({self.message!r}, {self.recipients!r})"


class Result:
    """What became of one claimed recipient.

    `state` is one of states.RESULTS. `tried` is when the attempt ended; it counts as an attempt, unless `attempted` is
    false (held without one, say). `due` is when the next attempt may begin, for those who will have one. `reply` is
    shown text of at most 1 KB (log.printable). `warned`: in the same commit the sender is told of the delay. `origin`
    is the waiting state that a later release of a held recipient brings back, "" the one before the claim. `code` is the
    exit code that the outcome asks for. For the journey: `tls` says how the connection was encrypted, and `times` for how
    many seconds the message had waited, connecting took, and sending took. `gone` tells afterwards whether the message has
    left the queue with it.
    """

    __slots__ = (
        "attempted", "code", "dsn", "due", "gone", "message", "number", "origin", "relay", "reply", "state", "times", "tls",
        "tried", "warned",
    )  # fmt: skip

    def __init__(
        self,
        message: int,
        number: int,
        state: str,
        *,
        tried: float,
        due: float = 0.0,
        reply: str = "",
        dsn: str = "",
        relay: str = "",
        attempted: bool = True,
        warned: bool = False,
        origin: str = "",
        code: int = 0,
        tls: str = "",
        times: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.message = message
        self.number = number
        self.state = state
        self.tried = tried
        self.due = due
        self.reply = reply
        self.dsn = dsn
        self.relay = relay
        self.attempted = attempted
        self.warned = warned
        self.origin = origin
        self.code = code
        self.tls = tls
        self.times = times
        self.gone = False


class Notice:
    """A report that enters the queue in the commit of the results which it is about.

    `about` names the recipients (message, number); if the result of one of them is not accepted, the report is dropped.
    So is the report of a failure (`failure`) while somebody waits for the answers: he is told by other means. `entered`
    tells afterwards whether the report is in the queue.
    """

    __slots__ = ("about", "entered", "entry", "failure")

    def __init__(self, entry: Entry, about: list[tuple[int, int]], failure: bool = False) -> None:
        self.entry = entry
        self.about = about
        self.failure = failure
        self.entered = False


class Select:
    """Say which recipients are meant: those for whom every condition holds; a condition of None always does.

    `qids`: the message has one of these ids. `sender`, `recipient`: the reverse-path, or this recipient's address,
    contains the octets, ASCII letters of either case; with an empty pattern `sender` means the null sender.
    `created_before`: seconds since the epoch. `states`: of this recipient. `account` and `config`: exactly these.
    `tag`: exactly this. `excluded` holds conditions of which none may hold.
    """

    __slots__ = (
        "account", "config", "created_before", "excluded", "qids", "recipient", "sender", "states", "tag", "uid",
    )  # fmt: skip

    def __init__(
        self,
        *,
        qids: list[str] | None = None,
        sender: bytes | None = None,
        recipient: bytes | None = None,
        uid: int | None = None,
        account: str | None = None,
        config: str | None = None,
        tag: str | None = None,
        created_before: float | None = None,
        states: tuple[str, ...] | None = None,
        excluded: "list[Select] | None" = None,
    ) -> None:
        self.qids = qids
        self.sender = sender
        self.recipient = recipient
        self.uid = uid
        self.account = account
        self.config = config
        self.tag = tag
        self.created_before = created_before
        self.states = states
        self.excluded = excluded or []
