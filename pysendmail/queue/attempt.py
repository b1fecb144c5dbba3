"""One attempt on one message, over a connection that stands.

The outcome of each transaction is settled before the next one begins. Whatever goes wrong with this message stays with
this message: only trouble with the connection, or with the queue itself, concerns others.
"""

from time import monotonic

from pysendmail import errors
from pysendmail.delivery.deliver import envelope_line, make_mail, send_all
from pysendmail.delivery.parcel import Parcel
from pysendmail.message.body import Body
from pysendmail.queue import states
from pysendmail.queue.settle import settle
from pysendmail.queue.store import Damaged, Malformed
from pysendmail.queue.values import Result
from pysendmail.queue.verdict import Circumstances
from pysendmail.smtp.outcome import DEFERRED, SENT, UNCERTAIN, from_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pysendmail.delivery.session import Session
    from pysendmail.queue.lane import Lane
    from pysendmail.queue.round import Round
    from pysendmail.queue.values import Item, Recipient
    from pysendmail.smtp.client import Client
    from pysendmail.smtp.outcome import Outcome
    from pysendmail.smtp.transaction import Transaction


class Unopened(Exception):
    """The connection ended within a message, and no new one could be made; `failure` says why."""

    def __init__(self, failure: errors.Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class _Watched(Body):
    """A stored body; `failure` is what made it unreadable half-way."""

    __slots__ = ("_stored", "failure")

    def __init__(self, stored: Body) -> None:
        self.size = stored.size
        self.eight_bit = stored.eight_bit
        self.nul = stored.nul
        self.long_line = stored.long_line
        self.failure: errors.Failure | None = None
        self._stored = stored

    def chunks(self, size: int = 1 << 18) -> "Iterator[bytes]":
        """Yield the body from its beginning. Raises what the store raises."""
        try:
            yield from self._stored.chunks(size)
        except errors.Failure as failure:
            self.failure = failure
            raise

    def close(self) -> None:
        """Do nothing: the body is the queue's."""


class Attempt:
    """Send a claimed message over `session`; `reopen` makes a new connection where this one ends half-way.

    `setup` is how many seconds went into the connection for this message; `served` says that it has served another one.
    """

    def __init__(
        self,
        lane: "Lane",
        round_: "Round",
        item: "Item",
        session: "Session",
        reopen: "Callable[[], Client]",
        *,
        setup: float = 0.0,
        served: bool = False,
    ) -> None:
        self._lane = lane
        self._round = round_
        self._item = item
        self._session = session
        self._open_again = reopen
        self._setup = setup
        self._served = served
        self._started = monotonic()
        self._waiting: dict[bytes, list[Recipient]] = {}
        for one in item.recipients:
            self._waiting.setdefault(one.address, []).append(one)
        self._body: _Watched | None = None
        self._dsn_offered = False

    def run(self) -> None:
        """Make the attempt and settle its outcomes. Raises Unrecorded and Unopened."""
        message = self._item.message
        try:
            stored = self._round.store.open(message)
        except errors.Failure as failure:
            if _is_damage(failure):
                self._hold(failure)
            else:
                self.fail(failure)
            return
        self._body = _Watched(stored.body)
        parcel = self._parcel(stored.header, self._body)
        line = envelope_line(message.qid, parcel.reverse_path, message.size, len(self._item.recipients))
        self._write(line.partition(": ")[2])
        try:
            client = self._session.client
            if client is None:
                raise errors.SoftwareError("a message was begun without a connection")
            self._dsn_offered = b"DSN" in client.extensions
            send_all(self._session, parcel, make_mail(parcel, client), self._settle, self._reopen, self._served)
        except errors.Failure as failure:
            self.fail(failure)

    def fail(self, failure: errors.Failure) -> None:
        """Let those who have no outcome yet have that of a failure of this message."""
        if self._body is not None and _is_damage(self._body.failure):
            self._hold(failure)
        elif self._waiting:
            self._settle_outcomes([from_failure(address, failure, "the message") for address in self._waiting])

    def _parcel(self, header: bytes, body: Body) -> Parcel:
        message = self._item.message
        route = self._session.route
        each = {one.address: (one.notify, one.orcpt) for one in self._item.recipients if one.notify or one.orcpt}
        return Parcel(
            header,
            body,
            message.sender or route.account.null_sender or b"",
            list(self._waiting),
            ret=message.ret,
            envid=message.envid,
            each=each or None,
        )

    def _reopen(self) -> "Client":
        try:
            client = self._open_again()
        except errors.Failure as failure:
            raise Unopened(failure) from failure
        self._dsn_offered = b"DSN" in client.extensions
        return client

    def _settle(self, transaction: "Transaction") -> None:
        """Settle one transaction, and note what it says about the smarthost."""
        outcomes = list(transaction.outcomes.values())
        if self._body is not None and self._body.failure is not None and _is_damage(self._body.failure):
            refused = [outcome for outcome in outcomes if outcome.state not in (DEFERRED, UNCERTAIN)]
            self._settle_outcomes(refused)
            self._hold(self._body.failure)
            return
        self._settle_outcomes(outcomes)
        last = outcomes[-1] if outcomes else None
        if last is None or not self._is_strike(transaction, outcomes):
            self._lane.proved()
            return
        kind = errors.NoPermission if last.exit_code == errors.NoPermission.exit_code else errors.TempFail
        self._lane.struck(kind(last.text.decode("utf-8", "backslashreplace"), self._session.relay))

    def _is_strike(self, transaction: "Transaction", outcomes: "list[Outcome]") -> bool:
        """Tell whether the server sent us away without a look at the message."""
        if any([outcome.state not in (DEFERRED, UNCERTAIN) for outcome in outcomes]):
            return False
        return outcomes[0].stage == "MAIL" or (self._session.client is not None and self._session.client.closing)

    def _settle_outcomes(self, outcomes: "list[Outcome]") -> None:
        """Settle outcomes, each for all recipients of that address; what they say is masked first."""
        mask = self._session.route.masker.mask
        masked: dict[bytes, bytes] = {}
        pairs: list[tuple[Recipient, Outcome]] = []
        for outcome in outcomes:
            if outcome.text not in masked:
                masked[outcome.text] = mask(outcome.text)
            outcome.text = masked[outcome.text]
            pairs += [(one, outcome) for one in self._waiting.pop(outcome.recipient, [])]
        if not pairs:
            return
        now = self._round.clock()
        chance = self._round.chance() if any([outcome.state != SENT for outcome in outcomes]) else 0.0
        passed = monotonic() - self._started
        age = max(0.0, now - passed - self._setup - self._item.message.created)
        session = self._session
        at = Circumstances(
            now, chance, session.relay, self._dsn_offered, tls=session.tls_facts, times=(age, self._setup, passed)
        )
        settle(self._round, self._lane, self._item.message, pairs, at, (age, 0.0, self._setup, passed))

    def _hold(self, failure: errors.Failure) -> None:
        """Hold everybody who is left, since what is stored is not what was accepted."""
        message = self._item.message
        now = self._round.clock()
        reply = f"the stored message is damaged, so it is held: {failure}"
        results = [
            Result(message.id, one.number, states.HELD, tried=now, reply=reply, dsn=failure.status, attempted=False)
            for ones in self._waiting.values()
            for one in ones
        ]
        self._waiting.clear()
        if results:
            self._round.enter(results, [])
            if message.awaited:
                self._round.tell()
            self._write(f"warning: {reply}", warning=True)

    def _write(self, text: str, warning: bool = False) -> None:
        """Write a line of the log about this message."""
        message = self._item.message
        log = self._lane.log(message.tag or "pysendmail")
        self._round.write_log(log, [("qmgr", [(f"{message.qid}: {text}", warning)])], self._round.clock())


def _is_damage(failure: errors.Failure | None) -> bool:
    """Tell whether what is stored is not what was accepted; to send it later would not help."""
    return isinstance(failure, Damaged) and not isinstance(failure, Malformed)
