"""pysendmail check against servers with each of the faults that happen: it names the cause, and says what mends it."""

import contextlib
import json
import os
import pathlib
import subprocess
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.black_hole import black_hole
from tests.conftest import Installed
from tests.delivery import certificates
from tests.obedient import SILENCE, Obedient
from tests.scripted import Peer, ScriptedServer, ehlo, until_tls

SECRET = "c0rrect-horse"
Check = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write certificates for 127.0.0.1: a good one, and one with each fault."""
    folder = tmp_path_factory.mktemp("identities")
    root = certificates.authority("The Root")
    (folder / "ca.pem").write_bytes(root.pem)
    made = {
        "good": certificates.issue(root, (), ("127.0.0.1",)),
        "soon": certificates.issue(root, (), ("127.0.0.1",), end=timedelta(days=3)),
        "expired": certificates.issue(root, (), ("127.0.0.1",), begin=-timedelta(days=9), end=-timedelta(days=2)),
        "stranger": certificates.issue(root, ("other.example",)),
        "unknown": certificates.issue(certificates.authority("Somebody"), (), ("127.0.0.1",)),
    }
    return {**{name: one.write(folder / f"{name}.pem") for name, one in made.items()}, "ca": str(folder / "ca.pem")}


@pytest.fixture
def run(installed: Installed, tmp_path: pathlib.Path, identities: dict[str, str]) -> Check:
    """Give what runs the check as JSON with a configuration of these words, and returns the object with `stderr`."""

    def start(*arguments: str, code: int, **words: str) -> dict[str, Any]:
        written = {"host": "127.0.0.1", "tls_trust_file": identities["ca"], "from": "me@localdomain", "timeout": "3", **words}
        conf = tmp_path / "conf"
        conf.write_text("".join(f"{word} {value}\n" for word, value in written.items() if value))
        conf.chmod(0o600)
        command = [str(installed.prefix / "bin" / "pysendmail"), "check", "-C", str(conf), "--json", *arguments]
        done = subprocess.run(command, capture_output=True, timeout=120, stdin=subprocess.DEVNULL, check=False)
        assert SECRET.encode() not in done.stdout + done.stderr
        assert b"Traceback" not in done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode, found["code"]) == (code, code), found
        found["stderr"] = done.stderr.decode()
        return found

    return start


def of(found: dict[str, Any], level: str) -> list[tuple[str, str, str]]:
    """Give the findings of a level as step, text and mend."""
    return [(one["step"], one["text"], one["mend"]) for one in found["findings"] if one["level"] == level]


def failure(found: dict[str, Any]) -> tuple[str, str]:
    """Give text and mend of the only failure."""
    (_, text, mend), *others = of(found, "failed")
    assert others == [] and mend
    return text, mend


def text_of(found: dict[str, Any], step: str) -> str:
    return "\n".join(one["text"] for one in found["findings"] if one["step"] == step)


def test_a_server_that_is_well_is_told_step_by_step(run: Check, identities: dict[str, str]) -> None:
    answers = {"greeting": "220 mx.test ESMTP Exim 4.96 Sat, 28 Nov 2020 12:00:00 +0000"}
    with Obedient(identities, tls="starttls", mechanisms="PLAIN", answers=answers) as server:
        found = run("--to", "bob@example.net", code=0, port=str(server.port), user="me", password=SECRET)
        assert of(found, "failed") == []
        text = text_of(found, "encryption")
        assert "TLSv1.3" in text and "for 127.0.0.1, issued by The Root, 29 days left" in text
        assert text_of(found, "login") == "accepted for me"
        assert "PIPELINING" in text_of(found, "offers")
        assert "connected after" in text_of(found, "connection")
        assert text_of(found, "sender").startswith("<me@localdomain>: 250")
        assert text_of(found, "recipient").startswith("<bob@example.net>: 250")
        assert "ahead of the date in the server's greeting" in text_of(found, "clock")
        assert server.commands[-2:] == ["RSET", "QUIT"] and server.deliveries == []
        assert server.connections == 1


def test_a_port_where_nothing_listens_is_told(run: Check) -> None:
    text, mend = failure(run(code=75, port="1"))
    assert "127.0.0.1[127.0.0.1]:1 refuses connections: nothing listens at this port" in text
    assert "check host and port" in mend


def test_a_port_that_never_answers_is_told(run: Check) -> None:
    with black_hole("127.0.0.8") as port:
        text, mend = failure(run(code=75, host="127.0.0.8", port=str(port)))
    assert "never answers: a firewall" in text and "many networks block port 25" in mend


def test_tls_from_the_start_where_the_configuration_begins_in_clear_is_told(run: Check, identities: dict[str, str]) -> None:
    def only_tls(peer: Peer) -> None:
        peer.tls()
        peer.say("220 mx.test ESMTP")
        peer.stall()

    with ScriptedServer(only_tls, identities) as server:
        for words in ({}, {"tls": "off", "tls_trust_file": ""}):
            text, mend = failure(run(code=75, port=str(server.port), **words))
            assert "TLS begins there at once, the configuration begins in clear" in text and "wrong port" in text
            assert "tls_starttls off" in mend


def test_clear_text_where_the_configuration_begins_with_tls_is_told(run: Check) -> None:
    with Obedient() as server:
        text, mend = failure(run(code=75, port=str(server.port), tls_starttls="off"))
    assert "wrong port" in text and "does not speak TLS on this port" in text and "220 mx.test" in text
    assert "tls_starttls on" in mend


def test_a_server_of_another_protocol_is_told(run: Check) -> None:
    def imap(peer: Peer) -> None:
        peer.say("* OK IMAP4rev1 ready")
        peer.stall()

    with ScriptedServer(imap, {}) as server:
        text, mend = failure(run(code=76, port=str(server.port)))
    assert "does not speak SMTP" in text and mend == "check port"


def test_a_server_that_says_nothing_is_told(run: Check) -> None:
    with ScriptedServer(lambda peer: peer.stall(), {}) as server:
        text, _ = failure(run(code=75, port=str(server.port)))
    assert "takes connections, but says nothing" in text


def test_a_wrong_password_is_told(run: Check, identities: dict[str, str]) -> None:
    answers = {"AUTH": "535 5.7.8 bad credentials"}
    with Obedient(identities, tls="starttls", mechanisms="PLAIN", answers=answers) as server:
        text, mend = failure(run(code=77, port=str(server.port), user="me", password=SECRET))
    assert "wrong user or password" in text and "535 5.7.8" in text
    assert "check user and password" in mend


@pytest.mark.parametrize(
    ("identity", "cause"),
    [
        ("expired", "the server's certificate expired on"),
        ("stranger", "the server's certificate is not for 127.0.0.1 but for other.example"),
        ("unknown", "from an issuer that is not trusted here"),
    ],
)
def test_a_certificate_that_is_not_good_is_told(run: Check, identities: dict[str, str], identity: str, cause: str) -> None:
    with ScriptedServer(lambda peer: until_tls(peer, identity), identities) as server:
        text, mend = failure(run(code=75, port=str(server.port)))
    assert cause in text and mend


def test_a_certificate_that_ends_soon_is_a_warning(run: Check, identities: dict[str, str]) -> None:
    with Obedient({**identities, "good": identities["soon"]}, tls="starttls") as server:
        found = run(code=0, port=str(server.port))
    assert any(step == "encryption" and "2 days left" in text for step, text, _ in of(found, "warning"))


def test_a_server_without_starttls_is_told(run: Check) -> None:
    with Obedient() as server:
        text, mend = failure(run(code=75, port=str(server.port)))
    assert "does not offer STARTTLS" in text and "anybody could read it" in mend


def test_a_server_without_auth_is_told(run: Check, identities: dict[str, str]) -> None:
    with Obedient(identities, tls="starttls") as server:
        text, mend = failure(run(code=75, port=str(server.port), user="me", password=SECRET))
    assert "does not offer AUTH" in text and "587 or 465" in mend


def test_greylisting_is_told_and_is_a_warning_where_a_queue_tries_again(
    run: Check, identities: dict[str, str], tmp_path: pathlib.Path
) -> None:
    with Obedient(identities, tls="starttls", answers={"RCPT": "450 4.2.0 try again later"}) as server:
        text, mend = failure(run("--to", "bob@example.net", code=75, port=str(server.port)))
        assert "put off, by greylisting it seems: 450 4.2.0" in text and "try again in some minutes" in mend
        found = run("--to", "bob@example.net", code=0, port=str(server.port), queue=str(tmp_path / "spool" / "queue"))
        assert any(step == "recipient" and "greylisting" in text for step, text, _ in of(found, "warning"))
        assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize(
    ("answers", "code", "cause"),
    [
        ({"MAIL": "550 5.7.1 not yours"}, 69, "<me@localdomain>: refused: 550"),
        ({"RCPT": "550 5.1.1 nobody"}, 67, "<bob@example.net>: refused: 550"),
        ({"RCPT": "530 5.7.0 log in"}, 77, "wants a login first"),
        ({"MAIL": "530 5.7.0 log in"}, 77, "wants a login first"),
        ({"MAIL": "451 4.3.0 busy"}, 75, "put off for now"),
    ],
)
def test_what_the_server_says_to_an_envelope_is_told(
    run: Check, identities: dict[str, str], answers: dict[str, str], code: int, cause: str
) -> None:
    with Obedient(identities, tls="starttls", answers=answers) as server:
        text, _ = failure(run("--to", "bob@example.net", code=code, port=str(server.port)))
    assert cause in text


def test_a_server_that_goes_silent_at_the_recipient_ends_the_check(run: Check, identities: dict[str, str]) -> None:
    with Obedient(identities, tls="starttls", answers={"RCPT": SILENCE}) as server:
        text, _ = _first(run("--to", "bob@example.net", code=75, port=str(server.port)))
    assert "does not answer in time" in text


def _first(found: dict[str, Any]) -> tuple[str, str]:
    _, text, mend = of(found, "failed")[0]
    return text, mend


def test_a_password_that_is_nowhere_is_told_and_the_rest_is_looked_at(run: Check, identities: dict[str, str]) -> None:
    with Obedient(identities, tls="starttls", mechanisms="PLAIN") as server:
        found = run(code=78, port=str(server.port), user="me")
        text, _ = failure(found)
        assert "there is no password for this user" in text and "the login is not tried" in text
        assert "TLSv1.3" in text_of(found, "encryption")
        assert not any(line.startswith("AUTH") for line in server.commands)


def test_a_second_server_that_works_makes_the_first_one_a_warning(run: Check, identities: dict[str, str]) -> None:
    with Obedient(identities, tls="starttls") as server:
        found = run(code=0, host=f"127.0.0.1:1 127.0.0.1:{server.port}")
    assert any("refuses connections" in text for _, text, _ in of(found, "warning"))
    assert "ready after" in text_of(found, "connection")


def test_a_password_is_tried_once_however_many_servers_there_are(run: Check, identities: dict[str, str]) -> None:
    answers = {"AUTH": "535 5.7.8 bad"}
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(Obedient(identities, tls="starttls", mechanisms="PLAIN", answers=answers)) for _ in range(3)
        ]  # fmt: skip
        host = " ".join(f"127.0.0.1:{server.port}" for server in servers)
        run(code=77, host=host, user="me", password=SECRET)
        assert sum(line.startswith("AUTH") for server in servers for line in server.commands) == 1


@pytest.mark.parametrize("conf", ["", "host a\nhots b\n", "host a\ntls_fingerprint zz\n", None])
def test_a_configuration_that_cannot_be_used_is_told(installed: Installed, tmp_path: pathlib.Path, conf: str | None) -> None:
    path = tmp_path / "conf"
    if conf is not None:
        path.write_text(conf)
    command = [str(installed.prefix / "bin" / "pysendmail"), "check", "-C", str(path)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (78, b"")
    line, result = done.stdout.decode().splitlines()
    assert line.startswith("failed:        configuration: ") and "; mend: " in line
    assert result == "result:        1 failed, 0 warnings"


@pytest.mark.parametrize("to", ["", "a b@c", "a@b, c@d", "a@b\r\nDATA", "ü@example.org", "a" * 5, "<>"])
def test_an_address_that_is_none_is_refused(run: Check, installed: Installed, to: str) -> None:
    command = [str(installed.prefix / "bin" / "pysendmail"), "check", "-C", "/nonexistent", "--to", to]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == (78 if to == "aaaaa" else 64)
    assert b"Traceback" not in done.stderr


def test_the_dialogue_goes_to_standard_error_without_the_secret(run: Check, identities: dict[str, str]) -> None:
    with Obedient(identities, tls="starttls", mechanisms="PLAIN") as server:
        found = run("-v", code=0, port=str(server.port), user="me", password=SECRET)
    assert "--> EHLO" in found["stderr"] and "--> AUTH PLAIN ****" in found["stderr"]


def test_controls_of_a_server_never_reach_the_terminal(run: Check, installed: Installed, tmp_path: pathlib.Path) -> None:
    def hostile(peer: Peer) -> None:
        peer.say(b"220 mx\x1b[2J\x9b \xe2\x80\xae")
        ehlo(peer, capabilities=("X\x1b[2J", "SIZE 1"))
        peer.stall()

    with ScriptedServer(hostile, {}) as server:
        (tmp_path / "conf").write_text(f"host 127.0.0.1\nport {server.port}\ntls off\ntimeout 3\nfrom a@localdomain\n")
        command = [str(installed.prefix / "bin" / "pysendmail"), "check", "-v", "-C", str(tmp_path / "conf")]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert not set(done.stdout + done.stderr) & {*range(10), *range(11, 32), 127}
    assert done.returncode == 0


def _endless(peer: Peer) -> None:
    peer.say("220 mx.test")
    peer.hear()
    peer.flood(b"250-X\r\n")


def _injection(peer: Peer) -> None:
    peer.say("220 mx.test")
    ehlo(peer, "STARTTLS")
    peer.hear()
    peer.say("220 go", "220 injected")
    peer.stall()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (lambda peer: peer.flood(b"220-x\r\n"), 76),
        (lambda peer: peer.drip(b"220-" + b"x" * 400, 0.05), 75),
        (lambda peer: peer.send(b"\0" * 100_000), 75),
        (lambda peer: peer.hang_up(), 75),
        (lambda peer: peer.reset(), 75),
        (_endless, 76),
        (_injection, 75),
    ],
    ids=["flood", "drip", "zeros", "gone", "reset", "endless EHLO", "injection"],
)
def test_a_hostile_server_gets_one_line(run: Check, script: Callable[[Peer], None], code: int) -> None:
    with ScriptedServer(script, {}) as server:
        failure(run(code=code, port=str(server.port)))


def test_a_queue_with_old_mail_and_a_damaged_one_are_told(run: Check, identities: dict[str, str], tmp_path: pathlib.Path) -> None:
    queue = tmp_path / "spool" / "queue"
    with Obedient(identities, tls="starttls") as server:
        words = {"port": str(server.port), "queue": str(queue)}
        run(code=0, **words)
        queue.parent.mkdir(mode=0o700)
        queue.write_bytes(b"no queue at all" * 1000)
        queue.chmod(0o600)
        found = run(code=75, **words)
        assert any(step == "queue" for step, _, _ in of(found, "failed"))
        assert os.path.exists(queue)
