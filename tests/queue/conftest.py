"""Give each test of the contract every kind of store."""

import pathlib
from collections.abc import Iterator

import pytest

from pysendmail.queue.store import Store
from tests.queue.stores import Clock, make


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
