"""Being asked to end: what is in hand is finished and recorded, and the rest goes back as it was."""

import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from pysendmail.delivery import interruption
from pysendmail.queue.settings import Settings
from pysendmail.queue.sqlite import SqliteStore
from tests.delivery.memory import CAPABILITIES, DATA_ONLY, LOCK_STEP, Connection, Smarthost
from tests.obedient import Obedient
from tests.queue.running import Desk, mails
from tests.queue.stores import entry

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LIMIT = 20
WAYS = [CAPABILITIES, DATA_ONLY, LOCK_STEP]


def signalling(stage: bytes, *, times: int = 1, silent: bool = False) -> Smarthost:
    """Return a smarthost at whose answer to `stage` signals come; `silent`: there is no answer."""

    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line.startswith(stage) and not interruption.pending():
            for _ in range(times):
                interruption._caught(signal.SIGTERM, None)
            return b"" if silent else None
        return None

    return Smarthost(answer, CAPABILITIES)


@pytest.mark.parametrize("way", WAYS, ids=["CHUNKING", "DATA", "lock-step"])
@pytest.mark.parametrize("stage", [b"MAIL", b"RCPT", b"."])
def test_the_message_in_hand_is_finished_and_no_other_one_is_begun(stage: bytes, way: tuple[str, ...]) -> None:
    desk = Desk(signalling(stage), settings=Settings(connections=1))
    desk.smarthost.capabilities = (way,)
    first, *rest = [desk.add() for _ in range(20)]
    report = desk.round()
    assert (report.sent, report.stopped, report.failure) == (1, True, None)
    assert desk.states(first) == {}
    assert all([desk.one(qid).state == "queued" and desk.one(qid).attempts == 0 for qid in rest])
    assert (len(mails(desk.smarthost)), desk.smarthost.lines[-1]) == (1, b"QUIT")
    desk.smarthost.answer = lambda connection, line: None
    assert desk.round().sent == 19  # the state of the signal is that of one process


@pytest.mark.parametrize("stage", [b"greeting", b"EHLO"])
def test_while_a_connection_is_being_made_a_signal_ends_it_at_once(stage: bytes) -> None:
    desk = Desk(signalling(stage))
    qids = [desk.add() for _ in range(5)]
    report = desk.round()
    assert (report.done, report.stopped, report.troubles) == (0, True, [])
    assert all([desk.one(qid).state == "queued" for qid in qids])
    assert mails(desk.smarthost) == []
    assert desk.store.lanes()[0].failures == 0  # it is not the smarthost's fault


@pytest.mark.parametrize(("stage", "state"), [(b".", "uncertain"), (b"RCPT", "deferred")])
def test_a_second_signal_breaks_the_message_in_hand_off_and_that_is_recorded(stage: bytes, state: str) -> None:
    desk = Desk(signalling(stage, times=2, silent=True), settings=Settings(connections=1))
    desk.smarthost.capabilities = (LOCK_STEP,)
    first, second = desk.add(), desk.add()
    report = desk.round()
    assert report.stopped
    assert desk.one(first).state == state and "ended by signal 15" in desk.one(first).reply
    assert desk.one(second).state == "queued"


def test_a_message_in_hand_that_takes_too_long_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "GRACE", 0.0)
    desk = Desk(signalling(b"RCPT", silent=True), settings=Settings(connections=1))
    desk.smarthost.capabilities = (LOCK_STEP,)
    qid = desk.add()
    desk.round()
    assert desk.one(qid).state == "deferred" and "ended by signal 15" in desk.one(qid).reply


def test_every_courier_finishes_what_he_has_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysendmail.queue.team._QUICK", 0.0)  # each has a thread of his own
    met = threading.Barrier(2, timeout=LIMIT)

    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line == b"." and len(desk.smarthost.accepted) >= 12 and not interruption.pending():
            met.wait()
            interruption._caught(signal.SIGTERM, None)
            interruption._state.hurry = False
        return None

    desk = Desk(Smarthost(answer), settings=Settings(connections=2))
    for _ in range(100):
        desk.add()
    report = desk.round()
    assert report.stopped and 12 < report.sent < 100
    assert len(desk.smarthost.accepted) == report.sent
    assert desk.store.counts().recipients["queued"] == 100 - report.sent
    assert desk.store.counts().recipients["active"] == 0


def test_the_word_to_stop_may_come_from_any_thread() -> None:
    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line == b".":
            desk.runner.stop()
        return None

    desk = Desk(Smarthost(answer), settings=Settings(connections=1))
    for _ in range(5):
        desk.add()
    report = desk.round()
    assert (report.sent, report.stopped) == (1, True)
    assert desk.round().sent == 1  # each round is asked anew


def test_a_signal_while_the_password_is_being_found_ends_the_round() -> None:
    desk = Desk(Smarthost())
    qid = desk.add()
    routes = desk.runner._routes

    def asking(account: str, config: str) -> object:
        way = routes(account, config)
        way.route = lambda: interruption._caught(signal.SIGINT, None)  # type: ignore[assignment, return-value]
        return way

    desk.runner._routes = asking  # type: ignore[assignment]
    report = desk.round()
    assert (report.stopped, report.troubles, desk.smarthost.connections) == (True, [], [])
    assert desk.one(qid).state == "queued"


def test_outside_of_a_round_signals_raise_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_state", interruption._State())
    monkeypatch.setattr(interruption._signal, "signal", lambda number, handler: None)  # type: ignore[attr-defined]
    with interruption.Postponed():
        interruption._caught(signal.SIGTERM, None)
        assert interruption.pending() == signal.SIGTERM
        with pytest.raises(interruption.Interrupted), interruption.Breakable():  # type: ignore[attr-defined]
            pass
    with pytest.raises(interruption.Interrupted):  # type: ignore[attr-defined]
        interruption._caught(signal.SIGTERM, None)
    with pytest.raises(interruption.Interrupted), interruption.Waiting():  # type: ignore[attr-defined]
        pass


# A process

PROGRAM = """
import sys
root, path, port = sys.argv[1:]
sys.path.insert(0, root)
from pysendmail.config import accounts, reader
from pysendmail.delivery import interruption
from pysendmail.delivery.session import Route
from pysendmail.log import Log
from pysendmail.queue.runner import Runner, Settings, Way
from pysendmail.queue.sqlite import SqliteStore
interruption.install()
text = f"host 127.0.0.1\\nport {port}\\ntls off\\nsyslog off\\ntimeout 30\\n".encode()
account, _ = accounts.choose(reader.parse(text, "conf"))
way = Way(Settings(connections=1), lambda: Route(account, None), lambda tag: Log(None))
store = SqliteStore(path)
report = Runner(store, lambda account, config: way, log=Log(None)).round(due_only=False)
store.close()
print(report.sent, report.uncertain, report.stopped, report.failure, flush=True)
"""


def started(path: pathlib.Path, server: Obedient) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-IS", "-c", PROGRAM, str(ROOT), str(path), str(server.port)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def filled(tmp_path: pathlib.Path, count: int) -> pathlib.Path:
    path = tmp_path / "queue.db"
    store = SqliteStore(str(path))
    store.add_many([entry(created=time.time()) for _ in range(count)])
    store.close()
    return path


def counted(path: pathlib.Path) -> dict[str, int]:
    store = SqliteStore(str(path))
    try:
        return {state: number for state, number in store.counts().recipients.items() if number}
    finally:
        store.close()


def until(condition: object) -> None:
    end = time.monotonic() + LIMIT
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_process_that_is_told_to_end_finishes_its_message_and_gives_back_the_rest(
    tmp_path: pathlib.Path, number: int
) -> None:
    path = filled(tmp_path, 3)
    with Obedient() as server:
        server.gates["."] = threading.Event()
        with started(path, server) as process:
            until(lambda: server.messages)
            process.send_signal(number)
            time.sleep(0.1)  # the signal comes while it waits for the answer
            server.gates["."].set()
            out, err = process.communicate(timeout=LIMIT)
    assert (out, err) == (b"1 0 True None\n", b"")
    assert len(server.messages) == 1
    assert counted(path) == {"queued": 2}


def test_a_process_that_is_killed_leaves_what_the_next_one_takes_up_at_once(tmp_path: pathlib.Path) -> None:
    path = filled(tmp_path, 3)
    with Obedient() as server:
        server.gates["."] = threading.Event()
        with started(path, server) as process:
            until(lambda: server.messages)
            process.kill()
            process.communicate(timeout=LIMIT)
        server.gates["."].set()
        with started(path, server) as process:
            out, err = process.communicate(timeout=LIMIT)
    assert (out, err) == (b"3 0 False None\n", b"")
    assert len(server.messages) == 4  # one of them twice: the answer to it had not been heard
    assert counted(path) == {}


def test_two_signals_end_a_process_that_waits_for_an_answer(tmp_path: pathlib.Path) -> None:
    path = filled(tmp_path, 2)
    with Obedient() as server:
        server.gates["."] = threading.Event()
        with started(path, server) as process:
            until(lambda: server.messages)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=LIMIT)
        server.gates["."].set()
    assert (out, err) == (b"0 1 True None\n", b"")
    assert counted(path) == {"queued": 1, "uncertain": 1}
