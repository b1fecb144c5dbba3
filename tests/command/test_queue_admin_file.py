"""The commands for the queue on a queue file, with a runner at work in it, and with damage."""

import os
import pathlib
import sqlite3

import pytest

from pysendmail.command.mailq import mailq
from pysendmail.queue.sqlite import SqliteStore
from tests.command.queued import Queue, deferred, objects, run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    """Give a queue file with three messages, a runner's lease on the first."""
    folder = tmp_path / "queue"
    folder.mkdir(mode=0o700)
    return str(folder / "queue.db")


@pytest.fixture
def queue(path: str) -> Queue:
    queue = Queue(SqliteStore(path))
    queue.add("a@example.net")
    queue.add(deferred("b@example.net"), uid=1001)
    queue.add(deferred("c@example.net", state="uncertain"), sender=b"")
    return queue


def opened(path: str) -> SqliteStore:
    """Open the queue as another command does."""
    return SqliteStore(path, create=False)


def test_a_list_shows_what_a_runner_has_in_hand(queue: Queue, path: str, capfd: Capture) -> None:
    queue.claim("1M0001")
    assert mailq(opened(path)) == 0
    out = capfd.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("1M")] == ["1M0001*", "1M0002", "1M0003"]
    assert out.endswith("-- 0 Kbytes in 3 Requests.\n")
    assert run(opened(path), "list", "--json") == 0
    states = [each["recipients"][0]["state"] for each in objects(capfd.readouterr().out)]
    assert states == ["active", "deferred", "uncertain"]


def test_a_queue_is_steered_while_a_runner_has_a_message_in_hand(queue: Queue, path: str, capfd: Capture) -> None:
    queue.claim("1M0001")
    assert run(opened(path), "hold", "--all") == 75
    assert run(opened(path), "release", "1M0002", "NIX") == 66
    assert run(opened(path), "remove", "--from", "<>") == 0
    assert run(opened(path), "retry", "--all") == 0
    assert [queue.states(f"1M000{number}") for number in (1, 2, 3)] == [["active"], ["deferred"], []]
    assert capfd.readouterr().out.splitlines() == [
        "2 recipients held; 1 just being tried and left alone",
        "1 recipient released",
        "1 recipient removed",
        "1 recipient due now; 1 just being tried and left alone",
    ]


def test_a_user_is_limited_to_his_messages_in_a_file_too(queue: Queue, path: str, capfd: Capture) -> None:
    assert run(opened(path), "hold", "--all", uid=1001) == 0
    assert [queue.states(f"1M000{number}") for number in (1, 2, 3)] == [["queued"], ["held"], ["uncertain"]]
    assert run(opened(path), "show", "1M0001", uid=1001) == 66


def test_a_sound_file_is_in_order(queue: Queue, path: str, capfd: Capture) -> None:
    assert run(opened(path), "check") == 0
    assert capfd.readouterr().out == "The queue is in order: 3 messages, 234 octets.\n"


def test_a_damaged_message_is_found_by_check_and_shown_as_far_as_it_can_be_read(
    queue: Queue, path: str, capfd: Capture
) -> None:
    queue.store.close()
    database = sqlite3.connect(path)
    database.execute("UPDATE chunk SET data = replace(data, 'hello', 'jello') WHERE id >> 20 = 2")
    database.commit()
    database.close()
    os.chmod(path, 0o600)
    assert run(opened(path), "check") == 75
    out = capfd.readouterr().out
    assert out.startswith(f"{path}: message 1M0002: part 0 of its text was changed") and out.count("\n") == 1
    assert run(opened(path), "show", "1M0002", "1M0001") == 75
    out, err = capfd.readouterr()
    assert "b@example.net" in out and "a@example.net" in out and out.count("Subject: hello") == 1
    assert err.startswith(f"pysendmail: {path}: ") and err.count("\n") == 1
