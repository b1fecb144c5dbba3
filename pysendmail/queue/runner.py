"""Running the queue: one round brings to the smarthosts what waits.

The messages of one account and configuration make a lane (lane.py). Each lane has couriers (courier.py) with a connection
each, in one thread or in several (team.py), which take message after message (attempt.py) and have the outcome of each
recorded (ledger.py) before they begin the next one. The main thread finds the passwords, extends the lease, shows the
progress, and hears signals.

A signal ends the round: each courier finishes the message in hand, its outcome is recorded, and what is left goes back
to the queue as it was.
"""

import _thread
import os
from time import monotonic, time

from pysendmail import errors
from pysendmail.delivery import interruption
from pysendmail.log import Log
from pysendmail.queue.crew import Crew
from pysendmail.queue.lane import Lane
from pysendmail.queue.pace import Pace
from pysendmail.queue.report import RoundReport, Trouble
from pysendmail.queue.round import LEASE, Round
from pysendmail.queue.schedule import Schedule
from pysendmail.queue.settings import Settings, Way
from pysendmail.queue.team import Team
from pysendmail.queue.values import Select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.queue.settings import Routes
    from pysendmail.queue.sights import Lane as KnownLane
    from pysendmail.queue.store import Store

KEEP_FAILED = 604_800.0  # seconds
_TICK = 0.25  # seconds between two looks at the couriers
_EXTEND = LEASE / 4

__all__ = ["RoundReport", "Runner", "Settings", "Trouble", "Way"]


class Runner:
    """Run the queue in `store`.

    `routes` says how the messages of an account and configuration leave. `log` is for what concerns no account.
    `keepfailed`: seconds that failed recipients are kept. `clock`: seconds since the epoch; `chance`: random numbers
    from 0 up to 1. One round runs at a time.
    """

    def __init__(
        self,
        store: "Store",
        routes: "Routes",
        *,
        log: Log | None = None,
        keepfailed: float = KEEP_FAILED,
        clock: "Callable[[], float]" = time,
        chance: "Callable[[], float] | None" = None,
    ) -> None:
        self._store = store
        self._routes = routes
        self._log = log or Log()
        self._keepfailed = keepfailed
        self._clock = clock
        self._chance = chance or random
        self._paces: dict[tuple[str, str], Pace] = {}
        self._horizon = Schedule().longest
        self._round: Round | None = None

    def round(
        self,
        select: Select | None = None,
        *,
        due_only: bool = True,
        progress: "Callable[[RoundReport], None] | None" = None,
    ) -> RoundReport:
        """Deliver what is due, or without `due_only` all that is not held; return what came of it.

        `select` limits the round to some recipients. `progress` is told the figures several times a second. Raises a
        Failure if the queue cannot be used at all. Call it in the main thread, which gets the signals.
        """
        with interruption.Postponed():
            owner = self._store.enroll()
            round_ = Round(
                self._store, owner, due_only=due_only, clock=self._clock, chance=self._chance, log=self._log
            )
            self._round = round_
            crew = _Crew(round_, progress)
            try:
                self._go_through(round_, crew, select)
            except errors.Failure as failure:
                round_.fail(failure)
            finally:
                crew.dismiss()
                self._round = None
                self._clear_up(round_, owner)
        if progress is not None:
            progress(round_.report)
        return round_.report

    def stop(self) -> None:
        """End the round that is running, from any thread: messages in hand are finished, no other one is begun."""
        round_ = self._round
        if round_ is not None:
            round_.stop()

    def next_due(self) -> float | None:
        """Return when there will be something for a round of what is due, in seconds since the epoch; None for never."""
        return self._store.next_due(self._clock(), self._horizon)

    def _go_through(self, round_: Round, crew: "_Crew", select: Select | None) -> None:
        """Work on every lane; reports may open new ones."""
        seen: set[tuple[str, str]] = set()
        while not round_.ending:
            lanes = [lane for lane in self._store.lanes() if lane.waiting and (lane.account, lane.config) not in seen]
            if not lanes:
                return
            for known in lanes:
                seen.add((known.account, known.config))
                if not round_.ending and _is_meant(known, select):
                    self._begin(round_, crew, known, select)
            crew.attend()

    def _begin(self, round_: Round, crew: "_Crew", known: "KnownLane", select: Select | None) -> None:
        """Start on a lane, if there is something to be done in it and a way to do it."""
        now = self._clock()
        if round_.due_only and now < known.until <= now + self._horizon:
            return
        round_.report.total += known.waiting
        lane = Lane(round_, known, within(select, known.account, known.config), crew.grow)
        failure: errors.Failure | None = None
        try:
            self._find_way(lane)
        except errors.Failure as trouble:
            failure = trouble
        if not lane.fill():
            return
        try:
            if failure is None and lane.way is not None:
                with interruption.Breakable():
                    lane.route = lane.way.route()
        except errors.Interrupted:
            return  # what was claimed goes back at the end of the round
        except errors.Failure as trouble:
            failure = trouble
        if failure is not None:
            lane.close(failure)
        elif not crew.start(lane):
            crew.work_here(lane)  # there can be no more threads

    def _find_way(self, lane: Lane) -> None:
        lane.way = way = self._routes(lane.account, lane.config)
        self._horizon = max(self._horizon, way.settings.schedule.longest)
        rate = way.settings.rate
        if rate is not None:
            pace = self._paces.get((lane.account, lane.config))
            if pace is None or (pace.count, pace.seconds) != rate:
                pace = self._paces[lane.account, lane.config] = Pace(*rate)
            lane.pace = pace

    def _clear_up(self, round_: Round, owner: str) -> None:
        """Give back what was claimed and not begun, and forget what was kept for long enough."""
        try:
            self._store.release(owner)
            if not round_.ending:
                self._store.expire(self._clock(), self._keepfailed)
                self._store.tidy(self._clock())
        except errors.Failure as failure:
            round_.fail(failure)


class _Crew(Crew):
    """The couriers of a round. The main thread waits for them and shows the progress."""

    __slots__ = ("_extended", "_progress", "_shown", "_wake")

    def __init__(self, round_: Round, progress: "Callable[[RoundReport], None] | None") -> None:
        super().__init__(round_, lambda lane: _work(round_, lane), self._call)
        self._progress = progress
        self._wake = _thread.allocate_lock()
        self._shown = -1
        self._extended = monotonic()

    def _call(self) -> None:
        """Have the main thread look up."""
        with self._lock:
            if self._wake.locked():
                self._wake.release()

    def attend(self) -> None:
        """Wait for all couriers to end; meanwhile extend the lease and show the progress."""
        while self.count:
            self._wake.acquire(timeout=_TICK)
            now = monotonic()
            if now > self._extended + _EXTEND:
                self._extended = now
                self._round.extend()
            report = self._round.report
            if self._progress is not None and report.done != self._shown:
                self._shown = report.done
                self._progress(report)

    def dismiss(self) -> None:
        """Wait for the couriers to finish what they have in hand."""
        if self.count:
            self._round.stop()
            self.attend()


def _work(round_: Round, lane: Lane) -> None:
    """Be a courier."""
    if lane.route is not None:
        Team(round_, lane, lane.route).run()


def within(select: Select | None, account: str, config: str) -> Select:
    """Return the selection narrowed down to one account and configuration."""
    if select is None:
        return Select(account=account, config=config)
    return Select(
        qids=select.qids,
        sender=select.sender,
        recipient=select.recipient,
        uid=select.uid,
        account=account,
        config=config,
        tag=select.tag,
        created_before=select.created_before,
        states=select.states,
        excluded=select.excluded,
    )


def _is_meant(lane: "KnownLane", select: Select | None) -> bool:
    return select is None or (select.account in (None, lane.account) and select.config in (None, lane.config))


def random() -> float:
    """Return a number from 0 up to 1 by chance."""
    return int.from_bytes(os.urandom(4), "big") / (1 << 32)
