"""The daemon's parent: it holds the sockets, starts accept and deliver, and sees to it that there is always one of each.

It does no work of its own that could fail: all it waits for are signals and the clock. A child that ends is replaced at
once, one that ends again within seconds after a pause that grows. After SIGHUP children with the new configuration start
beside the old ones, which end once the new ones serve; with a configuration that is wrong everything stays as it was.
SIGTERM ends all: the children finish what they have in hand, and are killed when that takes too long.
"""

import _signal
import errno
import os
from time import monotonic

from pysendmail import errors
from pysendmail.daemon import child
from pysendmail.daemon.offspring import ACCEPT, DELIVER, ROLES, Child
from pysendmail.daemon.setup import IDLE
from pysendmail.delivery.signals import Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.daemon.ground import Ground

    Runs = dict[str, "child.Run"]

SIGNALS = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGCHLD)
_LOOK = 10.0  # seconds between two looks at the children
_STARTING = 0.05  # while one of them is not up yet
_ENDING = 0.5  # while one of them is to end
_QUICK_DEATH = 5.0  # a child that lived no longer has to wait before it is replaced
_LONGEST_PAUSE = 30.0
_KILLED_AT_START = 3  # children that somebody may kill before the daemon gives up that was never up


class Supervisor:
    """The two children and those that they replace. `ground` is what they stand on, `runs` what they do."""

    __slots__ = (
        "_code", "_current", "_due", "_ground", "_news", "_old", "_quick", "_runs", "_signals", "_started", "_stopping",
        "_tell_up", "_wake",
    )  # fmt: skip

    def __init__(self, ground: "Ground", runs: "Runs", tell_up: "Callable[[], None]") -> None:
        """`tell_up` is called once, when both children serve for the first time."""
        self._ground = ground
        self._runs = runs
        self._tell_up = tell_up
        self._current: dict[str, Child] = {}
        self._old: list[Child] = []
        self._due = dict.fromkeys(ROLES, 0.0)
        self._quick = dict.fromkeys(ROLES, 0)
        self._started = False
        self._stopping = False
        self._code = 0
        self._signals = Signals(SIGNALS)
        self._wake = _pipe()
        self._news = _pipe()

    def run(self) -> int:
        """Keep the children going until a signal or idleness ends the daemon; return the exit code."""
        while True:
            self._look()
            if self._stopping and not self._current and not self._old:
                return self._code
            for number in self._signals.wait(self._patience()):
                self._heed(number)

    def _patience(self) -> float:
        now = monotonic()
        alive = [*self._current.values(), *self._old]
        looks = [_LOOK if self._ground.notifier.every is None else min(_LOOK, self._ground.notifier.every)]
        if any(one.ending for one in alive):
            looks.append(_ENDING)
        if not all(one.up or one.ending for one in alive):
            looks.append(_STARTING)
        if not self._stopping:
            looks += [max(0.0, self._due[role] - now) for role in ROLES if role not in self._current]
        return min(looks)

    def _heed(self, number: int) -> None:
        if number == _signal.SIGHUP:
            if not self._stopping:
                self._reload()
        elif number != _signal.SIGCHLD:
            self._stop("Ending")

    def _look(self) -> None:
        """See to what is due: the dead, those that do not answer, those that are missing."""
        self._reap()
        now = monotonic()
        for one in [*self._current.values(), *self._old]:
            one.listen(now)
            fate = one.overdue(now)
            if fate:
                self._ground.log(f"{one} {fate} and is killed", warning=True)
                one.kill(now)
        self._hand_over()
        if not self._stopping:
            for role in ROLES:
                if role not in self._current and now >= self._due[role]:
                    self._spawn(role, now)
        if not self._stopping and len(self._current) == len(ROLES) and all(one.up for one in self._current.values()):
            self._serve(now)

    def _serve(self, now: float) -> None:
        """Tell those who want to hear it that both children are there."""
        if not self._started:
            self._started = True
            self._ground.log("started")
            self._tell_up()
            self._ground.notifier.ready(self._ground.status())
        if all(one.is_well(now) for one in self._current.values()):
            self._ground.watchdog(now)

    def _hand_over(self) -> None:
        """Tell those that were replaced to end, once their successors serve."""
        for one in self._old:
            heir = self._current.get(one.role)
            if not one.ending and heir is not None and heir.up:
                one.end()
        if not self._old or all(one.ending for one in self._old):
            self._ground.drop_unwanted()

    def _spawn(self, role: str, now: float) -> None:
        """Start a child. Where the system cannot do that now, it is tried again after a pause."""
        try:
            self._current[role] = self._fork(role, now)
        except OSError as error:
            self._pause(role, now, max(1, self._quick[role]))
            self._ground.log(f"{role} cannot be started now: {error.strerror}", warning=True)
            if not self._started and error.errno not in (errno.EAGAIN, errno.ENOMEM):
                self._fail(errors.TempFail.exit_code, f"{role} cannot be started: {error.strerror}")

    def _fork(self, role: str, now: float) -> Child:
        reader, writer = os.pipe()
        try:
            os.set_blocking(reader, False)
            os.set_blocking(writer, False)
            setup = self._ground.setup()
            setup.pulse = writer
            setup.wake = self._wake[role == ACCEPT]
            setup.news = self._news[role == DELIVER]
            if role == ACCEPT:
                setup.sockets = self._ground.sockets()
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                child.live(role, self._runs[role], setup, self._ground.found, self._ground.user, parent)
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return Child(role, pid, reader, now)

    def _reap(self) -> None:
        """Look after every process that has ended; as the first process of a container that may be any."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for one in [*self._current.values(), *self._old]:
                if one.pid == pid:
                    self._bury(one, os.waitstatus_to_exitcode(status))

    def _bury(self, one: Child, code: int) -> None:
        """Take note that a child has ended, and see to a new one where one is missing now."""
        now = monotonic()
        one.listen(now)
        one.close()
        _poke(self._wake[1])
        current = self._current.get(one.role) is one
        if current:
            del self._current[one.role]
        else:
            self._old.remove(one)
        if self._stopping or not current:
            if code not in (0, -_signal.SIGTERM):  # the latter has not come as far as to care about it
                self._ground.log(f"{one} ended {_how(code)}{one.reason()}", warning=True)
        elif one.role == ACCEPT and code == IDLE:
            self._end_idle(now)
        elif not self._started and not one.up and (code >= 0 or self._quick[one.role] >= _KILLED_AT_START):
            self._fail(code if code > 0 else errors.TempFail.exit_code, one.said or f"{one} ended {_how(code)}")
        else:
            self._replace(one, code, now)

    def _replace(self, one: Child, code: int, now: float) -> None:
        """Have a new child started: at once, but after a pause if one after the other lives for seconds only."""
        if now - one.started >= _QUICK_DEATH:
            self._quick[one.role] = 0
        self._pause(one.role, now, self._quick[one.role])
        wait = self._due[one.role] - now
        again = f"in {wait:g} s" if wait else "at once"
        self._ground.log(f"{one} ended {_how(code)}{one.reason()}; another one starts {again}", warning=True)

    def _pause(self, role: str, now: float, deaths: int) -> None:
        self._quick[role] = deaths + 1
        self._due[role] = now + (min(_LONGEST_PAUSE, 2.0 ** min(deaths - 1, 9)) if deaths else 0.0)

    def _end_idle(self, now: float) -> None:
        """End the daemon after it had nothing to do, unless somebody came at the last moment."""
        if self._ground.close_unless_waiting():
            self._stop("Idle")
        else:
            self._due[ACCEPT] = now

    def _stop(self, status: str) -> None:
        """Have all children end; a second signal has them hurry."""
        if not self._stopping:
            self._ground.notifier.stopping(status)
            self._ground.log("ending" if status != "Idle" else "ending, having been idle")
            if ACCEPT in self._current and self._started:
                self._ground.admit_last()
        self._stopping = True
        for one in [*self._current.values(), *self._old]:
            one.end()

    def _fail(self, code: int, text: str) -> None:
        """Give up before the daemon was ever up."""
        self._code = code
        self._ground.complain(text)
        self._stop(text)

    def _reload(self) -> None:
        """Take the configuration as it is now, unless it is wrong."""
        notifier = self._ground.notifier
        notifier.reloading()
        try:
            self._ground.renew()
        except errors.Failure as failure:
            self._ground.log(f"the configuration stays as it was: {failure}", warning=True)
            notifier.ready(f"The configuration was not read anew: {failure}")
            return
        self._ground.log("the configuration was read anew")
        now = monotonic()
        for one in list(self._current.values()):
            (self._old.append(one) if one.up else self._dismiss(one))
            del self._current[one.role]
        self._due = dict.fromkeys(ROLES, now)
        self._quick = dict.fromkeys(ROLES, 0)
        notifier.ready(self._ground.status())

    def _dismiss(self, one: Child) -> None:
        """End a child that was replaced before it ever served."""
        self._old.append(one)
        one.end()


def block_signals() -> None:
    """Let signals wait until `Supervisor.run` looks for them."""
    _signal.pthread_sigmask(_signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        _signal.signal(number, _signal.SIG_DFL)  # an ignored one would never arrive, and nobody could be reaped


def restore_signals() -> None:
    """Let signals act at once again."""
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, SIGNALS)


def _pipe() -> tuple[int, int]:
    """Return a pipe that never blocks."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    return reader, writer


def _poke(fd: int) -> None:
    try:
        os.write(fd, b".")
    except BlockingIOError:
        pass  # there are more than enough already


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"
