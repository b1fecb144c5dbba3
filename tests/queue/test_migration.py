"""Files of older and of newer releases."""

import os

import pytest

from pysendmail import errors
from pysendmail.queue import location, schema
from pysendmail.queue.engine import sqlite
from pysendmail.queue.sqlite import SqliteStore
from tests.queue import version1
from tests.queue.place import as_user
from tests.queue.stores import NOW, claim, contents, entry, results, text

NOW_IS = schema.VERSION


def older(path: str, version: int) -> None:
    """Make the file one of an older release: other columns, another version."""
    db = sqlite.connect(path, isolation_level=None)
    db.executescript(f"ALTER TABLE lane DROP COLUMN dsn; PRAGMA user_version = {version}; PRAGMA wal_checkpoint(TRUNCATE);")
    db.close()


def add_dsn(db) -> None:
    db.execute("ALTER TABLE lane ADD COLUMN dsn TEXT NOT NULL DEFAULT ''")


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be the release after this one, with a column more in its files."""
    monkeypatch.setattr(schema, "VERSION", NOW_IS + 1)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, add_dsn))


def test_a_queue_of_an_older_release_is_taken_over(used: str, next_release: None) -> None:
    older(used, NOW_IS)
    store = SqliteStore(used)
    assert contents(store) == {"KEPT": [(b"bob@example.net", "queued")]}
    store.close_lane("", "", 5.0, dsn="4.4.1")
    assert version_of(used) == NOW_IS + 1
    store.close()
    SqliteStore(used).close()


def version_of(path: str) -> int:
    """Read the version from the file itself, as an older release does, in a process of its own."""
    return int(as_user(-1, lambda: location.peek(path).version))


def test_a_migration_that_fails_leaves_the_file_as_it_was(used: str, next_release: None, monkeypatch) -> None:
    older(used, NOW_IS)

    def fail(db) -> None:
        db.execute("DELETE FROM message")
        raise sqlite.OperationalError("no")

    steps = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*steps[:-1], fail))
    with pytest.raises(errors.Failure):
        SqliteStore(used)
    assert version_of(used) == NOW_IS
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    store = SqliteStore(used)
    assert list(contents(store)) == ["KEPT"]
    store.close()


def test_a_newer_version_that_stands_only_in_the_log_is_refused_too(used: str, next_release: None) -> None:
    db = sqlite.connect(used, isolation_level=None)
    db.execute(f"PRAGMA user_version = {NOW_IS + 2}")
    assert location.peek(used).version == NOW_IS
    with pytest.raises(errors.ConfigError, match=f"has version {NOW_IS + 2}"):
        SqliteStore(used)
    db.close()


def test_a_file_without_its_log_mode_gets_it_back(used: str) -> None:
    db = sqlite.connect(used, isolation_level=None)
    db.execute("PRAGMA journal_mode = DELETE").fetchone()
    db.close()
    store = SqliteStore(used)
    store.add(entry())
    assert os.path.exists(used + "-wal")
    store.close()


@pytest.fixture
def first(path: str) -> str:
    """Give a file of version 1, as the release of that time wrote it."""
    os.mkdir(os.path.dirname(path), 0o700)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    db = sqlite.connect(path, isolation_level=None)
    db.executescript(version1.FILE)
    db.execute("PRAGMA journal_mode = WAL").fetchone()
    db.close()
    assert version_of(path) == 1
    return path


def test_everything_in_a_file_of_version_1_is_there_afterwards(first: str) -> None:
    store = SqliteStore(first)
    assert contents(store) == {
        "WAITS": [(b"bob@example.net", "queued")],
        "MIXED": [(b"carl@example.net", "failed"), (b"dora@example.net", "deferred")],
        "DOUBT": [(b"eve@example.net", "uncertain")],
        "HELD": [(b"bob@example.net", "held")],
        "REPORT": [(b"bob@example.net", "queued")],
    }
    waits, mixed = store.get("WAITS"), store.get("MIXED")
    assert waits is not None and mixed is not None
    assert text(store, waits) == b"From: alice@example.org\r\nSubject: waits\r\n\r\nw\xc3\xa9\r\n"
    assert (waits.message.envid, waits.message.ret, waits.message.tag, waits.message.awaited) == (b"E1", b"HDRS", "tag", False)
    bob, carl, dora = mixed.recipients
    assert (bob.state, bob.orcpt, bob.notify) == ("sent", b"rfc822;b@x", b"NEVER")
    assert (carl.reply, carl.dsn, carl.relay, carl.code) == ("550 no", "5.1.1", "mx[1.2.3.4]:25", 0)
    assert (dora.due, dora.attempts) == (NOW + 60, 1)
    lane = next(lane for lane in store.lanes() if lane.until)
    assert (lane.account, lane.until, lane.failures, lane.reply) == ("work", NOW + 300, 2, "connection refused")
    store.close()


def test_a_file_of_version_1_becomes_the_same_as_a_new_one(first: str) -> None:
    store = SqliteStore(first)
    assert list(store.check()) == []
    assert store.journey() == [] and store.gauges() == [] and store.awaited() == []
    store.close()
    assert version_of(first) == NOW_IS


def test_a_file_of_version_1_can_be_worked_with(first: str) -> None:
    store = SqliteStore(first)
    store.add(entry(qid="NEW", awaited=True))
    owner = store.enroll()
    items = claim(store, owner)
    assert [item.message.qid for item in items] == ["NEW", "WAITS", "REPORT"]
    store.finish(owner, results(items))
    assert [leg.qid for leg in store.journey()] == ["NEW", "WAITS", "REPORT"]
    assert list(store.check()) == []
    store.close()
