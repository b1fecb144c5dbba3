"""Deliver the message on standard input now, and tell the truth by the exit code."""

import os
from time import monotonic, time

from pysendmail import entry, errors
from pysendmail.command import console
from pysendmail.command.compose import choose_account, compose_all, intake_lines, log_tag
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
    from pysendmail.delivery.session import Route
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
        reports = submission.take(message, chosen)
    except NoSecret as missing:
        if copy is None:
            raise missing.failure from None
        from pysendmail.command import remote

        return remote.insist(call, copy.finish().chunks(), missing.failure)
    if file.written is not None and file.written.agent and options.config is None:
        from pysendmail.command import agent

        agent.start_detached(file, caller)
    if reports is None:
        if submission.background:
            from pysendmail.command.queue_run import leave_runner

            submission.close()
            leave_runner(submission.account, file, submission.qids)
        return 0
    from pysendmail.command import result

    code = result.exit_code([outcome for report in reports for outcome in report.outcomes])
    try:
        if options.errors != "q":
            result.tell(call.program, result.groups_of(reports))
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

    `account` is the one whose words `queue` and `delivery` hold, also where parts of the message have others; `qids` are
    the ids of the parts, the first of them `qid`. `background` says that somebody has to be left behind who delivers what
    was queued. A process that ends at once need not `close` it: the last one to close a queue does work that others can
    do. `tty`: the password may be asked for.
    """

    __slots__ = (
        "_caller", "_file", "_log", "_now", "_options", "_program", "_started", "_store", "account", "background", "qid",
        "qids", "tty",
    )  # fmt: skip

    def __init__(
        self, options: "Options", caller: Caller, file: "File", account: "Account", started: float, program: str
    ) -> None:
        self._file = file
        self._options = options
        self._caller = caller
        self._started = started
        self._program = program
        self._now = time()
        self._log = self._log_of(account)
        self._store: Store | None = None
        self.account = account
        self.qid = queue_id(self._now, os.getpid())
        self.qids = [self.qid]
        self.background = False
        self.tty = True

    def log_failure(self, failure: errors.Failure) -> None:
        """Write why the message goes nowhere."""
        text = f"fatal: uid={self._caller.uid}: {printable(str(failure))}"
        self._log.write("submit", f"{self.qid}: {text}", self._now, warning=True)
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
    ) -> "list[Report] | None":
        """Queue the message, or deliver it now and queue whom that leaves; return the outcomes of all if none is queued.

        There is a report for each part. `envelope` is as in compose. Raises Failure, with a line in the log, or NoSecret
        when nothing was sent to anybody.
        """
        try:
            parts = compose_all(
                self._options, self._caller, self._file, message,
                now=self._now, qid=self.qid, chosen=chosen, envelope=envelope,
            )  # fmt: skip
            self.qids = [part.qid for part in parts]
            if self.account is not parts[0].base:
                self.account = parts[0].base
                self._log = self._log_of(self.account)
            for part in parts:
                self._note_all(part, intake_lines(part, self._options, self._caller.uid))
            mode = self._options.delivery or self.account.delivery
            if self.account.queue is None or mode == "i" or parts[0].bad:
                return self._deliver(parts)
            self._queue(parts)
            self.background = mode == "b"
        except errors.Failure as failure:
            self.log_failure(failure)
            raise
        except NoSecret as missing:
            self.log_failure(missing.failure)
            raise
        return None

    def _log_of(self, account: "Account") -> Log:
        return Log(account.syslog, account.logfile, log_tag(self._options))

    def _log_for(self, part: "Composed") -> Log:
        return self._log if part.account is self.account else self._log_of(part.account)

    def _note_all(self, part: "Composed", lines: list[tuple[str, str]]) -> None:
        """Write lines of the log about a part of this message."""
        log = self._log_for(part)
        for component, text in lines:
            log.write(component, f"{part.qid}: {text}", self._now)

    def _deliver(self, parts: "list[Composed]") -> "list[Report] | None":
        """Deliver now, one part after the other; whom that leaves goes into the queue if there is one."""
        from pysendmail.command import result
        from pysendmail.delivery.deliver import deliver

        intake = monotonic() - self._started
        reports = [deliver(part.parcel, route) for part, route in zip(parts, self._routes(parts), strict=True)]
        left = self.account.queue is not None and not parts[0].bad and self._keep_rest(parts, reports)
        if not left:
            _add_skipped(reports[0], parts[0])
        try:
            for part, report in zip(parts, reports, strict=True):
                result.record(self._log_for(part), part.qid, part.parcel, report, intake, self._now, left=left)
        except Exception as error:
            self.complain_of(error)
        return None if left else reports

    def _routes(self, parts: "list[Composed]") -> "list[Route]":
        """Return the way of each part; all passwords are found before anything is sent. Raises NoSecret."""
        from pysendmail.config import credentials
        from pysendmail.delivery.session import Route

        found: dict[str, Route] = {}
        for account in [part.account for part in parts]:
            if account.name in found:
                continue
            try:
                secret = credentials.find(account, home=self._caller.home or None, environ=os.environ, tty=self.tty)
            except errors.ConfigError as failure:
                raise NoSecret(failure) from failure
            found[account.name] = Route(account, secret, console.show if self._options.verbose else None)
        return [found[part.account.name] for part in parts]

    def _queue(self, parts: "list[Composed]") -> None:
        """Commit the whole message."""
        from pysendmail.command import queueing

        self._store = queueing.open_queue(self.account)
        interruption.hold()  # from here on nobody could tell whether the message was committed
        queueing.commit(self._store, [self._submitted(part) for part in parts])
        for part in parts:
            self._note_all(part, [("cleanup", "queued")])

    def _keep_rest(self, parts: "list[Composed]", reports: "list[Report]") -> bool:
        """Queue whom the first attempt has left, and reports; tell whether there was anything, and room for it."""
        from pysendmail.smtp.outcome import FAILED, SENT

        mail_back = self._options.mail_back
        outcomes = [outcome for report in reports for outcome in report.outcomes]
        if all(outcome.state == SENT or (outcome.state == FAILED and not mail_back) for outcome in outcomes):
            return False
        from pysendmail.command import queueing

        interruption.hold()
        try:
            attempted = [
                queueing.Attempted(
                    self._submitted(part), report, queueing.settings_of(part.account, mail_domain(part.account), self._file)
                )
                for part, report in zip(parts, reports, strict=True)
            ]
            self._store = queueing.open_queue(self.account)
            return queueing.keep_rest(self._store, attempted, time(), mail_back)
        except errors.Failure as failure:  # the first attempt tells more: who was served, and why the others were not
            self.log_failure(failure)
            if self._options.errors != "q":
                console.complain(self._program, str(failure))
            return False

    def _submitted(self, part: "Composed") -> "Submitted":
        from pysendmail.command.queueing import Submitted

        config = "" if self._options.config is None else os.path.abspath(os.fsdecode(self._options.config))
        return Submitted(
            part.parcel,
            qid=part.qid,
            uid=self._caller.uid,
            account=part.account.name,
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
