"""The tables of a queue in SQLite, how a new file comes into being, and how an older one is brought up to date.

* message: one row a message, without its text.
* chunk: the text, in rows of up to 1 MiB. Row 0 holds the header, and behind it the body if both fit into one row; else
  the body stands in the rows that follow. A row's id is message * 2**20 + number.
* recipient: one row a recipient, in the order of message and number, so that what belongs together lies together.
* lane: one row for each account and configuration that messages came with, and until when it is closed.
* owner: one row a runner, with the end of its lease.
* journey: one row for each result of an attempt, the newest 20,000 or so, for those who ask what became of a message.
* gauge: the figures that the daemon's processes show of themselves.
* fence: see the store's way to fail a commit.

The states are the numbers of states.CODES. Each index holds only the rows of the states that it serves, so that
claiming costs the same however much is in the queue. `seal` is a checksum over what decides where a message goes.
"""

import os
from binascii import crc32

from pysendmail import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from sqlite3 import Connection

    Step = Callable[[Connection], None]

VERSION = 2
APPLICATION_ID = 0x70736D71  # "psmq"
CHUNK = 1 << 20
CHUNK_BITS = 20
PAGE = 4096
MAGIC = b"SQLite format 3\0"

TABLES = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    qid TEXT NOT NULL UNIQUE,
    uid INTEGER NOT NULL,
    sender BLOB NOT NULL,
    lane INTEGER NOT NULL,
    created REAL NOT NULL,
    header_size INTEGER NOT NULL,
    body_size INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    ret BLOB,
    envid BLOB,
    tag TEXT NOT NULL,
    seal INTEGER NOT NULL
);
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    seal INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE recipient (
    message INTEGER NOT NULL,
    number INTEGER NOT NULL,
    address BLOB NOT NULL,
    orcpt BLOB,
    notify BLOB,
    seal INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    state INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    due REAL NOT NULL,
    attempts INTEGER NOT NULL,
    warned INTEGER NOT NULL,
    first_tried REAL NOT NULL,
    last_tried REAL NOT NULL,
    done REAL NOT NULL,
    reply TEXT NOT NULL,
    dsn TEXT NOT NULL,
    relay TEXT NOT NULL,
    owner INTEGER NOT NULL, code INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (message, number)
) WITHOUT ROWID;
CREATE INDEX recipient_waiting ON recipient (lane, due) WHERE state <= 3;
CREATE INDEX recipient_active ON recipient (owner) WHERE state = 4;
CREATE INDEX recipient_failed ON recipient (done) WHERE state = 6;
CREATE TABLE lane (
    id INTEGER PRIMARY KEY,
    account BLOB NOT NULL,
    config BLOB NOT NULL,
    until REAL NOT NULL,
    failures INTEGER NOT NULL,
    reply TEXT NOT NULL,
    dsn TEXT NOT NULL,
    UNIQUE (account, config)
);
CREATE TABLE owner (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    expires REAL NOT NULL
);
"""

_SINCE_2 = (
    """CREATE INDEX message_awaited ON message (id) WHERE flags >= 16""",
    """CREATE TABLE journey (
    id INTEGER PRIMARY KEY,
    qid TEXT NOT NULL,
    uid INTEGER NOT NULL,
    created REAL NOT NULL,
    sender BLOB NOT NULL,
    at REAL NOT NULL,
    recipient BLOB NOT NULL,
    state INTEGER NOT NULL,
    relay TEXT NOT NULL,
    tls TEXT NOT NULL,
    dsn TEXT NOT NULL,
    reply TEXT NOT NULL,
    waiting REAL NOT NULL,
    connecting REAL NOT NULL,
    sending REAL NOT NULL
)""",
    """CREATE INDEX journey_qid ON journey (qid)""",
    """CREATE TABLE gauge (
    process TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (process, name)
) WITHOUT ROWID""",
)
TABLES += ";\n".join((*_SINCE_2, "CREATE TABLE fence (number INTEGER NOT NULL)", "INSERT INTO fence VALUES (0)", ""))


def _to_2(db: "Connection") -> None:
    # SQLite keeps the text of a table; above it stands as this command leaves it, so that a check finds no difference.
    db.execute("ALTER TABLE recipient ADD COLUMN code INTEGER NOT NULL DEFAULT 0")
    for command in _SINCE_2:
        db.execute(command)


MIGRATIONS: "Sequence[Step]" = (_to_2,)
"""Step n brings a file of version n + 1 to version n + 2."""

# Flags of a message. The last one is not under its seal, since it changes; and being the highest it makes an index.
EIGHT_BIT, NUL, LONG_LINE, BOUNCE, AWAITED = 1, 2, 4, 8, 16


def seal(*parts: "bytes | int | None") -> int:
    """Return a checksum over values, each of them at its place."""
    return crc32(b"\0".join([b"%d" % p if isinstance(p, int) else b"-" if p is None else b"=" + p for p in parts]))


def chunk_seal(message: int, number: int, data: bytes) -> int:
    """Return the checksum of a chunk, good only at this place."""
    return crc32(data, crc32(b"%d/%d" % (message, number)))


def image() -> bytes:
    """Return the octets of a new queue file, already in WAL mode. Raises ConfigError where SQLite is too old."""
    from pysendmail.queue.engine import sqlite

    memory = sqlite.connect(":memory:", isolation_level=None)
    try:
        memory.executescript(
            f"PRAGMA page_size = {PAGE}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {VERSION}; BEGIN; {TABLES} COMMIT;"
        )
        data = bytearray(memory.serialize())
    except AttributeError:
        raise errors.ConfigError("the queue needs SQLite 3.36 or newer") from None
    finally:
        memory.close()
    data[18] = data[19] = 2  # file format: write-ahead log
    return bytes(data)


class Header:
    """What the first page of a file says: whether it is a queue, in WAL mode, and of which version."""

    __slots__ = ("is_database", "is_queue", "version", "wal")

    def __init__(self, data: bytes) -> None:
        self.is_database = len(data) >= 100 and data.startswith(MAGIC)
        self.is_queue = self.is_database and int.from_bytes(data[68:72], "big") == APPLICATION_ID
        self.wal = self.is_database and data[18:20] == b"\2\2"
        self.version = int.from_bytes(data[60:64], "big") if self.is_database else 0


def migrate(db: "Connection") -> None:
    """Bring a file that an older release wrote up to date, in one transaction.

    Raises ConfigError, before anything is changed, for a file of a newer release.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if not 1 <= found <= VERSION:
            raise errors.ConfigError(newer(found))
        for step in MIGRATIONS[found - 1 : VERSION - 1]:
            step(db)
        db.execute(f"PRAGMA user_version = {VERSION:d}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
    # The version must stand in the file itself: an older release reads it there before it touches anything.
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def newer(found: int) -> str:
    """Say that a file of version `found` is none of this release."""
    return f"the queue has version {found}, this release knows {VERSION}: install the newer release (nothing was changed)"


def text(value: str) -> str:
    """Return text that a database can hold; what is no text (undecodable octets) is written out."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def octets(value: str) -> bytes:
    """Return the octets of a name or path, whatever they are."""
    return os.fsencode(value)
