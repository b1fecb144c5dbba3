"""What a queue file tells of the past and of the present: the legs of journeys, and the figures of the daemon.

Legs are written with the results that they tell of (claims.py). They are kept in the order of their ids, which is nearly
that of their times, so that the oldest ones are found without a look at the others.
"""

from time import sleep

from pysendmail.queue import schema
from pysendmail.queue.states import STATES
from pysendmail.queue.values import LEG_AGE, LEGS, Gauge, Leg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

    from pysendmail.queue.database import Database

_COLUMNS = "id, qid, uid, at, recipient, state, relay, tls, dsn, reply, waiting, connecting, sending"
_BATCH = 1000
_PAUSE = 0.005  # seconds between two batches: who waits for the lock looks only now and then whether it is free


def journey(database: "Database", qid: str | None, uid: int | None, after: int, limit: int) -> list[Leg]:
    """See Store.journey."""
    conditions, parameters = "id > ?", [after]
    wanted: list[object] = []
    for column, value in (("qid", qid), ("uid", uid)):
        if value is not None:
            conditions += f" AND {column} = ?"
            wanted.append(value)
    found = database.read(
        f"SELECT {_COLUMNS} FROM journey WHERE {conditions} ORDER BY id LIMIT ?", (*parameters, *wanted, limit)
    )
    return [Leg(*row[:5], STATES[row[5] - 1], *row[6:13]) for row in found]  # type: ignore[call-arg]


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
