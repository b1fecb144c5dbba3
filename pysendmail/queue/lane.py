"""A lane: what one round does for the messages of one account and configuration.

All its couriers take their messages here. A lane fails as a whole when its smarthost cannot be reached or used: then it
is closed for a while, what it holds goes back as it was, and nobody else calls that smarthost in this round. No message
is at fault for that, so none is marked; but what has been waiting for too long behind a smarthost that cannot be reached
is given up in the end (overdue.py).

It also fails when it takes connections and then no message at all, several in a row: the messages that saw it have their
outcome, and are not the first ones again in the next round.
"""

from _thread import allocate_lock
from time import monotonic

from pysendmail import errors
from pysendmail.delivery.tls import TLSFailure
from pysendmail.log import printable
from pysendmail.queue.report import Trouble
from pysendmail.queue.settings import Settings
from pysendmail.queue.values import HORIZON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from pysendmail.delivery.session import Route
    from pysendmail.log import Log
    from pysendmail.queue.courier import Courier
    from pysendmail.queue.pace import Pace
    from pysendmail.queue.round import Round
    from pysendmail.queue.settings import Way
    from pysendmail.queue.sights import Lane as KnownLane
    from pysendmail.queue.sights import Outlook
    from pysendmail.queue.values import Item, Select
else:
    from _collections import deque

_FIRST_BATCH = 10  # messages claimed at first, when it is not known how many recipients they have
_BATCH = 100  # messages claimed at once
_LONG = 1.0  # seconds that messages claimed at once may last: who is waited for does not overtake what is claimed
_RECIPIENTS = 5000  # recipients claimed at once, more or less
_BACKLOG = 4  # messages that wait for each connection before one more is made
SLOW = 0.25
"""Seconds without a courier who is free for one more message, after which another connection is worth it."""

_STRIKES = 5  # messages in a row that a smarthost may refuse to look at
_LOGIN = (errors.NoPermission, errors.ConfigError)
_STEADY = (*_LOGIN, TLSFailure, errors.SoftwareError)  # somebody has to mend these; no message is given up for them


class Lane:
    """One lane of a round; its methods may be called from any thread.

    `way`, `route` and `pace` (how often a message may begin) are set before the first courier begins his work; `couriers`
    is how many are enlisted, and `spawn` starts one who is. `refused`: the login was. `fruitless`: nothing came of it so
    far, and it is not closed for that either.
    """

    def __init__(
        self, round_: "Round", known: "KnownLane | Outlook", select: "Select", spawn: "Callable[[Lane], bool]"
    ) -> None:
        self.account = known.account
        self.config = known.config
        self.key = (known.account, known.config)
        self.select = select
        self.refused = False
        self.fruitless = True
        self.way: Way | None = None
        self.route: Route | None = None
        self.pace: Pace | None = None
        self.closed = False
        self.couriers = 0
        self.failures = known.failures
        self._known_closed = known.until > 0 or known.failures > 0
        self._round = round_
        self._spawn = spawn
        self._lock = allocate_lock()
        self._pending: deque[Item] = deque()
        self._after = 0
        self._taken = monotonic()
        self._batch = _FIRST_BATCH
        self._filled = monotonic()
        self._sessions = 0
        self._most = 1 << 30
        self._strikes = 0
        self._parted: deque[Courier] = deque()
        self._drained = False
        self._lingering = 0
        self._bell = allocate_lock()
        self._bell.acquire()
        self._log: tuple[str, Log] | None = None  # the last one, with its tag

    @property
    def settings(self) -> Settings:
        """The settings of the account; those of nobody while the configuration is broken."""
        return self.way.settings if self.way is not None else Settings()

    def log(self, tag: str = "pysendmail") -> "Log":
        """Return where to write about messages of this tag."""
        known = self._log
        if known is None or known[0] != tag:
            known = self._log = (tag, self.way.log(tag) if self.way is not None else self._round.log)
        return known[1]

    def enlist(self) -> None:
        """Count one more courier."""
        with self._lock:
            self.couriers += 1

    def discharge(self) -> None:
        """Count one courier less."""
        with self._lock:
            self.couriers -= 1

    # Taking messages

    def fill(self) -> bool:
        """Claim messages if none are here; tell whether there is one."""
        with self._lock:
            self._fill()
            return bool(self._pending)

    def next(self) -> "Item | None":
        """Return the next message; None when there is no more to be done."""
        with self._lock:
            if self.closed or self._round.ending:
                return None
            self._fill()
            if not self._pending:
                return None
            item = self._pending.popleft()
            self._taken = monotonic()
            self.fruitless = False
        return item

    @property
    def is_drained(self) -> bool:
        """Whether there was nothing left when messages were claimed for the last time, and all of those are taken."""
        return self._drained and not self._pending

    def linger(self, end: float) -> bool:
        """Wait until the time `end` (monotonic) for news of further messages; tell whether there is any."""
        if self.closed or self._round.ending or (self.way is not None and self.way.stale()):
            return False
        with self._lock:
            self._lingering += 1
        try:
            return self._bell.acquire(timeout=max(0.0, end - monotonic()))
        finally:
            with self._lock:
                self._lingering -= 1

    def wake(self) -> None:
        """Have a courier who lingers look for messages. Call it in one thread only."""
        if self._bell.locked():
            self._bell.release()

    def spawn(self) -> bool:
        """Start a thread for a courier who is enlisted; tell whether that could be done, if not he was discharged."""
        return self._spawn(self)

    def part(self, courier: "Courier") -> bool:
        """Start a thread for a courier who has a connection and a message; False if there can be no more threads."""
        with self._lock:
            self._parted.append(courier)
            self.couriers += 1  # in case that there is no thread for him
        started = self._spawn(self)
        with self._lock:
            if not started and courier in self._parted:
                self._parted.remove(courier)
                return False
            self.couriers -= 1  # where there is no thread, another one that was just started has adopted him
        return True

    def adopt(self) -> "Courier | None":
        """Return a courier for whom a thread was started, None if this one is for a new one."""
        with self._lock:
            return self._parted.popleft() if self._parted else None

    def put_back(self, item: "Item") -> None:
        """Take a message back that was not begun."""
        with self._lock:
            if not self.closed:
                self._pending.appendleft(item)
                return
        self._round.give_back([item])

    def _fill(self) -> None:
        if self._pending:
            return
        horizon = HORIZON if self.way is None else self.settings.schedule.longest
        if self._round.endless and not self._round.is_due(*self.key, horizon):
            return
        since, self._filled = self._filled, monotonic()
        self._log = None  # there may be a system's log by now
        if self._round.endless and self._filled > since + _LONG:
            self._batch = min(self._batch, _FIRST_BATCH)
        items = self._round.claim(self._batch, self.select, horizon, self._after)
        self._drained = len(items) < self._batch
        if items and self.way is not None and self.way.stale():
            self._round.give_back(items)  # who handed them in may have changed the configuration before; a new lane reads it
        elif items:
            self._after = 0 if self._round.due_only else items[-1].message.id
            recipients = sum([len(item.recipients) for item in items])
            self._batch = max(1, min(_BATCH, _RECIPIENTS * len(items) // recipients))
            self._pending.extend(items)

    def enlist_another(self) -> bool:
        """Count one more courier, or one more connection of a courier's, if so much waits that it is worth it."""
        with self._lock:
            worth = self._sessions > 0 and self._has_room() and len(self._pending) > _BACKLOG * self.couriers
            if worth and not self.closed:
                self.couriers += 1
                return True
        return False

    def _has_room(self) -> bool:
        return self.couriers < min(self._most, self.settings.connections)

    def enlist_help(self, now: float, due: bool, spare: bool) -> tuple[bool, float | None]:
        """Count one more courier, if he is worth it at `now`; return that, and when the next one may be, None for never.

        `due`: there are messages to be claimed; `spare`: a connection stands ready. Times are monotonic.
        """
        with self._lock:
            if self.closed or not (due or self._pending) or not (self._lingering or self._has_room()):
                return False, None
            if self._lingering:
                self.wake()
                return False, now + SLOW
            if not self._sessions or not (spare or now >= self._taken + SLOW):
                return False, max(now, self._taken) + SLOW
            self._taken = now
            self.couriers += 1
            return True, now + SLOW

    def dissolve(self) -> None:
        """Give back what was claimed, now that no courier is left."""
        with self._lock:
            back = list(self._pending)
            self._pending.clear()
        self._round.give_back(back)

    # The smarthost

    @property
    def sessions(self) -> int:
        """How many connections there are."""
        return self._sessions

    def opened(self) -> None:
        """Note that a courier has a connection."""
        with self._lock:
            self._sessions += 1

    def hung_up(self) -> None:
        """Note that a courier has no connection any more."""
        with self._lock:
            self._sessions -= 1

    def unopened(self, failure: errors.Failure, reached: bool) -> None:
        """Note that a courier got no connection; `reached` tells whether the server had greeted him."""
        with self._lock:
            alone = self._sessions == 0
            self._most = max(1, self.couriers - 1)  # a server that lets in only so many at a time
        if alone:
            self.close(failure, hopeless=not reached and not isinstance(failure, _STEADY))

    def proved(self) -> None:
        """Note that the smarthost has looked at a message, so that all is well with it."""
        with self._lock:
            self._strikes = 0
            if not self._known_closed:
                return
            self._known_closed, self.failures = False, 0
        self._round.note_recovery(*self.key)
        try:
            self._round.store.open_lane(self.account, self.config)
        except errors.Failure:
            pass  # its time will be over soon

    def struck(self, failure: errors.Failure) -> None:
        """Note that the smarthost has sent a courier away before it looked at his message."""
        with self._lock:
            self.refused = self.refused or isinstance(failure, _LOGIN)
            self._strikes += 1
            enough = self._strikes >= _STRIKES
        if enough:
            self.close(failure, hopeless=not isinstance(failure, _STEADY))

    def close(self, failure: errors.Failure, hopeless: bool = False) -> None:
        """Use the lane no more in this round, nor for a while after it; if `hopeless`, give up what waited for too long."""
        back = self._shut()
        if back is None:
            return
        now = self._round.clock()
        self.failures += 1
        self.refused = self.refused or isinstance(failure, _LOGIN)
        until = now + self.settings.closed_for(self.failures, isinstance(failure, _LOGIN), self._round.chance())
        self._round.note_trouble(Trouble(self.account, self.config, failure, until))
        self._tell(failure, until - now, now)
        self._note_closed(until, str(failure), failure.status)
        self._round.give_back(back)
        self._round.tell()
        if hopeless:
            from pysendmail.queue.overdue import give_up

            give_up(self._round, self, failure, now)

    def rest(self, seconds: float) -> None:
        """Use the lane no more for some time, because as many messages have left as may."""
        back = self._shut()
        if back is None:
            return
        seconds = min(seconds, self.settings.schedule.longest)
        self._note_closed(self._round.clock() + seconds, "as many messages have left as the word rate permits", "4.4.5")
        self._round.give_back(back)
        self._round.tell()

    def _shut(self) -> "list[Item] | None":
        """Close the lane and return what waits in it; None if it was closed before."""
        with self._lock:
            if self.closed:
                return None
            self.closed = True
            back = list(self._pending)
            self._pending.clear()
            return back

    def _note_closed(self, until: float, reply: str, status: str) -> None:
        try:
            self._round.store.close_lane(
                self.account, self.config, until, failures=self.failures, reply=printable(reply), dsn=status
            )
            self.fruitless = False
        except errors.Failure:
            self.fruitless = True  # this round knows all the same, and the next one will see for itself

    def _tell(self, failure: errors.Failure, seconds: float, now: float) -> None:
        name = printable(self.account or "default", 64)
        of = f" of {printable(self.config)}" if self.config else ""
        text = f"account {name}{of}: nothing can be sent: {printable(str(failure))}; next attempt in {seconds:.0f} seconds"
        self._round.write_log(self.log(), [("qmgr", [(f"warning: {text}", True)])], now)
