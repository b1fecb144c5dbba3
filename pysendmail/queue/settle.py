"""Settling outcomes: judge them, make the reports that they ask for, record both in one commit, and write the log."""

from pysendmail import errors
from pysendmail.delivery.deliver import outcome_lines
from pysendmail.log import printable
from pysendmail.queue import states
from pysendmail.queue.round import internal
from pysendmail.queue.verdict import FAILED, Circumstances, bare, judge, put_off
from pysendmail.smtp import outcome as smtp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.queue.lane import Lane
    from pysendmail.queue.round import Round
    from pysendmail.queue.settings import Settings
    from pysendmail.queue.values import Message, Notice, Recipient
    from pysendmail.queue.verdict import Verdict
    from pysendmail.smtp.outcome import Outcome

_NAMES = {"failed": "non-delivery", "delayed": "delay", "relayed": "delivery status"}  # Postfix's words


def settle(
    round_: "Round",
    lane: "Lane",
    message: "Message",
    outcomes: "list[tuple[Recipient, Outcome]]",
    at: Circumstances,
    delays: "tuple[float, float, float, float] | None" = None,
) -> None:
    """Settle the outcomes of claimed recipients of one message. Raises Unrecorded; then they are in the log all the same.

    `delays` are as in log.delays_text.
    """
    reports: list[Notice] = []
    try:
        verdicts = [judge(message, recipient, outcome, lane.settings, at) for recipient, outcome in outcomes]
        if any([verdict.report for verdict in verdicts]):
            verdicts, reports = _with_reports(round_, message, verdicts, lane.settings, at)
    except Exception as error:  # a bug must not have a message sent again that the server has answered
        verdicts = [bare(message, recipient, outcome, at, str(internal(error))) for recipient, outcome in outcomes]
    for (_, outcome), verdict in zip(outcomes, verdicts, strict=True):
        result = verdict.result
        result.code, result.tls, result.times = outcome.exit_code, at.tls, at.times
    repeated = 0
    try:
        repeated = round_.enter([verdict.result for verdict in verdicts], reports)
        if message.awaited:
            round_.tell()
    finally:
        _write(round_, lane, message, outcomes, verdicts, reports, at, delays)
        if repeated:
            text = f"{message.qid}: warning: the lease was lost; {repeated} recipient(s) may get the message twice"
            round_.write_log(lane.log(message.tag or "pysendmail"), [("qmgr", [(text, True)])], at.now)


def _with_reports(
    round_: "Round", message: "Message", verdicts: "list[Verdict]", settings: "Settings", at: Circumstances
) -> "tuple[list[Verdict], list[Notice]]":
    """Return the verdicts and the reports that they ask for."""
    from pysendmail.queue.bounce import notices

    try:
        return verdicts, notices(message, verdicts, lambda: round_.store.open(message), settings, at.now)
    except errors.Failure as failure:
        return [put_off(verdict, settings, at, str(failure)) for verdict in verdicts], []


def _write(
    round_: "Round",
    lane: "Lane",
    message: "Message",
    outcomes: "list[tuple[Recipient, Outcome]]",
    verdicts: "list[Verdict]",
    reports: "list[Notice]",
    at: Circumstances,
    delays: "tuple[float, float, float, float] | None",
) -> None:
    """Write what became of the recipients, and what follows from it."""
    qid = message.qid
    times = delays or (max(0.0, at.now - message.created), 0.0, 0.0, 0.0)
    parts = [("smtp", outcome_lines(qid, [outcome for _, outcome in outcomes], at.relay or "none", times))]
    for notice in reports:
        if not notice.entered:
            continue
        kind = next(verdict.report for verdict in verdicts if (message.id, verdict.recipient.number) == notice.about[0])
        whom = "sender" if message.sender else "postmaster"
        line = f"{qid}: {whom} {_NAMES[kind]} notification: {notice.entry.qid}"
        parts.append(("bounce", [(line, False)]))
    if lines := _lines(message, outcomes, verdicts):
        parts.append(("qmgr", lines))
    round_.write_log(lane.log(message.tag or "pysendmail"), parts, at.now)


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
