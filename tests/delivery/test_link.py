"""The seam to the network, over pairs of sockets: what is written and read, how long it waits, and how it ends."""

import errno
import os
import select
import socket
import threading
import time

import pytest

from pysendmail import errors
from pysendmail.delivery import link
from pysendmail.delivery.link import Link, Lost, TimedOut
from tests.delivery.ends import LONG, SOON, Ends, later, read_all


def test_a_link_names_its_peer_without_the_zone(ends: Ends) -> None:
    assert ends.link.peer == "fe80::1"


def test_all_of_it_arrives_however_slowly_the_peer_reads(ends: Ends) -> None:
    data = bytes(range(256)) * 8000
    got = []
    ends.play(lambda peer: got.append(read_all(peer, len(data), 3000)))
    ends.link.write(data, LONG, later())
    ends.done()
    assert got == [data]


def test_two_full_pipes_do_not_wait_for_each_other(ends: Ends) -> None:
    """The peer reads nothing before it has said all it has to say."""
    ours, theirs = b"x" * 1_000_000, b"250 ok\r\n" * 100_000
    got = []

    def part(peer: socket.socket) -> None:
        peer.sendall(theirs)
        got.append(read_all(peer, len(ours)))

    ends.play(part)
    ends.link.write(ours, LONG, later())
    heard = ends.link.arrived()
    while len(heard) < len(theirs):
        heard += ends.link.read(later())
    ends.done()
    assert heard == theirs
    assert got == [ours]


def test_a_peer_that_only_talks_while_we_write_is_not_kept_for_ever(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_MOST_UNREAD", 500_000)

    def part(peer: socket.socket) -> None:
        with pytest.raises(OSError):
            while True:
                peer.sendall(b"250 ok\r\n" * 1000)

    ends.play(part)
    with pytest.raises(errors.ProtocolError, match="without end"):
        ends.link.write(b"x" * 2_000_000, LONG, later())
    ends.link.close()
    ends.done()


def test_a_peer_that_takes_nothing_is_left_when_patience_ends(ends: Ends) -> None:
    started = time.monotonic()
    for _ in range(2):  # the second time the pipe is full from the beginning
        with pytest.raises(TimedOut, match="does not take"):
            ends.link.write(b"x" * 2_000_000, SOON, later())
    assert time.monotonic() - started < LONG


def test_a_peer_that_takes_a_little_now_and_then_is_left_at_the_deadline(ends: Ends) -> None:
    enough = threading.Event()

    def part(peer: socket.socket) -> None:
        while not enough.wait(SOON / 4):
            peer.recv(20_000)

    ends.play(part)
    with pytest.raises(TimedOut):
        ends.link.write(b"x" * 50_000_000, SOON, time.monotonic() + 4 * SOON)
    enough.set()
    ends.done()


def test_progress_renews_the_patience(ends: Ends) -> None:
    data = b"x" * 1_000_000
    got = []

    def part(peer: socket.socket) -> None:
        taken = 0
        while taken < len(data):
            threading.Event().wait(0.05)
            taken += len(peer.recv(100_000))
        got.append(taken)

    ends.play(part)
    ends.link.write(data, 0.4, later())  # all of it takes longer than that
    ends.done()
    assert got == [len(data)]


@pytest.mark.parametrize("wait", [-1.0, 0.0, SOON])
def test_silence_ends_at_the_deadline(ends: Ends, wait: float) -> None:
    with pytest.raises(TimedOut, match="does not answer"):
        ends.link.read(time.monotonic() + wait)


def test_what_has_come_is_read_even_after_the_deadline(ends: Ends) -> None:
    ends.peer.sendall(b"250 ok\r\n")
    assert ends.link.read(time.monotonic() - 5) == b"250 ok\r\n"


def test_the_end_of_the_connection_is_read_as_nothing(ends: Ends) -> None:
    ends.peer.sendall(b"221 bye\r\n")
    ends.peer.close()
    assert ends.link.read(later()) == b"221 bye\r\n"
    assert not ends.link.eof
    assert ends.link.read(later()) == b""
    assert ends.link.eof


def test_what_has_come_is_told_without_waiting(ends: Ends) -> None:
    assert ends.link.arrived() == b""
    ends.peer.sendall(b"421 bye\r\n")
    assert ends.link.arrived() == b"421 bye\r\n"
    assert not ends.link.eof
    ends.peer.close()
    assert ends.link.arrived() == b""
    assert ends.link.eof


def tcp_pair() -> tuple[Link, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        peer = server.accept()[0]
    ours.setblocking(False)
    return Link(ours, (socket.AF_INET, server_name(ours))), peer


def server_name(ours: socket.socket) -> tuple[str, int]:
    host, port = ours.getpeername()
    return host, port


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


def test_a_reset_is_a_lost_connection_whatever_is_done_next() -> None:
    ours, peer = tcp_pair()
    reset(peer)
    with pytest.raises(Lost, match="reset"):
        ours.read(later())
    with pytest.raises(Lost, match="while sending"):
        ours.write(b"x", LONG, later())
    ours.close()
    ours, peer = tcp_pair()
    reset(peer)
    assert ours.arrived() == b""
    assert ours.eof
    assert ours.read(later()) == b""
    ours.close()


def test_what_was_said_before_the_line_broke_can_still_be_had() -> None:
    ours, peer = tcp_pair()
    peer.sendall(b"552 too much\r\n")
    reset(peer)
    select.select([ours._socket], [], [], LONG)
    with pytest.raises(Lost):
        ours.write(b"x" * 100, LONG, later())
        ours.write(b"x" * 100, LONG, later())
    assert ours.drain() in (b"552 too much\r\n", b"")  # the kernel may have thrown it away with the reset
    ours.close()


def test_a_refusal_is_heard_although_the_peer_does_not_read_on(ends: Ends) -> None:
    ends.peer.sendall(b"552 too much\r\n")
    with pytest.raises(TimedOut):
        ends.link.write(b"x" * 2_000_000, SOON, later())
    assert ends.link.drain() == b"552 too much\r\n"


def test_an_end_while_writing_is_a_lost_connection(ends: Ends) -> None:
    ends.peer.shutdown(socket.SHUT_WR)
    with pytest.raises(Lost, match="while we were sending"):
        ends.link.write(b"x" * 2_000_000, LONG, later())


def test_a_socket_that_is_ready_without_reason_is_waited_for_again(ends: Ends) -> None:
    real = ends.link._poll

    class Hasty:
        def __init__(self) -> None:
            self.alarms = 3

        def modify(self, descriptor: int, events: int) -> None:
            real.modify(descriptor, events)

        def poll(self, timeout: float) -> list[tuple[int, int]]:
            self.alarms -= 1
            return [(0, select.POLLIN)] if self.alarms > 0 else real.poll(timeout)

    ends.link._poll = Hasty()  # type: ignore[assignment]

    def part(peer: socket.socket) -> None:
        read_all(peer, 2_000_000)
        peer.sendall(b"250 ok\r\n")

    ends.play(part)
    ends.link.write(b"x" * 2_000_000, LONG, later())
    assert ends.link.read(later()) == b"250 ok\r\n"


def test_a_connection_that_cannot_be_waited_for_is_lost(ends: Ends) -> None:
    class Short:
        def poll(self, timeout: float) -> list[tuple[int, int]]:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    ends.link._poll = Short()  # type: ignore[assignment]
    with pytest.raises(Lost, match="the connection cannot be waited for: Cannot allocate memory"):
        ends.link.read(later())


def test_closing_waits_for_nobody(ends: Ends) -> None:
    with pytest.raises(TimedOut):
        ends.link.write(b"x" * 2_000_000, 0.01, later())
    ends.link.close()
    ends.link.close()
