"""The lanes of a queue file: one for each account and configuration that messages came with."""

from pysendmail.queue import schema
from pysendmail.queue.sights import Lane, Outlook
from pysendmail.queue.sqlite import lane_of

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


def outlook(
    database: "Database", now: float, horizon: float, only: "tuple[str, str] | None" = None
) -> list[Outlook]:
    """See Store.outlook. The first and the last due time of each lane are the ends of an index."""
    which = " WHERE account = ? AND config = ?" if only else ""
    found = database.read(
        "SELECT account, config, until, failures,"
        " (SELECT min(due) FROM recipient WHERE lane = lane.id AND state <= 3),"
        f" (SELECT max(due) FROM recipient WHERE lane = lane.id AND state <= 3) FROM lane{which} ORDER BY id",
        tuple([schema.octets(name) for name in only or ()]),
    )
    return [
        Outlook(
            _text(account),
            _text(config),
            now if last > now + horizon else max(first, now),
            until if now < until <= now + horizon else 0.0,
            failures,
        )
        for account, config, until, failures, first, last in found
        if first is not None
    ]


def next_due(database: "Database", now: float, horizon: float) -> float | None:
    """See Store.next_due."""
    return min([lane.at for lane in outlook(database, now, horizon)], default=None)
