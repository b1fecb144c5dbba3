"""Reading small files that hold a secret."""

import os

_TYPE_MASK = 0o170000
_REGULAR = 0o100000


def read(path: str, limit: int) -> tuple[bytes, int] | None:
    """Return content and permission bits of a regular file, or None if there is none that we may read.

    At most `limit` octets are read. Never waits: a pipe or a device in the file's place counts as no file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        mode = os.fstat(fd).st_mode
        if mode & _TYPE_MASK != _REGULAR:
            return None
        return _read(fd, limit), mode & 0o7777
    except OSError:
        return None
    finally:
        os.close(fd)


def _read(fd: int, limit: int) -> bytes:
    parts = []
    while limit > 0 and (part := os.read(fd, limit)):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def first_line(text: bytes) -> bytes:
    """Return what stands before the first line end (LF or CRLF)."""
    return text.partition(b"\n")[0].removesuffix(b"\r")
