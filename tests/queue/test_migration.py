"""Files of older and of newer releases."""

import os

import pytest

from pysendmail import errors
from pysendmail.queue import location, schema
from pysendmail.queue.engine import sqlite
from pysendmail.queue.sqlite import SqliteStore
from tests.queue.place import as_user
from tests.queue.stores import contents, entry


def older(path: str, version: int) -> None:
    """Make the file one of an older release: other columns, another version."""
    db = sqlite.connect(path, isolation_level=None)
    db.executescript(f"ALTER TABLE lane DROP COLUMN dsn; PRAGMA user_version = {version}; PRAGMA wal_checkpoint(TRUNCATE);")
    db.close()


def add_dsn(db) -> None:
    db.execute("ALTER TABLE lane ADD COLUMN dsn TEXT NOT NULL DEFAULT ''")


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a release whose files have version 2, with a column more than those of version 1."""
    monkeypatch.setattr(schema, "VERSION", 2)
    monkeypatch.setattr(schema, "MIGRATIONS", (add_dsn,))


def test_a_queue_of_an_older_release_is_taken_over(used: str, next_release: None) -> None:
    older(used, 1)
    store = SqliteStore(used)
    assert contents(store) == {"KEPT": [(b"bob@example.net", "queued")]}
    store.close_lane("", "", 5.0, dsn="4.4.1")
    assert version_of(used) == 2
    store.close()
    SqliteStore(used).close()


def version_of(path: str) -> int:
    """Read the version from the file itself, as an older release does, in a process of its own."""
    return int(as_user(-1, lambda: location.peek(path).version))


def test_a_migration_that_fails_leaves_the_file_as_it_was(used: str, next_release: None, monkeypatch) -> None:
    older(used, 1)

    def fail(db) -> None:
        db.execute("DELETE FROM message")
        raise sqlite.OperationalError("no")

    monkeypatch.setattr(schema, "MIGRATIONS", (fail,))
    with pytest.raises(errors.Failure):
        SqliteStore(used)
    assert version_of(used) == 1
    monkeypatch.setattr(schema, "MIGRATIONS", (add_dsn,))
    store = SqliteStore(used)
    assert list(contents(store)) == ["KEPT"]
    store.close()


def test_a_newer_version_that_stands_only_in_the_log_is_refused_too(used: str, monkeypatch) -> None:
    monkeypatch.setattr(schema, "VERSION", 2)
    monkeypatch.setattr(schema, "MIGRATIONS", (lambda db: None,))
    db = sqlite.connect(used, isolation_level=None)
    db.execute("PRAGMA user_version = 3")
    assert location.peek(used).version == 1
    with pytest.raises(errors.ConfigError, match="has version 3"):
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
