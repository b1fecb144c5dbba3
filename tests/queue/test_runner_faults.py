"""A round of the queue in which a message, the queue itself or the runner is the trouble, and all of it together."""

from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.message.body import Body
from pysendmail.queue import attempt, bounce, ledger, settle
from pysendmail.queue.memory import MemoryStore
from pysendmail.queue.settings import Settings
from pysendmail.queue.store import Damaged, Malformed, Stored
from pysendmail.queue.values import Message, Notice, Result
from tests.delivery.memory import CAPABILITIES, DATA_ONLY, LOCK_STEP, Connection, Hang, Smarthost
from tests.queue.running import HOUR, MINUTE, Desk, replying
from tests.queue.stores import NOW

A, B, C = b"a@y.test", b"b@y.test", b"c@y.test"
DEAD = replying((b"greeting", b"554 5.3.2 no service"))
WAYS = [CAPABILITIES, DATA_ONLY, LOCK_STEP]


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


@pytest.mark.parametrize("kind", [errors.TempFail, Malformed])
@pytest.mark.parametrize("at", [0, 70000])
def test_a_message_that_cannot_be_read_now_is_put_off(at: int, kind: type[errors.TempFail]) -> None:
    desk = Desk(Smarthost(), Faulty(kind("input/output error"), at), Settings(connections=1))
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

    monkeypatch.setattr(bounce.dsn, "build", full)  # type: ignore[attr-defined]
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
