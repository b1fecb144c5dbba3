"""The lanes of a queue file: one for each account and configuration that messages came with."""

from pysendmail.queue import schema
from pysendmail.queue.sqlite import lane_of
from pysendmail.queue.values import Lane

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

    from pysendmail.queue.database import Database


def lanes(database: "Database") -> list[Lane]:
    """See Store.lanes."""
    found = database.read(
        "SELECT account, config, until, failures, reply, dsn,"
        " (SELECT count(*) FROM recipient WHERE lane = lane.id AND state <= 3) AS waiting FROM lane"
        " WHERE until > 0 OR waiting ORDER BY id"
    )
    return [Lane(_text(row[0]), _text(row[1]), *row[2:]) for row in found]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def close_lane(
    database: "Database", account: str, config: str, until: float, failures: int, reply: str, dsn: str
) -> None:
    """See Store.close_lane."""

    def work(db: "Connection") -> None:
        number = lane_of(db, account, config)
        db.execute(
            "UPDATE lane SET until = ?, failures = ?, reply = ?, dsn = ? WHERE id = ?",
            (until, failures, schema.text(reply), schema.text(dsn), number),
        )

    database.write(work, durable=False)


def next_due(database: "Database", now: float, horizon: float) -> float | None:
    """See Store.next_due."""
    earliest: float | None = None
    for lane, until in database.read("SELECT id, until FROM lane"):
        first, last = database.read(
            "SELECT (SELECT min(due) FROM recipient WHERE lane = ?1 AND state <= 3),"
            " (SELECT max(due) FROM recipient WHERE lane = ?1 AND state <= 3)",
            (lane,),
        )[0]
        if first is None:
            continue
        due = now if last > now + horizon else max(first, now)
        if now < until <= now + horizon:
            due = max(due, until)
        earliest = due if earliest is None else min(earliest, due)
    return earliest
