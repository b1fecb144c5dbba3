"""What a queue does for one message costs the same however many are in it."""

import os
import re
import resource

import pytest

from pysendmail.queue import schema, tidying
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.values import Notice, Result, Select
from tests.queue.stores import NOW, claim, entry, results

pytestmark = pytest.mark.once


@pytest.fixture
def watched(path: str):
    """Give a store with a message, and the list of the commands that its database gets."""
    store = SqliteStore(path)
    store.add(entry(b"a@x", b"b@x", account="a"))
    store.add_many([entry() for _ in range(5)])
    commands: list[str] = []
    store._database._db.set_trace_callback(commands.append)  # type: ignore[union-attr]
    yield store, commands
    store.close()


def plan(store: SqliteStore, command: str) -> str:
    """Tell how SQLite will do a command."""
    rows = store._database.read("EXPLAIN QUERY PLAN " + command)
    return "; ".join([str(row[3]) for row in rows])


def plans(store: SqliteStore, commands: list[str]) -> dict[str, str]:
    """Give the plan of each command that looks for something."""
    looking = [c for c in commands if re.match(r"SELECT|UPDATE|DELETE", c) and "PRAGMA" not in c]
    commands.clear()
    return {command: plan(store, command) for command in dict.fromkeys(looking)}


SMALL = "lane|owner|fence"  # tables that stay small however many messages there are


def scans(found: dict[str, str]) -> list[str]:
    """Give the plans that look at all rows of a table, or sort."""
    return [
        f"{command} -> {step}"
        for command, steps in found.items()
        for step in steps.split("; ")
        if re.match(f"SCAN (?!CONSTANT ROW|{SMALL})", step) or "TEMP B-TREE" in step or "AUTOMATIC" in step
    ]


def test_adding_claiming_and_finishing_look_at_no_more_rows_than_they_need(watched) -> None:
    store, commands = watched
    owner = store.enroll()
    store.add(entry(qid="NEW", account="new"))
    items = claim(store, owner, limit=3)
    everything = claim(store, owner, limit=2, due_only=False, after=1)
    assert len(items) == 3 and everything
    store.open(items[0].message)
    sent, failed = results(items[:1]), results(items[1:2], "failed")
    store.finish(owner, [*sent, *failed], [Notice(entry(), [(failed[0].message, 0)])])
    store.give_back(owner, [items[2].message.id])
    store.extend(owner, NOW, 60.0)
    store.next_due(NOW)
    store.close_lane("a", "", NOW + 5)
    store.get("NEW")
    store.expire(NOW, 1e6)
    store.release(owner)
    found = plans(store, commands)
    assert len(found) > 20 and scans(found) == []
    used = {index for steps in found.values() for index in re.findall(r"INDEX (\w+)", steps)}
    assert {"recipient_waiting", "recipient_active", "recipient_failed"} <= used


def test_the_list_is_read_in_its_order_without_sorting(watched) -> None:
    store, commands = watched
    list(store.listing())
    assert scans(plans(store, commands)) == []


def test_no_two_commands_of_a_claim_grow_with_the_queue(path: str) -> None:
    """Count the steps of SQLite's machine for the same work, with 50 and with 5,000 messages."""
    store = SqliteStore(path)
    owner = store.enroll()
    costs = []
    for size in (50, 5000):
        store.add_many([entry(created=NOW - size + n) for n in range(size)])
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        store._database._db.set_progress_handler(count, 10)  # type: ignore[union-attr]
        items = claim(store, owner, limit=10)
        store.finish(owner, results(items))
        store.add(entry())
        store._database._db.set_progress_handler(None, 0)  # type: ignore[union-attr]
        costs.append(steps)
    assert costs[1] < 1.2 * costs[0], costs
    store.close()


def test_the_log_does_not_grow_with_the_number_of_messages(path: str) -> None:
    store = SqliteStore(path)
    sizes = set()
    for _ in range(10):
        for _ in range(60):
            store.add(entry(data=b"x" * 2000))
        owner = store.enroll()
        for item in claim(store, owner):
            store.finish(owner, results([item]))
        store.release(owner)
        sizes.add(os.path.getsize(path + "-wal") >> 20)
    assert max(sizes) <= 5
    store.close()


def test_a_long_list_takes_little_memory(path: str) -> None:
    store = SqliteStore(path)
    store.add_many([entry() for _ in range(20_000)])
    next(store.listing())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in store.listing()) == 20_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8192  # KiB
    store.close()


def test_idle_room_is_given_back_and_a_little_is_kept(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(path)
    store.add_many([entry(data=b"x" * 1_000_000) for _ in range(30)])
    kept = store.add(entry())
    store.remove(Select(excluded=[Select(qids=[kept])]), NOW)
    full = os.path.getsize(path)
    store.tidy(NOW)
    store.close()
    assert full > 28 << 20 and os.path.getsize(path) < 17 << 20
    monkeypatch.setattr(tidying, "_IDLE", 0)
    store = SqliteStore(path)
    store.tidy(NOW)
    assert list(store.check()) == [] and store.get(kept) is not None
    store.close()
    assert os.path.getsize(path) < 100_000


def test_lanes_that_nobody_uses_are_forgotten(path: str) -> None:
    store = SqliteStore(path)
    store.add(entry(account="used"))
    store.remove(Select(qids=[store.add(entry(account="unused"))]), NOW)
    store.close_lane("closed", "", NOW)
    store.tidy(NOW)
    assert [row[0] for row in store._database.read("SELECT account FROM lane ORDER BY id")] == [b"used", b"closed"]
    store.close()


def test_a_large_message_leaves_by_pages_not_by_octets(path: str) -> None:
    """What is deleted is not written over: that would cost as much as the message did."""
    store = SqliteStore(path)
    store.add(entry(data=b"x" * 8_000_000))
    owner = store.enroll()
    (item,) = claim(store, owner)
    store._database.read("PRAGMA wal_checkpoint(TRUNCATE)")
    store.finish(owner, [Result(item.message.id, 0, "sent", tried=NOW)])
    assert os.path.getsize(path + "-wal") < 1_000_000
    store.close()


def test_the_file_is_as_it_was_designed(path: str) -> None:
    store = SqliteStore(path)
    pragmas = {
        "journal_mode": "wal", "synchronous": 2, "application_id": schema.APPLICATION_ID, "user_version": schema.VERSION,
        "page_size": 4096, "auto_vacuum": 2, "temp_store": 2, "secure_delete": 2, "trusted_schema": 0, "busy_timeout": 0,
    }  # fmt: skip
    assert {name: store._database.read(f"PRAGMA {name}")[0][0] for name in pragmas} == pragmas
    store.close()


def test_a_claim_of_one_lane_looks_at_the_recipients_of_that_lane_only(watched) -> None:
    store, commands = watched
    for number in range(5):
        store.add(entry(account=f"other{number}"))
    owner = store.enroll()
    commands.clear()
    assert len(claim(store, owner, select=Select(account="a", config=""))) == 1
    looks = [command for command in commands if re.search(r"FROM recipient r.* AND r.due", command) and "ORDER BY" in command]
    by_lane = [command for command in looks if "r.lane = " in command]
    assert len(by_lane) == 2 and not any("JOIN" in command for command in looks)
