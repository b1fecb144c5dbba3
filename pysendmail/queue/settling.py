"""The messages of a queue file for whose answers somebody waits: finding them, and letting them be as any other one."""

from pysendmail.queue import schema
from pysendmail.queue.finishing import drop_if_done
from pysendmail.queue.sqlite import insert
from pysendmail.queue.states import CODES, DONE, FAILED, REMOVED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

    from pysendmail.queue.database import Database
    from pysendmail.queue.values import Notice

_ENDED = {CODES[state] for state in (*DONE, FAILED)}


def awaited(database: "Database") -> list[str]:
    """See Store.awaited."""
    return [qid for (qid,) in database.read(f"SELECT qid FROM message WHERE flags >= {schema.AWAITED} ORDER BY id")]


def settle(database: "Database", qid: str, failed: set[int], notices: "list[Notice]", drop: bool) -> bool:
    """See Store.settle."""

    def work(db: "Connection") -> bool:
        row = db.execute("SELECT id, flags FROM message WHERE qid = ?", (qid,)).fetchone()
        if row is None or not row[1] & schema.AWAITED:
            return True
        message = row[0]
        rows = db.execute("SELECT number, state FROM recipient WHERE message = ?", (message,)).fetchall()
        states: dict[int, int] = dict(rows)
        found = {number for number, state in states.items() if state == CODES[FAILED]}
        if found != failed or (drop and not _ENDED.issuperset(states.values())):
            return False
        db.execute(f"UPDATE message SET flags = flags - {schema.AWAITED} WHERE id = ?", (message,))
        for notice in notices:
            insert(db, notice.entry)
            notice.entered = True
        if drop:
            sql = f"UPDATE recipient SET state = {CODES[REMOVED]} WHERE message = ? AND state = {CODES[FAILED]}"
            db.execute(sql, (message,))
            drop_if_done(db, message)
        return True

    return database.write(work)


assert schema.AWAITED == 16, "an index is made for this"
