"""One thread serves several connections to a smarthost that answers at once, and records what comes together at once."""

import _thread
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from pysendmail import errors
from pysendmail.delivery import deliver, interruption
from pysendmail.delivery.session import Session
from pysendmail.queue import ledger
from pysendmail.queue.courier import Courier
from pysendmail.queue.lane import Lane
from pysendmail.queue.memory import MemoryStore
from pysendmail.queue.settings import Settings
from pysendmail.queue.team import Team
from pysendmail.queue.values import Notice, Result
from pysendmail.smtp.outcome import Mail
from pysendmail.smtp.transaction import Transaction
from tests.crowd import Crowd
from tests.delivery.memory import Connection, Hang, Smarthost
from tests.queue.running import Desk, replying
from tests.queue.serving import open_shop, until

SEVERAL = Settings(connections=4)
LARGE = b"x" * 70 + b"\n"


class Book(MemoryStore):
    """A store that counts its commits, and cannot write the results of the messages in `refused`."""

    def __init__(self) -> None:
        super().__init__(steady=lambda: 0.0)
        self.commits: list[int] = []
        self.refused: set[int] = set()

    def finish(
        self, owner: str, results: Iterable[Result], notices: Iterable[Notice] = ()
    ) -> list[tuple[int, int]]:
        results = list(results)
        if self.refused.intersection([result.message for result in results]):
            raise errors.SoftwareError("this message cannot be written")
        self.commits.append(len(results))
        return super().finish(owner, results, notices)


@pytest.fixture(autouse=True)
def any_smarthost_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no busy machine make a smarthost a slow one."""
    monkeypatch.setattr("pysendmail.queue.team._QUICK", 60.0)


def numbered(number: int) -> bytes:
    return b"%d@y.test" % number


def everybody(count: int) -> list[bytes]:
    return [numbered(number) for number in range(count)]


def test_all_connections_to_a_quick_smarthost_are_one_threads_and_their_results_one_commit() -> None:
    threads: set[int] = set()

    def answer(connection: Connection, line: bytes) -> bytes | None:
        threads.add(threading.get_ident())
        return None

    book = Book()
    desk = Desk(Smarthost(answer), book, SEVERAL)
    for number in range(100):
        desk.add(numbered(number))
    assert desk.round().sent == 100
    assert sorted(desk.smarthost.recipients()) == sorted(everybody(100))
    assert len(desk.smarthost.connections) == 4 and len(threads) == 1
    assert max(book.commits) == 4 and len(book.commits) < 50
    assert min([len(connection.lines) for connection in desk.smarthost.connections]) > 40


def test_all_connections_are_made_also_where_there_is_always_an_answer_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def hear_one(team: Team) -> list[Courier]:
        return [courier for courier in list(team._waiting)[:1] if courier.heard()]

    monkeypatch.setattr(Team, "_hear", hear_one)
    desk = Desk(Smarthost(), settings=SEVERAL)
    for address in everybody(200):
        desk.add(address)
    assert desk.round().sent == 200
    assert len(desk.smarthost.connections) == 4
    assert Counter(desk.smarthost.recipients()) == Counter(everybody(200))


def test_no_connection_gets_a_message_before_the_mark_of_its_last_one_is_committed() -> None:
    last: dict[int, bytes] = {}
    early: list[bytes] = []

    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line.startswith(b"MAIL") and connection.number in last and desk.states(qids[last[connection.number]]):
            early.append(last[connection.number])
        if line.startswith(b"RCPT"):
            last[connection.number] = line.partition(b"<")[2].partition(b">")[0]
        return None

    desk = Desk(Smarthost(answer), settings=SEVERAL)
    qids = {address: desk.add(address) for address in everybody(60)}
    assert (desk.round().sent, early) == (60, [])
    assert len(last) == 4


def test_each_message_has_its_own_outcome_whatever_becomes_of_the_others() -> None:
    rules = ((b"RCPT TO:<30@", b"550 5.1.1 no"), (b"RCPT TO:<31@", b"450 4.2.1 later"), (b"RCPT TO:<32@", b"552 5.2.2 full"))
    desk = Desk(Smarthost(replying(*rules)), settings=SEVERAL)
    qids = [desk.add(address) for address in everybody(60)]
    both = desk.add(numbered(30), b"other@y.test")
    report = desk.round()
    assert (report.sent, report.failed, report.deferred, report.reports) == (61, 3, 1, 3)
    assert desk.states(qids[30]) == {numbered(30): "failed"}
    assert desk.states(qids[31]) == {numbered(31): "deferred"}
    assert desk.states(both) == {numbered(30): "failed", b"other@y.test": "sent"}
    assert sorted(desk.smarthost.recipients()).count(b"other@y.test") == 1


@pytest.mark.parametrize("last", [b"", b"421 4.3.2 going down"])
def test_a_connection_that_ends_in_the_middle_makes_only_its_own_message_uncertain(last: bytes) -> None:
    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line.startswith(b"RCPT TO:<40@"):
            doomed.append(connection.number)
        if line == b"." and connection.number in doomed:
            raise Hang(last)
        return None

    doomed: list[int] = []
    desk = Desk(Smarthost(answer), settings=SEVERAL)
    qids = [desk.add(address) for address in everybody(80)]
    report = desk.round()
    assert report.sent == 79 and report.uncertain + report.deferred == 1
    assert desk.one(qids[40]).state == ("deferred" if last else "uncertain")
    assert sorted(desk.smarthost.recipients()) == sorted(set(everybody(80)) - {numbered(40)})


def test_connections_are_made_anew_when_they_have_carried_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysendmail.queue.courier.MESSAGES", 7)
    desk = Desk(Smarthost(), settings=SEVERAL)
    for address in everybody(100):
        desk.add(address)
    assert desk.round().sent == 100
    carried = [len([line for line in each.lines if line[:4] == b"MAIL"]) for each in desk.smarthost.connections]
    assert max(carried) == 7 and sum(carried) == 100
    assert Counter(desk.smarthost.recipients()) == Counter(everybody(100))


@pytest.mark.usefixtures("no_pauses")
def test_a_message_whose_result_cannot_be_written_does_not_take_those_recorded_with_it() -> None:
    book = Book()
    desk = Desk(Smarthost(), book, SEVERAL)
    qids = [desk.add(address) for address in everybody(60)]
    book.refused = {desk.item(qids[30]).message.id}
    report = desk.round()
    assert report.failure is not None and "cannot be written" in str(report.failure)
    assert desk.states(qids[30]) == {numbered(30): "queued"}
    taken = desk.smarthost.recipients()
    left = [address for address, qid in zip(everybody(60), qids, strict=True) if desk.states(qid)]
    assert set(taken) & set(left) == {numbered(30)}, "what was sent and could be recorded was"
    assert len(taken) == len(set(taken)) and len(taken) + len(left) == 61
    sent = [line for line in desk.log.of("smtp") if "status=sent" in line]
    assert len(sent) == len(taken), "the log knows of all of them"


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_PAUSES", (0.0,) * 9)


def test_a_bug_that_one_message_brings_to_light_keeps_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(session: Session, mail: Mail) -> Transaction | None:
        if mail.recipients == [numbered(30)]:
            raise ZeroDivisionError
        return deliver.begin(session, mail)

    monkeypatch.setattr("pysendmail.queue.attempt.begin", begin)
    desk = Desk(Smarthost(), settings=SEVERAL)
    qids = [desk.add(address) for address in everybody(60)]
    report = desk.round()
    assert (report.sent, report.deferred) == (59, 1)
    assert "internal error (ZeroDivisionError" in desk.one(qids[30]).reply


def test_after_a_signal_all_messages_in_hand_are_finished_and_no_other_one_is_begun() -> None:
    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line.startswith(b"RCPT TO:<30@"):
            interruption._caught(signal.SIGTERM, None)
        return None

    desk = Desk(Smarthost(answer), settings=SEVERAL)
    for address in everybody(100):
        desk.add(address)
    report = desk.round()
    assert report.stopped and 31 <= report.sent < 36
    assert len(desk.smarthost.accepted) == report.sent
    assert desk.store.counts().recipients["queued"] == 100 - report.sent
    assert desk.store.counts().recipients["active"] == 0


# Servers that take their time


@pytest.fixture
def parted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return what came of each attempt of a courier to go on in a thread of his own."""
    told: list[bool] = []
    part = Lane.part

    def record(lane: Lane, courier: Courier) -> bool:
        told.append(part(lane, courier))
        return told[-1]

    monkeypatch.setattr(Lane, "part", record)
    return told


@pytest.mark.parametrize("slow_ones", [2, 3])
def test_a_slow_answer_holds_up_no_other_message(parted: list[bool], slow_ones: int) -> None:
    """Even if all connections have one: who waits goes on by himself."""
    with Crowd() as server:
        gates = [threading.Event() for _ in range(slow_ones)]
        server.gates |= {f"RCPT TO:<slow{number}": gate for number, gate in enumerate(gates)}
        with open_shop(server.port, connections=3) as shop:
            qids = [shop.add(numbered(number), wake=False) for number in range(30)]
            slow = [shop.add(b"slow%d@y.test" % number, wake=False) for number in range(slow_ones)]
            qids += [shop.add(numbered(number), wake=False) for number in range(30, 90)]
            shop.wake()
            until(lambda: len(parted) >= 2)
            gates[0].set()
            shop.gone(slow[0])
            for qid in qids:
                shop.gone(qid)
            assert [shop.state(qid) for qid in slow[1:]] == ["active"] * (slow_ones - 1)
            qids = [shop.add(numbered(number)) for number in range(90, 120)]
            for qid in qids:
                shop.gone(qid)
            for number, gate in enumerate(gates):
                gate.set()
                shop.gone(slow[number])
        assert len(server.deliveries) == 120 + slow_ones
        assert server.connections <= 3


def test_large_messages_among_small_ones_arrive_whole(parted: list[bool]) -> None:
    with Crowd() as server, open_shop(server.port, connections=3) as shop:
        sizes = {number: 4000 if number % 7 == 3 else 1 for number in range(60)}
        qids = [shop.add(numbered(number), data=LARGE * size, wake=False) for number, size in sizes.items()]
        shop.wake()
        for qid in qids:
            shop.gone(qid)
        got = {int(delivery.recipients[0].partition("@")[0]): delivery.body for delivery in server.deliveries}
        assert len(server.deliveries) == 60
        assert {number: len(body) for number, body in got.items()} == {number: 72 * size for number, size in sizes.items()}
        assert server.connections <= 3 and parted


def test_where_no_thread_can_be_had_a_slow_message_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []

    class Threads:
        allocate_lock = staticmethod(_thread.allocate_lock)

        @staticmethod
        def start_new_thread(work: Callable[..., None], arguments: tuple[object, ...]) -> int:
            started.append(work)
            if len(started) > 1:
                raise RuntimeError("can't start new thread")
            return _thread.start_new_thread(work, arguments)

    with Crowd() as server:
        server.gates["RCPT TO:<slow"] = gate = threading.Event()
        with open_shop(server.port, connections=3) as shop:
            monkeypatch.setattr("pysendmail.queue.crew._thread", Threads)
            qids = [shop.add(numbered(number), wake=False) for number in range(30)]
            qids += [shop.add(b"slow@y.test", wake=False)]
            qids += [shop.add(numbered(number), wake=False) for number in range(30, 60)]
            shop.wake()
            until(lambda: "RCPT TO:<slow@y.test>" in server.commands)
            until(lambda: len(started) > 1)
            gate.set()
            for qid in qids:
                shop.gone(qid)
        assert len(server.deliveries) == 61
