"""pysendmail log, asked of the accept process by the installed command."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pysendmail import wire
from pysendmail.daemon import followers
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.values import Result
from tests.command.caller import LIMIT, until
from tests.conftest import skip
from tests.daemon.door import Door, answer
from tests.queue.stores import entry

ADMIN = pathlib.Path("..") / "bin" / "pysendmail"
NOBODY = 65534


def admin(door: Door) -> str:
    return str((pathlib.Path(door.sendmail).parent / ADMIN).resolve())


def attempt(door: Door, state: str = "sent", number: int = 1000, **more: Any) -> int:
    """Do what the deliver process does with what is due; return how many recipients there were."""
    store = SqliteStore(str(door.queue), create=False)
    try:
        owner = store.enroll()
        results = [
            Result(one.message, one.number, state, tried=time.time(), reply="250 ok", relay="mx[::1]:25", **more)
            for item in store.claim(owner, time.time(), 60.0, number)
            for one in item.recipients
        ]
        store.finish(owner, results)
        store.release(owner)
        return len(results)
    finally:
        store.close()


def start(door: Door, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start the command in the background."""
    return subprocess.Popen(
        [admin(door), "log", *arguments], env=door.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )


@contextlib.contextmanager
def following(door: Door, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Follow the log, and wait until that has begun."""
    process = start(door, "--follow", *arguments)
    try:
        assert process.stdout is not None
        if "--json" not in arguments:
            assert process.stdout.readline().startswith(b"TIME ")
        yield process
    finally:
        process.kill()
        process.communicate()


def told(process: "subprocess.Popen[bytes]") -> "dict[str, Any]":
    """Read one line of JSON."""
    assert process.stdout is not None
    value: dict[str, Any] = json.loads(process.stdout.readline())
    return value


def test_the_log_tells_of_messages_that_are_gone(door: Door) -> None:
    door.submit("-f", "ann@example.org", "bob@example.net")
    assert attempt(door) == 1 and door.items() == []
    done = door.send("log", "--json", command=admin(door))
    (leg,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (leg["sender"], leg["recipient"], leg["state"], leg["uid"]) == ("ann@example.org", "bob@example.net", "sent", os.getuid())
    done = door.send("log", leg["id"], command=admin(door))
    assert done.returncode == 0 and b"\nto            bob@example.net: sent\n" in done.stdout
    done = door.send("log", "NOSUCH", command=admin(door))
    assert (done.returncode, done.stdout) == (66, b"") and done.stderr.count(b"\n") == 1


def test_who_follows_sees_each_attempt_as_it_comes(door: Door) -> None:
    door.submit("bob@example.net")
    attempt(door)
    with following(door, "--json", "-n", "1") as process:
        assert told(process)["recipient"] == "bob@example.net"
        for address in ("carol@example.net", "dora@example.net"):
            door.submit(address)
            attempt(door)
            assert told(process)["recipient"] == address
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == -signal.SIGINT
        assert process.stderr is not None and process.stderr.read() == b""


def test_a_follower_ends_when_nobody_reads_what_he_says(door: Door) -> None:
    process = start(door, "--follow")
    assert process.stdout is not None and process.stdout.readline().startswith(b"TIME ")
    process.stdout.close()
    assert process.wait(LIMIT) == -signal.SIGPIPE
    assert process.stderr is not None
    process.stderr.close()


def test_a_follower_may_write_into_a_file(door: Door) -> None:
    path = door.folder / "followed"
    with path.open("wb") as file:
        process = subprocess.Popen([admin(door), "log", "--follow", "--json"], env=door.environ(), stdout=file, stdin=subprocess.DEVNULL)
    try:
        for number in range(1, 4):
            door.submit("bob@example.net")
            attempt(door)
            until(lambda number=number: path.read_bytes().count(b"\n") == number)
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait()


def test_a_follower_who_was_killed_leaves_his_place(door: Door) -> None:
    door.submit("bob@example.net")
    assert door.send("log", command=admin(door)).returncode == 0
    before = door.descriptors()
    for _ in range(3 * followers._MOST):
        with following(door):
            pass
        until(lambda: door.descriptors() <= before)
    with following(door):
        door.submit("bob@example.net")


def test_many_followers_neither_starve_others_nor_outlive_the_daemon(door: Door) -> None:
    started = [start(door, "--follow") for _ in range(50)]
    try:
        until(lambda: len([one for one in started if one.poll() is not None]) == 50 - followers._MOST)
        refused = [one for one in started if one.poll() is not None]
        for one in refused:
            out, err = one.communicate()
            assert (one.returncode, out) == (75, b"") and err.startswith(b"pysendmail: too many follow the log already")
        for _ in range(3):
            assert door.send("-bp").returncode == 0
            door.submit("bob@example.net")
        begun = time.monotonic()
        assert door.stop() == 0
        assert time.monotonic() < begun + 25
        for one in started:
            if one not in refused:
                out, err = one.communicate(timeout=LIMIT)
                assert one.returncode == 75 and b"the daemon is being stopped" in err
    finally:
        for one in started:
            one.kill()
            one.communicate()


def test_a_follower_who_does_not_read_holds_up_nobody(door: Door) -> None:
    with door.call() as line:
        line.sendall(wire.request(b"pysendmail", [b"log", b"--follow", b"--json"]))
        for number in range(30):
            door.submit("-f", f"{number}{'x' * 50}@example.org", *[f"{n}{'y' * 50}@example.net" for n in range(90)])
        while attempt(door, number=100):
            pass
        for _ in range(3):
            assert door.send("-bp").returncode == 0
    assert door.stop() == 0


def test_another_user_follows_and_sees_only_what_is_his(door: Door) -> None:
    if os.geteuid() != 0:
        skip("only root can become another user")
    door.submit("secret@example.net")
    attempt(door)
    assert ask_as(NOBODY, door, b"log") == (0, b"No attempt is known.\n")
    qid = json.loads(door.send("log", "--json", command=admin(door)).stdout)["id"]
    code, text = ask_as(NOBODY, door, b"log", qid.encode())
    assert code == 66 and b"secret" not in text


@contextlib.contextmanager
def calling_as(uid: int, door: Door) -> Iterator[socket.socket]:
    """Connect as another user, who reaches the socket from its own folder."""
    here = os.getcwd()
    door.socket.parent.chmod(0o755)
    door.socket.chmod(0o666)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(LIMIT)
        os.chdir(door.socket.parent)
        os.seteuid(uid)
        try:
            line.connect(door.socket.name)
        finally:
            os.seteuid(0)
            os.chdir(here)
        yield line


def ask_as(uid: int, door: Door, *words: bytes) -> tuple[int, bytes]:
    """Ask as another user."""
    with calling_as(uid, door) as line:
        line.sendall(wire.request(b"pysendmail", list(words)))
        return answer(line)


def test_a_user_who_asks_for_much_and_does_not_read_holds_up_nobody_else(door: Door) -> None:
    if os.geteuid() != 0:
        skip("only root can become another user")
    door.submit("bob@example.net")
    store = SqliteStore(str(door.queue))
    store.add_many([entry(uid=NOBODY, created=time.time()) for _ in range(3000)])
    store.close()
    attempt(door, number=4000)
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            line = stack.enter_context(calling_as(NOBODY, door))
            line.sendall(wire.request(b"pysendmail", [b"log", b"--json", b"-n", b"20000"]))
        begun = time.monotonic()
        for _ in range(3):
            assert door.send("-bp").returncode == 0
        assert time.monotonic() < begun + 30  # one who does not read has a minute


@pytest.mark.parametrize("words", [["--follow", "1ABC"], ["-n", "x"], ["--nothing"]])
def test_a_wrong_command_line_is_refused_in_few_words(door: Door, words: list[str]) -> None:
    done = door.send("log", *words, command=admin(door))
    assert done.returncode == 64 and done.stdout == b"" and b"Traceback" not in done.stderr
