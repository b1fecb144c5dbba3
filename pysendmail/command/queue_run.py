"""Run the queue: `sendmail -q` for all or some of it, and what a caller leaves behind who wants to wait for nothing."""

import gc
import os

from pysendmail import errors
from pysendmail.command.console import complain, show, write
from pysendmail.command.identity import Caller, mail_domain
from pysendmail.command.queueing import open_queue, settings_of
from pysendmail.config import accounts, credentials, reader
from pysendmail.delivery.session import Route
from pysendmail.log import Log, printable
from pysendmail.queue.location import Missing
from pysendmail.queue.runner import Runner, Way
from pysendmail.queue.values import Select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.config.accounts import Account
    from pysendmail.config.reader import File
    from pysendmail.options import Options
    from pysendmail.queue.report import RoundReport
    from pysendmail.queue.settings import Routes

_PROGRESS_AFTER = 1.0  # seconds


def run_queue(options: "Options", program: str, file: "File", account: "Account") -> int:
    """Do one round of the account's queue and return 0 if it ran. Raises Failure if the queue cannot be used."""
    try:
        store = open_queue(account, create=False)
    except Missing:
        return 0
    gc.enable()  # there may be any number of messages
    try:
        runner = Runner(
            store,
            ways(Caller(), file, verbose=options.verbose, ask=True),
            log=Log(account.syslog, account.logfile),
            keepfailed=account.keepfailed,
        )
        meter = _Meter(program) if os.isatty(2) else None
        report = runner.round(selection(options), due_only=False, progress=meter.show if meter else None)
        if meter is not None:
            meter.end()
    finally:
        store.close()
    for trouble in report.troubles:
        complain(program, f"{trouble.failure}; its messages wait")
    if report.failure is not None:
        raise report.failure
    return 0


def leave_runner(account: "Account", file: "File", qids: list[str]) -> int:
    """Leave a detached child that delivers these messages, and return its pid, 0 if there is none.

    It owes nobody an answer, since the messages are in the queue.
    """
    try:
        if pid := os.fork():
            return pid
    except OSError:
        return 0  # the next run of the queue delivers it
    try:
        os.setsid()
        nothing = os.open("/dev/null", os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        os.chdir("/")
        store = open_queue(account, create=False)
        log = Log(account.syslog, account.logfile)
        runner = Runner(store, ways(Caller(), file, verbose=False, ask=False), log=log, keepfailed=account.keepfailed)
        runner.round(Select(qids=qids), due_only=False)
        store.close()
    except errors.Failure as failure:
        from time import time

        text = f"{qids[0]}: not delivered in the background: {printable(str(failure))}"
        Log(account.syslog, account.logfile).write("qmgr", text, time(), warning=True)
    finally:
        os._exit(0)


def ways(caller: Caller, file: "File", *, verbose: bool, ask: bool) -> "Routes":
    """Return what finds the way for the messages of an account and a configuration.

    "" stands for `file`, the configuration of whoever runs the queue. `ask` permits a question on the terminal.
    """

    def way(name: str, config: str) -> Way:
        its = reader.load(config, uid=caller.uid, home=caller.home) if config else file
        account, _ = accounts.choose(its, account=os.fsencode(name) if name else None)

        def route() -> Route:
            found = credentials.find(account, home=caller.home or None, environ=os.environ, tty=ask)
            return Route(account, found, show if verbose else None)

        return Way(settings_of(account, mail_domain(account), its), route, _logs(account))

    return way


def _logs(account: "Account") -> "Callable[[str], Log]":
    return lambda tag: Log(account.syslog, account.logfile, tag or "pysendmail")


def selection(options: "Options") -> Select | None:
    """Return which messages the options -qI, -qR and -qS mean, None for all of them."""
    if not options.selections:
        return None
    chosen = Select()
    for letter, negated, pattern in options.selections:
        target = Select() if negated else chosen
        if letter == "I":
            target.qids = [*(target.qids or []), pattern.decode("ascii", "replace").upper()]
        elif letter == "R":
            target.recipient = pattern
        elif letter == "S":
            target.sender = pattern
        else:
            raise errors.UsageError(f"-q{letter} is not offered; -qI, -qR and -qS choose messages")
        if negated:
            chosen.excluded.append(target)
    return chosen


class _Meter:
    """One line on a terminal that says how far a round has come, once that takes long enough to be asked."""

    __slots__ = ("_program", "_shown", "_since")

    def __init__(self, program: str) -> None:
        from time import monotonic

        self._program = program
        self._since = monotonic()
        self._shown = False

    def show(self, report: "RoundReport") -> None:
        from time import monotonic

        if self._shown or monotonic() >= self._since + _PROGRESS_AFTER:
            self._shown = True
            done = f"{report.done} of {max(report.total, report.done)} recipients, {report.sent} sent"
            write(2, f"\r{self._program}: {done}\x1b[K")

    def end(self) -> None:
        """Leave the line as it is."""
        if self._shown:
            write(2, "\n")
