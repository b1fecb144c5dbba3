"""What a round of the queue has done so far, for whoever watches it and for its end."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail import errors


_MOST = 1000  # lanes in trouble


class Trouble:
    """Why nothing can be sent by an account and configuration, and until when (seconds since the epoch) it is left alone."""

    __slots__ = ("account", "config", "failure", "until")

    def __init__(self, account: str, config: str, failure: "errors.Failure", until: float) -> None:
        self.account = account
        self.config = config
        self.failure = failure
        self.until = until


class RoundReport:
    """The figures of a round.

    total: recipients that waited when it began, in the lanes it looked at. messages: attempts on a message, octets: how
    much these messages held together. sent,
    deferred, failed, uncertain, held: recipients by what became of them. reports: messages to senders that were queued.
    repeated: recipients who may get a second copy, because another runner had taken over or the result could not be
    written. troubles: lanes in which nothing can be sent. failure: what ended the round early, None if nothing did;
    stopped: it was asked to end.
    """

    __slots__ = (
        "deferred", "failed", "failure", "held", "messages", "octets", "repeated", "reports", "sent", "stopped", "total",
        "troubles", "uncertain",
    )  # fmt: skip

    def __init__(self) -> None:
        self.total = 0
        self.messages = 0
        self.octets = 0
        self.sent = 0
        self.deferred = 0
        self.failed = 0
        self.uncertain = 0
        self.held = 0
        self.reports = 0
        self.repeated = 0
        self.troubles: list[Trouble] = []
        self.failure: errors.Failure | None = None
        self.stopped = False

    @property
    def done(self) -> int:
        """Recipients that an attempt has settled or put off."""
        return self.sent + self.deferred + self.failed + self.uncertain + self.held

    def note(self, trouble: Trouble) -> None:
        """Take note that nothing can be sent in a lane, in place of what was known of it."""
        self.recovered(trouble.account, trouble.config)
        self.troubles.append(trouble)
        del self.troubles[:-_MOST]

    def recovered(self, account: str, config: str) -> None:
        """Take note that something can be sent in a lane again."""
        self.troubles = [one for one in self.troubles if (one.account, one.config) != (account, config)]
