"""pysendmail queue hold, release, retry, remove and check: what is meant, by whom, and what is said of it."""

from collections.abc import Iterator

import pytest

from pysendmail import errors
from pysendmail.command.admin import queue_select
from pysendmail.command.output import Output
from pysendmail.queue.memory import MemoryStore
from pysendmail.queue.sights import Problem
from pysendmail.queue.values import QueuedRecipient
from tests.command.queued import HOUR, NOW, Queue, deferred, objects, run

Capture = pytest.CaptureFixture[str]
STEERING = ["hold", "release", "retry", "remove"]


@pytest.fixture
def queue() -> Queue:
    """Give a queue of four messages: three of one user, one of another."""
    queue = Queue()
    queue.add("a@example.net", "b@example.org", age=HOUR)
    queue.add(deferred("c@example.net"), sender=b"bob@example.org", age=3 * 86400)
    queue.add(QueuedRecipient(b"d@example.net", state="held"), sender=b"")
    queue.add("e@example.net", uid=1001)
    return queue


def everything(queue: Queue) -> list[list[str]]:
    """Give the states of all recipients."""
    return [queue.states(f"1M000{number}") for number in range(1, 5)]


@pytest.mark.parametrize("command", STEERING)
@pytest.mark.parametrize("arguments", [[], ["--json"], ["-a", "work"], ["-C", "file"]])
def test_nothing_is_steered_unless_one_says_what(command: str, arguments: list[str], queue: Queue) -> None:
    before = everything(queue)
    with pytest.raises(errors.UsageError, match="say which messages are meant: ids, --from, --to, --older"):
        run(queue.store, command, *arguments)
    assert everything(queue) == before


@pytest.mark.parametrize("command", STEERING)
@pytest.mark.parametrize("arguments", [["--from", ""], ["--to", ""], ["--older", ""]])
def test_an_empty_condition_is_an_error_and_not_everything(command: str, arguments: list[str], queue: Queue) -> None:
    before = everything(queue)
    with pytest.raises(errors.UsageError):
        run(queue.store, command, *arguments)
    assert everything(queue) == before


@pytest.mark.parametrize("arguments", [["1M0001"], ["--from", "x"], ["--to", "x"], ["--older", "2d"], ["--state", "held"]])
def test_all_and_a_condition_contradict_each_other(arguments: list[str], queue: Queue) -> None:
    with pytest.raises(errors.UsageError, match="--all means every message"):
        run(queue.store, "remove", "--all", *arguments)
    if arguments[0] != "1M0001":
        with pytest.raises(errors.UsageError, match="--all means every message"):
            run(queue.store, "remove", "all", *arguments)
    assert all(everything(queue))


@pytest.mark.parametrize("arguments", [["--al"], ["--ol", "2d"], ["--state", "sent"], ["--state", "all"]])
def test_a_word_that_is_cut_short_or_unknown_is_none(arguments: list[str], queue: Queue, capfd: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        run(queue.store, "remove", *arguments)
    assert caught.value.code == 2
    assert all(everything(queue))


@pytest.mark.parametrize("word", ["--all", "all", "ALL"])
def test_all_is_everything(queue: Queue, capfd: Capture, word: str) -> None:
    assert run(queue.store, "hold", word) == 0
    assert everything(queue) == [["held", "held"], ["held"], ["held"], ["held"]]
    assert capfd.readouterr().out == "4 recipients held\n"


def test_a_release_brings_back_what_was_before(queue: Queue, capfd: Capture) -> None:
    before = everything(queue)
    run(queue.store, "hold", "1M0001", "1M0002")
    assert run(queue.store, "release", "1M0001", "1M0002") == 0
    assert everything(queue) == before
    assert capfd.readouterr().out == "3 recipients held\n3 recipients released\n"


def test_a_retry_makes_due_now_and_lets_the_failed_begin_anew(queue: Queue, capfd: Capture) -> None:
    queue.end("1M0004", "failed")
    assert run(queue.store, "retry", "1M0002", "1M0004") == 0
    assert capfd.readouterr().out == "2 recipients due now\n"
    found = [queue.store.get(qid) for qid in ("1M0002", "1M0004")]
    assert [(item.recipients[0].state, item.recipients[0].due) for item in found if item] == [
        ("deferred", NOW), ("queued", NOW),
    ]  # fmt: skip


def test_only_the_recipients_that_are_meant_are_removed(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store, "remove", "--to", "@EXAMPLE.net") == 0
    assert everything(queue) == [["removed", "queued"], [], [], []]
    assert capfd.readouterr().out == "4 recipients removed\n"


def test_a_message_is_removed_by_its_age(queue: Queue) -> None:
    run(queue.store, "remove", "--older", "2d")
    assert everything(queue) == [["queued", "queued"], [], ["held"], ["queued"]]


def test_the_null_sender_is_meant_by_angle_brackets(queue: Queue) -> None:
    run(queue.store, "remove", "--from", "<>")
    assert everything(queue) == [["queued", "queued"], ["deferred"], [], ["queued"]]


def test_conditions_must_hold_together(queue: Queue, capfd: Capture) -> None:
    run(queue.store, "hold", "1M0001", "1M0002", "--to", "example.net", "--older", "2d")
    assert capfd.readouterr().out == "1 recipient held\n"


def test_no_recipient_that_is_meant_is_no_error(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store, "hold", "--from", "nobody") == 0
    assert capfd.readouterr().out == "0 recipients held\n"


@pytest.mark.parametrize("command", STEERING)
def test_a_user_steers_only_his_own(command: str, queue: Queue, capfd: Capture) -> None:
    before = everything(queue)[:3]
    assert run(queue.store, command, "--all", uid=1001) == 0
    assert run(queue.store, command, "--older", "1s", uid=1001) == 0
    assert run(queue.store, command, "1M0001", uid=1001) == 66
    assert everything(queue)[:3] == before


def test_an_unknown_id_is_told_in_one_line_and_the_others_are_steered(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store, "hold", "NIX", "1M0002") == errors.NoInput.exit_code
    out, err = capfd.readouterr()
    assert (out, err) == ("1 recipient held\n", "pysendmail: no message of the id NIX is in the queue\n")


@pytest.mark.parametrize("command", STEERING)
def test_only_unknown_ids_steer_nothing(command: str, queue: Queue, capfd: Capture) -> None:
    before = everything(queue)
    assert run(queue.store, command, "NIX\x1b[2J") == 66
    assert everything(queue) == before
    out, err = capfd.readouterr()
    assert (out, err) == ("", "pysendmail: no message of the id NIX?[2J is in the queue\n")


@pytest.mark.parametrize(("command", "code"), [("hold", 75), ("remove", 75), ("release", 0), ("retry", 0)])
def test_who_is_being_delivered_is_left_alone_and_counted(command: str, code: int, queue: Queue, capfd: Capture) -> None:
    queue.claim("1M0001")
    assert run(queue.store, command, "--all") == code
    assert queue.states("1M0001") == ["active", "active"]
    out = capfd.readouterr().out
    assert out.endswith("; 2 just being tried and left alone\n") and out.count("\n") == 1


def test_json_says_the_same_to_programs(queue: Queue, capfd: Capture) -> None:
    queue.claim("1M0001")
    assert run(queue.store, "hold", "--json", "1M0001", "1M0002", "NIX") == 66
    assert objects(capfd.readouterr().out) == [{"command": "hold", "changed": 1, "busy": 2, "unknown": ["NIX"]}]


@pytest.mark.parametrize(
    ("text", "seconds"), [("2d", 172800), ("12h", 43200), ("1h30m", 5400), ("90s", 90), ("1w", 604800)]
)
def test_an_age_is_numbers_with_units(text: str, seconds: float) -> None:
    assert queue_select.age(text) == seconds


@pytest.mark.parametrize("text", ["", "0d", "2", "d", "2x", "-2d", "2 d", "2d3", "2.5d", "٢d", "53w", "1" * 400 + "d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(errors.UsageError, match="bad age"):
        queue_select.age(text)


class Sick(MemoryStore):
    """A queue in which a check finds things."""

    def check(self) -> Iterator[Problem]:
        yield Problem("/q.db: message 1", "part 0 was changed\n\x1b[2J", "take it out")
        yield Problem("/q.db", "an index is wrong", "put back a backup")


def test_a_sound_queue_is_told_as_such(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store, "check") == 0
    assert capfd.readouterr().out == "The queue is in order: 4 messages, 312 octets.\n"


def test_what_a_check_finds_is_told_with_what_to_do(capfd: Capture) -> None:
    assert run(Sick(), "check") == errors.TempFail.exit_code
    assert capfd.readouterr().out.splitlines() == [
        "/q.db: message 1: part 0 was changed??[2J; take it out",
        "/q.db: an index is wrong; put back a backup",
    ]


def test_what_a_check_finds_is_one_object_each_for_programs(queue: Queue, capfd: Capture) -> None:
    assert run(Sick(), "check", "--json") == 75
    found = objects(capfd.readouterr().out)
    assert found[1] == {"place": "/q.db", "text": "an index is wrong", "advice": "put back a backup"}
    assert len(found) == 2
    assert run(queue.store, "check", "--json") == 0
    assert capfd.readouterr().out == ""


def test_only_whom_the_queue_belongs_to_may_check_it(queue: Queue) -> None:
    with pytest.raises(errors.NoPermission):
        run(queue.store, "check", uid=1000)


def test_the_configuration_and_the_account_choose_the_queue() -> None:
    import argparse

    from pysendmail.command.admin import queue as module

    parser = argparse.ArgumentParser()
    module.add_parser(parser.add_subparsers())
    told = []

    def open_queue(config: str | None, account: str | None) -> tuple[None, None]:
        told.append((config, account))
        return None, None

    for arguments in (["list"], ["check", "-C", "file", "-a", "work"]):
        assert module.run(parser.parse_args(["queue", *arguments]), open_queue) == 0
    assert told == [(None, None), ("file", "work")]


def test_the_store_is_closed_whatever_happens(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(queue.store, "close", lambda: closed.append(True))
    with pytest.raises(errors.NoPermission):
        run(queue.store, "check", uid=1000)
    assert closed == [True]


def test_a_reader_who_goes_away_is_no_error(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from pysendmail.command.admin import queue_task

    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(queue_task, "Output", lambda: Output(writer))
    try:
        assert run(queue.store, "list") == 0
    finally:
        os.close(writer)
