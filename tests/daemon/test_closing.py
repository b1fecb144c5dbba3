"""The end of the accept process: whoever's message is in the queue by then is told so."""

import os
import pathlib
import socket
from collections.abc import Iterator

import pytest

from pysendmail import wire
from pysendmail.config import reader
from pysendmail.daemon.client import Client
from pysendmail.daemon.connection import WAITING
from pysendmail.daemon.hall import Hall
from pysendmail.queue.memory import MemoryStore
from tests.daemon.door import message

MANY = 1200  # descriptors: more than the kernel tells of at once


@pytest.fixture
def hall(tmp_path: pathlib.Path) -> Hall:
    file = reader.parse(b"host 127.0.0.1\nfrom sender@example.org\nsyslog off\n", "conf")
    return Hall(file, MemoryStore(), str(tmp_path / "queue.db"), lambda: None)


@pytest.fixture
def noise(hall: Hall) -> Iterator[list[int]]:
    """Have many descriptors in the hall's loop which are always ready."""
    made = [os.eventfd(1) for _ in range(MANY)]
    yield made
    for one in made:
        os.close(one)


def test_a_message_that_is_committed_last_is_answered_also_in_a_crowd(hall: Hall, noise: list[int]) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    client = Client(hall, ours, os.getuid())  # type: ignore[arg-type]
    hall.clients.add(client)
    hall._per_uid[client.uid] = 1
    theirs.sendall(message(b"bob@example.net"))
    for one in noise:
        hall.loop.watch(one, lambda events: None)
    client.ready(1)
    assert client.state == WAITING
    hall.close()
    assert len(list(hall.store.listing())) == 1
    theirs.settimeout(60)
    assert theirs.recv(1000) == wire.frame(wire.EXIT, b"\0")
    theirs.close()
