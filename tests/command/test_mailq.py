"""mailq prints what Postfix's does, so that whoever reads that can read this."""

import itertools
import os
import re
import select
import threading
import time
from typing import Any

import pytest

from pysendmail import errors
from pysendmail.command import mailq as module
from pysendmail.command.mailq import mailq, whose
from pysendmail.command.output import Gone, Output
from pysendmail.queue.values import Item, Message, QueuedRecipient, Recipient
from tests.command.caller import LIMIT
from tests.command.queued import HOUR, NOW, REFUSED, Queue, deferred

# What Postfix 3.7 printed, with a line cut out where its own list went on.
POSTFIX = """\
-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------
DC14B2B8        263 Mon Nov 23 07:47:15  alice@example.org
                       (connect to 127.0.0.1[127.0.0.1]:9: Connection refused)
                                         bob@example.net
                                         carl@example.net

E28062BA!       252 Mon Nov 23 07:47:15  MAILER-DAEMON
                       (connect to 127.0.0.1[127.0.0.1]:9: Connection refused)
                                         dora@example.net

-- 0 Kbytes in 2 Requests.
"""

ENTRY = re.compile(r"([0-9A-Z]+)([*!])?\s+(\d+) (.{19})  (\S.*)\n")
TIME = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d")
REASON = re.compile(r"\s*\((.*)\)\n")
ADDRESS = re.compile(r" {41}(\S.*)\n")
SUMMARY = re.compile(r"-- (\d+) Kbytes in (\d+) Requests?\.\n")


def parse(text: str) -> list[dict[str, Any]]:
    """Read a list as the programs do that people use on Postfix's: a heading, blocks, a summary."""
    heading, *rest = text.splitlines(keepends=True)
    assert heading.rstrip("\n") == "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------"
    summary = SUMMARY.fullmatch(rest.pop())
    assert summary and rest.pop() == "\n"
    found = [_block(block + "\n") for block in "".join(rest).removesuffix("\n").split("\n\n")]
    assert int(summary[2]) == len(found) and int(summary[1]) == sum(int(each["size"]) for each in found) // 1024
    return found


def _block(text: str) -> dict[str, Any]:
    first, *rest = text.splitlines(keepends=True)
    head = ENTRY.fullmatch(first)
    assert head and TIME.fullmatch(head[4]), first
    recipients: dict[str, list[str]] = {}
    reason = ""
    for line in rest:
        address = ADDRESS.fullmatch(line)
        if address:
            recipients.setdefault(reason, []).append(address[1])
        else:
            found = REASON.fullmatch(line)
            assert found, line
            reason = found[1]
    return {"id": head[1], "mark": head[2], "size": head[3], "sender": head[5], "recipients": recipients}


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def listed(queue: Queue, capfd: pytest.CaptureFixture[str]) -> "object":
    """Give a function that lists the queue and returns the text."""

    def run(uid: int | None = None) -> str:
        assert mailq(queue.store, uid) == 0
        out, err = capfd.readouterr()
        assert err == ""
        return out

    return run


def test_an_empty_queue_is_told_in_postfix_s_words(listed) -> None:
    assert listed() == "Mail queue is empty\n"


def test_a_queue_that_does_not_exist_is_empty(capfd: pytest.CaptureFixture[str]) -> None:
    assert mailq(None) == 0
    assert capfd.readouterr().out == "Mail queue is empty\n"


def test_the_tests_parser_reads_what_postfix_printed() -> None:
    refused = "connect to 127.0.0.1[127.0.0.1]:9: Connection refused"
    one, two = parse(POSTFIX)
    assert one["recipients"] == {refused: ["bob@example.net", "carl@example.net"]}
    assert (two["id"], two["mark"], two["size"], two["sender"]) == ("E28062BA", "!", "252", "MAILER-DAEMON")


def test_a_message_stands_in_the_columns_where_postfix_has_it(queue: Queue, listed) -> None:
    queue.add(deferred(), deferred("carl@example.net"))
    arrived = time.asctime(time.localtime(NOW - HOUR))[:19]
    assert listed().splitlines() == [
        "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------",
        f"1M0001                78 {arrived}  alice@example.org",
        f"({REFUSED})".rjust(78),
        " " * 41 + "bob@example.net",
        " " * 41 + "carl@example.net",
        "",
        "-- 0 Kbytes in 1 Request.",
    ]


def test_an_id_of_full_length_leaves_the_columns_in_line() -> None:
    text = [_text("1DQ8YJ3KX2M0Z4Z"), _text("1DQ8YJ3KX2M0Z4Z", "active")]
    assert len({line.index("alice@example.org") for line in text}) == 1


def _text(qid: str, state: str = "queued") -> str:
    message = Message(1, qid, 0, b"alice@example.org", "", "", 0.0, 300, 2000, False, False, False, None, None, "", False)
    one = Recipient(1, 0, b"bob@example.net", None, None, state, "", 0.0, 0, False, 0.0, 0.0, 0.0, "", "", "", "")
    return list(module.lines([Item(message, [one])]))[1]


def test_messages_are_parted_by_a_blank_line_and_counted_at_the_end(queue: Queue, listed) -> None:
    for _ in range(3):
        queue.add("bob@example.net", text=b"x" * 700)
    text = listed()
    assert [each["id"] for each in parse(text)] == ["1M0001", "1M0002", "1M0003"]
    assert text.endswith("\n\n-- 2 Kbytes in 3 Requests.\n")


def test_a_message_that_is_being_delivered_has_an_asterisk_and_a_held_one_an_exclamation_mark(queue: Queue, listed) -> None:
    queue.claim(queue.add("bob@example.net"))
    queue.add(QueuedRecipient(b"carl@example.net", state="held"))
    queue.add("dora@example.net")
    assert [each["mark"] for each in parse(listed())] == ["*", "!", None]


def test_a_message_that_is_held_for_some_has_no_mark_and_says_so_of_them(queue: Queue, listed) -> None:
    queue.add(deferred(), QueuedRecipient(b"held@example.net", state="held"), deferred("b@example.net", state="held"))
    (found,) = parse(listed())
    assert found["mark"] is None
    assert found["recipients"] == {
        REFUSED: ["bob@example.net"],
        "held": ["held@example.net"],
        f"held: {REFUSED}": ["b@example.net"],
    }


def test_the_null_sender_is_mailer_daemon(queue: Queue, listed) -> None:
    queue.add("bob@example.net", sender=b"", bounce=True)
    assert parse(listed())[0]["sender"] == "MAILER-DAEMON"


def test_recipients_of_one_reason_stand_together_below_it(queue: Queue, listed) -> None:
    queue.add(deferred("a@x.org"), deferred("b@x.org", reply="451 4.7.1 later"), deferred("c@x.org"))
    text = listed()
    assert parse(text)[0]["recipients"] == {REFUSED: ["a@x.org", "c@x.org"], "451 4.7.1 later": ["b@x.org"]}
    assert text.count(REFUSED) == 1


def test_a_recipient_without_a_reason_never_stands_below_another_one_s(queue: Queue, listed) -> None:
    queue.add("new@x.org", deferred("old@x.org"))
    assert parse(listed())[0]["recipients"] == {REFUSED: ["old@x.org"], "not tried yet": ["new@x.org"]}


def test_a_recipient_who_may_have_got_it_is_told_as_such(queue: Queue, listed) -> None:
    queue.add(deferred(state="uncertain", reply="lost connection"), deferred("c@x.org", state="uncertain", reply=""))
    reasons = parse(listed())[0]["recipients"]
    assert reasons == {"may have arrived: lost connection": ["bob@example.net"], "may have arrived": ["c@x.org"]}


def test_a_closed_lane_is_the_reason_of_those_who_were_not_tried(queue: Queue, listed) -> None:
    queue.add("bob@example.net", account="work")
    queue.store.close_lane("work", "", 2e9, reply="535 5.7.8 bad password", dsn="5.7.8")
    assert parse(listed())[0]["recipients"] == {"535 5.7.8 bad password": ["bob@example.net"]}


def test_what_was_delivered_or_failed_for_good_waits_for_nothing(queue: Queue, listed) -> None:
    queue.end(queue.add("gone@example.net", "here@example.net"), "failed", reply="550 no")
    queue.end(queue.add("served@example.net"), "sent")
    queue.end(queue.add("refused@example.net"), "failed")
    (found,) = parse(listed())
    assert (found["id"], found["recipients"]) == ("1M0001", {"": ["here@example.net"]})


def test_a_user_sees_his_own_messages_only(queue: Queue, listed) -> None:
    queue.add("bob@example.net", uid=1000)
    queue.add("carl@example.net", uid=1001)
    assert [each["id"] for each in parse(listed(1001))] == ["1M0002"]
    assert listed(1002) == "Mail queue is empty\n"


@pytest.mark.parametrize(
    ("caller", "owner", "limit"), [(0, 0, None), (0, 100, None), (100, 100, None), (1000, 100, 1000), (1000, 0, 1000)]
)
def test_root_and_the_owner_see_everything(caller: int, owner: int, limit: int | None) -> None:
    assert whose(caller, owner) == limit


def test_control_characters_do_no_harm_and_make_no_lines(queue: Queue, listed) -> None:
    queue.add(
        deferred("b\x1b[2J\n-- 0 Kbytes@x.org", reply="450 \x1b]0;x\x07\r\nMail queue is empty\r\n\xc2\x9bz"),
        sender="a\nlice\u202e\u009b@example.org".encode(),
    )
    text = listed()
    (found,) = parse(text)
    assert found["sender"] == "a?lice??@example.org"
    assert not [character for character in text if character != "\n" and not character.isprintable()]


def test_what_is_no_utf_8_is_written_out(queue: Queue, listed) -> None:
    queue.add(QueuedRecipient(b"b\xff@x.org"), sender="jürgen@x.org".encode())
    text = listed()
    assert "b\\xff@x.org" in text and "jürgen@x.org" in text


def test_a_time_beyond_all_calendars_stops_no_list(queue: Queue, listed) -> None:
    queue.add("bob@example.net", age=-1e20)
    queue.add("bob@example.net", age=HOUR)
    assert listed().count("bob@example.net") == 2


def test_the_list_is_made_while_it_is_read() -> None:
    item = Queue()
    item.add("bob@example.net")
    (one,) = item.store.listing()
    assert len(list(itertools.islice(module.lines(itertools.repeat(one)), 1000))) == 1000


def test_ten_thousand_recipients_of_one_message_are_listed(queue: Queue, listed) -> None:
    queue.add(*[deferred(f"r{number}@x.org", reply=f"450 {number % 2000}") for number in range(10_000)])
    reasons = parse(listed())[0]["recipients"]
    assert len(reasons) == 2000 and sum(map(len, reasons.values())) == 10_000


class Pipe:
    """A pipe whose reader does what a test wants."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def __enter__(self) -> "Pipe":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.writer)
        os.close(self.reader)

    def readable(self, seconds: float) -> bool:
        return bool(select.select([self.reader], [], [], seconds)[0])

    def read(self, octets: int) -> bytes:
        data = b""
        while len(data) < octets:
            assert self.readable(LIMIT)
            data += os.read(self.reader, 5000)
        return data


def test_long_output_goes_out_in_blocks_before_it_is_complete() -> None:
    with Pipe() as pipe:
        output = Output(pipe.writer)
        output.write("x" * 10)
        assert not pipe.readable(0)
        thread = threading.Thread(target=lambda: output.write("x" * 70_000))
        thread.start()
        assert len(pipe.read(70_010)) == 70_010
        thread.join(LIMIT)


def test_a_reader_in_no_hurry_gets_everything() -> None:
    with Pipe() as pipe:
        os.set_blocking(pipe.writer, False)
        output = Output(pipe.writer)

        def write() -> None:
            for _ in range(300):
                output.write("é" * 500)
            output.flush()

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.05)
        assert pipe.read(300_000).decode() == "é" * 150_000
        thread.join(LIMIT)


def test_a_list_that_nobody_reads_on_ends_in_silence(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.add("bob@example.net")
    with Pipe() as pipe:
        os.close(pipe.reader)
        pipe.reader = os.dup(pipe.writer)
        with pytest.raises(Gone):
            _write(Output(pipe.writer))
        monkeypatch.setattr(module, "Output", lambda: Output(pipe.writer))
        assert mailq(queue.store) == 0


def test_a_full_disk_under_the_list_is_told() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(errors.TempFail, match="standard output: cannot be written: No space left on device"):
            _write(Output(full))
    finally:
        os.close(full)


def _write(output: Output) -> None:
    output.write("text\n")
    output.flush()
