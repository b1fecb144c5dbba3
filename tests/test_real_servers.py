"""The installed command delivers through Postfix, Exim, OpenSMTPD and Dovecot, and what arrives is what was sent."""

import base64
import dataclasses
import email
import email.policy
import pathlib
import subprocess
from collections.abc import Iterator

import pytest

from tests import servers
from tests.conftest import Installed, skip
from tests.servers import PASSWORD, REFUSED, USER, Arrived, Server
from tests.servers.dovecot import Dovecot
from tests.servers.exim import Exim
from tests.servers.opensmtpd import OpenSMTPD
from tests.servers.postfix import Postfix
from tests.smarthost import Authority, make_authority

pytestmark = pytest.mark.servers

SENDER = "alice@example.net"
HEADER = (
    b"From: Alice <alice@example.net>\n"
    b"To: Bob <bob@example.org>\n"
    b"Subject: folded\n\tand  spaced \n"
    b"Date: Mon, 02 Nov 2026 10:00:00 +0100\n"
    b"Message-ID: <one@example.net>\n"
)
MIME = b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
BLOB = base64.encodebytes(bytes(range(256)) * 3000)
ATTACHMENT = (
    b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="=_b"\n\n'
    b"--=_b\nContent-Type: text/plain\n\nSee there.\n"
    b"--=_b\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n" + BLOB + b"--=_b--\n"
)
CROWD = [f"user{number}@example.org" for number in range(40)]


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of the command: its arguments, its input, and what has to arrive for whom (None: the input as it is)."""

    arguments: list[str]
    text: bytes
    recipients: tuple[str, ...] = ("bob@example.org",)
    arrives: bytes | None = None


CASES = {
    "plain": Case(["-i", "bob@example.org"], HEADER + b"\nHello Bob.\n"),
    "hidden recipients": Case(
        ["-i", "-t"],
        HEADER + b"Cc: carol@example.com\nBcc: dave@example.com,\n  erin@example.org\nX-Last: 1\n\nHello all.\n",
        ("bob@example.org", "carol@example.com", "dave@example.com", "erin@example.org"),
        HEADER + b"Cc: carol@example.com\nX-Last: 1\n\nHello all.\n",
    ),
    "many recipients": Case(["-i", "--", *CROWD], HEADER + b"\nHello crowd.\n", tuple(sorted(CROWD))),
    "UTF-8": Case(["-i", "bob@example.org"], HEADER + MIME + "\nGrüße, Čeština, 日本語, 🙂\n".encode()),
    "dots": Case(["-i", "bob@example.org"], HEADER + b"\n.\n..\n...\n.x\nx.\n\n.\n.\n"),
    "lines like those of a mailbox file": Case(
        ["-i", "bob@example.org"], HEADER + b"\nFrom here\n>From there\n\nFrom alice@example.net Mon Nov  2\n"
    ),
    "blanks and empty lines": Case(["-i", "bob@example.org"], HEADER + b"\n\n\n  indented \t \n\ntrailing  \n\n\n"),
    "the longest line": Case(["-i", "bob@example.org"], HEADER + b"\n" + b"x" * 998 + b"\n." + b"y" * 996 + b"\n"),
    "CRLF": Case(
        ["-i", "bob@example.org"],
        (HEADER + b"\nHello\n\n.\nBob\n").replace(b"\n", b"\r\n"),
        arrives=HEADER + b"\nHello\n\n.\nBob\n",
    ),
    "no last line end": Case(["-i", "bob@example.org"], HEADER + b"\nHello", arrives=HEADER + b"\nHello\n"),
    "an attachment of 1 MB": Case(["-i", "bob@example.org"], HEADER + ATTACHMENT),
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module", params=[Postfix, Exim, OpenSMTPD, Dovecot], ids=lambda kind: kind.name)
def server(
    request: pytest.FixtureRequest, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    kind = request.param
    reason = servers.missing(kind.name)
    if reason is not None:
        skip(reason)
    running = kind(tmp_path_factory.mktemp(kind.name), authority)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(params=["starttls", "implicit"])
def implicit(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "implicit")


@dataclasses.dataclass
class Sender:
    """The installed command with a configuration of its own in `folder`."""

    installed: Installed
    folder: pathlib.Path

    def configure(self, server: Server, implicit: bool, **changes: str) -> None:
        """Write the configuration for a server; `changes` replace or add words."""
        words = {
            "host": "localhost",
            "port": str(server.tls_port if implicit else server.starttls_port),
            "tls_starttls": "off" if implicit else "on",
            "tls_trust_file": str(server.ca),
            "user": USER,
            "password": PASSWORD,
            "from": SENDER,
            "syslog": "off",
            "logfile": str(self.folder / "log"),
            **changes,
        }
        path = self.folder / "pysendmail.conf"
        path.write_text("".join(f"{word} {value}\n" for word, value in words.items()))
        path.chmod(0o600)

    def send(self, arguments: list[str], text: bytes) -> subprocess.CompletedProcess[bytes]:
        """Run the command as a caller would."""
        command = [self.installed.sendmail, "-C", str(self.folder / "pysendmail.conf"), *arguments]
        environment = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        return subprocess.run(command, input=text, env=environment, capture_output=True, timeout=60, check=False)


@pytest.fixture
def sender(installed: Installed, tmp_path: pathlib.Path) -> Sender:
    return Sender(installed, tmp_path)


def succeeded(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Tell whether the command did its work in silence, and show what it said if not."""
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    return True


def one(copies: list[Arrived]) -> Arrived:
    """Give the single copy that arrived."""
    assert len(copies) == 1
    return copies[0]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_arrives_is_what_was_sent_to_the_last_byte(
    server: Server, implicit: bool, sender: Sender, case: Case
) -> None:
    sender.configure(server, implicit)
    assert succeeded(sender.send(case.arguments, case.text))
    copies = server.take(len(case.recipients))
    assert [copy.recipient for copy in copies] == sorted(case.recipients)
    expected = case.text if case.arrives is None else case.arrives
    assert {copy.message for copy in copies} == {expected}
    assert {copy.sender for copy in copies} == {SENDER}


def test_a_line_that_smtp_cannot_carry_arrives_encoded_and_complete(
    server: Server, implicit: bool, sender: Sender
) -> None:
    text = "Grüße " + "x" * 5000 + "\nshort\n"
    sender.configure(server, implicit)
    assert succeeded(sender.send(["-i", "bob@example.org"], HEADER + MIME + b"\n" + text.encode()))
    arrived = one(server.take(1)).message
    assert arrived.startswith(HEADER)
    message = email.message_from_bytes(arrived, policy=email.policy.default)
    assert message["Content-Transfer-Encoding"] in ("quoted-printable", "base64")
    assert message.get_content() == text


def test_a_refused_recipient_is_named_and_the_others_get_the_message(
    server: Server, implicit: bool, sender: Sender
) -> None:
    sender.configure(server, implicit)
    done = sender.send(["-i", "bob@example.org", REFUSED, "carol@example.com"], HEADER + b"\nHello.\n")
    assert done.returncode == 67
    assert REFUSED.encode() in done.stderr
    copies = server.take(2)
    assert [copy.recipient for copy in copies] == ["bob@example.org", "carol@example.com"]
    assert {copy.message for copy in copies} == {HEADER + b"\nHello.\n"}


def test_a_null_sender_stays_null(server: Server, implicit: bool, sender: Sender) -> None:
    sender.configure(server, implicit)
    assert succeeded(sender.send(["-i", "-f", "<>", "bob@example.org"], HEADER + b"\nHello.\n"))
    assert one(server.take(1)).sender == ""


def test_every_mechanism_that_the_server_offers_logs_in(server: Server, implicit: bool, sender: Sender) -> None:
    for mechanism in server.mechanisms:
        sender.configure(server, implicit, auth=mechanism)
        done = sender.send(["-i", "-v", "bob@example.org"], HEADER + b"\nHello.\n")
        assert done.returncode == 0, (mechanism, done.stderr)
        assert b"AUTH " + mechanism.upper().encode() in done.stderr
        assert one(server.take(1)).message == HEADER + b"\nHello.\n"


def test_a_wrong_password_sends_nothing_and_is_told_by_the_exit_code(
    server: Server, implicit: bool, sender: Sender
) -> None:
    sender.configure(server, implicit, password="something-else")
    done = sender.send(["-i", "bob@example.org"], HEADER + b"\nHello.\n")
    assert done.returncode == 77
    assert b"something-else" not in done.stderr
    assert server.take(0) == []


def test_a_server_of_another_authority_gets_neither_password_nor_message(
    server: Server, implicit: bool, sender: Sender, tmp_path: pathlib.Path
) -> None:
    sender.configure(server, implicit, tls_trust_file=str(make_authority(tmp_path).ca))
    done = sender.send(["-i", "bob@example.org"], HEADER + b"\nHello.\n")
    assert done.returncode == 75
    assert server.take(0) == []


def test_neither_dialogue_nor_log_shows_the_password(server: Server, implicit: bool, sender: Sender) -> None:
    sender.configure(server, implicit)
    done = sender.send(["-i", "-v", "bob@example.org"], HEADER + b"\nHello.\n")
    one(server.take(1))
    shown = done.stdout + done.stderr + (sender.folder / "log").read_bytes()
    assert b"EHLO" in shown and b"status=sent" in shown
    plain = [f"\0{USER}\0{PASSWORD}", PASSWORD]
    secrets = [PASSWORD.encode()] + [base64.b64encode(text.encode()).rstrip(b"=") for text in plain]
    assert [secret for secret in secrets if secret in shown] == []


def check(sender: Sender, *arguments: str) -> tuple[int, list[str]]:
    """Run pysendmail check; return the exit code and the lines that tell of a failure."""
    program = str(sender.installed.prefix / "bin" / "pysendmail")
    command = [program, "check", "-C", str(sender.folder / "pysendmail.conf"), *arguments]
    environment = {"HOME": str(sender.folder), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert done.stderr == b""
    return done.returncode, [line for line in done.stdout.decode().splitlines() if line.startswith("failed:")]


def test_a_check_finds_nothing_amiss(server: Server, implicit: bool, sender: Sender) -> None:
    sender.configure(server, implicit, **{"from": "alice@box"})
    assert check(sender, "--to", "bob@example.org") == (0, [])
    code, (line,) = check(sender, "--to", REFUSED)
    assert (code, "recipient: <refused@example.org>: refused: 5" in line) == (67, True)
    sender.configure(server, implicit, password="wrong", **{"from": "alice@box"})
    code, (line,) = check(sender)
    assert (code, "login: wrong user or password" in line) == (77, True)


def test_a_check_tells_a_port_from_the_other(server: Server, implicit: bool, sender: Sender) -> None:
    other = str(server.starttls_port if implicit else server.tls_port)
    sender.configure(server, implicit, port=other, timeout="4", **{"from": "alice@box"})
    code, (line,) = check(sender)
    assert code == 75
    assert "wrong port or wrong way of TLS" in line
    assert ("mend: write tls_starttls on" if implicit else "mend: write tls_starttls off") in line
