"""The log of the installed command: lines in Postfix's shape, and a log that never stands in the way of a message."""

import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

from tests.command.caller import MESSAGE, Caller
from tests.conftest import skip

LINE = re.compile(
    r"(?P<date>[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d) (?P<host>\S+) (?P<name>[\w./-]+)/(?P<part>\w+)\[(?P<pid>\d+)\]: "
    r"(?P<qid>[0-9A-Z]{10,24}): (?P<text>.*)"
)
SENT = re.compile(
    r"to=<(?P<to>[^>]*)>, relay=(?P<relay>\S+\[[\d.:a-f]+\]:\d+|none), delay=[\d.]+, delays=[\d.]+(/[\d.]+){3}, "
    r"dsn=(?P<dsn>\d\.\d+\.\d+), status=(?P<status>sent|deferred|bounced) \((?P<reply>.*)\)"
)


def parsed(caller: Caller) -> list[dict[str, str]]:
    """Parse every line of the log."""
    matches = [LINE.fullmatch(line) for line in caller.log]
    assert all(matches), caller.log
    return [match.groupdict() for match in matches if match]


def texts(caller: Caller, part: str) -> list[str]:
    return [line["text"] for line in parsed(caller) if line["part"] == part and not line["text"].startswith("note: ")]


def test_one_message_leaves_these_lines(caller: Caller) -> None:
    delivery = caller.deliver("-t", "r@x", message=MESSAGE + b"more\n")
    size = len(delivery.data)
    assert texts(caller, "pickup") == [f"uid={os.getuid()} from=<sender@example.org>"]
    assert texts(caller, "cleanup") == [f"message-id={delivery.field('Message-ID')[0]}"]
    assert texts(caller, "qmgr") == [f"from=<sender@example.org>, size={size}, nrcpt=2 (queue active)", "removed"]
    outcomes = [SENT.fullmatch(text) for text in texts(caller, "smtp")]
    assert [(m["to"], m["dsn"], m["status"], m["reply"]) for m in outcomes if m] == [
        ("bob@example.net", "2.0.0", "sent", "250 2.0.0 kept"),
        ("r@x", "2.0.0", "sent", "250 2.0.0 kept"),
    ]
    assert outcomes[0] and outcomes[0]["relay"] == f"127.0.0.1[127.0.0.1]:{caller.server.port}"
    assert len({line["qid"] for line in parsed(caller)}) == 1
    assert {line["name"] for line in parsed(caller)} == {"pysendmail"}


def test_messages_have_ids_of_their_own(caller: Caller) -> None:
    for _ in range(3):
        caller.deliver("r@x")
    assert len({line["qid"] for line in parsed(caller)}) == 3


def test_the_null_sender_and_odd_addresses_fit_in(caller: Caller) -> None:
    caller.deliver("-f", "<>", '"a> b"@x', "jörg@x")
    assert texts(caller, "pickup")[0].endswith("from=<>")
    assert len(texts(caller, "smtp")) == 2


FAILURES: dict[str, tuple[dict[str, str], str, str]] = {
    "refused": ({"RCPT": "550 5.1.1 nobody"}, "bounced", "5.1.1"),
    "deferred": ({"RCPT": "450 4.2.1 later"}, "deferred", "4.2.1"),
    "a login is wanted": ({"RCPT": "530 no"}, "deferred", "5.0.0"),
    "not connected": ({"greeting": "554 no"}, "deferred", "4.4.0"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_told_by_status_and_enhanced_code(caller: Caller, case: str) -> None:
    answers, status, dsn = FAILURES[case]
    caller.server.answers = answers
    caller.run("r@x")
    (match,) = [SENT.fullmatch(text) for text in texts(caller, "smtp")]
    assert match and (match["status"], match["dsn"][0], match["dsn"] == dsn) == (status, dsn[0], True)


@pytest.mark.parametrize("message", [b"", b"From: a@x\nSubject: a\0b\n\n"])
def test_a_message_that_is_not_sent_at_all_leaves_a_line_with_the_reason(caller: Caller, message: bytes) -> None:
    line = caller.refuse(65, "r@x", message=message)
    assert texts(caller, "submit") == [f"fatal: uid={os.getuid()}: {line[10:-1]}"]


def test_the_tag_is_the_callers_without_what_could_forge_a_line(caller: Caller) -> None:
    caller.deliver("-L", "cron job[1]: x", "r@x")
    assert {line["name"] for line in parsed(caller)} == {"cron_job_1___x"}


def test_what_others_say_makes_no_line_of_its_own_and_moves_no_cursor(caller: Caller) -> None:
    caller.server.answers["RCPT"] = "550 5.1.1 no\r\x1b[2J\x9b1m \u202eevil \x00end"
    caller.run("-F", "x", "r@x", message=b"Message-ID: <a\x1b[31mb@x>\nFrom: a@x\n\n")
    raw = (caller.home / "log").read_bytes()
    assert not any(octet in raw for octet in (b"\x1b", b"\r", b"\x00", b"\xc2\x9b", b"\xe2\x80\xae"))
    assert len(parsed(caller)) == len(caller.log)


def test_a_long_answer_is_cut(caller: Caller) -> None:
    caller.server.answers["RCPT"] = "\n".join(["550-" + "x" * 400] * 100 + ["550 end"])
    done = caller.run("r@x")
    assert max(map(len, caller.log)) < 1500
    assert len(done.stderr) < 1500 and done.stderr.count(b"\n") == 1


def test_odd_lists_do_not_flood_the_log(caller: Caller) -> None:
    header = b"".join(b"To: a%d@x; b%d@x\n" % (n, n) for n in range(500))
    caller.deliver("-t", message=header + b"\n", words={"max_recipients": "10000"})
    assert len([line for line in caller.log if "note: " in line]) < 50


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_log_that_is_there_is_continued_and_keeps_its_mode(caller: Caller, mode: int) -> None:
    path = caller.home / "log"
    path.write_text("before\n")
    path.chmod(mode)
    caller.deliver("r@x")
    assert path.read_text().startswith("before\n") and path.stat().st_mode & 0o777 == mode


UNWRITABLE = ["/nonexistent/log", "/dev/full", "/", "{0}/pipe", "{0}/socket", "/proc/version"]


@pytest.mark.parametrize("name", UNWRITABLE)
def test_a_log_that_cannot_be_written_fails_no_message(caller: Caller, name: str) -> None:
    os.mkfifo(caller.home / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(caller.home / "socket"))
        caller.deliver("r@x", words={"logfile": name.format(caller.home)})


def test_a_reader_of_a_log_pipe_who_does_not_read_stops_nothing(caller: Caller) -> None:
    os.mkfifo(caller.home / "pipe")
    reader = os.open(caller.home / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        names = [f"user{number}@example.net" for number in range(2000)]
        caller.deliver(*names, words={"logfile": str(caller.home / "pipe"), "max_recipients": "5000"})
    finally:
        os.close(reader)


@pytest.mark.usefixtures("superuser")
def test_the_system_log_gets_the_same_lines(caller: Caller) -> None:
    """In a mount namespace of its own /dev/log is ours to listen at."""
    folder = caller.home / "dev"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "log"))
        listener.settimeout(30)
        shell = 'mount -t tmpfs tmpfs /dev && ln -s "$1/log" /dev/log && shift && exec "$@"'
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh", str(folder), caller.sendmail]
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
            skip("no mount namespace can be made here")
        lines: list[str] = []

        def listen() -> None:
            while not lines or not lines[-1].endswith("removed"):
                lines.append(listener.recv(65536).decode().rstrip("\0"))

        thread = threading.Thread(target=listen)
        thread.start()
        caller.deliver(*command[1:], "r@x", command=command[0], words={"syslog": "LOG_LOCAL3"})
        thread.join(30)
    assert all(re.match(r"<(158|156)>", line) for line in lines)  # local3.info and local3.warning
    said = [re.sub(r".*?pysendmail/(\w+)\[\d+\]: ", r"\1 ", line) for line in lines]
    written = [f"{line['part']} {line['qid']}: {line['text']}" for line in parsed(caller)]
    assert said == written


def test_the_lines_can_be_counted_by_pflogsumm(caller: Caller) -> None:
    if shutil.which("pflogsumm") is None:
        skip("pflogsumm is not installed")
    caller.server.answers = {"RCPT TO:<never@": "550 5.1.1 nobody", "RCPT TO:<later@": "450 4.2.1 later"}
    caller.run("good@x.example", "fine@x.example")
    caller.run("good@y.example", "never@x.example")
    caller.run("later@x.example", "-f", "<>")
    done = subprocess.run(
        ["pflogsumm", "--syslog-name=pysendmail", str(caller.home / "log")], capture_output=True, text=True, check=True
    )
    totals = done.stdout.partition("Per-Hour")[0]
    counts = {word: int(number) for number, word in re.findall(r"^ +(\d+) +(\w+)", totals, re.M)}
    wanted = {"received": 3, "delivered": 3, "deferred": 1, "bounced": 1, "senders": 2, "recipients": 3}
    assert {word: counts[word] for word in wanted} == wanted, done.stdout
    assert "Warnings: none" in done.stdout and "Fatal Errors: none" in done.stdout
