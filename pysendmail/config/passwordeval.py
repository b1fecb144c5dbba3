"""Asking a command for the password: its first line of output, within a time limit.

The command runs under /bin/sh in a process group of its own, with /dev/null as input and no descriptor of ours but
standard error. posix_spawn does that in a quarter of the time that the module subprocess takes.
"""

import os
from time import monotonic

from pysendmail import errors
from pysendmail.config.secretfile import first_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    from collections.abc import Iterable, Mapping

SECONDS = 60.0
OUTPUT_LIMIT = 65536
_NOT_PASSED_ON = ("BASHOPTS", "BASH_ENV", "CDPATH", "ENV", "IFS", "SHELLOPTS")
_NOT_PASSED_ON_PREFIXES = ("BASH_FUNC_", "LD_", "PYTHON")
_TICK = 0.02  # how often a command is looked after where the system has no pidfd


def run(
    command: bytes, *, environ: "Mapping[str, str]", place: str, seconds: float = SECONDS, terminal: bool = False
) -> bytes:
    """Return the first line that `command` prints, without its line end.

    `terminal` lends it the terminal that we own, for commands that ask there. Raises TempFail where the command may
    work later (a locked key ring, an agent that does not run, a network), ConfigError where only a change of the
    configuration helps: no such command, or far more output than a password has. What it printed is never shown.
    """
    try:
        return _run(command, environ, place, seconds, terminal)
    except (OSError, ValueError) as error:
        raise errors.TempFail(f"the passwordeval command could not be run: {error}", place) from None


def _run(command: bytes, environ: "Mapping[str, str]", place: str, seconds: float, terminal: bool) -> bytes:
    import _signal

    _mend_sigchld()
    reader, writer = os.pipe()
    # A signal that ends us has to wait until there is somebody who ends the command as well.
    mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP])
    try:
        try:
            pid = _start(command, environ, writer)
        finally:
            os.close(writer)
        return _password(_Job(pid, reader, place), seconds, terminal, mask)
    finally:
        os.close(reader)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)


def _password(job: "_Job", seconds: float, terminal: bool, mask: "Iterable[int]") -> bytes:
    """Wait for the command to end, under the signal mask that held before it was started, and judge what it did."""
    import _signal

    lent = _lend_terminal(job.pid) if terminal else None
    try:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
        job.wait(seconds)
    finally:
        job.end()
        if lent is not None:
            _take_back(lent)
    _judge(job)
    line = first_line(bytes(job.output))
    if not line:
        raise errors.TempFail("the passwordeval command printed no password", job.place)
    return line


def _start(command: bytes, environ: "Mapping[str, str]", output: int) -> int:
    """Start the shell and return its process id, which is that of its process group too."""
    import _signal

    actions: list[tuple[int, int] | tuple[int, int, int] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
    ]
    actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in _descriptors()]
    return os.posix_spawn(
        "/bin/sh",
        [b"sh", b"-c", command],
        clean(environ),
        file_actions=actions,
        setpgroup=0,
        setsigmask=[],
        setsigdef=[_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGCHLD],
    )


def clean(environ: "Mapping[str, str]") -> dict[str, str]:
    """Return the environment without what makes a shell or a loader run other code than the command's."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _NOT_PASSED_ON and not name.startswith(_NOT_PASSED_ON_PREFIXES)
    }


def _descriptors() -> list[int]:
    """Return every open descriptor above standard error."""
    try:
        return [number for name in os.listdir("/proc/self/fd") if (number := int(name)) > 2]
    except OSError:
        return list(range(3, 256))


class _Job:
    """A running command: what it printed so far, and its exit status once it has ended (negative: the signal)."""

    __slots__ = ("_reader", "output", "pid", "place", "status")

    def __init__(self, pid: int, reader: int, place: str) -> None:
        self.pid = pid
        self.place = place
        self.output = bytearray()
        self.status: int | None = None
        self._reader = reader
        os.set_blocking(reader, False)

    def wait(self, seconds: float) -> None:
        """Gather output until the command ends. What it left running in the background is not waited for."""
        import select

        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        ended = _pidfd(self.pid)
        try:
            if ended is not None:
                poll.register(ended, select.POLLIN)
            self._watch(poll, monotonic() + seconds, None if ended is not None else _TICK, seconds)
        finally:
            if ended is not None:
                os.close(ended)

    def _watch(self, poll: "select.poll", deadline: float, tick: float | None, seconds: float) -> None:
        while self.status is None:
            left = deadline - monotonic()
            if left <= 0:
                raise errors.TempFail(f"the passwordeval command did not end within {seconds:g} seconds", self.place)
            ready = poll.poll(1000 * (left if tick is None else min(left, tick)) + 1)
            if any(fd == self._reader for fd, _ in ready) and self._take() == 0:
                poll.unregister(self._reader)
            self._reap(os.WNOHANG)
        while self._take():  # what came between the last look and the end
            pass

    def _take(self) -> int | None:
        """Read what is there and return its size: 0 at the end of the output, None where nothing is there yet."""
        try:
            data = os.read(self._reader, OUTPUT_LIMIT)
        except BlockingIOError:
            return None
        self.output += data
        if len(self.output) > OUTPUT_LIMIT:
            raise errors.ConfigError(f"the passwordeval command printed over {OUTPUT_LIMIT} octets", self.place)
        return len(data)

    def _reap(self, options: int) -> None:
        try:
            pid, status = os.waitpid(self.pid, options)
        except ChildProcessError:
            raise errors.TempFail("the exit status of the passwordeval command was lost", self.place) from None
        if pid:
            self.status = os.waitstatus_to_exitcode(status)

    def end(self) -> None:
        """Kill the command with all that it started, unless it has ended by itself."""
        import _signal

        if self.status is not None:
            return
        try:
            os.killpg(self.pid, _signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except OSError:
            pass  # it is gone already


def _judge(job: _Job) -> None:
    """Raise the failure that the exit status means; 126 and 127 are the shell's words for "no such command"."""
    status = job.status or 0
    if status in (126, 127):
        raise errors.ConfigError(f"the passwordeval command cannot be run (exit status {status})", job.place)
    if status > 0:
        raise errors.TempFail(f"the passwordeval command failed with exit status {status}", job.place)
    if status < 0:
        raise errors.TempFail(f"the passwordeval command was killed by signal {-status}", job.place)


def _pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends, or None where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _mend_sigchld() -> None:
    """Take back an inherited "ignore" for SIGCHLD: with it, exit statuses vanish."""
    import _signal

    try:
        if _signal.getsignal(_signal.SIGCHLD) == _signal.SIG_IGN:
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    except ValueError:
        pass  # only the main thread may; the program's start has done it


def _lend_terminal(group: int) -> int | None:
    """Make the command's process group the one that may read the terminal, as a shell does; return the terminal."""
    import _signal

    try:
        tty = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if os.tcgetpgrp(tty) == os.getpgrp():
            os.tcsetpgrp(tty, group)
            os.killpg(group, _signal.SIGCONT)  # it may have asked, and been stopped, before its turn
            return tty
    except OSError:
        pass
    os.close(tty)
    return None


def _take_back(tty: int) -> None:
    """Make our own process group the terminal's again."""
    import _signal

    old = _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGTTOU])  # else this very call would stop us
    try:
        os.tcsetpgrp(tty, os.getpgrp())
    except OSError:
        pass
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, old)
        os.close(tty)
