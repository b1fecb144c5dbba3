"""Folders: made where they are missing, kept on the disk, and locked for a moment."""

import os

_LOOK = 0.01


def make(folder: str, mode: int, above: int) -> None:
    """Make a folder where it is missing, and those above it, with these modes, whatever the umask. Raises OSError.

    Somebody else may be doing the same.
    """
    if os.path.lexists(folder):
        return
    parent = os.path.dirname(folder)
    make(parent, above, above)
    try:
        os.mkdir(folder, mode)
    except FileExistsError:
        return
    os.chmod(folder, mode)
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(fd)
    finally:
        os.close(fd)


def sync(folder: int) -> None:
    """Bring the names in an open folder to disk."""
    import errno

    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # the file system has no such thing
            raise


def lock(fd: int, seconds: float) -> bool:
    """Lock an open folder, or a file, for this process alone; False says that somebody else has kept it for so long."""
    import fcntl
    from time import monotonic, sleep

    end = monotonic() + seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if monotonic() >= end:
                return False
        sleep(_LOOK)
