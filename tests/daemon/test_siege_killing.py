"""SIGKILL and SIGSTOP of any process of the daemon under load: nothing that was taken is lost, and nothing is half."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.command.caller import LIMIT, until
from tests.daemon.door import answer
from tests.daemon.siege import CONNECTIONS, LONG, Callers, Siege, frames, show

pytestmark = pytest.mark.once

ENOUGH = 2500 if LONG else 120  # messages
KILLS = 25 if LONG else 4
PAUSE = (0.02, 8.0) if LONG else (0.02, 0.5)  # seconds between two kills; a child that dies young is not replaced at once
# Binds the socket once, and runs the daemon on it again and again, as a service manager does.
ACTIVATOR = """
import os, socket, subprocess, sys
path, *command = sys.argv[1:]
os.makedirs(os.path.dirname(path), exist_ok=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(1024)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
while True:
    daemon = subprocess.Popen(["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh", *command], close_fds=False)
    print(daemon.pid, flush=True)
    daemon.wait()
"""


class Managed(Siege):
    """The daemon with a service manager that holds its socket and starts it again whenever it has ended."""

    def manage(self, **words: str) -> None:
        config = self.configure(submission_socket="", **words)
        command = [sys.executable, "-c", ACTIVATOR, str(self.socket), self.sendmail, "-C", str(config), "-bD"]
        with open(self.folder / "stderr", "ab") as said:
            self.manager = subprocess.Popen(command, env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE, stderr=said)
        self.parent = 0
        threading.Thread(target=self._listen, daemon=True).start()
        until(lambda: self.parent and self.hand_in("first") == 0)

    def _listen(self) -> None:
        assert self.manager.stdout is not None
        for line in self.manager.stdout:
            self.parent = int(line)

    def pids(self) -> list[int]:
        with contextlib.suppress(OSError):
            children = open(f"/proc/{self.parent}/task/{self.parent}/children").read().split()
            return [self.parent, *map(int, children)]
        return [self.parent]

    def clear(self) -> None:
        self.manager.kill()
        self.manager.wait()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.parent, signal.SIGTERM)
        until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in self.pids()))
        said = (self.folder / "stderr").read_text()
        assert "Traceback" not in said, said


@pytest.fixture
def managed(siege: Siege) -> Iterator[Managed]:
    made = Managed(siege.sendmail, siege.folder, siege.server)
    yield made
    made.clear()


def strike(pids: list[int], whom: str) -> None:
    """Kill the parent, one child at random, or all of them."""
    parent, *children = pids
    chosen = {"parent": [parent], "child": random.sample(children, min(1, len(children))), "all": pids}[whom]
    for pid in chosen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def account_for(siege: Siege, callers: Callers, kills: int) -> None:
    """See that all that was taken has arrived, whole, and twice only as often as a connection was cut behind a message."""
    taken = callers.taken
    try:
        until(lambda: taken <= set(siege.server.arrived), 3 * LIMIT)
    except AssertionError:
        missing = sorted(taken - set(siege.server.arrived))
        raise AssertionError(f"{len(missing)} of {len(taken)} are lost: {missing[:20]}; {siege.waiting()[:20]}") from None
    siege.until_empty(2 * LIMIT)
    twice = {number: count for number, count in siege.server.arrived.items() if count > 1}
    codes = list(callers.codes.values())
    show(
        "killed", kills=kills, handed_in=len(codes), taken=len(taken), refused=len([code for code in codes if code > 0]),
        no_answer=codes.count(-1), arrived=len(siege.server.arrived), twice=len(twice), lost=0, half=len(siege.server.half),
        longest_wait=callers.longest,
    )  # fmt: skip
    assert not siege.server.half
    assert set(codes) <= {0, 75, -1}
    assert all(count <= 3 for count in twice.values()) and len(twice) <= CONNECTIONS * kills


def test_children_killed_under_load_lose_nothing(siege: Siege) -> None:
    siege.start()
    kills = 0
    with Callers(siege.hand_in, 4, pause=0.05 if LONG else 0.01) as callers:
        while len(callers.taken) < ENOUGH or kills < KILLS:
            time.sleep(random.uniform(*PAUSE))
            strike(siege.pids(), "child")
            kills += 1
            until(lambda: len(siege.children()) == 2, 3 * LIMIT)
    account_for(siege, callers, kills)


@pytest.mark.parametrize("whom", ["parent", "all"])
def test_the_whole_daemon_killed_under_load_and_started_by_its_socket_loses_nothing(managed: Managed, whom: str) -> None:
    managed.manage()
    kills = 0
    with Callers(managed.hand_in, 4, pause=0.05 if LONG else 0.01) as callers:
        while len(callers.taken) < ENOUGH or kills < KILLS:
            time.sleep(random.uniform(*PAUSE))
            before = managed.parent
            strike(managed.pids(), whom)
            kills += 1
            until(lambda before=before: managed.parent != before)
    account_for(managed, callers, kills)


def test_a_message_that_is_half_handed_over_when_all_others_are_killed_is_answered_and_kept(siege: Siege) -> None:
    process = siege.start()
    accept, deliver = siege.role("accept"), siege.role("deliver")
    data = frames("half")
    with siege.call() as line:
        line.sendall(data[:-20])
        assert siege.hand_in("before") == 0  # what came before has been read by now
        until(lambda: siege.server.arrived["before"] == 1)
        for pid in (deliver, process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait(LIMIT)
        line.sendall(data[-20:])
        line.settimeout(20)
        assert answer(line) == (0, b"")
    until(lambda: not os.path.exists(f"/proc/{accept}"))
    siege.start()
    siege.until_empty()
    assert siege.server.arrived["half"] == 1
