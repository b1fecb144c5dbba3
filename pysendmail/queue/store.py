"""What every queue can do: the interface of the stores.

A store keeps messages and, for each, its recipients; states.py holds the states of a recipient and the ways between
them. What is promised of every store:

* What `add` or `finish` has returned from is on disk. Whatever was raised, nothing of it is there (see `add` for the
  one case in which that cannot be known). Nothing is ever half there.
* A runner works under a lease. `enroll` gives it a name of its own, `claim` makes recipients active in that name, and
  only that name can report what became of them: `finish` refuses everybody else. A lease ends when its owner gives it
  back, when he dies (a store on one machine sees that at once, by a lock), or when it runs out, which is measured by a
  clock that nobody can set. Then the recipients are as they were before the claim, for anybody to claim.
* No transaction is open between two calls, nor while somebody reads a message or a list.
* All calls may come from any thread. After a fork the child opens a store of its own.

Times are seconds since the epoch and come from the caller. They may be wrong: what seems due in more than HORIZON
seconds counts as due.

Every call may raise TempFail (a full disk, a lock held for too long, a damaged file) or ConfigError, with one line that
says what to do.
"""

from pysendmail import errors
from pysendmail.message.body import Body
from pysendmail.queue.states import RESULTS
from pysendmail.queue.values import HORIZON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pysendmail.queue.sights import Counts, Gauge, Lane, Leg, Outlook, Problem, Steered
    from pysendmail.queue.values import Entry, Item, Message, Notice, Result, Select


class Damaged(errors.TempFail):
    """What is stored is not what was written: a checksum is wrong, or a part is missing. It must not be sent."""

    status = "4.3.0"


class Malformed(Damaged):
    """The file makes no sense where it was read. A disk that cannot be read now can look like that, so nobody is held."""


class LeaseLost(errors.TempFail):
    """The lease ran out, and somebody took over what it held; its owner gets nothing more, and has to enroll anew."""

    status = "4.3.0"


class StoredBody(Body):
    """A body in a queue: read piece by piece, each verified by its checksum before any octet of it is given out.

    `read(number)` returns the piece of that number, from 0, or raises Damaged.
    """

    __slots__ = ("_read", "_start")

    def __init__(self, message: "Message", read: "Callable[[int], bytes]", first: bytes | None) -> None:
        self.size = message.body_size
        self.eight_bit = message.eight_bit
        self.nul = message.nul
        self.long_line = message.long_line
        self._data = first or b""
        self._spool = None
        self._read = read
        self._start = 0 if first is None else 1

    def chunks(self, size: int = 1 << 18) -> "Iterator[bytes]":
        """Yield the body from its beginning in chunks of at most `size` octets. Raises Damaged or TempFail.

        Each call reads anew, and nothing stays locked or open between two chunks.
        """
        left = self.size
        number = 0
        while left:
            piece = self._data if number == 0 and self._start else self._read(number)
            number += 1
            left -= len(piece)
            if not piece or left < 0:
                raise Damaged("the stored message has another length than it had")
            if len(piece) <= size:
                yield piece
                continue
            for start in range(0, len(piece), size):
                yield piece[start : start + size]


class Stored:
    """The text of a message: `header` as in Entry (CRLF line ends, no blank line), `body` as a Body."""

    __slots__ = ("body", "header")

    def __init__(self, header: bytes, body: Body) -> None:
        self.header = header
        self.body = body


class Store:
    """A queue. See the top of this module for what every method promises."""

    # Taking messages in

    def add(self, entry: "Entry") -> str:
        """Commit one message, durably, and return its queue id.

        If the disk fails while the commit is being made final, whether it will be there after a crash cannot be known
        at once; the store then makes sure that it is not, and raises. Only if that fails too may a message be in the
        queue although its caller was told otherwise: a duplicate, never a loss.
        """
        raise NotImplementedError

    def add_many(self, entries: "Iterable[Entry]") -> list[str]:
        """Commit several messages at once, all or none, and return their queue ids in order."""
        raise NotImplementedError

    # Running the queue

    def enroll(self) -> str:
        """Return the name of a new owner of leases, alive until `release`, `close`, or the end of this process."""
        raise NotImplementedError

    def claim(
        self,
        owner: str,
        now: float,
        lease: float,
        limit: int,
        *,
        due_only: bool = True,
        select: "Select | None" = None,
        after: int = 0,
        horizon: float = HORIZON,
    ) -> "list[Item]":
        """Take up to `limit` messages with all their recipients that can be tried, under a lease of `lease` seconds.

        With `due_only` these are the waiting recipients whose due time has come, the longest overdue first, of lanes
        that are not closed, a fair share of each lane. Without it they are all waiting ones, in the order of arrival,
        of messages whose id is greater than `after`: a round passes the id of the last message it got, and so sees
        each message once. Leases of owners who died or whose time ran out end first.

        The lease of everything that this owner holds is set to end `lease` seconds from now. A message or recipient
        whose stored envelope is damaged is not returned, but held, with a reply that says so. An empty list means that
        there is nothing left. Raises LeaseLost for an owner whose lease another one has ended, SoftwareError for one
        who is not enrolled.
        """
        raise NotImplementedError

    def open(self, message: "Message") -> Stored:
        """Return the text of a message. Raises Damaged, or TempFail if the message is gone."""
        raise NotImplementedError

    def finish(
        self, owner: str, results: "Iterable[Result]", notices: "Iterable[Notice]" = ()
    ) -> "list[tuple[int, int]]":
        """Commit, durably, what became of claimed recipients; return (message, number) of those accepted.

        A result is accepted only while `owner` holds the lease. Reports enter the queue in the same commit, and each
        accepted result is noted as a leg of its message's journey. A message whose recipients are all sent or removed
        is deleted.
        """
        raise NotImplementedError

    def extend(self, owner: str, now: float, lease: float) -> bool:
        """Let the lease of all that `owner` holds end `lease` seconds from now; tell whether he still has one."""
        raise NotImplementedError

    def release(self, owner: str) -> int:
        """Give back all that `owner` holds, as it was before, and end him; return the number of recipients."""
        raise NotImplementedError

    def give_back(self, owner: str, messages: "Iterable[int]") -> int:
        """Give back what `owner` holds of these messages (their ids), as it was before; return the number of recipients."""
        raise NotImplementedError

    def lanes(self) -> "list[Lane]":
        """Return the lanes that have recipients who wait, or that are closed."""
        raise NotImplementedError

    def close_lane(
        self, account: str, config: str, until: float, *, failures: int = 1, reply: str = "", dsn: str = ""
    ) -> None:
        """Let nothing of this account and configuration be claimed as due before `until`; `reply` says why."""
        raise NotImplementedError

    def open_lane(self, account: str, config: str) -> None:
        """Let the recipients of this account and configuration be claimed again."""
        raise NotImplementedError

    def next_due(self, now: float, horizon: float = HORIZON) -> float | None:
        """Return when the next recipient will be due, closed lanes considered; None if nobody waits.

        Never less than `now` and never more than `now + horizon`.
        """
        raise NotImplementedError

    def outlook(
        self, now: float, horizon: float = HORIZON, only: "tuple[str, str] | None" = None
    ) -> "list[Outlook]":
        """Return the lanes that have recipients who wait, each with when the first of them will be due.

        `only` asks for one lane, by account and configuration. What it costs grows with the number of lanes only.
        """
        raise NotImplementedError

    def expire(self, now: float, keepfailed: float) -> int:
        """Remove failed recipients that were kept for `keepfailed` seconds; return their number."""
        raise NotImplementedError

    def tidy(self, now: float) -> None:
        """Forget old legs of journeys, and give disk space back, if much of it lies idle; for a runner with nothing else
        to do.
        """
        raise NotImplementedError

    # Answers that somebody waits for (awaited.py)

    def awaited(self) -> list[str]:
        """Return the queue ids of the messages for whose answers somebody waits, in the order of arrival."""
        raise NotImplementedError

    def settle(self, qid: str, failed: "Iterable[int]", notices: "Iterable[Notice]" = (), *, drop: bool = False) -> bool:
        """Let nobody wait for this message's answers any more, in one durable commit with the reports on its failures.

        `failed` are the numbers of the recipients who have failed, as the caller knows them. With `drop` they are taken
        out of the queue, since somebody was told. Returns False, and changes nothing, if others have failed as well, or
        with `drop` if a recipient is left who may still be sent to: then the caller has to look again. A message for
        which nobody waits, or that is gone, stays as it is.
        """
        raise NotImplementedError

    # Seeing and steering

    def listing(self, select: "Select | None" = None, after: int = 0) -> "Iterator[Item]":
        """Yield the messages with the recipients meant, in the order of arrival, those with an id above `after`.

        Without `states` in the selection, all that are neither sent nor removed. Memory stays bounded, and a reader who
        stops in the middle holds up nobody. What a closed lane says stands as the reply of recipients without one.
        """
        raise NotImplementedError

    def get(self, qid: str) -> "Item | None":
        """Return a message with all its recipients, whatever their state, or None."""
        raise NotImplementedError

    def waiting_of(self, uid: int) -> int:
        """Count the messages of a uid that wait, are held or are being delivered."""
        raise NotImplementedError

    def counts(self, uid: int | None = None) -> "Counts":
        """Count what is in the queue, or what one user has there.

        Sent and removed recipients of messages that are still there are included.
        """
        raise NotImplementedError

    def journey(
        self,
        qid: str | None = None,
        uid: int | None = None,
        after: int = 0,
        limit: int = 1000,
        *,
        among: tuple[str, ...] = RESULTS,
        newest: bool = False,
    ) -> "list[Leg]":
        """Return up to `limit` legs of journeys with an id above `after`, the oldest first: of one message, of one user.

        Only those that ended in a state `among` these; with `newest` the last ones there are. The newest 20,000 of the
        last 30 days are kept, those of messages that are gone as well.
        """
        raise NotImplementedError

    def travelled(self, limit: int, uid: int | None = None) -> list[str]:
        """Return the queue ids of the messages whose legs are the newest, the last one first."""
        raise NotImplementedError

    def tally(self, since: float, until: float, uid: int | None = None) -> dict[str, int]:
        """Count the legs that ended after `since` and not after `until`, by their state."""
        raise NotImplementedError

    def publish(self, process: str, values: "dict[str, str]", now: float) -> None:
        """Show figures of a process of the daemon, in place of those it showed before. A crash may lose them."""
        raise NotImplementedError

    def gauges(self) -> "list[Gauge]":
        """Return all figures that processes have shown of themselves, dead ones included."""
        raise NotImplementedError

    def hold(self, select: "Select") -> "Steered":
        """Keep the recipients meant from being claimed, until `unhold`."""
        raise NotImplementedError

    def unhold(self, select: "Select") -> "Steered":
        """Let held recipients be as they were before."""
        raise NotImplementedError

    def retry(self, select: "Select", now: float) -> "Steered":
        """Make waiting recipients due now and open their lanes; let failed ones start again from their first attempt."""
        raise NotImplementedError

    def untried(self, select: "Select", since: float, now: float) -> bool:
        """Tell whether one of the recipients meant still has an attempt before him that could have begun at `since`.

        That is who came before then, waits or is active, and was not tried since, while his lane is open.
        """
        raise NotImplementedError

    def remove(self, select: "Select", now: float) -> "Steered":
        """Take the recipients meant out of the queue, and messages that have none left."""
        raise NotImplementedError

    def check(self) -> "Iterator[Problem]":
        """Look for damage, thoroughly, and change nothing: one problem after the other."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back every lease of this store and close it. Closing twice does no harm.

        A process that ends by os._exit directly after `add` does better not to: it saves the work that the last user of
        a store does when it closes it.
        """
        raise NotImplementedError
