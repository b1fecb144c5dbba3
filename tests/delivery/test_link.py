"""The seam to the network, over pairs of sockets: what is written and read, how long it waits, and how it ends."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pysendmail import errors
from pysendmail.delivery import interruption, link
from pysendmail.delivery.link import Link, Lost, TimedOut
from pysendmail.delivery.tls import TLS, Context, TLSFailure
from tests.delivery.tls_server import GOOD, VERSIONS, Server, server_context

SOON = 0.15
LONG = 10.0


def soon() -> float:
    return time.monotonic() + SOON


def later() -> float:
    return time.monotonic() + LONG


class Ends:
    """Our link, and the socket at its other end, whose part may be played by a thread."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        self.peer.settimeout(LONG)
        self.link = Link(ours, (socket.AF_INET6, ("fe80::1%eth0", 25, 0, 2)))
        self._threads: list[threading.Thread] = []

    def play(self, part: Callable[[socket.socket], object]) -> None:
        self._threads.append(threading.Thread(target=part, args=(self.peer,), daemon=True))
        self._threads[-1].start()

    def done(self) -> None:
        """Wait until every part is played."""
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    monkeypatch.setattr(interruption, "_state", interruption._State())
    both = Ends()
    yield both
    both.link.close()
    both.peer.close()


def read_all(peer: socket.socket, size: int, at_a_time: int = 65536) -> bytes:
    data = b""
    while len(data) < size and (piece := peer.recv(at_a_time)):
        data += piece
    return data


# In clear


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
    with pytest.raises(TimedOut, match="does not take"):
        ends.link.write(b"x" * 2_000_000, SOON, later())


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


def test_closing_waits_for_nobody(ends: Ends) -> None:
    with pytest.raises(TimedOut):
        ends.link.write(b"x" * 2_000_000, 0.01, later())
    ends.link.close()
    ends.link.close()


# Under TLS


def shake(ends: Ends, trusting: Context, server: ssl.SSLContext, then: Callable[[ssl.SSLSocket], object]) -> None:
    """Bring both ends to TLS, with a real server at the other, which then plays its part."""

    def part(peer: socket.socket) -> None:
        try:
            with server.wrap_socket(peer, server_side=True) as end:
                then(end)
        except OSError:
            pass  # the link's view of it is what counts

    ends.play(part)
    ends.link.start_tls(TLS(trusting, "mail.example"), later())


@pytest.mark.parametrize("version", VERSIONS)
def test_under_tls_all_of_it_arrives_both_ways_at_once(
    ends: Ends, trusting: Context, tmp_path, version: ssl.TLSVersion
) -> None:
    ours, theirs = b"m" * 1_000_000, b"250 ok\r\n" * 50_000
    got = []

    def part(end: ssl.SSLSocket) -> None:
        end.sendall(theirs)
        got.append(read_all(end, len(ours)))
        end.sendall(b"250 kept\r\n")

    shake(ends, trusting, server_context(GOOD, tmp_path, version), part)
    ends.link.write(ours, LONG, later())
    heard = ends.link.arrived()
    while not heard.endswith(b"kept\r\n"):
        heard += ends.link.read(later())
    ends.done()
    assert heard == theirs + b"250 kept\r\n"
    assert got == [ours]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_comes_together_with_the_end_of_the_handshake_is_not_waited_for_again(
    ends: Ends, trusting: Context, tmp_path, version: ssl.TLSVersion
) -> None:
    """Where the server has the last word of the handshake, its greeting may stand in the same packet."""
    server = Server(server_context(GOOD, tmp_path, version))

    def part(peer: socket.socket) -> None:
        greeting = b""
        while not server.done:
            server.incoming.write(peer.recv(65536))
            server.step()
            if server.done:
                greeting = server.write(b"220 mx.test\r\n")
            peer.sendall(server.outgoing.read() + greeting)

    ends.play(part)
    ends.link.start_tls(TLS(trusting, "mail.example"), later())
    ends.done()
    assert ends.link.read(soon()) == b"220 mx.test\r\n"


def test_data_ahead_of_the_handshake_is_an_injection(ends: Ends, trusting: Context) -> None:
    ends.link._keep(b"250-fake\r\n")
    with pytest.raises(errors.TempFail, match="injection"):
        ends.link.start_tls(TLS(trusting, "mail.example"), soon())
    assert ends.link.tls is None


def test_clear_text_in_place_of_the_handshake_is_no_tls(ends: Ends, trusting: Context) -> None:
    ends.peer.sendall(b"250 fake\r\n")
    with pytest.raises(TLSFailure):
        ends.link.start_tls(TLS(trusting, "mail.example"), soon())
    assert ends.link.tls is None


@pytest.mark.parametrize(("end", "text"), [(True, "closed the connection during the TLS"), (False, "in time")])
def test_a_handshake_that_gets_no_answer_ends(ends: Ends, trusting: Context, end: bool, text: str) -> None:
    def part(peer: socket.socket) -> None:
        peer.recv(10_000)
        peer.shutdown(socket.SHUT_RDWR)

    if end:
        ends.play(part)
    with pytest.raises(errors.TempFail, match=text):
        ends.link.start_tls(TLS(trusting, "mail.example"), soon())


def test_a_handshake_that_drips_ends_at_its_deadline(ends: Ends, trusting: Context) -> None:
    enough = threading.Event()

    def part(peer: socket.socket) -> None:
        peer.recv(10_000)
        for octet in b"\x16\x03\x03\x40\x00" + bytes(5000):
            if enough.wait(SOON / 5):
                break
            peer.send(bytes([octet]))

    ends.play(part)
    with pytest.raises(TimedOut):
        ends.link.start_tls(TLS(trusting, "mail.example"), time.monotonic() + 2 * SOON)
    enough.set()


def test_the_refused_server_is_told_why(ends: Ends, trusting: Context, tmp_path) -> None:
    server = Server(server_context(GOOD, tmp_path))

    def part(peer: socket.socket) -> None:
        while server.failure is None and (data := peer.recv(65536)):
            server.incoming.write(data)
            server.step()
            peer.sendall(server.outgoing.read())

    ends.play(part)
    with pytest.raises(TLSFailure, match="not for other.example"):
        ends.link.start_tls(TLS(trusting, "other.example"), later())
    ends.done()
    assert "alert" in str(server.failure).lower()


def test_a_record_that_is_forged_ends_the_connection_but_what_came_before_it_counts(
    ends: Ends, trusting: Context, tmp_path
) -> None:
    def part(end: ssl.SSLSocket) -> None:
        end.sendall(b"250 kept\r\n")
        socket.socket.send(end, b"\x17\x03\x03\x00\x20" + bytes(32))
        end.recv(1)

    shake(ends, trusting, server_context(GOOD, tmp_path), part)
    heard = b""
    with pytest.raises(TLSFailure):
        while True:
            heard += ends.link.read(later())
    assert heard == b"250 kept\r\n"
    with pytest.raises(TLSFailure):
        ends.link.write(b"x", LONG, later())


def test_the_end_of_tls_is_the_end_although_the_socket_stays_open(ends: Ends, trusting: Context, tmp_path) -> None:
    heard = threading.Event()

    def part(end: ssl.SSLSocket) -> None:
        end.sendall(b"421 bye\r\n")
        end.settimeout(SOON)
        try:
            end.unwrap()
        except OSError:
            pass
        heard.wait(LONG)

    shake(ends, trusting, server_context(GOOD, tmp_path), part)
    text = b""
    while piece := ends.link.read(later()):
        text += piece
    assert text == b"421 bye\r\n"
    assert ends.link.eof
    heard.set()


def test_closing_says_so_under_tls(ends: Ends, trusting: Context, tmp_path) -> None:
    ended = []
    shake(ends, trusting, server_context(GOOD, tmp_path), lambda end: ended.append(end.recv(100)))
    ends.link.close()
    ends.done()
    assert ended == [b""]  # a cut connection would have raised


class Empty:
    """A TLS layer whose records have no content; `answer` is what it has to say to each."""

    eof = False

    def __init__(self, content: bytes = b"", answer: bytes = b"") -> None:
        self._content = content
        self._answer = answer

    def feed(self, data: bytes) -> None:
        pass

    def read(self, size: int) -> bytes:
        content, self._content = self._content, b""
        return content

    def take(self) -> bytes:
        return self._answer

    def close(self) -> None:
        pass


def test_records_without_content_do_not_outlast_the_deadline(ends: Ends) -> None:
    """They come so fast that nothing ever has to be waited for."""

    class Torrent:
        left = 3_000_000

        def recv(self, size: int) -> bytes:
            self.left -= 1
            assert self.left
            return b"record"

    real, ends.link._socket = ends.link._socket, Torrent()  # type: ignore[assignment]
    ends.link.tls = Empty()  # type: ignore[assignment]
    with pytest.raises(TimedOut):
        ends.link.read(soon())
    ends.link._socket = real


def test_an_answer_of_the_tls_layer_that_nobody_takes_does_not_hide_what_was_said(ends: Ends) -> None:
    ends.peer.sendall(b"record")
    ends.peer.shutdown(socket.SHUT_RD)  # so that nothing can be sent to it
    ends.link.tls = Empty(b"250 kept\r\n", b"key update")  # type: ignore[assignment]
    assert ends.link.read(later()) == b"250 kept\r\n"
    with pytest.raises(Lost):
        ends.link.read(later())
