"""What a queue file tells of the past and of the present: the legs of journeys, and the figures of the daemon.

Legs are written with the results that they tell of (claims.py). They are kept in the order of their ids, which is nearly
that of their times, so that the oldest ones are found without a look at the others.
"""

from time import sleep

from pysendmail.queue import schema
from pysendmail.queue.sights import LEG_AGE, LEGS, Gauge, Leg
from pysendmail.queue.states import CODES, RESULTS, STATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

    from pysendmail.queue.database import Database

_COLUMNS = "id, qid, uid, created, sender, at, recipient, state, relay, tls, dsn, reply, waiting, connecting, sending"
_BATCH = 1000
_PAUSE = 0.005  # seconds between two batches: who waits for the lock looks only now and then whether it is free


def journey(
    database: "Database",
    qid: str | None,
    uid: int | None,
    after: int,
    limit: int,
    among: "tuple[str, ...]",
    newest: bool,
) -> list[Leg]:
    """See Store.journey."""
    conditions = "id > ?"
    parameters: list[object] = [after]
    for column, value in (("qid", qid), ("uid", uid)):
        if value is not None:
            conditions += f" AND {column} = ?"
            parameters.append(value)
    if len(among) < len(RESULTS):
        conditions += f" AND state IN ({', '.join('?' * len(among))})"
        parameters += [CODES[state] for state in among]
    order = " DESC" if newest else ""
    sql = f"SELECT {_COLUMNS} FROM journey WHERE {conditions} ORDER BY id{order} LIMIT ?"
    found = database.read(sql, (*parameters, limit))
    legs = [Leg(*row[:7], STATES[row[7] - 1], *row[8:15]) for row in found]  # type: ignore[call-arg]
    return legs[::-1] if newest else legs


def travelled(database: "Database", limit: int, uid: int | None) -> list[str]:
    """See Store.travelled."""
    condition, parameters = ("", ()) if uid is None else (" WHERE uid = ?", (uid,))
    sql = f"SELECT qid FROM journey{condition} GROUP BY qid ORDER BY max(id) DESC LIMIT ?"
    return [row[0] for row in database.read(sql, (*parameters, limit))]


def tally(database: "Database", since: float, until: float, uid: int | None) -> dict[str, int]:
    """See Store.tally."""
    condition, parameters = ("", ()) if uid is None else (" AND uid = ?", (uid,))
    sql = f"SELECT state, count(*) FROM journey WHERE at > ? AND at <= ?{condition} GROUP BY state"
    found = dict.fromkeys(RESULTS, 0)
    for state, number in database.read(sql, (since, until, *parameters)):
        found[STATES[state - 1]] = number
    return found


def trim(database: "Database", now: float) -> None:
    """Forget the oldest legs: those beyond LEGS, and those older than LEG_AGE. The last one stays, so that ids grow."""
    first, last = database.read("SELECT (SELECT min(id) FROM journey), (SELECT max(id) FROM journey)")[0]
    if first is None:
        return
    old = now - LEG_AGE

    def work(db: "Connection") -> bool:
        """Look at one batch, and tell whether there may be more to forget."""
        keys = db.execute(f"SELECT id, at FROM journey WHERE id < ? ORDER BY id LIMIT {_BATCH}", (last,)).fetchall()
        gone = [(key,) for key, at in keys if key <= last - LEGS or at < old]
        db.executemany("DELETE FROM journey WHERE id = ?", gone)
        return len(gone) == _BATCH

    oldest = database.read("SELECT at FROM journey WHERE id = ?", (first,))
    if last - first >= LEGS or (oldest and oldest[0][0] < old):
        while database.write(work, durable=False):
            sleep(_PAUSE)


def publish(database: "Database", process: str, values: "dict[str, str]", now: float) -> None:
    """See Store.publish."""

    def work(db: "Connection") -> None:
        db.execute("DELETE FROM gauge WHERE process = ?", (process,))
        rows = [(process, name, schema.text(value), now) for name, value in values.items()]
        db.executemany("INSERT INTO gauge VALUES (?, ?, ?, ?)", rows)

    database.write(work, durable=False)


def gauges(database: "Database") -> list[Gauge]:
    """See Store.gauges."""
    return [Gauge(*row) for row in database.read("SELECT process, name, value, at FROM gauge ORDER BY process, name")]
