"""TLS: injections, bad handshakes, bad certificates, pins, and the configurations that ask for less."""

import os
import ssl

from tests.scenarios.scenario import (
    SCENARIOS,
    Scenario,
    at_starttls,
    from_second_ehlo,
    scenario,
)
from tests.scripted import (
    Peer,
    ehlo,
    envelope,
    until_tls,
)


@scenario("data injected behind the answer to STARTTLS", 75, "injection")
def _injection(peer: Peer) -> None:
    at_starttls(peer)
    peer.say("220 go ahead", "250-mx.test", "250 AUTH PLAIN")
    peer.tls()
    peer.stall()


@scenario("half a reply injected behind the answer to STARTTLS", 75, "injection")
def _half_injection(peer: Peer) -> None:
    at_starttls(peer)
    peer.send(b"220 go ahead\r\n250-mx")
    peer.stall()


@scenario("silence in the handshake", 75, "in time")
def _tls_silence(peer: Peer) -> None:
    at_starttls(peer)
    peer.say("220 go ahead")
    peer.stall()


@scenario("a hang-up in the handshake", 75, "TLS")
def _tls_hang_up(peer: Peer) -> None:
    at_starttls(peer)
    peer.say("220 go ahead")
    peer.receive()
    peer.hang_up()


@scenario("rubbish in the handshake", 75, "TLS")
def _tls_rubbish(peer: Peer) -> None:
    at_starttls(peer)
    peer.say("220 go ahead")
    peer.receive()
    peer.flood(b"\x16\x03\x03\xff\xffrubbish", 1 << 20)


@scenario("clear text instead of the handshake", 75, "TLS")
def _tls_clear(peer: Peer) -> None:
    at_starttls(peer)
    peer.say("220 go ahead")
    peer.receive()
    peer.say("454 TLS not available")
    peer.stall()


@scenario("a TLS record that is forged", 75)
def _tls_forged(peer: Peer) -> None:
    until_tls(peer)
    peer.hear("EHLO")
    os.write(peer.socket.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
    peer.stall()


BAD_CERTIFICATES = {
    "expired": "expired",
    "not-yet": "is valid from",
    "wrong-name": "not for 127.0.0.1",
    "self-signed": "signed by itself",
    "unknown-authority": "issuer",
    "for-clients": "not meant for servers",
    "name-in-subject-only": "not for 127.0.0.1",
    "wrong-address": "not for 127.0.0.1",
}
for kind, word in BAD_CERTIFICATES.items():

    def _bad_certificate(peer: Peer, kind: str = kind) -> None:
        until_tls(peer, kind)
        peer.stall()

    SCENARIOS.append(Scenario(f"a certificate that is {kind}", _bad_certificate, 75, word))

    def _bad_implicit(peer: Peer, kind: str = kind) -> None:
        peer.tls(kind)
        peer.say("220 mx.test")
        peer.stall()

    SCENARIOS.append(
        Scenario(f"a certificate that is {kind}, implicit TLS", _bad_implicit, 75, word, words={"tls_starttls": "off"})
    )


@scenario("only TLS 1.1", 75, "TLS")
def _old_tls(peer: Peer) -> None:
    at_starttls(peer)
    peer.say("220 go ahead")
    peer.tls(maximum_version=ssl.TLSVersion.TLSv1_1, minimum_version=ssl.TLSVersion.TLSv1, ciphers="ALL:@SECLEVEL=0")
    peer.stall()


@scenario("TLS 1.2", 0, delivered=1)
def _tls_12(peer: Peer) -> None:
    until_tls(peer, maximum_version=ssl.TLSVersion.TLSv1_2)
    from_second_ehlo(peer)


@scenario("TLS 1.2 where 1.3 is asked for", 75, "TLS", words={"tls_min_version": "1.3"})
def _too_old(peer: Peer) -> None:
    until_tls(peer, maximum_version=ssl.TLSVersion.TLSv1_2)
    peer.stall()


@scenario("implicit TLS", 0, delivered=1, words={"tls_starttls": "off"})
def _implicit(peer: Peer) -> None:
    peer.tls()
    peer.say("220 mx.test")
    from_second_ehlo(peer)


@scenario("implicit TLS 1.2, whose greeting may come with the end of the handshake", 0, delivered=1,
          words={"tls_starttls": "off"})  # fmt: skip
def _implicit_12(peer: Peer) -> None:
    peer.tls(maximum_version=ssl.TLSVersion.TLSv1_2)
    peer.say("220 mx.test")
    from_second_ehlo(peer)


@scenario("implicit TLS at a port that begins in clear", 75, "TLS", words={"tls_starttls": "off"})
def _implicit_at_clear(peer: Peer) -> None:
    peer.say("220 mx.test ESMTP")
    peer.stall()


@scenario("STARTTLS at a port that begins with TLS", 75)
def _clear_at_implicit(peer: Peer) -> None:
    peer.tls()
    peer.stall()


@scenario("a self-signed certificate whose fingerprint is pinned", 0, delivered=1,
          words={"tls_fingerprint": "@SELF-SIGNED@", "tls_trust_file": ""})  # fmt: skip
def _pinned(peer: Peer) -> None:
    until_tls(peer, "self-signed")
    from_second_ehlo(peer)


@scenario("another certificate than the pinned one", 75, "fingerprint",
          words={"tls_fingerprint": "@SELF-SIGNED@", "tls_trust_file": ""})  # fmt: skip
def _pin_differs(peer: Peer) -> None:
    until_tls(peer)
    peer.stall()


@scenario("an unverified certificate where checking is off", 0, delivered=1, words={"tls_certcheck": "off"})
def _unchecked(peer: Peer) -> None:
    until_tls(peer, "self-signed")
    from_second_ehlo(peer)


NO_LOGIN = {"auth": "off", "user": "", "password": ""}


@scenario("opportunistic TLS with a bad certificate", 0, delivered=1, words={"tls": "opportunistic", **NO_LOGIN})
def _opportunistic(peer: Peer) -> None:
    until_tls(peer, "expired")
    ehlo(peer)
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("opportunistic TLS without STARTTLS", 0, delivered=1, clear_message=True,
          words={"tls": "opportunistic", **NO_LOGIN})  # fmt: skip
def _opportunistic_clear(peer: Peer) -> None:
    peer.say("220 mx.test")
    ehlo(peer)
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("opportunistic TLS whose handshake fails", 0, delivered=1, clear_message=True, connections=2,
          words={"tls": "opportunistic", **NO_LOGIN})  # fmt: skip
def _opportunistic_fallback(peer: Peer) -> None:
    peer.say("220 mx.test")
    ehlo(peer, "STARTTLS")
    if peer.number == 1:
        peer.hear("STARTTLS")
        peer.say("220 go")
        peer.receive()
        peer.hang_up()
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("opportunistic TLS where STARTTLS is refused", 0, delivered=1, clear_message=True, connections=2,
          words={"tls": "opportunistic", **NO_LOGIN})  # fmt: skip
def _opportunistic_refused(peer: Peer) -> None:
    peer.say("220 mx.test")
    ehlo(peer, "STARTTLS")
    if peer.number == 1:
        peer.hear("STARTTLS")
        peer.say("454 4.7.0 TLS not available")
        peer.stall()
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("opportunistic TLS with a login and no STARTTLS", 75, "not encrypted", words={"tls": "opportunistic"})
def _opportunistic_login(peer: Peer) -> None:
    peer.say("220 mx.test")
    ehlo(peer, "AUTH PLAIN")
    peer.stall()


@scenario("opportunistic TLS with a login and a bad certificate", 75, "expired", words={"tls": "opportunistic"})
def _opportunistic_login_bad(peer: Peer) -> None:
    until_tls(peer, "expired")
    peer.stall()


@scenario("a login in clear that the configuration asks for", 0, delivered=1, clear_message=True, clear_password=True,
          words={"tls": "off", "auth_without_tls": "on"})  # fmt: skip
def _clear_login(peer: Peer) -> None:
    peer.say("220 mx.test")
    from_second_ehlo(peer)
