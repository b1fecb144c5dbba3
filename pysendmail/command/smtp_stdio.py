"""`sendmail -bs`: SMTP on standard input and output, for callers that start us and speak it.

Each message goes the way of any other submission, but for its envelope, which is what the client said and nothing else.
The reply to a message's end tells the truth about it, as the exit code does elsewhere; so the exit code of the session
only tells whether it came to a proper end.
"""

import os
from time import monotonic

from pysendmail import entry, errors
from pysendmail.command import smtp_answer, smtp_remote
from pysendmail.command.compose import choose_account
from pysendmail.command.console import complain
from pysendmail.command.identity import Caller
from pysendmail.command.smtp_line import Gone, Line
from pysendmail.command.smtp_session import SmtpSession
from pysendmail.command.submit import NoSecret, Submission, configuration
from pysendmail.delivery import interruption
from pysendmail.smtp.answer import Answer
from pysendmail.smtp.server import Limits, Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.envelope import Envelope
    from pysendmail.command.intake import Message
    from pysendmail.command.main import Call
    from pysendmail.config.accounts import Account
    from pysendmail.config.reader import File
    from pysendmail.options import Options

_RECIPIENTS = 50_000  # the caller is the user himself, and his whole list comes at once
_TICK = 1.0  # seconds between two looks at a child
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")


def serve(options: "Options", call: "Call") -> int:
    """Serve the client on standard input and output; return 0 if it said QUIT or ended its input between messages."""
    if not call.stdin_open:
        raise errors.NoInput("standard input is closed; there is nobody to speak SMTP to")
    import gc

    gc.enable()  # a session may be long
    line = Line(0, 1)
    try:
        code = smtp_remote.attempt(call, line) if options.config is None else None
        return code if code is not None else _serve_here(options, call, line)
    except Gone:
        raise errors.TempFail("nobody takes our answers any more; the session is over") from None
    except errors.Failure as failure:
        line.say(smtp_answer.of_failure(failure, 421).wire)
        raise


def _serve_here(options: "Options", call: "Call", line: Line) -> int:
    """Serve the client in this process. Raises Gone, and a Failure that it has not been told."""
    caller = Caller()
    try:
        file = configuration(options, caller)
    except errors.ConfigError as failure:
        if options.config is None and entry.is_expected(caller.uid):
            return smtp_remote.insist(call, line, failure)
        raise
    account, _ = choose_account(file, options, caller, None)
    outgoing = Outgoing(options, caller, file, call.program)
    session = SmtpSession()
    server = Server(session, host_name(), strict=False, limits=Limits(recipients=_RECIPIENTS))
    try:
        return _converse(server, session, line, account.timeout, outgoing, call.program)
    except (errors.Failure, Gone):
        raise
    except BaseException:
        line.say(Answer(421, "4.3.0", "internal error").wire)  # what is in the error may be secret
        raise
    finally:
        server.lost()
        outgoing.finish()


def host_name() -> str:
    """Return how we call ourselves in a greeting."""
    name = os.uname().nodename
    return name if name and _HOST.issuperset(name) else "localhost"


def _converse(
    server: Server, session: SmtpSession, line: Line, patience: float, outgoing: "Outgoing", program: str
) -> int:
    """Carry octets between the client and the server until one of them has had enough. Raises Gone."""
    while True:
        while data := server.output():
            line.write(data, patience)
        if server.closing:
            return 0 if server.finished else errors.TempFail.exit_code
        interruption.let_go()
        with interruption.Waiting():  # a signal that had to wait for the answers ends us now that they have left
            pass
        if server.waiting_for == "answer":
            server.answer(outgoing.answer(session))
            continue
        received = _read(line, patience, outgoing)
        if received is None:
            server.close(Answer(421, "4.4.2", f"nothing came for {patience:.0f} seconds"))
        elif received:
            server.feed(received)
        else:
            cut = server.waiting_for == "message"
            server.lost()
            if not cut:
                return 0
            complain(program, "the input ended within a message, which was not sent")
            return errors.TempFail.exit_code


def _read(line: Line, patience: float, outgoing: "Outgoing") -> bytes | None:
    """Return what the client says next, b"" when it has ended, None when it has said nothing for too long."""
    end = monotonic() + patience
    while True:
        outgoing.look()
        left = end - monotonic()
        data = line.read(min(left, _TICK) if outgoing.waits else left)
        if data is not None or monotonic() >= end:
            return data


class Outgoing:
    """Where messages go. Those that are delivered in the background have one child at a time to do it, for each queue."""

    __slots__ = ("_caller", "_children", "_file", "_options", "_program", "_tty", "_waiting")

    def __init__(self, options: "Options", caller: Caller, file: "File", program: str) -> None:
        self._options = options
        self._caller = caller
        self._file = file
        self._program = program
        self._tty = os.isatty(0)  # elsewhere a question would come out of the blue
        self._children: dict[str, int] = {}
        self._waiting: dict[str, tuple[Account, list[str]]] = {}

    def answer(self, session: SmtpSession) -> Answer:
        """Do what has to be done for the message that is whole, and return the answer to it."""
        try:
            return self.deliver(*session.whole())
        except errors.Failure as failure:
            return smtp_answer.of_failure(failure)
        except NoSecret as missing:
            return smtp_answer.of_failure(missing.failure)

    def deliver(self, envelope: "Envelope", message: "Message") -> Answer:
        """Deliver or queue one message, and return the answer. Raises Failure when nothing was sent to anybody."""
        options = self._options
        chosen = choose_account(self._file, options, self._caller, message, envelope)
        submission = Submission(options, self._caller, self._file, chosen[0], monotonic(), self._program)
        submission.tty = self._tty
        try:
            reports = submission.take(message, chosen, envelope)
        finally:
            submission.close()
            message.body.close()
        if reports is not None:
            return smtp_answer.of_reports(submission.qid, reports)
        if submission.background:
            account = submission.account
            self._waiting.setdefault(str(account.queue), (account, []))[1].extend(submission.qids)
        return smtp_answer.queued(submission.qid)

    @property
    def waits(self) -> bool:
        """Whether there are messages for which a child could not be started yet."""
        return bool(self._waiting)

    def look(self) -> None:
        """Start a child for what waits, where the one before has ended."""
        for queue, pid in list(self._children.items()):
            if _has_ended(pid):
                del self._children[queue]
        for queue in [queue for queue in self._waiting if queue not in self._children]:
            self._leave(queue)

    def finish(self) -> None:
        """Start what waits; nobody will be there to do it later."""
        for queue in list(self._waiting):
            self._leave(queue)

    def _leave(self, queue: str) -> None:
        from pysendmail.command.queue_run import leave_runner

        account, qids = self._waiting.pop(queue)
        if pid := leave_runner(account, self._file, qids):
            self._children[queue] = pid


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True
