"""The first thing that runs when somebody calls sendmail: make the process sane, run the command, leave fast."""

import gc
import os
import sys


def main() -> None:
    """Run the command for this process's arguments and end the process with its exit code."""
    stdin_open = _open_missing_descriptors()
    gc.disable()  # the process ends before looking for cycles of objects could pay
    code = 70
    try:
        from pysendmail.command.main import run

        name = os.fsencode(sys.argv[0] if sys.argv else "sendmail").rsplit(b"/", 1)[-1]
        code = run(name, [os.fsencode(argument) for argument in sys.argv[1:]], stdin_open)
    except BaseException as error:
        _say_bug(error)
    os._exit(code)


def _open_missing_descriptors() -> bool:
    """Open /dev/null on descriptors 0 to 2 where they are closed; tell whether 0 was open.

    Without this the first file or socket opened would become standard output or error, and a message on standard error
    would end up in an SMTP dialogue.
    """
    stdin_open = True
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open("/dev/null", os.O_RDWR)  # takes the lowest free number, which is this one
            if descriptor == 0:
                stdin_open = False
    return stdin_open


def _say_bug(error: BaseException) -> None:
    """Tell of a bug of ours in one line; what is in variables stays out of it, since it may be secret."""
    trace = error.__traceback__
    where = "start"
    while trace is not None:
        where = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    line = f"sendmail: internal error ({type(error).__name__} at {where}); nothing more was done, please report it\n"
    try:
        os.write(2, line.encode())
    except OSError:
        pass  # nobody reads our standard error; the exit code still tells
