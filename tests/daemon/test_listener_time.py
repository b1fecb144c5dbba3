"""How long a client of the listener may take, by a clock that the test moves; and who gets his turn when."""

import os
import pathlib
import pwd
import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from pysendmail.config import reader
from pysendmail.daemon import loop
from pysendmail.daemon.hall import Hall
from pysendmail.queue.memory import MemoryStore

ENVELOPE = b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\n"


class Room:
    """A hall with one listener, whose loop turns when the test says so."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(loop, "monotonic", lambda: self.now)
        file = reader.parse(b"host smtp.example\nfrom ann@example.org\nsyslog off\n", "conf")
        self.hall = Hall(file, MemoryStore(), str(folder / "queue.db"), lambda: None)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.hall.doorway.listen(self.listener, smtp=True)

    def connect(self) -> socket.socket:
        line = socket.create_connection(self.listener.getsockname())
        line.settimeout(5)
        self.turn()
        assert self.heard(line)[:4] == b"220 "
        return line

    def say(self, line: socket.socket, data: bytes) -> bytes:
        line.sendall(data)
        self.turn()
        return self.heard(line)

    def heard(self, line: socket.socket) -> bytes:
        """Return what has come by now."""
        line.setblocking(False)
        try:
            return line.recv(1 << 20)
        except BlockingIOError:
            return b"(nothing)"
        finally:
            line.settimeout(5)

    def turn(self, times: int = 5) -> None:
        for _ in range(times):
            self.hall.loop.turn(0.003)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.turn()
        self.hall.tick()
        self.turn()


@pytest.fixture
def room(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    made = Room(tmp_path, monkeypatch)
    yield made
    made.hall.close()
    made.listener.close()


def test_a_client_that_says_nothing_is_told_to_go_and_then_cut_off(room: Room) -> None:
    with room.connect() as line:
        room.wait(299)
        assert room.heard(line) == b"(nothing)"
        room.wait(2)
        assert room.heard(line).startswith(b"421 4.4.2 ")
        assert room.heard(line) == b""
        assert len(room.hall.clients) == 1  # he may still have to read it
        room.wait(6)
        assert not room.hall.clients


def test_a_client_that_lets_a_command_drip_is_silent_all_the_same(room: Room) -> None:
    with room.connect() as line:
        for _ in range(31):
            line.sendall(b"x")
            room.wait(10)
        assert room.heard(line).startswith(b"421 4.4.2 ")


def test_a_client_that_gets_on_may_stay(room: Room) -> None:
    with room.connect() as line:
        for _ in range(20):
            room.wait(200)
            assert room.say(line, b"NOOP\r\n").startswith(b"250 ")


def test_a_message_that_drips_for_an_hour_is_ended(room: Room) -> None:
    with room.connect() as line:
        assert room.say(line, ENVELOPE + b"DATA\r\nSubject: x\r\n\r\n").endswith(b"own\r\n")
        for _ in range(35):
            line.sendall(b"drip\r\n")
            room.wait(100)
        assert room.heard(line) == b"(nothing)"
        for _ in range(3):
            line.sendall(b"drip\r\n")
            room.wait(100)
        assert room.heard(line).startswith(b"421 4.4.2 a message has to be whole")
        assert list(room.hall.store.listing()) == []


def test_one_client_with_many_commands_does_not_keep_another_one_waiting(room: Room) -> None:
    with room.connect() as greedy, room.connect() as modest:
        assert room.say(greedy, b"MAIL FROM:<ann@example.org>\r\n").startswith(b"250 ")
        greedy.sendall(b"RCPT TO:<bob@example.net>\r\n" * 4500)
        modest.sendall(b"NOOP\r\n")
        answered = 0
        while True:
            room.turn(1)
            if room.heard(modest) != b"(nothing)":
                break
            answered += 1
            assert answered < 10
        said = room.heard(greedy)
        assert 0 < said.count(b"\r\n") < 4500 or said == b"(nothing)"
        total = said.count(b"250 ")
        for _ in range(200):
            room.turn(1)
            total += room.heard(greedy).count(b"250 ")
            if total == 4500:
                break
        assert total == 4500


def test_users_and_groups_are_asked_for_anew_after_a_while(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["bob", "ann"]
    groups = iter(([1, 2], [1]))
    entry = SimpleNamespace(pw_uid=1001, pw_gid=1, pw_gecos="", pw_dir="/")
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: SimpleNamespace(**vars(entry), pw_name=names[-1]))
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: next(groups))
    hall = room.hall
    for _ in range(3):
        assert (hall.caller(1001).login, set(hall._policy._directory.gids_of(1001))) == (b"ann", {1, 2})
        room.wait(10)
    names.pop()
    assert hall.caller(1001).login == b"ann"
    room.wait(60)
    assert (hall.caller(1001).login, set(hall._policy._directory.gids_of(1001))) == (b"bob", {1})
