"""pysendmail status: everything for root and the queue's owner, what concerns him for anybody else; text and JSON."""

import argparse
import json
import os

import pytest

from pysendmail import errors
from pysendmail.command.admin import picture, status
from pysendmail.command.admin.picture import Live
from pysendmail.command.admin.table import width
from pysendmail.queue.store import Store
from tests.command.queued import HOUR, NOW, Queue, deferred

Capture = pytest.CaptureFixture[str]
FIGURES = {
    "started": str(NOW - 7200), "connections": "3", "idle": "2", "messages": "31", "octets": "4096", "sent": "28",
    "deferred": "2", "failed": "1", "uncertain": "0", "held": "0", "reports": "1",
}  # fmt: skip
CLOSED = "connect to smtp.example.org[192.0.2.1]:587: Connection refused"


def live(**more: int | float) -> Live:
    """Give what a daemon knows that has been up for three days."""
    made = Live()
    facts: dict[str, int | float] = {"accept": 12, "parent": 11, "started": NOW - 3 * 86400, "since": NOW - HOUR, "accepted": 1204}
    for name, value in {**facts, "octets": 13 << 20, "refused": 2, "callers": 3, "waiting": 1, **more}.items():
        setattr(made, name, value)
    return made


def run(store: Store | None, *arguments: str, uid: int | None = None, of: Live | None = None, expected: bool = False) -> int:
    """Run `pysendmail status` with these arguments, as somebody who is limited to `uid`."""
    return status.run(parse(*arguments), lambda config, account: (store, uid), of, expected=expected, now=NOW)


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pysendmail")
    status.add_parser(parser.add_subparsers())
    return parser.parse_args(["status", *arguments])


@pytest.fixture
def queue() -> Queue:
    """Give the queue of a daemon: a message that waits, one that failed and one that was sent, of two users."""
    queue = Queue()
    queue.add(deferred(), age=2 * HOUR, text=b"x" * 5000)
    queue.end(queue.add("refused@example.net", uid=1001), "failed", reply="550 no such user", tried=NOW - 120)
    queue.end(queue.add("good@example.net"), "sent", tried=NOW - 5)
    queue.store.publish("deliver", FIGURES, NOW)
    queue.store.close_lane("work", "", NOW + 600, reply=CLOSED, dsn="4.4.1", failures=3)
    return queue


def test_root_sees_everything(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store, of=live()) == 0
    assert capfd.readouterr().out.splitlines() == [
        "daemon        well, up for 3 days, since Tue Jan 12 08:00:00 2027",
        "processes     parent 11, accept 12, deliver unknown",
        "callers       3 now, 1 of them waiting for an answer",
        "submissions   1204 accepted (13M), 2 refused",
        "queue         2 messages, 5.0K, the oldest of 2 hours ago",
        "recipients    1 deferred, 1 failed",
        "lane          default: open, 1 recipient waiting",
        "lane          work: closed until Fri Jan 15 08:10:00 2027 (10 minutes), 0",
        "              recipients waiting: connect to smtp.example.org[192.0.2.1]:587:",
        "              Connection refused",
        "connections   3 to smarthosts, 2 of them warm and idle",
        "deliveries    2 deferred, 1 failed, 28 sent since Fri Jan 15 06:00:00 2027",
        "last minute   1 sent",
        "last hour     1 failed, 1 sent",
        "last errors   2027-01-15 07:58:00.000 1M0002 failed refused@example.net: 550 no",
        "              such user",
    ]


def test_a_user_sees_what_is_his_and_whether_the_daemon_is_well(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store, of=live(), uid=1000) == 0
    assert capfd.readouterr().out.splitlines() == [
        "daemon        well, up for 3 days, since Tue Jan 12 08:00:00 2027",
        "queue         1 message, 5.0K, the oldest of 2 hours ago",
        "recipients    1 deferred",
        "last minute   1 sent",
        "last hour     1 sent",
    ]
    assert run(queue.store, "--json", of=live(), uid=1000) == 0
    out = capfd.readouterr().out
    assert set(json.loads(out)) == {"time", "version", "daemon", "queue", "rates", "errors"}
    assert set(json.loads(out)["daemon"]) == {"since", "well", "troubles"}
    assert "refused@" not in out and "smtp.example.org" not in out


def test_without_a_daemon_the_file_of_the_queue_is_told_of(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[:2] == [
        "daemon        no daemon answers; this is what the queue's file says",
        "queue         2 messages, 5.0K, the oldest of 2 hours ago",
    ]
    assert not [line for line in lines if line.startswith(("processes", "callers", "connections", "deliveries"))]


def test_a_daemon_that_should_be_there_is_missed(queue: Queue) -> None:
    assert run(queue.store, expected=True) == 69


def test_a_queue_that_does_not_exist_is_an_empty_one(capfd: Capture) -> None:
    assert run(None) == 0
    assert "queue         empty\n" in capfd.readouterr().out


def test_a_queue_that_cannot_be_seen_is_told_of_with_its_exit_code(capfd: Capture) -> None:
    def refuse(config: str | None, account: str | None) -> tuple[Store | None, int | None]:
        raise errors.ConfigError("there is no queue", "conf:1")

    assert status.run(parse(), refuse, now=NOW) == 78
    out, err = capfd.readouterr()
    assert out.endswith("queue         cannot be seen\n") and err == "pysendmail: conf:1: there is no queue\n"


@pytest.mark.parametrize("figures", [{}, {**FIGURES, "pid": "4194303"}])
def test_a_daemon_that_delivers_nothing_is_not_well(queue: Queue, capfd: Capture, figures: dict[str, str]) -> None:
    queue.store.publish("deliver", figures, NOW)
    assert run(queue.store, of=live()) == 75
    assert "not well: the process that delivers is not there, up for" in " ".join(capfd.readouterr().out.split())


@pytest.mark.parametrize("pid", ["own", "1", "no number", "-1", "-1e400", "nan"])
def test_a_process_that_lives_or_of_which_nothing_is_known_is_well(queue: Queue, pid: str) -> None:
    queue.store.publish("deliver", {**FIGURES, "pid": str(os.getpid()) if pid == "own" else pid}, NOW)
    assert run(queue.store, of=live()) == 0


def test_figures_of_another_release_do_no_harm(queue: Queue, capfd: Capture) -> None:
    queue.store.publish("deliver", {"sent": "many", "started": "inf", "idle": "\x1b[2J", "novel": "1"}, NOW)
    assert run(queue.store, of=live()) == 0
    assert "\x1b" not in capfd.readouterr().out


def test_a_clock_that_is_set_back_counts_nothing_that_has_not_happened(queue: Queue, capfd: Capture) -> None:
    queue.end(queue.add("late@example.net"), "sent", tried=NOW + 1000)
    assert run(queue.store, "--json", of=live(started=NOW + 500)) == 0
    seen = json.loads(capfd.readouterr().out)
    assert seen["rates"]["minute"]["sent"] == 1
    assert run(queue.store, of=live(started=NOW + 500)) == 0
    assert "up for 0 seconds" in capfd.readouterr().out


def test_the_json_is_one_object_with_all_octets_as_text(queue: Queue, capfd: Capture) -> None:
    queue.end(queue.add(deferred("x")), "failed", reply="550 \x1b\u202e")
    assert run(queue.store, "--json", of=live()) == 0
    out = capfd.readouterr().out
    assert out.isascii() and out.count("\n") == 1 and "\x1b" not in out
    seen = json.loads(out)
    assert seen["lanes"][1] == {
        "account": "work", "config": "", "open": False, "until": NOW + 600, "waiting": 0, "failures": 3, "reply": CLOSED,
        "dsn": "4.4.1",
    }  # fmt: skip
    assert (seen["submissions"]["accepted"], seen["connections"], seen["deliveries"]["sent"]) == (1204, {"standing": 3, "idle": 2}, 28)


@pytest.mark.parametrize("columns", [1, 20, 21, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal_whatever_is_shown(queue: Queue, columns: int) -> None:
    queue.store.close_lane("例え" * 60, "/\x1b" * 300, NOW + 600, reply="é\u202e\r\n" * 400)
    queue.end(queue.add("x" * 300, "y"), "failed", reply="例え" * 250)
    for uid in (None, 1000):
        lines = "".join(status.lines(picture.draw(queue.store, uid, NOW, live()), columns)).splitlines()
        assert max(map(width, lines)) <= max(columns, 20)
        assert "".join(lines).isprintable() and "\u202e" not in "".join(lines)
