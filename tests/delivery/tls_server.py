"""The server's end of TLS in memory, and the dance of both ends."""

import ssl
import warnings

import pytest

from pysendmail.delivery.tls import TLS, TLSFailure
from tests.delivery.certificates import Identity, authority, issue

ROOT = authority()
GOOD = issue(ROOT, ip=("127.0.0.1", "::1"))
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Server:
    """Hold the server's end of one connection; its own failures are kept, since the client's are what is tested."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.end = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.done = False
        self.failure: ssl.SSLError | None = None

    def step(self) -> None:
        if not self.done and self.failure is None:
            try:
                self.end.do_handshake()
                self.done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self.failure = error

    def read(self, data: bytes) -> bytes:
        """Decrypt what the client sent."""
        self.incoming.write(data)
        pieces = []
        try:
            while piece := self.end.read(65536):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        return b"".join(pieces)

    def write(self, data: bytes) -> bytes:
        """Encrypt data and give the records."""
        view = memoryview(data)
        while view:
            view = view[self.end.write(view) :]
        return self.outgoing.read()


def server_context(
    identity: Identity, folder, version: ssl.TLSVersion | None = None, client_authority: str | None = None
) -> ssl.SSLContext:
    """Make a server's context; `client_authority` names the file of roots for client certificates, then required."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.write(folder / "server.pem"))
    if client_authority:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_authority)
    if version:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the old versions are just what is wanted here
            context.minimum_version = context.maximum_version = version
            if version < ssl.TLSVersion.TLSv1_2:
                context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def shake_hands(client: TLS, context: ssl.SSLContext, size: int = 0) -> Server:
    """Run the handshake to its end, with `size` octets at a time if given; what the client raises is raised."""
    server = Server(context)
    for _ in range(8):
        done = client.handshake()
        server.incoming.write(client.take())
        server.step()
        if done and server.done:
            return server
        data = server.outgoing.read()
        if not size:
            client.feed(data)
        for at in range(0, len(data) if size else 0, size or 1):
            client.feed(data[at : at + size])
            done = client.handshake()
    return server


def refusal(client: TLS, server: ssl.SSLContext) -> str:
    """Give the line with which the client refuses the server."""
    with pytest.raises(TLSFailure) as caught:
        shake_hands(client, server)
    assert caught.value.exit_code == 75
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return str(caught.value)
