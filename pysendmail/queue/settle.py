"""Settling outcomes: judge them, make the reports that they ask for, record both in one commit, and write the log."""

from pysendmail import errors
from pysendmail.delivery.deliver import outcome_lines
from pysendmail.log import printable
from pysendmail.queue import states
from pysendmail.queue.ledger import Page
from pysendmail.queue.verdict import FAILED, Circumstances, bare, judge, put_off
from pysendmail.smtp import outcome as smtp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.log import Log
    from pysendmail.queue.lane import Lane
    from pysendmail.queue.round import Round
    from pysendmail.queue.settings import Settings
    from pysendmail.queue.values import Message, Notice, Recipient
    from pysendmail.queue.verdict import Verdict
    from pysendmail.smtp.outcome import Outcome

    Parts = list[tuple[str, list[tuple[str, bool]]]]

_NAMES = {"failed": "non-delivery", "delayed": "delay", "relayed": "delivery status"}  # Postfix's words


class Settlement:
    """What became of recipients of one message, judged and ready to be recorded.

    `delays` are as in log.delays_text.
    """

    __slots__ = ("at", "delays", "message", "outcomes", "page", "reports", "verdicts")

    def __init__(
        self,
        round_: "Round",
        lane: "Lane",
        message: "Message",
        outcomes: "list[tuple[Recipient, Outcome]]",
        at: Circumstances,
        delays: "tuple[float, float, float, float] | None" = None,
    ) -> None:
        self.message = message
        self.outcomes = outcomes
        self.at = at
        self.delays = delays or (max(0.0, at.now - message.created), 0.0, 0.0, 0.0)
        self.reports: list[Notice] = []
        try:
            self.verdicts = [judge(message, recipient, outcome, lane.settings, at) for recipient, outcome in outcomes]
            if any([verdict.report for verdict in self.verdicts]):
                self.verdicts, self.reports = _with_reports(round_, message, self.verdicts, lane.settings, at)
        except Exception as error:  # a bug must not have a message sent again that the server has answered
            text = str(errors.internal(error))
            self.verdicts = [bare(message, recipient, outcome, at, text) for recipient, outcome in outcomes]
        for (_, outcome), verdict in zip(outcomes, self.verdicts, strict=True):
            result = verdict.result
            result.code, result.tls, result.times = outcome.exit_code, at.tls, at.times
        self.page = Page([verdict.result for verdict in self.verdicts], self.reports)


def settle(round_: "Round", lane: "Lane", settlements: list[Settlement]) -> None:
    """Record settlements in one commit. Raises Unrecorded; then they are in the log all the same."""
    try:
        round_.enter([each.page for each in settlements])
        if any([each.message.awaited for each in settlements]):
            round_.tell()
    finally:
        parts: Parts = []
        log: Log | None = None
        for each in settlements:
            its = lane.log(each.message.tag or "pysendmail")
            if log is not None and its is not log:
                round_.write_log(log, parts, each.at.now)
                parts = []
            log = its
            parts += _parts(each)
        if log is not None:
            round_.write_log(log, parts, settlements[-1].at.now)


def _with_reports(
    round_: "Round", message: "Message", verdicts: "list[Verdict]", settings: "Settings", at: Circumstances
) -> "tuple[list[Verdict], list[Notice]]":
    """Return the verdicts and the reports that they ask for."""
    from pysendmail.queue.bounce import notices

    try:
        return verdicts, notices(message, verdicts, lambda: round_.store.open(message), settings, at.now)
    except errors.Failure as failure:
        return [put_off(verdict, settings, at, str(failure)) for verdict in verdicts], []


def _parts(each: Settlement) -> "Parts":
    """Return the lines of the log: what became of the recipients, and what follows from it."""
    message, qid = each.message, each.message.qid
    answers = outcome_lines(qid, [outcome for _, outcome in each.outcomes], each.at.relay or "none", each.delays)
    parts = [("smtp", answers)]
    for notice in each.reports:
        if not notice.entered:
            continue
        first = notice.about[0]
        kind = next(verdict.report for verdict in each.verdicts if (message.id, verdict.recipient.number) == first)
        whom = "sender" if message.sender else "postmaster"
        parts.append(("bounce", [(f"{qid}: {whom} {_NAMES[kind]} notification: {notice.entry.qid}", False)]))
    if lines := _lines(message, each.outcomes, each.verdicts):
        parts.append(("qmgr", lines))
    if each.page.repeated:
        text = f"{qid}: warning: the lease was lost; {each.page.repeated} recipient(s) may get the message twice"
        parts.append(("qmgr", [(text, True)]))
    return parts


def _lines(
    message: "Message", outcomes: "list[tuple[Recipient, Outcome]]", verdicts: "list[Verdict]"
) -> "list[tuple[str, bool]]":
    """Return the lines about what is no server's answer: who was given up, who is held, that the message is gone."""
    qid = message.qid
    gone = [(f"{qid}: removed", False)] if verdicts[0].result.gone else []
    results = [(o, v) for (_, o), v in zip(outcomes, verdicts, strict=True) if v.result.state != states.SENT]
    if not results:
        return gone
    sender = printable(message.sender, 320)
    given_up = [v for o, v in results if o.state != smtp.FAILED and v.result.state == states.FAILED]
    lines = []
    if given_up:
        told = "returned to sender" if any([v.report == FAILED for v in given_up]) else "nobody is told"
        if message.awaited:
            told = "whoever waits for the answer is told"
        lines.append((f"{qid}: from=<{sender}>, status=expired, {told}", True))
    if held := [v for _, v in results if v.result.state == states.HELD]:
        lines.append((f"{qid}: from=<{sender}>, {len(held)} recipient(s) held", True))
    return lines + gone
