"""What the tests of the command with a queue share: a smarthost, a dead one, and somebody with a queue."""

import pathlib
from collections.abc import Iterator

import pytest

from tests.conftest import Installed
from tests.crowd import Crowd
from tests.obedient import Obedient
from tests.queue_command.keeper import Keeper, dead_port


@pytest.fixture
def server() -> Iterator[Obedient]:
    """Run a smarthost in clear that offers and takes everything, on any number of connections; a test may change what it answers."""
    with Crowd() as running:
        yield running


@pytest.fixture
def caller(installed: Installed, server: Obedient, tmp_path: pathlib.Path) -> Keeper:
    """Give a caller with a queue whose configuration leads to the smarthost."""
    return Keeper(installed.sendmail, tmp_path, server)


@pytest.fixture
def dead() -> Iterator[dict[str, str]]:
    """Give the words of a configuration that leads to a smarthost which is down."""
    for port in dead_port():
        yield {"port": str(port)}
