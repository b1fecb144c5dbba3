"""From the fork to the work: what a child of the daemon does before it is accept or deliver.

It drops what it does not need (descriptors, rights, secrets), sees to it that it ends when its parent does, and turns
whatever goes wrong into one line that the parent can tell.
"""

import _signal
import gc
import os
import sys

from pysendmail import errors
from pysendmail.daemon import confine, privileges, secrets
from pysendmail.log import Log, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.daemon.configuration import Configuration
    from pysendmail.daemon.privileges import Identity
    from pysendmail.daemon.setup import Setup

    Run = Callable[[Setup], int]

_SIGNALS = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGCHLD)
SAYS = b"!"
"""Begins a line of text in the pipe of beats: why the child ends."""


def live(role: str, run: "Run", setup: "Setup", found: "Configuration", user: "Identity", parent: int) -> None:
    """Be a child until the end of the process; `parent` is the parent's process id."""
    code = errors.SoftwareError.exit_code
    try:
        _detach(setup, found.kept if role == "deliver" else -1)
        if role == "deliver":
            setup.file = found.with_secrets()
            secrets.gather(setup.file, found.home)
            found.close()
        else:
            os.environ.pop("CREDENTIALS_DIRECTORY", None)
            confine.confine(_readable(setup))
        privileges.become(user)
        privileges.end_with_parent(parent)
        code = run(setup)
    except errors.Failure as failure:
        code = failure.exit_code
        _say(setup, str(failure))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else code
    except KeyboardInterrupt:
        code = 0
    except MemoryError:
        code = errors.TempFail.exit_code
        _say(setup, "there is not enough memory")
    except BaseException as error:
        _say(setup, str(errors.internal(error)))
    finally:
        os._exit(code)


def _detach(setup: "Setup", kept: int) -> None:
    """Take back what holds for the parent alone: its handling of signals, its descriptors, its system log."""
    os.setpgid(0, 0)  # a key at the parent's terminal is for the parent, who tells us
    Log.reopen()
    keep = sorted({0, 1, 2, kept, *setup.descriptors()} - {-1})
    for below, above in zip(keep, [*keep[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(below + 1, above)
    if not setup.foreground:
        nothing = os.open("/dev/null", os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        os.close(nothing)
    for number in _SIGNALS:
        _signal.signal(number, _signal.SIG_DFL)
    _signal.signal(_signal.SIGTTOU, _signal.SIG_IGN)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
    gc.unfreeze()


def _readable(setup: "Setup") -> list[str]:
    """Return the folders that accept has to read in wherever they are: the program's, the queue's, the aliases'."""
    from pysendmail.config import accounts
    from pysendmail.daemon import aliasing

    found = {os.path.dirname(setup.queue), sys.prefix, sys.base_prefix, *sys.path}
    for section in setup.file.accounts.values():
        found |= aliasing.folders(accounts.Account(setup.file, section), setup.agent)
    return sorted(found - {"", "/"})


def _say(setup: "Setup", text: str) -> None:
    try:
        os.write(setup.pulse, SAYS + printable(text).encode("utf-8", "replace") + b"\n")
    except OSError:
        pass  # the parent still sees the exit code
