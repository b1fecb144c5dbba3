"""What the caller is told: the exit code, lines on standard error, and the lines of the log."""

from pysendmail import errors
from pysendmail.command.console import complain
from pysendmail.delivery.deliver import envelope_line, outcome_lines
from pysendmail.log import Log, printable
from pysendmail.smtp.outcome import DEFERRED, FAILED, SENT, UNCERTAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.delivery.deliver import Report
    from pysendmail.delivery.parcel import Parcel
    from pysendmail.smtp.outcome import Outcome

    Group = tuple[list[Outcome], str]

# The most specific permanent failure tells most to the caller.
_PERMANENT = (
    errors.NoUser.exit_code,
    errors.NoHost.exit_code,
    errors.DataError.exit_code,
    errors.Unavailable.exit_code,
)
_SAY = {DEFERRED: "not sent, may work later", FAILED: "refused", UNCERTAIN: "uncertain"}


def exit_code(outcomes: "list[Outcome]") -> int:
    """Return 0 if all was sent, else what the failures have in common, else 75 if a later try may help any of them."""
    codes = {outcome.exit_code for outcome in outcomes if outcome.state != SENT}
    if not codes:
        return 0
    if len(codes) == 1:
        return codes.pop()
    if any(outcome.state in (DEFERRED, UNCERTAIN) for outcome in outcomes):
        return errors.TempFail.exit_code
    return next((code for code in _PERMANENT if code in codes), errors.Unavailable.exit_code)


def tell(program: str, groups: "list[Group]") -> None:
    """Write a line for each problem to standard error, and one that names those who were served all the same."""
    for line in problems(groups):
        complain(program, line)


def problems(groups: "list[Group]") -> list[str]:
    """Return a line for each problem, and one that names those who were served all the same; none if all were.

    A group is outcomes with their relay: a message whose recipients go different ways has several.
    """
    total = sum([len(outcomes) for outcomes, _ in groups])
    found: dict[tuple[str, str], list[str]] = {}
    served = []
    for outcomes, relay in groups:
        for outcome in outcomes:
            name = printable(outcome.recipient, 320)
            if outcome.state == SENT:
                served.append(name)
            else:
                found.setdefault((outcome.state, _problem(outcome, relay)), []).append(name)
    lines = []
    for (state, text), recipients in found.items():
        everybody = len(recipients) == total
        lines.append(text if everybody and state == DEFERRED else f"{_names(recipients)}: {_SAY[state]}: {text}")
    if found and served:
        lines.append(f"the message was accepted for {_names(served)}")
    return lines


def groups_of(reports: "list[Report]") -> "list[Group]":
    """Return the outcomes of a message's parts, each part's with its relay."""
    return [(report.outcomes, report.relay) for report in reports]


def record(
    log: Log, qid: str, parcel: "Parcel", report: "Report", intake: float, now: float, left: bool = False
) -> None:
    """Write the lines of one delivery; `intake` is the time in seconds that reading the message took.

    `left`: somebody is left in the queue, so that the message is not removed yet.
    """
    log.write("qmgr", envelope_line(qid, parcel.reverse_path, report.size, len(parcel.recipients)), now)
    delays = (intake, 0.0, report.setup_time, report.transfer_time)
    log.write_all("smtp", outcome_lines(qid, report.outcomes, report.relay, delays), now)
    if not left:
        log.write("qmgr", f"{qid}: removed", now)


def _problem(outcome: "Outcome", relay: str) -> str:
    text = printable(outcome.text)
    if relay in text or relay == "none" or not outcome.stage:
        return text
    said = text[:3].isdigit()  # by the server, that is
    return f"{relay}: {text} (in reply to {outcome.stage})" if said else f"{relay}: {text}"


def _names(recipients: list[str]) -> str:
    return ", ".join(recipients)
