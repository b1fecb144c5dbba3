"""A user without rights against the system's daemon: no secret, nobody else's mail, and no more than his own share."""

import base64
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.daemon.running import LIMIT, wait_until
from tests.daemon.siege import LONG, show
from tests.daemon.test_program import PASSWORD, STRANGER, Machine, machine, prefix

__all__ = ["machine", "prefix"]
pytestmark = [pytest.mark.usefixtures("superuser"), pytest.mark.once]
OTHER = 54322
ADMIN = "bin/pysendmail"
SYSTEM = "/etc/pysendmail/pysendmail.conf"
SOCKET = "/run/pysendmail/submit.sock"
# What only a program can do that speaks with the socket itself.
PREAMBLE = f"""
import socket, sys, time
SOCKET = {SOCKET!r}
def call():
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(60)
    line.connect(SOCKET)
    return line
def frame(kind, content):
    return kind + len(content).to_bytes(4, "big") + content
def request(*words):
    return frame(b"R", b"\\0".join([b"1", *words]))
def answer(line):
    held = b""
    try:
        while data := line.recv(65536):
            held += data
    except OSError:
        pass
    return held
"""


def python(machine: Machine, program: str, uid: int = STRANGER) -> "subprocess.Popen[bytes]":
    """Run a program of a user's own."""
    interpreter = shutil.which("python3", path="/usr/bin") or sys.executable
    inside = machine.command("x", uid=uid)[:-1]
    return subprocess.Popen([*inside, interpreter, "-ISc", PREAMBLE + program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def said_by(process: "subprocess.Popen[bytes]") -> bytes:
    out, _ = process.communicate(timeout=2 * LIMIT)
    assert process.returncode == 0
    return out


def ids(machine: Machine) -> list[str]:
    """Give the ids of what is in the queue, as root sees it."""
    lines = machine.run("sbin/sendmail", "-bp").stdout.decode().splitlines()
    return [line.split()[0].rstrip("*!") for line in lines if line[:1].isalnum() and "@" in line]


def test_no_option_shows_the_password(machine: Machine, tmp_path: pathlib.Path) -> None:
    machine.start()
    assert machine.send(1, uid=STRANGER) == 0
    secrets = [PASSWORD.encode(), base64.b64encode(PASSWORD.encode())[:-4], base64.b64encode(b"\0alice\0" + PASSWORD.encode())[:-4]]
    trials = [
        ("sbin/sendmail", *words, "x@y.example")
        for words in (
            ["-C", SYSTEM], [f"--file={SYSTEM}"], ["-C", f"/proc/self/root{SYSTEM}"], ["-v"], ["-v", "-odi"], ["-X", "/tmp/x"], ["-D/dev/stderr", "-d0-99.99", "-v"],
            ["-bv"], ["-bt"], ["-bi"], ["-oA" + SYSTEM], ["-oQ/tmp"], ["-a", "default", "-v"], ["-O", f"AliasFile={SYSTEM}"], ["-q"], ["-bp", "-v"],
            ["-bd", "-C", SYSTEM], ["-bD"], ["-bs"],
        )
    ]  # fmt: skip
    trials += [(ADMIN, *words) for words in (["status", "--json"], ["metrics"], ["log", "--json"], ["queue", "list"], ["explain", "-C", SYSTEM, "x@y.example"], ["explain", "x@y.example"],
               ["check", "-C", SYSTEM], ["check"], ["agent", "-C", SYSTEM], ["queue", "list", "-C", SYSTEM])]  # fmt: skip
    trials += [("sbin/pysendmaild", "-f", "-C", SYSTEM), ("sbin/pysendmaild", "-f")]
    for program, *words in trials:
        done = machine.run(program, *words, uid=STRANGER, message=b"Subject: x\n\nx\n")
        said = done.stdout + done.stderr
        assert not any(secret in said for secret in secrets), (program, words)
        assert b"Traceback" not in said and b"internal error" not in said, (program, words, said)
        assert done.returncode != 70, (program, words, said)
    log = machine.log.read_bytes()
    assert not any(secret in log for secret in secrets)
    assert "x@y.example" in str([one.recipients for one in machine.server.deliveries])


def test_a_child_that_is_aborted_leaves_no_core_and_the_mail_goes_on(machine: Machine) -> None:
    pid = machine.start()
    for one in (pid, *machine.children(pid)):
        limits = pathlib.Path(f"/proc/{one}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"]
    for one in machine.children(pid):
        os.kill(one, 6)
    wait_until(lambda: len(machine.children(pid)) == 2)
    assert machine.send(7) == 0
    wait_until(lambda: 7 in machine.arrived())


def test_nobody_sees_or_steers_what_is_another_s(machine: Machine) -> None:
    machine.server.answers["RCPT"] = "450 4.2.1 later"
    machine.start()
    message = b"Subject: confidential-4711\n\nconfidential-4711\n"
    assert machine.run("sbin/sendmail", "-i", "-f", "hidden-sender@example.org", "hidden@example.net", uid=OTHER, message=message).returncode == 0
    wait_until(lambda: len(ids(machine)) == 1)
    (qid,) = ids(machine)
    said = b""
    for program, *words in [
        ("sbin/sendmail", "-bp"), ("sbin/sendmail", "-bp", "-v"), ("sbin/sendmail", "-q"), ("sbin/sendmail", "-qI" + qid), ("sbin/sendmail", "-qShidden"),
        (ADMIN, "queue", "list"), (ADMIN, "queue", "list", "--json"), (ADMIN, "queue", "show", qid), (ADMIN, "queue", "remove", qid), (ADMIN, "queue", "remove", "--all"), (ADMIN, "queue", "why", qid),
        (ADMIN, "queue", "hold", qid), (ADMIN, "queue", "release", qid), (ADMIN, "queue", "retry", qid), (ADMIN, "log"), (ADMIN, "log", "--json"), (ADMIN, "log", qid),
        (ADMIN, "status"), (ADMIN, "status", "--json"), (ADMIN, "metrics"), (ADMIN, "queue", "check"),
    ]:  # fmt: skip
        done = machine.run(program, *words, uid=STRANGER)
        assert b"Traceback" not in done.stderr and b"internal error" not in done.stderr, (program, words, done)
        said += done.stdout + done.stderr
    for word in (b"confidential", b"hidden-sender", b"hidden@"):
        assert word not in said, said
    assert ids(machine) == [qid]
    assert machine.run("sbin/sendmail", "-bp", uid=OTHER).stdout.count(qid.encode()) == 1
    for folder in ("/var/spool/pysendmail", "/var/spool/pysendmail/queue.db", "/var/spool/pysendmail/queue.db-wal"):
        assert machine.run("../bin/cat", folder, uid=STRANGER).returncode != 0
    assert b"confidential" not in machine.log.read_bytes()


def test_facts_in_frames_make_nobody_else_of_him(machine: Machine) -> None:
    machine.server.answers["RCPT"] = "450 4.2.1 later"
    machine.start()
    assert machine.send(1, uid=OTHER) == 0
    program = """
for facts in (b"uid=0\\0gid=0\\0login=root", b"columns=99\\0uid=54322", b"\\0\\0=\\0uid\\0"):
    line = call()
    line.sendall(frame(b"F", facts) + request(b"mailq"))
    sys.stdout.buffer.write(answer(line))
line = call()
text = b"Subject: forged\\n\\nx\\n"
line.sendall(frame(b"F", b"uid=0") + request(b"sendmail", b"-i", b"forged@example.net") + frame(b"D", text) + frame(b"E", len(text).to_bytes(8, "big")))
answer(line)
line = call()
line.sendall(b"R" + (1 << 31).to_bytes(4, "big") + b"x" * 1000)
print(answer(line))
"""
    said = said_by(python(machine, program))
    assert b"bob@example.net" not in said and said.count(b"Mail queue is empty") == 3
    wait_until(lambda: "forged@" in machine.log.read_text())
    assert f"uid={STRANGER} from=" in machine.log.read_text()


def test_rules_hold_for_a_user_whatever_way_he_takes(machine: Machine) -> None:
    config = pathlib.Path(f"/proc/{machine.keeper.pid}/root{SYSTEM}")
    config.write_text(config.read_text() + f"caller {STRANGER}\nsenders stranger@example.org\ncaller *\nsenders any\n")
    machine.start()
    for words, text in [
        (["-f", "ceo@example.org"], b"Subject: x\n\nx\n"), (["-f", "stranger@example.org"], b"From: ceo@example.org\nSubject: x\n\nx\n"),
        (["-f", "<>"], b"From: ceo@example.org\n\nx\n"),
    ]:  # fmt: skip
        done = machine.run("sbin/sendmail", "-i", *words, "bob@example.net", uid=STRANGER, message=text)
        assert done.returncode == 77, (words, text, done)
    session = b"HELO x\nMAIL FROM:<ceo@example.org>\nRCPT TO:<bob@example.net>\nDATA\nFrom: ceo@example.org\n\nx\n.\nQUIT\n"
    done = machine.run("sbin/sendmail", "-bs", uid=STRANGER, message=session)
    assert b"queued as" not in done.stdout
    done = machine.run("sbin/sendmail", "-i", "-f", "stranger@example.org", "bob@example.net", uid=STRANGER, message=b"From: stranger@example.org\nFrom: ceo@example.org\n\nx\n")
    assert done.returncode == 0, done
    wait_until(lambda: len(machine.server.deliveries) == 1)
    assert machine.server.deliveries[0].field("From") == ["stranger@example.org"]  # the second one goes


def test_very_many_recipients_are_taken_or_refused_and_others_are_served(machine: Machine) -> None:
    machine.server.answers["MAIL"] = "450 4.3.2 later"
    machine.start()
    count = 100_000 if LONG else 30_000
    program = f"COUNT = {count}" + """
text = b"To: " + b",\\n ".join([b"user%06d@example.net" % number for number in range(COUNT)]) + b"\\nSubject: many\\n\\nx\\n"
line = call()
begun = time.monotonic()
line.sendall(request(b"sendmail", b"-i", b"-t"))
for at in range(0, len(text), 65536):
    line.sendall(frame(b"D", text[at:at + 65536]))
line.sendall(frame(b"E", len(text).to_bytes(8, "big")))
print(answer(line), time.monotonic() - begun)
"""
    process = python(machine, program)
    number = 0
    while process.poll() is None:
        assert machine.send(number, uid=OTHER) == 0
        number += 1
    said = said_by(process)
    show(f"{count} recipients", answer=said.decode(), others=number)
    assert number > 1 and said.startswith(b"b'X\\x00\\x00\\x00\\x01")


def test_whoever_connects_five_thousand_times_leaves_room_for_others(machine: Machine) -> None:
    machine.start()
    program = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
lines = []
for number in range(5000):
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(60)
    while True:
        try:
            line.connect(SOCKET)
            break
        except BlockingIOError:
            time.sleep(0.01)
    lines.append(line)
    if number % 3 == 0:
        try:
            line.sendall(request(b"sendmail", b"-i", b"x@example.net")[:number % 40])
        except OSError:
            pass
print("there", flush=True)
sys.stdin.read()
"""
    process = python(machine, program)
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == b"there\n"
    for number in range(5):
        assert machine.send(number, uid=OTHER) == 0
    wait_until(lambda: sorted(machine.arrived()) == [0, 1, 2, 3, 4])
    assert machine.run(ADMIN, "status").returncode == 0
    process.communicate(timeout=LIMIT)


def test_whoever_asks_for_lists_and_does_not_read_them_keeps_no_answer_from_others(machine: Machine) -> None:
    machine.server.answers["RCPT"] = "450 4.2.1 later"
    machine.start()
    for number in range(12):
        names = [f"user{number}.{each}.{'x' * 40}@example.net" for each in range(900)]
        assert machine.run("sbin/sendmail", "-i", *names, uid=STRANGER, message=b"Subject: x\n\nx\n").returncode == 0
    program = """
lines = [call() for _ in range(60)]
for line in lines:
    line.sendall(request(b"mailq"))
print("there", flush=True)
sys.stdin.read()
"""
    process = python(machine, program)
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"
    done = [machine.run(ADMIN, "status", uid=uid).returncode for uid in (0, OTHER)]
    assert done == [0, 0]
    process.communicate(timeout=LIMIT)
