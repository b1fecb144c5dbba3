"""Who the daemon's processes are, and that none but deliver can come by a secret."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from tests.conftest import everybodys_python, skip
from tests.daemon.running import LIMIT, PASSWORD, Running, answers, is_alive, wait_until

pytestmark = pytest.mark.usefixtures("superuser")

NOBODY, STRANGER = 65534, 54321
# Each tries to come by what is in the process PID; for lack of rights it must raise PermissionError or return 1.0.
ATTACKS = {
    "mem": "open('/proc/PID/mem', 'rb').read(1)",
    "environ": "open('/proc/PID/environ', 'rb').read()",
    "maps": "open('/proc/PID/maps').read()",
    "descriptors": "os.listdir('/proc/PID/fd')",
    "ptrace": "(lambda c: c.CDLL(None, use_errno=True).ptrace(16, PID, 0, 0) == 0 or 1 / (c.get_errno() == 1))(__import__('ctypes'))",
    "pidfd_getfd": "(lambda c: c.CDLL(None, use_errno=True).syscall(438, os.pidfd_open(PID), 0, 0) >= 0 or 1 / (c.get_errno() == 1))(__import__('ctypes'))",
}
STATUS = "open('/proc/self/status').read()"


@pytest.fixture
def nobodys(daemon: Running) -> Running:
    """Give a daemon of root's whose children are nobody."""
    daemon.words["run_as"] = "nobody"
    return daemon


def memory_holds(pid: int, secret: str) -> bool:
    """Look through all memory of a process, as only root can."""
    needle = secret.encode()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end = [int(part, 16) for part in line.split()[0].split("-")]
            try:
                memory.seek(begin)
                if needle in memory.read(end - begin):
                    return True
            except (OSError, OverflowError, ValueError):
                continue  # a region that not even the kernel reads, such as vsyscall
    return False


def status(asked: str, name: str) -> str:
    """Give a line of /proc/self/status."""
    match = re.search(rf"^{name}:\t(.*)$", asked.encode().decode("unicode_escape"), flags=re.M)
    assert match is not None
    return match[1]


def test_the_children_are_the_user_with_his_groups_and_nothing_of_root_s(nobodys: Running) -> None:
    nobodys.start()
    group = pwd.getpwnam("nobody").pw_gid
    for asked in (nobodys.ask, nobodys.ask_deliver):
        said = asked(STATUS)
        assert status(said, "Uid").split() == [str(NOBODY)] * 4
        assert status(said, "Gid").split() == [str(group)] * 4
        assert status(said, "Groups").split() == [str(group)]
        assert status(said, "CapEff") == status(said, "CapPrm") == "0" * 16
        assert status(said, "NoNewPrivs") == "1"
        assert "PermissionError" in asked("os.setuid(0)")
        assert asked("__import__('resource').getrlimit(4)") == "(0, 0)"  # core files
    assert nobodys.deliver_socket.parent.stat().st_uid == NOBODY


def test_only_deliver_has_ever_had_the_secret_in_its_memory(nobodys: Running) -> None:
    process = nobodys.start()
    assert memory_holds(nobodys.deliver(), PASSWORD)
    assert not memory_holds(nobodys.accept(), PASSWORD)
    assert not memory_holds(process.pid, PASSWORD)
    nobodys.configure(password="after-the-reload-4711")
    accept = nobodys.accept()
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: not is_alive(accept) and answers(nobodys.socket) and answers(nobodys.deliver_socket))
    assert memory_holds(nobodys.deliver(), "after-the-reload-4711")
    for pid in (nobodys.accept(), process.pid):
        assert not memory_holds(pid, PASSWORD) and not memory_holds(pid, "after-the-reload-4711")


@pytest.mark.parametrize("attack", ATTACKS)
def test_whoever_has_taken_over_accept_cannot_reach_into_the_other_processes(nobodys: Running, attack: str) -> None:
    process = nobodys.start()
    for victim in (nobodys.deliver(), process.pid):
        answer = nobodys.ask(ATTACKS[attack].replace("PID", str(victim)))
        assert re.match(r"PermissionError|1\.0", answer), answer


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("uid", [NOBODY, STRANGER], ids=["the user himself", "a stranger"])
def test_no_process_of_any_user_can_reach_into_the_daemon(nobodys: Running, attack: str, uid: int) -> None:
    process = nobodys.start()
    for victim in (nobodys.deliver(), nobodys.accept(), process.pid):
        program = f"import os\nprint({ATTACKS[attack].replace('PID', str(victim))})"
        command = [shutil.which("python3", path="/usr/bin") or sys.executable, "-ISc", program]
        done = subprocess.run(command, user=uid, group=uid, extra_groups=[], capture_output=True, text=True, timeout=LIMIT)
        assert "PermissionError" in done.stderr or done.stdout == "1.0\n", done
        assert is_alive(victim)


@pytest.mark.parametrize("uid", [NOBODY, STRANGER], ids=["the user himself", "a stranger"])
def test_a_tracer_is_refused(nobodys: Running, uid: int) -> None:
    if shutil.which("strace") is None:
        skip("strace is not installed")
    process = nobodys.start()
    for victim in (nobodys.deliver(), nobodys.accept(), process.pid):
        command = ["strace", "-p", str(victim)]
        done = subprocess.run(command, user=uid, group=uid, extra_groups=[], capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode != 0 and "Operation not permitted" in done.stderr


def test_the_configuration_is_not_readable_for_accept(nobodys: Running) -> None:
    nobodys.start()
    assert "PermissionError" in nobodys.ask(f"open({str(nobodys.path)!r}).read()")
    assert "PermissionError" in nobodys.ask(f"open('/proc/{nobodys.deliver()}/cwd/{nobodys.path}').read()")


def test_no_core_file_is_left_by_a_child_that_crashes(nobodys: Running) -> None:
    nobodys.start()
    before = set(os.listdir("/")) | set(os.listdir(nobodys.folder)) | set(os.listdir(nobodys.folder / "spool"))
    deliver = nobodys.deliver()
    os.kill(deliver, signal.SIGSEGV)
    line = nobodys.wait_for_line(f"deliver ({deliver}) ended")
    assert "by signal 11" in line
    wait_until(nobodys.serves)
    after = set(os.listdir("/")) | set(os.listdir(nobodys.folder)) | set(os.listdir(nobodys.folder / "spool"))
    assert {name for name in after - before if "core" in name} == set()


def test_a_password_command_runs_as_the_user_and_not_as_root(nobodys: Running) -> None:
    nobodys.start(password="", passwordeval="id -u")
    place = "setup.file.accounts['default']"
    question = (
        "(lambda c, a: c.find(a.Account(setup.file, " + place + "), home=None, environ=os.environ, tty=False).secret)"
        "(__import__('pysendmail.config.credentials').config.credentials, __import__('pysendmail.config.accounts').config.accounts)"
    )
    assert nobodys.ask_deliver(question) == f"b'{NOBODY}'"
    assert nobodys.ask(place + ".words['passwordeval'][0]") == "b'secret'"


def test_secrets_that_only_root_can_read_reach_deliver(nobodys: Running) -> None:
    folder = nobodys.folder / "credentials"
    folder.mkdir(mode=0o700)
    (folder / "pysendmail.password").write_text("of-the-service-manager\n")
    nobodys.environ["CREDENTIALS_DIRECTORY"] = str(folder)
    nobodys.start(password="")
    secret = "setup.file.accounts['default'].words['password'][0]"
    assert nobodys.ask_deliver(secret) == "b'of-the-service-manager'"
    assert nobodys.ask(secret) == "KeyError: 'password'"
    assert "CREDENTIALS_DIRECTORY" not in nobodys.ask("dict(os.environ)")
    assert not memory_holds(nobodys.accept(), "of-the-service-manager")


def test_a_user_may_be_a_number_and_have_another_group(nobodys: Running) -> None:
    nobodys.start(run_as=f"{STRANGER}:nogroup")
    for asked in (nobodys.ask, nobodys.ask_deliver):
        said = asked(STATUS)
        assert status(said, "Uid").split() == [str(STRANGER)] * 4
        assert status(said, "Gid").split() == status(said, "Groups").split() * 4 == [str(NOBODY)] * 4
        assert status(said, "CapEff") == "0" * 16


@pytest.mark.parametrize("run_as", [f"{STRANGER}", "nobody:no-such-group", "4294967299:1"])
def test_half_a_user_is_none(daemon: Running, run_as: str) -> None:
    done = daemon.run("-f", run_as=run_as)
    assert done.returncode == 78 and b"conf:8: run_as: there is no " in done.stderr


def test_a_user_who_does_not_exist_is_told_what_to_do(daemon: Running) -> None:
    done = daemon.run("-f", run_as="no-such-user")
    assert done.returncode == 78
    assert b'conf:8: run_as: there is no user "no-such-user"; make one (useradd --system' in done.stderr


@pytest.fixture
def own(daemon: Running) -> Iterator[Running]:
    """Give a daemon that a stranger starts, with a folder for secrets below /run."""
    os.chown(daemon.folder, STRANGER, STRANGER)
    daemon.python = everybodys_python()
    del daemon.words["run_as"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pysendmail-", dir="/run"))
    os.chown(folder, STRANGER, STRANGER)
    (folder / "pysendmail.password").write_text("of-the-service-manager\n")
    os.chown(folder / "pysendmail.password", STRANGER, STRANGER)
    daemon.environ["CREDENTIALS_DIRECTORY"] = str(folder)
    yield daemon
    shutil.rmtree(folder)


def start_as_stranger(daemon: Running, **words: str) -> None:
    daemon.configure(**words)
    os.chown(daemon.path, STRANGER, STRANGER)
    command = ["setpriv", "--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups", "--", *daemon.command("-f")]
    daemon.process = subprocess.Popen(command, env=daemon.environ, stderr=subprocess.PIPE, cwd=daemon.folder)


def test_without_root_it_serves_as_whoever_started_it(own: Running) -> None:
    start_as_stranger(own)
    wait_until(own.serves)
    assert own.ask("os.getresuid()") == own.ask_deliver("os.getresuid()") == str((STRANGER,) * 3)
    assert own.stop() == 0


def test_without_root_it_becomes_nobody_else(own: Running) -> None:
    start_as_stranger(own, run_as="nobody")
    assert own.process is not None and own.process.wait(LIMIT) == 78
    assert f"run_as: only root can become nobody; this is uid {STRANGER}" in own.failure()


def test_without_root_accept_cannot_open_what_the_service_manager_gave_to_deliver(own: Running) -> None:
    start_as_stranger(own, password="")
    wait_until(own.serves)
    name = own.environ["CREDENTIALS_DIRECTORY"] + "/pysendmail.password"
    if own.ask("__import__('ctypes').CDLL(None).syscall(444, None, 0, 1)") == "-1":
        skip("the kernel has no Landlock")
    assert own.ask_deliver(f"open({name!r}).read()") == r"'of-the-service-manager\n'"
    assert own.ask_deliver("setup.file.accounts['default'].words['password'][0]") == "b'of-the-service-manager'"
    assert "PermissionError" in own.ask(f"open({name!r}).read()")
    assert "PermissionError" in own.ask(f"open('/proc/{own.deliver()}/root{name}').read()")
    for attack in ATTACKS.values():
        assert re.match(r"PermissionError|1\.0", own.ask(attack.replace("PID", str(own.deliver()))))
    assert own.ask("open('/etc/passwd').read(4)") == "'root'"  # what it needs it can read
    assert own.ask("open(setup.queue + '.test', 'w+').write('x')") == "1"
    assert own.ask("open(setup.queue + '.test').read()") == "'x'"


def test_accept_cannot_call_anybody_over_tcp(own: Running) -> None:
    start_as_stranger(own)
    wait_until(own.serves)
    if int(own.ask("__import__('ctypes').CDLL(None).syscall(444, None, 0, 1)")) < 4:
        skip("the kernel's Landlock knows nothing of TCP")
    call = "__import__('socket').create_connection(('127.0.0.1', 9), 5)"
    assert own.ask(call).startswith("PermissionError")
    assert own.ask_deliver(call).startswith("ConnectionRefusedError")
