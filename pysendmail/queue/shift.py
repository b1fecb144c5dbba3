"""What a service does under one lease: the lanes that are being worked on, and who works on them.

A shift ends with the service, or by trouble with the queue. In the latter case the next one begins while couriers of the
old one may still be at a message; what they hold stays theirs until they have ended.
"""

from pysendmail import errors
from pysendmail.queue.crew import Crew
from pysendmail.queue.lane import SLOW, Lane
from pysendmail.queue.runner import within
from pysendmail.queue.team import Team

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pysendmail.delivery.pool import Pool
    from pysendmail.queue.directory import Directory
    from pysendmail.queue.round import Round
    from pysendmail.queue.sights import Outlook

_FRUITLESS_PAUSE = 1.0  # seconds before a lane is tried again of which nothing came and nothing could be noted
_MOST = 200  # couriers


class Shift:
    """The work under the lease of `round_`. `ring` has the main thread look up."""

    __slots__ = ("_directory", "_pool", "_quiet", "crew", "lanes", "round")

    def __init__(self, round_: "Round", directory: "Directory", pool: "Pool", ring: "Callable[[], None]") -> None:
        self.round = round_
        self.crew = Crew(round_, self._work, ring)
        self.lanes: dict[tuple[str, str], Lane] = {}
        self._directory = directory
        self._pool = pool
        self._quiet: dict[tuple[str, str], float] = {}

    @property
    def busy(self) -> bool:
        """Whether somebody may have a message in hand. One who waits for a password has none."""
        return any([lane.couriers and lane.route is not None for lane in list(self.lanes.values())])

    def release(self) -> bool:
        """Give back all that is held, if nobody is at work any more; tell whether that is so."""
        if self.busy:
            return False
        try:
            self.round.store.release(self.round.owner)
        except errors.Failure as failure:
            self.round.fail(failure)  # it is a dead owner's now, and falls to the next one
        return True

    def wake(self) -> None:
        """Have couriers who linger look for messages."""
        for lane in self.lanes.values():
            lane.wake()

    def look(self, outlook: "Iterable[Outlook]", clock: float, now: float) -> float | None:
        """Start couriers where they are needed; return when to look again (monotonic), None if only news can tell.

        `clock` is in seconds since the epoch, `now` monotonic.
        """
        self._bury(now)
        found = {(lane.account, lane.config): lane for lane in outlook}
        times = []
        for key in found.keys() | self.lanes.keys():
            due, lane = found.get(key), self.lanes.get(key)
            if lane is not None:
                is_due = due is not None and due.at <= clock
                enlisted, again = lane.enlist_help(now, is_due, self._pool.has(key))
                if enlisted:
                    self.crew.grow(lane)
            elif due is None:
                continue
            elif due.at > clock:
                again = now + due.at - clock
                if due.due <= clock:
                    self.round.tell()  # somebody may wait for an answer that this lane will not give now
            else:
                again = self._begin(due, now)
            if again is not None:
                times.append(again)
        return min(times, default=None)

    def _begin(self, due: "Outlook", now: float) -> float:
        """Start the first courier of a lane; return when to see whether he is enough."""
        key = (due.account, due.config)
        if now < self._quiet.get(key, 0.0):
            return self._quiet[key]
        if self.crew.count < _MOST:
            lane = Lane(self.round, due, within(None, *key), self.crew.grow)
            self.lanes[key] = lane
            if not self.crew.start(lane):  # there can be no more threads now
                del self.lanes[key]
                self._quiet[key] = now + _FRUITLESS_PAUSE
        return now + SLOW

    def _bury(self, now: float) -> None:
        """Let go of lanes without couriers."""
        for key, quiet in list(self._quiet.items()):
            if now >= quiet:
                del self._quiet[key]
        for key, lane in list(self.lanes.items()):
            if lane.couriers:
                continue
            del self.lanes[key]
            lane.dissolve()
            if lane.fruitless:
                self._quiet[key] = now + _FRUITLESS_PAUSE

    # A courier's thread

    def _work(self, lane: Lane) -> None:
        """Be a courier; the first one of a lane finds its way before."""
        try:
            if lane.route is None and not self._prepare(lane):
                return
            if lane.route is not None:
                Team(self.round, lane, lane.route, self._pool).run()
        finally:
            if lane.refused:
                self._directory.forget(*lane.key)

    def _prepare(self, lane: Lane) -> bool:
        """Find the way of a lane, the password included; tell whether there is something to be sent and a way to do it."""
        failure: errors.Failure | None = None
        try:
            known = self._directory.find(*lane.key)
            lane.way, lane.pace = known.way, known.pace
        except Exception as error:  # a bug that this lane brings to light must not keep the others waiting
            failure = error if isinstance(error, errors.Failure) else errors.internal(error)
        if not lane.fill():
            return False
        try:
            if failure is None:
                lane.route = known.route()
        except errors.Interrupted:
            return False
        except Exception as error:
            failure = error if isinstance(error, errors.Failure) else errors.internal(error)
        if failure is not None and not self.round.ending:
            lane.close(failure)
        return failure is None
