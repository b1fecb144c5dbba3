"""A courier: one connection to a smarthost, made when there is a message for it, and the message it carries.

With a pool he takes a connection that another one has left there, and leaves his own for the next one.
"""

from time import monotonic

from pysendmail import errors
from pysendmail.delivery.deliver import ROUNDS
from pysendmail.delivery.pool import AGE
from pysendmail.delivery.session import Session
from pysendmail.queue.attempt import Attempt, Unopened
from pysendmail.queue.ledger import Unrecorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.delivery.pool import Pool
    from pysendmail.delivery.session import Route
    from pysendmail.queue.dialogue import Writer
    from pysendmail.queue.lane import Lane
    from pysendmail.queue.round import Round
    from pysendmail.queue.settle import Settlement
    from pysendmail.queue.values import Item
    from pysendmail.smtp.client import Client

MESSAGES = 1000
"""The messages that one connection carries; some servers end it after so many in a less orderly way."""

_PATIENCE = 60.0  # seconds that a courier waits because of `rate`; for longer it gives the lane up until then
_HASTE = 10.0  # seconds in which a connection has to be made while others wait


class _NotNow(errors.TempFail):
    """A message has to wait for its turn, through nobody's fault."""


class Courier:
    """Carry messages of a lane, each over the connection that is there, or over a new one."""

    def __init__(self, round_: "Round", lane: "Lane", route: "Route", pool: "Pool | None" = None) -> None:
        self._round = round_
        self._lane = lane
        self._route = route
        self._pool = pool if lane.settings.keep > 0 else None
        self._session: Session | None = None
        self._dialogue: Writer | None = None
        self._standing = False
        self._carried = 0
        self._since = 0.0
        self._setup = 0.0
        self._item: Item | None = None
        self._attempt: Attempt | None = None

    # The dialogue

    def _show_dialogue(self, item: "Item") -> None:
        """Have the dialogue about this message told to who waits for its answers, if he wants to see it."""
        self._hide_dialogue()
        self._dialogue = self._round.dialogue(item.message.qid) if item.message.awaited else None

    def _hide_dialogue(self) -> None:
        dialogue, self._dialogue = self._dialogue, None
        if dialogue is not None:
            if self._session is not None:
                self._session.listen(self._route.trace)
            dialogue.close()

    def _tell_of_connection(self, session: Session, dialogue: "Writer") -> None:
        """Begin the dialogue where it goes on over a connection that stands."""
        facts = f"{session.relay}, {session.tls_facts or 'not encrypted'}"
        dialogue("=", f"over a connection that was there already: {facts}".encode("utf-8", "surrogateescape"))
        session.listen(dialogue)

    # The connection

    def make_ready(self, item: "Item", *, standing: bool, hasty: bool) -> errors.Failure | None:
        """Wait for the turn that `rate` gives, and see to it that there is a connection; return what is in the way.

        `standing`: there is one, as was seen just now. `hasty`: others wait meanwhile, so that it may take only a few
        seconds.
        """
        if item.message.awaited or self._dialogue is not None:
            self._show_dialogue(item)
        try:
            self._wait_for_turn()
            self._setup = 0.0
            if self._session is None:
                self._take_parked()
            if not ((standing and self._lane.pace is None) or self.is_standing):
                self.hang_up()
                started = monotonic()
                patience = ROUNDS * self._route.account.timeout
                self._session = Session(self._route, started + (min(patience, _HASTE) if hasty else patience))
                if self._dialogue is not None:
                    self._session.listen(self._dialogue)
                self._open()
                self._setup = monotonic() - started
            elif self._dialogue is not None and self._session is not None:
                self._tell_of_connection(self._session, self._dialogue)
        except errors.Failure as failure:
            return failure
        return None

    def _take_parked(self) -> None:
        """Go on with a connection that was kept, if there is one."""
        parked = self._pool.take(self._lane.key, monotonic()) if self._pool is not None else None
        if parked is not None:
            self._session, self._carried, self._since = parked.session, parked.carried, parked.since
            self._standing = True
            self._lane.opened()

    def park(self) -> None:
        """Keep the connection for the next courier, if it is good for another message."""
        self._hide_dialogue()
        if self._pool is None or self._round.ending or self._lane.closed or not self.is_standing:
            return
        session, self._session = self._session, None
        self._gone()
        if session is not None:
            self._pool.park(self._lane.key, session, self._carried, self._since, monotonic(), self._lane.settings.keep)

    @property
    def is_standing(self) -> bool:
        """Whether there is a connection that takes another message."""
        try:
            if self._pool is not None and monotonic() >= self._since + AGE:
                return False
            return self._session is not None and self._carried < MESSAGES and self._session.usable
        except errors.Failure:
            return False  # it said something that makes no sense

    def _wait_for_turn(self) -> None:
        pace = self._lane.pace
        while pace is not None and (wait := pace.begin(monotonic())):
            if wait > _PATIENCE:
                self._lane.rest(wait)
            else:
                self._round.sleep(wait)
            if self._lane.closed or self._round.ending:
                raise _NotNow("this message has to wait for its turn")

    def _open(self) -> "Client":
        session = self._session
        if session is None:
            raise errors.SoftwareError("there is no session to be opened")
        client = session.open()
        self._carried = 0
        self._since = monotonic()
        self._standing = True
        self._lane.opened()
        return client

    def _open_again(self) -> "Client":
        """Open the session again that has ended within a message."""
        self._gone()
        return self._open()

    def unopened(self, failure: errors.Failure) -> None:
        """Give up: there is no connection because of `failure`."""
        reached = self._session is not None and self._session.reached
        if self._dialogue is not None:
            self._dialogue("=", str(failure).encode("utf-8", "surrogateescape"))
        self.hang_up()
        if not isinstance(failure, errors.Interrupted | _NotNow):
            self._lane.unopened(failure, reached)

    def leave(self) -> None:
        """End the connection, if there is one, and all that was about it."""
        self.hang_up()
        self._hide_dialogue()

    def hang_up(self) -> None:
        """End the connection, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        self._gone()

    def _gone(self) -> None:
        if self._standing:
            self._standing = False
            self._lane.hung_up()

    # The messages

    def take_up(self, item: "Item") -> None:
        """Take a message in hand; `begin` may send it, `complete` has to follow."""
        session = self._session
        if session is None:
            raise errors.SoftwareError("a message was begun without a connection")
        self._round.count_message(item.message.size)
        self._item = item
        self._attempt = Attempt(
            self._lane, self._round, item, session, self._open_again, setup=self._setup, served=self._carried > 0
        )

    def begin(self) -> bool:
        """Send the message in hand without waiting for the answer, if it is small; tell whether that was done."""
        try:
            return self._attempt is not None and self._attempt.begin()
        except Exception as error:
            self._spoil(error)
            return False

    def heard(self) -> bool:
        """Tell whether all answers to what was begun have come, or none will come any more."""
        try:
            return self._session is None or self._session.heard()
        except Exception as error:
            self._spoil(error)
            return True

    def _spoil(self, error: Exception) -> None:
        """Let a bug that this message brings to light be its outcome."""
        self.hang_up()
        if self._attempt is not None:
            self._attempt.spoil(errors.internal(error))

    @property
    def has_message(self) -> bool:
        """Whether a message is in hand."""
        return self._attempt is not None

    @property
    def is_over(self) -> bool:
        """Whether all is known about the message in hand, so that `complete` has nothing to wait for."""
        return self._attempt is not None and self._attempt.is_over

    def fileno(self) -> int:
        """Return the descriptor of the connection, -1 for none."""
        return -1 if self._session is None else self._session.fileno()

    def complete(self, keep: "Callable[[Settlement], None] | None" = None) -> None:
        """Make the attempt on the message in hand, or go on with it; what goes wrong with it stays with it.

        `keep` is as in Attempt.run.
        """
        attempt, item = self._attempt, self._item
        self._attempt = self._item = None
        if attempt is None or item is None:
            return
        try:
            attempt.run(keep)
        except Unopened as unopened:
            self._round.give_back([item])
            self.unopened(unopened.failure)
        except (Unrecorded, errors.Failure):
            raise
        except Exception as error:  # a bug that this message brings to light must not keep the others waiting
            self.hang_up()
            attempt.fail(errors.internal(error))
        finally:
            self._carried += 1
