"""Resumption of TLS sessions."""

import hashlib
import socket
import ssl
import threading

import pytest

from pysendmail.delivery.tls import TLS, TLSSettings, context
from tests.delivery.tls_server import GOOD, VERSIONS, refusal, server_context, shake_hands

pytestmark = pytest.mark.usefixtures("binding")


class Loopback:
    """A server on a real socket that greets, reads to the end, and counts resumed handshakes."""

    def __init__(self, server: ssl.SSLContext, connections: int) -> None:
        self.reused: list[bool | None] = []
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve, args=(connections,))
        self._thread.start()

    def _serve(self, connections: int) -> None:
        for _ in range(connections):
            plain, _ = self._listener.accept()
            plain.settimeout(10)
            try:
                with self._server.wrap_socket(plain, server_side=True) as end:
                    end.sendall(b"220 ready\r\n")
                    while end.recv(1000):
                        pass
                    self.reused.append(end.session_reused)
            except OSError:
                self.reused.append(None)

    def finish(self) -> list[bool | None]:
        self._thread.join(20)
        self._listener.close()
        return self.reused


def visit(address, client: TLS) -> None:
    with socket.create_connection(address, 10) as link:
        while not client.handshake():
            link.sendall(client.take())
            client.feed(link.recv(65536))
        greeting = b""
        while b"\n" not in greeting:
            link.sendall(client.take())
            client.feed(link.recv(65536))
            greeting += client.read()
        assert greeting == b"220 ready\r\n"
        client.close()
        link.sendall(client.take())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed_by_a_real_server(trusting, tmp_path, version):
    loopback = Loopback(server_context(GOOD, tmp_path, version), 3)
    first = TLS(trusting)
    visit(loopback.address, first)
    second = TLS(trusting, session=first.session)
    visit(loopback.address, second)
    third = TLS(trusting)
    visit(loopback.address, third)
    assert loopback.finish() == [False, True, False]
    assert (first.resumed, second.resumed, third.resumed) == (False, True, False)
    assert second.peer_certificate == GOOD.der
    assert second.channel_binding("tls-server-end-point") == first.channel_binding("tls-server-end-point")


def test_a_session_is_there_once_the_ticket_has_come(connected):
    client, server = connected
    assert client.session is None
    client.feed(server.write(b"220 ready\r\n"))
    client.read()
    assert client.session is not None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_of_another_name_or_context_is_left_unused(trusting, root, tmp_path, version):
    server = server_context(GOOD, tmp_path, version)
    first = TLS(trusting)
    first.feed(shake_hands(first, server).write(b"220 ready\r\n"))
    first.read()
    assert first.session is not None
    again = TLS(trusting, session=first.session)
    assert shake_hands(again, server).end.session_reused
    assert "not for other.example" in refusal(TLS(trusting, "other.example", first.session), server)
    stranger = TLS(context(TLSSettings(trust=root, host="mail.example")), session=first.session)
    assert not shake_hands(stranger, server).end.session_reused


def test_a_resumed_session_is_still_held_against_the_pin(tmp_path):
    server = server_context(GOOD, tmp_path)
    kept = context(TLSSettings(fingerprint=hashlib.sha256(GOOD.der).hexdigest(), host="mail.example"))
    first = TLS(kept)
    first.feed(shake_hands(first, server).write(b"220 ready\r\n"))
    first.read()
    second = TLS(kept, session=first.session)
    assert shake_hands(second, server).end.session_reused
    assert kept.pins is not None
    kept.pins._wanted.clear()
    assert "tls_fingerprint" in refusal(TLS(kept, session=first.session), server)
