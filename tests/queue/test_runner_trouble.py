"""A round in trouble: with the smarthost, the configuration, one message, or the queue itself."""

from collections import Counter

import pytest

from pysendmail import errors
from pysendmail.delivery.session import Session
from pysendmail.delivery.tls import TLSFailure
from pysendmail.queue.schedule import Schedule
from pysendmail.queue.settings import Settings
from pysendmail.queue.values import Select
from pysendmail.smtp.sasl import Credentials
from tests.delivery.memory import CAPABILITIES, DATA_ONLY, LOCK_STEP, Connection, Hang, Smarthost
from tests.queue.running import DAY, HOUR, MINUTE, Desk, mails, replying
from tests.queue.stores import NOW

A, B, C = b"a@y.test", b"b@y.test", b"c@y.test"
DEAD = replying((b"greeting", b"554 5.3.2 no service"))
WAYS = [CAPABILITIES, DATA_ONLY, LOCK_STEP]


# The smarthost


def test_a_dead_smarthost_costs_one_connection_a_round_and_marks_no_message() -> None:
    desk = Desk(Smarthost(DEAD), settings=Settings(connections=5))
    qids = [desk.add() for _ in range(300)]
    report = desk.round(due_only=False)
    assert len(desk.smarthost.connections) == 1
    assert (report.done, report.messages, report.reports) == (0, 0, 0)
    (trouble,) = report.troubles
    assert "554 5.3.2 no service" in str(trouble.failure) and trouble.until == NOW + MINUTE
    one = desk.one(qids[-1])
    assert (one.state, one.attempts, one.owner) == ("queued", 0, "")
    assert "554 5.3.2 no service" in one.reply  # what the closed lane says
    (line,) = desk.log.lines
    assert "account default: nothing can be sent: mx.test[192.0.2.1]:25: " in line[1] and "in 60 seconds" in line[1]


def test_a_dead_smarthost_is_left_alone_longer_and_longer_up_to_half_an_hour() -> None:
    desk = Desk(Smarthost(DEAD))
    desk.add()
    times = []
    for _ in range(8):
        due = desk.runner.next_due()
        assert due is not None
        desk.clock.now = due
        times.append(due)
        desk.round()
        assert desk.later(1).troubles == []  # nobody calls while it is closed
    assert len(desk.smarthost.connections) == 8
    pauses = [round(later - sooner) for sooner, later in zip(times, times[1:], strict=False)]
    assert pauses == [60, 120, 240, 480, 960, 1800, 1800]


def test_a_forced_round_calls_a_closed_smarthost_too() -> None:
    desk = Desk(Smarthost(DEAD))
    desk.add()
    desk.round()
    desk.round(due_only=False)
    assert len(desk.smarthost.connections) == 2


def test_a_smarthost_that_is_back_gets_everything_and_its_failures_are_forgotten() -> None:
    desk = Desk(Smarthost(DEAD))
    for _ in range(30):
        desk.add()
    desk.round()
    desk.smarthost.answer = replying()
    assert desk.later(2 * MINUTE).sent == 30
    assert [(lane.until, lane.failures) for lane in desk.store.lanes()] == []
    desk.smarthost.answer = DEAD
    desk.add()
    assert desk.round().troubles[0].until == desk.clock.now + MINUTE


def test_one_dead_smarthost_holds_up_no_other() -> None:
    desk = Desk(Smarthost())
    desk.add(account="dead")
    desk.add(account="alive")
    desk.unroutable["dead"] = errors.TempFail("the key ring is locked")
    report = desk.round()
    assert report.sent == 1
    assert [(trouble.account, trouble.failure.text) for trouble in report.troubles] == [("dead", "the key ring is locked")]


@pytest.mark.parametrize("way", WAYS, ids=["CHUNKING", "DATA", "lock-step"])
@pytest.mark.parametrize(
    ("start", "reply"),
    [
        (b"MAIL", b"421 4.3.2 shutting down"),
        (b"MAIL", b"451 4.3.0 out of resources"),
        (b"MAIL", b"530 5.7.0 log in first"),
        (b".", b"421 4.3.2 shutting down"),
    ],
)
def test_a_smarthost_that_takes_connections_and_no_message_is_left_alone_after_some(
    start: bytes, reply: bytes, way: tuple[str, ...]
) -> None:
    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line.startswith(start):
            if reply.startswith(b"421"):
                raise Hang(reply)
            return reply
        return None

    desk = Desk(Smarthost(answer, way), settings=Settings(connections=1))
    for _ in range(100):
        desk.add()
    report = desk.round(due_only=False)
    assert (report.messages, report.deferred + report.uncertain) == (5, 5)
    (trouble,) = report.troubles
    assert reply.decode()[:3] in str(trouble.failure)
    assert (trouble.failure.exit_code == 77) == (b"530" in reply)
    # those five have had their attempt; the next round begins with others
    desk.clock.now = trouble.until
    before = len(mails(desk.smarthost))
    desk.smarthost.answer = replying()
    desk.round()
    assert len(mails(desk.smarthost)) - before >= 95


def test_a_login_that_one_message_is_said_to_lack_fails_nothing_and_stops_no_other() -> None:
    desk = Desk(Smarthost(replying((b"RCPT TO:<b@", b"550 5.7.9 not from you"))))
    desk.settings = Settings(schedule=Schedule(60, HOUR, DAY))
    qid = desk.add(B)
    for _ in range(20):
        desk.add(A)
    report = desk.round()
    assert (report.sent, report.deferred, report.troubles) == (20, 1, [])
    for _ in range(60):
        desk.later(HOUR)
    assert desk.states(qid) == {B: "deferred"}


# Login, configuration, TLS


@pytest.mark.parametrize(
    "failure",
    [
        errors.ConfigError('unknown word "prot"', "/etc/x:7"),
        errors.NoPermission("the file may be read by others", "/etc/x"),
        errors.TempFail("the passwordeval command failed"),
    ],
)
def test_a_broken_configuration_keeps_the_messages_waiting_says_why_and_bounces_nothing(failure: errors.Failure) -> None:
    for place in ("broken", "unroutable"):
        desk = Desk(Smarthost())
        getattr(desk, place)[""] = failure
        qid = desk.add()
        for _ in range(80):
            desk.round()
            desk.clock.now += HOUR
        desk.later(30 * DAY)
        assert set(desk.states(qid).values()) == {"queued"}
        assert desk.one(qid).reply == str(failure)
        assert (desk.reports(), desk.smarthost.connections) == ([], [])
        getattr(desk, place).clear()
        assert desk.later(DAY).sent == 1


def test_a_broken_configuration_is_no_trouble_where_nothing_is_due() -> None:
    desk = Desk(Smarthost(replying((b"RCPT", b"450 later"))))
    desk.add()
    desk.round()
    desk.broken[""] = errors.ConfigError("broken")
    assert desk.later(1).troubles == []


def test_a_refused_login_closes_the_lane_and_is_not_repeated_soon() -> None:
    desk = Desk(Smarthost(replying((b"AUTH", b"535 5.7.8 wrong password")), ("AUTH PLAIN",)))
    desk.words |= {"auth": "on", "user": "u", "auth_without_tls": "on"}
    desk.credentials = Credentials(b"u", b"geheim")
    qid = desk.add()
    (trouble,) = desk.round().troubles
    assert isinstance(trouble.failure, errors.NoPermission)
    assert trouble.until == NOW + 8 * MINUTE
    for _ in range(300):
        desk.later(HOUR)
    assert set(desk.states(qid).values()) == {"queued"}
    assert desk.reports() == [] and b"MAIL" not in b" ".join(desk.smarthost.lines)


def test_tls_that_fails_closes_the_lane_and_gives_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(session: Session) -> None:
        raise TLSFailure("expired")

    monkeypatch.setattr(Session, "open", refuse)
    desk = Desk(Smarthost())
    qid = desk.add()
    for _ in range(300):
        desk.later(HOUR)
    assert set(desk.states(qid).values()) == {"queued"}
    assert desk.one(qid).reply == "expired"


# Giving up behind a smarthost that cannot be reached


def wait_for(desk: Desk, seconds: float) -> int:
    """Run whenever something is due, for so long; return the number of rounds."""
    end, rounds = desk.clock.now + seconds, 0
    while (due := desk.runner.next_due()) is not None and due <= end:
        desk.clock.now = due
        desk.round()
        rounds += 1
    desk.clock.now = end
    return rounds


def test_what_waits_too_long_for_a_dead_smarthost_is_given_up_and_the_report_waits_for_it() -> None:
    desk = Desk(Smarthost(DEAD))
    old = [desk.add(A, B) for _ in range(120)]
    null = desk.add(A, sender=b"")
    wait_for(desk, 5 * DAY - HOUR)
    young = desk.add(A)
    assert desk.reports() == []  # nor of the delay: that report could not arrive before the message does
    wait_for(desk, 2 * HOUR)
    assert {frozenset(desk.states(qid).values()) for qid in old} == {frozenset({"failed"})}
    assert set(desk.states(null).values()) == set(desk.states(young).values()) == {"queued"}
    assert len(desk.reports()) == 120
    assert "given up after 5 days; the last time: mx.test[192.0.2.1]:25: " in desk.item(old[0]).recipients[0].reply
    wait_for(desk, 20 * DAY)
    assert len(desk.reports()) == 121  # that on the young one; and reports do not end before they were told
    desk.smarthost.answer = replying()
    desk.later(HOUR)
    assert Counter(desk.smarthost.recipients()) == {b"alice@example.org": 121, A: 1}


def test_a_clock_that_jumps_ahead_gives_nothing_up_behind_a_dead_smarthost() -> None:
    desk = Desk(Smarthost(DEAD))
    qid = desk.add()
    wait_for(desk, 2 * HOUR)
    desk.clock.now += 30 * DAY
    wait_for(desk, HOUR)
    assert set(desk.states(qid).values()) == {"queued"}
    desk.clock.now -= 30 * DAY
    desk.smarthost.answer = replying()
    assert wait_for(desk, HOUR) and desk.states(qid) == {}


def test_a_smarthost_that_always_sends_us_away_at_mail_is_given_up_too() -> None:
    desk = Desk(Smarthost(replying((b"MAIL FROM:<alice", b"451 4.3.0 later"))))
    desk.settings = Settings(schedule=Schedule(warn=None), connections=1)
    qids = [desk.add() for _ in range(40)]
    wait_for(desk, 6 * DAY)
    assert {frozenset(desk.states(qid).values()) for qid in qids} == {frozenset({"failed"})}
    assert desk.smarthost.recipients() == [b"alice@example.org"] * 40


# Doubt


@pytest.mark.parametrize("end", ["hang", "silence", "rubbish"])
def test_doubt_is_recorded_and_the_same_message_is_tried_again(end: str) -> None:
    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line == b".":
            if end == "hang":
                raise Hang
            return b"" if end == "silence" else b"what?"
        return None

    desk = Desk(Smarthost(answer))
    qid = desk.add(header=b"From: a@x\r\nMessage-ID: <1@x>\r\n")
    report = desk.round()
    assert (report.uncertain, set(desk.states(qid).values())) == (1, {"uncertain"})
    assert "not known whether the message was delivered" in desk.one(qid).reply
    assert any(["status=deferred (it is not known" in line for line in desk.log.of("smtp")])
    desk.smarthost.answer = replying()
    assert desk.later(MINUTE).sent == 1
    assert b"Message-ID: <1@x>" in desk.smarthost.accepted[-1][1]


def test_doubt_is_held_where_that_is_wanted_until_somebody_decides() -> None:
    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line == b".":
            raise Hang
        return None

    desk = Desk(Smarthost(answer), settings=Settings(hold_uncertain=True))
    qid = desk.add()
    assert desk.round().held == 1
    assert desk.one(qid).state == "held"
    desk.smarthost.answer = replying()
    assert desk.later(DAY, due_only=False).sent == 0
    desk.store.unhold(Select(qids=[qid]))
    assert desk.one(qid).state == "uncertain"
    assert desk.round().sent == 1
