"""A test message, delivered now by the new configuration, and what became of it."""

import os
from time import monotonic, time

from pysendmail import options
from pysendmail.command import result
from pysendmail.command.compose import compose, intake_lines, log_tag
from pysendmail.command.intake import Intake
from pysendmail.config.reader import shown
from pysendmail.delivery.deliver import deliver
from pysendmail.delivery.session import Route
from pysendmail.log import Log, queue_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.configure.plan import Plan
    from pysendmail.command.identity import Caller
    from pysendmail.delivery.deliver import Report
    from pysendmail.delivery.session import Trace
    from pysendmail.smtp.sasl import Credentials

_TEXT = """\
To: <{to}>
Subject: Test message of pysendmail
Auto-Submitted: auto-generated

Mail from {machine} goes out.

It was sent by pysendmail configure, by way of {server},
as {file} says.
"""


def send(
    plan: "Plan", caller: "Caller", credentials: "Credentials | None", recipient: bytes, dialogue: "Trace | None"
) -> "Report":
    """Deliver the message; return the outcome of its one recipient. Raises Failure where it does not even leave."""
    text = _TEXT.format(
        to=recipient.decode("ascii"), machine=shown(os.uname().nodename), server=plan.account.server_names(),
        file=plan.file.place,
    )  # fmt: skip
    intake = Intake()
    intake.feed(text.encode("ascii", "replace"))
    now, started = time(), monotonic()
    qid = queue_id(now, os.getpid())
    asked = options.parse([b"-odi", b"--", recipient])
    composed = compose(
        asked, caller, plan.file, intake.finish(),
        now=now, qid=qid, chosen=(plan.account, plan.reason), aliases=lambda _: None,
    )  # fmt: skip
    report = deliver(composed.parcel, Route(plan.account, credentials, dialogue))
    log = Log(plan.account.syslog, plan.account.logfile, log_tag(asked))
    for part, line in intake_lines(composed, asked, caller.uid):
        log.write(part, f"{qid}: {line}", now)
    result.record(log, qid, composed.parcel, report, monotonic() - started, now)
    return report
