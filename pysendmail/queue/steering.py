"""Change many recipients of a queue file by command, a thousand messages at a time, so that nobody waits for long."""

from time import sleep

from pysendmail.queue import rows
from pysendmail.queue.finishing import drop_if_done
from pysendmail.queue.sights import Steered
from pysendmail.queue.states import ACTIVE, CODES, FAILED, HELD, WAITING, sources
from pysendmail.queue.values import Select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection

    from pysendmail.queue.database import Database

    Keys = list[tuple[int, int, int]]  # message, number, code of the state

PAUSE = 0.005
"""Seconds between two batches: who waits for the lock looks only now and then whether it is free."""

_BATCH = 1000


def hold(database: "Database", select: Select) -> Steered:
    """See Store.hold."""
    sql = f"UPDATE recipient SET origin = state, state = {CODES[HELD]} WHERE message = ? AND number = ?"
    return _steer(database, select, sources("hold"), lambda db, keys: _update(db, sql, keys))


def unhold(database: "Database", select: Select) -> Steered:
    """See Store.unhold."""
    sql = "UPDATE recipient SET state = origin, origin = 0 WHERE message = ? AND number = ?"
    return _steer(database, select, sources("unhold"), lambda db, keys: _update(db, sql, keys))


def retry(database: "Database", select: Select, now: float) -> Steered:
    """See Store.retry."""
    again = (
        f"UPDATE recipient SET state = 1, attempts = 0, warned = 0, done = 0.0, due = {now!r}"
        " WHERE message = ? AND number = ?"
    )
    at_once = f"UPDATE recipient SET due = {now!r} WHERE message = ? AND number = ?"
    open_lane = "UPDATE lane SET until = 0.0 WHERE until > 0 AND id = (SELECT lane FROM message WHERE id = ?)"

    def work(db: "Connection", keys: "Keys") -> None:
        _update(db, again, [key for key in keys if key[2] == CODES[FAILED]])
        _update(db, at_once, [key for key in keys if key[2] != CODES[FAILED]])
        db.executemany(open_lane, [(message,) for message in {key[0] for key in keys}])

    return _steer(database, select, (*WAITING, *sources("retry")), work)


def remove(database: "Database", select: Select, now: float) -> Steered:
    """See Store.remove."""
    return _steer(database, select, sources("remove"), lambda db, keys: _remove(db, keys, now))


def expire(database: "Database", now: float, keepfailed: float) -> int:
    """See Store.expire. A time of failure in the future came from a wrong clock, and is taken for now."""

    def work(db: "Connection") -> int:
        db.execute("UPDATE recipient SET done = ? WHERE state = 6 AND done > ?", (now, now))
        keys = db.execute(
            f"SELECT message, number, state FROM recipient WHERE state = 6 AND done <= ? LIMIT {_BATCH}", (now - keepfailed,)
        ).fetchall()
        _remove(db, keys, now)
        return len(keys)

    total = 0
    while True:
        number = database.write(work)
        total += number
        if number < _BATCH:
            return total
        sleep(PAUSE)


def _remove(db: "Connection", keys: "Keys", now: float) -> None:
    sql = f"UPDATE recipient SET state = 8, origin = 0, done = {now!r} WHERE message = ? AND number = ?"
    _update(db, sql, keys)
    for message in {key[0] for key in keys}:
        drop_if_done(db, message)


def _update(db: "Connection", sql: str, keys: "Keys") -> None:
    db.executemany(sql, [key[:2] for key in keys])


def _steer(
    database: "Database", select: Select, states: tuple[str, ...], work: "Callable[[Connection, Keys], None]"
) -> Steered:
    """Do `work` to those of the recipients meant that are in one of `states`."""
    condition = rows.Condition(select)
    codes = {CODES[state] for state in states}
    wanted = ", ".join([str(code) for code in sorted({*codes, CODES[ACTIVE]})])
    sql = (
        f"SELECT r.message, r.number, r.state FROM {rows.SOURCE} WHERE r.message > ? AND r.state IN ({wanted})"
        f"{condition.text} ORDER BY r.message"
    )
    place = 0
    steered = Steered(0, 0)

    def batch(db: "Connection") -> "tuple[Keys, int, bool]":
        keys: Keys = []
        messages = 0
        last = place
        for key in db.execute(sql, (place, *condition.parameters)):
            if key[0] != last:
                messages += 1
                if messages > _BATCH:
                    break
                last = key[0]
            keys.append(key)
        work(db, [key for key in keys if key[2] in codes])
        return keys, last, messages > _BATCH

    while True:
        keys, place, more = database.write(batch)
        changed = len([key for key in keys if key[2] in codes])
        steered.changed += changed
        steered.busy += len(keys) - changed
        if not more:
            return steered
        sleep(PAUSE)
