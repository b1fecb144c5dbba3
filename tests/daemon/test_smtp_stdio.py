"""`sendmail -bs` where there is a daemon: the daemon serves the session, and knows whose it is."""

import os
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from tests.command.caller import LIMIT, until
from tests.command.piped import Dialogue, PipedSMTP
from tests.conftest import skip
from tests.daemon.door import Door

SCRIPT = b"HELO me\nMAIL FROM:<ann@example.org>\nRCPT TO:<bob@example.net>\nDATA\nSubject: x\nBcc: secret@example.net\n\ntext\n.\n"


def start(door: Door, *arguments: str, **more: object) -> "subprocess.Popen[bytes]":
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen([door.sendmail, "-bs", *arguments], env=door.environ(), **pipes)  # type: ignore


def codes(said: bytes) -> list[str]:
    return [line[:3] for line in said.decode().splitlines() if line[3:4] != "-"]


def test_a_session_in_one_piece_is_served_and_knows_its_user(door: Door) -> None:
    done = door.send("-bs", text=SCRIPT + b"QUIT\n")
    assert (done.returncode, done.stderr) == (0, b"")
    assert codes(done.stdout) == ["220", "250", "250", "250", "354", "250", "221"]
    [item] = door.items()
    assert (item.message.uid, item.message.sender) == (os.getuid(), b"ann@example.org")
    assert b"secret" not in door.texts()[0]
    assert any(f"uid={os.getuid()} from=<ann@example.org>" in line for line in door.lines())


def test_the_options_of_the_command_hold(door: Door) -> None:
    done = door.send("-bs", "-odq", "-F", "Ann Jones", "-R", "hdrs", text=SCRIPT)
    assert done.returncode == 0
    [item] = door.items()
    assert item.message.ret == b"HDRS" and item.recipients[0].due > item.message.created
    assert b"From: Ann Jones <ann@example.org>" in door.texts()[0]


def test_an_input_that_ends_within_a_message_queues_nothing(door: Door) -> None:
    done = door.send("-bs", text=SCRIPT[:-3])
    assert done.returncode == 75 and codes(done.stdout)[-1] == "421"
    assert done.stderr.startswith(b"sendmail: the session was ended: 421 4.4.2 the input ended")
    assert door.items() == []


def test_a_client_in_lock_step_and_one_that_is_killed(door: Door) -> None:
    process = start(door)
    one = Dialogue(process)
    assert one.hear()[:3] == "220"
    assert one.say("HELO me")[:3] == "250"
    assert one.send(b"Subject: x\r\n\r\ntext\r\n")[:8] == "250 2.0."
    assert one.say("MAIL FROM:<ann@example.org>")[:3] == "250"
    assert one.say("RCPT TO:<bob@example.net>")[:3] == "250"
    assert one.say("DATA")[:3] == "354"
    one.write(b"Subject: y\r\n\r\nhalf")
    process.kill()
    process.communicate()
    done = door.send("-bs", text=SCRIPT)
    assert done.returncode == 0
    assert len(door.items()) == 2


def test_a_signal_ends_the_session(door: Door) -> None:
    process = start(door)
    one = Dialogue(process)
    one.hear()
    one.say("HELO me")
    process.send_signal(signal.SIGTERM)
    assert one.hear() == "421 4.3.0 ended by signal 15"
    assert one.end() == (75, b"sendmail: ended by signal 15\n")


def test_many_recipients_in_one_flight_block_nobody(door: Door) -> None:
    envelope = b"".join([b"RCPT TO:<user%d@example.net>\n" % number for number in range(30_000)])
    done = door.send("-bs", text=b"HELO me\nMAIL FROM:<ann@example.org>\n" + envelope + b"DATA\nSubject: x\n\nt\n.\nQUIT\n")
    assert done.returncode == 0
    assert codes(done.stdout)[-3:] == ["354", "250", "221"]
    [item] = door.items()
    assert len(item.recipients) == 30_000


def test_pythons_client_and_swaks_are_served(door: Door) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        process = start(door, stdin=theirs, stdout=theirs)
    with process, PipedSMTP(ours) as client:
        assert client.sendmail("ann@example.org", ["one@example.net"], b"Subject: 2\n\nx") == {}
        client.quit()
        assert process.wait(LIMIT) == 0
    swaks = shutil.which("swaks")
    if swaks is None:
        skip("swaks is not installed")
    words = [str(swaks), "--pipe", f"{door.sendmail} -bs", "--from", "ann@example.org", "--to", "joe@example.net"]
    done = subprocess.run(words, env=door.environ(), stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout
    assert len(door.items()) == 2


def test_a_daemon_that_is_being_stopped_says_so_in_smtp(door: Door) -> None:
    with door.call():
        process = start(door)
        one = Dialogue(process)
        assert one.hear()[:3] == "220"
        assert door.process is not None
        door.process.send_signal(signal.SIGTERM)
        assert one.hear()[:3] == "421"
        assert one.end()[0] == 75
        assert door.process.wait(LIMIT) == 0


@pytest.mark.parametrize("when", ["at once", "after the greeting"])
def test_a_daemon_that_dies_is_told_in_smtp(door: Door, when: str) -> None:
    """Something that listens and hangs up stands in the daemon's place."""
    door.clear()
    door.socket.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(door.socket))
        listener.listen()

        def answer() -> None:
            line, _ = listener.accept()
            with line:
                line.recv(4096)
                if when != "at once":
                    line.sendall(b"220 here\r\n")
                    line.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        done = door.send("-bs", text=SCRIPT)
        thread.join()
    assert done.returncode == 75 and codes(done.stdout)[-1] == "421"
    assert done.stderr.count(b"\n") == 1 and b"the daemon" in done.stderr


def test_stalled_sessions_are_gone_when_their_commands_are(door: Door) -> None:
    door.send("-bs", text=b"QUIT\n")
    descriptors = door.descriptors()
    processes = [start(door) for _ in range(20)]
    for process in processes:
        Dialogue(process).hear()
    assert door.descriptors() >= descriptors + 20 - 1  # that of the first one may still have been there
    for process in processes:
        process.kill()
        process.communicate()
    until(lambda: door.descriptors() <= descriptors)
