"""What SQLite's errors mean for the caller, in one line each."""

import os

from pysendmail import errors
from pysendmail.queue.store import Malformed

BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL = 5, 6, 7, 8, 10, 11, 13, 14, 15
CONSTRAINT, NOTADB = 19, 26
CHECK = "nothing was changed; run `pysendmail queue check`"


def code(error: BaseException) -> int:
    """Return the primary result code of an error of SQLite, 0 for any other error."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def disk_full(path: str) -> errors.TempFail:
    """Return the failure of a full disk."""
    failure = errors.TempFail("the disk of the queue is full", path)
    failure.status = "4.3.1"
    return failure


def _no_room(path: str) -> bool:
    try:
        room = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < 65536 or (room.f_files > 0 and room.f_ffree == 0)


def translate(error: Exception, path: str, waited: float) -> errors.Failure:
    """Return the failure that an error of SQLite means; `waited` is for how many seconds a lock was waited for."""
    number = code(error)
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    if number == FULL or (number in (IOERR, CANTOPEN) and _no_room(path)):
        return disk_full(path)
    if number in (BUSY, LOCKED, PROTOCOL):
        return errors.TempFail(f"another process has kept the queue locked for {waited:.0f} seconds", path)
    if number in (CORRUPT, NOTADB) or isinstance(error, UnicodeError) or name == "SQLITE_ERROR" or _is_undecodable(error):
        return Malformed(f"the queue file is damaged ({error}); {CHECK}", path)
    if number == READONLY:
        return errors.TempFail("the queue cannot be written (read-only file, folder or file system)", path)
    if number == CANTOPEN:
        return errors.TempFail("the queue cannot be opened; are its folder and all files beside it ours and writable?", path)
    if number == IOERR:
        return errors.TempFail(f"input/output error ({name}); is the disk in order?", path)
    if number == CONSTRAINT:
        return errors.TempFail("a message of this queue id is in the queue already", path)
    if number == NOMEM or isinstance(error, MemoryError):
        return errors.TempFail("out of memory", path)
    return errors.SoftwareError(f"the queue's database refused a command ({name}: {error})", path)


def _is_undecodable(error: Exception) -> bool:
    """Tell whether Python's module could make nothing of what the file gave, which SQLite has no code for."""
    return not hasattr(error, "sqlite_errorcode") and type(error).__name__ in ("OperationalError", "DataError")


def from_system(error: OSError, path: str, what: str) -> errors.Failure:
    """Return the failure that an error of the operating system means; `what` could not be done."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path)
    return errors.TempFail(f"{what}: {error.strerror or error}", path)
