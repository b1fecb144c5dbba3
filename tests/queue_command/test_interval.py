"""`sendmail -q30m`: a process that stays and delivers what is due, round after round."""

import contextlib
import os
import pathlib
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.command.caller import LIMIT, state, until
from tests.obedient import Obedient
from tests.queue_command.keeper import Keeper, numbered, numbers

BOB, CAROL = "bob@example.net", "carol@example.net"


class Watcher:
    """A runner at an interval in the foreground, so that it can be waited for."""

    def __init__(self, caller: Keeper, *arguments: str, **more: object) -> None:
        self.process = caller.start("-qf", *arguments, **more)  # type: ignore[arg-type]
        self.caller = caller
        self.started = len([line for line in caller.log if " runs " in line])
        until(lambda: len([line for line in caller.log if " runs " in line]) > self.started)

    def end(self, number: int = signal.SIGTERM) -> None:
        """Ask it to end; it has to do so with exit code 0 and without a word."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.communicate(b"", LIMIT) == (b"", b"")
        assert self.process.returncode == 0


@pytest.fixture
def watchers() -> Iterator[list[Watcher]]:
    """Give a list; who is in it at the end has to end well."""
    crew: list[Watcher] = []
    yield crew
    for one in crew:
        one.end()


def _logged(caller: Keeper, text: str) -> list[str]:
    return [line for line in caller.log if text in line]


def _runner(caller: Keeper) -> int:
    """Give the process id of the runner that has begun last."""
    lines = _logged(caller, "queue runner ")
    return int(lines[-1].rpartition("queue runner ")[2].split(":")[0])


@pytest.mark.parametrize("arguments", [("-q30m",), ("-qp30m",), ("-qp",), ("-q1h", "-v")], ids=str)
def test_it_goes_into_the_background_and_delivers_at_once(caller: Keeper, arguments: tuple[str, ...]) -> None:
    caller.submit("-odq", BOB, message=numbered(1))
    done = caller.run(*arguments, message=b"")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    until(lambda: _logged(caller, "queue runner "))
    pid = _runner(caller)
    try:
        caller.until_empty()
        assert numbers([one.data for one in caller.server.deliveries]) == [1]
        links = {os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)}
        assert (links, os.readlink(f"/proc/{pid}/cwd"), os.getsid(pid)) == ({"/dev/null"}, "/", pid)
    finally:
        os.kill(pid, signal.SIGTERM)
    until(lambda: state(pid) in ("", "Z"))
    assert _logged(caller, "ended by a signal")


def test_nobody_has_to_wait_who_reads_its_output_to_the_end(caller: Keeper) -> None:
    caller.configure()
    done = subprocess.run(
        ["sh", "-c", f"x=$({caller.sendmail} -q1h 2>&1); echo \"code $? said [$x]\""],
        env=caller.environ, capture_output=True, timeout=LIMIT, check=True,
    )  # fmt: skip
    until(lambda: _logged(caller, "queue runner "))
    os.kill(_runner(caller), signal.SIGTERM)
    assert done.stdout == b"code 0 said []\n"


def test_what_comes_later_is_delivered_by_a_later_round(caller: Keeper, watchers: list[Watcher]) -> None:
    watchers.append(Watcher(caller, "-q1s"))
    for number in range(3):
        caller.submit("-odq", BOB, message=numbered(number))
        until(lambda number=number: len(caller.server.deliveries) == number + 1)
    caller.until_empty()


def test_what_is_not_due_waits(caller: Keeper, watchers: list[Watcher], dead: dict[str, str]) -> None:
    caller.submit("-odi", BOB, words=dead)
    caller.submit("-odq", CAROL)
    watchers.append(Watcher(caller, "-q1s"))
    until(lambda: len(caller.server.deliveries) == 1)
    until(lambda: len(caller.items()) == 1)
    assert caller.waiting() == [(BOB, "deferred")]


def test_it_runs_the_chosen_messages_only(caller: Keeper, watchers: list[Watcher]) -> None:
    caller.submit("-odq", BOB)
    caller.submit("-odq", CAROL)
    watchers.append(Watcher(caller, "-q1s", f"-qR{CAROL}"))
    until(lambda: len(caller.items()) == 1)
    assert caller.waiting() == [(BOB, "queued")]


def test_a_selection_that_is_not_offered_is_told_before_anything_is_left_behind(caller: Keeper) -> None:
    caller.refuse(64, "-q30m", "-qGgroup", message=b"")
    assert not _logged(caller, "queue runner ")


def test_a_queue_that_cannot_be_used_is_told_before_anything_is_left_behind(caller: Keeper) -> None:
    caller.queue.parent.write_bytes(b"")
    caller.refuse(75, "-q30m", message=b"")
    assert not _logged(caller, "queue runner ")


def test_without_a_queue_there_is_nothing_to_run(caller: Keeper) -> None:
    done = caller.run("-q30m", message=b"", words={"queue": ""})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not _logged(caller, "queue runner ")


def test_a_queue_may_come_later_and_go_and_come_again(caller: Keeper, watchers: list[Watcher]) -> None:
    watchers.append(Watcher(caller, "-q1s"))
    for number in range(2):
        assert not caller.queue.exists()
        caller.submit("-odq", BOB, message=numbered(number))
        until(lambda number=number: len(caller.server.deliveries) == number + 1)
        caller.until_empty()
        for path in caller.queue.parent.iterdir():
            path.unlink(missing_ok=True)  # a runner's own goes with his round
    assert watchers[0].process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_message_in_hand(caller: Keeper, number: int) -> None:
    caller.server.gates["DATA"] = gate = threading.Event()
    caller.server.capabilities = ("8BITMIME",)
    for each in range(3):
        caller.submit("-odq", BOB, message=numbered(each))
    watcher = Watcher(caller, "-q1h", words={"connections": "1"})
    until(lambda: "DATA" in caller.server.commands)
    watcher.process.send_signal(number)
    gate.set()
    assert watcher.process.wait(LIMIT) == 0
    watcher.end()
    assert len(caller.server.deliveries) == 1 and caller.waiting() == [(BOB, "queued")] * 2
    assert [path.name for path in caller.queue.parent.iterdir() if "owner" in path.name] == []


def test_a_hangup_has_the_configuration_read_again(caller: Keeper, watchers: list[Watcher]) -> None:
    watchers.append(Watcher(caller, "-q1s"))
    with Obedient() as other:
        caller.words["port"] = str(other.port)
        caller.configure()
        watchers[0].process.send_signal(signal.SIGHUP)
        until(lambda: _logged(caller, "read the configuration again"))
        caller.submit("-odq", BOB)
        until(lambda: other.deliveries)
    caller.until_empty()


def test_a_broken_configuration_leaves_the_old_one_in_force(caller: Keeper, watchers: list[Watcher]) -> None:
    caller.submit("-odq", CAROL)
    watchers.append(Watcher(caller, "-q1s"))
    caller.until_empty()
    good = caller.path.read_text()
    for bad in ("prot 25\n", "host x\n", None):
        before = len(_logged(caller, "the old configuration holds on"))
        caller.path.write_text(bad) if bad else caller.path.unlink()
        watchers[0].process.send_signal(signal.SIGHUP)
        until(lambda before=before: len(_logged(caller, "the old configuration holds on")) > before)
    caller.path.write_text(good)
    caller.path.chmod(0o600)
    caller.submit("-odq", BOB)
    until(lambda: len(caller.server.deliveries) == 2)
    caller.until_empty()


def test_a_hangup_that_the_caller_ignores_is_heard_all_the_same(caller: Keeper, watchers: list[Watcher]) -> None:
    """As under nohup."""
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    watchers.append(Watcher(caller, "-q1h", **ignore))
    watchers[0].process.send_signal(signal.SIGHUP)
    until(lambda: _logged(caller, "read the configuration again"))


def test_trouble_with_the_queue_is_logged_and_ends_nothing(caller: Keeper, watchers: list[Watcher]) -> None:
    caller.submit("-odq", CAROL)
    watchers.append(Watcher(caller, "-q1s"))
    caller.until_empty()
    caller.queue.rename(caller.queue.with_name("away"))
    caller.queue.write_bytes(b"this is no database")
    until(lambda: _logged(caller, "the queue cannot be run"))
    for path in caller.queue.parent.iterdir():
        path.unlink()
    caller.submit("-odq", BOB)
    until(lambda: len(caller.server.deliveries) == 2)
    caller.until_empty()


def test_several_of_them_and_a_run_by_hand_share_a_queue(caller: Keeper, watchers: list[Watcher]) -> None:
    for _ in range(2):
        watchers.append(Watcher(caller, "-q1s"))
    for number in range(20):
        caller.submit("-odq", BOB, message=numbered(number))
    caller.flush()
    caller.until_empty()
    assert sorted(numbers([one.data for one in caller.server.deliveries])) == list(range(20))


def test_the_rate_holds_from_one_round_to_the_next(caller: Keeper, watchers: list[Watcher]) -> None:
    for number in range(4):
        caller.submit("-odq", BOB, message=numbered(number))
    watchers.append(Watcher(caller, "-q1s", words={"rate": "2/1h"}))
    until(lambda: len(caller.server.deliveries) == 2)
    until(lambda: [one.state for item in caller.items() for one in item.recipients] == ["queued"] * 2)
    caller.submit("-odq", CAROL)
    with pytest.raises(AssertionError, match="did not come about"):
        until(lambda: len(caller.server.deliveries) > 2, 3)


def test_a_configuration_named_by_a_relative_path_is_found_from_anywhere(
    caller: Keeper, watchers: list[Watcher], tmp_path: pathlib.Path
) -> None:
    caller.configure()
    (tmp_path / "mine.conf").write_text(caller.path.read_text())
    (tmp_path / "mine.conf").chmod(0o600)
    done = caller.run("-C", "mine.conf", "-q1h", message=b"", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    until(lambda: _logged(caller, "queue runner "))
    pid = _runner(caller)
    os.kill(pid, signal.SIGHUP)
    until(lambda: _logged(caller, "read the configuration again"))
    os.kill(pid, signal.SIGTERM)
    until(lambda: state(pid) in ("", "Z"))


def test_no_connection_is_kept_between_two_rounds(caller: Keeper, watchers: list[Watcher]) -> None:
    caller.submit("-odq", BOB)
    watchers.append(Watcher(caller, "-q1h"))
    caller.until_empty()

    def sockets() -> list[str]:
        folder = pathlib.Path(f"/proc/{watchers[0].process.pid}/fd")
        found = []
        for descriptor in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # it was closed just now
                found.append(os.readlink(descriptor))
        return [link for link in found if link.startswith("socket:")]

    until(lambda: not sockets())
