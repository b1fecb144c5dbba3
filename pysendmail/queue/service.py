"""Running the queue without end: whatever is committed is sent at once, whatever has to wait is sent when it is due.

The main thread only waits: for a byte that says that something was committed, for the end of a courier, for the next due
time, for what servers say on parked connections (delivery/pool.py), and for signals. When it is awake it asks the queue
for the outlook of each lane, which costs the same however much waits, and starts couriers for those in which something is
due. A courier takes message after message until there is no more; so one lane never waits for another one, and a busy one
does not need the main thread at all.

What is found out about a lane (its way, the password, the TLS session, the connection) is kept beyond the life of a
courier. Trouble with the queue itself, such as a full disk, ends everything that is on; after a pause the service enrolls
anew. Only `stop` or a signal ends it.
"""

import _signal
import os
import select
from time import monotonic, time

from pysendmail import errors
from pysendmail.delivery import interruption
from pysendmail.delivery.pool import Pool
from pysendmail.log import Log, printable
from pysendmail.queue.courier import Courier
from pysendmail.queue.crew import Crew
from pysendmail.queue.directory import Directory
from pysendmail.queue.figures import Figures
from pysendmail.queue.housekeeping import House
from pysendmail.queue.lane import SLOW, Lane
from pysendmail.queue.report import RoundReport
from pysendmail.queue.round import LEASE, Round, internal
from pysendmail.queue.runner import KEEP_FAILED, random, within
from pysendmail.queue.schedule import Schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.queue.settings import Routes
    from pysendmail.queue.store import Store
    from pysendmail.queue.values import Outlook

TICK = 5.0
"""Seconds between two looks where nothing else asks for one: clocks jump, and others close and open lanes."""

_BREATH = 0.02  # seconds between two looks while couriers are at work, who see by themselves what comes
_EXTEND = LEASE / 4
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds after trouble with the queue
_FRUITLESS_PAUSE = 1.0  # seconds before a lane is tried again of which nothing came and nothing could be noted
_MOST = 200  # couriers


class Service:
    """Serve the queue in `store`.

    `routes`, `log`, `keepfailed`, `clock` and `chance` are as in Runner. `wake` is a descriptor that never blocks, on
    which a byte comes after each commit; its end is the end of the service. `tell` is called when there is news of
    messages for whose answers somebody waits (awaited.py), `alive` every few seconds.
    """

    def __init__(
        self,
        store: "Store",
        routes: "Routes",
        *,
        wake: int = -1,
        tell: "Callable[[], None]" = lambda: None,
        alive: "Callable[[], None]" = lambda: None,
        log: Log | None = None,
        keepfailed: float = KEEP_FAILED,
        clock: "Callable[[], float]" = time,
        chance: "Callable[[], float]" = random,
    ) -> None:
        self._bell, self._ringer = os.pipe()
        for end in (self._bell, self._ringer):
            os.set_blocking(end, False)
        self._store = store
        self._wake = wake
        self._tell = tell
        self._alive = alive
        self._log = log or Log()
        self._clock = clock
        self._chance = chance
        self.report = RoundReport()
        self.pool = Pool()
        self._directory = Directory(routes, self.pool.drop)
        self._house = House(store, lambda *key: self._directory.find(*key).way.settings, keepfailed, clock)
        self._figures = Figures(store, clock)
        self._horizon = Schedule().longest
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._quiet: dict[tuple[str, str], float] = {}
        self._round: Round | None = None
        self._stopped = False
        self._news = True  # something may have come since the last look

    def run(self) -> None:
        """Serve until `stop` or a signal. Call it in the main thread, which gets the signals."""
        with interruption.Postponed():
            before = self._hear_signals(self._ringer)
            try:
                self._run()
            finally:
                self._hear_signals(before)
                self.pool.close()
                self._figures.withdraw()

    def stop(self) -> None:
        """End the service, from any thread: messages in hand are finished, no other one is begun."""
        self._stopped = True
        if self._round is not None:
            self._round.stop()
        self._ring()

    @staticmethod
    def _hear_signals(descriptor: int) -> int:
        """Have each signal write a byte there, so that no wait outlasts it; return where it went before."""
        try:
            return int(_signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False))
        except ValueError:
            return -1  # not the main thread: signals are for another one

    @property
    def _ending(self) -> bool:
        return self._stopped or interruption.pending() > 0

    def _run(self) -> None:
        pause, told = _FIRST_PAUSE, ""
        while not self._ending:
            since = monotonic()
            failure = self._serve()
            if failure is None:
                return
            if monotonic() > since + 2 * _LONGEST_PAUSE:
                pause, told = _FIRST_PAUSE, ""
            if str(failure) != told:
                told = str(failure)
                text = f"the queue cannot be used: {printable(told)}; it is tried again"
                self._log.write("qmgr", f"warning: {text}", self._clock(), warning=True)
            self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _sleep(self, seconds: float) -> None:
        """Wait before the queue is tried again."""
        end = monotonic() + seconds
        while not self._ending and (left := end - monotonic()) > 0:
            self._alive()
            self._wait(min(left, TICK))

    # One enrollment

    def _serve(self) -> errors.Failure | None:
        """Work under one lease; return the trouble that ended it, None if it was asked to end."""
        try:
            owner = self._store.enroll()
        except errors.Failure as failure:
            return failure
        self.report.failure = None
        round_ = self._round = Round(
            self._store, owner, due_only=True, clock=self._clock, chance=self._chance, log=self._log, tell=self._tell,
            report=self.report, endless=True,
        )  # fmt: skip
        crew = Crew(round_, lambda lane: self._work(round_, lane), self._ring)
        self._news = True
        try:
            self._watch(round_, crew)
        except errors.Failure as failure:
            round_.fail(failure)
        except Exception as error:  # a bug must not end the service
            round_.fail(internal(error))
        self._dismiss(round_, crew)
        try:
            self._store.release(owner)
        except errors.Failure as failure:
            round_.fail(failure)
        self._round = None
        return None if self._ending else round_.report.failure

    def _watch(self, round_: Round, crew: Crew) -> None:
        """Wait and look, until the end."""
        looked = look_at = 0.0
        extend_at = monotonic() + _EXTEND
        while not (self._ending or round_.ending):
            self._alive()
            now = monotonic()
            if self._news or now >= look_at:
                look_at = looked + _BREATH
                if not crew.count or now >= look_at:
                    self._news, looked = False, now
                    look_at = self._look(round_, crew, now)
            if now >= extend_at:
                round_.extend()
                extend_at = now + _EXTEND
            self._house.keep(self.report.done, now)
            self._figures.show(self.report, self._lanes.values(), self.pool.count, now)
            closing = self.pool.watch()[1]
            times = [look_at, now + TICK, self._figures.due(now), *([] if closing is None else [closing])]
            self._wait(max(0.0, min(times) - monotonic()))

    def _look(self, round_: Round, crew: Crew, now: float) -> float:
        """Start couriers where they are needed; return when to look again at the latest (monotonic)."""
        self._bury()
        clock = self._clock()
        found = {(lane.account, lane.config): lane for lane in self._store.outlook(clock, self._horizon)}
        again = now + TICK
        for key in found.keys() | self._lanes.keys():
            due, lane = found.get(key), self._lanes.get(key)
            if lane is not None:
                is_due = due is not None and due.at <= clock
                enlisted, help_at = lane.enlist_help(now, is_due, self.pool.has(key))
                if enlisted:
                    crew.grow(lane)
                if help_at is not None:
                    again = min(again, help_at)
            elif due is not None:
                if due.at > clock:
                    again = min(again, now + due.at - clock)
                    if due.due <= clock:
                        self._tell()  # somebody may wait for an answer that this lane will not give now
                elif now < self._quiet.get(key, 0.0):
                    again = min(again, self._quiet[key])
                elif crew.count < _MOST:
                    self._begin(round_, crew, due)
                    again = min(again, now + SLOW)  # one courier may not be enough
        return again

    def _begin(self, round_: Round, crew: Crew, due: "Outlook") -> None:
        lane = Lane(round_, due, within(None, due.account, due.config), crew.grow)
        if crew.start(lane):
            self._lanes[lane.key] = lane
        else:
            self._quiet[lane.key] = monotonic() + _FRUITLESS_PAUSE  # there can be no more threads now

    def _bury(self) -> None:
        """Let go of lanes without couriers."""
        now = monotonic()
        for key, quiet in list(self._quiet.items()):
            if now >= quiet:
                del self._quiet[key]
        for key, lane in list(self._lanes.items()):
            if lane.couriers:
                continue
            del self._lanes[key]
            lane.dissolve()
            if lane.fruitless:
                self._quiet[key] = now + _FRUITLESS_PAUSE

    def _dismiss(self, round_: Round, crew: Crew) -> None:
        """Wait for the couriers to finish what they have in hand. One who waits for a password has nothing in hand."""
        report = self.report
        if report.failure is None:
            round_.stop()
        extend_at = monotonic() + _EXTEND
        while any([lane.couriers and lane.route is not None for lane in self._lanes.values()]):
            self._alive()
            self._wait(0.25)
            if report.failure is None and monotonic() >= extend_at:
                round_.extend()
                extend_at = monotonic() + _EXTEND
        self._lanes.clear()

    # A courier's thread

    def _work(self, round_: Round, lane: Lane) -> None:
        """Be a courier; the first one of a lane finds its way before."""
        try:
            if lane.route is None and not self._prepare(round_, lane):
                return
            if lane.route is not None:
                Courier(round_, lane, lane.route, self.pool).run()
        finally:
            if lane.refused:
                self._directory.forget(*lane.key)

    def _prepare(self, round_: Round, lane: Lane) -> bool:
        """Find the way of a lane, the password included; tell whether there is something to be sent and a way to do it."""
        failure: errors.Failure | None = None
        try:
            known = self._directory.find(*lane.key)
            lane.way, lane.pace = known.way, known.pace
            self._horizon = max(self._horizon, known.way.settings.schedule.longest)
            if not lane.fill():
                return False
            lane.route = known.route()
        except errors.Interrupted:
            return False
        except Exception as error:  # a bug that this lane brings to light must not keep the others waiting
            failure = error if isinstance(error, errors.Failure) else internal(error)
        if failure is not None and not round_.ending:
            lane.close(failure)
        return failure is None

    # Waiting

    def _ring(self) -> None:
        """Wake the main thread."""
        try:
            os.write(self._ringer, b".")
        except BlockingIOError:
            pass  # it has been rung often enough

    def _wait(self, seconds: float) -> None:
        """Wait for some time, or for somebody who rings; hear what servers say on parked connections."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        if self._wake >= 0 and not self._news:
            poll.register(self._wake, select.POLLIN)
        for fd in self.pool.watch()[0]:
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(int(seconds * 1000) + 1 if seconds > 0 else 0)}
        for fd in ready & {self._bell, self._wake}:
            self._news = True
            self._drain(fd)
        self.pool.heed(ready, monotonic())

    def _drain(self, fd: int) -> None:
        try:
            if not os.read(fd, 65536):
                self._wake = -1  # whoever could write there is gone
                self.stop()
        except BlockingIOError:
            pass  # another process has read it

    def __del__(self) -> None:
        for end in (self._bell, self._ringer):
            os.close(end)
