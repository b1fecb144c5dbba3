"""What a client that speaks SMTP is told of its message: one reply for all of its recipients.

The classes are those of the exit code, in the same order: what may succeed later is a 4xx, and among the permanent
failures the most specific one speaks. The text names each recipient who was refused, and who was served all the same.
"""

from pysendmail import errors
from pysendmail.command import result
from pysendmail.log import printable
from pysendmail.smtp.answer import Answer
from pysendmail.smtp.outcome import FAILED, SENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.delivery.deliver import Report

_TEXT = 1024  # characters of one problem
_CODES = dict.fromkeys(
    [kind.exit_code for kind in (errors.NoUser, errors.NoHost, errors.Unavailable, errors.NoPermission)], 550
)
_PERMANENT = {
    kind.exit_code: kind.status
    for kind in (errors.UsageError, errors.DataError, errors.NoUser, errors.NoHost, errors.Unavailable)
}


def queued(qid: str) -> Answer:
    """Answer for a message that is on disk."""
    return Answer(250, "2.0.0", f"Ok: queued as {qid}")


def of_failure(failure: errors.Failure, code: int = 0) -> Answer:
    """Answer for a message of which nothing was sent to anybody; `code` 421 ends the session by it."""
    permanent = (not failure.temporary or failure.status[:1] == "5") and not code
    text = printable(str(failure), _TEXT)
    if permanent:
        return Answer(_CODES.get(failure.exit_code, 554), "5" + failure.status[1:], text)
    return Answer(code or (452 if failure.status == "4.3.1" else 451), "4" + failure.status[1:], text)


def of_exit(code: int, text: str) -> Answer:
    """Answer for a message that has an exit code and lines for standard error, and of which nothing is queued."""
    if code in _PERMANENT:
        return Answer(_CODES.get(code, 554), "5" + _PERMANENT[code][1:], text)
    return Answer(451, "4.3.0", text)


def of_reports(qid: str, reports: "list[Report]") -> Answer:
    """Answer for a message of which nothing is queued, from the reports on its parts."""
    outcomes = [outcome for report in reports for outcome in report.outcomes]
    code = result.exit_code(outcomes)
    if not code:
        relays = " and ".join(dict.fromkeys([report.relay for report in reports]))
        return Answer(250, "2.0.0", f"Ok: {qid} was accepted by {relays}")
    failures = [outcome for outcome in outcomes if outcome.state != SENT]
    # Where they differ and some may succeed later the code is that of none of them, perhaps.
    temporary = [outcome for outcome in failures if outcome.state != FAILED]
    deciding = next((outcome for outcome in temporary or failures if outcome.exit_code == code), failures[0])
    if temporary:
        deciding = deciding if deciding.state != FAILED else temporary[0]
    text = "\n".join([printable(line, _TEXT) for line in result.problems(result.groups_of(reports))])
    if temporary:
        return Answer(451, "4" + deciding.dsn[1:], text)
    if deciding.dsn == "5.3.4":
        return Answer(552, deciding.dsn, text)
    return Answer(_CODES.get(code, 554), "5" + deciding.dsn[1:], text)
