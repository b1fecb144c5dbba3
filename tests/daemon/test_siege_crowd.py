"""Five hundred callers at once, of whom half are broken: every honest one is served."""

import contextlib
import random
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from pysendmail import wire
from tests.command.caller import LIMIT, until
from tests.daemon.door import answer
from tests.daemon.siege import BOB, LONG, Siege, frames, show

pytestmark = pytest.mark.once

HONEST = 250
HANGING = 45.0  # seconds that nobody may wait on the slowest machine


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """Let this process have as many as it needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def serve_all(siege: Siege, name: str, *words: bytes) -> list[float]:
    """Have the honest ones come all at once, and return how long each waited."""
    waited: list[float] = []
    codes: list[tuple[int, bytes]] = []
    start = threading.Barrier(HONEST + 1)

    def work(number: int) -> None:
        start.wait()
        begun = time.monotonic()
        with siege.call() as line:
            line.sendall(frames(f"{name}.{number}", *words))
            codes.append(answer(line))
        waited.append(time.monotonic() - begun)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(HONEST)]
    for thread in threads:
        thread.start()
    start.wait()
    for thread in threads:
        thread.join(LIMIT)
    assert codes == [(0, b"")] * HONEST
    return sorted(waited)


@contextlib.contextmanager
def broken_ones(siege: Siege, count: int = 250) -> Iterator[None]:
    """Keep so many callers there who do everything wrong."""
    whole = frames("broken")
    smtp = wire.request(b"sendmail", [b"-bs"])
    said = [
        b"", whole[:3], whole[:30], whole[:-14], whole[:-1], wire.REQUEST + b"\x00\x2f\xff\xff" + b"x" * 1000,
        smtp, smtp + b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhalf", wire.request(b"mailq", []),
        wire.request(b"sendmail", [b"-t"]) + wire.frame(wire.DATA, b"x" * 60_000) * 3,
    ]  # fmt: skip
    stopping = threading.Event()

    def come_and_go() -> None:
        """Be somebody else all the time: garbage, cut off anywhere."""
        choice = random.Random(4711)
        while not stopping.is_set():
            with contextlib.suppress(OSError), siege.call() as line:
                line.sendall(choice.choice([whole[: choice.randrange(len(whole))], choice.randbytes(400)]))
                time.sleep(0.002)

    with contextlib.ExitStack() as stack:
        for number in range(count):
            line = stack.enter_context(siege.call())
            line.setblocking(False)
            with contextlib.suppress(OSError):
                line.sendall(said[number % len(said)])
        thread = threading.Thread(target=come_and_go, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join(LIMIT)


@pytest.mark.parametrize("mode", ["-odb", "-odi"])
def test_every_honest_one_of_five_hundred_is_served(siege: Siege, mode: str) -> None:
    siege.start()
    before = siege.figures()
    for turn in range(3 if LONG else 1):
        alone = serve_all(siege, f"alone{turn}", mode.encode())
        with broken_ones(siege):
            among = serve_all(siege, f"among{turn}", mode.encode())
            most = siege.pss()
        show(
            f"250 honest {mode}", alone_median=alone[HONEST // 2], alone_slowest=alone[-1], among_median=among[HONEST // 2],
            among_slowest=among[-1], ratio=among[-1] / alone[-1], pss_kb=most,
        )  # fmt: skip
        assert among[-1] < HANGING
        assert most < 120 << 10
    siege.until_empty()
    assert max(siege.server.arrived.values()) == 1 and not siege.server.half
    assert sum(siege.server.arrived.values()) == HONEST * (6 if LONG else 2)
    until(lambda: siege.figures()["descriptors"] < before["descriptors"] + 40)


def test_real_commands_are_served_among_them_and_a_killed_one_sends_nothing(siege: Siege) -> None:
    siege.start()
    with broken_ones(siege, 100):
        killed = [siege.begin_open() for _ in range(10)]
        honest = [siege.begin("-i", BOB.decode()) for _ in range(20)]
        for process in killed:
            process.send_signal(random.choice([signal.SIGKILL, signal.SIGTERM]))
        assert [process.wait(LIMIT) for process in honest] == [0] * 20
        for process in killed:
            assert process.wait(LIMIT) in (-signal.SIGKILL, 75)
    siege.until_empty()
    assert siege.server.arrived["hello"] == 0 and len(siege.server.half) == 0


def test_who_connects_five_thousand_times_is_turned_away_and_others_are_served(siege: Siege) -> None:
    siege.start()
    most = 0
    with contextlib.ExitStack() as stack:
        lines: list[socket.socket] = []
        for number in range(5000):
            if len(lines) >= 3000:
                lines.pop(0).close()
            line = socket.socket(socket.AF_UNIX)
            line.settimeout(LIMIT)
            stack.callback(line.close)
            try:
                line.connect(str(siege.socket))
            except BlockingIOError:
                time.sleep(0.01)
                continue
            lines.append(line)
            if number % 1000 == 999:
                most = max(most, siege.pss())
                assert siege.hand_in(f"between{number}") in (0, 75)
    show("5,000 connections", pss_kb=most)
    assert most < 120 << 10
    until(lambda: siege.hand_in("after") == 0)
    siege.until_empty()
    assert not siege.server.half


def test_four_large_messages_at_once_take_little_memory(siege: Siege) -> None:
    siege.server.capabilities = tuple(word for word in siege.server.capabilities if word[:4] != "SIZE")
    siege.start()
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda number=number: codes.append(siege.hand_in(f"large{number}", lines=2_200_000 if LONG else 400_000)))  # type: ignore[misc]
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads) or siege.items():
        most = max(most, siege.pss())
        time.sleep(0.1)
    show("four large messages", pss_kb=most, at_rest=siege.pss())
    assert codes == [0] * 4
    assert sorted(siege.server.arrived) == [f"large{number}" for number in range(4)] and not siege.server.half
    assert most < 80 << 10
