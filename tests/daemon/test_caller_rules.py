"""Sections for callers hold at the daemon's door, for the user who runs the tests and for others."""

import json
import os
import socket
import subprocess

import pytest

from pysendmail import wire
from tests.command.caller import LIMIT
from tests.conftest import Installed, skip
from tests.daemon.door import Door, answer

ME = str(os.getuid())
NOBODY = 65534
TEXT = b"From: ann@example.org\nTo: bob@example.net\nSubject: hello\n\ntext\n"
MINE = ("-t", "-fann@example.org")


@pytest.fixture
def ruled(door: Door) -> Door:
    """Give a door with a section for whoever runs the tests, and one for everybody."""
    return again(door, f"caller {ME}", "senders ann@example.org *@lists.example.org", "size 64K", "caller *", "deny on")


def again(door: Door, *lines: str) -> Door:
    door.clear()
    door.start(*lines)
    return door


def call_as(door: Door, uid: int, *arguments: str, text: bytes = TEXT, name: str = "sendmail") -> "tuple[int, bytes]":
    """Hand a message over as another user; return the exit code and the text of the answer."""
    if os.geteuid() != 0:
        skip("only root can become another user")
    door.socket.parent.chmod(0o755)
    door.socket.chmod(0o666)
    here = os.getcwd()
    os.chdir(door.socket.parent)  # so that the folders above need not let everybody through
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(LIMIT)
    os.seteuid(uid)
    try:
        line.connect(door.socket.name)
    finally:
        os.seteuid(0)
        os.chdir(here)
    with line:
        words = [argument.encode() for argument in arguments]
        line.sendall(wire.request(name.encode(), words) + wire.frame(wire.DATA, text) + wire.end(len(text)))
        return answer(line)


def test_what_the_section_allows_is_taken(ruled: Door) -> None:
    ruled.submit(*MINE, text=TEXT)
    ruled.submit("-t", "-f", "x@lists.example.org", text=TEXT)
    ruled.submit("-t", "-f", "<>", text=TEXT)
    assert len(ruled.items()) == 3


@pytest.mark.parametrize(
    ("sender", "author", "where"),
    [
        ("boss@corp.example", "ann@example.org", "the envelope sender"),
        ("ann@example.org", "boss@corp.example", "the From field"),
        ("ann@example.org", "ann@example.org\nSender: boss@corp.example", "the Sender field"),
        ("<>", "team: ann@example.org, boss@corp.example;", "the From field"),
        ('"boss"@corp.example', "ann@example.org", "the envelope sender"),
    ],
)
def test_another_sender_is_refused_with_a_line_that_names_what_is_allowed(
    ruled: Door, sender: str, author: str, where: str
) -> None:
    text = TEXT.replace(b"ann@example.org", author.encode())
    said = ruled.refuse(77, "-t", "-f", sender, text=text)
    assert f"may not send as boss@corp.example ({where})" in said
    assert said.endswith("allows *@lists.example.org, ann@example.org\n")
    assert [line for line in ruled.lines() if f": fatal: uid={ME}: user " in line and "as boss@corp.example" in line]


def test_a_message_that_is_too_large_is_refused_before_its_end_is_there(ruled: Door) -> None:
    with ruled.call() as line:
        line.sendall(wire.request(b"sendmail", [b"-t", b"-fann@example.org"]) + wire.frame(wire.DATA, TEXT))
        line.sendall(wire.frame(wire.DATA, b"x" * 65536))
        code, err = answer(line)  # no END was ever sent
    assert (code, err) == (65, b"sendmail: the message is larger than 65536 octets; nothing was sent\n")
    assert ruled.items() == []


def test_a_header_alone_may_be_too_large(ruled: Door) -> None:
    assert "larger than 65536 octets" in ruled.refuse(65, *MINE, text=b"X: " + b"x" * 65500 + b"\n" + TEXT)


def test_who_may_send_nothing_is_told_so_before_he_sends_it(door: Door) -> None:
    again(door, f"caller {ME}", "deny on")
    with door.call() as line:
        line.sendall(wire.request(b"sendmail", [b"-t"]))
        code, err = answer(line)  # neither DATA nor END was sent
    assert code == 77 and b"may not send (caller " + ME.encode() in err
    door.refuse(77, *MINE, text=TEXT)


def test_another_user_is_bound_by_his_own_section(ruled: Door) -> None:
    code, err = call_as(ruled, NOBODY, *MINE)
    assert code == 77 and b"may not send (caller * at " in err
    assert ruled.items() == []


def test_two_users_send_as_themselves_and_never_as_the_other(door: Door) -> None:
    again(door, "caller *", "senders %U@example.org", f"caller {ME}", "senders ann@example.org")
    other = b"nobody@example.org"
    mine = TEXT.replace(b"ann@example.org", other)
    assert call_as(door, NOBODY, "-t", "-f", "nobody@example.org", text=mine) == (0, b"")
    for arguments, text in (
        (("-t", "-f", "ann@example.org"), mine),
        (("-t", "-f", "nobody@example.org"), TEXT),
        (("-t", "-f", "nobody@example.org"), mine.replace(b"To:", b"Sender: ann@example.org\nTo:")),
        (("-t", "-f", "nobody@example.org"), mine.replace(b"To:", b"Resent-From: ann@example.org\nTo:")),
        (("-t", "-f", "<>"), b"From: nobody@example.org, ann@example.org\nTo: b@example.net\n\n"),
        (("-t", "--read-envelope-from"), TEXT),
    ):
        code, err = call_as(door, NOBODY, *arguments, text=text)
        assert code == 77 and b"may not send as ann@example.org" in err and b"allows nobody@example.org" in err, err
    [item] = door.items()
    assert (item.message.uid, item.message.sender) == (NOBODY, other)


def test_a_rate_is_each_users_own_and_asks_to_come_again(door: Door) -> None:
    again(door, "caller *", "rate 2/h", f"caller {ME}", "rate 1/h")
    door.submit(*MINE, text=TEXT)
    assert "1 messages in 3600 s; try in 3600 s" in door.refuse(75, *MINE, text=TEXT)
    assert [call_as(door, NOBODY, *MINE)[0] for _ in range(3)] == [0, 0, 75]


def test_messages_that_wait_are_counted_for_each_user(door: Door) -> None:
    again(door, "caller *", "messages 1", f"caller {ME}", "messages 2")
    door.submit(*MINE, text=TEXT)
    door.submit(*MINE, text=TEXT)
    assert "has 2 messages in the queue" in door.refuse(75, *MINE, text=TEXT)
    assert [call_as(door, NOBODY, *MINE)[0] for _ in range(2)] == [0, 75]


def test_what_is_brought_into_line_is_queued_that_way(door: Door) -> None:
    again(door, "received_user on", f"caller {ME}", "senders app@example.org", "align on")
    door.submit("-t", "-f", "boss@corp.example", text=TEXT.replace(b"ann@", b"Boss <boss@").replace(b"org\nTo", b"org>\nTo"))
    [item] = door.items()
    assert item.message.sender == b"app@example.org"
    header = door.texts()[0]
    assert b"\r\nFrom: Boss <app@example.org>\r\n" in header and b"\r\nReply-To: Boss <boss@example.org>\r\n" in header
    assert b"(pysendmail, from userid " + ME.encode() + b") id " in header.partition(b"\r\nFrom")[0]


# pysendmail explain, answered by the daemon


def explain(door: Door, installed: Installed, *arguments: str, text: bytes = TEXT) -> "subprocess.CompletedProcess[bytes]":
    return door.send("explain", *arguments, text=text, command=str(installed.prefix / "bin" / "pysendmail"))


def test_the_daemon_explains_what_it_would_do_and_does_nothing(ruled: Door, installed: Installed) -> None:
    done = explain(ruled, installed, "--json", "--", *MINE)
    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)
    assert found["daemon"] is True and found["delivery"] == "background" and found["configuration"].endswith("/conf")
    assert found["caller"]["section"].endswith("/conf:8")
    assert [line for line in found["header"] if line.startswith("+Received: by ")]
    assert ruled.items() == []
    refused = explain(ruled, installed, "--", "-t", "-f", "boss@corp.example")
    assert refused.returncode == 77 and b"may not send as boss@corp.example (the envelope sender)" in refused.stdout
    other = explain(ruled, installed, "--as", "nobody", "--", *MINE)
    assert other.returncode == 77 and b"user nobody may not send (caller * at " in other.stdout


def test_who_is_denied_may_ask_why(door: Door, installed: Installed) -> None:
    again(door, f"caller {ME}", "deny on")
    done = explain(door, installed, "--", *MINE)
    assert done.returncode == 77 and b"refused: " in done.stdout and done.stderr == b""


@pytest.mark.parametrize("arguments", [("--", "-bp"), ("--",), ("--as", "no such user", "--", "-t"), ("--", "-t", "-Z")])
def test_a_wrong_command_line_is_refused_by_the_daemon_too(
    door: Door, installed: Installed, arguments: tuple[str, ...]
) -> None:
    done = explain(door, installed, *arguments)
    assert (done.returncode, done.stdout) == (64, b"")
    assert done.stderr.startswith(b"pysendmail: ") and done.stderr.count(b"\n") == 1


def test_a_lone_dot_at_the_end_is_none_of_the_message_either_way(door: Door, installed: Installed) -> None:
    sizes = []
    for arguments in (("-t",), ("-t", "-i")):
        done = explain(door, installed, "--json", "--", *arguments, text=TEXT + b".\n")
        sizes.append(json.loads(done.stdout)["octets"])
    assert sizes[1] - sizes[0] == 3


def test_no_other_user_asks_in_another_ones_name(door: Door) -> None:
    code, err = call_as(door, NOBODY, "explain", "--as", "root", "--", "-t", name="pysendmail")
    assert (code, err) == (77, b"pysendmail: --as is for root and the daemon's own user\n")
    code, text = call_as(door, NOBODY, "explain", "--json", "--", "-t", name="pysendmail")
    assert code == 0 and json.loads(text)["caller"]["uid"] == NOBODY
