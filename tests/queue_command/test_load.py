"""Many hand messages over while several runners deliver them, some of which are killed: each arrives, and arrives once.

PYSENDMAIL_LOAD in the environment sets the number of messages.
"""

import collections
import os
import random
import threading
import time
from collections.abc import Iterator

import pytest

from tests import servers
from tests.command.caller import LIMIT, until
from tests.conftest import skip
from tests.crowd import Crowd
from tests.daemon.siege import CONNECTIONS
from tests.obedient import Obedient
from tests.queue_command.keeper import Keeper, numbered, numbers
from tests.servers.postfix import Postfix
from tests.smarthost import make_authority

pytestmark = pytest.mark.once

MESSAGES = int(os.environ.get("PYSENDMAIL_LOAD", "160"))
CALLERS = 8


@pytest.fixture
def server() -> Iterator[Obedient]:
    """Run a smarthost that serves many connections at once."""
    with Crowd() as running:
        yield running


class Crew:
    """Runners of the queue, each begun anew when it has ended, some of them ended by SIGKILL while they work."""

    def __init__(self, caller: Keeper, *, kills: bool) -> None:
        self.caller = caller
        self.kills = 0
        self.wrong: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._loop, args=(kills, number)) for number in range(2)]
        for thread in self._threads:
            thread.start()

    def _loop(self, kills: bool, number: int) -> None:
        chance = random.Random(number)  # noqa: S311
        while not self._stop.is_set():
            process = self.caller.start("-q")
            if kills and chance.random() < 0.5:
                time.sleep(chance.uniform(0.05, 0.4))
                process.kill()
            _, err = process.communicate(b"", LIMIT)
            if process.returncode < 0:
                self.kills += 1
            elif process.returncode or err:
                self.wrong.append(f"{process.returncode} {err!r}")

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT)


def _hand_over(caller: Keeper, first: int, wrong: list[str]) -> None:
    for number in range(first, MESSAGES, CALLERS):
        done = caller.run("-odq", f"user{number}@example.net", message=numbered(number))
        if done.returncode or done.stderr:
            wrong.append(f"{number}: {done.returncode} {done.stderr!r}")


def _work(caller: Keeper, *, kills: bool) -> Crew:
    """Hand all messages over and wait until the queue is empty."""
    caller.configure()
    caller.configure = lambda **words: None  # type: ignore[method-assign] # it is the same for all of them
    crew = Crew(caller, kills=kills)
    wrong: list[str] = []
    callers = [threading.Thread(target=_hand_over, args=(caller, first, wrong)) for first in range(CALLERS)]
    try:
        for each in callers:
            each.start()
        for each in callers:
            each.join()
        until(lambda: not caller.items(), LIMIT + MESSAGES / 10)
    finally:
        crew.end()
    assert wrong == [] and crew.wrong == []
    return crew


def _judge(texts: list[bytes], crew: Crew) -> None:
    """See that each message is there, and no more of them twice than kills can explain."""
    arrived = collections.Counter(numbers(texts))
    repeated = sum(arrived.values()) - MESSAGES
    print(f"{MESSAGES} messages, {crew.kills} runners killed, {repeated} repeated")
    assert sorted(arrived) == list(range(MESSAGES))
    # A runner has at most one message in hand on each of its connections.
    assert repeated <= CONNECTIONS * crew.kills


@pytest.mark.parametrize("kills", [False, True], ids=["", "killed"])
def test_eight_callers_and_two_runners_lose_and_repeat_nothing(caller: Keeper, kills: bool) -> None:
    crew = _work(caller, kills=kills)
    _judge([one.data for one in caller.server.deliveries], crew)
    assert [text for text in caller.problems() if "left over from a runner" not in text] == []


@pytest.mark.servers
@pytest.mark.parametrize("kills", [False, True], ids=["", "killed"])
def test_postfix_gets_each_message_once(
    caller: Keeper, tmp_path_factory: pytest.TempPathFactory, kills: bool
) -> None:
    reason = servers.missing("postfix")
    if reason:
        skip(reason)
    authority = make_authority(tmp_path_factory.mktemp("authority"))
    postfix = Postfix(tmp_path_factory.mktemp("postfix"), authority)
    postfix.start()
    try:
        caller.words |= {
            "host": "localhost", "port": str(postfix.starttls_port), "tls": "on", "tls_trust_file": str(postfix.ca),
            "user": servers.USER, "password": servers.PASSWORD,
        }  # fmt: skip
        crew = _work(caller, kills=kills)
        copies = postfix.take(MESSAGES, LIMIT + MESSAGES / 10)
        while len(set(numbers([copy.message for copy in copies]))) < MESSAGES:
            copies += postfix.take(1, LIMIT)  # some came twice
    finally:
        postfix.stop()
    _judge([copy.message for copy in copies], crew)
