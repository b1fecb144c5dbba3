"""What the couriers of one round share: the lease, the ledger, the figures, the log, and the word to stop.

The lease is extended by every claim, and by the main thread in between. No message is begun near its end: by then
another runner may be about to take over.
"""

from _thread import allocate_lock
from time import monotonic, sleep

from pysendmail import errors
from pysendmail.delivery import interruption
from pysendmail.queue import states
from pysendmail.queue.ledger import Ledger, Page, Unrecorded
from pysendmail.queue.report import RoundReport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pysendmail.log import Log
    from pysendmail.queue.dialogue import Writer
    from pysendmail.queue.report import Trouble
    from pysendmail.queue.store import Store
    from pysendmail.queue.values import Item, Select

LEASE = 600.0  # seconds
_MARGIN = 60.0  # seconds before the end of the lease from which on nothing is begun
_LOOK = 0.5  # seconds between two looks whether the round is to end
_COUNTED = {
    states.SENT: "sent",
    states.DEFERRED: "deferred",
    states.FAILED: "failed",
    states.UNCERTAIN: "uncertain",
    states.HELD: "held",
}


class Round:
    """The state of a round; all of it may be used from any thread.

    clock: seconds since the epoch. chance: random numbers from 0 up to 1. log: for what concerns no account. tell: says
    that there is news of a message for whose answers somebody waits. dialogue: gives what the dialogue about such a message,
    by its queue id, is told to, if who waits wants to see it. endless: new messages come while it goes on.
    """

    def __init__(
        self,
        store: "Store",
        owner: str,
        *,
        due_only: bool,
        clock: "Callable[[], float]",
        chance: "Callable[[], float]",
        log: "Log",
        tell: "Callable[[], None]" = lambda: None,
        dialogue: "Callable[[str], Writer | None]" = lambda qid: None,
        report: RoundReport | None = None,
        endless: bool = False,
    ) -> None:
        self.store = store
        self.tell = tell
        self.dialogue = dialogue
        self.owner = owner
        self.due_only = due_only
        self.clock = clock
        self.chance = chance
        self.log = log
        self.report = report or RoundReport()
        self.endless = endless
        self._ledger = Ledger(store, owner, self.sleep)
        self._lock = allocate_lock()
        self._log_lock = allocate_lock()
        self.failure: errors.Failure | None = None
        self._stopped = False
        self._lease_end = monotonic() + LEASE

    # The end

    @property
    def ending(self) -> bool:
        """Whether no further message is to be begun."""
        if not self._stopped:
            if interruption.pending():
                self.stop()
            elif monotonic() > self._lease_end - _MARGIN:
                self.fail(errors.TempFail("the lease on the queue could not be extended in time"))
        return self._stopped

    def stop(self) -> None:
        """Ask for the end: messages in hand are finished, no other one is begun."""
        self._stopped = self.report.stopped = True

    def fail(self, failure: errors.Failure) -> None:
        """End the round because the queue itself is in trouble."""
        if self.report.failure is None:
            self.report.failure = failure
        self.failure = self.failure or failure
        self._stopped = True

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the round is to end."""
        end = monotonic() + seconds
        while not self.ending and (left := end - monotonic()) > 0:
            sleep(min(left, _LOOK))

    # The store

    def claim(
        self, limit: int, select: "Select", horizon: float, after: int = 0, due_only: bool | None = None
    ) -> "list[Item]":
        """Claim messages; none if the round is to end or the queue is in trouble."""
        if self.ending:
            return []
        since = monotonic()
        due_only = self.due_only if due_only is None else due_only
        try:
            items = self.store.claim(
                self.owner, self.clock(), LEASE, limit, due_only=due_only, select=select, after=after, horizon=horizon
            )
        except errors.Failure as failure:
            self.fail(failure)
            return []
        self._lease_end = since + LEASE
        return items

    def is_due(self, account: str, config: str, horizon: float) -> bool:
        """Tell whether there is something to claim in a lane, without claiming it."""
        now = self.clock()
        try:
            return any([lane.at <= now for lane in self.store.outlook(now, horizon, (account, config))])
        except errors.Failure as failure:
            self.fail(failure)
            return False

    def extend(self) -> None:
        """Extend the lease on all that was claimed."""
        since = monotonic()
        try:
            if self.store.extend(self.owner, self.clock(), LEASE):
                self._lease_end = since + LEASE
            else:
                self.fail(errors.TempFail("another runner has taken over, because this one did not get on for too long"))
        except errors.Failure:
            pass  # there is time for further attempts

    def give_back(self, items: "Iterable[Item]") -> None:
        """Give messages back as they were before the claim."""
        ids = [item.message.id for item in items]
        try:
            if ids:
                self.store.give_back(self.owner, ids)
        except errors.Failure:
            pass  # they are given back with all the rest at the end of the round

    def enter(self, pages: list[Page]) -> None:
        """Record the results of some messages with the reports on them, and count them. Raises Unrecorded."""
        self._ledger.enter_all(pages)
        with self._lock:
            for page in pages:
                if page.failure is None:
                    self._count(page)
        for page in pages:
            if page.failure is not None:
                raise Unrecorded(page.failure)

    def _count(self, page: Page) -> None:
        report = self.report
        for result in page.results:
            if (result.message, result.number) not in page.accepted:
                if result.state not in (states.SENT, states.UNCERTAIN):
                    continue
                page.repeated += 1
            name = _COUNTED[result.state]
            setattr(report, name, getattr(report, name) + 1)
        report.repeated += page.repeated
        if page.notices:
            report.reports += len([notice for notice in page.notices if notice.entered])

    def count_message(self, octets: int) -> None:
        """Count an attempt on a message of that size."""
        with self._lock:
            self.report.messages += 1
            self.report.octets += octets

    def note_trouble(self, trouble: "Trouble") -> None:
        """Take note that nothing can be sent in a lane."""
        with self._lock:
            self.report.note(trouble)

    def note_recovery(self, account: str, config: str) -> None:
        """Take note that something can be sent in a lane again."""
        with self._lock:
            self.report.recovered(account, config)

    # The log

    def write_log(self, log: "Log", parts: "list[tuple[str, list[tuple[str, bool]]]]", now: float) -> None:
        """Write lines of some parts of the log, each with whether it is a warning."""
        with self._log_lock:
            log.write_parts(parts, now)
