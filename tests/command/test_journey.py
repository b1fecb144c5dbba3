"""pysendmail log: the newest messages as a table, whole stories with a bar of time, new attempts as they come, JSON."""

import argparse
import json

import pytest

from pysendmail import errors
from pysendmail.command.admin import journey, journey_story, journey_table, rows, waterfall
from pysendmail.command.admin.outlook import Outlook
from pysendmail.command.admin.table import width
from pysendmail.queue.sights import LEGS, Leg
from pysendmail.queue.states import RESULTS
from pysendmail.queue.values import QueuedRecipient
from tests.command.queued import NOW, Queue, objects
from tests.command.queued import deferred as tried

Capture = pytest.CaptureFixture[str]
RELAY, TLS = "smtp.example.org[192.0.2.1]:587", "TLSv1.3 TLS_AES_256_GCM_SHA384"
HOSTILE = "250 \x1b[2J\u202eok\r\n" + "x" * 5000


class Over(Exception):
    """Nobody waits any more."""


def run(queue: Queue, *arguments: str, uid: int | None = None, pause: object = None) -> int:
    """Run `pysendmail log` with these arguments, as somebody who is limited to `uid`."""
    parser = argparse.ArgumentParser(prog="pysendmail")
    journey.add_parser(parser.add_subparsers())
    more = {} if pause is None else {"pause": pause}
    return journey.run(parser.parse_args(["log", *arguments]), lambda config, account: (queue.store, uid), NOW, **more)  # type: ignore[arg-type]


def leg(waiting: float = 0.0, connecting: float = 0.0, sending: float = 0.0, **more: object) -> Leg:
    """Make a leg."""
    facts: dict[str, object] = {
        "id": 1, "qid": "1M0001", "uid": 1000, "created": NOW - 60, "sender": b"ann@example.org", "at": NOW,
        "recipient": b"bob@example.net", "state": "sent", "relay": RELAY, "tls": TLS, "dsn": "2.0.0", "reply": "250 ok",
    }  # fmt: skip
    return Leg(**{**facts, **more}, waiting=waiting, connecting=connecting, sending=sending)  # type: ignore[arg-type]


@pytest.fixture
def queue() -> Queue:
    """Give a queue that has sent one message at the second attempt, and has not sent another one."""
    queue = Queue()
    first = queue.add("bob@example.net", age=100)
    more = {"relay": RELAY, "tls": TLS}
    queue.end(first, "deferred", tried=NOW - 99, due=NOW - 60, reply="451 4.7.1 later", dsn="4.7.1", times=(0.5, 0.25, 0.25), **more)
    queue.end(first, "sent", tried=NOW - 49, reply="250 2.0.0 ok", dsn="2.0.0", times=(50.0, 0.75, 0.25), **more)
    second = queue.add("carl@example.net", "dora@example.net", age=3, uid=1001)
    queue.end(second, "failed", tried=NOW - 2, reply="550 no such user", dsn="5.1.1", times=(0.0, 0.0, 1.0), relay=RELAY)
    return queue


def test_the_newest_messages_stand_at_the_end_each_as_its_last_attempt_left_it(queue: Queue, capfd: Capture) -> None:
    assert run(queue) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["TIME", "ID", "STATE", "TO", "REPLY"],
        ["Jan", "15", "07:59:11.000", "1M0001", "sent", "bob@example...", "250", "2.0.0", "ok"],
        ["Jan", "15", "07:59:58.000", "1M0002", "failed", "carl@exampl...", "550", "no", "such", "..."],
    ]
    assert lines[3:] == ["", "1 recipient in the queue: not tried yet"]


def test_recipients_in_one_state_share_a_line_and_others_have_their_own() -> None:
    legs = [leg(id=n, recipient=b"%d@x" % n, state="failed" if n == 2 else "sent") for n in range(1, 5)]
    lines = "".join(journey_table.lines(journey_table.last_legs([legs]), 80)).splitlines()
    assert [line.split()[4:7] for line in lines[1:]] == [["sent", "1@x", "+2"], ["failed", "2@x", "250"]]


def test_only_the_last_attempt_for_a_recipient_counts() -> None:
    legs = [leg(id=1, state="deferred"), leg(id=2, state="sent")]
    assert [[one.id for one in group] for group in journey_table.last_legs([legs])] == [[2]]


def test_the_number_of_messages_is_what_was_asked_for(queue: Queue, capfd: Capture) -> None:
    assert run(queue, "-n", "1", "--json") == 0
    assert [each["id"] for each in objects(capfd.readouterr().out)] == ["1M0002"]


def test_a_user_sees_what_he_handed_in(queue: Queue, capfd: Capture) -> None:
    assert run(queue, "--json", uid=1000) == 0
    assert {each["uid"] for each in objects(capfd.readouterr().out)} == {1000}
    assert run(queue, "1M0002", uid=1000) == 66
    assert capfd.readouterr() == ("", "pysendmail: nothing is known of the id 1M0002\n")


def test_an_empty_log_says_so(capfd: Capture) -> None:
    assert run(Queue()) == 0
    assert capfd.readouterr().out == "No attempt is known.\n"


def test_a_story_tells_of_the_message_and_of_each_attempt(queue: Queue, capfd: Capture) -> None:
    assert run(queue, "1m0001") == 0
    out = capfd.readouterr().out
    assert out.startswith("id            1M0001\naccepted      2027-01-15 07:58:20.000 +0000, handed in by uid 1000")
    assert "from          alice@example.org\nto            bob@example.net: sent\n" in out
    assert out.endswith(
        "\nsent          2027-01-15 07:59:11.000 bob@example.net\n"
        f"  relay       {RELAY}\n  encryption  {TLS}\n  reply       250 2.0.0 ok\n"
        "  times       waited 50.000s, connected 0.750s, sent 0.250s\n"
        f"  [{'.' * 74}-#]\n"
    )
    assert "  times       waited 0.500s, connected 0.250s, sent 0.250s\n  [.-#]\n" in out


def test_the_story_of_a_message_in_the_queue_says_what_comes(queue: Queue, capfd: Capture) -> None:
    queue.add("new@example.net", tried("old@example.net"))
    assert run(queue, "1M0002", "1M0003") == 0
    out = capfd.readouterr().out
    assert "to            carl@example.net: failed\nto            dora@example.net: queued, the next attempt is due now\n" in out
    assert "to            old@example.net: deferred, the next attempt is due in 15 minutes (connect to" in " ".join(out.split("\n" + " " * 14))


def test_a_recipient_whose_last_attempt_was_no_end_was_taken_out_of_the_queue(capfd: Capture) -> None:
    story = json.loads(journey_story.line(None, [leg(state="deferred"), leg(id=2, recipient=b"c@x")], Outlook([], NOW)))
    assert [(one["address"], one["state"]) for one in story["recipients"]] == [("bob@example.net", "removed"), ("c@x", "sent")]


def test_ids_that_are_known_are_told_of_and_the_others_named(queue: Queue, capfd: Capture) -> None:
    assert run(queue, "NONE", "1M0001*", "NOR", "1M0002", "--json") == 66
    out, err = capfd.readouterr()
    assert [each["id"] for each in objects(out)] == ["1M0001", "1M0002"]
    assert err == "pysendmail: nothing is known of the ids NONE, NOR\n"


def test_json_has_everything(queue: Queue, capfd: Capture) -> None:
    assert run(queue, "1M0001", "--json") == 0
    (story,) = objects(capfd.readouterr().out)
    assert {name: story[name] for name in ("id", "uid", "accepted", "sender", "queued")} == {
        "id": "1M0001", "uid": 1000, "accepted": NOW - 100, "sender": "alice@example.org", "queued": False,
    }  # fmt: skip
    assert story["recipients"] == [{"address": "bob@example.net", "state": "sent", "next": None}]
    assert story["legs"][1] == {
        "leg": 2, "id": "1M0001", "uid": 1000, "accepted": NOW - 100, "sender": "alice@example.org", "time": NOW - 49,
        "recipient": "bob@example.net", "state": "sent", "relay": RELAY, "tls": TLS, "dsn": "2.0.0", "reply": "250 2.0.0 ok",
        "waiting": 50.0, "connecting": 0.75, "sending": 0.25,
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [["--follow", "ID"], ["-n", "3", "ID"], ["-n", "-1"], ["-n", str(LEGS + 1)]])
def test_what_does_not_go_together_is_refused(queue: Queue, arguments: list[str]) -> None:
    with pytest.raises(errors.UsageError):
        run(queue, *arguments)


def test_new_attempts_are_shown_as_they_come_each_once_and_only_ones_own(queue: Queue, capfd: Capture) -> None:
    turns = iter(range(4))

    def pause(seconds: float) -> None:
        turn = next(turns, None)
        if turn is None:
            raise Over
        if turn != 2:  # once there is nothing new
            for uid in (1000, 1001):
                queue.end(queue.add(f"{turn}@example.net", uid=uid), "sent")

    with pytest.raises(Over):
        run(queue, "--follow", "--json", "-n", "1", uid=1000, pause=pause)
    told = objects(capfd.readouterr().out)
    assert [each["recipient"] for each in told] == ["bob@example.net", "0@example.net", "1@example.net", "3@example.net"]
    assert {each["uid"] for each in told} == {1000}


def test_more_new_attempts_than_are_read_at_once_are_all_shown(
    queue: Queue, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journey_table, "_PAGE", 3)
    turns = iter([7, 0])

    def pause(seconds: float) -> None:
        turn = next(turns, None)
        if turn is None:
            raise Over
        for number in range(turn):
            queue.end(queue.add(f"{number}@example.net"), "sent")

    with pytest.raises(Over):
        run(queue, "--follow", "--json", "-n", "0", pause=pause)
    assert [each["recipient"][0] for each in objects(capfd.readouterr().out)] == list("0123456")


def test_a_clock_that_is_set_back_hides_nothing(queue: Queue, capfd: Capture) -> None:
    late = queue.add("late@example.net", age=-86400)
    queue.end(late, "sent", tried=NOW - 5 * 86400, times=(-7.0, 0.1, 0.1))
    assert run(queue, "--json") == 0
    assert [each["id"] for each in objects(capfd.readouterr().out)] == ["1M0001", "1M0002", late]
    assert run(queue, late) == 0
    assert "waited 0.000s, connected 0.100s" in capfd.readouterr().out


@pytest.mark.parametrize("columns", [1, 20, 33, 40, 60, 80, 81, 132, 300])
def test_no_line_is_wider_than_the_terminal_whatever_is_shown(columns: int) -> None:
    legs = [
        leg(1.0, 0.2, 0.3, reply=HOSTILE, relay="r" * 300, tls="t" * 300, dsn="\x07"),
        leg(4.0e5, 0.2, 0.3, id=2, reply="例え" * 400, recipient=("例え" * 90).encode(), sender="é\x1b".encode() * 200),
        leg(0.0, 0.0, 0.0, id=3, reply="á́́" * 300, recipient=b"\xff\xfe" * 90, qid="Q" * 80),
    ]
    outlook = Outlook([], NOW)
    for text in ("".join(journey_story.lines(None, legs, outlook, columns)), "".join(journey_table.lines([legs], columns))):
        lines = text.splitlines()
        assert max(map(width, lines)) <= max(columns, 20 if text.startswith("id") else 1)
        assert "".join(lines).isprintable() and "\u202e" not in text
    assert len("".join(journey_story.lines(None, legs, outlook, columns)).splitlines()) < 200


def test_a_text_is_broken_at_blanks_and_cut_when_it_is_too_long() -> None:
    assert rows.wrap("one two three", 7) == ["one two", "three"]
    assert rows.wrap("abcdefghij", 4) == ["abcd", "efgh", "ij"]
    assert rows.wrap("例例例例", 3) == ["例", "例", "例", "例"]
    assert rows.wrap("", 5) == [""]
    cut = rows.wrap("word " * 100, 9, most=3)
    assert len(cut) == 3 and cut[-1].rstrip().endswith("...") and max(map(len, cut)) <= 9


@pytest.mark.parametrize(
    ("times", "drawn"),
    [
        ((5.0, 3.0, 2.0), "....." "---" "##"),
        ((10.0, 0.0, 0.0), ".........."),
        ((0.0, 0.001, 9.999), "-#########"),
        ((1e9, 0.001, 0.001), ""),
        ((0.0, 0.0, 0.0), ""),
        ((0.0001, 0.0001, 0.0001), ".-#"),
        ((-5.0, 5.0, 5.0), "-----#####"),
    ],
)  # fmt: skip
def test_a_bar_shows_every_part_that_took_any_time(times: tuple[float, float, float], drawn: str) -> None:
    one = leg(*times)
    got = waterfall.bar(one, 10.0 if times[0] < 1e8 else waterfall.length(one), 10)
    assert got == (drawn or ("........-#" if times[0] > 1e8 else ""))


def test_bars_never_outgrow_their_place() -> None:
    for columns in range(30):
        for times in ((1.0, 1.0, 1.0), (1e-9, 1e-9, 1.0), (1e12, 1e12, 1e12), (0.4, 0.4, 0.2)):
            one = leg(*times)
            assert len(waterfall.bar(one, waterfall.length(one), columns)) <= columns


@pytest.mark.parametrize(
    ("length", "text"),
    [(0, "0.000s"), (1.2345, "1.234s"), (99.9, "99.900s"), (100, "1m40s"), (3599.6, "60m00s"), (6000, "1h40m"), (359999, "99h59m"),
     (432000, "5d00h"), (1e10, "115740d17h")],
)  # fmt: skip
def test_lengths_of_time_have_milliseconds_while_those_say_something(length: float, text: str) -> None:
    assert waterfall.seconds(length) == text


def test_every_state_an_attempt_can_end_in_is_shown() -> None:
    legs = [leg(id=number, recipient=state.encode(), state=state) for number, state in enumerate(RESULTS, 1)]
    text = "".join(journey_story.lines(None, legs, Outlook([], NOW), 80))
    assert all(f"\n{state:<13} 20" in text for state in RESULTS)
    assert QueuedRecipient(b"x").state not in RESULTS
