"""A user's own daemon: run by hand, by the service manager, or because his configuration says so."""

import contextlib
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from tests.command.caller import MESSAGE, Caller
from tests.conftest import Installed
from tests.crowd import Crowd
from tests.daemon.running import LIMIT, is_alive, wait_until

# The agent's processes are found by their environment, which only root can see: they are closed to their own user.
pytestmark = pytest.mark.usefixtures("superuser")


class User(Caller):
    """A caller with a runtime folder, and perhaps an agent."""

    def __init__(self, installed: Installed, home: pathlib.Path, server: Crowd) -> None:
        super().__init__(installed.sendmail, home, server)
        self.agent = str(installed.prefix / "bin" / "pysendmail")
        self.runtime = home / "run"
        self.runtime.mkdir(mode=0o700)
        self.socket = self.runtime / "pysendmail" / "submit.sock"
        self.environ["XDG_RUNTIME_DIR"] = str(self.runtime)

    def run_agent(self, *arguments: str, **words: str) -> "subprocess.CompletedProcess[bytes]":
        self.configure(**words)
        command = [self.agent, "agent", *arguments]
        return subprocess.run(command, env=self.environ, capture_output=True, timeout=LIMIT, check=False)

    def processes(self) -> list[int]:
        """Give every process of this user's agent: they alone have his folder in their environment."""
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")
                environ = (folder / "environ").read_bytes()
            except OSError:
                continue
            if b"agent" in command and f"XDG_RUNTIME_DIR={self.runtime}".encode() in environ.split(b"\0"):
                found.append(int(folder.name))
        return found

    def leaders(self) -> list[int]:
        """Give those among them who lead a session: who starts an agent, until it serves, and its parent."""
        found = []
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(pid) == pid:
                    found.append(pid)
        return found

    def leader(self) -> int:
        """Give the parent among them, once the agent serves."""
        wait_until(lambda: len(self.processes()) == 3 and len(self.leaders()) == 1)
        (leader,) = self.leaders()
        return leader

    def clear(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not self.processes())


@pytest.fixture
def user(installed: Installed) -> Iterator[User]:
    home = pathlib.Path(tempfile.mkdtemp(prefix="pysendmail-"))  # the name of a socket has to be short
    with Crowd() as server:
        made = User(installed, home, server)
        yield made
        made.clear()
    shutil.rmtree(home)


def arrived(user: User, number: int) -> None:
    wait_until(lambda: len(user.server.deliveries) == number)


def test_messages_go_through_it_from_the_user_s_own_queue(user: User) -> None:
    done = user.run_agent()
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert stat.S_IMODE(user.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(user.socket.parent.stat().st_mode) == 0o700
    assert (user.home / ".local/state/pysendmail/queue").exists()
    for number in range(1, 4):
        done = user.run("-i", "bob@example.net")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        arrived(user, number)
    assert "/qmgr[" in (user.home / "log").read_text() or "status=sent" in (user.home / "log").read_text()
    leader = user.leader()
    os.kill(leader, signal.SIGTERM)
    wait_until(lambda: not is_alive(leader))
    assert not user.socket.exists() and user.processes() == []
    done = user.run("-i", "bob@example.net")  # without it the command does the work itself
    assert done.returncode == 0
    arrived(user, 4)


def test_a_second_one_is_told_of_the_first(user: User) -> None:
    assert user.run_agent().returncode == 0
    done = user.run_agent()
    assert done.returncode == 75
    assert done.stderr.decode() == f"pysendmail: {user.socket}: another daemon serves this socket\n"


def test_idle_it_ends_by_itself(user: User) -> None:
    assert user.run_agent(idle_exit="2s").returncode == 0
    wait_until(lambda: user.processes() == [])
    assert not user.socket.exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", "XDG_RUNTIME_DIR names no folder, so sendmail would not find the agent"),
        ("relative", "XDG_RUNTIME_DIR names no folder"),
        ("/nonexistent", "/nonexistent: XDG_RUNTIME_DIR: No such file or directory"),
        ("{}/open", "{}/open: XDG_RUNTIME_DIR must be a folder of yours that nobody else can write to"),
    ],
)  # fmt: skip
def test_a_folder_that_is_not_the_user_s_alone_is_refused(user: User, value: str, text: str) -> None:
    (user.home / "open").mkdir()
    (user.home / "open").chmod(0o777)
    user.environ["XDG_RUNTIME_DIR"] = value.format(user.home)
    done = user.run_agent()
    assert done.returncode == 78
    assert done.stderr.decode().startswith("pysendmail: " + text.format(user.home)) and done.stderr.count(b"\n") == 1
    user.environ["XDG_RUNTIME_DIR"] = str(user.runtime)


def test_the_first_message_starts_it_where_the_configuration_says_so(user: User) -> None:
    done = user.run("-i", "bob@example.net", words={"agent": "on"})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(user.server.deliveries) == 1
    wait_until(user.socket.exists)
    leader = user.leader()
    assert {os.readlink(f"/proc/{leader}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
    for number in range(2, 5):
        assert user.run("-i", "bob@example.net", words={"agent": "on"}).returncode == 0
        arrived(user, number)
    assert user.leader() == leader
    user.run("-v", "-i", "bob@example.net", words={"agent": "on"})
    user.run("-C", str(user.path), "-i", "bob@example.net", words={"agent": "on"})
    assert user.leader() == leader


@pytest.mark.parametrize("words", [{}, {"agent": "off"}])
def test_without_the_word_nothing_is_started(user: User, words: dict[str, str]) -> None:
    assert user.run("-i", "bob@example.net", words=words).returncode == 0
    assert user.processes() == [] and not user.socket.exists()


def test_an_agent_that_cannot_start_is_no_business_of_the_sender(user: User) -> None:
    (user.runtime / "pysendmail").write_text("in the way")
    done = user.run("-i", "bob@example.net", words={"agent": "on"})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(user.server.deliveries) == 1


def test_a_crowd_of_callers_starts_one(user: User) -> None:
    user.configure(agent="on")
    command = [user.sendmail, "-i", "bob@example.net"]
    many = [subprocess.Popen(command, env=user.environ, stdin=subprocess.PIPE) for _ in range(8)]
    for one in many:
        assert one.stdin is not None
        one.stdin.write(MESSAGE)
        one.stdin.close()
    assert [one.wait(LIMIT) for one in many] == [0] * 8
    arrived(user, 8)
    assert user.leader()


def test_one_that_was_killed_is_in_nobody_s_way(user: User) -> None:
    assert user.run_agent(agent="on").returncode == 0
    for pid in user.processes():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: user.processes() == [])
    assert user.socket.exists()
    done = user.run("-i", "bob@example.net", words={"agent": "on"})
    assert (done.returncode, done.stderr) == (0, b"")
    arrived(user, 1)
    wait_until(lambda: len(user.processes()) == 3)
