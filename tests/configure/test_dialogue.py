"""pysendmail configure at a terminal: what is asked, what is not shown, and what an interruption leaves behind."""

import os
import pathlib
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.config.terminal import Terminal
from tests.obedient import Obedient

SECRET = b"geheim und lang"
ME = "me@localdomain"
PROGRAM = """
import sys
from pysendmail.command.configure import discovery
from pysendmail.command.configure.offer import Offer
discovery.find = lambda domain, address, tell, trust: {offers}
sys.argv = ["pysendmail", "configure", *{arguments!r}]
from pysendmail.command.admin.main import main
main()
"""


class Person:
    """Somebody at a terminal who configures."""

    def __init__(self, folder: pathlib.Path, ca: str, opened: list[Terminal]) -> None:
        self.path = folder / "conf" / "pysendmail.conf"
        self.ca = ca
        self._opened = opened

    def begins(self, *arguments: str, offers: str = "[]") -> "Person":
        words = ["--file", str(self.path), "--tls-trust-file", self.ca, *arguments]
        self.terminal = Terminal(PROGRAM.format(offers=offers, arguments=words))
        self._opened.append(self.terminal)
        return self

    def is_asked(self, text: str, times: int = 1) -> "Person":
        self.terminal.read_until(text.encode(), times)
        return self

    def says(self, text: "bytes | str") -> "Person":
        self.terminal.type(text.encode() if isinstance(text, str) else text)
        return self

    def ends(self, code: int) -> str:
        assert self.terminal.wait() == code, self.terminal.shown
        assert SECRET not in self.terminal.shown and b"Traceback" not in self.terminal.shown
        return self.terminal.shown.decode().replace("\r\n", "\n")


@pytest.fixture
def person(tmp_path: pathlib.Path, identities: dict[str, str]) -> Iterator[Person]:
    opened: list[Terminal] = []
    yield Person(tmp_path, identities["ca"], opened)
    for terminal in opened:
        terminal.close()


@pytest.fixture
def server(identities: dict[str, str]) -> Iterator[Obedient]:
    with Obedient(identities, tls="starttls", mechanisms="PLAIN") as running:
        yield running


def offer(server: Obedient, **more: object) -> str:
    words = ", ".join(f"{name}={value!r}" for name, value in more.items())
    return f"[Offer('localhost', {server.port}, 'starttls', 'a test', {words})]"


def test_all_that_is_not_known_is_asked_and_the_password_is_not_shown(person: Person, server: Obedient) -> None:
    person.begins().is_asked("Your mail address: ").says("no address\n")
    person.is_asked("expected one mail address").is_asked("Your mail address: ", 2).says(f"{ME}\n")
    person.is_asked("Host name of the server that takes your mail: ").says("a b\n")
    person.is_asked("expected a host name").is_asked("takes your mail: ", 2).says("localhost\n")
    person.is_asked("Port [465]: ").says("70000\n").is_asked("expected a number").says(f"{server.port}\n")
    person.is_asked("TLS, implicit or starttls [starttls]: ").says("\n")
    person.is_asked("Password of me@localdomain at localhost (not shown): ")
    assert not person.terminal.echo
    person.says(b"\n").is_asked("a password is needed").is_asked("(not shown): ", 2).says(SECRET + b"\n")
    person.is_asked("Write it? y or n [y]: ")
    assert person.terminal.echo and not person.path.exists()
    person.says("what\n").is_asked("expected y or n").says("y\n")
    person.is_asked(f"Send a test message to {ME}? y or n [y]: ").says("y\n")
    said = person.ends(0)
    assert f"{person.path}, which is new:" in said and "test message: accepted for me@localdomain by localhost" in said
    assert b"\npassword " + SECRET + b"\n" in person.path.read_bytes()
    assert [one.recipients for one in server.deliveries] == [[ME]]


def test_what_is_known_is_not_asked(person: Person, server: Obedient) -> None:
    person.begins(ME, offers=offer(server, hint="think of it"))
    person.is_asked("(not shown): ").says(SECRET + b"\n").is_asked("Write it? y or n [y]: ").says("\n")
    person.is_asked("test message to").says("n\n")
    said = person.ends(0)
    assert f"{ME}: localhost port {server.port}, STARTTLS; a test\nnote: think of it\n" in said
    assert said.count("]: ") == 2 and server.deliveries == []


def test_a_wrong_password_can_be_given_anew(person: Person, server: Obedient) -> None:
    server.answers = {"AUTH": "535 5.7.8 bad credentials"}
    person.begins(ME, offers=offer(server))
    person.is_asked("(not shown): ").says(b"wrong\n")
    person.is_asked("(w)rite it all the same, or (q)uit [p]: ")
    assert b"login: wrong user or password" in person.terminal.shown and not person.path.exists()
    server.answers = {}
    person.says("x\n").is_asked("one letter").says("p\n").is_asked("(not shown): ", 2).says(SECRET + b"\n")
    person.is_asked("Write it?").says("\n").is_asked("test message").says("n\n").ends(0)
    assert SECRET in person.path.read_bytes()


def test_another_user_and_another_server_can_be_given(person: Person, server: Obedient) -> None:
    person.begins(ME, offers="[Offer('localhost', 1, 'starttls', 'a test')]")
    person.is_asked("(not shown): ").says(SECRET + b"\n").is_asked("or (q)uit [s]: ").says("s\n")
    person.is_asked("Host name of the server").says("localhost\n").is_asked("Port [465]: ").says(f"{server.port}\n")
    server.answers = {"AUTH": "535 5.7.8 bad"}
    person.is_asked("TLS, implicit or starttls").says("starttls\n")
    person.is_asked("or (q)uit [p]: ").says("u\n")
    server.answers = {}
    person.is_asked("User name at localhost [me@localdomain]: ").says("other\n")
    person.is_asked("Password of other at localhost").says(SECRET + b"\n").is_asked("Write it?").says("y\n")
    person.is_asked("test message").says("n\n").ends(0)
    assert b"\nuser other\n" in person.path.read_bytes()


def test_who_quits_leaves_all_as_it_is_and_who_insists_gets_his_file(person: Person, server: Obedient) -> None:
    server.answers = {"AUTH": "535 5.7.8 bad"}
    person.begins(ME, offers=offer(server)).is_asked("(not shown): ").says(SECRET + b"\n")
    person.is_asked("or (q)uit [p]: ").says("q\n")
    assert "nothing was written\n" in person.ends(77) and not person.path.parent.exists()
    person.begins(ME, offers=offer(server)).is_asked("(not shown): ").says(SECRET + b"\n")
    person.is_asked("or (q)uit [p]: ").says("w\n").is_asked("Write it?").says("y\n").ends(77)
    assert SECRET in person.path.read_bytes() and server.deliveries == []


def test_who_does_not_agree_to_the_change_keeps_his_file(person: Person, server: Obedient) -> None:
    person.path.parent.mkdir()
    person.path.write_text("host old\n")
    person.begins(ME, offers=offer(server)).is_asked("(not shown): ").says(SECRET + b"\n")
    person.is_asked("+host localhost").is_asked("Write it?").says("n\n").ends(75)
    assert person.path.read_text() == "host old\n" and os.listdir(person.path.parent) == ["pysendmail.conf"]


def test_a_server_that_could_be_forged_is_asked_about_and_no_is_the_default(person: Person, server: Obedient) -> None:
    person.begins(ME, offers=offer(server, trusted=False))
    person.is_asked(f"a test names localhost port {server.port}, STARTTLS, which could be forged. Is it right? y or n [n]: ")
    assert server.connections == 0
    person.says("\n").is_asked("Host name of the server").says(b"\x04")
    person.ends(75)
    person.begins(ME, offers=offer(server, trusted=False))
    person.is_asked("Is it right?").says("y\n").is_asked("(not shown): ").says(SECRET + b"\n")
    person.is_asked("Write it?").says("y\n").is_asked("test message").says("n\n").ends(0)


def test_oauth_is_explained_and_the_command_for_the_token_is_asked_for(person: Person, identities: dict[str, str]) -> None:
    with Obedient(identities, tls="starttls", mechanisms="PLAIN XOAUTH2") as server:
        person.begins(ME, offers=offer(server, oauth=True))
        person.is_asked("takes an access token (OAuth2) only, no password; a program such as oama")
        person.is_asked("Command that prints an access token: ").says("echo token1\n")
        person.is_asked("Write it?").says("y\n").is_asked("test message").says("y\n").ends(0)
        assert any(line.startswith("AUTH XOAUTH2") for line in server.commands) and len(server.deliveries) == 1
    text = person.path.read_text()
    assert "\nauth xoauth2\n" in text and "\npasswordeval echo token1\n" in text


Stop = Callable[[Person], object]
STOPS: "list[tuple[str, Stop, int, str]]" = [
    ("^C", lambda person: person.says(b"\x03"), 75, "ended by signal 2"),
    ("SIGTERM", lambda person: os.kill(person.terminal.pid, signal.SIGTERM), 75, "ended by signal 15"),
    ("^D", lambda person: person.says(b"\x04"), 75, "the input ended before the answer; nothing was written"),
]


@pytest.mark.parametrize(("stop", "code", "told"), [one[1:] for one in STOPS], ids=[one[0] for one in STOPS])
@pytest.mark.parametrize("question", ["Your mail address: ", "(not shown): ", "Write it?", "test message to"])
def test_an_interruption_leaves_nothing_behind_and_the_terminal_as_it_was(
    person: Person, server: Obedient, question: str, stop: Stop, code: int, told: str
) -> None:
    person.begins(offers=offer(server))
    for text, answer in (("Your mail address: ", f"{ME}\n".encode()), ("(not shown): ", SECRET + b"\n"), ("Write it?", b"y\n")):
        person.is_asked(text)
        if text == question:
            break
        person.says(answer)
    person.is_asked(question)
    stop(person)
    said = person.ends(code)
    assert said.rstrip().endswith(told) and person.terminal.echo
    if question == "test message to":
        assert os.listdir(person.path.parent) == ["pysendmail.conf"]
    else:
        assert not person.path.parent.exists()


def test_control_characters_in_answers_do_no_harm(person: Person, server: Obedient) -> None:
    person.begins(ME, offers=offer(server, user=""))
    person.is_asked("User name at localhost: ").says(b"a\x16\x01b\n").is_asked("expected no control characters")
    person.is_asked("User name at localhost: ", 2).says(b"ab\n")
    person.is_asked("(not shown): ").says(b"x\x16\x01y\n").is_asked("control characters are none of a password")
    person.is_asked("(not shown): ", 2).says(SECRET + b"\n").is_asked("Write it?").says("y\n")
    person.is_asked("test message").says("n\n")
    assert "\x01" not in person.ends(0)
    assert b"\nuser ab\n" in person.path.read_bytes()


def test_a_server_on_this_machine_with_a_certificate_of_its_own_is_asked_about_and_pinned(
    person: Person, server: Obedient
) -> None:
    program = PROGRAM.format(offers=offer(server), arguments=["--file", str(person.path), ME])
    for answer in ("n", "y"):
        terminal = person.terminal = Terminal(program)
        person._opened.append(terminal)
        person.is_asked("(not shown): ").says(SECRET + b"\n")
        person.is_asked("shows a certificate for localhost, 127.0.0.1, of its own making")
        person.is_asked("Is it the right one? y or n [n]: ")
        assert not any(line.startswith("AUTH") for line in server.commands)
        person.says(f"{answer}\n")
        if answer == "n":
            person.is_asked("or (q)uit [s]: ").says("q\n").ends(75)
    person.is_asked("certificate pinned").is_asked("Write it?").says("y\n").is_asked("test message").says("n\n").ends(0)
    assert b"\ntls_fingerprint " in person.path.read_bytes()


def test_a_password_from_standard_input_is_not_shown_where_that_is_a_terminal(person: Person, server: Obedient) -> None:
    words = ["--yes", "--password-file", "-", "--host", "localhost", "--port", str(server.port), "--tls", "starttls", ME]
    person.begins(*words).is_asked("Password (not shown): ")
    assert not person.terminal.echo
    person.says(SECRET + b"\n").ends(0)
    assert SECRET in person.path.read_bytes() and person.terminal.echo


def test_with_json_the_questions_stay_on_the_terminal(person: Person, server: Obedient) -> None:
    person.begins(ME, "--json", offers=offer(server)).is_asked("(not shown): ").says(SECRET + b"\n")
    person.is_asked("host localhost").is_asked("Write it?").says("y\n")
    person.is_asked("test message").says("n\n")
    said = person.ends(0)
    assert '"written": true' in said.splitlines()[-1]
