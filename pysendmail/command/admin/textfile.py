"""A file for somebody who may read it at any moment: it is whole at every time, the old one or the new one."""

import os

from pysendmail import errors

_MODE = 0o644


def write(path: str, data: bytes) -> None:
    """Put `data` into the place of the file at `path`, readable for everybody. Raises SystemFailure.

    What is being written has a name that no reader of a folder takes for one of his: it begins with a dot, and ends with
    the process id.
    """
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{os.getpid()}")
    try:
        if not name or os.path.isdir(path):
            raise IsADirectoryError(0, "it is a folder")
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except (OSError, ValueError) as error:
        raise _failure(path, error) from error
    try:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(fd, left) :]
            os.fchmod(fd, _MODE)  # the umask has no say
        finally:
            os.close(fd)
        os.rename(draft, path)
    except BaseException as error:
        os.unlink(draft)
        if isinstance(error, OSError):
            raise _failure(path, error) from error
        raise


def _failure(path: str, error: Exception) -> errors.SystemFailure:
    reason = error.strerror if isinstance(error, OSError) else "no file has this name"
    return errors.SystemFailure(f"cannot be written: {reason}", path)
