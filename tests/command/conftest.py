"""What the tests of the installed command share: a smarthost, and somebody who calls."""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from tests.command.caller import Caller
from tests.conftest import Installed, everybodys_python, make_install
from tests.delivery import certificates
from tests.obedient import Obedient


@pytest.fixture
def server() -> Iterator[Obedient]:
    """Run a smarthost in clear that offers everything and takes everything; a test may change what it answers."""
    with Obedient() as running:
        yield running


@pytest.fixture
def caller(installed: Installed, server: Obedient, tmp_path: pathlib.Path) -> Caller:
    """Give a caller whose configuration leads to the smarthost."""
    return Caller(installed.sendmail, tmp_path, server)


@pytest.fixture(scope="session")
def public() -> Iterator[Installed]:
    """Install the command, and an empty folder `home`, where every user of the machine can reach it."""
    folder = tempfile.mkdtemp(prefix="pysendmail-tests-")
    os.chmod(folder, 0o755)
    try:
        python = everybodys_python()
        make_install(folder, python=python)
        yield Installed(pathlib.Path(folder), python)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give what make_identities writes."""
    return make_identities(tmp_path_factory.mktemp("identities"))


def make_identities(folder: pathlib.Path) -> dict[str, str]:
    """Write a server's key and certificate, and the certificate of their authority."""
    ca = certificates.issue(common_name="the authority", authority=True)
    (folder / "ca.crt").write_bytes(ca.pem)
    good = certificates.issue(ca, ("localhost",), ("127.0.0.1",))
    return {"good": good.write(folder / "good.pem"), "ca": str(folder / "ca.crt")}
