"""What an outcome means for a recipient in the queue, case by case."""

import itertools
from typing import Any

import pytest

from pysendmail.queue import states
from pysendmail.queue.schedule import Schedule
from pysendmail.queue.settings import Settings
from pysendmail.queue.values import Message, QueuedRecipient, Recipient
from pysendmail.queue.verdict import Circumstances, Verdict, bare, duration, judge, put_off
from pysendmail.smtp.outcome import Outcome
from tests.queue import stores
from tests.queue.stores import NOW

DAY, HOUR = 86400.0, 3600.0
SETTINGS = Settings(schedule=Schedule(60, 3600, 5 * DAY, 4 * HOUR))
HOLDING = Settings(hold_uncertain=True)
ENOUGH = SETTINGS.schedule.enough


def claimed(
    notify: bytes | None = None, *, sender: bytes = b"alice@example.org", bounce: bool = False, **attributes: Any
) -> tuple[Message, Recipient]:
    """Return a message and its one recipient as a runner gets them."""
    store = stores.make("memory", None)  # type: ignore[arg-type]
    store.add(stores.entry(QueuedRecipient(b"bob@example.net", None, notify), sender=sender, bounce=bounce))
    (item,) = stores.claim(store, store.enroll())
    (one,) = item.recipients
    for name, value in attributes.items():
        setattr(one, name, value)
    return item.message, one


def outcome(state: str, exit_code: int = 75, dsn: str = "4.2.0", text: bytes = b"450 4.2.0 later") -> Outcome:
    return Outcome(b"bob@example.net", state, exit_code, dsn, text, "RCPT")


def judged(
    state: str,
    notify: bytes | None = None,
    *,
    age: float = 0.0,
    exit_code: int = 75,
    settings: Settings = SETTINGS,
    at: dict[str, Any] | None = None,
    **claim: Any,
) -> Verdict:
    message, one = claimed(notify, **claim)
    circumstances = Circumstances(NOW + age, **(at or {}))
    return judge(message, one, outcome(state, exit_code), settings, circumstances)


def test_what_was_sent_is_sent() -> None:
    verdict = judged("sent", at={"relay": "mx.test[192.0.2.1]:587"})
    result = verdict.result
    assert (result.state, result.tried, result.relay, result.dsn) == ("sent", NOW, "mx.test[192.0.2.1]:587", "4.2.0")
    assert verdict.report == ""


def test_what_was_refused_has_failed_and_its_sender_is_told() -> None:
    verdict = judged("failed")
    assert (verdict.result.state, verdict.report) == ("failed", "failed")


@pytest.mark.parametrize("before", [0, 1, 5])
def test_what_was_put_off_is_due_after_the_pause_of_so_many_attempts(before: int) -> None:
    verdict = judged("deferred", attempts=before, age=100)
    assert (verdict.result.state, verdict.report) == ("deferred", "")
    assert verdict.result.due == NOW + 100 + SETTINGS.schedule.pause(before + 1)
    assert judged("deferred", at={"chance": 0.5}).result.due < NOW + 60


def test_what_is_put_off_for_too_long_has_failed_with_the_last_answer() -> None:
    verdict = judged("deferred", age=5 * DAY, attempts=ENOUGH - 1)
    assert (verdict.result.state, verdict.report) == ("failed", "failed")
    assert verdict.result.reply == "given up after 5 days; the last time: 450 4.2.0 later"
    assert verdict.reply == "450 4.2.0 later"
    assert judged("deferred", age=5 * DAY, attempts=ENOUGH - 2).result.state == "deferred"


def test_attempts_that_were_made_for_all_of_a_lane_count() -> None:
    assert judged("deferred", age=5 * DAY, at={"attempts": ENOUGH}).result.state == "failed"


@pytest.mark.parametrize("exit_code", [77, 78])
def test_what_is_our_own_fault_never_fails(exit_code: int) -> None:
    verdict = judged("deferred", age=500 * DAY, attempts=10**6, exit_code=exit_code)
    assert verdict.result.state == "deferred"


def test_doubt_stays_until_there_is_an_answer() -> None:
    assert judged("uncertain").result.state == "uncertain"
    assert judged("deferred", origin="uncertain").result.state == "uncertain"
    assert judged("deferred", origin="deferred").result.state == "deferred"
    assert judged("sent", origin="uncertain").result.state == "sent"
    verdict = judged("failed", origin="uncertain")
    assert (verdict.result.state, verdict.uncertain) == ("failed", True)
    assert judged("uncertain", age=5 * DAY, attempts=ENOUGH).uncertain


def test_doubt_is_held_where_that_is_wanted() -> None:
    result = judged("uncertain", settings=HOLDING).result
    assert (result.state, result.origin, result.attempted) == ("held", "uncertain", True)
    # somebody has released it: that was a decision to try again, whatever keeps it from leaving now
    assert judged("deferred", settings=HOLDING, origin="uncertain").result.state == "uncertain"


@pytest.mark.parametrize(
    ("notify", "wanted"),
    [
        (None, {"failed", "delayed"}),
        (b"NEVER", set()),
        (b"FAILURE", {"failed"}),
        (b"DELAY", {"delayed"}),
        (b"SUCCESS", {"relayed"}),
        (b"SUCCESS,FAILURE,DELAY", {"failed", "delayed", "relayed"}),
        (b"failure, delay", {"failed", "delayed"}),
    ],
)
def test_notify_decides_who_is_told_what(notify: bytes | None, wanted: set[str]) -> None:
    reports = {
        judged("failed", notify).report,
        judged("deferred", notify, age=5 * HOUR).report,
        judged("deferred", notify, age=5 * DAY, attempts=ENOUGH).report,
        judged("sent", notify).report,
    }
    assert reports - {""} == wanted


def test_a_smarthost_that_was_told_reports_success_itself() -> None:
    assert judged("sent", b"SUCCESS", at={"dsn_offered": True}).report == ""
    assert judged("sent", b"SUCCESS", at={"dsn_offered": False}).report == "relayed"
    assert judged("failed", b"FAILURE", at={"dsn_offered": True}).report == "failed"


def test_a_delay_is_told_once() -> None:
    late = judged("deferred", age=4 * HOUR)
    assert (late.report, late.result.warned) == ("delayed", True)
    assert judged("deferred", age=4 * HOUR - 1).report == ""
    again = judged("deferred", age=9 * HOUR, warned=True)
    assert (again.report, again.result.warned) == ("", False)
    assert judged("uncertain", age=4 * HOUR).report == "delayed"


def test_nobody_is_told_about_a_message_with_the_null_sender() -> None:
    for notify, state, age in itertools.product([None, b"SUCCESS,FAILURE,DELAY"], ["sent", "failed", "deferred"], [0, HOUR * 5]):
        verdict = judged(state, notify, sender=b"", age=age)
        assert (verdict.report, verdict.result.warned) == ("", False)


def test_of_a_report_that_fails_the_postmaster_is_told() -> None:
    assert judged("failed", sender=b"", bounce=True).report == "failed"
    assert judged("deferred", sender=b"", bounce=True, age=5 * DAY, attempts=ENOUGH).report == "failed"
    assert judged("deferred", sender=b"", bounce=True, age=5 * HOUR).report == ""


def test_nobody_fails_whose_sender_cannot_be_told_now() -> None:
    at = Circumstances(NOW, 0.0)
    verdict = put_off(judged("failed"), SETTINGS, at, "the disk is full")
    assert (verdict.result.state, verdict.report, verdict.result.due) == ("deferred", "", NOW + 60)
    assert "the disk is full" in verdict.result.reply and "450 4.2.0 later" in verdict.result.reply
    sent = put_off(judged("sent", b"SUCCESS"), SETTINGS, at, "no")
    assert (sent.result.state, sent.report) == ("sent", "")
    late = put_off(judged("deferred", age=5 * HOUR), SETTINGS, at, "no")
    assert (late.result.state, late.result.warned, late.report) == ("deferred", False, "")


def test_where_a_bug_leaves_no_verdict_what_was_sent_stays_sent() -> None:
    message, one = claimed()
    at = Circumstances(NOW)
    found = {state: bare(message, one, outcome(state), at, "bug").result.state for state in ("sent", "failed", "deferred", "uncertain")}
    assert found == {"sent": "sent", "failed": "deferred", "deferred": "deferred", "uncertain": "uncertain"}


def test_every_verdict_is_a_result_that_the_table_of_states_permits() -> None:
    found = set()
    for state, origin, settings, age, attempts, exit_code in itertools.product(
        ["sent", "failed", "deferred", "uncertain"], states.WAITING, [SETTINGS, HOLDING], [0, 9 * DAY, -DAY], [0, 10**3], [75, 77]
    ):
        found.add(judged(state, origin=origin, settings=settings, age=age, attempts=attempts, exit_code=exit_code).result.state)
    assert found == set(states.RESULTS)


def test_what_a_server_says_is_shown_in_one_clean_line() -> None:
    message, one = claimed()
    said = outcome("failed", text=b"550 no\r\n\x1b[2Jevil" + b"x" * 5000)
    reply = judge(message, one, said, SETTINGS, Circumstances(NOW)).result.reply
    assert reply.isprintable() and len(reply) <= 1024


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5 * DAY, "5 days"), (DAY, "1 day"), (36 * HOUR, "1 day"), (2 * HOUR, "2 hours"), (90, "1 minute"), (7, "7 seconds")],
)
def test_lengths_of_time_are_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
