"""What the tests of TLS share."""

import pytest

from pysendmail.delivery import tls_context
from pysendmail.delivery.tls import TLS, Context, TLSSettings, context
from tests.delivery.tls_server import GOOD, ROOT, Server, server_context, shake_hands


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
