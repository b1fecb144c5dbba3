"""Logins, and servers that give away what they were told."""

import base64

from tests.scenarios.scenario import (
    PASSWORD,
    at_auth,
    at_bdat,
    echoes,
    scenario,
)
from tests.scripted import (
    Peer,
    ehlo,
    envelope,
    until_tls,
)


@scenario("a refused login that repeats the password", 77)
def _echo_refused(peer: Peer) -> None:
    at_auth(peer)
    peer.say(*(f"535-5.7.8 {echo}" for echo in echoes()), "535 5.7.8 no")
    peer.stall()


@scenario("an accepted login that repeats the password", 0, delivered=1)
def _echo_accepted(peer: Peer) -> None:
    at_auth(peer)
    peer.say(*(f"235-2.7.0 {echo}" for echo in echoes()), "235 2.7.0 yes")
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("a refused message that repeats the password", 65, delivered=1)
def _echo_late(peer: Peer) -> None:
    at_bdat(peer)
    peer.say(*(f"554-5.7.1 {echo}" for echo in echoes()), "554 5.7.1 no")
    peer.stall()


@scenario("capabilities that hold the password", 75)
def _echo_ehlo(peer: Peer) -> None:
    until_tls(peer)
    peer.hear("EHLO")
    peer.say(f"250-{PASSWORD}", f"250 X{echoes()[1]}")
    peer.stall()


@scenario("LOGIN", 0, delivered=1)
def _login(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer, "AUTH LOGIN")
    peer.hear("AUTH LOGIN")
    while True:
        peer.say("334 UGFzc3dvcmQ6" if peer.buffer or peer.reads % 2 else "334 VXNlcm5hbWU6")
        peer.hear()
        peer.reads = 1
        if base64.b64encode(PASSWORD.encode()) in b"".join(peer.server.secure):
            break
    peer.say("235 ok")
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("an AUTH exchange without end", 76, "AUTH")
def _endless_auth(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer, "AUTH CRAM-MD5")
    peer.hear("AUTH")
    while True:
        peer.say("334 PDEyM0B4Pg==")
        peer.hear()


@scenario("SCRAM with an iteration count that would take hours", 75, "iteration")
def _scram_hours(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer, "AUTH SCRAM-SHA-256")
    first = base64.b64decode(peer.hear("AUTH").split()[2]).split(b"r=")[1]
    challenge = b"r=" + first + b"server,s=c2FsdHNhbHQ=,i=2000000000"
    peer.say(b"334 " + base64.b64encode(challenge))
    peer.stall()


@scenario("SCRAM that is accepted without the server's proof", 76)
def _scram_unproved(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer, "AUTH SCRAM-SHA-256")
    first = base64.b64decode(peer.hear("AUTH").split()[2]).split(b"r=")[1]
    peer.say(b"334 " + base64.b64encode(b"r=" + first + b"server,s=c2FsdHNhbHQ=,i=4096"))
    peer.hear()
    peer.say("235 come in")
    peer.stall()


@scenario("control characters in a refusal", 65, delivered=1)
def _controls(peer: Peer) -> None:
    at_bdat(peer)
    peer.say(b"554 5.7.1 \x1b[2J\x07\xc2\x9b31m\xe2\x80\xae evil\rline\x7f")
    peer.stall()


@scenario("SCRAM whose channel binding is refused", 77, "not today")
def _binding_refused(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer, "AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS PLAIN")
    peer.hear("AUTH SCRAM-SHA-256-PLUS")
    peer.say("501 5.5.2 unsupported channel binding type")
    peer.hear("AUTH SCRAM-SHA-256 ")
    peer.say("535 5.7.8 not today")
    peer.stall()
