"""A new configuration for a daemon that cannot read the file by itself, since the service manager read it for it.

A service that does not run as root gets the configuration from the service manager as a credential, once, at its start.
So the daemon keeps a file in memory for what comes later, and `pysendmaild --reload PID`, run by root, writes there. No
other user but root can open that file: the daemon's processes are closed to others of their own user.
"""

import os

from pysendmail import errors
from pysendmail.daemon import configuration

_NAME = "pysendmail-renewal"


def offer() -> int:
    """Return a descriptor of an empty file for root to write to."""
    return os.memfd_create(_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def reload(path: str, pid: int) -> None:
    """Check the configuration, give it to the daemon with this process id if it waits for that, and have it read it.

    Raises ConfigError, and TempFail where there is no such daemon.
    """
    import _signal

    text = configuration.renewal_of(*configuration.checked(path, "", ""))
    try:
        if not _is_daemon(pid):
            raise errors.TempFail(f"process {pid} is no daemon of pysendmail; nothing was sent to it")
        folder = f"/proc/{pid}/fd"
        for name in os.listdir(folder):
            if os.readlink(f"{folder}/{name}").startswith(f"/memfd:{_NAME} "):
                _give(f"{folder}/{name}", text)
        os.kill(pid, _signal.SIGHUP)
    except OSError as error:
        raise errors.TempFail(f"process {pid} cannot be told to reload: {error.strerror}") from None


def _is_daemon(pid: int) -> bool:
    """Tell whether a process may be ours, to which SIGHUP means what it is meant to; most others would end by it."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return b"sendmail" in file.read()


def _give(name: str, text: bytes) -> None:
    """Write the text into a process's file in memory, and into nothing else that it might have put in its place."""
    import fcntl

    fd = os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if fcntl.fcntl(fd, fcntl.F_GET_SEALS):  # only of a file in memory these are nought; others cannot be asked
            raise PermissionError(1, "its file for that is none in memory")
        done = 0
        while done < len(text):
            done += os.pwrite(fd, text[done:], done)
        os.ftruncate(fd, len(text))
    finally:
        os.close(fd)
