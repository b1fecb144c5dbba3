"""A courier: one connection to a smarthost, made when there is a message for it, and the messages it carries.

With a pool he takes a connection that another one has left there, and leaves his own for the next one.
"""

from time import monotonic

from pysendmail import errors
from pysendmail.delivery import interruption
from pysendmail.delivery.deliver import ROUNDS
from pysendmail.delivery.pool import AGE
from pysendmail.delivery.session import Session
from pysendmail.queue.attempt import Attempt, Unopened
from pysendmail.queue.ledger import Unrecorded
from pysendmail.queue.round import internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.delivery.pool import Pool
    from pysendmail.delivery.session import Route
    from pysendmail.queue.dialogue import Writer
    from pysendmail.queue.lane import Lane
    from pysendmail.queue.round import Round
    from pysendmail.queue.values import Item
    from pysendmail.smtp.client import Client

MESSAGES = 1000
"""The messages that one connection carries; some servers end it after so many in a less orderly way."""

_PATIENCE = 60.0  # seconds that a courier waits because of `rate`; for longer it gives the lane up until then


class _NotNow(errors.TempFail):
    """A message has to wait for its turn, through nobody's fault."""


class Courier:
    """Carry the messages of a lane, one after the other, until none is left."""

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

    def run(self) -> None:
        """Work until the lane has no more messages, or cannot be used, or the round ends."""
        try:
            while (item := self._lane.next()) is not None:
                if item.message.awaited or self._dialogue is not None:
                    self._show_dialogue(item)
                failure = self._make_ready()
                if failure is not None:
                    self._lane.put_back(item)
                    self._unopened(failure)
                    break
                if self._round.ending:  # connecting may have taken longer than the lease lasts
                    self._lane.put_back(item)
                    break
                self._carry(item)
            self._hide_dialogue()
            self._park()
        except Unrecorded as unrecorded:
            self._round.fail(unrecorded.failure)
        except errors.Interrupted:
            pass  # what is left goes back at the end of the round
        except Exception as error:  # a bug that this lane brings to light must not keep the others waiting
            self._lane.close(error if isinstance(error, errors.Failure) else internal(error))
        finally:
            self._hang_up()
            self._hide_dialogue()

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

    def _make_ready(self) -> errors.Failure | None:
        """Wait for the turn that `rate` gives, and see to it that there is a connection; return what is in the way."""
        try:
            self._wait_for_turn()
            self._setup = 0.0
            if self._session is None:
                self._take_parked()
            if not self._is_standing():
                self._hang_up()
                started = monotonic()
                self._session = Session(self._route, started + ROUNDS * self._route.account.timeout)
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

    def _park(self) -> None:
        """Keep the connection for the next courier, if it is good for another message."""
        if self._pool is None or self._round.ending or self._lane.closed or not self._is_standing():
            return
        session, self._session = self._session, None
        self._gone()
        if session is not None:
            self._pool.park(self._lane.key, session, self._carried, self._since, monotonic(), self._lane.settings.keep)

    def _is_standing(self) -> bool:
        """Tell whether there is a connection that takes another message."""
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

    def _unopened(self, failure: errors.Failure) -> None:
        reached = self._session is not None and self._session.reached
        if self._dialogue is not None:
            self._dialogue("=", str(failure).encode("utf-8", "surrogateescape"))
        self._hang_up()
        if not isinstance(failure, errors.Interrupted | _NotNow):
            self._lane.unopened(failure, reached)

    def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
        self._gone()

    def _gone(self) -> None:
        if self._standing:
            self._standing = False
            self._lane.hung_up()

    # The messages

    def _carry(self, item: "Item") -> None:
        """Make an attempt on one message; what goes wrong with it stays with it."""
        session = self._session
        if session is None:
            raise errors.SoftwareError("a message was begun without a connection")
        self._round.count_message(item.message.size)
        attempt = Attempt(
            self._lane, self._round, item, session, self._open_again, setup=self._setup, served=self._carried > 0
        )
        try:
            attempt.run()
        except Unopened as unopened:
            self._round.give_back([item])
            self._unopened(unopened.failure)
        except (Unrecorded, errors.Failure):
            raise
        except Exception as error:  # a bug that this message brings to light must not keep the others waiting
            self._hang_up()
            attempt.fail(internal(error))
        finally:
            interruption.let_go()
        self._carried += 1
