"""Writing down what became of claimed recipients of a queue file, within the transaction of who has the lease.

Each result is noted as a leg of its message's journey and then in the recipient's row. Where it is the last one that a
message waited for, and all were sent, the rows need no more changes: they are deleted with the message.
"""

from pysendmail import errors
from pysendmail.queue import schema
from pysendmail.queue.sqlite import REPLY_LIMIT, insert
from pysendmail.queue.states import CODES, FAILED, HELD, REMOVED, RESULTS, SENT, UNCERTAIN, WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

    from pysendmail.queue.values import Notice, Result

    Key = tuple[int, int]

_REPORT = (
    "UPDATE recipient SET state = ?, origin = ?, due = ?, warned = warned OR ?, attempts = attempts + ?,"
    " first_tried = CASE WHEN first_tried = 0 THEN ifnull(?, 0.0) ELSE first_tried END,"
    " last_tried = ifnull(?, last_tried), done = ?, reply = ?, dsn = ?, relay = ?, code = ?, owner = 0"
    " WHERE message = ? AND number = ? AND state = 4 AND owner = ?"
)
_NOTE = (
    "INSERT INTO journey SELECT NULL, m.qid, m.uid, m.created, m.sender, ?, r.address, ?, ?, ?, ?, ?, ?, ?, ?"
    " FROM recipient r JOIN message m ON m.id = r.message"
    " WHERE r.message = ? AND r.number = ? AND r.state = 4 AND r.owner = ?"
)
_IS_AWAITED = f"SELECT 1 FROM message WHERE id = ? AND flags & {schema.AWAITED}"
_LEFT = "SELECT number, state = 4 AND owner = ? FROM recipient WHERE message = ? AND state < 7"


def finish(
    db: "Connection", owner: int, results: "list[Result]", notices: "list[Notice]", tidily: bool
) -> "tuple[list[Key], set[int]]":
    """See Store.finish; `owner` is his number. Return also the messages that are gone, none unless `tidily`."""
    ends = _by_message(results) if tidily else {}
    sent_off = {message for message, ones in ends.items() if _are_the_last(db, owner, message, ones)}
    accepted = [
        (result.message, result.number)
        for result in results
        if _report(db, owner, result, last=result.message in sent_off)
    ]
    for notice in notices:
        notice.entered = set(notice.about) <= set(accepted) and not _is_told_otherwise(db, notice)
        if notice.entered:
            insert(db, notice.entry)
    for message in sent_off:
        _drop(db, message)
    others = {message for message, _ in accepted} - sent_off if tidily else ()
    return accepted, sent_off.union([message for message in others if drop_if_done(db, message)])


def _by_message(results: "list[Result]") -> "dict[int, list[Result]]":
    found: dict[int, list[Result]] = {}
    for result in results:
        found.setdefault(result.message, []).append(result)
    return found


def _are_the_last(db: "Connection", owner: int, message: int, results: "list[Result]") -> bool:
    """Tell whether these results are those of everybody who is left of a message, and all were sent."""
    if any([result.state != SENT for result in results]):
        return False
    left = db.execute(_LEFT, (owner, message)).fetchall()
    return sorted(left) == [(number, 1) for number in sorted([result.number for result in results])]


def _report(db: "Connection", owner: int, result: "Result", last: bool) -> bool:
    """Write one result, only into the journey if it is of the `last` ones; tell whether it was accepted."""
    if result.state not in RESULTS:
        raise errors.SoftwareError(f"no attempt ends as {result.state}")
    state, who = CODES[result.state], (result.message, result.number, owner)
    reply, dsn, relay = schema.text(result.reply[:REPLY_LIMIT]), schema.text(result.dsn), schema.text(result.relay)
    noted = db.execute(_NOTE, (result.tried, state, relay, schema.text(result.tls), dsn, reply, *result.times, *who))
    if last and noted.rowcount == 1:
        return True
    origin = 0
    if result.state == HELD:
        origin = CODES[result.origin] if result.origin in WAITING else _origin(db, result)
    ended = result.tried if result.state in (SENT, FAILED) else 0.0
    tried = result.tried if result.attempted else None
    changed = db.execute(
        _REPORT,
        (
            state, origin, result.due, result.warned, result.attempted, tried, tried, ended, reply, dsn, relay,
            result.code, *who,
        ),
    )  # fmt: skip
    return changed.rowcount == 1


def _is_told_otherwise(db: "Connection", notice: "Notice") -> bool:
    """Tell whether the report is of a failure of which somebody is told who waits for the answer."""
    return notice.failure and db.execute(_IS_AWAITED, notice.about[0][:1]).fetchone() is not None


def _origin(db: "Connection", result: "Result") -> int:
    sql = "SELECT origin FROM recipient WHERE message = ? AND number = ?"
    found = db.execute(sql, (result.message, result.number)).fetchone()
    return int(found[0]) if found else CODES[UNCERTAIN]


def drop_if_done(db: "Connection", message: int) -> bool:
    """Delete a message whose recipients are all sent or removed; tell whether that is so."""
    if db.execute("SELECT 1 FROM recipient WHERE message = ? AND state < 7 LIMIT 1", (message,)).fetchone():
        return False
    _drop(db, message)
    return True


def _drop(db: "Connection", message: int) -> None:
    db.execute("DELETE FROM recipient WHERE message = ?", (message,))
    db.execute("DELETE FROM message WHERE id = ?", (message,))
    first = message << schema.CHUNK_BITS
    db.execute("DELETE FROM chunk WHERE id BETWEEN ? AND ?", (first, first + (1 << schema.CHUNK_BITS) - 1))


assert CODES[SENT] == 7 and CODES[REMOVED] == 8, "who is sent or removed is known by a state of 7 or more"
