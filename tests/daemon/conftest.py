"""What the tests of the daemon share."""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from tests.conftest import skip
from tests.daemon.running import Running


@pytest.fixture
def daemon() -> Iterator[Running]:
    """Give a daemon in a folder that everybody can enter; the name is short, for a socket's has 107 octets at most."""
    folder = tempfile.mkdtemp(prefix="pysendmail-")
    os.chmod(folder, 0o755)
    running = Running(pathlib.Path(folder))
    yield running
    running.clear()
    shutil.rmtree(folder)


@pytest.fixture
def superuser() -> None:
    """Skip where only root can do what is tested."""
    if os.getuid() != 0:
        skip("only root can become another user")
