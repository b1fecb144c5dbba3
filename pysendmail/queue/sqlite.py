"""The queue in an SQLite file: one file for all messages, on a local disk, for any number of processes of one user.

What is here is what a command needs that takes a message in. Running, seeing and steering the queue stand in modules of
their own, which are loaded when they are first used.
"""

from time import monotonic

from pysendmail import errors
from pysendmail.queue import schema
from pysendmail.queue.database import PATIENCE, Database
from pysendmail.queue.states import CODES, FIRST, HELD, QUEUED, RESULTS
from pysendmail.queue.store import Damaged, Store, Stored, StoredBody
from pysendmail.queue.values import AHEAD, HORIZON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from sqlite3 import Connection

    from pysendmail.queue.claims import Claims
    from pysendmail.queue.sights import Counts, Gauge, Lane, Leg, Outlook, Problem, Steered
    from pysendmail.queue.values import Entry, Item, Message, Notice, QueuedRecipient, Result, Select

REPLY_LIMIT = 1024


class SqliteStore(Store):
    """The queue in the file at `path` (absolute).

    `create`: make file and folder if they are missing, else raise location.Missing. `patience`: seconds to wait for
    another process that writes. `steady`: a clock that never jumps, the same for all processes; it measures leases.
    """

    def __init__(
        self,
        path: str,
        *,
        create: bool = True,
        patience: float = PATIENCE,
        steady: "Callable[[], float]" = monotonic,
    ) -> None:
        self.path = path
        self._database = Database(path, create, patience)
        self._steady = steady
        self._running: Claims | None = None

    # Taking messages in

    def add(self, entry: "Entry") -> str:
        self._database.make_room(len(entry.header) + entry.body.size)
        self._database.write(lambda db: insert(db, entry))
        return entry.qid

    def add_many(self, entries: "Iterable[Entry]") -> list[str]:
        batch = list(entries)

        def work(db: "Connection") -> None:
            for entry in batch:
                insert(db, entry)

        if batch:
            self._database.make_room(sum([len(entry.header) + entry.body.size for entry in batch]))
            self._database.write(work)
        return [entry.qid for entry in batch]

    # Running

    @property
    def _claims(self) -> "Claims":
        if self._running is None:
            from pysendmail.queue.claims import Claims

            self._running = Claims(self._database, self._steady)
        return self._running

    def enroll(self) -> str:
        return self._claims.enroll()

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
        return self._claims.claim(owner, now, lease, limit, due_only, select, after, horizon)

    def finish(
        self, owner: str, results: "Iterable[Result]", notices: "Iterable[Notice]" = ()
    ) -> "list[tuple[int, int]]":
        return self._claims.finish(owner, list(results), list(notices))

    def extend(self, owner: str, now: float, lease: float) -> bool:
        return self._claims.extend(owner, lease)

    def release(self, owner: str) -> int:
        return self._claims.release(owner)

    def give_back(self, owner: str, messages: "Iterable[int]") -> int:
        return self._claims.give_back(owner, list(messages))

    def open(self, message: "Message") -> Stored:
        first = self._chunk(message.id, 0)
        if len(first) == message.header_size + message.body_size:
            header, body = first[: message.header_size], first[message.header_size :]
        elif len(first) == message.header_size:
            header, body = first, None
        else:
            raise self._damaged(message.id, "its first part has another length than it had")
        return Stored(header, StoredBody(message, lambda number: self._chunk(message.id, number + 1), body))

    def _chunk(self, message: int, number: int) -> bytes:
        """Read one row of a message's text and verify it."""
        rows = self._database.read(
            "SELECT seal, data FROM chunk WHERE id = ?", (message << schema.CHUNK_BITS | number,)
        )
        if not rows:
            raise self._damaged(message, f"its part {number} is not there; was it removed meanwhile?")
        seal, data = rows[0]
        if not isinstance(data, bytes) or schema.chunk_seal(message, number, data) != seal:
            raise self._damaged(message, f"its part {number} was changed (its checksum is wrong)")
        return data

    def _damaged(self, message: int, text: str) -> Damaged:
        return Damaged(f"message {message} cannot be read: {text}; nothing of it was sent", self.path)

    # Seeing and steering

    def lanes(self) -> "list[Lane]":
        from pysendmail.queue import lanes

        return lanes.lanes(self._database)

    def close_lane(
        self, account: str, config: str, until: float, *, failures: int = 1, reply: str = "", dsn: str = ""
    ) -> None:
        from pysendmail.queue import lanes

        lanes.close_lane(self._database, account, config, until, failures, reply[:REPLY_LIMIT], dsn)

    def open_lane(self, account: str, config: str) -> None:
        from pysendmail.queue import lanes

        lanes.close_lane(self._database, account, config, 0.0, 0, "", "")

    def next_due(self, now: float, horizon: float = HORIZON) -> float | None:
        from pysendmail.queue import lanes

        return lanes.next_due(self._database, now, horizon)

    def outlook(
        self, now: float, horizon: float = HORIZON, only: "tuple[str, str] | None" = None
    ) -> "list[Outlook]":
        from pysendmail.queue import lanes

        return lanes.outlook(self._database, now, horizon, only)

    def expire(self, now: float, keepfailed: float) -> int:
        from pysendmail.queue import steering

        return steering.expire(self._database, now, keepfailed)

    def tidy(self, now: float) -> None:
        from pysendmail.queue import tidying

        tidying.tidy(self._database, now)

    # Answers that somebody waits for

    def awaited(self) -> list[str]:
        from pysendmail.queue import settling

        return settling.awaited(self._database)

    def settle(self, qid: str, failed: "Iterable[int]", notices: "Iterable[Notice]" = (), *, drop: bool = False) -> bool:
        from pysendmail.queue import settling

        return settling.settle(self._database, qid, set(failed), list(notices), drop)

    def listing(self, select: "Select | None" = None, after: int = 0) -> "Iterator[Item]":
        from pysendmail.queue import rows

        return rows.listing(self._database, select, after)

    def get(self, qid: str) -> "Item | None":
        from pysendmail.queue import rows

        return rows.get(self._database, qid)

    def waiting_of(self, uid: int) -> int:
        from pysendmail.queue import rows

        return rows.waiting_of(self._database, uid)

    def counts(self, uid: int | None = None) -> "Counts":
        from pysendmail.queue import rows

        return rows.counts(self._database, uid)

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
        from pysendmail.queue import journeys

        return journeys.journey(self._database, qid, uid, after, limit, among, newest)

    def travelled(self, limit: int, uid: int | None = None) -> list[str]:
        from pysendmail.queue import journeys

        return journeys.travelled(self._database, limit, uid)

    def tally(self, since: float, until: float, uid: int | None = None) -> dict[str, int]:
        from pysendmail.queue import journeys

        return journeys.tally(self._database, since, until, uid)

    def publish(self, process: str, values: "dict[str, str]", now: float) -> None:
        from pysendmail.queue import journeys

        journeys.publish(self._database, process, values, now)

    def gauges(self) -> "list[Gauge]":
        from pysendmail.queue import journeys

        return journeys.gauges(self._database)

    def hold(self, select: "Select") -> "Steered":
        from pysendmail.queue import steering

        return steering.hold(self._database, select)

    def unhold(self, select: "Select") -> "Steered":
        from pysendmail.queue import steering

        return steering.unhold(self._database, select)

    def retry(self, select: "Select", now: float) -> "Steered":
        from pysendmail.queue import steering

        return steering.retry(self._database, select, now)

    def untried(self, select: "Select", since: float, now: float) -> bool:
        from pysendmail.queue import rows

        return rows.untried(self._database, select, since, now)

    def remove(self, select: "Select", now: float) -> "Steered":
        from pysendmail.queue import steering

        return steering.remove(self._database, select, now)

    def check(self) -> "Iterator[Problem]":
        from pysendmail.queue import integrity

        return integrity.check(self._database)

    def close(self) -> None:
        try:
            if self._running is not None:
                self._running.release_all()
        except errors.Failure:
            pass  # what could not be given back falls to the next runner, who sees that nobody holds the lock
        finally:
            self._database.close()


def insert(db: "Connection", entry: "Entry") -> None:
    """Write a message into an open transaction."""
    sealed = seal_message(
        entry.qid,
        entry.uid,
        entry.sender,
        schema.octets(entry.account),
        schema.octets(entry.config),
        len(entry.header),
        entry.body.size,
        flags(entry) & ~schema.AWAITED,
        entry.ret,
        entry.envid,
    )
    lane = lane_of(db, entry.account, entry.config)
    message = db.execute(
        "INSERT INTO message VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.qid,
            entry.uid,
            entry.sender,
            lane,
            entry.created,
            len(entry.header),
            entry.body.size,
            flags(entry),
            entry.ret,
            entry.envid,
            schema.text(entry.tag),
            sealed,
        ),
    ).lastrowid
    assert message is not None
    left = len(entry.header) + entry.body.size
    for number, data in enumerate(_rows_of(entry)):
        row = (message << schema.CHUNK_BITS | number, schema.chunk_seal(message, number, data), data)
        db.execute("INSERT INTO chunk VALUES (?, ?, ?)", row)
        left -= len(data)
    if left or not entry.recipients:
        raise errors.SoftwareError("a message for the queue has no recipient, or another length than it says")
    db.executemany(
        "INSERT INTO recipient VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, 0, ?, ?, ?, 0, ?)",
        [
            _recipient_row(message, lane, number, recipient, first_due(entry))
            for number, recipient in enumerate(entry.recipients)
        ],
    )


def flags(entry: "Entry") -> int:
    """Return what is known of a message as bits."""
    body = entry.body
    known = (body.eight_bit, body.nul, body.long_line, entry.bounce, entry.awaited)
    return sum(1 << bit for bit, is_so in enumerate(known) if is_so)


def first_due(entry: "Entry") -> float:
    """Return when those recipients are due who have no time of their own."""
    return entry.created - AHEAD if entry.awaited else entry.created


def seal_message(*parts: "str | bytes | int | None") -> int:
    """Return the checksum over a message's row, from its queue id to its envelope id."""
    return schema.seal(*[p.encode("ascii", "replace") if isinstance(p, str) else p for p in parts])


def lane_of(db: "Connection", account: str, config: str) -> int:
    """Return the number of the lane of an account and a configuration, which is made if it is new."""
    key = (schema.octets(account), schema.octets(config))
    found = db.execute("SELECT id FROM lane WHERE account = ? AND config = ?", key).fetchone()
    if found:
        return int(found[0])
    return int(db.execute("INSERT INTO lane VALUES (NULL, ?, ?, 0.0, 0, '', '')", key).lastrowid or 0)


def _rows_of(entry: "Entry") -> "Iterator[bytes]":
    """Yield a message's text as the rows that hold it."""
    body = entry.body
    if len(entry.header) + body.size <= schema.CHUNK:
        yield entry.header + b"".join(body.chunks())
        return
    yield entry.header
    yield from body.chunks(schema.CHUNK)


def _recipient_row(message: int, lane: int, number: int, new: "QueuedRecipient", due: float) -> "tuple[object, ...]":
    """Return the row of a new recipient. Raises SoftwareError for a state in which nobody enters a queue."""
    if new.state not in FIRST:
        raise errors.SoftwareError(f"no recipient enters the queue as {new.state}")
    sealed = schema.seal(message, number, new.address, new.orcpt, new.notify)
    origin = CODES[QUEUED] if new.state == HELD else 0
    due = due if new.due is None else new.due
    return (
        message, number, new.address, new.orcpt, new.notify, sealed, lane, CODES[new.state], origin, due, new.attempts,
        new.tried, new.tried, schema.text(new.reply[:REPLY_LIMIT]), schema.text(new.dsn), schema.text(new.relay), new.code,
    )  # fmt: skip
