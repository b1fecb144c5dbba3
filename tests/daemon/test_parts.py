"""The daemon with a message whose recipients have several accounts: it is committed at once, and answered as one."""

import os
import pathlib
import pwd
import smtplib
import threading
from collections.abc import Iterator

import pytest

from tests.command.caller import LIMIT, MESSAGE, until
from tests.conftest import Installed
from tests.daemon.whole import Whole
from tests.obedient import Obedient
from tests.ports import free_port

BOSS, BOB = "boss@corp.example", "bob@example.net"


@pytest.fixture
def inner() -> Iterator[Obedient]:
    with Obedient() as server:
        yield server


@pytest.fixture
def whole(installed: Installed, tmp_path: pathlib.Path, inner: Obedient) -> Iterator[Whole]:
    """Give a daemon that runs; the smarthost for corp.example is `inner`."""
    (tmp_path / "aliases").write_text("staff: ann@example.net\nowner-staff: manager@example.com\n")
    with Obedient() as outer:
        made = Whole(installed.sendmail, tmp_path, outer)
        made.words["aliases"] = str(tmp_path / "aliases")
        port = made.words.pop("port")
        del made.words["from"]
        above: dict[str, str] = {word: made.words.pop(word) for word in ("submission_socket", "run_as") if word in made.words}
        shared = "".join([f"\n{word} {value}" for word, value in made.words.items()])
        # Sections as words, each with the lines that follow it in its value.
        made.words = {
            **above,
            "defaults": shared,
            "account inner": f"\nport {inner.port}\nrecipient_domains corp.example",
            "account default": f"\nport {port}",
        }
        yield made
        made.clear()


def arrived(server: Obedient) -> list[tuple[str, list[str]]]:
    return [(one.sender, one.recipients) for one in server.deliveries]


def test_each_part_leaves_by_its_own_server_with_its_own_id(whole: Whole, inner: Obedient) -> None:
    whole.start()
    done = whole.send("-fme@example.org", BOSS, BOB, "staff")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    until(lambda: len(inner.deliveries) == 1 and len(whole.server.deliveries) == 2)
    assert arrived(inner) == [("me@example.org", [BOSS])]
    assert sorted(arrived(whole.server)) == [("manager@example.com", ["ann@example.net"]), ("me@example.org", [BOB])]
    ids = {one.field("Received")[0].partition(" id ")[2].partition(";")[0] for one in [*inner.deliveries, *whole.server.deliveries]}
    assert len(ids) == 3
    assert len({one.field("Message-ID")[0] for one in [*inner.deliveries, *whole.server.deliveries]}) == 1
    until(lambda: whole.items() == [])


def test_who_waits_for_the_answers_gets_those_of_all_parts(whole: Whole, inner: Obedient) -> None:
    whole.start()
    done = whole.send("-odi", BOSS, BOB)
    assert (done.returncode, done.stderr) == (0, b"")
    inner.answers["RCPT"] = "550 5.1.1 no such user"
    done = whole.send("-odi", BOSS, BOB)
    assert done.returncode == 67
    lines = done.stderr.decode().splitlines()
    assert lines[0].startswith(f"sendmail: {BOSS}: refused: ") and "550 5.1.1 no such user" in lines[0]
    assert lines[1:] == [f"sendmail: the message was accepted for {BOB}"]
    until(lambda: whole.items() == [])
    assert len(whole.server.deliveries) == 2


def test_where_one_part_has_to_wait_the_other_is_told_by_mail(whole: Whole, inner: Obedient) -> None:
    whole.start()
    inner.answers["RCPT"] = "550 5.1.1 no such user"
    whole.server.answers[f"RCPT TO:<{BOB}>"] = "451 4.3.0 later"
    done = whole.send("-odi", "-fme@example.org", BOSS, BOB)
    assert (done.returncode, done.stderr) == (0, b"")
    until(lambda: sorted(whole.waiting())[:1] == [(BOB, "deferred")])
    # By the account for who gets it, not by that of the message.
    until(lambda: "RCPT TO:<me@example.org>" in whole.server.commands)
    assert "RCPT TO:<me@example.org>" not in inner.commands


def test_a_caller_who_is_gone_leaves_all_parts_to_go_on(whole: Whole, inner: Obedient) -> None:
    gate = inner.gates["RCPT"] = threading.Event()
    whole.start()
    process = whole.begin("-odi", "-fme@example.org", BOSS, BOB)
    until(lambda: len(whole.server.deliveries) == 1 and any(line.startswith("RCPT") for line in inner.commands))
    process.kill()
    process.wait(LIMIT)
    gate.set()
    until(lambda: len(inner.deliveries) == 1 and whole.items() == [])


def test_a_session_of_smtp_is_answered_for_all_parts(whole: Whole, inner: Obedient) -> None:
    port = free_port()
    whole.words = {"listen": f"127.0.0.1:{port}", **whole.words}
    whole.start()
    with smtplib.SMTP("127.0.0.1", port, timeout=LIMIT) as client:
        assert client.sendmail("me@example.org", [BOSS, BOB], MESSAGE.replace(b"\n", b"\r\n")) == {}
    until(lambda: len(inner.deliveries) == len(whole.server.deliveries) == 1)


def test_a_section_that_names_the_account_leaves_the_domains_of_recipients_no_say(whole: Whole, inner: Obedient) -> None:
    section = f"\ncaller {pwd.getpwuid(os.getuid()).pw_name}\nuse_account default\nsenders *@example.org"
    whole.words["submission_socket"] += section  # above the first account
    whole.words = {word: whole.words[word] for word in sorted(whole.words, key=lambda word: word != "run_as")}
    whole.start()
    done = whole.send("-fme@example.org", BOSS, BOB)
    assert (done.returncode, done.stderr) == (0, b"")
    until(lambda: arrived(whole.server) == [("me@example.org", [BOSS, BOB])])
    # The owner of a list is no sender of the caller's.
    done = whole.send("-fme@example.org", "staff")
    assert (done.returncode, done.stderr) == (0, b"")
    until(lambda: len(whole.server.deliveries) == 2)
    assert arrived(whole.server)[1] == ("manager@example.com", ["ann@example.net"])
    done = whole.send("-fmanager@example.com", "staff")
    assert done.returncode == 77


def test_the_dialogue_about_each_part_is_shown_under_its_id(whole: Whole, inner: Obedient) -> None:
    gate = inner.gates["RCPT"] = threading.Event()
    whole.start()
    process = whole.begin("-v", "-fme@example.org", BOSS, BOB)
    until(lambda: len(whole.server.deliveries) == 1)
    gate.set()
    _, shown = process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    blocks: dict[str, str] = {}
    now = ""
    for line in shown.decode().splitlines():
        if line.startswith("=== ") and line.endswith(":"):
            now = line.split()[1][:-1]
        elif line.startswith(("--> ", "<-- ")):
            blocks[now] = blocks.get(now, "") + line + "\n"
    assert len(blocks) == 2 and "" not in blocks
    for text in blocks.values():
        assert (f"RCPT TO:<{BOSS}>" in text) is not (f"RCPT TO:<{BOB}>" in text) and "<-- 250 2.0.0 kept" in text
    assert [path.name for path in whole.queue.parent.iterdir() if "-dialogue-" in path.name] == []
