"""The connection to a queue file: how it is opened, how a transaction is made, and when it is final.

The file is in WAL mode: a commit appends the changed pages to the log beside the file and is final when the log has
been synced (synchronous=FULL). Readers and one writer never wait for each other; two writers do, in BEGIN IMMEDIATE,
so that no transaction can fail half-way because another one was quicker. Leases need no sync: what a power failure
takes away of them is a claim of a runner that the same failure ended.

A commit that fails is a matter of its own. SQLite forgets the transaction, but if only the sync failed, its pages are
in the log, complete and valid; should all processes die now, whoever opens the file next would find it committed,
although its caller was told that it was not. So a failed commit is followed by another transaction, a tiny one: it is
written over the first one in the log, and from then on that never was.

A full disk must not keep a runner from noting what it has delivered, or it would be delivered again. So a runner keeps
a reserve (room.py): a file of some room that goes when a result finds the disk full.
"""

import os
from _thread import RLock, allocate_lock
from time import monotonic, sleep

from pysendmail import errors
from pysendmail.queue import location, schema, trouble
from pysendmail.queue.engine import sqlite
from pysendmail.queue.store import Damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from sqlite3 import Connection
    from typing import Any, TypeVar

    T = TypeVar("T")
    Rows = list[tuple[Any, ...]]

PATIENCE = 60.0
_LITTLE = 8 << 20  # octets beside the message: with less than that on the disk it is looked at closely
_SHORT, _LONG = 0.0003, 0.005  # seconds between two attempts to get a lock
_CONTEST = 2.0  # seconds for which the short ones last
_PLAIN = b"/-_.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CHECKPOINT = 1000  # pages in the log after which a commit brings them into the file
_LOG_LIMIT = 16 << 20  # octets of the log that stay allocated after a large message
# With a damaged file Python's module also fails in decoding texts and messages.
_ERRORS = (sqlite.Error, MemoryError, UnicodeError)
_SETTINGS = (
    "PRAGMA synchronous = FULL",
    f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}",
    f"PRAGMA journal_size_limit = {_LOG_LIMIT}",
    "PRAGMA temp_store = MEMORY",  # never a file in a folder that the environment names
    "PRAGMA secure_delete = FAST",  # overwrites what is deleted where that costs no more pages
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)

# The files that are open: in which process, and how often; see location.peek.
_open: "dict[tuple[int, int], tuple[int, int]]" = {}
_opening = allocate_lock()


class Database:
    """One connection to the queue at `path`, usable from any thread.

    `create`: make the file if it is missing, else raise location.Missing. `patience`: seconds to wait for a lock.
    """

    __slots__ = ("_db", "_durable", "_file", "_lock", "_named", "_pid", "gid", "path", "patience", "uid")

    def __init__(self, path: str, create: bool = True, patience: float = PATIENCE) -> None:
        self.path = path
        self.patience = patience
        self._lock = RLock()  # a body that is written may be read from this very queue
        self._pid = os.getpid()
        self._durable = True
        with _opening:
            status = location.find(path, create)
            self.uid, self.gid = status.st_uid, status.st_gid
            self._file = (status.st_dev, status.st_ino)
            pid, users = _open.get(self._file, (self._pid, 0))
            if pid != self._pid:  # SQLite in this process believes that it holds the locks of the other one
                raise errors.SoftwareError("the queue was open when this process was forked", path)
            repairs = () if users else _look(path)
            try:
                db = self._connect(repairs)
            except OSError as error:
                raise trouble.from_system(error, path, "the queue cannot be used") from error
            except _ERRORS as error:
                raise trouble.translate(error, path, patience) from error
            try:
                named = os.stat(path, follow_symlinks=False)  # of some it is another after the first write
            except BaseException as error:
                db.close()
                if isinstance(error, OSError):
                    raise trouble.from_system(error, path, "the queue cannot be used") from error
                raise
            self._db: Connection | None = db
            self._named = (named.st_dev, named.st_ino)
            _open[self._file] = (pid, users + 1)

    def _connect(self, repairs: "Iterable[Callable[[Connection], object]]") -> "Connection":
        # "rw": a file that has just gone is an error, and never made anew as an empty one.
        octets = os.fsencode(self.path)
        name = "".join([chr(octet) if octet in _PLAIN else f"%{octet:02x}" for octet in octets])
        db: Connection = sqlite.connect(
            f"file://{name}?mode=rw", timeout=self.patience, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            for setting in _SETTINGS:
                db.execute(setting)
            for repair in repairs:
                repair(db)
            db.execute("PRAGMA busy_timeout = 0")  # from now on `_patiently` waits
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Close the connection; the last one to a file brings the log into it. Closing twice does no harm."""
        with _opening, self._lock:
            if self._db is None or self._pid != os.getpid():
                return
            db, self._db = self._db, None
            pid, users = _open[self._file]
            if users > 1:
                _open[self._file] = (pid, users - 1)
            else:
                del _open[self._file]
            try:
                db.close()
            except sqlite.Error:
                pass  # the log stays, and with it all that was committed

    def __del__(self) -> None:
        if getattr(self, "_db", None) is not None:
            self.close()

    def read(self, sql: str, parameters: "tuple[Any, ...] | dict[str, Any]" = ()) -> "Rows":
        """Return the rows of a query."""
        with self._lock:
            db = self._connection()
            try:
                try:
                    return self._patiently(lambda: db.execute(sql, parameters).fetchall())
                except sqlite.Error as error:
                    if trouble.code(error) not in (trouble.IOERR, trouble.CORRUPT):
                        raise
                return db.execute(sql, parameters).fetchall()  # a disk may fail once
            except _ERRORS as error:
                raise trouble.translate(error, self.path, self.patience) from error

    def write(self, work: "Callable[[Connection], T]", *, durable: bool = True, reserve: bool = False) -> "T":
        """Run `work` in a transaction and return what it returns, when that is committed.

        `durable`: it is on disk, and not only visible to all. `reserve`: it may use the room that was set aside. After
        an error nothing of it has happened; `work` may be run more than once.
        """
        with self._lock:
            db = self._connection()
            for attempt in range(3):
                try:
                    return self._transact(db, work, durable)
                except _ERRORS as error:
                    if attempt == 2 or not self._mend(db, trouble.code(error), attempt, reserve):
                        raise trouble.translate(error, self.path, self.patience) from error
        raise AssertionError("not reached")

    def make_room(self, octets: int) -> None:
        """See to it that there is room for a message of so many octets, in the file that bears the queue's name.

        Raises TempFail if there is none. What was committed to a file without a name would be lost with the process.
        """
        try:
            named = os.stat(self.path, follow_symlinks=False)
            disk = os.statvfs(os.path.dirname(self.path))
        except OSError as error:
            raise trouble.from_system(error, self.path, "the queue is not where it was opened") from error
        if (named.st_dev, named.st_ino) != self._named:
            raise errors.TempFail("the queue was replaced while it was open; start anew what has it open", self.path)
        if disk.f_bavail * disk.f_frsize < 2 * octets + _LITTLE or not os.path.lexists(self.path + "-reserve"):
            from pysendmail.queue import room

            room.make(self, octets)

    def _connection(self) -> "Connection":
        if self._db is None:
            raise errors.SoftwareError("the queue is closed", self.path)
        if self._pid != os.getpid():
            raise errors.SoftwareError("the queue was opened before a fork", self.path)
        return self._db

    def _transact(self, db: "Connection", work: "Callable[[Connection], T]", durable: bool) -> "T":
        if durable != self._durable:
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self._patiently(lambda: db.execute("BEGIN IMMEDIATE"))
        try:
            result = work(db)
        except BaseException:
            _roll_back(db)
            raise
        try:
            db.execute("COMMIT")
        except BaseException as error:
            _roll_back(db)
            # With a page missing, as on a full disk, the log holds no commit.
            if isinstance(error, sqlite.Error) and trouble.code(error) != trouble.FULL:
                self._unmake(db)
            raise
        return result

    def _patiently(self, step: "Callable[[], T]") -> "T":
        """Take a step for which a lock may be needed that another process has.

        SQLite could wait by itself, but soon looks only ten times a second: behind a process that writes one message
        after the other it would wait for ever.
        """
        since = 0.0
        while True:
            try:
                return step()
            except sqlite.Error as error:
                if trouble.code(error) not in (trouble.BUSY, trouble.PROTOCOL):
                    raise
                now = monotonic()
                since = since or now
                if now >= since + self.patience:
                    raise
                sleep(_SHORT if now < since + _CONTEST else _LONG)

    def _unmake(self, db: "Connection") -> None:
        """Write over a transaction whose commit failed. If the disk refuses that as well, no more can be done."""
        try:
            self._patiently(lambda: db.execute("BEGIN IMMEDIATE"))
            db.execute("UPDATE fence SET number = number + 1")
            db.execute("COMMIT")
        except sqlite.Error:
            _roll_back(db)

    def _mend(self, db: "Connection", number: int, attempt: int, reserve: bool) -> bool:
        """Do what may help after an error, and tell whether it is worth another attempt.

        A disk may fail once. On a full one it may help to bring the log into the file, so that it can be used anew; then
        there is the reserve.
        """
        if number != trouble.FULL:
            return number == trouble.IOERR and not attempt
        if attempt and not (reserve and _unlink(self.path + "-reserve")):
            return False
        try:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite.Error:
            pass  # the same trouble once more
        return True


def _look(path: str) -> "list[Callable[[Connection], object]]":
    """Look at the file before SQLite does; return what is to be done to it before it can be used.

    Raises what a file that is not to be touched deserves.
    """
    header = location.peek(path)
    if not header.is_database:
        raise Damaged(f"the queue file is damaged: it does not begin as one; {trouble.CHECK}", path)
    if not header.is_queue:
        raise errors.ConfigError("this file is the database of another program", path)
    if header.version > schema.VERSION:
        raise errors.ConfigError(schema.newer(header.version), path)
    repairs: list[Callable[[Connection], object]] = []
    if not header.wal:  # somebody has had it in his hands
        repairs.append(lambda db: db.execute("PRAGMA journal_mode = WAL").fetchone())
    if header.version < schema.VERSION:
        repairs.append(schema.migrate)
    return repairs


def _roll_back(db: "Connection") -> None:
    if db.in_transaction:
        try:
            db.execute("ROLLBACK")
        except sqlite.Error:
            pass  # SQLite has rolled back by itself


def _unlink(file: str) -> bool:
    try:
        os.unlink(file)
    except OSError:
        return False
    return True
