"""What the tests of the daemon share."""

import pathlib
from collections.abc import Iterator

import pytest

from tests.conftest import Installed
from tests.daemon.door import Door


@pytest.fixture
def door(installed: Installed, tmp_path: pathlib.Path) -> Iterator[Door]:
    """Give an accept process that runs, and that a test may start anew."""
    made = Door(tmp_path, installed.sendmail)
    made.start()
    yield made
    made.clear()
