"""What the accept process takes, what it refuses, and how it answers; nobody delivers here."""

import hashlib
import os
import signal

import pytest

from pysendmail import wire
from tests.daemon.door import TEXT, Door, answer, message

BOB, CAROL = "bob@example.net", "carol@example.net"


def test_a_message_is_in_the_queue_with_all_that_belongs_to_it(door: Door) -> None:
    door.submit("-i", "-f", "ann@example.org", "-F", "Ann", BOB, "root")
    [item] = door.items()
    assert (item.message.uid, item.message.sender) == (os.getuid(), b"ann@example.org")
    assert [(one.address, one.state) for one in item.recipients] == [(BOB.encode(), "queued"), (b"root@example.org", "queued")]
    [text] = door.texts()
    header, _, body = text.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in header.split(b"\r\n") if line[:1] not in b" \t"]
    assert names[0] == b"Received" and {b"From", b"Date", b"Message-ID", b"Subject"} <= set(names)
    assert item.message.qid.encode() in header and b" for " not in header.partition(b"\r\nSubject")[0]
    assert b"From: Ann <ann@example.org>" in header and body == b"text\r\n"


def test_bcc_is_never_in_what_was_taken(door: Door) -> None:
    door.submit("-t", text=b"To: bob@example.net\nBcc: hidden@example.net\n\ntext\n")
    [item] = door.items()
    assert {one.address for one in item.recipients} == {BOB.encode(), b"hidden@example.net"}
    assert b"hidden" not in door.texts()[0]


@pytest.mark.parametrize(
    ("arguments", "text", "code", "says"),
    [
        (["-i"], TEXT, 64, "no recipients"),
        (["-Y", BOB], TEXT, 64, "unknown option -Y"),
        (["-N", "sometimes", BOB], TEXT, 64, "bad -N"),
        (["-t"], b"Subject: x\n\ntext\n", 64, "no recipient"),
        (["bob@", CAROL], TEXT, 65, "bad recipient"),
        ([BOB], b"", 65, "empty"),
        ([BOB], b"Subject: a\0b\n\ntext\n", 65, "NUL"),
        (["-a", "nowhere", BOB], TEXT, 78, "no account"),
        (["-f", "b@d@", BOB], TEXT, 65, "sender"),
    ],
)
def test_a_refusal_says_why_and_queues_nothing(door: Door, arguments: list[str], text: bytes, code: int, says: str) -> None:
    assert says in door.refuse(code, *arguments, text=text)


def test_silence_was_asked_for(door: Door) -> None:
    done = door.send("-oeq", "bob@", text=TEXT)
    assert (done.returncode, done.stdout, done.stderr) == (65, b"", b"")


@pytest.mark.parametrize(
    ("arguments", "text", "body"),
    [
        ([], b"\na\n.\n", b"a\r\n"), ([], b"\na\n.\nb\n", b"a\r\n.\r\nb\r\n"), (["-i"], b"\na\n.\n", b"a\r\n.\r\n"),
        (["-oi"], b"\r\na\r\n.\r\n", b"a\r\n.\r\n"), (["-i"], b"\nno end", b"no end\r\n"), (["-i"], b"\na\rb\r\r\nc", b"a\r\nb\r\nc\r\n"),
    ],
)  # fmt: skip
def test_dots_and_line_ends_are_as_ever(door: Door, arguments: list[str], text: bytes, body: bytes) -> None:
    door.submit(*arguments, BOB, text=text)
    assert door.texts()[0].partition(b"\r\n\r\n")[2] == body


def test_a_large_message_comes_through_whole(door: Door) -> None:
    text = b"".join(b"%08d 0123456789abcde\n" % number for number in range(500_000))
    door.submit("-i", BOB, text=b"Subject: x\n\n" + text)
    body = door.texts()[0].partition(b"\r\n\r\n")[2]
    assert hashlib.sha256(body).digest() == hashlib.sha256(text.replace(b"\n", b"\r\n")).digest()


def test_queue_only_waits_and_the_background_does_not(door: Door) -> None:
    door.submit("-odq", BOB)
    door.submit("-odb", CAROL)
    queued, background = [item.recipients[0] for item in door.items()]
    assert queued.due > door.items()[0].message.created and background.due <= door.items()[1].message.created


def test_the_list_is_shown_and_messages_can_be_steered(door: Door) -> None:
    assert door.send("-bp").stdout == b"Mail queue is empty\n"
    door.submit(BOB)
    listed = door.send("-bp")
    assert listed.returncode == 0 and BOB.encode() in listed.stdout and b"-- 0 Kbytes in 1 Request." in listed.stdout
    program = os.path.join(os.path.dirname(door.sendmail), "../bin/pysendmail")
    assert door.send("queue", "hold", "--all", command=program).returncode == 0
    assert [one.state for item in door.items() for one in item.recipients] == ["held"]
    shown = door.send("queue", "list", "--json", command=program)
    assert shown.returncode == 0 and shown.stdout.startswith(b"{") and b"held" in shown.stdout
    assert door.send("queue", "remove", "--all", command=program).returncode == 0
    assert door.items() == []


def test_addresses_are_verified_and_aliases_checked(door: Door) -> None:
    door.clear()
    aliases = door.folder / "aliases"
    aliases.write_text("root: bob@example.net\n")
    door.start(f"aliases {aliases}")
    done = door.send("-bv", "root", "carol")
    assert done.returncode == 0 and done.stdout.startswith(b"root... to bob@example.net") and b"carol@example.org" in done.stdout
    assert door.send("-bi").returncode == 0
    door.submit("root")
    assert door.items()[0].recipients[0].address == BOB.encode()
    aliases.write_text("root: bob@example.net\nodd\n")
    assert door.send("-bi").returncode == 78
    assert "aliases:2" in door.refuse(78, "root")
    aliases.write_text("root: carol@example.net\n")
    door.submit("root")
    assert door.items()[1].recipients[0].address == CAROL.encode()


def test_a_folder_that_is_gone_keeps_the_message_back(door: Door) -> None:
    door.submit(BOB)
    moved = door.queue.parent.with_name("moved")
    door.queue.parent.rename(moved)
    try:
        done = door.send(BOB, text=b"Subject: x\n\n" + b"0123456789abcde\n" * 2_000_000)
        assert done.returncode == 75 and done.stderr.count(b"\n") == 1
    finally:
        moved.rename(door.queue.parent)
    door.submit(BOB)


def test_it_ends_when_it_is_asked_to_and_what_is_complete_is_committed(door: Door) -> None:
    with door.call() as half, door.call() as whole:
        half.sendall(message(b"-i", BOB.encode())[:-5])
        whole.sendall(message(b"-i", CAROL.encode()))
        assert answer(whole)[0] == 0
        assert door.process is not None
        door.process.send_signal(signal.SIGTERM)
        half.sendall(message(b"-i", BOB.encode())[-5:])
        assert answer(half)[0] in (0, 75)
    assert door.process.wait(60) == 0
    assert door.items()[0].recipients[0].address == CAROL.encode()


def test_it_ends_when_there_is_nothing_to_do(door: Door) -> None:
    door.clear()
    process = door.start(idle="0.5")
    assert process.wait(60) == 10


def test_it_stays_while_something_waits(door: Door) -> None:
    door.clear()
    process = door.start(idle="0.5")
    door.submit(BOB)
    with pytest.raises(Exception, match="timed out"):
        process.wait(4)
    assert door.stop() == 0


def test_rules_hold_for_callers(door: Door) -> None:
    door.clear()
    door.start(f"caller {os.getuid()}", "senders ann@example.org", "size 10k")
    door.submit("-f", "ann@example.org", BOB, text=b"From: ann@example.org\n\ntext\n")
    assert "may not send as eve@example.org" in door.refuse(77, "-f", "eve@example.org", BOB)
    assert "larger than 10240" in door.refuse(65, "-f", "ann@example.org", BOB, text=b"From: ann@example.org\n\n" + b"x\n" * 10_000)


def test_a_release_that_speaks_otherwise_is_told(door: Door) -> None:
    with door.call() as line:
        line.sendall(wire.frame(wire.REQUEST, b"2\0sendmail\0bob@x"))
        code, text = answer(line)
    assert code == 75 and b"different releases" in text
