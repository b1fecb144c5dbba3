"""What can be seen of a queue besides its messages: its lanes, the journeys of messages, figures, and damage."""

LEGS, LEG_AGE = 20_000, 30 * 86400.0
"""How many legs of journeys are kept, and for how many seconds."""


class Lane:
    """The way that all messages of one account and configuration take.

    A lane whose smarthost cannot be used is closed `until` a time (seconds since the epoch, 0.0 for open); `failures`,
    `reply` and `dsn` say how often and why. A due recipient of a closed lane is not claimed. `waiting` counts the
    recipients in it that wait.
    """

    __slots__ = ("account", "config", "dsn", "failures", "reply", "until", "waiting")

    def __init__(
        self, account: str, config: str, until: float, failures: int, reply: str, dsn: str, waiting: int
    ) -> None:
        self.account = account
        self.config = config
        self.until = until
        self.failures = failures
        self.reply = reply
        self.dsn = dsn
        self.waiting = waiting


class Outlook:
    """A lane in which somebody waits, and what is to be expected of it.

    `due` is when the first of them may be claimed, as far as he himself is concerned, and `until` when the lane opens (0.0
    if it is open); both in seconds since the epoch, and never farther away than the horizon. `failures` as in Lane.
    """

    __slots__ = ("account", "config", "due", "failures", "until")

    def __init__(self, account: str, config: str, due: float, until: float, failures: int) -> None:
        self.account = account
        self.config = config
        self.due = due
        self.until = until
        self.failures = failures

    @property
    def at(self) -> float:
        """When there will be something to claim."""
        return max(self.due, self.until)


class Leg:
    """One leg of a message's journey: the result of one attempt for one recipient, as in Result.

    `id` grows with each leg. `uid`, `created` and `sender` are the message's. `at` is when the attempt ended, in seconds
    since the epoch; before that the message had been in the queue for `waiting` seconds, connecting took `connecting` and
    the rest `sending`.
    """

    __slots__ = (
        "at", "connecting", "created", "dsn", "id", "qid", "recipient", "relay", "reply", "sender", "sending", "state",
        "tls", "uid", "waiting",
    )  # fmt: skip

    def __init__(
        self,
        id: int,
        qid: str,
        uid: int,
        created: float,
        sender: bytes,
        at: float,
        recipient: bytes,
        state: str,
        relay: str,
        tls: str,
        dsn: str,
        reply: str,
        waiting: float,
        connecting: float,
        sending: float,
    ) -> None:
        self.id = id
        self.qid = qid
        self.uid = uid
        self.created = created
        self.sender = sender
        self.at = at
        self.recipient = recipient
        self.state = state
        self.relay = relay
        self.tls = tls
        self.dsn = dsn
        self.reply = reply
        self.waiting = waiting
        self.connecting = connecting
        self.sending = sending


class Gauge:
    """One figure that a process of the daemon shows of itself, as text, and when it was set."""

    __slots__ = ("at", "name", "process", "value")

    def __init__(self, process: str, name: str, value: str, at: float) -> None:
        self.process = process
        self.name = name
        self.value = value
        self.at = at


class Steered:
    """How many recipients a command changed, and how many it left alone because they were being delivered."""

    __slots__ = ("busy", "changed")

    def __init__(self, changed: int, busy: int) -> None:
        self.changed = changed
        self.busy = busy


class Counts:
    """How much is in a queue: messages, octets of them, recipients by state, the time of the oldest message (or 0.0)."""

    __slots__ = ("messages", "octets", "oldest", "recipients")

    def __init__(self, messages: int, octets: int, oldest: float, recipients: dict[str, int]) -> None:
        self.messages = messages
        self.octets = octets
        self.oldest = oldest
        self.recipients = recipients


class Problem:
    """A fault that a check found: where (`place`), what, and what to do about it."""

    __slots__ = ("advice", "place", "text")

    def __init__(self, place: str, text: str, advice: str) -> None:
        self.place = place
        self.text = text
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.place}: {self.text}; {self.advice}"
