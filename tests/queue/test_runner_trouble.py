"""A round in trouble: with the smarthost, the configuration, one message, or the queue itself."""

from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.delivery.session import Session
from pysendmail.delivery.tls import TLSFailure
from pysendmail.message.body import Body
from pysendmail.queue import attempt, bounce, ledger, settle
from pysendmail.queue.memory import MemoryStore
from pysendmail.queue.schedule import Schedule
from pysendmail.queue.settings import Settings
from pysendmail.queue.store import Damaged, Stored
from pysendmail.queue.values import Message, Notice, Result, Select
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


# One message


def test_a_message_that_the_server_cannot_take_fails_alone() -> None:
    desk = Desk(Smarthost(None, ("PIPELINING", "SIZE 10000", "8BITMIME")))
    large, foreign, good = desk.add(data=b"x\n" * 9000), desk.add("ü@y.test".encode()), desk.add(A)
    report = desk.round()
    assert (report.failed, report.sent) == (2, 3)  # two reports among them
    assert desk.states(good) == {}
    assert desk.one(large).dsn == "5.3.4"
    assert "SMTPUTF8" in desk.one(foreign).reply


def test_a_message_that_ends_the_connection_each_time_holds_up_no_other() -> None:
    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line.startswith(b"RCPT TO:<b@"):
            raise Hang
        return None

    desk = Desk(Smarthost(answer, LOCK_STEP), settings=Settings(connections=1))
    bad = [desk.add(B) for _ in range(4)]
    for _ in range(10):
        desk.add(A)
    report = desk.round()
    assert (report.sent, report.deferred, report.troubles) == (10, 4, [])
    assert all([desk.states(qid) == {B: "deferred"} for qid in bad])


class Faulty(MemoryStore):
    """A queue in memory in which something is wrong with messages whose queue id is in `bad`."""

    def __init__(self, failure: errors.Failure, at: int) -> None:
        super().__init__(steady=lambda: 0.0)
        self.failure = failure
        self.at = at  # octets that can be read
        self.bad: set[str] = set()

    def open(self, message: Message) -> Stored:
        stored = super().open(message)
        if message.qid not in self.bad:
            return stored
        if not self.at:
            raise self.failure

        class Cut(Body):
            def chunks(body, size: int = 1 << 18) -> Iterable[bytes]:  # type: ignore[override]
                yield b"x" * self.at
                raise self.failure

        cut = object.__new__(Cut)
        for name in ("size", "eight_bit", "nul", "long_line"):
            setattr(cut, name, getattr(stored.body, name))
        return Stored(stored.header, cut)


@pytest.mark.parametrize("way", WAYS, ids=["CHUNKING", "DATA", "lock-step"])
@pytest.mark.parametrize("at", [0, 1, 70000])
def test_a_damaged_message_is_held_nothing_of_it_arrives_and_the_others_leave(at: int, way: tuple[str, ...]) -> None:
    desk = Desk(Smarthost(None, way), Faulty(Damaged("its part 1 was changed"), at), Settings(connections=1))
    good = [desk.add(A)]
    bad = desk.add(B, C, data=b"line\n" * 100_000)
    good.append(desk.add(A))
    desk.store.bad.add(bad)  # type: ignore[attr-defined]
    report = desk.round()
    assert (report.sent, report.held) == (2, 2)
    assert desk.smarthost.recipients() == [A, A]
    assert desk.states(bad) == {B: "held", C: "held"}
    assert "damaged" in desk.item(bad).recipients[0].reply
    assert desk.item(bad).recipients[0].attempts == 0


@pytest.mark.parametrize("at", [0, 70000])
def test_a_message_that_cannot_be_read_now_is_put_off(at: int) -> None:
    desk = Desk(Smarthost(), Faulty(errors.TempFail("input/output error"), at), Settings(connections=1))
    bad, _ = desk.add(B, data=b"line\n" * 100_000), desk.add(A)
    desk.store.bad.add(bad)  # type: ignore[attr-defined]
    report = desk.round()
    assert (report.sent, report.deferred) == (1, 1)
    assert "input/output error" in desk.one(bad).reply


@pytest.mark.parametrize("place", ["make_mail", "envelope_line", "send_all"])
def test_a_bug_that_one_message_brings_to_light_stays_with_it(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right: Callable[..., object] = getattr(attempt, place)

    def wrong(*arguments: object, **more: object) -> object:
        if any(["bad" in str(getattr(each, "fields", each)) for each in arguments]):
            raise KeyError("secret")
        return right(*arguments, **more)

    monkeypatch.setattr(attempt, place, wrong)
    desk = Desk(Smarthost(), settings=Settings(connections=1))
    bad = desk.add(B, header=b"Subject: bad\r\n", sender=b"bad@x")
    desk.add(A)
    report = desk.round()
    assert (report.sent, report.deferred, report.failure) == (1, 1, None)
    assert "internal error (KeyError at " in desk.one(bad).reply and "secret" not in desk.one(bad).reply


@pytest.mark.parametrize("place", ["judge", "_with_reports"])
def test_a_bug_after_the_answer_does_not_have_a_message_sent_twice(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: object) -> object:
        raise KeyError("secret")

    monkeypatch.setattr(settle, place, wrong)
    desk = Desk(Smarthost(replying((b"RCPT TO:<b@", b"550 no"))))
    qid = desk.add(A, B)
    desk.round()
    assert desk.states(qid) == {A: "sent", B: "deferred"}


def test_a_bug_in_a_courier_ends_no_round() -> None:
    desk = Desk(Smarthost())
    desk.add(account="bad")
    desk.add(account="good")

    def answer(connection: Connection, line: bytes) -> bytes | None:
        return None

    desk.smarthost.answer = answer
    routes = desk.runner._routes

    def odd(account: str, config: str) -> object:
        way = routes(account, config)
        if account == "bad":
            way.route = lambda: None  # type: ignore[assignment, return-value]
            way.settings = Settings(connections=0)
        return way

    desk.runner._routes = odd  # type: ignore[assignment]
    assert desk.round().sent == 1


def test_who_cannot_be_told_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> object:
        raise errors.TempFail("the disk is full")

    monkeypatch.setattr(bounce.dsn, "build", full)
    desk = Desk(Smarthost(replying((b"RCPT TO:<bob", b"550 5.1.1 nobody"))))
    qid = desk.add(b"bob@y.test")
    assert desk.round().failed == 0
    one = desk.one(qid)
    assert (one.state, one.due) == ("deferred", NOW + MINUTE)
    assert "the disk is full" in one.reply and "550 5.1.1 nobody" in one.reply
    monkeypatch.undo()
    assert desk.later(MINUTE).failed == 1


# The queue


class Full(MemoryStore):
    """A queue whose disk is full for results, `times` long; what is sent can be noted if `reserve`."""

    def __init__(self, times: int, reserve: bool = False) -> None:
        super().__init__(steady=lambda: 0.0)
        self.times = times
        self.reserve = reserve

    def finish(
        self, owner: str, results: Iterable[Result], notices: Iterable[Notice] = ()
    ) -> list[tuple[int, int]]:
        results = list(results)
        only_sent = all([result.state == "sent" for result in results])
        if self.times and not (self.reserve and only_sent):
            self.times -= 1
            raise errors.TempFail("the disk of the queue is full")
        return super().finish(owner, results, notices)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_PAUSES", (0.0,) * 9)


@pytest.mark.usefixtures("no_pauses")
def test_results_are_tried_again_until_the_disk_takes_them() -> None:
    desk = Desk(Smarthost(), Full(5))
    desk.add(A)
    desk.add(B)
    assert (desk.round().sent, desk.smarthost.recipients()) == (2, [A, B])


@pytest.mark.usefixtures("no_pauses")
def test_a_queue_that_takes_no_results_gets_no_further_message_sent() -> None:
    desk = Desk(Smarthost(), Full(100), Settings(connections=1))
    for _ in range(5):
        desk.add(A)
    report = desk.round()
    assert report.failure is not None and "full" in str(report.failure)
    assert desk.smarthost.recipients() == [A]
    assert any(["status=sent" in line for line in desk.log.of("smtp")])  # the log at least knows
    assert desk.store.counts().recipients["queued"] == 5


@pytest.mark.usefixtures("no_pauses")
def test_what_was_sent_is_noted_even_where_there_is_no_room_for_a_report() -> None:
    desk = Desk(Smarthost(replying((b"RCPT TO:<b@", b"550 no"))), Full(100, reserve=True), Settings(connections=1))
    qid = desk.add(A, B)
    report = desk.round()
    assert report.failure is None
    assert desk.states(qid) == {A: "sent", B: "queued"}  # B would only be refused again
    assert report.sent == 1


class TakenOver(MemoryStore):
    """A queue in which another runner takes over while a message is on its way."""

    def finish(
        self, owner: str, results: Iterable[Result], notices: Iterable[Notice] = ()
    ) -> list[tuple[int, int]]:
        self._give_back(owner, None)
        return super().finish(owner, results, notices)


def test_a_lost_lease_is_told_for_what_may_arrive_twice() -> None:
    desk = Desk(Smarthost(), TakenOver(steady=lambda: 0.0), Settings(connections=1))
    qid = desk.add(A)
    report = desk.round(due_only=False)
    assert (report.repeated, report.sent) == (1, 1)
    assert desk.states(qid) == {A: "queued"}
    assert "removed" not in desk.log.lines[-1][1]
    assert any(["twice" in line for line in desk.log.of("qmgr")])


class Unusable(MemoryStore):
    def claim(self, *arguments: object, **more: object) -> list[object]:  # type: ignore[override]
        raise errors.TempFail("the queue file is damaged")


def test_a_queue_that_cannot_be_read_ends_the_round_with_the_reason() -> None:
    desk = Desk(Smarthost(), Unusable(steady=lambda: 0.0))
    desk.add()
    report = desk.round()
    assert str(report.failure) == "the queue file is damaged"
    assert desk.smarthost.connections == []


# Everything together

MOODS = st.sampled_from(
    ["good"] * 8 + ["450 4.2.0 later", "550 5.1.1 no", "421 4.3.2 bye", "452 4.5.3 full", "hang", "silence", "rubbish", "535 5.7.8 no"]
)


@settings(max_examples=150, deadline=None)
@given(
    moods=st.lists(MOODS, max_size=40),
    way=st.sampled_from(WAYS),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    most=st.integers(1, 3),
    due_only=st.booleans(),
)
def test_whatever_the_server_does_nobody_is_forgotten_and_only_doubt_sends_twice(
    moods: list[str], way: tuple[str, ...], sizes: list[int], most: int, due_only: bool
) -> None:
    left = iter(moods)

    def answer(connection: Connection, line: bytes) -> bytes | None:
        if not line.startswith((b"greeting", b"MAIL", b"RCPT", b"DATA", b".", b"RSET")):
            return None
        mood = next(left, "good")
        if mood == "good":
            return None
        if mood in ("hang", "421 4.3.2 bye"):
            raise Hang(b"" if mood == "hang" else mood.encode())
        return {"silence": b"", "rubbish": b"what?"}.get(mood, mood.encode())

    desk = Desk(Smarthost(answer, way), settings=Settings(connections=1))
    desk.words["max_recipients"] = most
    names = {desk.add(*[b"%d.%d@y.test" % (n, r) for r in range(size)]): size for n, size in enumerate(sizes)}
    doubtful: set[bytes] = set()
    for _ in range(60):
        desk.round(due_only=due_only)
        waiting = False
        for qid in names:
            found = desk.states(qid)
            doubtful |= {address for address, state in found.items() if state == "uncertain"}
            assert "active" not in found.values()
            waiting = waiting or bool({"queued", "deferred", "uncertain"} & set(found.values()))
        if not waiting:
            break
        desk.clock.now += HOUR
    served = Counter(desk.smarthost.recipients())
    for number, (qid, size) in enumerate(names.items()):
        found = desk.states(qid)
        for r in range(size):
            address = b"%d.%d@y.test" % (number, r)
            state = found.get(address, "sent")
            assert state in ("sent", "failed"), (address, state)
            if state == "sent":
                assert served[address] >= 1
            elif address not in doubtful:
                assert served[address] == 0
            if address not in doubtful:
                assert served[address] <= 1
