"""One attempt on one message, over a connection that stands.

The outcome of each transaction is settled before the next one begins. Whatever goes wrong with this message stays with
this message: only trouble with the connection, or with the queue itself, concerns others.
"""

from time import monotonic

from pysendmail import errors
from pysendmail.delivery.deliver import begin, envelope_line, make_mail, send_all
from pysendmail.delivery.parcel import Parcel
from pysendmail.message.body import Body
from pysendmail.queue import states
from pysendmail.queue.ledger import Page
from pysendmail.queue.settle import Settlement, settle
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
    from pysendmail.smtp.outcome import Mail, Outcome
    from pysendmail.smtp.transaction import Transaction

_SMALL = 16384  # octets of a message that may leave without a wait for anything; `begin` looks more closely


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
        self._parcel: Parcel | None = None
        self._mail: Mail | None = None
        self._begun: Transaction | None = None
        self._failure: errors.Failure | None = None
        self._dsn_offered = False
        self._keep: Callable[[Settlement], None] = self._settle_now

    def begin(self) -> bool:
        """Send a small message without waiting for the answer; tell whether that was done. `run` has to follow."""
        try:
            if self._item.message.size <= _SMALL:
                self._begun = begin(self._session, self._prepare())
        except errors.Failure as failure:
            self._failure = failure
        return self._begun is not None

    @property
    def is_over(self) -> bool:
        """Whether what was begun has an outcome for everybody, and no other server or connection is to be asked."""
        begun, session = self._begun, self._session
        if self._failure is not None:
            return True
        if begun is None or len(begun.outcomes) < len(begun.recipients):
            return False
        if session.client is None or session.client.closing:
            return False
        return not begun.put_off or session.route.failover is None

    def spoil(self, failure: errors.Failure) -> None:
        """Let this be the outcome of what was begun."""
        self._failure = failure

    def run(self, keep: "Callable[[Settlement], None] | None" = None) -> None:
        """Make the attempt, or go on with it, and settle its outcomes. Raises Unrecorded and Unopened.

        With `keep` that is told what is to be settled, and has to see to it.
        """
        self._keep = keep or self._settle_now
        try:
            mail = self._prepare()
            parcel = self._parcel
            assert parcel is not None
            send_all(self._session, parcel, mail, self._settle, self._reopen, self._served, self._begun)
        except errors.Failure as failure:
            if self._body is None and _is_damage(failure):
                self._hold(failure)
            else:
                self.fail(failure)

    def _prepare(self) -> "Mail":
        """Read the message and give it the form that the server can take. Raises a Failure."""
        if self._failure is not None:
            raise self._failure
        if self._mail is not None:
            return self._mail
        message = self._item.message
        stored = self._round.store.open(message)
        self._body = _Watched(stored.body)
        self._parcel = parcel = self._make_parcel(stored.header, self._body)
        line = envelope_line(message.qid, parcel.reverse_path, message.size, len(self._item.recipients))
        self._write(line.partition(": ")[2])
        client = self._session.client
        if client is None:
            raise errors.SoftwareError("a message was begun without a connection")
        self._dsn_offered = b"DSN" in client.extensions
        self._mail = mail = make_mail(parcel, client)
        return mail

    def _settle_now(self, settlement: Settlement) -> None:
        settle(self._round, self._lane, [settlement])

    def fail(self, failure: errors.Failure) -> None:
        """Let those who have no outcome yet have that of a failure of this message."""
        if self._body is not None and _is_damage(self._body.failure):
            self._hold(failure)
        elif self._waiting:
            self._settle_outcomes([from_failure(address, failure, "the message") for address in self._waiting])

    def _make_parcel(self, header: bytes, body: Body) -> Parcel:
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
        delays = (age, 0.0, self._setup, passed)
        self._keep(Settlement(self._round, self._lane, self._item.message, pairs, at, delays))

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
            self._round.enter([Page(results, [])])
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
