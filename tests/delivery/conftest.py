"""What the tests of TLS and of whole sessions share."""

import socket
from collections.abc import Callable, Iterator

import pytest

from pysendmail.delivery import interruption, session, tls_context
from pysendmail.delivery.session import Route
from pysendmail.delivery.tls import TLS, Context, TLSSettings, context
from pysendmail.smtp.sasl import Credentials
from tests.delivery import memory
from tests.delivery.certificates import issue
from tests.delivery.ends import Ends
from tests.delivery.tls_server import GOOD, ROOT, Server, server_context, shake_hands
from tests.scripted import Script, ScriptedServer

SECRET = b"c0rrect-horse"
Serve = Callable[..., list[ScriptedServer]]
MakeRoute = Callable[..., Route]


@pytest.fixture(autouse=True)
def _no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test know of the signals of another."""
    monkeypatch.setattr(interruption, "_state", interruption._State())


@pytest.fixture(params=["direct", "public"])
def binding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test on `_ssl` as well as on the public module that is its stand-in."""
    if request.param == "public":
        monkeypatch.setattr(tls_context, "_DIRECT", False)
    assert tls_context._DIRECT is (request.param == "direct")
    return str(request.param)


@pytest.fixture
def root(tmp_path) -> str:
    """Name a file that holds the good root."""
    path = tmp_path / "root.pem"
    path.write_bytes(ROOT.pem)
    return str(path)


@pytest.fixture
def trusting(root: str) -> Context:
    """Trust the good root, for mail.example."""
    return context(TLSSettings(trust=root, host="mail.example"))


@pytest.fixture
def connected(trusting: Context, tmp_path) -> tuple[TLS, Server]:
    """Give both ends of a good connection."""
    client = TLS(trusting)
    return client, shake_hands(client, server_context(GOOD, tmp_path))


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Give a link with its other end, and close both."""
    both = Ends()
    yield both
    both.link.close()
    both.peer.close()


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write the certificates of mail.example and of a stranger, and that of the authority as "ca"."""
    folder = tmp_path_factory.mktemp("identities")
    (folder / "ca.pem").write_bytes(ROOT.pem)
    stranger = issue(ROOT, ("other.example",)).write(folder / "stranger.pem")
    return {"good": GOOD.write(folder / "good.pem"), "stranger": stranger, "ca": str(folder / "ca.pem")}


@pytest.fixture
def serve(identities: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a server for each script; they are the addresses of mail.example, in this order."""
    running: list[ScriptedServer] = []

    def start(*scripts: Script) -> list[ScriptedServer]:
        for number, script in enumerate(scripts, 1):
            running.append(ScriptedServer(script, identities, f"127.0.0.{number}").__enter__())
        found = [(socket.AF_INET, server.listener.getsockname()) for server in running]
        monkeypatch.setattr(session, "addresses", lambda host, port, deadline: list(found))
        return running

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture
def route(identities: dict[str, str]) -> MakeRoute:
    """Give what makes a route to mail.example, with a login unless one says otherwise."""

    def make(credentials: Credentials | None = Credentials(b"user", SECRET), **words: object) -> Route:  # noqa: B008
        settings = {"host": "mail.example", "tls": "on", "tls_trust_file": identities["ca"], "timeout": 5, **words}
        return memory.route(settings, credentials)

    return make
