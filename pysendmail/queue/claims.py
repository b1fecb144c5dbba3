"""Leases on recipients of a queue file: taking them, and reporting what became of them.

An owner is a row in the database and a lock beside it (leases.py). What he has claimed bears the number of his row. When
his lease ends for any reason, his row goes, and what he had claimed is as before: a report that comes later finds
nothing that bears his number, which was never given to anybody else.
"""

from _thread import allocate_lock

from pysendmail import errors
from pysendmail.queue import finishing, leases, room, rows
from pysendmail.queue.states import ACTIVE, CODES, HELD
from pysendmail.queue.store import LeaseLost, Malformed
from pysendmail.queue.values import Item, Recipient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from sqlite3 import Connection
    from typing import Any

    from pysendmail.queue.database import Database
    from pysendmail.queue.values import Notice, Result, Select

DAMAGED_DSN = "4.3.0"
DAMAGED = "the stored message is damaged (a checksum is wrong), so it is not sent; see `pysendmail queue check`"

_GIVE_BACK = "UPDATE recipient SET state = origin, origin = 0, owner = 0 WHERE state = 4 AND owner = ?"
_HOLDS = "SELECT 1 FROM recipient WHERE state = 4 AND owner = ?"
_TAKE = "UPDATE recipient SET origin = state, state = 4, owner = ? WHERE message = ? AND number = ?"


class Claims:
    """The owners that one store has enrolled, and what they do."""

    __slots__ = ("_database", "_lock", "_owners", "_steady")

    def __init__(self, database: "Database", steady: "Callable[[], float]") -> None:
        self._database = database
        self._steady = steady
        self._lock = allocate_lock()
        self._owners: dict[str, tuple[int, leases.Lock]] = {}

    def enroll(self) -> str:
        database = self._database
        room.set_aside(database)
        lock = leases.Lock(database.path, database.uid, database.gid)

        def work(db: "Connection") -> int:
            number = _new_owner(db, lock.name)
            self._end_others(db, number)  # what a dead runner held would not be seen to wait
            return number

        try:
            number = database.write(work, durable=False, reserve=True)
        except BaseException:
            lock.drop()
            raise
        with self._lock:
            self._owners[lock.name] = (number, lock)
        return lock.name

    def _number(self, owner: str) -> int:
        try:
            return self._owners[owner][0]
        except KeyError:
            raise errors.SoftwareError("the owner of a lease is not enrolled", self._database.path) from None

    def claim(
        self,
        owner: str,
        now: float,
        lease: float,
        limit: int,
        due_only: bool,
        select: "Select | None",
        after: int,
        horizon: float,
    ) -> list[Item]:
        number = self._number(owner)
        seeker = _Seeker(now, horizon, due_only, select, after)

        def work(db: "Connection") -> list[Item]:
            self._end_others(db, number)
            self._prolong(db, number, lease)
            return _take(db, number, owner, seeker, limit)

        return self._database.write(work, durable=False, reserve=True)

    def finish(self, owner: str, results: "list[Result]", notices: "list[Notice]") -> list[tuple[int, int]]:
        number = self._number(owner)

        def work(db: "Connection", *, tidily: bool = True) -> tuple[list[tuple[int, int]], set[int]]:
            return finishing.finish(db, number, results, notices, tidily)

        if not results:
            return []
        try:
            accepted, gone = self._database.write(work, reserve=True)
        except Malformed:
            # What was delivered must be noted, or it would be delivered in each round, even if the file is so damaged
            # that nothing can be deleted from it.
            accepted, gone = self._database.write(lambda db: work(db, tidily=False), reserve=True)
        for result in results:
            result.gone = result.message in gone
        return accepted

    def extend(self, owner: str, lease: float) -> bool:
        number = self._number(owner)
        try:
            self._database.write(lambda db: self._prolong(db, number, lease), durable=False)
        except LeaseLost:
            return False
        return True

    def give_back(self, owner: str, messages: list[int]) -> int:
        number = self._number(owner)

        def work(db: "Connection") -> int:
            return sum([db.execute(_GIVE_BACK + " AND message = ?", (number, message)).rowcount for message in messages])

        return self._database.write(work, durable=False)

    def release(self, owner: str) -> int:
        with self._lock:
            number, lock = self._owners.pop(owner, (0, None))
        if lock is None:
            return 0
        try:
            return self._database.write(lambda db: _end(db, number), durable=False, reserve=True)
        finally:
            lock.drop()

    def release_all(self) -> None:
        """Give back all that was claimed through this store."""
        for owner in list(self._owners):
            self.release(owner)

    def _prolong(self, db: "Connection", number: int, lease: float) -> None:
        if not db.execute("UPDATE owner SET expires = ? WHERE id = ?", (self._steady() + lease, number)).rowcount:
            raise LeaseLost("another runner took over, because this one did not get on for too long", self._database.path)

    def _end_others(self, db: "Connection", mine: int) -> None:
        """End the leases of the dead, and those that ran out."""
        now = self._steady()
        for number, name, expires in db.execute("SELECT id, name, expires FROM owner WHERE id <> ?", (mine,)).fetchall():
            if not leases.alive(self._database.path, name):
                _end(db, number)
            elif expires <= now and db.execute(_HOLDS, (number,)).fetchone():
                _end(db, number)


def _new_owner(db: "Connection", name: str) -> int:
    return db.execute("INSERT INTO owner VALUES (NULL, ?, 0.0)", (name,)).lastrowid or 0


def _end(db: "Connection", number: int) -> int:
    """End an owner; return how many recipients he had."""
    freed = db.execute(_GIVE_BACK, (number,)).rowcount
    db.execute("DELETE FROM owner WHERE id = ?", (number,))
    return freed


class _Seeker:
    """Which recipients a claim is after, as SQL."""

    __slots__ = ("after", "condition", "due_only", "horizon", "joined", "lanes", "now")

    def __init__(self, now: float, horizon: float, due_only: bool, select: "Select | None", after: int) -> None:
        self.now = now
        self.horizon = now + horizon
        self.due_only = due_only
        self.after = after
        self.lanes = rows.lanes_meant(select) if due_only else ("", [])
        self.condition = rows.Condition(select, lanes=not due_only)
        self.joined = "" if not self.condition.text else " JOIN message m ON m.id = r.message JOIN lane l ON l.id = m.lane"

    def messages(self, db: "Connection", limit: int) -> "list[int]":
        """Return the ids of up to `limit` messages, in the order in which their turn comes."""
        found: dict[int, None] = {}
        turns = self._by_lane(db) if self.due_only else [self._by_arrival(db)]
        while turns and len(found) < limit:
            for turn in list(turns):
                row = next(turn, None)
                if row is None:
                    turns.remove(turn)
                else:
                    found[row[0]] = None
                    if len(found) >= limit:
                        break
        return list(found)

    def _by_arrival(self, db: "Connection") -> "Iterator[tuple[Any, ...]]":
        sql = f"SELECT r.message FROM recipient r{self.joined} WHERE r.message > ? AND r.state <= 3{self.condition.text}"
        return db.execute(f"{sql} ORDER BY r.message", (self.after, *self.condition.parameters))

    def _by_lane(self, db: "Connection") -> "list[Iterator[tuple[Any, ...]]]":
        """Return what is due of each open lane: what a wrong clock has put far away first, then the longest overdue."""
        sql = f"SELECT r.message FROM recipient r{self.joined} WHERE r.lane = ? AND r.state <= 3"
        turns: list[Iterator[tuple[Any, ...]]] = []
        meant, names = self.lanes
        lanes = f"SELECT id FROM lane WHERE (until <= ? OR until > ?){meant}"
        for (lane,) in db.execute(lanes, (self.now, self.horizon, *names)).fetchall():
            for comparison, time in (("> ?", self.horizon), ("<= ?", self.now)):
                parameters = (lane, time, *self.condition.parameters)
                turns.append(db.execute(f"{sql} AND r.due {comparison}{self.condition.text} ORDER BY r.due", parameters))
        return turns

    def recipients(self, db: "Connection", message: int) -> "list[tuple[Any, ...]]":
        """Return the rows of a message's recipients who are meant, each with the message's own columns before it.

        These are empty where the message itself is missing.
        """
        sql = (
            f"SELECT {rows.MESSAGE}, {rows.RECIPIENT} FROM recipient r LEFT JOIN message m ON m.id = r.message"
            " LEFT JOIN lane l ON l.id = m.lane WHERE r.message = ? AND r.state <= 3"
        )
        parameters: list[Any] = [message]
        if self.due_only:
            sql += " AND (r.due <= ? OR r.due > ?)"
            parameters += [self.now, self.horizon]
        parameters += self.condition.parameters
        return db.execute(f"{sql}{self.condition.text} ORDER BY r.number", parameters).fetchall()


def _take(db: "Connection", number: int, owner: str, seeker: _Seeker, limit: int) -> list[Item]:
    """Make up to `limit` messages this owner's, and put aside what is damaged."""
    taken: list[Item] = []
    while len(taken) < limit:
        wanted = limit - len(taken)
        ids = seeker.messages(db, wanted)
        items: list[Item] = []
        for message in ids:
            found = seeker.recipients(db, message)
            if not found:  # an index has what its table has not; we would find it for ever
                raise rows.senseless(message)
            item = _take_one(db, owner, found)
            if item is not None:
                items.append(item)
            seeker.after = message
        db.executemany(_TAKE, [(number, one.message, one.number) for item in items for one in item.recipients])
        taken += items
        if len(ids) < wanted:
            break
    return taken


def _take_one(db: "Connection", owner: str, found: "list[tuple[Any, ...]]") -> Item | None:
    row = found[0]
    sound = row[0] is not None and rows.message_is_sound(row)
    mine: list[Recipient] = []
    for columns in found:
        columns = columns[rows.WIDTH :]
        if sound and rows.recipient_is_sound(columns):
            one = rows.recipient(columns, {})
            one.origin, one.state, one.owner = one.state, ACTIVE, owner
            mine.append(one)
        else:
            _hold_damaged(db, columns)
    return Item(rows.message(row), mine) if mine else None


def _hold_damaged(db: "Connection", columns: "tuple[Any, ...]") -> None:
    db.execute(
        "UPDATE recipient SET origin = state, state = ?, reply = ?, dsn = ? WHERE message = ? AND number = ?",
        (CODES[HELD], DAMAGED, DAMAGED_DSN, *columns[:2]),
    )
