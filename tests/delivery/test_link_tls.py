"""The seam to the network under TLS: handshakes, records, and ends."""

import socket
import ssl
import threading
import time
from collections.abc import Callable

import pytest

from pysendmail import errors
from pysendmail.delivery.link import Lost, TimedOut
from pysendmail.delivery.tls import TLS, Context, TLSFailure
from tests.delivery.ends import LONG, SOON, Ends, later, read_all, soon
from tests.delivery.tls_server import GOOD, VERSIONS, Server, server_context


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


@pytest.mark.parametrize("waiting", [True, False])
def test_the_end_of_tls_is_the_end_although_the_socket_stays_open(
    ends: Ends, trusting: Context, tmp_path, waiting: bool
) -> None:
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
    if waiting:
        while piece := ends.link.read(later()):
            text += piece
    else:
        time.sleep(SOON)
        text = ends.link.arrived()
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

    eof = broken = False

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
