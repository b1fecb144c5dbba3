"""What the tests of pysendmail configure share: who configures, with a home, a smarthost and its authority."""

import json
import pathlib
import subprocess
from typing import Any

import pytest

from tests.command.conftest import make_identities
from tests.conftest import Installed
from tests.obedient import Obedient

LIMIT = 90
SECRET = 'gänz "geheim# '
Done = subprocess.CompletedProcess


class Configurer:
    """Run the installed command without a terminal, for a user with an empty home."""

    def __init__(self, installed: Installed, home: pathlib.Path, identities: dict[str, str]) -> None:
        self.installed = installed
        self.command = str(installed.prefix / "bin" / "pysendmail")
        self.home = home
        self.ca = identities["ca"]
        self.path = home / "conf" / "pysendmail.conf"
        self.environ = {"HOME": str(home), "PATH": "/usr/bin:/bin", "TZ": "UTC"}

    def arguments(self, server: Obedient | None) -> list[str]:
        """Give the options that lead to the smarthost."""
        found = ["configure", "--yes", "--file", str(self.path), "--password-file", "-", "--tls-trust-file", self.ca]
        if server is not None:
            found += ["--host", "localhost", "--port", str(server.port), "--tls", "starttls"]
        return found

    def run(
        self, *arguments: str, server: Obedient | None = None, password: str = SECRET, **more: Any
    ) -> "Done[str]":
        words = more.pop("words", None) or [self.command, *self.arguments(server), *arguments]
        done = subprocess.run(
            words, input=password + "\n", env=self.environ | more.pop("environ", {}), capture_output=True, text=True,
            timeout=LIMIT, start_new_session=True, check=False, **more,
        )  # fmt: skip
        assert "Traceback" not in done.stderr and "internal error" not in done.stderr
        assert len(password) < 5 or password not in done.stdout + done.stderr
        return done

    def good(self, *arguments: str, **more: Any) -> str:
        """Run it where it has to work; return what it prints."""
        done = self.run(*arguments, **more)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def refuse(self, code: int, *arguments: str, **more: Any) -> str:
        """Run it where it has to end with one line and this code; return the line. Nothing is left behind."""
        before = self.left()
        done = self.run(*arguments, **more)
        assert done.returncode == code, done.stdout + done.stderr
        line = done.stderr
        assert line.startswith("pysendmail: ") and line.count("\n") == 1, line
        assert self.left() == before
        return line

    def object(self, *arguments: str, code: int = 0, **more: Any) -> dict[str, Any]:
        """Run it with --json; return the object."""
        done = self.run("--json", *arguments, **more)
        assert done.returncode == code, done.stdout + done.stderr
        assert done.stdout.count("\n") == 1
        found: dict[str, Any] = json.loads(done.stdout)
        assert found["code"] == code
        return found

    def left(self) -> dict[str, bytes]:
        """Give every file below the home with its content."""
        return {str(path): path.read_bytes() for path in self.home.rglob("*") if path.is_file() and not path.is_symlink()}

    @property
    def words(self) -> list[str]:
        """The lines of the file without comments and blank ones."""
        lines = self.path.read_text().split("\n")
        return [line for line in lines if line.strip() and not line.startswith("#")]

    def sends(self, server: Obedient, *arguments: str) -> None:
        """Send a message by the file."""
        before = len(server.deliveries)
        words = [self.installed.sendmail, "-C", str(self.path), *arguments, "bob@example.net"]
        done = subprocess.run(words, input="hi\n", env=self.environ, capture_output=True, text=True, timeout=LIMIT, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(server.deliveries) == before + 1


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make_identities(tmp_path_factory.mktemp("identities"))


@pytest.fixture
def who(installed: Installed, tmp_path: pathlib.Path, identities: dict[str, str]) -> Configurer:
    return Configurer(installed, tmp_path, identities)
