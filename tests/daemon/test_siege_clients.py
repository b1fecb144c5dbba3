"""Real clients of the whole daemon, by its listener and by -bs: what arrives at the smarthost is right to the octet."""

import os
import pathlib
import shutil
import smtplib
import socket
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from tests.command.caller import LIMIT, until
from tests.command.piped import PipedSMTP
from tests.conftest import Installed, skip
from tests.crowd import Crowd
from tests.daemon.whole import Whole
from tests.ports import free_port

pytestmark = pytest.mark.once

HEADER = "To: Bob <bob@example.net>\r\nBcc: hidden@example.net\r\nSubject: gr\u00fc\u00dfe\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
BODY = "..two dots\r\n.\r\n.one dot\r\n\u00fcml\u00e4ut \u65e5\u672c\r\n\r\n" + "x" * 900 + "\r\nlast\r\n"
MESSAGE = f"{HEADER}\r\n{BODY}".encode()
SENDER, TO = "ann@example.org", ["bob@example.net", "hidden@example.net"]


@pytest.fixture
def whole(installed: Installed) -> Iterator[Whole]:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pysendmail-"))
    with Crowd() as server:
        made = Whole(installed.sendmail, folder, server)
        made.words["listen"] = f"127.0.0.1:{free_port()}"
        made.start()
        yield made
        made.clear()
    shutil.rmtree(folder)


def port(whole: Whole) -> int:
    return int(whole.words["listen"].rpartition(":")[2])


def by_smtplib(whole: Whole) -> None:
    with smtplib.SMTP("127.0.0.1", port(whole), timeout=LIMIT) as client:
        client.sendmail(SENDER, TO, MESSAGE, mail_options=["BODY=8BITMIME"])


def by_smtplib_and_stdio(whole: Whole) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen([whole.sendmail, "-bs"], env=whole.environ, stdin=theirs.fileno(), stdout=theirs.fileno())
        with process:
            theirs.close()
            client = PipedSMTP(ours)
            client.sendmail(SENDER, TO, MESSAGE, mail_options=["BODY=8BITMIME"])
            client.quit()
        assert process.returncode == 0


def by_msmtp(whole: Whole) -> None:
    config = whole.folder / "msmtprc"
    config.write_text(f"account default\nhost 127.0.0.1\nport {port(whole)}\nauth off\ntls off\nremove_bcc_headers off\nset_date_header off\nset_msgid_header off\n")
    config.chmod(0o600)
    run(["msmtp", "-C", str(config), "-f", SENDER, "--", *TO], MESSAGE.replace(b"\r\n", b"\n"))


def by_curl(whole: Whole) -> None:
    file = whole.folder / "message"
    file.write_bytes(MESSAGE)
    recipients = [word for to in TO for word in ("--mail-rcpt", to)]
    run(["curl", "-sS", f"smtp://127.0.0.1:{port(whole)}/me", "--mail-from", SENDER, *recipients, "-T", str(file)], b"")


def by_swaks(whole: Whole) -> None:
    run([*swaks(whole), "--server", "127.0.0.1", "--port", str(port(whole))], b"")


def by_swaks_and_stdio(whole: Whole) -> None:
    run([*swaks(whole), "--pipe", f"{whole.sendmail} -bs"], b"", env=whole.environ)


def swaks(whole: Whole) -> list[str]:
    file = whole.folder / "message"
    file.write_bytes(MESSAGE.replace(b"\r\n", b"\n").removesuffix(b"\n"))  # swaks adds one
    return ["swaks", "--silent", "2", "--from", SENDER, "--to", ",".join(TO), "--data", f"@{file}"]


def by_pipelining(whole: Whole) -> None:
    """All in one flight, as RFC 2920 allows it up to DATA; the rest waits for 354."""
    with socket.create_connection(("127.0.0.1", port(whole)), timeout=LIMIT) as line, line.makefile("rb") as file:
        line.sendall(b"EHLO me\r\nMAIL FROM:<ann@example.org> BODY=8BITMIME\r\n" + b"".join(b"RCPT TO:<%s>\r\n" % to.encode() for to in TO) + b"DATA\r\n")
        while not file.readline().startswith(b"354 "):
            pass
        line.sendall(MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\nQUIT\r\n")
        said = file.read()
    assert [reply[:3] for reply in said.splitlines()] == [b"250", b"221"]


def by_chunking(whole: Whole) -> None:
    with socket.create_connection(("127.0.0.1", port(whole)), timeout=LIMIT) as line, line.makefile("rb") as file:
        pieces = [MESSAGE[at : at + 7] for at in range(0, len(MESSAGE), 7)]
        chunks = b"".join(b"BDAT %d\r\n%s" % (len(piece), piece) for piece in pieces) + b"BDAT 0 LAST\r\n"
        line.sendall(b"EHLO me\r\nMAIL FROM:<ann@example.org> BODY=8BITMIME\r\n" + b"".join(b"RCPT TO:<%s>\r\n" % to.encode() for to in TO) + chunks + b"QUIT\r\n")
        said = file.read().splitlines()
    assert said[-2].startswith(b"250 2.0.0 ") and said[-1].startswith(b"221")


def run(command: list[str], message: bytes, **more: object) -> None:
    if shutil.which(command[0]) is None:
        skip(f"{command[0]} is not installed")
    settings: dict[str, object] = {"env": {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}, **more}
    done = subprocess.run(command, input=message, capture_output=True, timeout=LIMIT, check=False, **settings)  # type: ignore[call-overload]
    assert done.returncode == 0, done


CLIENTS = [by_smtplib, by_smtplib_and_stdio, by_msmtp, by_curl, by_swaks, by_swaks_and_stdio, by_pipelining, by_chunking]


@pytest.mark.parametrize("send", CLIENTS, ids=lambda send: send.__name__)
def test_what_a_real_client_sends_arrives_right(whole: Whole, send: "object") -> None:
    send(whole)  # type: ignore[operator]
    until(lambda: whole.server.deliveries)
    (one,) = whole.server.deliveries
    assert (one.sender, one.recipients) == (SENDER, TO)
    assert one.body == BODY.encode()
    assert b"hidden" not in one.data
    assert "BODY=8BITMIME" in one.sender_words
    assert one.field("To") == ["Bob <bob@example.net>"] and one.field("From")[0].rstrip(">").endswith("ann@example.org")
    for name in ("Date", "Message-ID", "Received"):
        assert len(one.field(name)) == 1, name
    until(lambda: not whole.items())
