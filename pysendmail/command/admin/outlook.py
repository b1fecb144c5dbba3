"""When the queue will try a recipient again, and what keeps his way out closed meanwhile."""

from pysendmail.queue.states import WAITING
from pysendmail.queue.values import HORIZON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pysendmail.queue.sights import Lane
    from pysendmail.queue.values import Message, Recipient


class Outlook:
    """What lies ahead at the time `now` (seconds since the epoch) in a queue with these lanes."""

    __slots__ = ("_closed", "now")

    def __init__(self, lanes: "Iterable[Lane]", now: float) -> None:
        self.now = now
        self._closed = {(lane.account, lane.config): lane for lane in lanes if now < lane.until <= now + HORIZON}

    def closed(self, message: "Message") -> "Lane | None":
        """Return the lane of a message if it is closed now."""
        return self._closed.get((message.account, message.config))

    def next(self, message: "Message", recipient: "Recipient") -> float | None:
        """Return when the next attempt may begin, not before now; None if none will without somebody's help."""
        if recipient.state not in WAITING:
            return None
        due = recipient.due if self.now < recipient.due <= self.now + HORIZON else self.now
        lane = self.closed(message)
        return due if lane is None else max(due, lane.until)
