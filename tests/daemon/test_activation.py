"""The service manager: sockets handed over, what it is told, its watchdog."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from pysendmail import errors
from pysendmail.daemon import listening
from tests.conftest import skip
from tests.daemon.running import LIMIT, Running, answers, ask, wait_until
from tests.ports import free_port


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, daemon: Running) -> Iterator["Manager"]:
    """Give a service manager that listens on a socket in the file system or on one without a file."""
    name = f"@pysendmail-{os.getpid()}" if request.param == "abstract" else str(daemon.folder / "notify")
    told = Manager(daemon, name)
    yield told
    told.sock.close()


class Manager:
    """Who is told how the daemon does."""

    def __init__(self, daemon: Running, name: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + name[1:] if name[0] == "@" else name)
        self.sock.settimeout(LIMIT)
        daemon.environ["NOTIFY_SOCKET"] = name

    def hear(self) -> dict[str, str]:
        """Wait for one message."""
        lines = self.sock.recv(4096).decode().split("\n")
        return dict(line.partition("=")[::2] for line in lines)


def test_it_tells_when_it_is_ready_reloads_and_ends(daemon: Running, manager: Manager) -> None:
    process = daemon.start()
    assert manager.hear() == {"READY": "1", "STATUS": f"Serving {daemon.socket}"}
    before = time.monotonic()
    process.send_signal(signal.SIGHUP)
    told = manager.hear()
    assert told["RELOADING"] == "1" and before <= int(told["MONOTONIC_USEC"]) / 1e6 <= time.monotonic()
    assert manager.hear()["READY"] == "1"
    daemon.configure(nonsense="x")
    process.send_signal(signal.SIGHUP)
    assert manager.hear()["RELOADING"] == "1"
    told = manager.hear()
    assert told["READY"] == "1" and 'unknown word "nonsense"' in told["STATUS"]
    assert daemon.stop() == 0
    assert manager.hear() == {"STOPPING": "1", "STATUS": "Ending"}


def test_it_is_not_ready_before_its_children_are(daemon: Running, manager: Manager) -> None:
    started = time.monotonic()
    daemon.launch(from_full_name="slow")
    assert manager.hear()["READY"] == "1"
    assert time.monotonic() - started > 1


def test_the_watchdog_hears_of_it_as_long_as_both_children_are_well(daemon: Running, manager: Manager) -> None:
    daemon.environ["WATCHDOG_USEC"] = "1000000"
    daemon.start("recent=1")
    assert "READY" in manager.hear()
    for _ in range(4):
        begun = time.monotonic()
        assert manager.hear() == {"WATCHDOG": "1"}
    daemon.ask_deliver("setattr(servant, 'beating', False)")
    deliver = daemon.deliver()
    manager.sock.settimeout(5)
    with pytest.raises(TimeoutError):
        for _ in range(30):
            assert manager.hear() == {"WATCHDOG": "1"}
    assert time.monotonic() - begun > 5
    os.kill(deliver, signal.SIGKILL)
    manager.sock.settimeout(LIMIT)
    assert manager.hear() == {"WATCHDOG": "1"}


@pytest.mark.parametrize("address", ["", "relative", "/nonexistent/notify", "@nobody-listens-here-4711", "/" + 200 * "x"])
def test_a_manager_who_is_not_there_is_not_missed(daemon: Running, address: str) -> None:
    daemon.environ.update(NOTIFY_SOCKET=address, WATCHDOG_USEC="nonsense", LISTEN_FDS="x", LISTEN_PID="1")
    daemon.start()
    assert daemon.stop() == 0


def test_what_the_manager_said_is_not_in_the_environment_of_the_children(daemon: Running, manager: Manager) -> None:
    daemon.environ.update(WATCHDOG_USEC="9000000", PYTHONPATH="/x", SSLKEYLOGFILE="/x", LD_PRELOAD_NOT="x", SECRET="x")
    daemon.start()
    for asked in (daemon.ask, daemon.ask_deliver):
        assert set(eval(asked("dict(os.environ)"))) <= {"PATH", "TZ", "LC_CTYPE", "LANG"}


class Activated:
    """A daemon that systemd-socket-activate starts with the first caller."""

    def __init__(self, daemon: Running, *options: str, **words: str) -> None:
        tool = shutil.which("systemd-socket-activate")
        if tool is None:
            skip("systemd-socket-activate (package systemd) is not installed")
        daemon.configure(submission_socket="", **words)
        self.socket = daemon.folder / "passed"
        command = [str(tool), "-l", str(self.socket), *options, *daemon.command("-f", "idle=2")]
        self.process = subprocess.Popen(command, env=daemon.environ, stderr=subprocess.DEVNULL)
        daemon.process = self.process  # whatever becomes of the test, it is ended
        wait_until(self._listens)

    def _listens(self) -> bool:
        """Tell whether the socket listens, as the flag in the table of the kernel says, without a call that starts it."""
        lines = pathlib.Path("/proc/net/unix").read_text().splitlines()
        return any(line.split()[3] == "00010000" for line in lines if line.endswith(str(self.socket)))


@pytest.mark.parametrize("options", [(), ("--fdname=submit",)], ids=["by family", "by name"])
def test_it_serves_the_socket_that_it_is_given_and_the_caller_who_started_it(
    daemon: Running, options: tuple[str, ...]
) -> None:
    activated = Activated(daemon, *options)
    before = activated.socket.stat().st_ino
    assert ask(activated.socket, "setup.sockets[0][0]") == "'frames'"
    wait_until(lambda: answers(daemon.deliver_socket))
    assert activated.process.wait(LIMIT) == 0  # idle
    assert activated.socket.stat().st_ino == before  # it is the manager's


def test_a_tcp_socket_is_for_smtp(daemon: Running) -> None:
    if shutil.which("systemd-socket-activate") is None:
        skip("systemd-socket-activate (package systemd) is not installed")
    port = free_port()
    daemon.configure(submission_socket="")
    command = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", *daemon.command("-f")]
    with subprocess.Popen(command, env=daemon.environ, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: _connects(port))
        wait_until(lambda: answers(daemon.deliver_socket))
        with socket.create_connection(("127.0.0.1", port), LIMIT) as sock:
            sock.sendall(b"setup.sockets[0][0]\n")
            assert sock.recv(100) == b"'smtp'\n"
        process.terminate()
        assert process.wait(LIMIT) == 0


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", ["datagram", "connection", "file"])
def test_what_is_no_listening_socket_is_refused(daemon: Running, kind: str) -> None:
    daemon.configure()
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
    with one, other:
        command = ["sh", "-c", 'exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh", *daemon.command("-f")]
        stdin = subprocess.DEVNULL if kind == "file" else one.fileno()
        done = subprocess.run(command, env=daemon.environ, stdin=stdin, capture_output=True, timeout=LIMIT)
    assert done.returncode == 78
    said = b"is no socket" if kind == "file" else b"does not listen for streams"
    assert said in done.stderr and done.stderr.count(b"\n") == 1


def test_addresses_of_the_configuration_are_opened_beside_the_socket_of_the_manager(daemon: Running) -> None:
    port = free_port()
    activated = Activated(daemon, listen=f"127.0.0.1:{port}")
    assert ask(activated.socket, "sorted(kind for kind, _ in setup.sockets)") == "['frames', 'smtp']"
    assert ask(activated.socket, "setup.idle") == "None"  # nobody would start it again for the port
    with socket.create_connection(("127.0.0.1", port), LIMIT) as sock:
        sock.sendall(b"1 + 1\n")
        assert sock.recv(100) == b"2\n"
    daemon.configure(submission_socket="")
    activated.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not _connects(port))
    assert ask(activated.socket, "[kind for kind, _ in setup.sockets]") == "['frames']"
    assert activated.process.wait(LIMIT) == 0  # idle


def test_a_port_that_is_in_use_is_told(daemon: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = daemon.run("-f", listen=f"127.0.0.1:{port}")
    assert done.returncode == 75
    assert done.stderr.decode() == f"pysendmaild: 127.0.0.1:{port}: another program listens there\n"
    assert not daemon.socket.exists()


def test_an_address_that_the_machine_lacks_is_told_unless_it_is_optional() -> None:
    assert listening.bind_port("192.0.2.1", 2525, True) == []
    with pytest.raises(errors.SystemFailure, match="192.0.2.1:2525: cannot listen there: Cannot assign requested address"):
        listening.bind_port("192.0.2.1", 2525, False)
