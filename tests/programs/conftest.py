"""The machines for the tests: one whose callers deliver by themselves, and one with the daemon."""

from collections.abc import Iterator

import pytest

from tests import servers
from tests.conftest import skip
from tests.obedient import Obedient
from tests.programs import Machine

ANSWERS = {"RCPT TO:<deferred": "451 4.7.1 come back later", "RCPT TO:<refused": "550 5.1.1 no such mailbox"}


def _run(factory: pytest.TempPathFactory, *, daemon: bool) -> Iterator[Machine]:
    reason = servers.missing("programs")
    if reason is not None:
        skip(reason)
    with Obedient(answers=ANSWERS) as server:
        machine = Machine(factory.mktemp("machine"), server, daemon=daemon)
        try:
            machine.start()
            yield machine
        finally:
            machine.stop()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Run a machine where each caller's command talks to the smarthost."""
    yield from _run(tmp_path_factory, daemon=False)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Run a machine with the daemon, whose configuration only root can read."""
    yield from _run(tmp_path_factory, daemon=True)


@pytest.fixture(params=["alone", "served"])
def machine(request: pytest.FixtureRequest) -> Machine:
    """Run each test on both."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Machine)
    return found
