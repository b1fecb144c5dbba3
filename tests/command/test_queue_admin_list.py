"""pysendmail queue list: a table that fits the terminal, or JSON; selections; whose messages."""

import os

import pytest

from pysendmail import errors
from pysendmail.command.admin import queue_list, table
from pysendmail.command.admin.outlook import Outlook
from pysendmail.command.admin.table import Column, Table, fit, width
from pysendmail.queue.values import QueuedRecipient
from tests.command.queued import HOUR, NOW, REFUSED, Queue, deferred, objects, run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def queue() -> Queue:
    """Give a queue with one message in each state that is listed, of two users."""
    queue = Queue()
    queue.add("new@example.net", age=30)
    queue.add(deferred("later@example.net"), age=2 * HOUR, text=b"x" * 5000)
    queue.add(deferred("perhaps@example.net", state="uncertain"), uid=1001)
    queue.add(QueuedRecipient(b"held@example.net", state="held"), sender=b"", age=3 * 86400)
    queue.end(queue.add("refused@example.net", sender=b"Carl@Example.org"), "failed", reply="550 no")
    queue.claim(queue.add("now@example.net"))
    return queue


def rows(text: str) -> list[list[str]]:
    """Give the cells of the table's rows."""
    lines = text.split("\n\n")[0].splitlines()
    assert lines[0].split() == ["ID", "AGE", "SIZE", "STATE", "NEXT", "FROM", "TO"]
    return [line.split() for line in lines[1:]]


def listed(queue: Queue, capfd: Capture, *arguments: str, uid: int | None = None) -> list[str]:
    """Give the ids that a selection lists."""
    assert run(queue.store, "list", "--json", *arguments, uid=uid) == 0
    return [each["id"] for each in objects(capfd.readouterr().out)]


def test_each_message_has_a_line_with_what_matters(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store, "list") == 0
    assert rows(capfd.readouterr().out) == [
        ["1M0001", "30s", "78", "queued", "now", "alice@example...", "new@example.net"],
        ["1M0002", "2h", "5.0K", "deferred", "15m", "alice@example...", "later@example.net"],
        ["1M0003", "60m", "78", "uncertain", "15m", "alice@example...", "perhaps@exampl..."],
        ["1M0004", "3d", "78", "held", "-", "<>", "held@example.net"],
        ["1M0005", "60m", "78", "failed", "-", "Carl@Example.org", "refused@exampl..."],
        ["1M0006", "60m", "78", "active", "-", "alice@example...", "now@example.net"],
    ]


def test_what_there_is_in_all_stands_behind_the_table(queue: Queue, capfd: Capture) -> None:
    queue.add("a@x.org", "b@x.org")
    run(queue.store, "list")
    last = capfd.readouterr().out.splitlines()[-1]
    assert last == "7 messages, 5.4K; recipients: 3 queued, 1 deferred, 1 uncertain, 1 held, 1 failed, 1 active"


def test_recipients_in_different_states_have_lines_of_their_own(capfd: Capture) -> None:
    queue = Queue()
    queue.add(deferred("a@x.org"), QueuedRecipient(b"b@x.org", state="held"), deferred("c@x.org", due=NOW + 60))
    run(queue.store, "list")
    told = [[cells[3], cells[4], *cells[6:]] for cells in rows(capfd.readouterr().out)]
    assert told == [["deferred", "60s", "a@x.org", "+1"], ["held", "-", "b@x.org"]]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 81, 132, 300])
def test_no_line_is_wider_than_the_terminal(columns: int, queue: Queue) -> None:
    queue.add(*[f"{number}@{'例え' * 90}.jp" for number in range(200)], sender="é".encode() * 300)
    lines = "".join(queue_list.lines(queue.store.listing(), Outlook([], NOW), columns)).split("\n\n")[0].splitlines()
    assert len(lines) == 8 and columns - 1 <= max(map(width, lines)) <= columns  # a wide character may not fit at the end
    assert lines[-1].startswith("1M0007") and (lines[-1].endswith(" +199") or columns < 30)


def test_a_narrow_terminal_keeps_the_ids(queue: Queue) -> None:
    lines = list(queue_list.lines(queue.store.listing(), Outlook([], NOW), 30))
    assert [line.split()[0] for line in lines[:-1]] == ["ID", *[f"1M000{number}" for number in range(1, 7)]]


def test_without_a_terminal_the_table_is_80_wide(queue: Queue, capfd: Capture) -> None:
    queue.add("x" * 100 + "@example.net")
    run(queue.store, "list")
    assert max(map(len, capfd.readouterr().out.split("\n\n")[0].splitlines())) == 80


def test_the_width_is_the_terminal_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda descriptor: os.terminal_size((132, 40)))
    assert table.terminal_width() == 132
    monkeypatch.setattr(os, "get_terminal_size", lambda descriptor: os.terminal_size((0, 0)))
    assert table.terminal_width() == 80


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("é", 1), ("例え", 4), ("e\u0301", 1), ("ｱ", 1), ("Ａ", 2), ("", 0)]
)
def test_a_text_takes_the_columns_that_a_terminal_gives_it(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "fitted"),
    [
        ("abc", 5, "abc  "),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc..."),
        ("例えテスト", 8, "例え... "),
        ("abc", 2, ".."),
        ("abc", 0, ""),
    ],
)
def test_what_is_too_long_for_its_column_is_cut_and_what_is_short_is_filled(text: str, columns: int, fitted: str) -> None:
    assert fit(text, columns) == fitted


def test_the_end_of_a_cell_is_never_cut() -> None:
    assert fit("bob@example.net", 12, " +40") == "bob@e... +40"


def test_a_table_gives_up_its_most_spare_columns_first() -> None:
    columns = [Column("A", 5), Column("B", 5, spare=1), Column("C", 5, spare=2)]
    assert [Table(columns, terminal).heading().split() for terminal in (19, 18, 12, 5)] == [
        ["A", "B", "C"], ["A", "B"], ["A", "B"], ["A"],
    ]  # fmt: skip


def test_control_characters_stay_out_of_the_table(capfd: Capture) -> None:
    queue = Queue()
    queue.add("b\x1b[2J@x.org", sender="a\u202e\n@x.org".encode())
    run(queue.store, "list")
    assert rows(capfd.readouterr().out)[0][-2:] == ["a??@x.org", "b?[2J@x.org"]


def test_json_has_everything_that_is_known_of_a_message(capfd: Capture) -> None:
    queue = Queue()
    one = deferred(orcpt=b"rfc822;b@x.org", notify=b"FAILURE", relay="mx[192.0.2.1]:25")
    queue.add(one, account="work", config="/etc/x", ret=b"HDRS", envid=b"id", tag="cron", bounce=True)
    run(queue.store, "list", "--json")
    (found,) = objects(capfd.readouterr().out)
    assert found == {
        "id": "1M0001", "uid": 1000, "sender": "alice@example.org", "created": NOW - HOUR, "size": 78, "header_size": 70,
        "body_size": 6, "account": "work", "config": "/etc/x", "tag": "cron", "bounce": True, "ret": "HDRS", "envid": "id",
        "recipients": [
            {
                "address": "bob@example.net", "state": "deferred", "next": NOW + 900, "attempts": 2,
                "first_tried": NOW - 300, "last_tried": NOW - 300, "done": None, "reply": REFUSED, "dsn": "4.4.1",
                "relay": "mx[192.0.2.1]:25", "orcpt": "rfc822;b@x.org", "notify": "FAILURE", "warned": False, "owner": "",
            }
        ],
    }  # fmt: skip


def test_json_is_ascii_whatever_a_message_holds(capfd: Capture) -> None:
    queue = Queue()
    queue.add(QueuedRecipient(b"\xff\x1b\n@x.org"), sender="é\u202e@x.org".encode(), account="w\udcff")
    run(queue.store, "list", "--json")
    text = capfd.readouterr().out
    assert text.isascii() and text.count("\n") == 1 and "\x1b" not in text
    (found,) = objects(text)
    assert (found["sender"], found["account"]) == ("é\u202e@x.org", "w\\xff")
    assert found["recipients"][0]["address"] == "\\xff\x1b\n@x.org"


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["--from", "CARL@"], ["1M0005"]),
        (["--from", "<>"], ["1M0004"]),
        (["--to", "perhaps"], ["1M0003"]),
        (["--older", "90m"], ["1M0002", "1M0004"]),
        (["--older", "1d12h"], ["1M0004"]),
        (["--state", "held", "--state", "failed"], ["1M0004", "1M0005"]),
        (["1m0002", "1M0006*", "1M0004!", "1M0002"], ["1M0002", "1M0004", "1M0006"]),
        (["1M0001", "1M0002", "--older", "90m"], ["1M0002"]),
        (["--to", "nobody"], []),
    ],
)
def test_a_selection_lists_what_fits_all_its_conditions(
    arguments: list[str], ids: list[str], queue: Queue, capfd: Capture
) -> None:
    assert listed(queue, capfd, *arguments) == ids


def test_a_user_lists_only_his_own(queue: Queue, capfd: Capture) -> None:
    assert listed(queue, capfd, uid=1001) == ["1M0003"]
    assert listed(queue, capfd, "--to", "example", uid=1001) == ["1M0003"]


def test_another_user_s_message_is_as_unknown_as_one_that_is_not_there(queue: Queue, capfd: Capture) -> None:
    told = []
    for qid in ("1M0002", "1M9999"):
        assert run(queue.store, "list", qid, uid=1001) == errors.NoInput.exit_code
        out, err = capfd.readouterr()
        assert out == ""
        told.append(err.replace(qid, "ID"))
    assert told[0] == told[1] == "pysendmail: no message of the id ID is in the queue\n"


def test_known_ids_are_listed_beside_unknown_ones(queue: Queue, capfd: Capture) -> None:
    assert run(queue.store, "list", "--json", "NIX", "1M0001", "NOX") == 66
    out, err = capfd.readouterr()
    assert [each["id"] for each in objects(out)] == ["1M0001"]
    assert err == "pysendmail: no message of the ids NIX, NOX is in the queue\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [([], "The queue is empty.\n"), (["--from", "x"], "Nothing is in the queue that is meant.\n"), (["--json"], "")],
)
def test_an_empty_list_says_so_unless_a_program_reads_it(arguments: list[str], text: str, capfd: Capture) -> None:
    assert run(Queue().store, "list", *arguments) == 0
    assert capfd.readouterr().out == text


def test_a_queue_that_does_not_exist_yet_is_empty(capfd: Capture) -> None:
    assert run(None, "list") == 0
    assert capfd.readouterr().out == "The queue is empty.\n"


def test_a_closed_lane_puts_off_the_next_attempt(capfd: Capture) -> None:
    queue = Queue()
    queue.add("a@x.org", account="work")
    queue.add("b@x.org")
    queue.add("c@x.org", account="far")
    queue.store.close_lane("work", "", NOW + 1800)
    queue.store.close_lane("far", "", NOW + 1e6)  # set by a wrong clock: it counts as over
    run(queue.store, "list")
    assert [cells[4] for cells in rows(capfd.readouterr().out)] == ["30m", "now", "now"]


def test_a_due_time_that_a_wrong_clock_set_counts_as_reached(capfd: Capture) -> None:
    queue = Queue()
    queue.add(deferred(due=NOW + 30 * 86400))
    run(queue.store, "list", "--json")
    assert objects(capfd.readouterr().out)[0]["recipients"][0]["next"] == NOW
