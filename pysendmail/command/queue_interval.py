"""Run the queue at an interval (-q30m): a process that stays, in the background unless -qf asks otherwise.

Each round is of what is due. SIGTERM and SIGINT end the process after the messages in hand. SIGHUP has it read the
configuration again, between two rounds; one that is broken is noted in the log, and the old one holds on. Trouble with
the queue is noted as well, and ends nothing: the next round sees whether it is over. Several such processes, and any
other runner, may share a queue.
"""

import _signal
import gc
import os
from time import monotonic, time

from pysendmail import errors
from pysendmail.command.compose import choose_account
from pysendmail.command.identity import Caller
from pysendmail.command.queue_run import selection, ways
from pysendmail.command.queueing import open_queue
from pysendmail.command.submit import configuration
from pysendmail.delivery import interruption
from pysendmail.delivery.signals import Signals
from pysendmail.log import Log, printable
from pysendmail.queue.location import Missing
from pysendmail.queue.runner import Runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account
    from pysendmail.config.reader import File
    from pysendmail.options import Options
    from pysendmail.queue.store import Store

_ENDS = {_signal.SIGINT, _signal.SIGTERM}
_LONGEST_WAIT = 3600.0  # seconds; a longer interval is waited for in parts


def run_at_interval(options: "Options", file: "File", account: "Account") -> int:
    """Leave a process that runs the account's queue at the interval, or be it, and return 0.

    Raises Failure, before anything is left behind, for a selection that is not offered and a queue that cannot be used.
    """
    gc.enable()  # the process lives long
    selection(options)
    if options.config is not None:
        options.config = os.path.abspath(options.config)
    try:
        open_queue(account, create=False).close()
    except Missing:
        pass  # the first message makes it
    if not options.foreground and not _detach():
        return 0
    return _Watch(options, file, account).run()


def _detach() -> bool:
    """Go into the background; tell whether this is the process that did. Raises TempFail."""
    try:
        if os.fork():
            return False
    except OSError as error:
        raise errors.TempFail(f"no process for the queue can be started: {error.strerror}") from error
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    if nothing > 2:
        os.close(nothing)
    os.chdir("/")
    return True


class _Watch:
    """The rounds of one queue. The runner stays from one round to the next: it knows what `rate` leaves room for."""

    __slots__ = ("_account", "_file", "_options", "_place", "_runner", "_signals", "_store")

    def __init__(self, options: "Options", file: "File", account: "Account") -> None:
        self._options = options
        self._file = file
        self._account = account
        self._store: Store | None = None
        self._runner: Runner | None = None
        self._signals = Signals([_signal.SIGHUP, *_ENDS])
        self._place = (0, 0)

    def run(self) -> int:
        """Go from round to round until a signal asks for the end."""
        # Blocked, it waits for the pause between two rounds; where it was to be ignored it would be lost.
        _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGHUP})
        _signal.signal(_signal.SIGHUP, _signal.SIG_DFL)
        every = self._options.interval or 1
        self._write(f"runs {printable(str(self._account.queue))} every {every} seconds")
        try:
            while not interruption.pending():
                end = monotonic() + every
                self._round()
                if not interruption.pending():
                    self._wait(end)
        except errors.Interrupted:
            pass
        finally:
            self._close()
            self._signals.close()
        self._write("ended by a signal")
        return 0

    def _round(self) -> None:
        """Deliver what is due; all trouble goes to the log."""
        try:
            report = self._ready().round(selection(self._options), due_only=True)
            failure = report.failure
        except Missing:
            return
        except errors.Interrupted:
            raise
        except errors.Failure as trouble:
            failure = trouble
        except Exception as error:  # a bug; the next round may do without it
            failure = errors.internal(error)
        if failure is not None:
            self._write(f"the queue cannot be run: {printable(str(failure))}", warning=True)
            self._close()

    def _ready(self) -> Runner:
        """Return the runner; a new one where the queue is another file than it was."""
        path = str(self._account.queue)
        try:
            status = os.stat(path)
            place = (status.st_dev, status.st_ino)
        except OSError:
            place = (0, 0)
        if self._runner is None or place != self._place:
            self._close()
            self._store = open_queue(self._account, create=False)
            self._place = place
            self._runner = Runner(
                self._store,
                ways(Caller(), self._file, verbose=self._options.verbose, ask=False),
                log=self._log(),
                keepfailed=self._account.keepfailed,
            )
        return self._runner

    def _wait(self, end: float) -> None:
        """Wait until a time of the monotonic clock; a hang-up meanwhile has the configuration read again.

        All signals are blocked until they are waited for: one that comes just before the wait would not end it.
        Raises Interrupted.
        """
        _signal.pthread_sigmask(_signal.SIG_BLOCK, _ENDS)  # this acts on one that has come already
        try:
            while (left := end - monotonic()) > 0:
                for number in self._signals.wait(min(left, _LONGEST_WAIT)):
                    if number != _signal.SIGHUP:
                        raise errors.Interrupted(f"ended by signal {number}")
                    self._read_again()
        finally:
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _ENDS)

    def _read_again(self) -> None:
        try:
            caller = Caller()
            file = configuration(self._options, caller)
            account = choose_account(file, self._options, caller, None)[0]
            if account.queue is None:
                raise errors.ConfigError("the account has no queue any more")
        except errors.Interrupted:
            raise
        except errors.Failure as failure:
            self._write(f"the old configuration holds on: {printable(str(failure))}", warning=True)
            return
        self._close()
        self._file, self._account = file, account
        self._write("has read the configuration again")

    def _close(self) -> None:
        store, self._store, self._runner = self._store, None, None
        if store is not None:
            store.close()

    def _log(self) -> Log:
        return Log(self._account.syslog, self._account.logfile)

    def _write(self, text: str, warning: bool = False) -> None:
        self._log().write("qmgr", f"queue runner {os.getpid()}: {text}", time(), warning)
