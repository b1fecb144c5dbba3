"""Where credentials come from, and in what order."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pysendmail
from pysendmail import errors
from pysendmail.config import credentials, prompt
from pysendmail.smtp.sasl import Credentials


class Account:
    """Stand in for a configured account."""

    def __init__(self, **words: object) -> None:
        self.name = "work"
        self.auth: bool | bytes = True
        self.user: bytes | None = b"tim"
        self.password: bytes | None = None
        self.passwordeval: bytes | None = None
        self.host = "smtp.example.com"
        self.port = 587
        self.tls_cert_file: str | None = None
        for word, value in words.items():
            setattr(self, word, value)

    def place_of(self, word: str) -> str:
        return f"/etc/file:{word}"


class Surroundings:
    """A home, a system netrc and a folder of credentials, all empty at first."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.directory = folder / "credentials"
        self.system_netrc = folder / "netrc"
        self.home.mkdir()
        self.directory.mkdir()

    def put(self, path: Path, text: bytes) -> None:
        path.write_bytes(text)
        path.chmod(0o600)

    def netrc(self, secret: bytes, path: Path | None = None, login: bytes = b"tim") -> None:
        self.put(path or self.home / ".netrc", b"machine smtp.example.com login %b password %b\n" % (login, secret))

    def find(self, *, tty: bool = False, **words: Any) -> Credentials | None:
        environ = {"CREDENTIALS_DIRECTORY": str(self.directory), "PATH": os.environ.get("PATH", os.defpath)}
        return credentials.find(
            Account(**words), home=str(self.home), environ=environ, tty=tty, system_netrc=str(self.system_netrc)
        )

    def secret(self, **words: Any) -> bytes:
        found = self.find(**words)
        assert found is not None
        return found.secret


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(tmp_path)


@pytest.fixture(autouse=True)
def nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(question: str) -> bytes:
        raise AssertionError("the terminal was asked")

    monkeypatch.setattr(prompt, "ask", ask)


def test_each_source_is_asked_in_its_turn(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    around.netrc(b"from-netrc")
    around.netrc(b"from-system-netrc", around.system_netrc)
    around.put(around.directory / "pysendmail.work", b"from-account-credential\n")
    around.put(around.directory / "pysendmail.password", b"from-credential\n")
    command = b"echo from-command"
    assert around.secret(password=b"from-file", passwordeval=b"exit 1", tty=True) == b"from-file"
    assert around.secret(passwordeval=command, tty=True) == b"from-command"
    assert around.secret(tty=True) == b"from-account-credential"
    (around.directory / "pysendmail.work").unlink()
    assert around.secret(tty=True) == b"from-credential"
    (around.directory / "pysendmail.password").unlink()
    assert around.secret(tty=True) == b"from-netrc"
    (around.home / ".netrc").unlink()
    assert around.secret(tty=True) == b"from-system-netrc"
    around.system_netrc.unlink()
    monkeypatch.setattr(prompt, "ask", lambda question: b"typed")
    assert around.secret(tty=True) == b"typed"


def test_nothing_found_says_what_to_do(around: Surroundings) -> None:
    with pytest.raises(errors.ConfigError, match="no password for this user: add passwordeval") as caught:
        around.find()
    assert caught.value.place == "/etc/file:user"
    assert "tim" not in str(caught.value)


def test_the_question_names_user_and_host_without_controls(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []

    def ask(question: str) -> bytes:
        questions.append(question)
        return b"typed"

    monkeypatch.setattr(prompt, "ask", ask)
    assert around.secret(tty=True, user=b"tim\x1b[2J") == b"typed"
    assert questions == ["password for tim?[2J at smtp.example.com: "]


@pytest.mark.parametrize("typed", [None, b""])
def test_a_question_without_an_answer_is_a_missing_password(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch, typed: bytes | None
) -> None:
    monkeypatch.setattr(prompt, "ask", lambda question: typed)
    with pytest.raises(errors.ConfigError, match="no password"):
        around.find(tty=True)


def test_no_login_needs_no_password(around: Surroundings) -> None:
    assert around.find(auth=False, passwordeval=b"exit 1") is None


def test_an_empty_password_in_the_file_is_a_password(around: Surroundings) -> None:
    around.netrc(b"other")
    assert around.secret(password=b"") == b""


def test_octets_of_user_and_password_stay_as_they_are(around: Surroundings) -> None:
    found = around.find(user=b"t\xefm", password=b"p\xe4ss")
    assert found is not None
    assert (found.user, found.secret, found.authzid) == (b"t\xefm", b"p\xe4ss", b"")


def test_a_failing_command_is_not_replaced_by_another_source(around: Surroundings) -> None:
    around.netrc(b"from-netrc")
    with pytest.raises(errors.TempFail, match="/etc/file:passwordeval: the passwordeval command failed"):
        around.find(passwordeval=b"exit 1")


def test_a_missing_user_may_stand_in_netrc_and_is_an_error_otherwise(around: Surroundings) -> None:
    with pytest.raises(errors.ConfigError, match="/etc/file:auth: .*no user"):
        around.find(user=None, password=b"x")
    with pytest.raises(errors.ConfigError, match="no user"):
        around.find(user=None, tty=True)
    around.netrc(b"secret", login=b"tom")
    found = around.find(user=None)
    assert found is not None
    assert (found.user, found.secret) == (b"tom", b"secret")


def test_external_asks_for_no_password(around: Surroundings) -> None:
    found = around.find(auth=b"EXTERNAL", passwordeval=b"exit 1", tty=True)
    assert found is not None
    assert (found.user, found.secret) == (b"tim", b"")
    found = around.find(auth=b"EXTERNAL", user=None)
    assert found is not None
    assert found.user == b""


def test_a_client_certificate_stands_for_a_password_that_is_nowhere(around: Surroundings) -> None:
    assert around.secret(tls_cert_file="/c.pem", tty=True) == b""
    with pytest.raises(errors.ConfigError, match="no password"):
        around.find(tls_cert_file="/c.pem", auth=b"PLAIN")
    around.netrc(b"from-netrc")
    assert around.secret(tls_cert_file="/c.pem") == b"from-netrc"


def test_a_token_without_a_user_is_enough_for_oauthbearer(around: Surroundings) -> None:
    assert around.secret(auth=b"OAUTHBEARER", user=None, password=b"token") == b"token"


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"secret", b"secret"), (b"secret\r\nmore\n", b"secret"), (b" p\xe4 \n", b" p\xe4 ")],
)
def test_the_first_line_of_a_credential_is_the_password(around: Surroundings, content: bytes, secret: bytes) -> None:
    around.put(around.directory / "pysendmail.password", content)
    assert around.secret() == secret


def test_secrets_of_other_programs_in_the_folder_are_never_taken(around: Surroundings) -> None:
    for name in ("password", "work", "tim", "smtp.example.com", "pysendmail", "pysendmail.other"):
        around.put(around.directory / name, b"not ours")
    around.put(around.directory / "pysendmail.password", b"\n")
    with pytest.raises(errors.ConfigError, match="no password"):
        around.find()


def test_an_account_name_cannot_lead_out_of_the_folder(around: Surroundings) -> None:
    (around.directory / "pysendmail.x").mkdir()
    around.put(around.directory / "other", b"outside")
    with pytest.raises(errors.ConfigError, match="no password"):
        around.find(name="x/../other")


def test_without_home_and_folder_the_system_netrc_is_left(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    around.netrc(b"system", around.system_netrc)
    (around.home / "relative").mkdir()
    around.put(around.home / "relative" / "pysendmail.password", b"of whoever may write here")
    monkeypatch.chdir(around.home)
    for environ in ({}, {"CREDENTIALS_DIRECTORY": ""}, {"CREDENTIALS_DIRECTORY": "relative"}):
        found = credentials.find(
            Account(), home=None, environ=environ, tty=False, system_netrc=str(around.system_netrc)
        )
        assert found is not None
        assert found.secret == b"system"


def test_a_readable_netrc_is_refused(around: Surroundings) -> None:
    around.netrc(b"secret")
    (around.home / ".netrc").chmod(0o644)
    with pytest.raises(errors.ConfigError, match="chmod 600"):
        around.find()


def test_a_password_in_the_file_costs_no_import() -> None:
    program = f"""import sys; sys.path.insert(0, {str(Path(pysendmail.__file__).parents[1])!r})
from pysendmail.config import credentials
class Account:
    name = host = "x"; auth = True; user = b"u"; password = b"p"; passwordeval = tls_cert_file = None; port = 25
assert credentials.find(Account(), home="/", environ={{}}, tty=True).secret == b"p"
for name in ("termios", "signal", "re", "enum", "pysendmail.config.netrc", "pysendmail.config.passwordeval",
             "pysendmail.config.prompt", "pysendmail.config.secretfile"):
    assert name not in sys.modules, name"""
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)
