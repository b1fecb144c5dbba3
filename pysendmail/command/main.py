"""The sendmail command: options, the mode they ask for, and one place where failures become a line and an exit code."""

import _signal
import os
from time import time

from pysendmail import entry, errors
from pysendmail.command.console import complain
from pysendmail.delivery import interruption
from pysendmail.options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.options import Options


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
        return _dispatch(Call(name, arguments, program, stdin_open, taken), options)
    except errors.Failure as failure:
        if not quiet:
            complain(program, str(failure))
        if not failure.logged:
            _log_failure(failure)
        return failure.exit_code


class Call:
    """How the command was called: argv, what stands before its lines, and what is known of standard input (see `run`)."""

    __slots__ = ("arguments", "name", "program", "stdin_open", "taken")

    def __init__(
        self, name: bytes, arguments: list[bytes], program: str, stdin_open: bool, taken: "tuple[bytes, bool] | None"
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.program = program
        self.stdin_open = stdin_open
        self.taken = taken


def _dispatch(call: Call, options: "Options") -> int:
    mode = options.mode
    if mode == "daemon":
        from pysendmail.command import daemon

        return daemon.run(options, call.program)
    if mode == "deliver" and not options.extract and not options.recipients:
        raise errors.UsageError("no recipients in the arguments (-t takes them from the header)")
    if options.config is None and call.taken is None and entry.socket_path(os.getuid()) is not None:
        from pysendmail.command import remote

        code = remote.attempt(call, options)
        if code is not None:
            return code
    if mode == "deliver":
        from pysendmail.command.submit import submit

        return submit(options, call)
    if mode == "smtp":
        from pysendmail.command.smtp_stdio import serve

        return serve(options, call)
    from pysendmail.command import modes

    return modes.run(options, call.program)


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
