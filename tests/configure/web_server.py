"""An HTTPS server on loopback that answers what a test says, and the means to have our fetching go there."""

import contextlib
import pathlib
import socket
from collections.abc import Callable, Iterator, Mapping

import pytest

from pysendmail.command.configure import web
from tests.delivery import certificates
from tests.scripted import Peer, ScriptedServer

Answer = bytes | Callable[[Peer], None]


class Web(ScriptedServer):
    """Answer each path with what stands in `pages`, where it stands without host also for any; and remember the requests."""

    def __init__(self, identities: dict[str, str], pages: Mapping[str, Answer], port: int = 0) -> None:
        super().__init__(self._answer, identities, port=port)
        self.pages = dict(pages)
        self.requests: list[str] = []

    def _answer(self, peer: Peer) -> None:
        peer.tls()
        lines = []
        while line := peer.hear():
            lines.append(line.decode())
        path = lines[0].split(" ")[1]
        host = next(line[6:] for line in lines if line.lower().startswith("host: "))
        self.requests.append(f"https://{host}{path}")
        bare = path.partition("?")[0]
        answer = self.pages.get(host + bare, self.pages.get(bare, b"HTTP/1.1 404 Not Found\r\n\r\nnothing"))
        if callable(answer):
            answer(peer)
        else:
            peer.send(answer)
        peer.hang_up()


def page(body: bytes | str, kind: str = "text/xml") -> bytes:
    """Make an answer of success."""
    data = body.encode() if isinstance(body, str) else body
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def redirect(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@contextlib.contextmanager
def serving(
    folder: pathlib.Path, patch: pytest.MonkeyPatch, names: tuple[str, ...], pages: Mapping[str, Answer]
) -> Iterator[Web]:
    """Run the server with a certificate for these names; every host name leads there while it runs."""
    root = certificates.authority("Web Root")
    (folder / "web-ca.pem").write_bytes(root.pem)
    identities = {"good": certificates.issue(root, names).write(folder / "web.pem")}
    with Web(identities, pages) as server:
        patch.setattr(web, "_TRUST", str(folder / "web-ca.pem"))
        patch.setattr(web, "addresses", lambda host, port, deadline: [(socket.AF_INET, ("127.0.0.1", server.port))])
        yield server
