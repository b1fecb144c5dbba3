"""The sendmail command: options, the mode they ask for, and one place where failures become a line and an exit code."""

import _signal
import os
from time import time

from pysendmail import errors
from pysendmail.command.console import complain
from pysendmail.delivery import interruption
from pysendmail.options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.options import Options

_NOT_OFFERED = {"smtp": "SMTP on standard input (-bs)", "daemon": "a daemon (-bd, -bD, -bl)"}


def run(name: bytes, arguments: list[bytes], stdin_open: bool, taken: "tuple[bytes, bool] | None" = None) -> int:
    """Do what the command line asks for and return the exit code.

    `name` is the last part of argv[0]; `taken` is what was read of standard input already, and whether that was all.
    """
    program = name.decode("ascii", "replace") if name in (b"mailq", b"newaliases") else "sendmail"
    quiet = False
    try:
        _tame()
        options = parse(arguments, name)
        quiet = options.errors == "q"
        return _dispatch(options, program, stdin_open, taken)
    except errors.Failure as failure:
        if not quiet:
            complain(program, str(failure))
        if not failure.logged:
            _log_failure(failure)
        return failure.exit_code


def _dispatch(options: "Options", program: str, stdin_open: bool, taken: "tuple[bytes, bool] | None") -> int:
    mode = options.mode
    if mode == "deliver":
        from pysendmail.command.submit import submit

        return submit(options, program, stdin_open, taken)
    if mode in _NOT_OFFERED:
        raise errors.Unavailable(f"{_NOT_OFFERED[mode]} is not offered by this release")
    from pysendmail.command import modes

    return modes.run(options, program)


def _tame() -> None:
    """Take back what the caller left behind: his umask, ignored child signals, core dumps that could hold a secret."""
    os.umask(0o077)
    interruption.install()
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_IGN)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)


def _log_failure(failure: errors.Failure) -> None:
    """Leave a trace for those whose caller throws our standard error away."""
    from pysendmail.log import Log, printable

    Log().write("submit", f"fatal: uid={os.getuid()}: {printable(str(failure))}", time(), warning=True)
