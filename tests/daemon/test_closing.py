"""The end of the accept process, in order and by a bug: whoever's message is in the queue by then is told so."""

import os
import pathlib
import resource
import socket
from collections.abc import Iterator

import pytest

from pysendmail import errors, wire
from pysendmail.config import reader
from pysendmail.daemon.client import Client
from pysendmail.daemon.connection import WAITING
from pysendmail.daemon.hall import Hall
from pysendmail.queue.memory import MemoryStore
from tests.command.caller import LIMIT, until
from tests.daemon.door import message

MANY = 1200  # descriptors: more than the kernel tells of at once


@pytest.fixture
def hall(tmp_path: pathlib.Path) -> Hall:
    file = reader.parse(b"host 127.0.0.1\nfrom sender@example.org\nsyslog off\n", "conf")
    return Hall(file, MemoryStore(), str(tmp_path / "queue.db"), lambda: None)


@pytest.fixture
def noise(hall: Hall) -> Iterator[list[int]]:
    """Have many descriptors in the hall's loop which are always ready."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    made = [os.eventfd(1) for _ in range(MANY)]
    yield made
    for one in made:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def enter(hall: Hall) -> tuple[Client, socket.socket]:
    """Let a caller in who has sent a whole message; give him, and his end of the connection."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(LIMIT)
    theirs.sendall(message(b"bob@example.net"))
    hall.doorway.admit(ours, smtp=False)
    (client,) = hall.clients
    assert isinstance(client, Client)
    return client, theirs


def test_a_message_that_is_committed_last_is_answered_also_in_a_crowd(hall: Hall, noise: list[int]) -> None:
    client, line = enter(hall)
    for one in noise:
        hall.loop.watch(one, lambda events: None)
    client.ready(1)
    assert client.state == WAITING
    hall.close()
    assert len(list(hall.store.listing())) == 1
    with line:
        assert line.recv(1000) == wire.frame(wire.EXIT, b"\0")


def test_a_bug_after_the_commit_leaves_nobody_waiting_and_ends_the_process(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("secret")

    monkeypatch.setattr("pysendmail.daemon.handover.Handover.tell", broken)
    client, line = enter(hall)
    hall.check_committer()
    client.ready(1)
    while client.fd >= 0:
        hall.loop.turn(LIMIT)
    with line:
        assert line.recv(1000) == wire.frame(wire.EXIT, b"\0")
    until(lambda: hall._committer.failure is not None)
    with pytest.raises(errors.SoftwareError, match="ValueError at ") as caught:
        hall.check_committer()
    assert "secret" not in str(caught.value)
    hall.close()
