"""`sendmail -q`: what waits is delivered, some of it or all, and trouble with the smarthost costs nothing but time."""

import signal
import threading

import pytest

from tests.command.caller import LIMIT, until
from tests.queue_command.keeper import Keeper, numbered, numbers

BOB, CAROL, DAVE = "bob@example.net", "carol@example.net", "dave@example.net"


def _served(caller: Keeper) -> list[str]:
    return sorted(recipient for one in caller.server.deliveries for recipient in one.recipients)


def test_a_run_delivers_what_waits(caller: Keeper) -> None:
    for number in range(3):
        caller.submit("-odq", BOB, CAROL, message=numbered(number))
    assert caller.flush().stderr == b""
    assert caller.waiting() == []
    assert sorted(numbers([one.data for one in caller.server.deliveries])) == [0, 1, 2]
    assert _served(caller) == [BOB] * 3 + [CAROL] * 3


def test_a_run_takes_what_is_not_due_yet(caller: Keeper, dead: dict[str, str]) -> None:
    caller.submit("-odi", BOB, words=dead)
    [one] = caller.items()[0].recipients
    assert one.due > one.last_tried > 0
    caller.flush()
    assert caller.waiting() == [] and _served(caller) == [BOB]


def test_a_run_of_an_empty_queue_a_missing_one_or_none_is_no_error(caller: Keeper) -> None:
    assert caller.flush().stderr == b""
    assert caller.flush(words={"queue": ""}).stderr == b""
    assert not caller.queue.parent.exists()
    caller.submit("-odq", BOB)
    caller.flush()
    assert caller.flush().stderr == b""
    assert len(caller.server.deliveries) == 1


@pytest.mark.parametrize(
    ("option", "rest"),
    [
        (f"-qR{BOB}", [(CAROL, "queued"), (DAVE, "queued")]),
        ("-qSann@example.org", [(CAROL, "queued"), (DAVE, "queued")]),
        ("-q!Sann@example.org", [(BOB, "queued")]),
        (f"-q!R{BOB}", [(BOB, "queued")]),
    ],
)
def test_a_run_can_be_of_some_messages(caller: Keeper, option: str, rest: list[tuple[str, str]]) -> None:
    caller.submit("-odq", "-f", "ann@example.org", BOB)
    caller.submit("-odq", CAROL)
    caller.submit("-odq", DAVE)
    caller.flush(option)
    assert sorted(caller.waiting()) == rest


def test_a_run_can_be_of_one_message_by_its_id(caller: Keeper) -> None:
    caller.submit("-odq", BOB)
    caller.submit("-odq", CAROL)
    [chosen] = [item.message.qid for item in caller.items() if item.recipients[0].address == BOB.encode()]
    assert chosen in caller.mailq()
    caller.flush(f"-qI{chosen}")
    assert caller.waiting() == [(CAROL, "queued")] and _served(caller) == [BOB]


def test_a_smarthost_that_refuses_everybody_is_asked_once_and_nothing_is_lost(caller: Keeper) -> None:
    for number in range(8):
        caller.submit("-odq", BOB, message=numbered(number))
    caller.server.answers["greeting"] = "421 4.3.2 not now"
    done = caller.flush(words={"connections": "4"})
    assert caller.server.connections == 1
    assert b"not now" in done.stderr and done.stderr.count(b"\n") == 1
    assert [address for address, _ in caller.waiting()] == [BOB] * 8
    assert "not now" in caller.mailq()
    caller.server.answers.clear()
    caller.flush()
    assert sorted(numbers([one.data for one in caller.server.deliveries])) == list(range(8))
    assert caller.waiting() == []


def test_a_dead_smarthost_loses_nothing(caller: Keeper, dead: dict[str, str]) -> None:
    for number in range(3):
        caller.submit("-odq", BOB, message=numbered(number))
    assert b"Connection refused" in caller.flush(words=dead).stderr
    assert len(caller.waiting()) == 3 and not any(item.message.bounce for item in caller.items())


def test_one_refused_message_does_not_stop_the_others(caller: Keeper) -> None:
    for recipient in (BOB, CAROL, DAVE):
        caller.submit("-odq", recipient)
    caller.server.answers[f"RCPT TO:<{CAROL}"] = "550 5.1.1 no such mailbox"
    caller.flush()
    assert _served(caller) == [BOB, DAVE, "sender@example.org"]
    assert caller.waiting() == [(CAROL, "failed")]
    [bounce] = [one for one in caller.server.deliveries if one.sender == ""]
    assert b"no such mailbox" in bounce.data and CAROL.encode() in bounce.data


def test_what_a_killed_runner_had_in_hand_is_delivered_by_the_next(caller: Keeper) -> None:
    """Also where nothing else waits: only what waits is looked at, and what he had is marked as his."""
    gate = caller.server.gates["MAIL"] = threading.Event()
    caller.submit("-odq", BOB)
    process = caller.start("-q")
    until(lambda: any(line.startswith("MAIL") for line in caller.server.commands) or caller.server.connections)
    until(lambda: caller.waiting() == [(BOB, "active")])
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=LIMIT)
    gate.set()
    caller.flush()
    assert caller.waiting() == [] and _served(caller) == [BOB]


def test_two_runs_at_once_deliver_each_message_once(caller: Keeper) -> None:
    for number in range(10):
        caller.submit("-odq", BOB, message=numbered(number))
    both = [caller.start("-q"), caller.start("-q")]
    for process in both:
        with process:
            assert process.communicate(b"", LIMIT) == (b"", b"") and process.returncode == 0
    assert sorted(numbers([one.data for one in caller.server.deliveries])) == list(range(10))
    assert caller.waiting() == []


def test_a_signal_ends_a_run_and_what_was_not_sent_waits(caller: Keeper) -> None:
    caller.server.gates["DATA"] = gate = threading.Event()
    caller.server.capabilities = ("8BITMIME",)
    for number in range(4):
        caller.submit("-odq", BOB, message=numbered(number))
    process = caller.start("-q", words={"connections": "1"})
    until(lambda: "DATA" in caller.server.commands)
    process.send_signal(signal.SIGTERM)
    gate.set()
    process.communicate(timeout=LIMIT)
    assert caller.waiting() == [(BOB, "queued")] * 3
    assert len(caller.server.deliveries) == 1
    caller.flush()
    assert sorted(numbers([one.data for one in caller.server.deliveries])) == list(range(4))
