"""Smarthosts that tire of a connection, and too many callers at once: all arrives, each message once."""

import collections
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.command.caller import LIMIT, until
from tests.crowd import Crowd
from tests.obedient import Obedient
from tests.queue_command.keeper import Keeper, numbered, numbers
from tests.scripted import Peer

pytestmark = pytest.mark.once

BOB = "bob@example.net"
PATIENCE = 4  # messages


class Weary(Crowd):
    """A smarthost that takes four messages on a connection; `manner` is what it does with the next one."""

    manner = "says 421 and hangs up"

    def __init__(self) -> None:
        super().__init__()
        self._mine = threading.local()  # each connection has a thread of its own

    def _attend(self, peer: Peer) -> None:
        self._mine.peer, self._mine.seen = peer, 0
        super()._attend(peer)

    def _answer(self, line: str, good: str) -> str:
        if line.startswith("MAIL"):
            self._mine.seen += 1
        if self._mine.seen <= PATIENCE or line == "greeting":
            return super()._answer(line, good)
        if self.manner == "hangs up":
            self._mine.peer.hang_up()
        return "421 4.7.0 that is enough for one connection"

    def _say(self, peer: Peer, reply: str) -> None:
        super()._say(peer, reply)
        if reply.startswith("421") and self.manner == "says 421 and hangs up":
            peer.hang_up()


@pytest.fixture
def server() -> Iterator[Obedient]:
    """Run a smarthost that tires."""
    with Weary() as running:
        yield running


@pytest.mark.parametrize("connections", ["1", "4"])
@pytest.mark.parametrize("manner", ["says 421 and hangs up", "says 421", "hangs up"])
def test_a_smarthost_that_takes_few_messages_a_connection_gets_them_all(
    caller: Keeper, manner: str, connections: str
) -> None:
    assert isinstance(caller.server, Weary)
    caller.server.manner = manner
    caller.words["connections"] = connections
    for number in range(18):
        caller.submit("-odq", BOB, message=numbered(number))
    rounds = 0
    while caller.items():
        caller.flush()
        rounds += 1
        assert rounds < 5
    assert sorted(numbers([one.data for one in caller.server.deliveries])) == list(range(18))


def test_a_hundred_callers_and_ten_runners_at_once(caller: Keeper) -> None:
    caller.configure()
    caller.configure = lambda **words: None  # type: ignore[method-assign] # it is the same for all of them
    processes = [caller.start("-odq", BOB) for _ in range(100)]
    for number, process in enumerate(processes):
        assert process.stdin is not None
        process.stdin.write(numbered(number))
        process.stdin.close()
        process.stdin = None
    for process in processes:
        assert process.communicate(timeout=LIMIT) == (b"", b"") and process.returncode == 0
    assert len(caller.items()) == 100
    runners = [caller.start("-q") for _ in range(10)]
    for process in runners:
        assert process.communicate(b"", LIMIT) == (b"", b"") and process.returncode == 0
    assert sorted(numbers([one.data for one in caller.server.deliveries])) == list(range(100))
    assert caller.waiting() == []


def test_a_crowd_of_recipients_has_each_answer_told_for_himself(caller: Keeper) -> None:
    crowd = [f"user{number}@example.net" for number in range(2500)]
    text = b"From: ann@example.org\nTo: " + b",\n ".join([one.encode() for one in crowd]) + b"\nSubject: x\n\ntext\n"
    caller.submit("-odq", "-t", message=text)
    caller.server.answers["RCPT TO:<user7@"] = "550 5.1.1 no such mailbox"
    caller.server.answers["RCPT TO:<user8@"] = "450 4.2.0 busy"
    caller.flush()
    assert sorted(caller.waiting()) == [("user7@example.net", "failed"), ("user8@example.net", "deferred")]
    served = collections.Counter([one for each in caller.server.deliveries for one in each.recipients if each.sender])
    assert set(served.values()) == {1} and len(served) == 2498


def test_a_runner_that_is_stopped_holds_up_only_what_it_has(caller: Keeper) -> None:
    gate = caller.server.gates["DATA"] = threading.Event()
    caller.server.capabilities = ("8BITMIME",)
    caller.words["connections"] = "1"
    for number in range(3):
        caller.submit("-odq", BOB, message=numbered(number))
    runner = caller.start("-q")
    until(lambda: "DATA" in caller.server.commands)
    runner.send_signal(signal.SIGSTOP)
    caller.submit("-odq", "carol@example.net", message=numbered(3))
    gate.set()
    caller.flush()
    runner.send_signal(signal.SIGCONT)
    assert runner.communicate(b"", LIMIT)[1] == b"" and runner.returncode == 0
    caller.flush()
    assert sorted(numbers([one.data for one in caller.server.deliveries])) == list(range(4))
    assert caller.waiting() == []
