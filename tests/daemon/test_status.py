"""pysendmail status and metrics, asked of the accept process by the installed command."""

import json
import os
import pathlib
import time
from typing import Any

import pytest
from prometheus_client import parser

from pysendmail.queue.sqlite import SqliteStore
from tests.conftest import skip
from tests.daemon.door import Door
from tests.daemon.test_log import NOBODY, admin, ask_as, attempt, following


def status(door: Door, *, code: int = 0) -> dict[str, Any]:
    """Give what the daemon tells as JSON."""
    done = door.send("status", "--json", command=admin(door))
    assert (done.returncode, done.stderr) == (code, b"")
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def deliver_is_there(door: Door) -> None:
    """Show what a deliver process would show."""
    store = SqliteStore(str(door.queue))
    store.publish("deliver", {"pid": str(os.getpid()), "started": "1", "sent": "4", "connections": "2", "idle": "1"}, time.time())
    store.close()


def test_the_daemon_counts_what_it_took_and_what_it_refused(door: Door) -> None:
    deliver_is_there(door)
    assert (status(door)["submissions"]["accepted"], status(door)["submissions"]["refused"]) == (0, 0)
    for _ in range(3):
        door.submit("bob@example.net", text=b"Subject: x\n\n" + b"text\n" * 100)
    door.refuse(65, "bob@@")
    door.refuse(64, "-t", text=b"Subject: nobody\n\n")
    assert door.send("-Z").returncode == 64
    attempt(door, number=2)
    seen = status(door)
    assert (seen["submissions"]["accepted"], seen["submissions"]["turned_away"]) == (3, 0)
    assert 2 <= seen["submissions"]["refused"] <= 3 and seen["submissions"]["octets"] > 1500
    assert seen["queue"]["messages"] == seen["queue"]["recipients"]["queued"] == 1
    assert seen["rates"]["hour"]["sent"] == 2 and seen["deliveries"]["sent"] == 4
    assert door.process is not None and seen["daemon"]["processes"]["accept"] == door.process.pid
    assert 0 <= seen["time"] - seen["daemon"]["since"] < 600 and seen["daemon"]["well"] is True


def test_who_is_connected_is_counted_but_not_who_asks(door: Door) -> None:
    deliver_is_there(door)
    assert status(door)["callers"] == {"callers": 0, "waiting": 0, "followers": 0}
    with door.call(), following(door):
        assert status(door)["callers"] == {"callers": 2, "waiting": 0, "followers": 1}


def test_a_daemon_without_anybody_who_delivers_is_not_well(door: Door) -> None:
    assert status(door, code=75)["daemon"]["well"] is False


def test_when_the_daemon_ends_the_file_is_asked(door: Door) -> None:
    door.submit("bob@example.net")
    assert door.stop() == 0
    done = door.send("status", "-C", str(door.folder / "conf"), command=admin(door))
    assert done.returncode == 78 and done.stderr.count(b"\n") == 1  # this configuration names no queue
    config = door.folder / "own"
    config.write_text(f"{(door.folder / 'conf').read_text()}queue {door.queue}\n")
    config.chmod(0o600)
    done = door.send("status", "-C", str(config), command=admin(door))
    assert done.returncode == 0 and b"no daemon answers" in done.stdout and b"\nrecipients    1 queued\n" in done.stdout


def test_another_user_is_told_what_concerns_him(door: Door) -> None:
    if os.geteuid() != 0:
        skip("only root can become another user")
    deliver_is_there(door)
    door.submit("secret@example.net")
    attempt(door, "failed")
    door.submit("secret@example.net")
    code, text = ask_as(NOBODY, door, b"status", b"--json")
    seen = json.loads(text)
    assert code == 0 and set(seen) == {"time", "version", "daemon", "queue", "rates", "errors"} and b"secret" not in text
    assert (seen["queue"]["messages"], seen["errors"], seen["rates"]["hour"]["failed"]) == (0, [], 0)
    code, text = ask_as(NOBODY, door, b"metrics")
    assert code == 77 and text.startswith(b"pysendmail: only root and the owner of the queue") and text.count(b"\n") == 1


def test_the_file_for_monitoring_is_written_by_the_caller_and_stays_when_that_fails(
    door: Door, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_is_there(door)
    door.submit("bob@example.net")
    path = tmp_path / "prom" / "pysendmail.prom"
    path.parent.mkdir()
    monkeypatch.chdir(tmp_path)
    done = door.send("metrics", "--write", "prom/pysendmail.prom", command=admin(door))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    found = {family.name: family.samples for family in parser.text_string_to_metric_families(path.read_text())}
    assert found["pysendmail_up"][0].value == 1 and found["pysendmail_queue_messages"][0].value == 1
    done = door.send("metrics", "--write", str(tmp_path / "missing" / "x"), command=admin(door))
    assert done.returncode == 71 and done.stderr.count(b"\n") == 1
    assert door.stop() == 0
    done = door.send("metrics", "--write", str(path), command=admin(door))
    assert done.returncode == 78 and "pysendmail_up 1\n" in path.read_text()
    assert os.listdir(path.parent) == ["pysendmail.prom"]


@pytest.mark.parametrize("words", [["status", "x"], ["metrics", "--nothing"], ["status", "--follow"]])
def test_a_wrong_command_line_is_refused(door: Door, words: list[str]) -> None:
    assert door.send(*words, command=admin(door)).returncode == 64
