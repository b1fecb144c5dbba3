"""pysendmail status, log and metrics with the real daemon on a machine of its own, for root and for another user."""

import json
import os
import pathlib
import signal
import subprocess
from typing import Any

import pytest
from prometheus_client import parser

from tests.daemon.running import LIMIT, wait_until
from tests.daemon.test_agent import User, arrived, user
from tests.daemon.test_program import STRANGER, Machine, machine, prefix

__all__ = ["machine", "prefix", "user"]
pytestmark = pytest.mark.usefixtures("superuser")
ADMIN = "bin/pysendmail"


def status(machine: Machine, *, uid: int = 0, code: int = 0) -> dict[str, Any]:
    """Give what `pysendmail status` says."""
    done = machine.run(ADMIN, "status", "--json", uid=uid)
    assert (done.returncode, done.stderr) == (code, b"")
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def legs(machine: Machine, uid: int = 0) -> list[dict[str, Any]]:
    """Give what `pysendmail log` says."""
    done = machine.run(ADMIN, "log", "--json", uid=uid)
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_user_sees_his_own_and_root_all(machine: Machine) -> None:
    machine.start()
    for number, uid in enumerate((STRANGER, STRANGER, 0)):
        machine.send(number, "-f", f"number{number}@example.org", uid=uid)
    wait_until(lambda: len(legs(machine)) == 3)
    assert [leg["sender"] for leg in legs(machine, STRANGER)] == ["number0@example.org", "number1@example.org"]
    (first, _) = legs(machine, STRANGER)
    assert first["relay"] == f"127.0.0.1[127.0.0.1]:{machine.server.port}" and first["state"] == "sent" and first["uid"] == STRANGER
    done = machine.run(ADMIN, "log", first["id"], uid=STRANGER)
    assert done.returncode == 0 and b"\nto            bob@example.net: sent\n" in done.stdout
    done = machine.run(ADMIN, "log", legs(machine)[2]["id"], uid=STRANGER)
    assert done.returncode == 66 and b"number2" not in done.stdout + done.stderr

    wait_until(lambda: status(machine)["connections"]["idle"] == 1)
    seen = status(machine)
    assert (seen["submissions"]["accepted"], seen["deliveries"]["sent"], seen["rates"]["hour"]["sent"]) == (3, 3, 3)
    assert set(seen["daemon"]["processes"].values()) == {machine.started[0], *machine.children(machine.started[0])}
    seen = status(machine, uid=STRANGER)
    assert seen["rates"]["hour"]["sent"] == 2 and seen["daemon"]["well"] and "processes" not in seen["daemon"]
    assert machine.run(ADMIN, "metrics", uid=STRANGER).returncode == 77


def test_what_the_daemon_keeps_back_is_told_with_the_reason(machine: Machine) -> None:
    machine.server.answers["RCPT TO:<bob@"] = "450 4.2.1 \x1b[31mcome again later"
    machine.start()
    machine.send(1)
    wait_until(lambda: status(machine, uid=STRANGER)["errors"])
    (error, *_) = status(machine, uid=STRANGER)["errors"]
    assert error["state"] == "deferred" and error["recipient"] == "bob@example.net" and "come again later" in error["reply"]
    done = machine.run(ADMIN, "status", uid=STRANGER)
    assert b"\x1b" not in done.stdout and b"\nlast errors " in done.stdout
    assert machine.run(ADMIN, "log", error["id"]).stdout.count(b"\ndeferred ") >= 1


def test_a_reload_and_the_death_of_a_child_leave_a_daemon_that_is_well(machine: Machine) -> None:
    pid = machine.start()
    before = status(machine)["daemon"]
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: not {*status(machine)["daemon"]["processes"].values()} & {*before["processes"].values()} - {pid})
    wait_until(lambda: len(machine.children(pid)) == 2)
    after = status(machine)["daemon"]
    assert after["well"] and after["since"] == before["since"] and after["processes"]["deliver"] in machine.children(pid)
    os.kill(after["processes"]["deliver"], signal.SIGKILL)

    def is_replaced() -> bool:
        seen = json.loads(machine.run(ADMIN, "status", "--json").stdout)["daemon"]
        return bool(seen["well"]) and seen["processes"]["deliver"] != after["processes"]["deliver"]

    wait_until(is_replaced)


def test_a_daemon_that_has_ended_is_missed_and_its_queue_is_still_seen(machine: Machine, tmp_path: pathlib.Path) -> None:
    machine.server.answers["RCPT TO:<bob@"] = "450 4.2.1 later"
    pid = machine.start()
    machine.send(1)
    path = tmp_path / "pysendmail.prom"
    done = machine.run(ADMIN, "metrics", "--write", str(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert figure(path, "pysendmail_up") == 1 and figure(path, "pysendmail_queue_messages") == 1

    follower = subprocess.Popen(machine.command(ADMIN, "log", "--follow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert follower.stdout is not None and follower.stdout.readline().startswith(b"TIME ")
    os.kill(pid, signal.SIGTERM)
    _, err = follower.communicate(timeout=LIMIT)
    assert follower.returncode == 75 and err.startswith(b"pysendmail: the daemon ") and err.count(b"\n") == 1
    wait_until(lambda: machine.leaders() == [])

    seen = status(machine, code=69)
    assert seen["daemon"] is None and seen["queue"]["messages"] == 1 and "submissions" not in seen
    done = machine.run(ADMIN, "status")
    assert done.returncode == 69 and done.stdout.startswith(b"daemon        no daemon answers")
    assert machine.run(ADMIN, "metrics", "--write", str(path)).returncode == 0
    assert figure(path, "pysendmail_up") == 0 and figure(path, "pysendmail_queue_messages") == 1
    assert legs(machine) and machine.run(ADMIN, "queue", "list").stdout.count(b"bob@") == 1
    done = machine.run(ADMIN, "status", uid=STRANGER)
    assert done.returncode == 69 and done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr


def figure(path: pathlib.Path, name: str) -> float:
    """Give a figure from a file."""
    found = {family.name: family.samples for family in parser.text_string_to_metric_families(path.read_text())}
    return float(found[name][0].value)


def test_the_queue_of_an_agent_is_seen_while_he_is_there_and_afterwards(user: User) -> None:
    assert user.run_agent().returncode == 0
    assert user.run("-i", "bob@example.net").returncode == 0
    arrived(user, 1)

    def told(*words: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run([user.agent, *words], env=user.environ, capture_output=True, timeout=LIMIT, check=False)

    wait_until(lambda: b"bob@example.net" in told("log", "--json").stdout)
    assert json.loads(told("status", "--json").stdout)["daemon"]["well"] is True
    user.clear()
    done = told("status")
    assert done.returncode == 0 and done.stdout.startswith(b"daemon        no daemon answers") and b"\nlast hour     1 sent\n" in done.stdout
    assert b"bob@example.net" in told("log", "--json").stdout and told("queue", "list").stdout == b"The queue is empty.\n"
