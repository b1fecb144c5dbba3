"""Give each test of the contract every kind of store."""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.store import Store
from tests.queue.place import NOBODY, need_root
from tests.queue.stores import Clock, entry, make


@pytest.fixture
def steady() -> Clock:
    """Give the clock that measures the leases of the store."""
    return Clock()


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path, steady: Clock) -> Iterator[Store]:
    """Give an empty store of each kind."""
    store = make(request.param, tmp_path, steady)
    yield store
    store.close()


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    """Give a path where a queue can be made, together with its folder."""
    return str(tmp_path / "spool" / "queue.db")


@pytest.fixture
def used(path: str) -> str:
    """Give the path of a queue that holds the message KEPT, and is closed."""
    made = SqliteStore(path)
    made.add(entry(qid="KEPT"))
    made.close()
    return path


@pytest.fixture
def foreign() -> Iterator[str]:
    """Give a path for a queue of nobody's, in a folder that he can reach."""
    need_root()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pysendmail-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    spool = folder / "spool"
    spool.mkdir(mode=0o700)
    os.chown(spool, NOBODY, NOBODY)
    yield str(spool / "queue.db")
    shutil.rmtree(folder)
