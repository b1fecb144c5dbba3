"""What the loopback listener takes, what it refuses, and what a client of ill will gets out of it."""

import email.message
import shutil
import signal
import smtplib
import socket
import subprocess
import threading

import pytest

from pysendmail.queue.sqlite import SqliteStore
from tests.command.caller import LIMIT, until
from tests.command.queued import Queue
from tests.conftest import skip
from tests.daemon.door import Door

ENVELOPE = b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\n"
MESSAGE = b"Subject: hello\r\nBcc: secret@example.net\r\n\r\ntext\r\n.\r\n"


class Wire:
    """One connection, by hand."""

    def __init__(self, door: Door, greeted: bool = True) -> None:
        self.line = socket.create_connection(("127.0.0.1", door.port), timeout=LIMIT)
        self._file = self.line.makefile("rb")
        if greeted:
            assert self.hear()[:4] == "220 "

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.line.close()

    def hear(self) -> str:
        """Return the last line of the next reply, "" at the end."""
        while line := self._file.readline():
            if line[3:4] != b"-":
                return line.decode().rstrip("\r\n")
        return ""

    def say(self, data: bytes, replies: int = 1) -> list[str]:
        """Say something and return so many replies."""
        self.line.sendall(data)
        return [self.hear() for _ in range(replies)]


def codes(replies: list[str]) -> list[str]:
    return [reply[:3] for reply in replies]


def test_a_message_is_repaired_and_queued_with_the_envelope_of_the_session(door: Door) -> None:
    with Wire(door) as wire:
        assert codes(wire.say(b"EHLO me\r\n")) == ["250"]
        one = b"MAIL FROM:<ann@example.org> RET=HDRS ENVID=id+2B1\r\nRCPT TO:<bob@example.net> NOTIFY=DELAY ORCPT=rfc822;b+2Bb@x\r\nRCPT TO:<root>\r\nDATA\r\n"
        assert codes(wire.say(one, 4)) == ["250", "250", "250", "354"]
        (said,) = wire.say(MESSAGE)
        assert said.startswith("250 2.0.0 Ok: queued as ")
        assert codes(wire.say(b"QUIT\r\n")) == ["221"]
        assert wire.hear() == ""
    [item] = door.items()
    assert item.message.qid == said.rpartition(" ")[2]
    assert (item.message.sender, item.message.ret, item.message.envid) == (b"ann@example.org", b"HDRS", b"id+1")
    assert [(one.address, one.notify, one.orcpt) for one in item.recipients] == [
        (b"bob@example.net", b"DELAY", b"rfc822;b+b@x"), (b"root@example.org", None, None),
    ]  # fmt: skip
    (text,) = door.texts()
    assert b"secret" not in text and text.startswith(b"Received: by ")
    assert all([name in text for name in (b"\r\nFrom: ", b"\r\nDate: ", b"\r\nMessage-ID: ", b"\r\nTo: undisclosed")])
    assert b" for " not in text.partition(b"Subject")[0] and b"bob@example.net" not in text


def test_many_messages_in_one_flight_are_answered_in_order(door: Door) -> None:
    one = ENVELOPE + b"BDAT 14 LAST\r\nSubject: x\r\n\r\n"
    with Wire(door) as wire:
        replies = wire.say(b"EHLO me\r\n" + one * 200 + b"QUIT\r\n", 602)
    assert codes(replies) == ["250"] * 601 + ["221"]
    assert len(door.items()) == 200
    ids = [reply.rpartition(" ")[2] for reply in replies if "queued as" in reply]
    assert sorted(ids) == sorted([item.message.qid for item in door.items()])


def test_pythons_client_and_swaks_are_served(door: Door) -> None:
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = "ann@example.org", "bob@example.net", "grüße"
    message.set_content("text äöü\n.\n..\n")
    with smtplib.SMTP("127.0.0.1", door.port, timeout=LIMIT) as client:
        assert client.send_message(message) == {}
        assert client.sendmail("ann@example.org", ["one@example.net"], b"Subject: 2\r\n\r\nx") == {}
    swaks = shutil.which("swaks")
    if swaks is None:
        skip("swaks is not installed")
    words = [str(swaks), "--server", f"127.0.0.1:{door.port}", "--from", "ann@example.org", "--to", "joe@example.net"]
    assert subprocess.run(words, capture_output=True, timeout=LIMIT, check=False).returncode == 0
    assert sorted([item.recipients[0].address for item in door.items()]) == [b"bob@example.net", b"joe@example.net", b"one@example.net"]
    assert b"\r\n.\r\n..\r\n" in door.texts()[0]


def test_msmtp_is_served(door: Door) -> None:
    msmtp = shutil.which("msmtp")
    if msmtp is None:
        skip("msmtp is not installed")
    words = [str(msmtp), "--host=127.0.0.1", f"--port={door.port}", "--from=ann@example.org", "--", "bob@example.net"]
    done = subprocess.run(words, input=b"Subject: x\n\ntext\n", capture_output=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    assert len(door.items()) == 1


@pytest.mark.parametrize("end", [b"\n.\r\n", b"\r\n.\n", b"\n.\n", b"\r.\r", b"\r\n.\r", b"\r\r\n.\r\r\n"])
def test_a_smuggled_message_takes_the_first_one_down_with_it(door: Door, end: bytes) -> None:
    with Wire(door) as wire:
        attack = ENVELOPE + b"DATA\r\nSubject: x\r\n\r\ntext" + end + ENVELOPE + b"DATA\r\n" + MESSAGE
        assert codes(wire.say(attack, 4)) == ["250", "250", "354", "550"]
        assert wire.hear() == ""
    assert door.items() == []


def test_what_the_client_sent_too_much_does_not_keep_the_last_word_from_it(door: Door) -> None:
    with Wire(door) as wire:
        replies = wire.say(ENVELOPE + b"DATA\r\nSubject: x\r\n\r\nbare\nlf\r\n" + b"0123456789abcdef\r\n" * 200_000, 4)
        assert replies[-1].startswith("550 5.5.2 bare LF")
        assert wire.hear() == ""


@pytest.mark.parametrize("end", [b"", b"DATA\r\n", b"DATA\r\nSubject: x\r\n\r\nhalf\r\n.", b"BDAT 100 LAST\r\nshort"])
def test_a_client_that_goes_half_way_leaves_nothing(door: Door, end: bytes) -> None:
    with Wire(door):
        descriptors = door.descriptors() - 1
    for _ in range(5):
        with Wire(door) as wire:
            wire.say(ENVELOPE + end, 2)
    until(lambda: door.descriptors() <= descriptors)
    assert door.items() == []


def test_a_client_that_stops_speaking_after_its_message_is_answered(door: Door) -> None:
    with Wire(door) as wire:
        wire.line.sendall(b"HELO me\r\n" + ENVELOPE + b"DATA\r\n" + MESSAGE + b"QUIT\r\n")
        wire.line.shutdown(socket.SHUT_WR)
        assert codes([wire.hear() for _ in range(6)]) == ["250", "250", "250", "354", "250", "221"]
    assert len(door.items()) == 1


def test_where_callers_have_sections_the_listener_needs_one(door: Door) -> None:
    door.clear()
    door.start("caller *", "senders any")
    with Wire(door) as wire:
        (said,) = wire.say(b"MAIL FROM:<ann@example.org>\r\n")
        assert said.startswith("550 5.7.1 ") and "listener" in said
    door.clear()
    door.start("caller listener", "senders *@example.org", "size 1k", "rate 1/1h")
    with Wire(door) as wire:
        wire.line.sendall(b"EHLO me\r\n")
        assert "250-SIZE 1024" in [wire.line.recv(4096).decode()][0]
        assert codes(wire.say(ENVELOPE + b"BDAT 16 LAST\r\nSubject: x\r\n\r\nhi", 3)) == ["250", "250", "250"]
        replies = wire.say(ENVELOPE + b"BDAT 16 LAST\r\nSubject: x\r\n\r\nhi", 3)
        assert replies[2].startswith("451 4.") and "try in" in replies[2]
        replies = wire.say(b"MAIL FROM:<eve@example.net>\r\nRCPT TO:<bob@example.net>\r\nBDAT 16 LAST\r\nSubject: x\r\n\r\nhi", 3)
        assert replies[2][:4] in ("550 ", "451 ")
        assert wire.say(b"MAIL FROM:<ann@example.org> SIZE=1025\r\n")[0].startswith("552 5.3.4")
    assert len(door.items()) == 1


def test_a_sender_that_the_section_does_not_allow_is_refused(door: Door) -> None:
    door.clear()
    door.start("caller listener", "senders *@example.org")
    with Wire(door) as wire:
        replies = wire.say(b"MAIL FROM:<eve@example.net>\r\nRCPT TO:<bob@example.net>\r\nBDAT 16 LAST\r\nSubject: x\r\n\r\nhi", 3)
        assert replies[2].startswith("550 5.7.1 ") and "eve@example.net" in replies[2]
        assert codes(wire.say(ENVELOPE + b"BDAT 16 LAST\r\nSubject: x\r\n\r\nhi", 3)) == ["250"] * 3
    assert len(door.items()) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [(b"", "554 5.6.0 the input is empty"), (b"Subject: \0\r\n\r\nx\r\n", "554 5.6.0 NUL in the header")],
)
def test_a_message_that_is_none_is_refused_and_the_session_goes_on(door: Door, text: bytes, says: str) -> None:
    with Wire(door) as wire:
        assert wire.say(ENVELOPE + b"DATA\r\n" + text + b".\r\n", 4)[3].startswith(says)
        assert codes(wire.say(ENVELOPE + b"DATA\r\n" + MESSAGE, 4))[3] == "250"
    assert len(door.items()) == 1


def test_a_bad_alias_file_is_told_and_nothing_is_lost(door: Door) -> None:
    door.clear()
    aliases = door.folder / "aliases"
    aliases.write_text("root odd\n")
    door.start(f"aliases {aliases}")
    with Wire(door) as wire:
        assert wire.say(b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<root>\r\nDATA\r\n" + MESSAGE, 4)[3].startswith("451 4.3.5 ")
        aliases.write_text("root: bob@example.net\n")
        assert codes(wire.say(b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<root>\r\nDATA\r\n" + MESSAGE, 4))[3] == "250"


def test_it_ends_politely_when_it_is_asked_to(door: Door) -> None:
    with Wire(door) as idle, Wire(door) as busy:
        busy.say(ENVELOPE + b"DATA\r\nSubject: x\r\n\r\nhalf\r\n", 3)
        assert door.process is not None
        door.process.send_signal(signal.SIGTERM)
        until(lambda: not _listens(door))
        assert codes(busy.say(b".\r\n", 2)) == ["250", "421"]
        assert idle.hear()[:4] == "421 "
        assert door.process.wait(LIMIT) == 0
    assert len(door.items()) == 1


def _listens(door: Door) -> bool:
    """Tell whether a new client is greeted."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=LIMIT) as line:
        line.settimeout(0.5)
        try:
            return line.recv(4) == b"220 "
        except TimeoutError:
            return False


def test_a_large_message_comes_through_whole_in_little_memory(door: Door) -> None:
    line = b"." + b"0123456789abcdef" * 4 + b"\r\n"
    with Wire(door) as wire:
        wire.say(ENVELOPE + b"DATA\r\n", 3)
        before = door.memory()
        piece = b"." + line
        wire.line.sendall(b"Subject: x\r\n\r\n")
        for _ in range(100):
            wire.line.sendall(piece * 5000)
        assert door.memory() - before < 24 << 20
        assert codes(wire.say(b".\r\n")) == ["250"]
    (text,) = door.texts()
    assert text.partition(b"\r\n\r\n")[2] == line * 500_000


def test_many_clients_that_stall_hold_up_nobody(door: Door) -> None:
    stalled = [Wire(door) for _ in range(150)]
    try:
        for number, wire in enumerate(stalled):
            wire.line.sendall((ENVELOPE + b"DATA\r\nhalf")[: number % 80])
        for _ in range(10):
            with Wire(door) as wire:
                assert codes(wire.say(ENVELOPE + b"DATA\r\n" + MESSAGE, 4)) == ["250", "250", "354", "250"]
    finally:
        for wire in stalled:
            wire.line.close()
    assert len(door.items()) == 10


def test_a_client_that_never_reads_costs_a_bounded_amount(door: Door) -> None:
    with Wire(door) as wire:
        before = door.memory()
        wire.line.settimeout(2)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += wire.line.send(b"NOOP\r\n" * 10_000)
        except (TimeoutError, ConnectionError):
            pass  # it is not read any more, or sent away for a thousand of them
        assert door.memory() - before < 8 << 20
    with Wire(door) as wire:
        assert codes(wire.say(b"NOOP\r\n")) == ["250"]


def test_envelopes_of_many_clients_together_have_a_bound(door: Door) -> None:
    """Each of them asks for thousands of recipients with long parameters, and none ever sends a message."""
    long = b"RCPT TO:<%0200d@example.net> ORCPT=rfc822;" + b"x" * 480 + b"\r\n"
    before = door.memory()
    refused = threading.Event()

    def ask() -> None:
        with Wire(door) as wire:
            wire.say(b"EHLO me\r\nMAIL FROM:<ann@example.org>\r\n", 2)
            for number in range(90):
                if "451" in codes(wire.say(b"".join([long % (number * 100 + one) for one in range(100)]), 100)):
                    refused.set()
                    return
            refused.wait(LIMIT)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused.is_set()
    assert door.memory() - before < 80 << 20


@pytest.mark.parametrize(
    ("state", "code", "dsn", "reply", "says"),
    [
        ("sent", 0, "2.0.0", "250 2.0.0 kept", "250 2.0.0 Ok: queued as "),
        ("failed", 67, "5.1.1", "550 5.1.1 nobody", "550 5.1.1 bob@example.net: refused: "),
        ("failed", 65, "5.7.1", "554 5.7.1 spam", "554 5.6.0 bob@example.net: refused: "),
        ("deferred", 75, "4.2.1", "450 4.2.1 later", "250 2.0.0 Ok: queued as "),
    ],
)
def test_an_interactive_delivery_is_answered_when_the_smarthost_has_answered(
    door: Door, state: str, code: int, dsn: str, reply: str, says: str
) -> None:
    door.clear()
    door.start("delivery interactive")
    with Wire(door) as wire:
        wire.line.sendall(ENVELOPE + b"DATA\r\n" + MESSAGE + b"NOOP\r\n")
        assert codes([wire.hear() for _ in range(3)]) == ["250", "250", "354"]
        door.until_queued(1)
        store = SqliteStore(str(door.queue))
        queue = Queue(store)
        (item,) = store.listing()
        queue.end(item.message.qid, state, dsn=dsn, reply=reply, code=code, relay="mx.example.net")
        store.close()
        said = wire.hear()
        assert said.startswith(says), said
        assert state != "failed" or reply in said
        assert "sendmail:" not in said and wire.hear()[:3] == "250"
