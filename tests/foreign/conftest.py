"""What the tests of other programs' configuration share."""

import hashlib
import pathlib
import ssl

import pytest

from tests.command.conftest import make_identities
from tests.foreign.place import Place


@pytest.fixture()
def place(tmp_path: pathlib.Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make_identities(tmp_path_factory.mktemp("identities"))


@pytest.fixture(scope="session")
def pin(identities: dict[str, str]) -> str:
    """Give the fingerprint of the server's certificate."""
    pem = pathlib.Path(identities["good"]).read_text()
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    first = pem[pem.index(begin) : pem.index(end) + len(end)]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest().upper()
