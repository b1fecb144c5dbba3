"""The daemon starts and says so truthfully, serves, and ends within its time."""

import fcntl
import os
import pathlib
import signal
import socket
import stat
import subprocess

import pytest

from pysendmail.daemon import privileges
from tests.daemon.running import Running, answers, is_alive, wait_until


def test_it_serves_and_ends_with_nought_at_sigterm(daemon: Running) -> None:
    daemon.start()
    accept, deliver = daemon.accept(), daemon.deliver()
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o666
    assert stat.S_IMODE(daemon.socket.parent.stat().st_mode) == 0o755
    assert stat.S_IMODE(daemon.deliver_socket.parent.stat().st_mode) == 0o700
    assert daemon.stop() == 0
    assert not daemon.socket.exists()
    assert not is_alive(accept) and not is_alive(deliver)
    assert daemon.lines() == ["started", "ending"]


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_rights_of_its_files_do_not_depend_on_the_umask(daemon: Running, umask: int) -> None:
    before = os.umask(umask)
    try:
        daemon.configure()
        os.chmod(daemon.path, 0o600)
        daemon.process = subprocess.Popen(daemon.command("-f"), env=daemon.environ, stderr=subprocess.PIPE)
    finally:
        os.umask(before)
    wait_until(daemon.serves)
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o666
    assert stat.S_IMODE(daemon.socket.parent.stat().st_mode) == 0o755
    assert stat.S_IMODE(daemon.deliver_socket.parent.stat().st_mode) == 0o700


def test_in_the_background_it_returns_when_it_serves_and_keeps_no_descriptor_of_the_caller(daemon: Running) -> None:
    done = daemon.run()  # would wait for the end of standard error if anybody kept it
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert daemon.serves()
    parent, accept = daemon.parent(), daemon.accept()
    for pid in (parent, accept, daemon.deliver()):
        assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert os.getsid(pid) == parent
    os.kill(parent, signal.SIGTERM)
    wait_until(lambda: not is_alive(parent))
    assert not is_alive(accept) and not daemon.socket.exists()


@pytest.mark.parametrize("options", [(), ("-f",)], ids=["background", "foreground"])
@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ({"nonsense": "x"}, 78, ': unknown word "nonsense"'),
        ({"host": ""}, 78, "conf: account default needs the word host, the server to send to"),
        ({"queue": "/dev/null/x/queue"}, 71, "/dev/null/x: the queue's folder cannot be made: Not a directory"),
        ({"submission_socket": "/dev/null/x"}, 71, "/dev/null/x: cannot listen there: Not a directory"),
        ({"submission_socket": "/" + 110 * "x"}, 78, "submission_socket: expected a path of at most 107 octets"),
        ({"submission_socket": "/dev/null"}, 78, "/dev/null: there is something else than a socket in the socket's place"),
        ({"aliases": "/nonexistent/aliases"}, 78, "/nonexistent/aliases: cannot be read"),
        ({"from_full_name": "broken"}, 70, "internal error (ValueError at standin.py:"),
    ],
)  # fmt: skip
def test_what_keeps_it_from_starting_is_told_in_one_line_and_by_the_exit_code(
    daemon: Running, options: tuple[str, ...], words: dict[str, str], code: int, text: str
) -> None:
    done = daemon.run(*options, **words)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("pysendmaild: ") and text in line
    assert not daemon.socket.exists()


def test_a_configuration_that_others_can_read_is_refused(daemon: Running) -> None:
    daemon.configure()
    daemon.path.chmod(0o644)
    done = subprocess.run(daemon.command("-f"), env=daemon.environ, capture_output=True, timeout=60)
    assert done.returncode == 78 and b"chmod 600" in done.stderr


def test_the_background_waits_for_children_that_are_slow(daemon: Running) -> None:
    done = daemon.run(from_full_name="slow")
    assert done.returncode == 0
    assert answers(daemon.socket) and answers(daemon.deliver_socket)
    os.kill(daemon.parent(), signal.SIGTERM)


def test_of_two_daemons_the_second_is_told_that_there_is_one(daemon: Running) -> None:
    daemon.start()
    daemon.words["queue"] = str(daemon.folder / "other" / "queue")
    done = daemon.run("-f")
    assert done.returncode == 75
    assert done.stderr.decode() == f"pysendmaild: {daemon.socket}: another daemon serves this socket\n"
    assert answers(daemon.socket)


def test_of_many_daemons_that_start_at_once_one_serves(daemon: Running) -> None:
    daemon.configure()
    many = [subprocess.Popen(daemon.command("-f"), env=daemon.environ, stderr=subprocess.DEVNULL) for _ in range(8)]
    try:
        wait_until(lambda: [one.poll() for one in many].count(75) == 7)
        wait_until(lambda: answers(daemon.socket))
        (winner,) = [one for one in many if one.returncode is None]
        assert daemon.parent() == winner.pid
    finally:
        for one in many:
            one.terminate()
            one.wait(60)
    assert not daemon.socket.exists()


def test_a_folder_that_another_daemon_has_just_made_is_taken(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them looks first: then both find nothing, and both make it."""
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    looks = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: path != str(folder) and looks(path))
    user = privileges.Identity(os.getuid(), os.getgid())
    privileges.prepare_queue(f"{folder}/queue", user)
    assert folder.stat().st_uid == os.getuid()


def test_folders_that_are_made_for_the_queue_are_nobody_elses(tmp_path: pathlib.Path) -> None:
    before = os.umask(0)
    try:
        privileges.prepare_queue(str(tmp_path / "local" / "state" / "queue"), privileges.Identity(os.getuid(), os.getgid()))
    finally:
        os.umask(before)
    for folder in (tmp_path / "local", tmp_path / "local" / "state"):
        assert folder.stat().st_mode & 0o7777 == 0o700


def test_the_socket_of_a_daemon_that_died_is_replaced(daemon: Running) -> None:
    process = daemon.start()
    accept, deliver = daemon.accept(), daemon.deliver()
    process.kill()
    process.wait()
    assert daemon.socket.exists()
    wait_until(lambda: not is_alive(accept) and not is_alive(deliver))  # they notice that they are orphans
    assert process.stderr is not None
    process.stderr.close()
    daemon.start()
    assert daemon.stop() == 0


def test_a_socket_that_answers_nothing_but_lives_is_left_alone(daemon: Running) -> None:
    daemon.socket.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(daemon.socket))
        other.listen(0)
        callers = [socket.socket(socket.AF_UNIX) for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            try:
                caller.connect(str(daemon.socket))
            except BlockingIOError:
                pass
        assert daemon.run("-f").returncode == 75
        for caller in callers:
            caller.close()
    assert daemon.socket.exists()


def test_at_its_end_it_removes_no_socket_that_is_another_s(daemon: Running) -> None:
    daemon.start()
    daemon.socket.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(daemon.socket))
        assert daemon.stop() == 0
        assert daemon.socket.exists()


def test_a_socket_with_the_name_of_a_broken_link_is_not_followed(daemon: Running) -> None:
    daemon.socket.parent.mkdir()
    daemon.socket.symlink_to(daemon.folder / "elsewhere")
    assert daemon.run("-f").returncode == 78
    assert not (daemon.folder / "elsewhere").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_it_serves_ends_it_and_leaves_no_socket(daemon: Running, number: int) -> None:
    process = daemon.launch(from_full_name="slow")
    wait_until(daemon.socket.exists)
    process.send_signal(number)
    assert process.wait(60) == 0
    assert not daemon.socket.exists()


def test_ignored_signals_of_whoever_starts_it_do_not_make_it_deaf(daemon: Running) -> None:
    daemon.start(before=("sh", "-c", 'trap "" TERM INT HUP CHLD; exec "$@"', "sh"))
    os.kill(daemon.accept(), signal.SIGKILL)
    wait_until(daemon.serves)
    assert daemon.stop() == 0


def test_closed_standard_descriptors_do_not_harm_it(daemon: Running) -> None:
    daemon.configure()
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *daemon.command()]
    assert subprocess.run(command, env=daemon.environ, timeout=60).returncode == 0
    wait_until(daemon.serves)
    parent = daemon.parent()
    os.kill(parent, signal.SIGTERM)
    wait_until(lambda: not is_alive(parent))


def test_idle_it_ends_by_itself_and_takes_its_socket_away(daemon: Running) -> None:
    process = daemon.start("idle=1.5")
    assert process.wait(60) == 0
    assert os.listdir(daemon.socket.parent) == ["submit.lock"]
    assert daemon.lines() == ["started", "ending, having been idle"]


def test_nobody_who_comes_while_it_ends_idle_is_lost(daemon: Running) -> None:
    daemon.configure()
    for _ in range(4):
        process = daemon.start("idle=0.3")
        served = 0
        while process.poll() is None and served < 6:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(60)
                try:
                    sock.connect(str(daemon.socket))
                except OSError:
                    continue  # it has gone, as the caller can see
                process.poll()
                sock.sendall(b"time.sleep(0.35)\n")
                assert sock.recv(100) == b"None\n"  # who could connect was served
                served += 1
        assert served and process.wait(60) == 0
        assert process.stderr is not None
        process.stderr.close()


def test_nobody_who_can_read_the_folder_can_keep_it_from_starting(daemon: Running) -> None:
    daemon.socket.parent.mkdir(mode=0o755)
    folder = os.open(daemon.socket.parent, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    daemon.start()
    assert stat.S_IMODE((daemon.socket.parent / "submit.lock").stat().st_mode) == 0o600
    assert daemon.stop() == 0
    os.close(folder)


def test_a_daemon_that_is_killed_before_it_serves_is_told_as_that(daemon: Running) -> None:
    daemon.configure(from_full_name="slow")
    starter = subprocess.Popen(daemon.command(), env=daemon.environ, stderr=subprocess.PIPE)
    wait_until(daemon.socket.exists)
    (parent,) = pathlib.Path(f"/proc/{starter.pid}/task/{starter.pid}/children").read_text().split()
    os.kill(int(parent), signal.SIGKILL)
    _, said = starter.communicate(timeout=60)
    assert starter.returncode == 75
    assert said == b"pysendmaild: the daemon was ended by signal 9 before it served\n"
