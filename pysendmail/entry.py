"""The first thing that runs when somebody calls sendmail: make the process sane, run the command, leave fast.

Where a daemon takes the message, nothing is loaded but this, handover.py and wire.py.
"""

import gc
import posix
import sys

from pysendmail import handover


def main() -> None:
    """Run the command for this process's arguments and end the process with its exit code."""
    stdin_open = _open_missing_descriptors()
    gc.disable()  # the process ends before looking for cycles of objects could pay
    code, line = 70, b"sendmail: internal error\n"
    try:
        code, line = _run(stdin_open), b""
    except handover.Refused as refusal:
        code, line = refusal.code, f"sendmail: {refusal}\n".encode("utf-8", "replace")
    except MemoryError:
        code, line = 75, b"sendmail: there is not enough memory; try later\n"
    except KeyboardInterrupt:  # before the command's own handlers were in place
        code, line = 75, b"sendmail: ended by signal 2\n"
    except BaseException as error:
        code, line = _judge(error)
    # What the failure held is free again by now, which may be needed to tell of it.
    if line:
        handover.write(2, line)
    posix._exit(code)


def _run(stdin_open: bool) -> int:
    encoding = sys.getfilesystemencoding()
    words = [argument.encode(encoding, "surrogateescape") for argument in sys.argv or ["sendmail"]]
    name, arguments = words[0].rsplit(b"/", 1)[-1], words[1:]
    taken = None
    if stdin_open and handover.is_plain(name, arguments):
        code, data, ended = handover.deliver(name, arguments)
        if code is not None:
            return code
        if data or ended:
            taken = data, ended
    from pysendmail.command.main import run

    return run(name, arguments, stdin_open, taken)


def _open_missing_descriptors() -> bool:
    """Open /dev/null on descriptors 0 to 2 where they are closed; tell whether 0 was open.

    Without this the first file or socket opened would become standard output or error, and a message on standard error
    would end up in an SMTP dialogue. Commands that we start get them as well.
    """
    stdin_open = True
    for descriptor in range(3):
        try:
            posix.fstat(descriptor)
        except OSError:
            posix.open("/dev/null", posix.O_RDWR)  # takes the lowest free number, which is this one
            posix.set_inheritable(descriptor, True)
            if descriptor == 0:
                stdin_open = False
    return stdin_open


def _judge(error: BaseException) -> tuple[int, bytes]:
    """Return the exit code and the line for what should not have happened.

    What is in variables stays out of the line, since it may be secret.
    """
    import errno

    # What the system may have more of at another time.
    scarce = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC, errno.EDQUOT)
    trace = error.__traceback__
    where = "start"
    while trace is not None:
        where = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    kind = type(error).__name__
    if isinstance(error, ImportError):  # its files are just being replaced, or cannot be opened
        return 75, f"sendmail: a part of the program cannot be loaded ({kind} at {where}); try later\n".encode()
    if isinstance(error, OSError):
        reason = posix.strerror(error.errno) if error.errno else kind
        text = f"sendmail: the operating system refused something: {reason} ({where})\n"
        return 75 if error.errno in scarce else 71, text.encode("utf-8", "replace")
    return 70, f"sendmail: internal error ({kind} at {where}); nothing more was done, please report it\n".encode()
