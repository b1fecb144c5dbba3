"""What -v shows through the daemon: the dialogue with the smarthost, as in process, and nothing stays of it."""

import os
import pathlib
import signal
import stat
import threading
from collections.abc import Iterator

import pytest

from tests.command.caller import LIMIT, MESSAGE, until
from tests.command.conftest import make_identities
from tests.command.test_verbose import LOGIN, PASSWORD, USER, leaks
from tests.conftest import Installed
from tests.daemon.whole import Whole
from tests.obedient import Obedient

BOB, CAROL = "bob@example.net", "carol@example.net"


@pytest.fixture
def server() -> Iterator[Obedient]:
    with Obedient() as running:
        yield running


@pytest.fixture
def whole(installed: Installed, tmp_path: pathlib.Path, server: Obedient) -> Iterator[Whole]:
    made = Whole(installed.sendmail, tmp_path, server)
    yield made
    made.clear()


def dialogue(shown: bytes) -> list[str]:
    """Give the lines that were said, without what depends on the attempt."""
    lines = shown.decode().splitlines()
    return [line for line in lines if line.startswith(("--> ", "<-- ")) and line not in ("--> QUIT", "<-- 221 bye")]


def kept(whole: Whole) -> list[pathlib.Path]:
    """Give the files of dialogues."""
    return [path for path in whole.queue.parent.iterdir() if "-dialogue-" in path.name]


def in_process(whole: Whole, *arguments: str) -> bytes:
    """Give what is shown of the same message without the daemon."""
    config = whole.folder / "own.conf"
    words = {word: value for word, value in whole.words.items() if word not in ("queue", "submission_socket", "run_as")}
    config.write_text("".join([f"{word} {value}\n" for word, value in words.items()]))
    config.chmod(0o600)
    return whole.send("-C", str(config), *arguments).stderr


def size_blanked(lines: list[str]) -> list[str]:
    """Give the lines without the message's size, since the daemon adds a field that says how it came."""
    return ["".join(["0" if one.isdigit() else one for one in line]) for line in lines]


@pytest.mark.parametrize(
    "answers",
    [
        {}, {f"RCPT TO:<{BOB}": "550 5.1.1 no \x1b[2J such\u202e mailbox"}, {".": "451 4.3.0 later"},
        {"EHLO": "502 5.5.1 what?"}, {"MAIL": "550-5.7.1 not\r\n550 5.7.1 you"},
    ],
)  # fmt: skip
def test_it_is_what_is_shown_in_process(whole: Whole, answers: dict[str, str]) -> None:
    whole.server.answers |= answers
    expected = size_blanked(dialogue(in_process(whole, "-v", BOB, CAROL)))
    whole.start()
    shown = whole.send("-v", BOB, CAROL).stderr
    assert all(line.isprintable() for line in shown.decode().splitlines())
    assert expected[0] == "<-- 000 mx.test ESMTP" and len(expected) > 5
    assert size_blanked(dialogue(shown)) == expected


def test_over_a_warm_connection_it_begins_with_whom_that_leads_to(whole: Whole) -> None:
    whole.start()
    assert b"<-- 220 mx.test" in whole.send("-v", BOB).stderr
    lines = whole.send("-v", CAROL).stderr.decode().splitlines()
    place = f"127.0.0.1[127.0.0.1]:{whole.server.port}"
    assert lines[0] == f"=== over a connection that was there already: {place}, not encrypted"
    assert lines[1].startswith("--> MAIL FROM:") and not any("220" in line or BOB in line for line in lines)
    assert lines[-2:][0] == "<-- 250 2.0.0 kept" and lines[-1].startswith(f"=== to=<{CAROL}>, relay={place}")
    assert whole.server.connections == 1


def test_who_does_not_ask_sees_nothing_also_beside_one_who_asks(whole: Whole) -> None:
    whole.start()
    for options, silent in ((["-v"], False), (["-odi"], True), (["-i"], True), (["-v"], False), (["-odi"], True)):
        done = whole.send(*options, BOB)
        assert done.returncode == 0 and (done.stderr == b"") is silent
    until(lambda: len(whole.server.deliveries) == 5)
    assert kept(whole) == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("answers", [{}, {"AUTH": f"535 5.7.8 wrong: {PASSWORD}"}, {".": f"250 2.0.0 kept, {PASSWORD}"}])
def test_no_secret_is_shown_or_stored(whole: Whole, mechanism: str, answers: dict[str, str]) -> None:
    whole.server.mechanisms = mechanism
    whole.server.answers |= answers
    gate = whole.server.gates["AUTH"] = threading.Event()
    whole.words |= {**LOGIN, "auth": mechanism.lower()}
    whole.start()
    process = whole.begin("-v", BOB)
    if mechanism != "CRAM-MD5":  # this server has no challenge for it, and the client is gone at once
        until(lambda: bool(kept(whole)) and b"--> AUTH" in kept(whole)[0].read_bytes())
    stored = b"".join([path.read_bytes() for path in whole.queue.parent.iterdir() if path.is_file()])
    gate.set()
    _, shown = process.communicate(timeout=LIMIT)
    assert process.returncode == 0 and b"--> AUTH " + mechanism.encode() in shown
    assert leaks(stored, shown, whole.log.read_bytes()) == []


def test_no_secret_is_shown_over_an_encrypted_connection(
    installed: Installed, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "tls").mkdir()
    identities = make_identities(tmp_path / "tls")
    with Obedient(identities, tls="starttls", mechanisms="PLAIN") as server:
        whole = Whole(installed.sendmail, tmp_path, server)
        whole.words |= {"tls": "on", "tls_trust_file": identities["ca"], "user": USER, "password": PASSWORD}
        whole.start()
        try:
            first, second = [whole.send("-v", BOB).stderr for _ in range(2)]
        finally:
            whole.clear()
    assert b"--> STARTTLS" in first and b"=== TLSv1" in first and b"--> AUTH PLAIN" in first
    assert second.splitlines()[0].startswith(b"=== over a connection that was there already: ") and b"TLSv1" in second
    assert leaks(first, second) == []


def test_it_is_shown_while_the_server_is_waited_for(whole: Whole) -> None:
    gate = whole.server.gates["."] = threading.Event()
    whole.start()
    process = whole.begin("-v", BOB)
    assert process.stderr is not None
    seen = b""
    while b"--> [message" not in seen:
        piece = os.read(process.stderr.fileno(), 4096)
        assert piece, seen
        seen += piece
    assert process.poll() is None and whole.server.deliveries == []
    gate.set()
    _, rest = process.communicate(timeout=LIMIT)
    assert process.returncode == 0 and b"<-- 250 2.0.0 kept" in rest and b"--> MAIL" not in rest


def test_while_it_goes_on_only_the_daemon_may_read_it_and_then_it_is_gone(whole: Whole) -> None:
    gate = whole.server.gates["."] = threading.Event()
    whole.start()
    process = whole.begin("-v", BOB)
    until(lambda: len(kept(whole)) == 1)
    status = kept(whole)[0].stat()
    assert stat.S_IMODE(status.st_mode) == 0o600 and status.st_uid == os.geteuid()
    gate.set()
    process.communicate(timeout=LIMIT)
    assert process.returncode == 0 and kept(whole) == []


def test_nothing_stays_of_a_caller_who_was_killed(whole: Whole) -> None:
    gate = whole.server.gates["."] = threading.Event()
    whole.start()
    process = whole.begin("-v", BOB)
    until(lambda: len(kept(whole)) == 1 and len(whole.waiting()) == 1)  # before the commit a killed caller has sent nothing
    process.kill()
    process.communicate(timeout=LIMIT)
    until(lambda: kept(whole) == [])
    gate.set()
    until(lambda: len(whole.server.deliveries) == 1 and whole.waiting() == [])


@pytest.mark.parametrize("role", [0, 1])
def test_nothing_stays_after_the_death_of_a_child(whole: Whole, role: int) -> None:
    whole.start()
    assert whole.send("-odi", BOB).returncode == 0  # both children are up
    gate = whole.server.gates["."] = threading.Event()
    process = whole.begin("-v", BOB)
    until(lambda: len(kept(whole)) == 1)
    os.kill(whole.children()[role], signal.SIGKILL)
    gate.set()
    process.communicate(timeout=LIMIT)
    assert process.returncode in (0, 75)
    until(lambda: whole.waiting() == [] and kept(whole) == [])
    assert whole.send("-v", CAROL).stderr.count(b"--> RCPT") == 1


def test_nothing_stays_after_the_death_of_the_daemon(whole: Whole) -> None:
    gate = whole.server.gates["."] = threading.Event()
    whole.start()
    process = whole.begin("-v", BOB)
    until(lambda: len(kept(whole)) == 1)
    whole.kill()
    process.communicate(timeout=LIMIT)
    assert process.returncode == 75
    gate.set()  # the server serves one connection at a time, and the next one has to be answered in time
    whole.start()
    until(lambda: kept(whole) == [] and whole.waiting() == [])


def test_an_end_in_order_leaves_nothing_and_tells_what_was_said(whole: Whole) -> None:
    gate = whole.server.gates["."] = threading.Event()
    whole.start()
    process = whole.begin("-v", BOB)
    until(lambda: any(line.startswith("BDAT") for line in whole.server.commands))
    assert whole.process is not None
    whole.process.terminate()
    gate.set()
    _, shown = process.communicate(timeout=LIMIT)
    assert process.returncode == 0 and b"--> MAIL" in shown and whole.process.wait(LIMIT) == 0 and kept(whole) == []


def test_a_smarthost_that_is_down_is_shown_as_that(whole: Whole) -> None:
    whole.server.answers["greeting"] = "421 4.3.2 not now"
    whole.start()
    done = whole.send("-v", BOB)
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == b"<-- 421 4.3.2 not now" and done.stderr.count(b"not now") == 3, done.stderr
    done = whole.send("-v", BOB)  # nobody asks the server again, as it is known now
    assert done.returncode == 0 and b"not now" in done.stderr
    assert done.stderr.startswith(b"=== waits in the queue: ") and done.stderr.count(b"\n") == 1


def test_a_long_one_is_cut_and_the_message_arrives(whole: Whole) -> None:
    whole.server.answers["RCPT"] = "250 2.1.5 " + 990 * "x"
    whole.start(max_recipients="5000")
    names = [f"user{number}@example.net" for number in range(1500)]
    done = whole.send("-v", *names)
    assert done.returncode == 0 and [one.recipients for one in whole.server.deliveries] == [names]
    assert done.stderr.count(b"=== the rest of the dialogue is not shown") == 1
    said = b"".join([line for line in done.stderr.splitlines(keepends=True) if not line.startswith(b"=== to=")])
    assert 1_000_000 < len(said) < 1_100_000


def test_a_reader_who_never_reads_stops_nothing(whole: Whole) -> None:
    whole.start(max_recipients="5000")
    names = [f"user{number}@example.net" for number in range(1500)]  # more than a pipe holds
    process = whole.begin("-v", *names)
    assert process.wait(LIMIT) == 0
    assert [one.recipients for one in whole.server.deliveries] == [names]
    process.communicate(timeout=LIMIT)


def test_of_very_many_at_a_time_some_are_not_shown(whole: Whole) -> None:
    gate = whole.server.gates["MAIL"] = threading.Event()
    whole.start(connections="1")
    processes = [whole.begin("-v", BOB) for _ in range(70)]
    until(lambda: len(whole.items()) == 70)
    assert len(kept(whole)) == 64
    gate.set()
    shown = [process.communicate(timeout=LIMIT)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 70
    assert sum(b"too many others" in text for text in shown) == 6 and sum(b"--> MAIL" in text for text in shown) == 64
    assert kept(whole) == []


def test_after_the_configuration_was_read_anew_the_one_who_waits_is_still_shown_it(whole: Whole) -> None:
    gate = whole.server.gates["."] = threading.Event()
    whole.start()
    process = whole.begin("-v", BOB)
    until(lambda: any(line.startswith("BDAT") for line in whole.server.commands))
    before = set(whole.children())
    assert whole.process is not None
    whole.process.send_signal(signal.SIGHUP)
    until(lambda: len(set(whole.children()) - before) == 2)
    second = whole.begin("-v", CAROL)
    until(lambda: len(whole.items()) == 2)
    gate.set()
    for one, name in ((process, BOB), (second, CAROL)):
        _, shown = one.communicate(timeout=LIMIT)
        assert one.returncode == 0 and shown.count(f"--> RCPT TO:<{name}>".encode()) == 1
    assert kept(whole) == []


def test_a_message_that_is_not_taken_leaves_nothing(whole: Whole) -> None:
    whole.start()
    done = whole.send("-v", "-t", message=b"Subject: x\n\nx\n")
    assert done.returncode == 64 and kept(whole) == []
    done = whole.send("-v", BOB, message=b"Subject: x\0y\n" + MESSAGE)
    assert done.returncode == 65 and kept(whole) == []
