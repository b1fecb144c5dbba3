"""Running the queue without end: whatever is committed is sent at once, whatever has to wait is sent when it is due.

The main thread only waits: for a byte that says that something was committed, for the end of a courier, for the next due
time, for what servers say on parked connections (delivery/pool.py), and for signals. When it is awake it asks the queue
for the outlook of each lane, which costs the same however much waits, and starts couriers for those in which something is
due. A courier takes message after message until there is no more, and then lingers for a moment; so one lane never waits
for another one, and a busy one needs the main thread only to be told of news.

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
from pysendmail.queue.directory import Directory
from pysendmail.queue.figures import Figures
from pysendmail.queue.housekeeping import House
from pysendmail.queue.report import RoundReport
from pysendmail.queue.round import LEASE, Round
from pysendmail.queue.runner import KEEP_FAILED, random
from pysendmail.queue.shift import Shift

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.queue.dialogue import Writer
    from pysendmail.queue.settings import Routes
    from pysendmail.queue.store import Store

TICK = 5.0
"""Seconds between two looks where nothing else asks for one: clocks jump, and others close and open lanes."""

_BREATH = 0.02  # seconds between two looks while couriers are at work, who see by themselves what comes
_EXTEND = LEASE / 4
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds after trouble with the queue
_LOOK = 0.25  # seconds between two looks whether all have finished


class Service:
    """Serve the queue in `store`.

    `routes`, `log`, `keepfailed`, `clock` and `chance` are as in Runner. `wake` is a descriptor that never blocks, on
    which a byte comes after each commit; its end is the end of the service. `tell` is called when there is news of
    messages for whose answers somebody waits (awaited.py), `alive` every few seconds. `dialogue` is as in Round. `eyes`
    is another store of the same queue, if there is one, by which the main thread looks without waiting for what couriers
    do.
    """

    def __init__(
        self,
        store: "Store",
        routes: "Routes",
        *,
        eyes: "Store | None" = None,
        wake: int = -1,
        tell: "Callable[[], None]" = lambda: None,
        dialogue: "Callable[[str], Writer | None]" = lambda qid: None,
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
        self._eyes = eyes or store
        self._wake = wake
        self._tell = tell
        self._dialogue = dialogue
        self._alive = alive
        self._log = log or Log()
        self._clock = clock
        self._chance = chance
        self.report = RoundReport()
        self.pool = Pool()
        self._directory = Directory(routes, self.pool.drop)
        self._house = House(
            self._eyes, lambda *key: self._directory.find(*key).way.settings, keepfailed, clock, self._warn
        )
        self._figures = Figures(self._eyes, clock)
        self._shifts: list[Shift] = []  # the last one is at work, the others have couriers left
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
                break
            if monotonic() > since + 2 * _LONGEST_PAUSE:
                pause, told = _FIRST_PAUSE, ""
            if str(failure) != told:
                told = str(failure)
                self._warn(f"the queue cannot be used: {told}; it is tried again")
            self._linger(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self._finish()

    def _warn(self, text: str) -> None:
        self._log.write("qmgr", f"warning: {printable(text)}", self._clock(), warning=True)

    def _linger(self, seconds: float) -> None:
        """Wait before the queue is tried again."""
        end = monotonic() + seconds
        while not self._ending and (left := end - monotonic()) > 0:
            self._alive()
            self._wait(min(left, TICK))

    def _finish(self) -> None:
        """Wait for the couriers to finish what they have in hand."""
        for shift in self._shifts:
            shift.round.stop()
            shift.wake()
        extend_at = monotonic() + _EXTEND
        while any([shift.busy for shift in self._shifts]):
            self._alive()
            extend_at = self._extend(extend_at)
            self._wait(_LOOK)
        self._release()

    # One enrollment

    def _serve(self) -> errors.Failure | None:
        """Work under one lease until the end of the service, or until trouble with the queue, which is returned."""
        self._release()
        try:
            owner = self._store.enroll()
        except errors.Failure as failure:
            return failure
        self.report.failure = None
        round_ = Round(
            self._store, owner, due_only=True, clock=self._clock, chance=self._chance, log=self._log, tell=self._tell,
            dialogue=self._dialogue, report=self.report, endless=True,
        )  # fmt: skip
        shift = Shift(round_, self._directory, self.pool, self._ring)
        self._shifts.append(shift)
        self._news = True
        try:
            self._watch(shift)
        except errors.Failure as failure:
            round_.fail(failure)
        except Exception as error:  # a bug must not end the service
            round_.fail(errors.internal(error))
        return None if self._ending else round_.failure or errors.SoftwareError("the work on the queue ended early")

    def _watch(self, shift: Shift) -> None:
        """Wait and look, until the end."""
        looked = look_at = 0.0
        extend_at = monotonic() + _EXTEND
        while not (self._ending or shift.round.ending):
            self._alive()
            now = monotonic()
            if self._news or now >= look_at:
                look_at = looked + _BREATH
                if not shift.crew.count or now >= look_at:
                    self._news, looked = False, now
                    look_at = self._look(shift, now)
            extend_at = self._extend(extend_at)
            self._house.keep(self.report.done, now)
            sessions = sum([lane.sessions for each in self._shifts for lane in list(each.lanes.values())])
            self._figures.show(self.report, len(shift.lanes), sessions, self.pool.count, now)
            closing = self.pool.watch()[1]
            times = [look_at, now + TICK, self._figures.due(now), *([] if closing is None else [closing])]
            self._wait(max(0.0, min(times) - monotonic()))

    def _look(self, shift: Shift, now: float) -> float:
        """Start couriers where they are needed; return when to look again at the latest (monotonic)."""
        self._release()
        clock = self._clock()
        again = shift.look(self._eyes.outlook(clock, self._directory.horizon), clock, now)
        return now + TICK if again is None else min(again, now + TICK)

    def _extend(self, at: float) -> float:
        """Extend the leases if it is time for that; return when to do it again."""
        now = monotonic()
        if now < at:
            return at
        for shift in self._shifts:
            shift.round.extend()
        return now + _EXTEND

    def _release(self) -> None:
        """Let go of the shifts that are over."""
        self._shifts = [shift for shift in self._shifts if not (shift.round.ending and shift.release())]

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
        if self._wake >= 0:
            poll.register(self._wake, select.POLLIN)
        for fd in self.pool.watch()[0]:
            poll.register(fd, select.POLLIN)
        end = monotonic() + seconds
        while True:
            left = end - monotonic()
            ready = {fd for fd, _ in poll.poll(int(left * 1000) + 1 if left > 0 else 0)}
            for fd in ready & {self._bell, self._wake}:
                self._drain(fd)
            if self._wake in ready and self._shifts:
                self._shifts[-1].wake()
            if not self._news or ready != {self._wake}:
                break  # else this is no news for who looks: he is going to look anyway
        self._news = self._news or bool(ready & {self._bell, self._wake})
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
