"""The real programs on a machine of their own: sendmail hands over to the daemon, which delivers, whatever happens to it."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest

from tests.command.caller import MESSAGE
from tests.conftest import Installed, everybodys_python, make_install, skip
from tests.crowd import Crowd
from tests.daemon.running import LIMIT, is_alive, wait_until
from tests.daemon.siege import CONNECTIONS
from tests.obedient import Obedient

pytestmark = pytest.mark.usefixtures("superuser")

STRANGER = 54321
PASSWORD = "open-sesame-4711"
# Gives the processes below a /run, /etc/pysendmail and /var/spool/pysendmail of their own, then waits for its input's end.
MACHINE = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /etc/pysendmail /var/spool
mount -t tmpfs -o mode=755 tmpfs /etc/pysendmail
mount -t tmpfs -o mode=755 tmpfs /var/spool
cp "$1" /etc/pysendmail/pysendmail.conf
chmod 600 /etc/pysendmail/pysendmail.conf
echo ready
exec cat
"""


class Machine:
    """A mount namespace in which the daemon's usual places are empty but for a configuration."""

    script = MACHINE

    def __init__(self, prefix: pathlib.Path, folder: pathlib.Path, server: Obedient) -> None:
        self.prefix = prefix
        self.server = server
        self.log = folder / "log"
        self.log.touch()
        self.log.chmod(0o666)
        config = folder / "conf"
        config.write_text(
            f"host 127.0.0.1\nport {server.port}\ntls off\nauth plain\nauth_without_tls on\nuser alice\npassword {PASSWORD}\n"
            f"from alice@example.org\nmaildomain example.org\nrun_as nobody\nsyslog off\nlogfile {self.log}\nretry 1s 2s\n"
        )
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", self.script, "sh", str(config)]
        self.keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.keeper.stdout is not None
        if self.keeper.stdout.readline() != b"ready\n":
            skip("no mount namespace can be made here")
        self.started: list[int] = []

    def command(self, program: str, *arguments: str, uid: int = 0) -> list[str]:
        inside = ["nsenter", "--mount", f"--target={self.keeper.pid}", "--"]
        if uid:
            inside += ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
        return [*inside, str(self.prefix / program), *arguments]

    def run(
        self, program: str, *arguments: str, uid: int = 0, message: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}
        command = self.command(program, *arguments, uid=uid)
        return subprocess.run(command, input=message, env=environ, capture_output=True, timeout=LIMIT, check=False)

    def start(self, *command: str) -> int:
        """Start the daemon in the background and return its process id."""
        done = self.run(*(command or ("sbin/sendmail", "-bd")))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        (pid,) = self.leaders()
        self.started.append(pid)
        return pid

    def leaders(self) -> list[int]:
        """Give the daemons that are alive here."""
        mine = os.readlink(f"/proc/{self.keeper.pid}/ns/mnt")
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                pid = int(folder.name)
                if os.readlink(folder / "ns/mnt") == mine and os.getsid(pid) == pid and is_alive(pid):
                    found.append(pid)
            except OSError:
                continue
        return found

    def children(self, pid: int) -> list[int]:
        return [int(one) for one in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def send(self, number: int, *arguments: str, uid: int = STRANGER) -> int:
        message = MESSAGE.replace(b"Subject: hello", b"Subject: number %d" % number)
        done = self.run("sbin/sendmail", "-i", *arguments, "bob@example.net", uid=uid, message=message)
        assert done.returncode in (0, 75), done
        return done.returncode

    def arrived(self) -> list[int]:
        """Give the numbers of the messages that have arrived."""
        found = []
        for delivery in list(self.server.deliveries):
            line = next(line for line in delivery.data.split(b"\r\n") if line.startswith(b"Subject: number "))
            found.append(int(line.rpartition(b" ")[2]))
        return found

    def clear(self) -> None:
        for pid in self.leaders():
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: self.leaders() == [])
        assert self.keeper.stdin is not None and self.keeper.stdout is not None
        self.keeper.stdin.close()
        self.keeper.wait(LIMIT)
        self.keeper.stdout.close()


@pytest.fixture(scope="module")
def prefix() -> Iterator[pathlib.Path]:
    """Install the programs where every user can run them."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pysendmail-prefix-"))
    folder.chmod(0o755)
    make_install(str(folder), python=everybodys_python())
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def machine(prefix: pathlib.Path) -> Iterator[Machine]:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pysendmail-"))
    folder.chmod(0o755)
    with Crowd(mechanisms="PLAIN") as server:
        made = Machine(prefix, folder, server)
        yield made
        made.clear()
    shutil.rmtree(folder)


@pytest.mark.parametrize("program", [("sbin/sendmail", "-bd"), ("sbin/sendmail", "-bl", "-q5m"), ("sbin/pysendmaild",)], ids=" ".join)
def test_any_user_sends_through_it_and_nobody_can_read_its_configuration(machine: Machine, program: tuple[str, ...]) -> None:
    pid = machine.start(*program)
    for one in machine.children(pid):
        assert (os.stat(f"/proc/{one}").st_uid, os.stat(f"/proc/{one}/environ").st_uid) == (65534, 0)  # closed to its user
    for number in range(3):
        assert machine.send(number) == 0
    wait_until(lambda: sorted(machine.arrived()) == [0, 1, 2])
    assert machine.send(3, "-odi") == 0
    assert 3 in machine.arrived()
    done = machine.run("sbin/sendmail", "-C", "/etc/pysendmail/pysendmail.conf", "-i", "x@y.example", uid=STRANGER)
    assert done.returncode == 78 and PASSWORD.encode() not in done.stderr
    assert machine.run("sbin/sendmail", "-bd").returncode == 75
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: machine.leaders() == [])
    assert machine.log.read_text().count("master[") == 2


def test_while_it_is_away_a_user_who_cannot_read_the_secret_is_told_to_try_later(machine: Machine) -> None:
    pid = machine.start()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: machine.leaders() == [])
    done = machine.run("sbin/sendmail", "-i", "bob@example.net", uid=STRANGER, message=MESSAGE)
    assert done.returncode == 75 and b"the daemon is not there" in done.stderr and done.stderr.count(b"\n") == 1
    assert machine.send(1, uid=0) == 0 and machine.arrived() == [1]  # root can read it, and delivers himself


def test_who_calls_while_it_is_being_restarted_is_served(machine: Machine) -> None:
    pid = machine.start()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: machine.leaders() == [])
    caller = subprocess.Popen(
        machine.command("sbin/sendmail", "-i", "bob@example.net", uid=STRANGER),
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert caller.stdin is not None
    caller.stdin.write(MESSAGE.replace(b"Subject: hello", b"Subject: number 7"))
    caller.stdin.close()
    caller.stdin = None
    time.sleep(1)
    machine.start()
    _, said = caller.communicate(timeout=LIMIT)
    assert (caller.returncode, said) == (0, b"")
    wait_until(lambda: machine.arrived() == [7])


def test_its_processes_together_are_small_when_idle(machine: Machine) -> None:
    pid = machine.start()
    assert machine.send(0) == 0
    wait_until(lambda: machine.arrived() == [0])
    total = 0
    for one in (pid, *machine.children(pid)):
        rollup = pathlib.Path(f"/proc/{one}/smaps_rollup").read_text()
        total += int(rollup.partition("\nPss:")[2].split()[0])
    assert total < 45 * 1024, f"{total} kB"


def test_nothing_that_was_taken_is_lost_while_it_reloads_and_its_children_are_killed(machine: Machine) -> None:
    pid = machine.start()
    taken, number = set(), 0
    for turn in range(8):
        for _ in range(4):
            if machine.send(number) == 0:
                taken.add(number)
            number += 1
        if turn % 3 == 0:
            os.kill(pid, signal.SIGHUP)
        else:
            with contextlib.suppress(IndexError, ProcessLookupError):
                os.kill(machine.children(pid)[turn % 2], signal.SIGTERM if turn % 2 else signal.SIGKILL)
    assert len(taken) > number // 2
    wait_until(lambda: set(machine.arrived()) >= taken, f"{sorted(taken - set(machine.arrived()))} are missing")
    arrived = machine.arrived()
    # The answer to what was on the wire when deliver was killed, twice, is not known.
    assert len(arrived) - len(set(arrived)) <= 2 * CONNECTIONS


def test_killed_altogether_it_has_lost_nothing_when_it_comes_back(machine: Machine) -> None:
    pid = machine.start()
    machine.server.answers["MAIL"] = "450 4.3.2 not now"
    for number in range(5):
        assert machine.send(number) == 0
    children = machine.children(pid)
    for one in (pid, *children):
        os.kill(one, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, (pid, *children))))
    machine.server.answers.clear()
    machine.start()
    wait_until(lambda: sorted(machine.arrived()) == [0, 1, 2, 3, 4])
    time.sleep(0.5)
    assert sorted(machine.arrived()) == [0, 1, 2, 3, 4]


def test_a_service_user_cannot_run_a_daemon_by_a_configuration_of_his_own(machine: Machine, tmp_path: pathlib.Path) -> None:
    for uid in (33, 999):
        done = machine.run("sbin/sendmail", "-bd", "-C", "/tmp/evil.conf", uid=uid)
        assert done.returncode == 77 and b"may not use -C" in done.stderr


def test_an_empty_name_is_no_configuration(installed: Installed) -> None:
    for command in (["sbin/pysendmaild", "-C", ""], ["sbin/sendmail", "-bD", "-C", ""]):
        done = subprocess.run([installed.prefix / command[0], *command[1:]], capture_output=True, timeout=LIMIT)
        assert done.returncode in (64, 78) and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("arguments", [["--nonsense"], ["-C"], ["x"]])
def test_a_wrong_command_line_of_pysendmaild_is_told(installed: Installed, arguments: list[str]) -> None:
    done = subprocess.run([installed.prefix / "sbin/pysendmaild", *arguments], capture_output=True, timeout=LIMIT)
    assert done.returncode == 64 and b"Traceback" not in done.stderr


def test_nobody_who_has_called_is_sent_away_by_a_reload(machine: Machine) -> None:
    pid = machine.start()
    # One is slow with his message, one has only just connected, and one talks SMTP to the daemon through sendmail -bs.
    slow = subprocess.Popen(machine.command("sbin/sendmail", "-i", "bob@example.net", uid=STRANGER), stdin=subprocess.PIPE)
    talks = subprocess.Popen(
        machine.command("sbin/sendmail", "-bs", uid=STRANGER), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert slow.stdin is not None and talks.stdin is not None and talks.stdout is not None
    assert talks.stdout.readline().startswith(b"220 ")
    slow.stdin.write(b"From: a@example.org\nTo: b@example.net\nSubject: number 1\n\n" + b"x" * 70 + b"\n" * (1 << 21))
    slow.stdin.flush()
    callers = [
        subprocess.Popen(machine.command("sbin/sendmail", "-i", "bob@example.net", uid=STRANGER), stdin=subprocess.PIPE)
        for _ in range(4)
    ]
    before = machine.children(pid)
    for number, caller in enumerate(callers, 2):
        assert caller.stdin is not None
        caller.stdin.write(b"From: a@example.org\nTo: b@example.net\nSubject: number %d\n\n" % number)
        os.kill(pid, signal.SIGHUP)
        caller.stdin.close()
    wait_until(lambda: machine.log.read_text().count("was read anew") >= 1 and len(set(machine.children(pid)) - set(before)) >= 1)
    slow.stdin.close()
    talks.stdin.write(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nSubject: number 9\r\n\r\nx\r\n.\r\nQUIT\r\n")
    talks.stdin.flush()
    said = talks.stdout.read()
    assert [line[:3] for line in said.splitlines()] == [b"250", b"250", b"354", b"250", b"221"], said
    assert [one.wait(LIMIT) for one in (slow, talks, *callers)] == [0] * 6
    talks.stdin.close()
    talks.stdout.close()
    wait_until(lambda: sorted(machine.arrived()) == [1, 2, 3, 4, 5, 9])


def test_nobody_who_has_called_is_sent_away_when_it_ends(machine: Machine) -> None:
    pid = machine.start()
    command = machine.command("sbin/sendmail", "-i", "bob@example.net", uid=STRANGER)
    accept = next(one for one in machine.children(pid) if "socket:" in str(_descriptors(one)))
    os.kill(accept, signal.SIGSTOP)
    callers = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    for number, caller in enumerate(callers):
        assert caller.stdin is not None
        caller.stdin.write(b"From: a@example.org\nTo: b@example.net\nSubject: number %d\n\n" % number)
        caller.stdin.close()
    wait_until(lambda: all("socket:" in str(_descriptors(one.pid)) for one in callers))
    time.sleep(0.2)
    os.kill(pid, signal.SIGTERM)
    time.sleep(0.2)
    os.kill(accept, signal.SIGCONT)
    assert [one.wait(LIMIT) for one in callers] == [0] * 4
    for caller in callers:
        assert caller.stderr is not None
        caller.stderr.close()
    wait_until(lambda: machine.leaders() == [])
    machine.start()
    wait_until(lambda: sorted(machine.arrived()) == [0, 1, 2, 3])


def _descriptors(pid: int) -> list[str]:
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found
