"""A file that is whole at every time: written beside its place under another name, and renamed when all else is done."""

import os

from pysendmail import errors
from pysendmail.config.accounts import SYSTEM_FILE
from pysendmail.config.reader import shown

_TRIES = 100


class Draft:
    """A context in which the new file lies on the disk under another name; `commit` puts it in its place.

    Whatever else ends the context takes it away again, with the folders that were made for it.
    """

    __slots__ = ("_done", "_draft", "_made", "path")

    def __init__(self, path: str, data: bytes, mode: int, owner: "os.stat_result | None" = None) -> None:
        """Write the draft. `owner` is the status of the file whose owner it gets. Raises SystemFailure."""
        self.path = path
        self._done = False
        self._made: list[str] = []
        folder, name = os.path.split(path)
        self._draft = f"{folder}/.{name}.{os.urandom(6).hex()}"
        try:
            self._make_folders(folder)
            _write(self._draft, data, mode, owner)
        except BaseException as error:
            self._take_back()
            if isinstance(error, OSError):
                raise _failure(path, error) from None
            raise

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._done:
            self._take_back()

    def commit(self, replace: bool = True) -> None:
        """Put it in its place. Raises SystemFailure, FileExistsError if none may be replaced; then all is as it was."""
        try:
            if replace:
                os.rename(self._draft, self.path)
            else:
                os.link(self._draft, self.path)
                os.unlink(self._draft)
        except FileExistsError:
            raise
        except OSError as error:
            raise _failure(self.path, error) from None
        self._done = True
        _sync_folder(os.path.dirname(self.path))

    def _make_folders(self, folder: str) -> None:
        missing = []
        while not os.path.lexists(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        for each in reversed(missing):
            os.mkdir(each, 0o700)
            self._made.append(each)
            if each.endswith(os.path.dirname(SYSTEM_FILE)) or each.startswith("/etc/systemd/"):
                os.chmod(each, 0o755)  # what is in it says for itself who may read it

    def _take_back(self) -> None:
        try:
            os.unlink(self._draft)
        except FileNotFoundError:
            pass
        for each in reversed(self._made):
            try:
                os.rmdir(each)
            except OSError:
                return  # somebody has put something there


def back_up(path: str, data: bytes, status: os.stat_result, now: str) -> str:
    """Keep what a file held beside it, for the same eyes; return its name. Raises SystemFailure."""
    for number in range(_TRIES):
        name = f"{path}.{now}{f'.{number}' if number else ''}"
        try:
            _write(name, data, status.st_mode & 0o700, status)
        except FileExistsError:
            continue
        except OSError as error:
            raise _failure(name, error) from None
        return name
    raise errors.SystemFailure("there are too many old files of this name", shown(path))


def _write(name: str, data: bytes, mode: int, owner: "os.stat_result | None") -> None:
    """Make a new file, and have it on the disk. Raises OSError, and then there is none."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(fd, left) :]
            if owner is not None and (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                _give(fd, owner)
            os.fchmod(fd, mode)  # the umask has no say
            os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        os.unlink(name)
        raise


def _give(fd: int, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.fchown(fd, owner.st_uid, owner.st_gid)
    else:
        try:
            os.fchown(fd, -1, owner.st_gid)
        except PermissionError:
            pass  # a group that this user is not in; only he reads it then


def _sync_folder(folder: str) -> None:
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # a folder that may be written to and not read; the file itself is on the disk
    try:
        os.fsync(fd)
    except OSError:
        pass  # not every file system can
    finally:
        os.close(fd)


def _failure(path: str, error: OSError) -> errors.SystemFailure:
    return errors.SystemFailure(f"cannot be written: {error.strerror}; nothing was changed", shown(path))
