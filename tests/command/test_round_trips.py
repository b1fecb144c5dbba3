"""How often the installed command waits for the server: what a message costs on a slow line."""

import pathlib
import select
import ssl

import pytest

from tests.command.caller import Caller
from tests.conftest import Installed
from tests.obedient import Obedient
from tests.scripted import Gone, Peer

PAUSE = 0.05  # seconds without a further octet after which a flight counts as over


class Waiting(Obedient):
    """Answer only when the client has no more to say, and keep the first word of each flight of the client."""

    def __init__(self, *arguments: object, **more: object) -> None:
        super().__init__(*arguments, **more)  # type: ignore[arg-type]
        self.flights: list[str] = ["(greeting)"]

    def _talk(self, peer: Peer) -> None:
        answers: list[bytes] = []
        receive = peer.receive

        def send() -> None:
            if answers:
                peer.send(b"".join(answers))
                answers.clear()

        def listen() -> bytes:
            if not (isinstance(peer.socket, ssl.SSLSocket) and peer.socket.pending()):
                if not select.select([peer.socket], [], [], PAUSE)[0] and answers:
                    send()
                    self.flights.append("")
            data = receive()
            self.flights[-1] += " " + b" ".join(data.split(b"\r\n")[0].split()[:1]).decode("latin-1")
            return data

        def collect(*lines: "str | bytes") -> None:
            answers.append(b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines))
            if lines[0][:3] == "220" and self.commands[-1:] == ["STARTTLS"]:
                send()
                self.flights.append("(handshake)")
                self.flights.append("")

        peer.receive, peer.say = listen, collect  # type: ignore[method-assign]
        try:
            super()._talk(peer)
        except Gone:
            send()
            raise


@pytest.mark.parametrize(
    ("tls", "login", "most"),
    [
        ("implicit", True, 4),  # greeting, EHLO, AUTH, message
        ("implicit", False, 3),
        ("starttls", True, 7),  # STARTTLS, the handshake and EHLO in addition
        ("off", False, 3),
    ],
)
def test_a_message_for_one_waits_as_seldom_as_it_can(
    installed: Installed, identities: dict[str, str], tmp_path: pathlib.Path, tls: str, login: bool, most: int
) -> None:
    with Waiting(identities, tls=tls, mechanisms="PLAIN LOGIN SCRAM-SHA-256" if login else "") as server:
        caller = Caller(installed.sendmail, tmp_path, server)
        words = {"tls": "off" if tls == "off" else "on", "tls_starttls": "off" if tls == "implicit" else "on"}
        caller.words |= {**words, "tls_trust_file": identities["ca"] if tls != "off" else ""}
        if login:
            caller.words |= {"user": "u", "password": "secret", "auth": "plain"}
        caller.deliver("r@x")
    waits = [flight for flight in server.flights if "QUIT" not in flight and flight]
    assert len(waits) == most, server.flights


def test_nothing_waits_for_the_answer_to_quit(caller: Caller) -> None:
    """The server never gives one, and the command is done long before any limit of time."""
    caller.server.answers["QUIT"] = "(never answered)"
    caller.deliver("r@x", words={"timeout": "3600"})


def test_many_recipients_cost_no_further_wait(installed: Installed, tmp_path: pathlib.Path) -> None:
    with Waiting() as server:
        caller = Caller(installed.sendmail, tmp_path, server)
        caller.deliver(*[f"user{number}@example.net" for number in range(100)])
    assert len([flight for flight in server.flights if "QUIT" not in flight and flight]) == 3


def test_a_large_message_waits_once_more_for_its_recipients(installed: Installed, tmp_path: pathlib.Path) -> None:
    with Waiting() as server:
        caller = Caller(installed.sendmail, tmp_path, server)
        caller.deliver("r@x", message=b"From: a@x\nTo: b@x\n\n" + b"text\n" * 50_000)
    assert [flight.split()[0] for flight in server.flights if flight and "QUIT" not in flight][:4] == [
        "(greeting)", "EHLO", "MAIL", "BDAT"]  # fmt: skip
