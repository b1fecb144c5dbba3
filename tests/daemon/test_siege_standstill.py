"""Processes of the daemon that stand still, or are gone while their socket is there: callers end, and nothing is lost."""

import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from pysendmail import entry
from tests.command.caller import LIMIT, until
from tests.daemon.siege import BOB, CONNECTIONS, LONG, Callers, Hasty, Siege, show, text

pytestmark = pytest.mark.once


@pytest.fixture
def hasty(siege: Siege) -> Iterator[Hasty]:
    made = Hasty(siege.sendmail, siege.folder, siege.server)
    yield made
    made.clear()


def all_is_well(siege: Siege, callers: Callers) -> None:
    """See that all that was taken arrives once, that nothing is half, and that the daemon serves."""
    until(lambda: siege.hand_in("afterwards") == 0)
    until(lambda: callers.taken | {"afterwards"} <= set(siege.server.arrived))
    siege.until_empty()
    twice = [number for number, count in siege.server.arrived.items() if count > 1]
    codes = list(callers.codes.values())
    show("stopped", handed_in=len(codes), taken=len(callers.taken), not_taken=len(codes) - len(callers.taken), twice=len(twice), longest_wait=callers.longest)
    assert len(twice) <= CONNECTIONS and not siege.server.half  # what was in hand when it was stopped
    assert set(codes) <= {0, 75, -1}


@pytest.mark.parametrize("role", ["accept", "deliver"])
def test_a_child_that_stands_still_is_replaced_and_callers_end_with_the_truth(hasty: Hasty, role: str) -> None:
    hasty.start()
    with Callers(lambda number: hasty.hand_in(number, b"-odi" if number[0] in "01" else b"-odb"), 6, pause=0.02) as callers:
        until(lambda: len(callers.taken) > 40)
        stopped = hasty.role(role)
        os.kill(stopped, signal.SIGSTOP)
        until(lambda: hasty.found(role) not in (0, stopped))
        before = len(callers.taken)
        until(lambda: len(callers.taken) > before + 40)
    all_is_well(hasty, callers)
    assert any("does not answer and is killed" in line for line in hasty.lines())


def test_a_parent_that_stands_still_holds_nobody_up(siege: Siege) -> None:
    process = siege.start()
    until(lambda: len(siege.children()) == 2)
    os.kill(process.pid, signal.SIGSTOP)
    with Callers(siege.hand_in, 4) as callers:
        until(lambda: len(callers.taken) > 100)
    all_is_well(siege, callers)
    assert set(callers.codes.values()) == {0}
    os.kill(process.pid, signal.SIGCONT)
    assert siege.stop() == 0


def test_a_child_that_stood_still_and_goes_on_does_nothing_twice(siege: Siege) -> None:
    siege.start()
    until(lambda: len(siege.children()) == 2)
    with Callers(siege.hand_in, 4, pause=0.01) as callers:
        for role in ("deliver", "accept", "deliver", "accept"):
            pid = siege.role(role)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.4)
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.1)
    all_is_well(siege, callers)
    assert set(callers.codes.values()) == {0}
    assert max(siege.server.arrived.values()) == 1


def test_commands_before_a_daemon_that_stands_still_end_by_a_signal_or_when_it_goes_on(siege: Siege) -> None:
    siege.start()
    until(lambda: len(siege.children()) == 2)
    accept = siege.role("accept")
    os.kill(accept, signal.SIGSTOP)
    waiting = [siege.begin("-i", BOB.decode(), message=text(f"waiting{number}")) for number in range(8)]
    ended = siege.begin_open()
    until(lambda: _reads_nothing(siege))
    ended.terminate()
    assert ended.wait(LIMIT) in (75, -signal.SIGTERM)  # the latter if Python has not come as far as to care about it
    os.kill(accept, signal.SIGCONT)
    assert [process.wait(LIMIT) for process in waiting] == [0] * 8
    siege.until_empty()
    assert sorted(siege.server.arrived) == sorted(f"waiting{number}" for number in range(8))


def _reads_nothing(siege: Siege) -> bool:
    """Tell whether all callers have connected: the kernel lists their ends."""
    lines = open("/proc/net/unix").read().splitlines()
    return len([line for line in lines if line.endswith(str(siege.socket))]) >= 9


def test_a_backlog_that_is_full_turns_callers_away_in_time(siege: Siege, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here nobody accepts, and the kernel keeps very few."""
    siege.socket.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(siege.socket))
        listener.listen(1)
        held = []
        for _ in range(2):
            held.append(socket.socket(socket.AF_UNIX))
            held[-1].connect(str(siege.socket))
        begun = time.monotonic()
        monkeypatch.setattr(entry, "_CROWDED", 1.0)
        with pytest.raises(entry.Refused, match="too busy") as refusal:
            entry.connect(os.fsencode(siege.socket), os.getuid())
        assert refusal.value.code == 75 and 1 <= time.monotonic() - begun < 30
        for line in held:
            line.close()


def test_a_daemon_that_is_dead_leaves_the_command_to_its_own_devices(siege: Siege) -> None:
    """The socket is there and nobody behind it: who has a configuration sends by himself, who has none is told so."""
    siege.start()
    siege.kill()
    assert siege.socket.exists()
    begun = time.monotonic()
    done = siege.send("-i", BOB.decode())
    assert done.returncode in (75, 78) and done.stderr.count(b"\n") == 1, done
    own = siege.folder / ".config" / "pysendmail" / "pysendmail.conf"
    own.parent.mkdir(parents=True)
    own.write_text(f"host 127.0.0.1\nport {siege.server.port}\ntls off\nfrom ann@example.org\nsyslog off\n")
    own.chmod(0o600)
    assert siege.send("-i", BOB.decode(), message=text("alone")).returncode == 0
    assert siege.server.arrived["alone"] == 1
    assert time.monotonic() - begun < 30


def check_a_daemon_that_stands_still_altogether_costs_each_caller_75_seconds(siege: Siege) -> None:
    siege.start()
    until(lambda: len(siege.children()) == 2)
    pids = siege.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    processes = [siege.begin("-i", BOB.decode()) for _ in range(5)]
    assert [process.wait(120) for process in processes] == [75] * 5
    waited = time.monotonic() - begun
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    show("all stopped", waited=waited)
    assert 70 < waited < 110


if LONG:  # it takes so long
    test_a_daemon_that_stands_still_altogether = check_a_daemon_that_stands_still_altogether_costs_each_caller_75_seconds
