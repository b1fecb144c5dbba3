"""The dialogue that -v shows, and that no secret is in it, nor anywhere else that others can look."""

import base64
import os
import pathlib
import sys
import threading

import pytest

from tests.command.caller import LIMIT, MESSAGE, Caller, until
from tests.conftest import ROOT, Installed
from tests.obedient import Obedient

USER, PASSWORD = "alice", "c0rrect-h0rse:battery=staple"
LOGIN = {"user": USER, "password": PASSWORD, "auth_without_tls": "on"}
FORMS = [
    PASSWORD,
    base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode().rstrip("="),
    *[base64.b64encode(b"x" * n + PASSWORD.encode()).decode()[4:-4] for n in range(3)],
]


def leaks(*texts: "bytes | str") -> list[str]:
    """List the forms of the password that stand in any of the texts."""
    joined = b"\n".join(text if isinstance(text, bytes) else text.encode() for text in texts)
    return [form for form in FORMS if form.encode() in joined]


def test_the_dialogue_goes_to_standard_error(caller: Caller) -> None:
    done = caller.run("-v", "r@x")
    assert (done.returncode, done.stdout) == (0, b"")
    lines = done.stderr.decode().splitlines()
    assert lines[0] == "<-- 220 mx.test ESMTP"
    assert lines[1].startswith("--> EHLO ")
    said = [line.split()[1] for line in lines if line.startswith("--> ")]
    assert said[:6] == ["EHLO", "MAIL", "RCPT", "BDAT", "[message", "QUIT"]
    assert "<-- 250 2.0.0 kept" in lines
    assert not any("text" in line and "message" not in line for line in lines)


@pytest.mark.parametrize("option", ["-v", "-ov", "-OVerbose=true", "-tv", "--debug"])
def test_there_are_several_ways_to_ask_for_it(caller: Caller, option: str) -> None:
    assert b"<-- 220" in caller.run(option, "r@x").stderr


def test_without_it_success_is_silent_even_where_there_is_something_to_note(caller: Caller) -> None:
    caller.deliver("-X", "x", "-t", message=b"From: a@x\nFrom: b@x\nTo: a@x; b@x\n\ntext\n")


def test_a_message_of_many_transactions_shows_each(caller: Caller) -> None:
    done = caller.run("-v", "a@x", "b@x", words={"max_recipients": "1"})
    assert done.stderr.count(b"--> MAIL FROM:<sender@example.org>") == 2


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("answers", [{}, {"AUTH": "535 5.7.8 no"}, {"AUTH": f"535 5.7.8 wrong: {PASSWORD} {FORMS[1]}"}])
def test_no_secret_is_shown_or_logged(caller: Caller, mechanism: str, answers: dict[str, str]) -> None:
    caller.server.mechanisms, caller.server.answers = mechanism, answers
    done = caller.run("-v", "r@x", words={**LOGIN, "auth": mechanism.lower()})
    assert done.returncode == (77 if answers else 0) or mechanism != "PLAIN"
    assert b"AUTH" in done.stderr
    assert leaks(done.stdout, done.stderr, *caller.log) == []


@pytest.mark.parametrize("stage", ["greeting", "MAIL", "RCPT", "."])
def test_a_server_that_repeats_the_secret_does_not_get_it_shown(caller: Caller, stage: str) -> None:
    caller.server.mechanisms = "PLAIN"
    echoes = [base64.b64encode(b"x" * n + PASSWORD.encode() + b"y").decode() for n in range(3)]
    caller.server.answers = {stage: f"550 5.7.1 your password is {PASSWORD}, in base64 {' or '.join(echoes)}"}
    done = caller.run("-v", "r@x", words=LOGIN)
    assert done.returncode and b"your password is ****" in done.stderr
    assert leaks(done.stderr, *caller.log) == []


def test_no_secret_is_in_the_process_list(caller: Caller) -> None:
    """While the server is waited for, arguments and environment of the process and of its child hold nothing."""
    caller.server.mechanisms = "PLAIN"
    caller.server.gates["MAIL"] = threading.Event()
    store = caller.home / "store"
    store.write_text(PASSWORD + "\n")
    words = {"user": USER, "passwordeval": f"cat {store}", "auth_without_tls": "on"}
    process = caller.start("r@x", words=words)
    assert process.stdin is not None
    process.stdin.write(MESSAGE)
    process.stdin.close()
    process.stdin = None
    until(lambda: any(line.startswith("MAIL") for line in caller.server.commands))
    seen = [pathlib.Path(f"/proc/{process.pid}/{name}").read_bytes() for name in ("cmdline", "environ", "comm")]
    caller.server.gates["MAIL"].set()
    with process:
        process.communicate(timeout=LIMIT)
    assert process.returncode == 0 and b"sendmail" in seen[0]
    assert leaks(*seen) == []


@pytest.mark.parametrize(
    "command", ["echo {0} >&2; exit 1", "echo {0} | tee /dev/stderr", "echo; echo {0}", "printf 'a\\033b{0}' >&2; exit 1"]
)
def test_what_a_command_for_the_password_prints_is_not_logged(caller: Caller, command: str) -> None:
    caller.server.mechanisms = "PLAIN"
    words = {"user": USER, "passwordeval": command.format(PASSWORD), "auth_without_tls": "on"}
    caller.run("r@x", words=words)
    assert leaks(*caller.log) == []


def test_no_error_of_the_configuration_shows_a_secret(caller: Caller) -> None:
    for words in ({**LOGIN, "passwort": PASSWORD}, {**LOGIN, "tls": PASSWORD}, {**LOGIN, PASSWORD: "x"}):
        done = caller.run("-v", "r@x", words=words)
        assert done.returncode == 78
        assert leaks(done.stderr, *caller.log) == []


def test_no_secret_is_shown_where_the_connection_is_encrypted(
    installed: Installed, identities: dict[str, str], tmp_path: pathlib.Path
) -> None:
    with Obedient(identities, tls="starttls", mechanisms="PLAIN") as server:
        caller = Caller(installed.sendmail, tmp_path, server)
        caller.words |= {"tls": "on", "tls_trust_file": identities["ca"], "user": USER, "password": PASSWORD}
        done = caller.run("-v", "r@x")
    assert done.returncode == 0 and b"=== TLSv1" in done.stderr
    assert leaks(done.stderr, *caller.log, server.said[0]) == []
    assert leaks(server.said[1]) != []


def test_nothing_that_a_server_says_reaches_a_terminal_as_it_is(caller: Caller) -> None:
    caller.server.answers = {"greeting": "220 \x1b[2J\x07mx\x7f\x9b", "RCPT": "550 \x1b]0;x\x07 \u202e\u2066\u0085 no"}
    done = caller.run("-v", "r@x", "-f", "a\u202eb@x")
    assert done.returncode == 67
    text = done.stderr.decode()
    assert all(line.isprintable() for line in text.splitlines())
    assert not any(character in text for character in "\x1b\x07\x7f\x9b\u202e\u2066\u0085")


def test_a_reader_who_never_reads_stops_no_delivery(caller: Caller) -> None:
    names = [f"user{number}@example.net" for number in range(1500)]  # more than a pipe holds
    read, write = os.pipe()
    process = caller.start("-v", *names, stderr=write, words={"max_recipients": "5000"})
    os.close(write)
    try:
        process.communicate(MESSAGE, timeout=LIMIT)
    finally:
        os.close(read)
    assert process.returncode == 0
    assert [d.recipients for d in caller.server.deliveries] == [names]


def test_what_cannot_be_told_does_not_make_a_success_a_failure(caller: Caller) -> None:
    """A bug in the telling, of any kind, would have the caller send the message once more."""
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import pysendmail.command.result as result;"
        " result.record = None; from pysendmail.entry import main; main()"
    )
    done = caller.run("-IS", "-c", program, str(ROOT), "r@x", command=sys.executable)
    assert done.returncode == 0
    assert b"internal error (TypeError) in telling the outcome" in done.stderr
    assert [delivery.recipients for delivery in caller.server.deliveries] == [["r@x"]]
