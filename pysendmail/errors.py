"""Every way to fail, each with its exit code (sysexits), enhanced status (RFC 3463) and whether trying later may help."""


class Failure(Exception):
    """A mistake or refusal that ends the command with one line on stderr.

    `text` is that line without the program's name; `place` (a file and line, a server, a descriptor) stands before it.
    """

    exit_code = 70
    status = "5.3.0"
    temporary = False
    logged = False

    def __init__(self, text: str, place: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.place = place

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


class UsageError(Failure):
    """The command line is wrong (EX_USAGE)."""

    exit_code = 64
    status = "5.5.4"


class DataError(Failure):
    """The message or an address in its envelope is not fit to be sent (EX_DATAERR)."""

    exit_code = 65
    status = "5.6.0"


class NoInput(Failure):
    """Standard input is closed or cannot be read from at all (EX_NOINPUT)."""

    exit_code = 66
    status = "5.6.0"


class NoUser(Failure):
    """A recipient was refused for good (EX_NOUSER)."""

    exit_code = 67
    status = "5.1.1"


class NoHost(Failure):
    """A recipient's domain does not exist (EX_NOHOST)."""

    exit_code = 68
    status = "5.1.2"


class Unavailable(Failure):
    """The sender was refused for good, or the mode is not offered by this build (EX_UNAVAILABLE)."""

    exit_code = 69
    status = "5.3.0"


class SoftwareError(Failure):
    """A bug of ours (EX_SOFTWARE)."""

    exit_code = 70
    status = "4.3.0"
    temporary = True


class SystemFailure(Failure):
    """The operating system refused something that no later try mends (EX_OSERR)."""

    exit_code = 71
    status = "5.3.0"


class InputError(Failure):
    """Reading the message failed half-way; nothing was sent (EX_IOERR)."""

    exit_code = 74
    status = "4.3.0"
    temporary = True


class TempFail(Failure):
    """It did not work now and may work later; nothing is wrong with the message (EX_TEMPFAIL)."""

    exit_code = 75
    status = "4.4.0"
    temporary = True


class Interrupted(TempFail):
    """A signal ended the command before it was done."""

    status = "4.3.0"


class ProtocolError(Failure):
    """The peer does not speak SMTP, or breaks it before the final dot (EX_PROTOCOL)."""

    exit_code = 76
    status = "4.5.0"
    temporary = True


class NoPermission(Failure):
    """The server refused our login, or the caller may not do this (EX_NOPERM)."""

    exit_code = 77
    status = "4.7.0"
    temporary = True


class ConfigError(Failure):
    """The configuration is missing, unreadable or wrong; `place` names file and line (EX_CONFIG)."""

    exit_code = 78
    status = "4.3.5"
    temporary = True


class NoConfig(ConfigError):
    """There is no configuration file at all."""

def internal(error: BaseException) -> SoftwareError:
    """Return the failure that stands for a bug. What is in variables stays out of it, since it may be secret."""
    trace = error.__traceback__
    where = "start"
    while trace is not None:
        where = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return SoftwareError(f"internal error ({type(error).__name__} at {where}), please report it")
