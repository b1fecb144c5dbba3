"""How one runner sees that another one has died: each holds a lock on a file of its own, beside the queue.

The kernel ends the lock with the process, however it ends. The lock is one of an open file (flock), so that several
owners may live in one process.
"""

import fcntl
import os

from pysendmail.queue import location, trouble

_MARK = "-owner-"


class Lock:
    """The sign of life of one owner; `name` is his own, for ever."""

    __slots__ = ("_fd", "_file", "name")

    def __init__(self, path: str, uid: int, gid: int) -> None:
        """Take the lock beside the queue at `path`, whose owner is `uid`. Raises TempFail."""
        self._fd = -1
        try:
            while self._fd < 0:
                self.name = f"{os.getpid()}-{os.urandom(8).hex()}"
                self._file = file(path, self.name)
                self._fd = _make(self._file, uid, gid)
        except OSError as error:
            raise trouble.from_system(error, path, "a runner's lock cannot be taken") from error

    def drop(self) -> None:
        """End this owner's life."""
        if self._fd >= 0:
            try:
                os.unlink(self._file)
            except OSError:
                pass  # what is left is a file without a lock, which somebody will clear away
            os.close(self._fd)
            self._fd = -1


def file(path: str, name: str) -> str:
    """Return the path of an owner's file."""
    return path + _MARK + name


def _make(lock: str, uid: int, gid: int) -> int:
    """Make a file and lock it; return its descriptor, or -1 if somebody took it for a dead owner's and cleared it away."""
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        location.give(fd, uid, gid)
        if os.fstat(fd).st_nlink:
            return fd
    except BlockingIOError:
        pass
    except OSError:
        os.close(fd)
        raise
    os.close(fd)
    return -1


def alive(path: str, name: str) -> bool:
    """Tell whether the owner of that name lives; clear away what a dead one left."""
    lock = file(path, name)
    try:
        fd = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise trouble.from_system(error, path, "a runner's lock cannot be tested") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    try:
        os.unlink(lock)
    except FileNotFoundError:
        pass  # another runner saw the same
    return False


def left_over(path: str) -> list[str]:
    """Return the names of all owners who have a file beside the queue. Raises TempFail if its folder cannot be read."""
    folder, base = os.path.split(path)
    mark = base + _MARK
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise trouble.from_system(error, path, "the runners' locks cannot be listed") from error
    return [name[len(mark) :] for name in names if name.startswith(mark)]
