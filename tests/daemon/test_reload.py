"""SIGHUP takes the configuration as it is now, and loses no caller, no socket and no good configuration."""

import os
import signal
import socket
import threading

import pytest

from tests.daemon.running import PASSWORD, Running, answers, ask, is_alive, wait_until

SECRET = "setup.file.accounts['default'].words['password'][0]"


def reload(daemon: Running, **words: str) -> str:
    """Write a new configuration and have it read; return the line of the log."""
    assert daemon.process is not None
    before = len(daemon.lines())
    daemon.configure(**words)
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: any("configuration" in line for line in daemon.lines()[before:]))
    return next(line for line in daemon.lines()[before:] if "configuration" in line)


def test_new_children_have_the_new_configuration_and_the_old_ones_end(daemon: Running) -> None:
    daemon.start()
    accept, deliver = daemon.accept(), daemon.deliver()
    assert daemon.ask_deliver(SECRET) == repr(PASSWORD.encode())
    assert reload(daemon, password="another") == "the configuration was read anew"
    wait_until(lambda: not is_alive(accept) and not is_alive(deliver))
    wait_until(daemon.serves)
    assert daemon.ask_deliver(SECRET) == "b'another'"
    assert daemon.ask(SECRET) == "b'secret'"
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"nonsense": "x"}, 'unknown word "nonsense"'),
        ({"host": ""}, "needs the word host"),
        ({"queue": "/dev/null/queue"}, "the queue's folder cannot be made"),
        ({"submission_socket": "/dev/null/x"}, "cannot listen there"),
    ],
)  # fmt: skip
def test_with_a_wrong_configuration_everything_stays_as_it_was(daemon: Running, words: dict[str, str], text: str) -> None:
    daemon.start()
    accept, deliver = daemon.accept(), daemon.deliver()
    line = reload(daemon, password="another", **words)
    assert line.startswith("the configuration stays as it was: ") and text in line
    assert (daemon.accept(), daemon.deliver()) == (accept, deliver)
    os.kill(deliver, signal.SIGKILL)
    wait_until(lambda: not is_alive(deliver) and answers(daemon.deliver_socket))
    assert daemon.ask_deliver(SECRET) == repr(PASSWORD.encode())  # and not what stands in the file by now
    assert daemon.stop() == 0


def test_a_configuration_that_has_gone_changes_nothing(daemon: Running) -> None:
    process = daemon.start()
    accept = daemon.accept()
    daemon.path.unlink()
    process.send_signal(signal.SIGHUP)
    daemon.wait_for_line("conf: cannot be read: No such file or directory")
    assert daemon.accept() == accept


def test_no_caller_is_refused_or_left_alone_while_it_reloads(daemon: Running) -> None:
    process = daemon.start()
    wrong: list[object] = []
    seen = set()
    ended = threading.Event()

    def call() -> None:
        while not ended.is_set():
            try:
                seen.add(daemon.ask("os.getpid()"))
            except OSError as error:
                wrong.append(error)

    callers = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    for caller in callers:
        caller.start()
    for number in range(5):
        reload(daemon, password=f"number{number}")
        wait_until(lambda: _knows(daemon, f"number{number}"))  # noqa: B023
        wait_until(lambda: len(seen) > number + 1)  # noqa: B023 (each time callers are served by another one)
    for _ in range(20):
        process.send_signal(signal.SIGHUP)
    ended.set()
    for caller in callers:
        caller.join(60)
    assert wrong == [] and "" not in seen
    assert daemon.stop() == 0


def _knows(daemon: Running, password: str) -> bool:
    """Tell whether the deliver process that answers now has this password; one that ends just now answers nothing."""
    try:
        return daemon.ask_deliver(SECRET) == f"b'{password}'"
    except OSError:
        return False


def test_an_old_child_serves_until_the_new_one_does(daemon: Running) -> None:
    daemon.start()
    accept = daemon.accept()
    reload(daemon, from_full_name="broken")
    daemon.wait_for_line("internal error (ValueError")
    assert daemon.accept() == accept
    reload(daemon)
    wait_until(lambda: not is_alive(accept))
    wait_until(daemon.serves)
    assert daemon.stop() == 0


def test_a_socket_of_another_name_takes_the_place_of_the_old_one(daemon: Running) -> None:
    daemon.start()
    old, new = daemon.socket, daemon.folder / "other" / "submit"
    reload(daemon, submission_socket=str(new))
    wait_until(lambda: not old.exists())
    assert answers(new)
    reload(daemon, submission_socket=str(old))
    reload(daemon, submission_socket=str(new))
    reload(daemon, submission_socket=str(old))
    wait_until(lambda: not new.exists())
    wait_until(daemon.serves)
    assert daemon.stop() == 0
    assert not old.exists() and not new.exists()


def test_another_daemon_s_socket_is_not_taken_by_a_reload(daemon: Running) -> None:
    daemon.start()
    other = daemon.folder / "theirs"
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(other))
        theirs.listen()
        assert "another daemon serves this socket" in reload(daemon, submission_socket=str(other))
        assert other.exists() and daemon.serves()


@pytest.mark.usefixtures("superuser")
def test_children_of_another_user_follow_a_changed_run_as(daemon: Running) -> None:
    daemon.start()
    assert daemon.ask("os.getuid()") == "0"
    line = reload(daemon, run_as="nobody")
    assert "the queue's folder belongs to uid 0, and the daemon runs as nobody" in line
    reload(daemon, run_as="nobody", queue=str(daemon.folder / "spool2" / "queue"))
    wait_until(lambda: daemon.ask("os.getuid()") == "65534")
    wait_until(lambda: answers(daemon.folder / "spool2" / "deliver"))
    assert ask(daemon.folder / "spool2" / "deliver", "os.getuid()") == "65534"
    assert daemon.stop() == 0
