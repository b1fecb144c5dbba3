"""Whatever becomes of a child, there is soon another one, and the other child goes on."""

import os
import pathlib
import re
import resource
import signal
import subprocess
import threading
import time

import pytest

from tests.daemon.running import Running, answers, is_alive, wait_until


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_child_that_dies_is_replaced_at_once_and_the_other_goes_on(daemon: Running, number: int) -> None:
    daemon.start()
    accept, deliver = daemon.accept(), daemon.deliver()
    os.kill(deliver, number)
    wait_until(lambda: not is_alive(deliver) and answers(daemon.deliver_socket))
    assert daemon.deliver() != deliver and daemon.accept() == accept
    assert "another one starts at once" in daemon.wait_for_line(f"deliver ({deliver}) ended")
    deliver = daemon.deliver()
    os.kill(accept, number)
    wait_until(lambda: not is_alive(accept) and answers(daemon.socket))
    assert daemon.accept() != accept and daemon.deliver() == deliver
    assert daemon.stop() == 0


def test_no_caller_is_refused_while_accept_dies_again_and_again(daemon: Running) -> None:
    daemon.start()
    seen, refused = set(), []
    ended = threading.Event()

    def call() -> None:
        while not ended.is_set():
            try:
                answer = daemon.ask("os.getpid()")
                if answer:
                    seen.add(answer)
            except ConnectionResetError:
                pass  # it was in the hands of the one that was killed
            except OSError as error:
                refused.append(error)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for _ in range(3):
        victim = daemon.accept()
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: daemon_accept(daemon) not in (None, victim))  # noqa: B023
    ended.set()
    for caller in callers:
        caller.join(60)
    assert refused == [] and len(seen) >= 4


def daemon_accept(daemon: Running) -> int | None:
    try:
        return daemon.accept()
    except (OSError, ValueError):
        return None


def test_a_child_that_keeps_dying_is_started_after_pauses_that_grow(daemon: Running) -> None:
    daemon.start()
    for pause in ("at once", "in 1 s", "in 2 s"):
        victim = daemon.deliver()
        os.kill(victim, signal.SIGKILL)
        assert pause in daemon.wait_for_line(f"deliver ({victim}) ended by signal 9")
        wait_until(lambda: answers(daemon.deliver_socket))
    assert daemon.stop() == 0


def test_a_child_that_is_killed_before_the_daemon_is_up_is_replaced(daemon: Running) -> None:
    process = daemon.launch(from_full_name="slow")
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: len(children.read_text().split()) == 2)
    os.kill(int(children.read_text().split()[1]), signal.SIGKILL)
    daemon.wait_for_line("started")
    assert daemon.stop() == 0


def test_a_daemon_whose_children_are_killed_again_and_again_before_it_is_up_gives_up(daemon: Running) -> None:
    done = daemon.run("-f", from_full_name="killed")
    assert done.returncode == 75
    assert re.fullmatch(rb"pysendmaild: (deliver|accept) [(][0-9]+[)] ended by signal 9\n", done.stderr)


def test_a_child_that_ends_without_being_asked_is_replaced_whatever_its_exit_code(daemon: Running) -> None:
    daemon.start()
    deliver = daemon.deliver()
    daemon.ask_deliver("setattr(servant, 'code', 0)")
    wait_until(lambda: not is_alive(deliver) and answers(daemon.deliver_socket))
    daemon.wait_for_line(f"deliver ({deliver}) ended with exit code 0; another one starts")


def test_what_a_child_did_not_catch_is_logged_without_what_was_in_it(daemon: Running) -> None:
    daemon.start()
    daemon.ask("servant.__setattr__('answer', None)")
    try:
        daemon.ask("1")
    except ConnectionError:
        pass
    line = daemon.wait_for_line("internal error")
    assert "accept (" in line and "ended with exit code 70: internal error (TypeError at standin.py:" in line
    wait_until(lambda: answers(daemon.socket))


@pytest.mark.parametrize("role", ["accept", "deliver"])
def test_a_child_that_hangs_is_killed_and_replaced(daemon: Running, role: str) -> None:
    daemon.start("hung=2")
    pid = daemon.accept() if role == "accept" else daemon.deliver()
    question = "setattr(servant, 'beating', False)"
    daemon.ask(question) if role == "accept" else daemon.ask_deliver(question)
    wait_until(lambda: not is_alive(pid))
    wait_until(daemon.serves)
    assert f"{role} ({pid}) does not answer and is killed" in daemon.lines()


def test_a_parent_that_was_stopped_for_long_kills_nobody(daemon: Running) -> None:
    process = daemon.start("hung=2")
    accept, deliver = daemon.accept(), daemon.deliver()
    process.send_signal(signal.SIGSTOP)
    time.sleep(3)
    process.send_signal(signal.SIGCONT)
    time.sleep(1)
    assert (daemon.accept(), daemon.deliver()) == (accept, deliver)


def test_a_child_that_does_not_end_in_time_is_killed(daemon: Running) -> None:
    daemon.start("end=1")
    deliver = daemon.deliver()
    daemon.ask_deliver("servant.deafen()")
    assert daemon.stop() == 0
    assert f"deliver ({deliver}) did not end in time and is killed" in daemon.lines()


def test_the_children_end_when_their_parent_is_killed(daemon: Running) -> None:
    process = daemon.start()
    accept, deliver = daemon.accept(), daemon.deliver()
    process.kill()
    process.wait()
    wait_until(lambda: not is_alive(accept) and not is_alive(deliver))


def test_children_wake_each_other_and_are_woken_when_one_has_died(daemon: Running) -> None:
    daemon.start()
    daemon.ask("os.write(setup.wake, b'x')")
    wait_until(lambda: daemon.ask_deliver("servant.heard") == "1")
    daemon.ask_deliver("os.write(setup.news, b'x')")
    wait_until(lambda: daemon.ask("servant.heard") == "1")
    os.kill(daemon.accept(), signal.SIGKILL)
    wait_until(lambda: daemon.ask_deliver("servant.heard") == "2")


def test_a_full_pipe_blocks_nobody(daemon: Running) -> None:
    daemon.start()
    deliver = daemon.deliver()
    os.kill(deliver, signal.SIGSTOP)
    assert "BlockingIOError" in daemon.ask("[os.write(setup.wake, bytes(4096)) for _ in range(99)]")
    os.kill(daemon.accept(), signal.SIGKILL)  # the parent has a byte for the pipe as well
    wait_until(lambda: answers(daemon.socket))
    os.kill(deliver, signal.SIGCONT)
    assert daemon.stop() == 0


def test_a_child_has_no_descriptor_of_the_other_s(daemon: Running) -> None:
    daemon.start()
    everything = "[os.readlink(p) for n in os.listdir('/proc/self/fd') if os.path.lexists(p := '/proc/self/fd/' + n)]"
    own = "sorted({os.readlink(f'/proc/self/fd/{fd}') for fd in setup.descriptors()})"
    listening = set(eval(daemon.ask("[os.readlink(f'/proc/self/fd/{fd}') for _, fd in setup.sockets]")))
    accept, deliver = set(eval(daemon.ask(own))), set(eval(daemon.ask_deliver(own)))
    assert len(accept & deliver) == 2  # the two pipes between them
    assert listening and listening <= accept and not listening & deliver
    for asked, mine in ((daemon.ask, accept), (daemon.ask_deliver, deliver)):
        descriptors = eval(asked(everything))
        assert len(descriptors) > 6
        others = {name for name in descriptors[3:] if name.startswith(("pipe:", "/memfd:"))} - mine
        assert others - {os.readlink(f"/proc/{daemon.parent()}/fd/2")} == set()


def test_a_full_descriptor_table_of_the_parent_is_outlived(daemon: Running) -> None:
    process = daemon.start()
    accept = daemon.accept()
    limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (4, limits[1]))
    os.kill(accept, signal.SIGKILL)
    wait_until(lambda: not is_alive(accept))
    process.send_signal(signal.SIGHUP)
    time.sleep(2)
    assert process.poll() is None
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
    wait_until(lambda: answers(daemon.socket))
    assert daemon.stop() == 0


@pytest.mark.usefixtures("superuser")
def test_orphans_are_reaped_by_the_first_process_of_a_container(daemon: Running) -> None:
    daemon.start(before=("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
    assert daemon.ask("os.getppid()") == "1"
    daemon.ask("os.waitpid(os.fork() or (os.fork() and os._exit(0)) or os._exit(0), 0)")
    wait_until(lambda: daemon.ask("[n for n in os.listdir('/proc') if n.isdecimal()]").count(",") == 2)
    assert daemon.process is not None
    pid = daemon.process.pid
    os.kill(int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]), signal.SIGTERM)
    assert daemon.process.wait(60) == 0
    assert not daemon.socket.exists()


@pytest.mark.usefixtures("superuser")
def test_in_a_container_the_log_of_all_goes_to_standard_error(daemon: Running) -> None:
    daemon.configure(logfile="/dev/stderr", run_as="nobody")
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *daemon.command("-f")]
    with subprocess.Popen(command, env=daemon.environ, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: answers(daemon.socket))
        log = "__import__('pysendmail.log').log.Log(None, '/dev/stderr').write('test', 'from a child', 0)"
        assert daemon.ask("os.getuid()") == "65534"
        assert daemon.ask(log) == "None"
        inside = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(inside[0]), signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert "/test[" in said and "from a child" in said and "/master[1]: ending" in said
