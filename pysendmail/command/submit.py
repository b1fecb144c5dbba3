"""Deliver the message on standard input now, and tell the truth by the exit code."""

import os
from time import monotonic, time

from pysendmail import errors, handover
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
    from pysendmail.command.main import Call
    from pysendmail.command.queueing import Submitted
    from pysendmail.config.accounts import Account
    from pysendmail.config.reader import File
    from pysendmail.delivery.deliver import Report
    from pysendmail.delivery.parcel import Parcel
    from pysendmail.options import Options


def submit(options: "Options", call: "Call") -> int:
    """Read, prepare and deliver one message; return the exit code. Raises Failure when nothing was sent to anybody."""
    if not call.stdin_open:
        raise errors.NoInput("standard input is closed; nothing was sent")
    caller = Caller()
    expected = options.config is None and handover.is_expected(caller.uid)
    try:
        file = configuration(options, caller)
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
        _log_unread(file, options, caller, failure)
        raise
    chosen = choose_account(file, options, caller, message)
    submission = _Submission(options, caller, file, chosen[0], started)
    try:
        return submission.run(message, call, chosen, copy)
    except errors.Failure as failure:
        submission.log_failure(failure)
        raise


def configuration(options: "Options", caller: Caller) -> "File":
    """Read the configuration that holds for this caller. Raises ConfigError, or NoPermission for a -C that is not his."""
    forbid_core_dumps()
    xdg = os.environ.get("XDG_CONFIG_HOME")
    name = accounts.find_file(options.config, home=caller.home, xdg=xdg, uid=caller.uid)
    return reader.load(name, uid=caller.uid, home=caller.home)


def _log_unread(file: "File", options: "Options", caller: Caller, failure: errors.Failure) -> None:
    """Write to the log of the account that would hold why there is no message."""
    try:
        account, _ = choose_account(file, options, caller, None)
    except errors.Failure:
        return  # the system log gets the line
    _Submission(options, caller, file, account, monotonic()).log_failure(failure)


class _Submission:
    """One message on its way: options, caller, account, id and log."""

    __slots__ = ("_account", "_caller", "_file", "_log", "_now", "_options", "_qid", "_started")

    def __init__(self, options: "Options", caller: Caller, file: "File", account: "Account", started: float) -> None:
        self._file = file
        self._options = options
        self._caller = caller
        self._account = account
        self._started = started
        self._now = time()
        self._qid = queue_id(self._now, os.getpid())
        self._log = Log(account.syslog, account.logfile, log_tag(options))

    def note(self, part: str, text: str, warning: bool = False) -> None:
        """Write a line of the log about this message."""
        self._log.write(part, f"{self._qid}: {text}", self._now, warning)

    def log_failure(self, failure: errors.Failure) -> None:
        """Write why the message goes nowhere."""
        self.note("submit", f"fatal: uid={self._caller.uid}: {printable(str(failure))}", warning=True)
        failure.logged = True

    def run(
        self, message: Message, call: "Call", chosen: "tuple[Account, str]", copy: "BodyWriter | None" = None
    ) -> int:
        """Deliver or queue the message and return the exit code.

        `copy` holds it as it came, for a daemon that should be there, and is needed if there is no password to be had.
        """
        account, options = self._account, self._options
        composed = compose(options, self._caller, self._file, message, now=self._now, qid=self._qid, chosen=chosen)
        for part, text in intake_lines(composed, options, self._caller.uid):
            self.note(part, text)
        if account.queue is not None and (options.delivery or account.delivery) != "i" and not composed.bad:
            return self._queue(composed.parcel)
        return self._deliver(composed, call, copy)

    def _deliver(self, composed: "Composed", call: "Call", copy: "BodyWriter | None") -> int:
        """Deliver now; whom that leaves goes into the queue if there is one."""
        from pysendmail.command import result
        from pysendmail.config import credentials
        from pysendmail.delivery.deliver import deliver
        from pysendmail.delivery.session import Route

        account, options, parcel = self._account, self._options, composed.parcel
        intake = monotonic() - self._started
        try:
            secret = credentials.find(account, home=self._caller.home or None, environ=os.environ, tty=True)
        except errors.ConfigError as failure:
            if copy is None:
                raise
            from pysendmail.command import remote

            return remote.insist(call, copy.finish().chunks(), failure)
        report = deliver(parcel, Route(account, secret, console.show if options.verbose else None))
        if account.queue is not None and not composed.bad and self._keep_rest(parcel, report, call.program):
            result.record(self._log, self._qid, parcel, report, intake, self._now, left=True)
            return 0
        _add_skipped(report, composed)
        code = result.exit_code(report.outcomes)
        try:
            result.record(self._log, self._qid, parcel, report, intake, self._now)
            if options.errors != "q":
                result.tell(call.program, report)
        except Exception as error:
            # What became of the message is settled; that it cannot be told must not have it sent again.
            text = f"internal error ({type(error).__name__}) in telling the outcome; please report it"
            console.complain(call.program, text)
        return code

    def _queue(self, parcel: "Parcel") -> int:
        """Commit the whole message; in the background mode somebody is left behind to deliver it."""
        from pysendmail.command import queueing

        store = queueing.open_queue(self._account)
        interruption.hold()  # from here on nobody could tell whether the message was committed
        queueing.commit(store, self._submitted(parcel))
        self.note("cleanup", "queued")
        if (self._options.delivery or self._account.delivery) == "b":
            store.close()
            from pysendmail.command.queue_run import leave_runner

            leave_runner(self._account, self._file, self._qid)
        return 0

    def _keep_rest(self, parcel: "Parcel", report: "Report", program: str) -> bool:
        """Queue whom the first attempt has left; tell whether there was anybody, and room for him."""
        from pysendmail.smtp.outcome import FAILED, SENT

        if all(outcome.state in (SENT, FAILED) for outcome in report.outcomes):
            return False
        from pysendmail.command import queueing

        interruption.hold()
        try:
            store = queueing.open_queue(self._account)
            settings = queueing.settings_of(self._account, mail_domain(self._account))
            return queueing.keep_rest(store, self._submitted(parcel), report, settings, time())
        except errors.Failure as failure:  # the first attempt tells more: who was served, and why the others were not
            self.log_failure(failure)
            if self._options.errors != "q":
                console.complain(program, str(failure))
            return False

    def _submitted(self, parcel: "Parcel") -> "Submitted":
        from pysendmail.command.queueing import Submitted

        config = "" if self._options.config is None else os.path.abspath(os.fsdecode(self._options.config))
        return Submitted(
            parcel,
            qid=self._qid,
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
