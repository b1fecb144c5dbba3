"""Signals at each moment: until the message is taken they end the command cleanly, after that they change nothing."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import threading
from typing import BinaryIO

import pytest

from tests.command.caller import LIMIT, MESSAGE, Caller, state, two_addresses, unread, until, until_read
from tests.conftest import Installed
from tests.obedient import SILENCE, Obedient
from tests.ports import own_address

PLAIN = ("8BITMIME", "SIZE 100000000")
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def _end(process: "subprocess.Popen[bytes]", number: int) -> str:
    """Send the signal, and return the one line that the command says at its end with code 75."""
    process.send_signal(number)
    with process:
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (75, b""), err.decode()
    line = err.decode()
    assert line.startswith("sendmail: ") and line.count("\n") == 1 and f"ended by signal {number}" in line, line
    return line


def _heard(server: Obedient, beginning: str) -> bool:
    return any(line.startswith(beginning) for line in server.commands)


@pytest.mark.parametrize("number", ENDING)
def test_while_the_message_is_read_a_signal_means_do_not_send(caller: Caller, number: int) -> None:
    process = caller.start("-t")
    assert process.stdin is not None
    process.stdin.write(MESSAGE)
    process.stdin.flush()
    until_read(process.stdin.fileno())
    _end(process, number)
    assert caller.server.connections == 0


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("stage", ["greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"])
def test_while_the_server_is_waited_for_a_signal_ends_it_all_and_nothing_is_sent(
    caller: Caller, stage: str, number: int
) -> None:
    server = caller.server
    server.capabilities, server.mechanisms, server.answers = PLAIN, "PLAIN", {stage: SILENCE}
    words = {"user": "u", "password": "secret", "auth_without_tls": "on"}
    process = caller.start("-t", words=words, stdin=_file(caller))
    until(lambda: server.connections if stage == "greeting" else _heard(server, stage))
    line = _end(process, number)
    assert server.messages == [] and "not known" not in line
    assert any("ended by signal" in line for line in caller.log)


def _file(caller: Caller, message: bytes = MESSAGE) -> BinaryIO:
    path = caller.home / "message"
    path.write_bytes(message)
    return path.open("rb")


def test_while_connecting_a_signal_ends_it(caller: Caller) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with contextlib.ExitStack() as queue:  # what fills the listener's queue, so that nobody is answered any more
            for _ in range(4):
                waiting = queue.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.1", port))
            process = caller.start("-t", stdin=_file(caller), words={"port": str(port)})
            until(lambda: f":{port:04X} 02 " in pathlib.Path("/proc/net/tcp").read_text() and _connects(process.pid))
            _end(process, signal.SIGTERM)


def _connects(pid: int) -> bool:
    """Tell whether a process has a socket."""
    folder = pathlib.Path(f"/proc/{pid}/fd")
    try:
        return any("socket:" in os.readlink(entry) for entry in folder.iterdir())
    except FileNotFoundError:
        return False


@pytest.mark.usefixtures("superuser")
def test_while_the_name_is_looked_up_a_signal_ends_it(caller: Caller) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as nameserver:
        nameserver.bind((own_address(), 53))
        nameserver.settimeout(LIMIT)
        resolver = caller.home / "resolv.conf"
        resolver.write_text(f"nameserver {own_address()}\noptions timeout:30 attempts:1\n")
        shell = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
        command = ["--mount", "--propagation", "private", "sh", "-c", shell, "sh", str(resolver), caller.sendmail, "-t"]
        words = {"host": "smarthost.example"}
        process = caller.start(*command, command="unshare", stdin=_file(caller), words=words)
        assert b"smarthost" in nameserver.recv(512)
        _end(process, signal.SIGTERM)
        line = caller.refuse(75, *command, command="unshare", words={**words, "timeout": "1"})
        assert "smarthost.example" in line and "in time" in line


@pytest.mark.parametrize("stage", ["greeting", "STARTTLS"])
def test_the_tls_handshake_is_interrupted_as_well(
    installed: Installed, identities: dict[str, str], tmp_path: pathlib.Path, stage: str
) -> None:
    """Opportunistic TLS must not take it for a failed handshake, nor go on at another address of the host."""
    with Obedient(identities, tls="starttls", answers={stage: SILENCE}) as server:
        caller = Caller(installed.sendmail, tmp_path, server)
        caller.words |= {"tls": "opportunistic", "host": "localhost"}
        process = caller.start("-t", stdin=_file(caller))
        until(lambda: server.connections if stage == "greeting" else _heard(server, stage))
        _end(process, signal.SIGTERM)
    assert (server.connections, server.messages) == (1, [])


def test_a_handshake_that_hangs_is_interrupted(
    installed: Installed, identities: dict[str, str], tmp_path: pathlib.Path
) -> None:
    gate = threading.Event()

    class Hanging(Obedient):
        def context(self, identity: str, **options: object) -> object:  # type: ignore[override]
            gate.wait(LIMIT)
            return super().context(identity, **options)

    with Hanging(identities, tls="starttls") as server:
        caller = Caller(installed.sendmail, tmp_path, server)
        caller.words["tls"] = "opportunistic"
        process = caller.start("-t", stdin=_file(caller))
        until(lambda: _heard(server, "STARTTLS"))
        _end(process, signal.SIGTERM)
        gate.set()
    assert (server.connections, server.messages) == (1, [])


@pytest.mark.parametrize("capabilities", [PLAIN, (*PLAIN, "CHUNKING", "PIPELINING")], ids=["DATA", "BDAT"])
def test_a_large_message_that_is_broken_off_leaves_no_part_behind(
    caller: Caller, capabilities: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, gate, take = caller.server, threading.Event(), caller.server._take

    def wait_and_take(*arguments: object) -> str:
        gate.wait(LIMIT)
        return take(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(server, "_take", wait_and_take)
    server.capabilities = capabilities
    process = caller.start("-t", stdin=_file(caller, MESSAGE + (b"x" * 70 + b"\n") * 300_000))
    until(lambda: _heard(server, "DATA") or _heard(server, "BDAT"))
    until(lambda: state(process.pid) == "S")
    assert "not known" not in _end(process, signal.SIGTERM)
    gate.set()
    with socket.create_connection(("127.0.0.1", server.port)) as next_connection:
        assert next_connection.recv(3) == b"220"  # so the one before it is over
    assert server.messages == []


@pytest.mark.parametrize("number", ENDING)
def test_when_the_whole_message_has_left_it_says_that_it_does_not_know(caller: Caller, number: int) -> None:
    caller.server.answers["."] = SILENCE
    process = caller.start("-t", stdin=_file(caller))
    until(lambda: caller.server.messages)
    assert "not known whether the message was delivered" in _end(process, number)


@pytest.mark.parametrize("number", ENDING)
def test_an_answer_that_has_come_counts_even_if_a_signal_comes_with_it(caller: Caller, number: int) -> None:
    caller.server.gates["."] = threading.Event()
    process = caller.start("-t", stdin=_file(caller))
    until(lambda: caller.server.messages)
    process.send_signal(signal.SIGSTOP)
    until(lambda: state(process.pid) == "T")
    caller.server.gates["."].set()
    until(lambda: caller.server.deliveries)
    until(lambda: unread(caller.server.port))
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    with process:
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out, err) == (0, b"", b"")
    assert any("status=sent" in line for line in caller.log)


def test_an_answer_that_is_just_being_dealt_with_counts_too(caller: Caller) -> None:
    """The command is caught between the answer and its end: it waits for room to show the answer."""
    read, write = os.pipe()
    gate = caller.server.gates["."] = threading.Event()
    process = caller.start("-v", "-t", stdin=_file(caller), stderr=write)
    until(lambda: caller.server.messages)
    until(lambda: state(process.pid) == "S")
    plug = os.open(f"/proc/self/fd/{write}", os.O_WRONLY | os.O_NONBLOCK)  # our own, since the mode belongs to each
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(plug, b"x" * 4096)
    gate.set()
    until(lambda: caller.server.deliveries and not unread(caller.server.port))
    process.send_signal(signal.SIGTERM)
    for descriptor in (plug, write):
        os.close(descriptor)
    with process, open(read, "rb") as shown:
        shown.read()
        process.communicate(timeout=LIMIT)
    assert process.returncode == 0


@pytest.mark.usefixtures("superuser")
def test_no_other_address_of_the_host_is_tried_after_a_signal(caller: Caller) -> None:
    caller.server.answers["greeting"] = SILENCE
    with Obedient(host="127.0.0.2", port=caller.server.port, answers={"greeting": SILENCE}) as other:
        words = {"host": "smarthost.test"}
        process = caller.start(*two_addresses(caller), "-t", command="unshare", stdin=_file(caller), words=words)
        until(lambda: caller.server.connections + other.connections)
        until(lambda: b"sendmail" in pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes())
        _end(process, signal.SIGTERM)
        assert caller.server.connections + other.connections == 1


def test_signals_that_the_caller_ignores_end_nothing(caller: Caller) -> None:
    caller.server.gates["."] = threading.Event()

    def ignore() -> None:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)

    process = caller.start("-t", stdin=_file(caller), preexec_fn=ignore)
    until(lambda: caller.server.messages)
    for number in ENDING:
        process.send_signal(number)
    caller.server.gates["."].set()
    with process:
        assert process.communicate(timeout=LIMIT) == (b"", b"")
    assert process.returncode == 0


def test_a_message_for_many_is_not_sent_on_after_a_signal(caller: Caller) -> None:
    caller.server.answers["MAIL FROM:<sender@example.org> SIZE"] = "250 ok"
    caller.server.gates["."] = threading.Event()
    process = caller.start("a@x", "b@x", "c@x", stdin=_file(caller), words={"max_recipients": "1"})
    until(lambda: caller.server.messages)
    process.send_signal(signal.SIGTERM)
    with process:
        _, err = process.communicate(timeout=LIMIT)
    caller.server.gates["."].set()
    assert process.returncode == 75
    assert b"a@x" in err and b"b@x" in err and b"c@x" in err
    assert len(caller.server.messages) == 1


def test_a_command_for_the_password_that_is_just_starting_ends_with_the_command_too(caller: Caller) -> None:
    """It sends the signal itself as soon as it can, to catch us at work; and it holds on to our standard error."""
    words = {"passwordeval": "kill -TERM $PPID; exec sleep 1000", "user": "u", "auth_without_tls": "on"}
    for _ in range(10):
        assert "ended by signal 15" in caller.refuse(75, "-t", words=words)
    assert caller.server.connections == 0


def test_the_command_for_the_password_ends_with_the_command(caller: Caller) -> None:
    mark = caller.home / "pid"
    words = {"passwordeval": f"echo $$ > {mark}.new; mv {mark}.new {mark}; exec sleep 1000", "user": "u",
             "auth_without_tls": "on"}  # fmt: skip
    process = caller.start("-t", stdin=_file(caller), words=words)
    until(mark.exists)
    _end(process, signal.SIGTERM)
    child = int(mark.read_text())
    until(lambda: state(child) in ("", "Z"))
    assert caller.server.connections == 0


def test_the_exit_code_only_mode_is_silent_here_too(caller: Caller) -> None:
    caller.server.answers["."] = SILENCE
    process = caller.start("-oeq", "-t", stdin=_file(caller))
    until(lambda: caller.server.messages)
    process.send_signal(signal.SIGINT)
    with process:
        assert process.communicate(timeout=LIMIT) == (b"", b"")
    assert process.returncode == 75


def test_a_command_that_is_killed_sends_nothing(caller: Caller) -> None:
    process = caller.start("-t")
    assert process.stdin is not None
    process.stdin.write(MESSAGE)
    process.stdin.flush()
    until_read(process.stdin.fileno())
    process.kill()
    with process:
        process.communicate(timeout=LIMIT)
    assert caller.server.connections == 0
