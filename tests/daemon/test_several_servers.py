"""A daemon whose account has several servers: it goes on with the next one, and stays with what works."""

import pathlib
from collections.abc import Iterator

import pytest

from tests.command.caller import until
from tests.conftest import Installed
from tests.daemon.whole import Whole
from tests.obedient import Obedient


@pytest.fixture
def pair() -> Iterator[tuple[Obedient, Obedient]]:
    with Obedient() as one, Obedient(host="127.0.0.2") as two:
        yield one, two


@pytest.fixture
def daemon(installed: Installed, pair: tuple[Obedient, Obedient], tmp_path: pathlib.Path) -> Iterator[Whole]:
    one, two = pair
    running = Whole(installed.sendmail, tmp_path, one)
    running.start(host=f"127.0.0.1:{one.port} 127.0.0.2:{two.port}")
    yield running
    if running.process is not None:
        running.process.terminate()
        running.process.wait(60)


def test_what_the_first_server_puts_off_the_second_one_takes_at_once(
    daemon: Whole, pair: tuple[Obedient, Obedient]
) -> None:
    one, two = pair
    one.answers["RCPT"] = "450 4.2.0 later"
    assert daemon.send("-i", "bob@example.net").returncode == 0
    until(lambda: len(two.deliveries) == 1)
    until(lambda: not daemon.items())
    assert one.deliveries == []
    assert "relay=127.0.0.2[127.0.0.2]" in daemon.log.read_text()


def test_what_the_first_server_refuses_for_good_never_reaches_the_second(
    daemon: Whole, pair: tuple[Obedient, Obedient]
) -> None:
    one, two = pair
    one.answers["RCPT TO:<bob"] = "550 5.1.1 nobody"
    done = daemon.send("-odi", "-i", "bob@example.net")
    assert done.returncode == 67 and two.connections == 0


def test_a_server_that_is_going_down_hands_over_to_the_other(daemon: Whole, pair: tuple[Obedient, Obedient]) -> None:
    one, two = pair
    one.answers["greeting"] = "421 4.3.2 going down"
    for _ in range(3):
        assert daemon.send("-odi", "-i", "bob@example.net").returncode == 0
    assert len(two.deliveries) == 3 and one.connections == 1
