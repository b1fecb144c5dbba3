"""A daemon that has its configuration from the service manager takes a new one from root, and from nobody else."""

import os
import pathlib
import subprocess
import tempfile

import pytest

from pysendmail.daemon import renewal
from tests.conftest import Installed, everybodys_python
from tests.daemon.running import PASSWORD, Running, is_alive, wait_until

pytestmark = pytest.mark.usefixtures("superuser")

STRANGER = 54321
SECRET = "setup.file.accounts['default'].words['password'][0]"


@pytest.fixture
def served(daemon: Running) -> Running:
    """Give a daemon of a stranger, who has the configuration among the service manager's credentials."""
    os.chown(daemon.folder, STRANGER, STRANGER)
    daemon.python = everybodys_python()
    del daemon.words["run_as"]
    daemon.environ["CREDENTIALS_DIRECTORY"] = str(daemon.folder)
    daemon.configure()
    os.chown(daemon.path, STRANGER, STRANGER)
    os.chmod(daemon.path, 0o440)
    command = ["setpriv", "--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups", "--", *daemon.command("-f")]
    daemon.process = subprocess.Popen(command, env=daemon.environ, stderr=subprocess.PIPE, cwd=daemon.folder)
    wait_until(daemon.serves)
    return daemon


def new(daemon: Running, **words: str) -> pathlib.Path:
    """Write the file that only root can read."""
    path = daemon.folder / "new.conf"
    path.write_text("".join(f"{word} {value}\n" for word, value in {**daemon.words, **words}.items()))
    path.chmod(0o600)
    return path


def reload(installed: Installed, path: pathlib.Path, pid: int) -> "subprocess.CompletedProcess[bytes]":
    command = [str(installed.prefix / "sbin/pysendmaild"), "--reload", str(pid), "-C", str(path)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


def test_root_hands_over_what_the_daemon_cannot_read(installed: Installed, served: Running) -> None:
    deliver = served.deliver()
    assert served.ask_deliver(SECRET) == repr(PASSWORD.encode())
    for number in range(2):
        done = reload(installed, new(served, password=f"new{number}" + "x" * (9 - 5 * number)), served.parent())
        assert (done.returncode, done.stderr) == (0, b"")
        wait_until(lambda: not is_alive(deliver))  # noqa: B023
        wait_until(served.serves)
        deliver = served.deliver()
        assert served.ask_deliver(SECRET) == repr(f"new{number}".encode() + b"x" * (9 - 5 * number))
    assert served.ask(SECRET) == "b'secret'"


def test_a_wrong_configuration_is_told_to_whoever_reloads_and_does_not_reach_the_daemon(
    installed: Installed, served: Running
) -> None:
    deliver = served.deliver()
    done = reload(installed, new(served, nonsense="x"), served.parent())
    assert done.returncode == 78 and b'new.conf:8: unknown word "nonsense"' in done.stderr
    assert served.deliver() == deliver


@pytest.mark.parametrize("pid", ["0", "-1", "x", "99999999999"])
def test_what_is_no_process_id_is_a_wrong_command_line(installed: Installed, pid: str) -> None:
    done = subprocess.run([installed.prefix / "sbin/pysendmaild", "--reload", pid], capture_output=True, timeout=60)
    assert done.returncode == 64 and b"Traceback" not in done.stderr


def test_a_process_that_is_not_there_is_told(installed: Installed, daemon: Running) -> None:
    daemon.configure()
    done = reload(installed, daemon.path, 2**22)
    assert done.returncode == 75 and done.stderr.count(b"\n") == 1


def test_a_process_that_is_no_daemon_is_left_alone(installed: Installed, daemon: Running) -> None:
    daemon.configure()
    with subprocess.Popen(["sleep", "1000"]) as process:
        done = reload(installed, daemon.path, process.pid)
        assert done.returncode == 75 and b"is no daemon of pysendmail" in done.stderr and done.stderr.count(b"\n") == 1
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize("folder", ["/var/tmp", "/dev/shm"])
def test_nothing_else_than_a_file_in_memory_is_ever_written_to(folder: str) -> None:
    # What a daemon that was taken over could show in its place: a file of root's that it can read.
    with tempfile.TemporaryDirectory(dir=folder) as name:
        victim = pathlib.Path(name) / "victim"
        victim.write_text("precious")
        with victim.open() as file:
            with pytest.raises(OSError, match="none in memory|Invalid argument"):
                renewal._give(f"/proc/self/fd/{file.fileno()}", b"evil")
        assert victim.read_text() == "precious"


def test_neither_accept_nor_a_stranger_can_open_the_file_in_memory(served: Running) -> None:
    parent = served.parent()
    (number,) = [
        name for name in os.listdir(f"/proc/{parent}/fd") if renewal._NAME in os.readlink(f"/proc/{parent}/fd/{name}")
    ]
    assert served.ask(f"open('/proc/{parent}/fd/{number}', 'w')").startswith("PermissionError")
    done = subprocess.run(["cat", f"/proc/{parent}/fd/{number}"], user=STRANGER, capture_output=True, timeout=60)
    assert b"Permission denied" in done.stderr
