"""A team: what one thread does for a lane. Mostly that is one courier, who carries message after message.

Where the smarthost answers faster than a message is made ready and recorded, more threads would only stand in each
other's way. So there the thread itself makes the further connections that `connections` permits. A small message leaves
over each of them; then whatever has been answered goes to the disk at once, in one commit, and the connections that it
came over get their next messages, while the smarthost is at work on the others. As ever no connection gets another
message before the mark of the last one is on the disk.

Nobody waits for others: a courier whose message takes its time, because it is a large one, say, goes on in a thread of
his own, and a new connection is made when no answer is due.
"""

from time import monotonic

from pysendmail import errors
from pysendmail.delivery import interruption
from pysendmail.delivery.link import wait_for_any
from pysendmail.queue.courier import Courier
from pysendmail.queue.ledger import Unrecorded
from pysendmail.queue.settle import settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.delivery.pool import Pool
    from pysendmail.delivery.session import Route
    from pysendmail.queue.lane import Lane
    from pysendmail.queue.round import Round
    from pysendmail.queue.settle import Settlement
    from pysendmail.queue.values import Item

_QUICK = 0.05  # seconds for one message; who takes longer is better served by more threads
_LINGER = 0.05  # seconds for which further messages are waited for before the thread ends
_PATIENCE = 0.25  # seconds after which a courier who waits for an answer leaves the team


class Team:
    """The couriers of one thread. Each of them was enlisted."""

    def __init__(self, round_: "Round", lane: "Lane", route: "Route", pool: "Pool | None" = None) -> None:
        self._round = round_
        self._lane = lane
        self._route = route
        self._pool = pool
        self._couriers = [lane.adopt() or Courier(round_, lane, route, pool)]
        self._waiting: dict[Courier, float] = {}  # those who wait for an answer, and since when
        self._connecting = False  # one is needed as soon as nobody waits
        self._quick = False  # the last answer came at once
        self._leisure = 0.0 if pool is None else min(_LINGER, lane.settings.keep)
        self._until = 0.0  # when this thread leaves if nothing comes

    def run(self) -> None:
        """Work until the lane has no more messages, or cannot be used, or the round ends."""
        try:
            self._see_through(self._couriers)  # one who left another team has a message in hand
            more = True
            while more:
                more = self._go_on()
                if not more or (self._lane.is_drained and not self._waiting):
                    more = self._linger() or more
            for courier in self._couriers:
                courier.park()
        except Unrecorded as unrecorded:
            self._round.fail(unrecorded.failure)
        except errors.Interrupted:
            pass  # what is left goes back at the end of the round
        except Exception as error:  # a bug that this lane brings to light must not keep the others waiting
            self._lane.close(error if isinstance(error, errors.Failure) else errors.internal(error))
        finally:
            self._end()
            for courier in self._couriers:
                courier.leave()
            for _ in self._couriers[1:]:
                self._lane.discharge()

    def _end(self) -> None:
        """Hear what becomes of the messages that are on their way, however the work came to its end."""
        waiting = list(self._waiting)
        self._waiting.clear()
        try:
            self._see_through(waiting)
        except Unrecorded as unrecorded:
            self._round.fail(unrecorded.failure)
        except errors.Failure as failure:
            self._round.fail(failure)

    def _go_on(self) -> bool:
        """Carry some messages, or wait for what becomes of them; tell whether there may be more to do."""
        ready = self._load()
        if not (ready or self._waiting):
            return False
        if len(ready) == len(self._couriers) == 1:
            started = monotonic()
            self._see_through(ready)
            self._quick = monotonic() - started < _QUICK
        else:
            self._carry(ready)
        self._until = monotonic() + self._leisure
        return True

    def _linger(self) -> bool:
        """Wait a moment for news of further messages, where they come one by one; tell whether there is any."""
        return monotonic() < self._until and self._lane.linger(self._until)

    # Taking messages

    def _load(self) -> list[Courier]:
        """Take a message for each courier who is free and has a connection for it; return those couriers."""
        ready: list[tuple[Courier, Item]] = []
        self._connecting = self._connecting and bool(self._waiting)
        for courier in list(self._couriers):
            if courier in self._waiting or self._connecting:
                continue
            standing = courier.is_standing
            if self._waiting and not standing:
                self._connecting = True  # which would keep the others' answers waiting, so they are heard before
                break
            item = self._lane.next()
            if item is None:
                break
            self._grow()
            failure = courier.make_ready(item, standing=standing, hasty=len(self._couriers) > 1)
            if failure is None:
                ready.append((courier, item))
                continue
            self._lane.put_back(item)
            courier.unopened(failure)
            if len(self._couriers) == 1:
                break
            self._couriers.remove(courier)
            courier.leave()
            self._lane.discharge()
        if self._round.ending:  # connecting may have taken longer than the lease lasts
            for _, item in reversed(ready):
                self._lane.put_back(item)
            return []
        for courier, item in ready:
            courier.take_up(item)
        return [courier for courier, _ in ready]

    def _grow(self) -> None:
        """Have one more connection made, if it is worth it; it may be our own."""
        if self._lane.enlist_another():
            if self._quick and self._lane.pace is None:
                self._couriers.append(Courier(self._round, self._lane, self._route, self._pool))
            else:
                self._lane.spawn()

    # What becomes of them

    def _see_through(self, couriers: list[Courier]) -> None:
        """Carry the message of each of these couriers to its end, whatever becomes of the others'."""
        trouble: Exception | None = None
        interruption.hold()
        for courier in couriers:
            try:
                courier.complete()
            except (Unrecorded, errors.Failure) as failure:
                trouble = trouble or failure
        if not self._waiting:
            interruption.let_go()
        if trouble is not None:
            raise trouble

    def _carry(self, ready: list[Courier]) -> None:
        """Send what is small; record what has been answered; let those go on by themselves who take their time."""
        now = monotonic()
        others = []
        for courier in ready:
            if courier.begin():
                self._waiting[courier] = now
            else:
                others.append(courier)
        heard = self._hear()
        over = [courier for courier in heard if courier.is_over]
        others += [courier for courier in heard if courier not in over]
        late = monotonic() - _PATIENCE
        others += [courier for courier, since in self._waiting.items() if since <= late]
        for courier in (*over, *others):
            self._waiting.pop(courier, None)
        try:
            self._settle(over)
        finally:
            self._part_with(others)

    def _hear(self) -> list[Courier]:
        """Return those whose answers are in; wait for the first one if need be, but not for long."""
        while True:
            heard = [courier for courier in self._waiting if courier.heard()]
            if heard or not self._waiting:
                return heard
            left = min(self._waiting.values()) + _PATIENCE - monotonic()
            if left <= 0 or not wait_for_any([courier.fileno() for courier in self._waiting], left):
                return []

    def _settle(self, couriers: list[Courier]) -> None:
        """Record in one commit what became of messages whose answers are in. Raises Unrecorded."""
        settlements: list[Settlement] = []
        try:
            for courier in couriers:
                courier.complete(settlements.append)
        finally:
            if settlements:
                settle(self._round, self._lane, settlements)
            if not self._waiting:
                interruption.let_go()

    def _part_with(self, couriers: list[Courier]) -> None:
        """Let couriers go on in threads of their own; the last one who is here stays."""
        here = []
        for courier in couriers:
            if len(self._couriers) > 1 and self._lane.part(courier):
                self._couriers.remove(courier)
            else:
                here.append(courier)
        if here:
            self._see_through(here)
