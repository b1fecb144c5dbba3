"""The deliver process as a process of its own: signals, death, secrets, memory."""

import collections
import contextlib
import os
import pathlib
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.store import Store
from tests.conftest import ROOT, base_python
from tests.crowd import Crowd
from tests.obedient import SILENCE
from tests.queue.place import need_root
from tests.queue.stores import entry
from tests.queue.test_full_disk import fill

SCRIPT = pathlib.Path(__file__).with_name("delivering.py")
PATIENCE = 120.0


class Deliverer:
    """A deliver process that can be started again, and the accept's side of its pipes and of the queue."""

    def __init__(self, folder: pathlib.Path, port: int) -> None:
        self.folder = folder
        self.path = folder / "conf"
        self.queue = folder / "spool" / "queue.db"
        self.log = folder / "log"
        self.words: dict[str, object] = {
            "host": "127.0.0.1", "port": port, "tls": "off", "syslog": "off", "logfile": self.log, "domain": "me.test",
            "maildomain": "me.test", "retry": "1s 1s",
        }  # fmt: skip
        self.wake, self.news, self.pulse = os.pipe(), os.pipe(), os.pipe()
        self.ends = [*self.wake, *self.news, *self.pulse]
        for end in self.ends:
            os.set_blocking(end, False)
        self.process: subprocess.Popen[bytes] | None = None
        self._store: Store | None = None

    def start(self, *more: str) -> None:
        self.path.write_text("".join([f"{word} {value}\n" for word, value in self.words.items()]))
        self.path.chmod(0o600)
        fds = (self.wake[0], self.news[1], self.pulse[1])
        arguments = [SCRIPT, ROOT, self.path, self.queue, *fds, *more]
        command = [base_python(), "-I", "-S", "-B", *map(str, arguments)]
        self.process = subprocess.Popen(command, pass_fds=fds, cwd="/")

    @property
    def store(self) -> Store:
        if self._store is None:
            self._store = SqliteStore(str(self.queue))
        return self._store

    def add(self, number: int = 1, **more: object) -> list[str]:
        """Commit messages to recipients of their own, and say so."""
        more.setdefault("created", time.time())
        qids = self.store.add_many([entry(b"r%d@y.test" % each, **more) for each in range(number)])  # type: ignore[arg-type]
        with contextlib.suppress(BlockingIOError):
            os.write(self.wake[1], b"c")
        return qids

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def memory(self) -> int:
        """Give the most memory that the process has had so far, in KiB."""
        assert self.process is not None
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1])

    def clear(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)
        if self._store is not None:
            self._store.close()
            self._store = None
        for end in self.ends:
            os.close(end)
        self.ends.clear()


@pytest.fixture
def server() -> Iterator[Crowd]:
    """Give a smarthost."""
    with Crowd() as made:
        yield made


@pytest.fixture
def one(tmp_path: pathlib.Path, server: Crowd) -> Iterator[Deliverer]:
    """Give a deliver process that is not started yet."""
    made = Deliverer(tmp_path, server.port)
    yield made
    made.clear()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.01)


def wait_for(server: Crowd, number: int) -> None:
    until(lambda: len(server.deliveries) == number)


def counted(server: Crowd) -> collections.Counter[str]:
    return collections.Counter([to for delivery in server.deliveries for to in delivery.recipients])


def test_what_is_committed_is_delivered_and_sigterm_ends_it_in_order(one: Deliverer, server: Crowd) -> None:
    one.start()
    qids = one.add(3)
    until(lambda: len(server.deliveries) == 3)
    until(lambda: all([one.store.get(qid) is None for qid in qids]))
    assert os.read(one.pulse[0], 4096), "it says that it is alive"
    assert one.end() == 0
    until(lambda: server.standing == 0)
    assert server.commands[-1] == "QUIT"
    assert one.store.gauges() == [] and not list(one.queue.parent.glob("*-owner-*"))


def test_news_come_for_an_awaited_message(one: Deliverer, server: Crowd) -> None:
    server.answers["RCPT"] = "550 5.1.1 no such user"
    one.start()
    (qid,) = one.add(awaited=True)
    got: list[bytes] = []

    def heard() -> bool:
        with contextlib.suppress(BlockingIOError):
            got.append(os.read(one.news[0], 4096))
        return bool(got)

    until(heard)
    item = one.store.get(qid)
    assert item is not None and (item.recipients[0].state, item.recipients[0].code) == ("failed", 67)


def test_a_password_command_runs_once(one: Deliverer, server: Crowd) -> None:
    counter = one.folder / "counter"
    server.mechanisms = "PLAIN"
    one.words |= {"user": "u", "auth_without_tls": "on", "keep_connections": "off"}
    one.words["passwordeval"] = f"echo x >>{counter}; echo open-sesame"
    one.start()
    for number in range(1, 4):
        one.add()
        wait_for(server, number)
        until(lambda: server.standing == 0)
    assert server.connections == 3 and counter.read_text() == "x\n"
    assert b"open-sesame" not in one.log.read_bytes()


def test_sigterm_ends_a_process_that_waits_for_a_smarthost(one: Deliverer, server: Crowd) -> None:
    server.answers["greeting"] = SILENCE
    one.start()
    (qid,) = one.add()
    until(lambda: server.connections)
    assert one.end() == 0
    item = one.store.get(qid)
    assert item is not None and item.recipients[0].state == "queued"


def test_a_message_cannot_choose_the_daemons_configuration(one: Deliverer) -> None:
    other = one.folder / "other"
    other.write_text(f"host 127.0.0.1\npasswordeval touch {one.folder}/ran\nuser x\n")
    other.chmod(0o600)
    one.start()
    one.add(config=str(other))
    until(lambda: any([lane.until for lane in one.store.lanes()]))
    (lane,) = one.store.lanes()
    assert "by another configuration than its own" in lane.reply and not (one.folder / "ran").exists()


def test_the_path_of_the_daemons_own_configuration_is_no_other_one(one: Deliverer, server: Crowd) -> None:
    one.start()
    one.add(config=str(one.path))
    until(lambda: server.deliveries)


def test_a_users_daemon_takes_his_other_configurations_as_they_are_now(one: Deliverer, server: Crowd) -> None:
    other = one.folder / "other"
    with Crowd() as second:
        other.write_text(f"host 127.0.0.1\nport {second.port}\ntls off\nsyslog off\nmaildomain me.test\n")
        other.chmod(0o600)
        one.start("agent")
        one.add(config=str(other))
        until(lambda: len(second.deliveries) == 1)
        other.write_text(other.read_text().replace(str(second.port), str(server.port)))
        one.add(config=str(other))
        until(lambda: server.deliveries)
        assert len(second.deliveries) == 1


def test_killed_again_and_again_it_loses_nothing_and_repeats_only_what_was_in_hand(one: Deliverer, server: Crowd) -> None:
    chance = random.Random(4711)
    total, kills = 0, 8
    one.words["connections"] = 2
    one.start()
    for _ in range(kills):
        one.add(40, sender=b"s%d@x.test" % total)
        total += 40
        time.sleep(chance.uniform(0.05, 0.5))
        one.end(signal.SIGKILL)
        one.start()
    one.add(40)
    total += 40
    until(lambda: one.store.counts().messages == 0)
    assert one.end() == 0
    copies = collections.Counter([(d.sender, to) for d in server.deliveries for to in d.recipients])
    assert len(copies) == total, "nothing is lost"
    assert len(server.deliveries) - total <= 2 * kills, "twice is only what was in hand"


@pytest.mark.once
def test_ten_thousand_messages_leave_in_bounded_memory(one: Deliverer, server: Crowd) -> None:
    one.add(500)
    one.start()
    until(lambda: one.store.counts().messages == 0)
    before = one.memory()
    for _ in range(10):
        one.add(1000)
    until(lambda: len(server.deliveries) >= 10_500)
    assert one.memory() - before < 20_000
    copies = counted(server)
    assert (len(copies), sum(copies.values())) == (1000, 10_500)


@pytest.mark.once
def test_on_a_full_disk_nothing_is_lost_or_sent_twice_and_it_goes_on_afterwards(one: Deliverer, server: Crowd) -> None:
    need_root()
    spool = one.queue.parent
    spool.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={6 << 20},mode=0700", "tmpfs", str(spool)], check=True)
    try:
        gate = server.gates["RCPT"] = threading.Event()
        one.start()
        one.add(20)
        until(lambda: server.connections)
        ballast = fill(str(one.queue))
        gate.set()
        time.sleep(2)
        fill(str(one.queue))
        time.sleep(2)
        assert one.process is not None and one.process.poll() is None
        os.unlink(ballast)
        until(lambda: one.store.counts().messages == 0)
        one.add(5)
        until(lambda: one.store.counts().messages == 0)
        assert one.end() == 0
        assert set(counted(server).values()) == {1, 2} and len(server.deliveries) == 25
    finally:
        one.clear()
        subprocess.run(["umount", "-l", str(spool)], check=True)
