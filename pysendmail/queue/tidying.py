"""Give back what a queue file does not need any more. Each step is short, and another writer may come in between."""

import os
from time import sleep, time

from pysendmail.queue import journeys, leases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

    from pysendmail.queue.database import Database

_IDLE = 4096  # free pages (16 MiB) that may stay for what comes next
_STEP = 512
_PAUSE = 0.01  # seconds between two steps: who waits for the lock looks only now and then whether it is free
_OLD = 3600.0


def tidy(database: "Database", now: float) -> None:
    """See Store.tidy."""
    journeys.trim(database, now)
    if database.read("SELECT 1 FROM lane WHERE NOT EXISTS (SELECT 1 FROM message WHERE lane = lane.id) LIMIT 1"):
        database.write(_drop_lanes, durable=False)
    while _free(database) > _IDLE:
        database.write(_shrink, durable=False)
        sleep(_PAUSE)
    _clear_away(database)


def _drop_lanes(db: "Connection") -> None:
    db.execute("DELETE FROM lane WHERE until = 0 AND NOT EXISTS (SELECT 1 FROM message WHERE lane = lane.id)")


def _free(database: "Database") -> int:
    return int(database.read("PRAGMA freelist_count")[0][0])


def _shrink(db: "Connection") -> None:
    for _ in range(_STEP):  # Python's module lets a command without columns go one step only, which is one page
        db.execute("PRAGMA incremental_vacuum(1)")


def _clear_away(database: "Database") -> None:
    """Remove the locks of dead owners whom the database does not know any more."""
    known = {name for (name,) in database.read("SELECT name FROM owner")}
    for name in leases.left_over(database.path):
        try:
            status = os.lstat(leases.file(database.path, name))
        except OSError:
            continue
        # One that was just made may belong to a runner who is about to enroll.
        if name not in known and abs(time() - status.st_mtime) > _OLD:
            leases.alive(database.path, name)
