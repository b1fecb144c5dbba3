"""Look through a queue file for damage: its structure, its checksums, and whether everything belongs to something.

Nothing is changed. Each part is looked at even if another one cannot be read.
"""


import os
import stat

from pysendmail import errors
from pysendmail.queue import leases, rows, schema
from pysendmail.queue.engine import sqlite
from pysendmail.queue.sights import Problem
from pysendmail.queue.states import ACTIVE, CODES, HELD, STATES, WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pysendmail.queue.database import Database

_PAGE = 200
_MOST = 100  # lines that SQLite's own check may give
_MASK = (1 << schema.CHUNK_BITS) - 1
_RESTORE = "stop all that use the queue, keep a copy of the folder, and put back a backup, or try sqlite3's .recover"
_REMOVE = "it is held or fails when its turn comes; `pysendmail queue show` tells what can be read, `remove` takes it out"
_ORPHAN = "it does no harm, and no message is lost by it"


def check(database: "Database") -> "Iterator[Problem]":
    """See Store.check."""
    for part in (_structure, _schema, _messages, _recipients, _orphans, _files):
        try:
            yield from part(database)
        except errors.Failure as failure:
            yield Problem(database.path, failure.text, _RESTORE)


def _structure(database: "Database") -> "Iterator[Problem]":
    for (line,) in database.read(f"PRAGMA integrity_check({_MOST})"):
        if line != "ok":
            yield Problem(database.path, str(line).replace("\n", " "), _RESTORE)


def _schema(database: "Database") -> "Iterator[Problem]":
    sql = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    memory = sqlite.connect(":memory:")
    try:
        memory.executescript(schema.TABLES)
        wanted: dict[str, str] = dict(memory.execute(sql).fetchall())
    finally:
        memory.close()
    found: dict[str, str] = dict(database.read(sql))
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            yield Problem(database.path, f"the table or index {name} is not as it was made", _RESTORE)


def _messages(database: "Database") -> "Iterator[Problem]":
    """Verify each message's row and text."""
    last = 0
    while True:
        page = database.read(
            f"SELECT {rows.MESSAGE} FROM message m LEFT JOIN lane l ON l.id = m.lane WHERE m.id > ?"
            f" ORDER BY m.id LIMIT {_PAGE}",
            (last,),
        )
        for row in page:
            for text in _faults_of_message(database, row):
                yield Problem(f"{database.path}: message {row[1]}", text, _REMOVE)
        if len(page) < _PAGE:
            return
        last = page[-1][0]


def _faults_of_message(database: "Database", row: "tuple[Any, ...]") -> "Iterator[str]":
    if not rows.message_is_sound(row):
        yield "its envelope was changed (a checksum is wrong)"
        if not all([isinstance(size, int) for size in row[7:9]]):
            return
    header, total = row[7], row[7] + row[8]
    number = size = 0
    while size < total or not number:
        found = database.read("SELECT seal, data FROM chunk WHERE id = ?", (row[0] << schema.CHUNK_BITS | number,))
        if not found:
            yield f"part {number} of its text is missing"
            return
        seal, data = found[0]
        if not isinstance(data, bytes) or schema.chunk_seal(row[0], number, data) != seal:
            yield f"part {number} of its text was changed (a checksum is wrong)"
            return
        if number == 0 and len(data) not in (header, total):
            yield "the first part of its text has another length than it had"
            return
        size += len(data)
        number += 1
    if size != total:
        yield "its text has another length than it had"


def _recipients(database: "Database") -> "Iterator[Problem]":
    last = (0, -1)
    owners = rows.owner_names(database)
    while True:
        page = database.read(
            f"SELECT {rows.RECIPIENT}, r.lane, m.lane FROM recipient r LEFT JOIN message m ON m.id = r.message"
            f" WHERE (r.message, r.number) > (?, ?) ORDER BY r.message, r.number LIMIT {_PAGE * 5}",
            last,
        )
        for row in page:
            for text in _faults_of_recipient(row, owners):
                yield Problem(f"{database.path}: message {row[0]}, recipient {row[1]}", text, _REMOVE)
        if len(page) < _PAGE * 5:
            return
        last = page[-1][:2]


def _faults_of_recipient(row: "tuple[Any, ...]", owners: "dict[int, str]") -> "Iterator[str]":
    if not rows.recipient_is_sound(row):
        yield "the address was changed (a checksum is wrong)"
    state, origin = row[5], row[6]
    if state not in range(1, len(STATES) + 1):
        yield f"the state {state!r} does not exist"
    elif (state in (CODES[ACTIVE], CODES[HELD])) != (origin in [CODES[s] for s in WAITING]):
        yield f"the state before {STATES[state - 1]} is {origin!r}, which cannot be"
    if state == CODES[ACTIVE] and row[16] not in owners:
        yield "it is active, and nobody has the lease"
    if row[20] is None:
        yield "there is no such message"
    elif row[19] != row[20]:
        yield "it stands in another lane than its message"


def _orphans(database: "Database") -> "Iterator[Problem]":
    owners = f"SELECT DISTINCT id >> {schema.CHUNK_BITS} AS owner FROM chunk"
    queries = (
        (f"{owners} WHERE owner NOT IN (SELECT id FROM message)", "text that belongs to nothing"),
        ("SELECT id FROM message WHERE id NOT IN (SELECT message FROM recipient)", "a message without recipients"),
        ("SELECT id FROM message WHERE lane NOT IN (SELECT id FROM lane)", "a message without its account"),
    )
    for sql, what in queries:
        for (number,) in database.read(f"{sql} LIMIT {_MOST}"):
            yield Problem(f"{database.path}: message {number}", what, _ORPHAN)


def _files(database: "Database") -> "Iterator[Problem]":
    """Look at what lies beside the file."""
    for suffix in ("", "-wal", "-shm", "-reserve", "-accept"):
        try:
            status = os.lstat(database.path + suffix)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Problem(database.path + suffix, str(error.strerror), "see why it cannot be looked at")
            continue
        if not stat.S_ISREG(status.st_mode):
            yield Problem(database.path + suffix, "it is no regular file", "move it away while nobody uses the queue")
        if status.st_uid != database.uid:
            advice = f"chown {database.uid} it while nobody uses the queue"
            yield Problem(database.path + suffix, f"it belongs to uid {status.st_uid}, the queue to {database.uid}", advice)
        if status.st_mode & 0o077:
            text = f"others have rights to it (mode {status.st_mode & 0o777:04o})"
            yield Problem(database.path + suffix, text, "chmod 0600 it")
    known = set(rows.owner_names(database).values())
    for name in leases.left_over(database.path):
        if name not in known:
            yield Problem(leases.file(database.path, name), "it is left over from a runner that died", "it may be removed")
