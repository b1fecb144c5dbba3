"""What the tests of the daemon share."""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from tests.conftest import Installed
from tests.daemon.door import Door
from tests.daemon.running import Running
from tests.daemon.siege import Siege, Sink


@pytest.fixture
def door(installed: Installed, tmp_path: pathlib.Path) -> Iterator[Door]:
    """Give an accept process that runs, and that a test may start anew."""
    made = Door(tmp_path, installed.sendmail)
    made.start()
    yield made
    made.clear()


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
def siege(installed: Installed) -> Iterator[Siege]:
    """Give a whole daemon, not started yet, with a smarthost; the folder's name is short, as a socket's has to be."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pysendmail-"))
    with Sink() as server:
        made = Siege(installed.sendmail, folder, server)
        yield made
        made.clear()
    shutil.rmtree(folder)
