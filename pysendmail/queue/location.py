"""The file of a queue and its folder: who may own them, where they may lie, and how they come into being.

A queue belongs to one user, and only he and root may use it. Nobody else may be able to write into its folder, for
whoever can could put other files in the place of the queue or of its log. All is looked at by name: what is in such
a folder can be changed only by those who may do so anyway.
"""

import os
import stat

from pysendmail import errors
from pysendmail.queue import schema, trouble

# POSIX locks and shared memory do not work, or not for sure, between the machines that use these.
_NETWORK = frozenset(
    "nfs nfs4 cifs smb3 smbfs smb 9p afs ncpfs ncp coda ceph glusterfs lustre beegfs orangefs pvfs2 gfs gfs2 ocfs2 gpfs"
    " panfs davfs acfs vboxsf prl_fs".split()
)
_LOCAL_FUSE = ("fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.bindfs", "fuse.mergerfs", "fuse.lxcfs")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_LOCKED = 10.0  # seconds that somebody else may take to make a queue
_COMPANIONS = ("-wal", "-shm", "-journal")


class Missing(errors.TempFail):
    """There is no queue at this place."""

    status = "4.3.5"


def find(path: str, create: bool) -> os.stat_result:
    """Make sure that there is a queue file at `path` that this process may use, and return its status.

    Raises Missing if there is none and `create` is false; TempFail or ConfigError for what is no place for a queue.
    """
    if not os.path.isabs(path):
        raise errors.ConfigError("the queue's path must begin with a slash", path)
    folder = os.path.dirname(path)
    try:
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            if not create:
                raise Missing("there is no queue", path) from None
            from pysendmail import folders

            folders.make(folder, 0o700, 0o700)
            _check_folder(folder)
            found = _create(path, folder)
        else:
            _check_folder(folder)
    except OSError as error:
        raise trouble.from_system(error, path, "the queue cannot be used") from error
    _check_file(path, found)
    if os.geteuid() == 0 and found.st_uid:
        _check_companions(path, found.st_uid)
    if found.st_uid != os.stat(folder).st_uid != 0:
        raise errors.TempFail(f"the queue's folder belongs to another user than the queue (uid {found.st_uid})", folder)
    return found


def _check_file(path: str, found: os.stat_result) -> None:
    me = os.geteuid()
    if stat.S_ISLNK(found.st_mode):
        raise errors.ConfigError("the queue is a symbolic link, which is refused; name the file itself", path)
    if not stat.S_ISREG(found.st_mode):
        raise errors.TempFail("the queue is no regular file", path)
    if me not in (0, found.st_uid):
        raise errors.TempFail(f"the queue belongs to uid {found.st_uid}, and this is uid {me}", path)
    if found.st_nlink != 1:
        raise errors.TempFail("the queue file has a second name (a hard link), which is refused", path)
    if found.st_mode & _OTHERS_WRITE:
        mode = f"{found.st_mode & 0o7777:04o}"
        raise errors.TempFail(f"others may write to the queue: its mode must be 0600, it is {mode}", path)


def _check_companions(path: str, owner: int) -> None:
    """Make sure, for root at somebody else's queue, that what SQLite will open and give to the owner is his already.

    SQLite follows no link and keeps owner and mode of the queue; a hard link to a file of root's it would not see.
    """
    for suffix in _COMPANIONS:
        try:
            status = os.lstat(path + suffix)
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid != owner:
            raise errors.TempFail("this is not from the owner of the queue beside it; root does not touch it", path + suffix)


def _check_folder(folder: str) -> None:
    status = os.stat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise errors.TempFail("the queue's folder is no folder", folder)
    if os.geteuid() and status.st_uid not in (0, os.geteuid()):
        raise errors.TempFail(f"the queue's folder belongs to uid {status.st_uid}, and this is uid {os.geteuid()}", folder)
    if status.st_mode & _OTHERS_WRITE:
        mode = f"{status.st_mode & 0o7777:04o}"
        raise errors.TempFail(f"others may write to the queue's folder: its mode must be 0700, it is {mode}", folder)
    if not os.major(status.st_dev):  # a file system without a disk of its own; on a disk it is local
        kind = file_system(folder, status.st_dev)
        if kind in _NETWORK or (kind.startswith("fuse.") and kind not in _LOCAL_FUSE):
            raise errors.ConfigError(f"the queue must lie on a local file system, not on {kind}", folder)


def file_system(folder: str, device: int, table: str = "/proc/self/mountinfo") -> str:
    """Return the type of the file system that holds `folder`, "" where it cannot be known."""
    try:
        with open(table, "rb") as file:
            mounts = [line.split(b" ") for line in file]
    except OSError:
        return ""
    wanted = b"%d:%d" % (os.major(device), os.minor(device))
    real = os.fsencode(os.path.realpath(folder)) + b"/"
    best, kind = -1, b""
    for fields in mounts:
        if b"-" not in fields or len(fields) < 10:
            continue
        point = fields[4].replace(b"\\040", b" ").rstrip(b"/") + b"/"
        # Some file systems show files another device than their mount: there the longest path decides.
        score = len(point) + (1 << 20 if fields[2] == wanted else 0) if real.startswith(point) else -1
        if score >= best and score >= 0:  # of two mounts at one place the later one is on top
            best, kind = score, fields[fields.index(b"-") + 1]
    return kind.decode("ascii", "replace")


def _create(path: str, folder: str) -> os.stat_result:
    """Make a new queue file. It gets its name when it is complete and on disk, so that nobody ever sees less of it."""
    from pysendmail import folders

    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not folders.lock(fd, _LOCKED):
            raise errors.TempFail("another process has kept the folder locked for too long", folder)
        if not os.path.lexists(path):
            if os.path.lexists(path + "-wal"):
                raise errors.TempFail("the queue is gone but its log is here: put it back, or move this away", path + "-wal")
            draft = path + "-new"
            if os.path.lexists(draft):
                os.unlink(draft)  # its maker died
            _write_new(draft, os.fstat(fd))
            os.rename(draft, path)
        folders.sync(fd)
        return os.lstat(path)
    finally:
        os.close(fd)


def _write_new(draft: str, owner: os.stat_result) -> None:
    data = schema.image()
    fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        give(fd, owner.st_uid, owner.st_gid)
        written = 0
        while written < len(data):
            written += os.write(fd, data[written:])
        os.fsync(fd)
    except BaseException:
        os.unlink(draft)
        raise
    finally:
        os.close(fd)


def give(fd: int, uid: int, gid: int) -> None:
    """Make a new file one of the queue's: for its owner alone, whoever made it."""
    os.fchmod(fd, 0o600)  # the caller's umask has no say
    if os.geteuid() == 0 and uid:
        os.fchown(fd, uid, gid)


def peek(path: str) -> schema.Header:
    """Read a file's first octets, without SQLite: to open a file changes what lies beside it.

    Must not be called while this process has the file open in SQLite: closing any descriptor of a file ends all locks
    that a process has on it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            return schema.Header(os.pread(fd, 100, 0))
        finally:
            os.close(fd)
    except OSError as error:
        raise trouble.from_system(error, path, "the queue cannot be read") from error
