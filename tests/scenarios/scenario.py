"""What a scenario is: a server's script, and what the command must make of it."""

import base64
import dataclasses
from collections.abc import Callable

from tests.scripted import CAPABILITIES, Peer, Script, ehlo, envelope, farewell, until_login, until_tls

USER, PASSWORD = "sender@example.org", "c0rrect-horse:battery%staple"
TEXT = "the body nobody else may read"
MESSAGE = f"From: sender@example.org\nTo: r@example.net\nSubject: scenario\n\n{TEXT}\n".encode()
PLAIN = tuple(word for word in CAPABILITIES if word not in ("PIPELINING", "CHUNKING"))
DATA_ONLY = tuple(word for word in CAPABILITIES if word != "CHUNKING")
TIMEOUT = 1  # seconds


@dataclasses.dataclass
class Scenario:
    """`words` are changes to the configuration; `delivered` is how many messages the server must have taken whole."""

    name: str
    script: Script
    code: int
    says: str = ""
    delivered: int = 0
    words: dict[str, str] = dataclasses.field(default_factory=dict)
    recipients: tuple[str, ...] = ("r@example.net",)
    message: bytes = MESSAGE
    clear_password: bool = False
    clear_message: bool = False
    bound: float = 6.0
    connections: int | None = None


SCENARIOS: list[Scenario] = []


def scenario(name: str, code: int, says: str = "", **more: object) -> Callable[[Script], Script]:
    """Make a function a scenario."""

    def add(script: Script) -> Script:
        SCENARIOS.append(Scenario(name, script, code, says, **more))  # type: ignore[arg-type]
        return script

    return add


def at_greeting(peer: Peer) -> None:
    pass


def at_ehlo(peer: Peer) -> None:
    peer.say("220 mx.test ESMTP")
    peer.hear("EHLO")


def at_starttls(peer: Peer) -> None:
    peer.say("220 mx.test ESMTP")
    ehlo(peer, "STARTTLS")
    peer.hear("STARTTLS")


def at_second_ehlo(peer: Peer) -> None:
    until_tls(peer)
    peer.hear("EHLO")


def at_auth(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer, "AUTH PLAIN")
    peer.hear("AUTH")


def at_mail(peer: Peer) -> None:
    until_login(peer, capabilities=PLAIN)
    peer.hear("MAIL")


def at_rcpt(peer: Peer) -> None:
    until_login(peer, capabilities=PLAIN)
    peer.hear("MAIL")
    peer.say("250 ok")
    peer.hear("RCPT")


def at_data(peer: Peer) -> None:
    until_login(peer, capabilities=PLAIN)
    envelope(peer)
    peer.hear("DATA")


def at_dot(peer: Peer) -> None:
    until_login(peer, capabilities=PLAIN)
    envelope(peer)
    peer.message()


def at_bdat(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.message()


def from_second_ehlo(peer: Peer) -> None:
    """Be a good server for one message, from the first EHLO that counts."""
    ehlo(peer, "AUTH PLAIN")
    peer.hear("AUTH")
    peer.say("235 ok")
    envelope(peer)
    peer.message()
    peer.say("250 ok")
    farewell(peer)


def echoes() -> list[str]:
    """Give the forms in which a server could repeat the password."""
    plain = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    shifted = [base64.b64encode(b"x" * n + PASSWORD.encode() + b"y").decode() for n in range(3)]
    return [PASSWORD, plain, base64.b64encode(PASSWORD.encode()).decode(), *shifted]
