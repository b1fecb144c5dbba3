"""Room on the disk: what a message needs, and what is set aside for results that find the disk full.

A message is written twice, into the log and then into the file. If the second does not fit, the log cannot be used anew
and grows with everything that is noted, until nothing can be noted any more. So a message is taken only if both fit. And
where little is left, what is in the log is brought into the file first: then a runner can use the room of the log.

Others may fill the disk all the same. For that case there is a reserve: a file which goes when a runner finds no room to
note what he has delivered. It is larger than what the log may hold before it is brought into the file.
"""

import os

from pysendmail.queue import location, trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.queue.database import Database

_RESERVE = 6 << 20
_SHARE = 8  # the part of a small disk that the reserve may take: an eighth
_OVERHEAD = 65536


def reserve(path: str) -> str:
    """Return the name of the file that keeps room for results."""
    return path + "-reserve"


def make(database: "Database", octets: int) -> None:
    """See to it that a message of so many octets has room, and what is noted about it. Raises TempFail if it has none."""
    set_aside(database)
    folder = os.path.dirname(database.path)
    _, frames, moved = database.read("PRAGMA wal_checkpoint(PASSIVE)")[0]
    octets += octets // 50 + _OVERHEAD
    idle = 4096 * int(database.read("PRAGMA freelist_count")[0][0])
    log = _size(database.path + "-wal") if frames == moved else 0
    if _free(folder) < max(0, octets - log) + max(0, octets - idle):
        raise trouble.disk_full(database.path)


def set_aside(database: "Database") -> None:
    """Set room aside, if there is none yet."""
    file = reserve(database.path)
    draft = f"{file}-{os.getpid()}"
    if os.path.lexists(file):
        return
    try:
        status = os.statvfs(os.path.dirname(file))
        octets = min(_RESERVE, status.f_blocks * status.f_frsize // _SHARE, _usable(status) // 2)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            location.give(fd, database.uid, database.gid)
            os.posix_fallocate(fd, 0, max(octets, 4096))
            os.rename(draft, file)
        except OSError:
            os.unlink(draft)
        finally:
            os.close(fd)
    except OSError:
        pass  # it is a comfort


def _free(folder: str) -> int:
    return _usable(os.statvfs(folder))


def _usable(status: os.statvfs_result) -> int:
    blocks = status.f_bavail if os.geteuid() else status.f_bfree
    return blocks * status.f_frsize


def _size(file: str) -> int:
    try:
        return os.stat(file).st_size
    except OSError:
        return 0
