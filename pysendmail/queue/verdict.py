"""What the outcome of an attempt means for a recipient in the queue, and whether his sender is to be told: pure rules.

* What the smarthost refuses for good has failed; what does not work now is tried again until its time is over.
* What is our login's or our configuration's fault never fails: it waits for somebody to put that right.
* Once it was uncertain whether a message arrived, it stays so until the smarthost accepts or refuses it.
* A sender is told what NOTIFY asks for (RFC 3461), and nobody is told anything about a message with the null sender;
  only a report of our own that cannot be delivered goes to the postmaster.
"""

from pysendmail import errors
from pysendmail.log import printable
from pysendmail.queue import states
from pysendmail.queue.values import Result
from pysendmail.smtp import outcome as smtp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.queue.settings import Settings
    from pysendmail.queue.values import Message, Recipient
    from pysendmail.smtp.outcome import Outcome

FAILED, DELAYED, RELAYED = "failed", "delayed", "relayed"
"""The kinds of report, in the words of message.dsn."""

_OURS = (errors.NoPermission.exit_code, errors.ConfigError.exit_code)
_DAY, _HOUR = 86400.0, 3600.0


class Verdict:
    """The result for one recipient, and the kind of report that goes with it ("" for none).

    `reply` is what was said to him in this attempt, for the report; the result's own may say more.
    """

    __slots__ = ("recipient", "reply", "report", "result", "uncertain")

    def __init__(self, recipient: "Recipient", result: Result, report: str, reply: str, uncertain: bool) -> None:
        self.recipient = recipient
        self.result = result
        self.report = report
        self.reply = reply
        self.uncertain = uncertain


class Circumstances:
    """When and where an attempt was made.

    now: seconds since the epoch. chance: a random number from 0 up to 1. relay: the server, as in the log. dsn_offered:
    it was told what NOTIFY asks for. attempts: how many there were at least, this one included. tls and times: as in
    Result.
    """

    __slots__ = ("attempts", "chance", "dsn_offered", "now", "relay", "times", "tls")

    def __init__(
        self,
        now: float,
        chance: float = 0.0,
        relay: str = "",
        dsn_offered: bool = False,
        attempts: int = 1,
        tls: str = "",
        times: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.now = now
        self.chance = chance
        self.relay = relay
        self.dsn_offered = dsn_offered
        self.attempts = attempts
        self.tls = tls
        self.times = times


def judge(
    message: "Message", recipient: "Recipient", outcome: "Outcome", settings: "Settings", at: Circumstances
) -> Verdict:
    """Return what becomes of a claimed recipient after an attempt; secrets in the outcome are masked already."""
    reply = printable(outcome.text)
    doubt = outcome.state == smtp.UNCERTAIN or recipient.origin == states.UNCERTAIN
    attempts = max(at.attempts, recipient.attempts + 1)
    result = Result(
        message.id, recipient.number, outcome.state, tried=at.now, reply=reply, dsn=outcome.dsn, relay=at.relay
    )
    if outcome.state == smtp.SENT:
        asked = not at.dsn_offered and _wants(recipient, b"SUCCESS", default=False)
        return Verdict(recipient, result, RELAYED if asked and message.sender else "", reply, False)
    if outcome.state == smtp.FAILED:
        return Verdict(recipient, result, failure_report(message, recipient), reply, doubt)
    if outcome.state == smtp.UNCERTAIN and settings.hold_uncertain:
        result.state, result.origin = states.HELD, states.UNCERTAIN
        return Verdict(recipient, result, "", reply, True)
    age = at.now - message.created
    if outcome.exit_code not in _OURS and settings.schedule.is_over(age, attempts):
        result.state = states.FAILED
        result.reply = printable(f"given up after {duration(max(age, settings.schedule.expire))}; the last time: {reply}")
        return Verdict(recipient, result, failure_report(message, recipient), reply, doubt)
    result.state = states.UNCERTAIN if doubt else states.DEFERRED
    result.due = at.now + settings.schedule.pause(attempts, at.chance)
    late = settings.schedule.is_late(age) and not recipient.warned and _wants(recipient, b"DELAY", default=True)
    result.warned = late and message.sender != b""
    return Verdict(recipient, result, DELAYED if result.warned else "", reply, doubt)


def put_off(verdict: Verdict, settings: "Settings", at: Circumstances, reason: str) -> Verdict:
    """Return the verdict that holds while its report cannot be made: nobody fails whose sender cannot be told."""
    old = verdict.result
    if old.state != states.FAILED:  # a success or a delay is no less true for it
        old.warned = False
        verdict.report = ""
        return verdict
    result = Result(
        old.message, old.number, states.DEFERRED, tried=at.now, dsn=old.dsn, relay=old.relay,
        due=at.now + settings.schedule.pause(verdict.recipient.attempts + 1, at.chance),
        reply=printable(f"refused, but the report of it cannot be made now ({reason}): {verdict.reply}"),
    )  # fmt: skip
    return Verdict(verdict.recipient, result, "", verdict.reply, verdict.uncertain)


def bare(message: "Message", recipient: "Recipient", outcome: "Outcome", at: Circumstances, reason: str) -> Verdict:
    """Return the verdict that holds where a bug leaves no other one: what was sent is sent, all else is tried again."""
    state = outcome.state if outcome.state in (smtp.SENT, smtp.UNCERTAIN) else states.DEFERRED
    reply = printable(f"{reason}; the last answer: " + outcome.text.decode("utf-8", "backslashreplace"))
    result = Result(message.id, recipient.number, state, tried=at.now, due=at.now + _HOUR, reply=reply, dsn="4.3.0")
    return Verdict(recipient, result, "", reply, state == smtp.UNCERTAIN)


def duration(seconds: float) -> str:
    """Write a length of time in the one unit that suits it."""
    for length, name in ((_DAY, "day"), (_HOUR, "hour"), (60.0, "minute")):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {name}{'s' if number > 1 else ''}"
    return f"{seconds:.0f} seconds"


def failure_report(message: "Message", recipient: "Recipient") -> str:
    """Return the kind of report that the failure of a recipient asks for, "" for none."""
    if message.sender:
        return FAILED if _wants(recipient, b"FAILURE", default=True) else ""
    return FAILED if message.bounce else ""  # to the postmaster


def _wants(recipient: "Recipient", event: bytes, default: bool) -> bool:
    """Tell whether NOTIFY asks for reports of an event; without NOTIFY the default holds (RFC 3461 section 4.1)."""
    if recipient.notify is None:
        return default
    return event in [word.strip() for word in recipient.notify.upper().split(b",")]
