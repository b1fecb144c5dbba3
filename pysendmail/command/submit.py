"""Deliver the message on standard input now, and tell the truth by the exit code."""

import os
from time import monotonic, time

from pysendmail import entry, errors
from pysendmail.command import console
from pysendmail.command.compose import choose_account, compose, intake_lines, log_tag
from pysendmail.command.identity import Caller, forbid_core_dumps, mail_domain
from pysendmail.command.intake import Message, read_message, read_pieces
from pysendmail.config import accounts, reader
from pysendmail.delivery import interruption
from pysendmail.log import Log, printable, queue_id
from pysendmail.message.body import BodyWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.compose import Composed
    from pysendmail.command.envelope import Envelope
    from pysendmail.command.main import Call
    from pysendmail.command.queueing import Submitted
    from pysendmail.config.accounts import Account
    from pysendmail.config.reader import File
    from pysendmail.delivery.deliver import Report
    from pysendmail.delivery.parcel import Parcel
    from pysendmail.options import Options
    from pysendmail.queue.store import Store


def submit(options: "Options", call: "Call") -> int:
    """Read, prepare and deliver one message; return the exit code. Raises Failure when nothing was sent to anybody."""
    if not call.stdin_open:
        raise errors.NoInput("standard input is closed; nothing was sent")
    caller = Caller()
    expected = options.config is None and entry.is_expected(caller.uid)
    try:
        file = configuration(options, caller)
    except errors.NoConfig:
        raise  # then no daemon can be expected either
    except errors.ConfigError as failure:
        if not expected:
            raise
        from pysendmail.command import remote

        return remote.insist(call, read_pieces(0, options.ignore_dots, call.taken), failure)
    started = monotonic()
    copy = BodyWriter() if expected else None
    try:
        message = read_message(0, options.ignore_dots, call.taken, copy)
    except errors.Failure as failure:
        _log_unread(file, options, caller, call.program, failure)
        raise
    chosen = choose_account(file, options, caller, message)
    submission = Submission(options, caller, file, chosen[0], started, call.program)
    try:
        report = submission.take(message, chosen)
    except NoSecret as missing:
        if copy is None:
            raise missing.failure from None
        from pysendmail.command import remote

        return remote.insist(call, copy.finish().chunks(), missing.failure)
    if file.written is not None and file.written.agent and options.config is None:
        from pysendmail.command import agent

        agent.start_detached(file, caller)
    if report is None:
        if submission.background:
            from pysendmail.command.queue_run import leave_runner

            submission.close()
            leave_runner(chosen[0], file, [submission.qid])
        return 0
    from pysendmail.command import result

    code = result.exit_code(report.outcomes)
    try:
        if options.errors != "q":
            result.tell(call.program, report)
    except Exception as error:
        submission.complain_of(error)
    return code


def configuration(options: "Options", caller: Caller) -> "File":
    """Read the configuration that holds for this caller. Raises ConfigError, or NoPermission for a -C that is not his."""
    forbid_core_dumps()
    xdg = os.environ.get("XDG_CONFIG_HOME")
    name = accounts.find_file(options.config, home=caller.home, xdg=xdg, uid=caller.uid)
    return reader.load(name, uid=caller.uid, home=caller.home)


def _log_unread(
    file: "File", options: "Options", caller: Caller, program: str, failure: errors.Failure
) -> None:
    """Write to the log of the account that would hold why there is no message."""
    try:
        account, _ = choose_account(file, options, caller, None)
    except errors.Failure:
        return  # the system log gets the line
    Submission(options, caller, file, account, monotonic(), program).log_failure(failure)


class NoSecret(Exception):
    """There is no password to be had; `failure` says why. Nothing was sent."""

    def __init__(self, failure: errors.ConfigError) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Submission:
    """One message on its way: options, caller, account, id and log.

    `background` says that somebody has to be left behind who delivers what was queued. A process that ends at once need
    not `close` it: the last one to close a queue does work that others can do. `tty`: the password may be asked for.
    """

    __slots__ = (
        "_account", "_caller", "_file", "_log", "_now", "_options", "_program", "_started", "_store", "background",
        "qid", "tty",
    )  # fmt: skip

    def __init__(
        self, options: "Options", caller: Caller, file: "File", account: "Account", started: float, program: str
    ) -> None:
        self._file = file
        self._options = options
        self._caller = caller
        self._account = account
        self._started = started
        self._program = program
        self._now = time()
        self._log = Log(account.syslog, account.logfile, log_tag(options))
        self._store: Store | None = None
        self.qid = queue_id(self._now, os.getpid())
        self.background = False
        self.tty = True

    def note(self, part: str, text: str, warning: bool = False) -> None:
        """Write a line of the log about this message."""
        self._log.write(part, f"{self.qid}: {text}", self._now, warning)

    def log_failure(self, failure: errors.Failure) -> None:
        """Write why the message goes nowhere."""
        self.note("submit", f"fatal: uid={self._caller.uid}: {printable(str(failure))}", warning=True)
        failure.logged = True

    def close(self) -> None:
        """Close the queue, if it was opened."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def complain_of(self, error: Exception) -> None:
        """Say that an outcome could not be told; since it is settled, that must not have the message sent again."""
        text = f"internal error ({type(error).__name__}) in telling the outcome; please report it"
        console.complain(self._program, text)

    def take(
        self, message: Message, chosen: "tuple[Account, str]", envelope: "Envelope | None" = None
    ) -> "Report | None":
        """Queue the message, or deliver it now and queue whom that leaves; return the outcomes of all if none is queued.

        `envelope` is as in compose. Raises Failure, with a line in the log, or NoSecret when nothing was sent to anybody.
        """
        try:
            composed = compose(
                self._options, self._caller, self._file, message,
                now=self._now, qid=self.qid, chosen=chosen, envelope=envelope,
            )  # fmt: skip
            for part, text in intake_lines(composed, self._options, self._caller.uid):
                self.note(part, text)
            mode = self._options.delivery or self._account.delivery
            if self._account.queue is None or mode == "i" or composed.bad:
                return self._deliver(composed)
            self._queue(composed.parcel)
            self.background = mode == "b"
        except errors.Failure as failure:
            self.log_failure(failure)
            raise
        except NoSecret as missing:
            self.log_failure(missing.failure)
            raise
        return None

    def _deliver(self, composed: "Composed") -> "Report | None":
        """Deliver now; whom that leaves goes into the queue if there is one."""
        from pysendmail.command import result
        from pysendmail.config import credentials
        from pysendmail.delivery.deliver import deliver
        from pysendmail.delivery.session import Route

        account, parcel = self._account, composed.parcel
        intake = monotonic() - self._started
        try:
            secret = credentials.find(account, home=self._caller.home or None, environ=os.environ, tty=self.tty)
        except errors.ConfigError as failure:
            raise NoSecret(failure) from failure
        report = deliver(parcel, Route(account, secret, console.show if self._options.verbose else None))
        left = account.queue is not None and not composed.bad and self._keep_rest(parcel, report)
        if not left:
            _add_skipped(report, composed)
        try:
            result.record(self._log, self.qid, parcel, report, intake, self._now, left=left)
        except Exception as error:
            self.complain_of(error)
        return None if left else report

    def _queue(self, parcel: "Parcel") -> None:
        """Commit the whole message."""
        from pysendmail.command import queueing

        self._store = queueing.open_queue(self._account)
        interruption.hold()  # from here on nobody could tell whether the message was committed
        queueing.commit(self._store, self._submitted(parcel))
        self.note("cleanup", "queued")

    def _keep_rest(self, parcel: "Parcel", report: "Report") -> bool:
        """Queue whom the first attempt has left, and reports; tell whether there was anything, and room for it."""
        from pysendmail.smtp.outcome import FAILED, SENT

        mail_back = self._options.mail_back
        if all(outcome.state == SENT or (outcome.state == FAILED and not mail_back) for outcome in report.outcomes):
            return False
        from pysendmail.command import queueing

        interruption.hold()
        try:
            settings = queueing.settings_of(self._account, mail_domain(self._account))
            self._store = queueing.open_queue(self._account)
            return queueing.keep_rest(self._store, self._submitted(parcel), report, settings, time(), mail_back)
        except errors.Failure as failure:  # the first attempt tells more: who was served, and why the others were not
            self.log_failure(failure)
            if self._options.errors != "q":
                console.complain(self._program, str(failure))
            return False

    def _submitted(self, parcel: "Parcel") -> "Submitted":
        from pysendmail.command.queueing import Submitted

        config = "" if self._options.config is None else os.path.abspath(os.fsdecode(self._options.config))
        return Submitted(
            parcel,
            qid=self.qid,
            uid=self._caller.uid,
            account=self._account.name,
            config=config,
            now=self._now,
            tag=self._log.tag,
        )


def _add_skipped(report: "Report", composed: "Composed") -> None:
    """Report the recipients that are no addresses among those that were refused."""
    from pysendmail.smtp.outcome import FAILED, Outcome

    for text, why in composed.bad:
        reason = f"no mail address: {why}".encode()
        report.outcomes.append(Outcome(text, FAILED, errors.DataError.exit_code, "5.1.3", reason, ""))
