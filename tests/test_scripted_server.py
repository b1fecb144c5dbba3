"""The installed command against a server that does everything that a good server never does.

Each scenario says what the server does, the exit code that is right, and how long it may take at most; and in each of
them neither password nor message may have gone anywhere in clear, nor the password into anything that was printed.
"""

import base64
import dataclasses
import os
import pathlib
import ssl
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.conftest import Installed
from tests.delivery import certificates
from tests.scripted import (
    CAPABILITIES,
    Peer,
    Script,
    ScriptedServer,
    ehlo,
    envelope,
    farewell,
    good,
    until_login,
    until_tls,
)

USER, PASSWORD = "sender@example.org", "c0rrect-horse:battery%staple"
TEXT = "the body nobody else may read"
MESSAGE = f"From: sender@example.org\nTo: r@example.net\nSubject: scenario\n\n{TEXT}\n".encode()
PLAIN = tuple(word for word in CAPABILITIES if word not in ("PIPELINING", "CHUNKING"))
DATA_ONLY = tuple(word for word in CAPABILITIES if word != "CHUNKING")
TIMEOUT = 1


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


# Every kind of answer at every stage of the dialogue


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


def answer(text: str) -> Script:
    def act(peer: Peer) -> None:
        peer.say(text)
        peer.stall()

    return act


def two_refusals(peer: Peer) -> None:
    peer.say("550 5.5.1 no")
    peer.hear("HELO")
    peer.say("550 5.5.1 no")
    peer.stall()


# stage: the codes for 421 and hang-up, 4xx, 5xx, a wrong class, rubbish, reset, silence
STAGES: dict[str, tuple[Script, tuple[int, ...], str]] = {
    "the greeting": (at_greeting, (75, 75, 75, 76, 76, 75, 75), "354"),
    "EHLO": (at_ehlo, (75, 75, 75, 76, 76, 75, 75), "354"),
    "STARTTLS": (at_starttls, (75, 75, 75, 76, 76, 75, 75), "354"),
    "EHLO under TLS": (at_second_ehlo, (75, 75, 75, 76, 76, 75, 75), "354"),
    "AUTH": (at_auth, (75, 75, 77, 76, 76, 75, 75), "334 #"),
    "MAIL": (at_mail, (75, 75, 69, 76, 76, 75, 75), "354"),
    "RCPT": (at_rcpt, (75, 75, 67, 76, 76, 75, 75), "354"),
    "DATA": (at_data, (75, 75, 65, 76, 76, 75, 75), "250"),
    "the final dot": (at_dot, (75, 75, 65, 75, 75, 75, 75), "354"),
    "BDAT": (at_bdat, (75, 75, 65, 75, 75, 75, 75), "354"),
}
for stage, (begin, codes, wrong) in STAGES.items():
    acts: list[tuple[str, Script, int]] = [
        ("is answered 421", answer("421 4.3.2 shutting down"), codes[0]),
        ("is answered by hanging up", Peer.hang_up, codes[0]),
        ("is answered 4xx", answer("450 4.2.0 not now"), codes[1]),
        ("is answered 5xx", two_refusals if "EHLO" in stage else answer("550 5.1.1 never"), codes[2]),
        ("is answered by another class", answer(f"{wrong} what"), codes[3]),
        ("is answered by rubbish", answer("\x7fELF rubbish"), codes[4]),
        ("is answered by a reset", Peer.reset, codes[5]),
        ("is never answered", Peer.stall, codes[6]),
    ]
    for what, act, code in acts:

        def run(peer: Peer, begin: Script = begin, act: Script = act) -> None:
            begin(peer)
            act(peer)

        taken = 1 if stage in ("the final dot", "BDAT") else 0
        doubt = "not known whether" if taken and code == 75 and "4" not in what else ""
        SCENARIOS.append(Scenario(f"{stage} {what}", run, code, doubt, delivered=taken))


# Replies that are odd, split, dripping or endless


@scenario("a good server", 0, delivered=1)
def _good(peer: Peer) -> None:
    good(peer)


@scenario("replies in single octets", 0, delivered=1)
def _octets(peer: Peer) -> None:
    peer.drip(b"220 mx.test\r\n", 0.001)
    ehlo(peer, "STARTTLS")
    peer.hear("STARTTLS")
    peer.drip(b"220-go\r\n", 0.001)
    peer.drip(b"220 ahead\r\n", 0)
    peer.tls()
    ehlo(peer, "AUTH PLAIN")
    peer.hear("AUTH")
    peer.drip(b"235 2.7.0 ok\r\n", 0.001)
    envelope(peer)
    peer.message()
    peer.drip(b"250-2.0.0 ok\r\n250 2.0.0 done\r\n", 0.001)


@scenario("replies with bare line feeds", 0, delivered=1)
def _bare_lf(peer: Peer) -> None:
    peer.send(b"220 mx\n")
    peer.hear("EHLO")
    peer.send(b"250-mx\n250 STARTTLS\n")
    peer.hear("STARTTLS")
    peer.send(b"220 go\n")
    peer.tls()
    peer.hear("EHLO")
    peer.send(b"250-mx\n250 AUTH PLAIN\n")
    peer.hear("AUTH")
    peer.send(b"235 ok\n")
    envelope(peer)
    peer.message()
    peer.send(b"250 ok\n")


@scenario("replies with NUL and 8-bit octets in their text", 0, delivered=1)
def _eight_bit(peer: Peer) -> None:
    peer.say(b"220 \x00\xff\xfe mx")
    ehlo(peer, "STARTTLS")
    peer.hear("STARTTLS")
    peer.say(b"220 \x80\x00")
    peer.tls()
    ehlo(peer, "AUTH PLAIN")
    peer.hear("AUTH")
    peer.say(b"235 \xc3\xa4\x00")
    envelope(peer)
    peer.message()
    peer.say(b"250 2.0.0 \xf0\x9f\x93\xac\x00")


@scenario("a long greeting of many lines", 0, delivered=1)
def _long_greeting(peer: Peer) -> None:
    peer.say(*[f"220-line {number} " + "x" * 500 for number in range(50)])
    good(peer)


@scenario("an overlong line in a reply", 0, delivered=1)
def _long_line(peer: Peer) -> None:
    peer.say("220-" + "x" * 20000)
    good(peer)


@scenario("an endless line as greeting", 76, "longer than any SMTP reply")
def _endless_line(peer: Peer) -> None:
    peer.send(b"220 ")
    peer.flood(b"x")


@scenario("a greeting of endless lines", 76)
def _endless_lines(peer: Peer) -> None:
    peer.flood(b"220-welcome to this server\r\n")


@scenario("an endless answer to the final dot", 75, "not known whether", delivered=1)
def _endless_final(peer: Peer) -> None:
    at_bdat(peer)
    peer.flood(b"250-ok\r\n")


@scenario("endless replies that nobody asked for", 76)
def _endless_replies(peer: Peer) -> None:
    peer.flood(b"220 hello\r\n")


@scenario("a dripping greeting", 75, "in time")
def _dripping_greeting(peer: Peer) -> None:
    peer.drip(b"220 " + b"x" * 200, 0.1)


@scenario("a dripping answer to EHLO under TLS", 75, "in time")
def _dripping_ehlo(peer: Peer) -> None:
    at_second_ehlo(peer)
    peer.drip(b"250-" + b"x" * 200, 0.1)


@scenario("a dripping answer to the final dot", 75, "not known whether", delivered=1)
def _dripping_final(peer: Peer) -> None:
    at_bdat(peer)
    peer.drip(b"250 " + b"x" * 200, 0.1)


@scenario("a reply of which one half comes", 75, "not known whether", delivered=1)
def _half_final(peer: Peer) -> None:
    at_bdat(peer)
    peer.send(b"250 2.0")
    peer.hang_up()


@scenario("a code that changes within the final reply", 75, "not known whether", delivered=1)
def _changing_final(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250-ok", "550 no")
    peer.stall()


@scenario("an enhanced code of another class in the final reply", 0, delivered=1)
def _other_class(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250 5.7.1 but welcome")
    farewell(peer)


@scenario("a success of any 2xx code", 0, delivered=1)
def _any_success(peer: Peer) -> None:
    until_login(peer)
    peer.hear("MAIL")
    peer.say("251 ok")
    peer.hear("RCPT")
    peer.say("252 cannot verify")
    peer.message()
    peer.say("299 fine")


@scenario("a server that hangs up right after its last answer", 0, delivered=1)
def _hang_up_after(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250 ok")
    peer.reset()


@scenario("a server that never answers QUIT", 0, delivered=1, bound=0.9)
def _no_quit(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250 ok")
    peer.hear("QUIT")
    peer.stall()


@scenario("rubbish behind the last answer", 0, delivered=1)
def _rubbish_after(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250 ok", "rubbish")
    peer.stall()


@scenario("a refusal behind the success", 75, "one reply too many", delivered=1)
def _second_answer(peer: Peer) -> None:
    at_bdat(peer)
    peer.say("250 injected", "554 5.7.1 the true one")
    peer.stall()


@scenario("a reply before its command", 76)
def _early_reply(peer: Peer) -> None:
    peer.say("220 mx.test", "250 mx.test")
    peer.stall()


@scenario("a web server", 76, "does not speak SMTP")
def _http(peer: Peer) -> None:
    peer.say("HTTP/1.1 400 Bad Request", "Content-Length: 0", "")
    peer.stall()


@scenario("an SSH server", 76, "does not speak SMTP")
def _ssh(peer: Peer) -> None:
    peer.say("SSH-2.0-OpenSSH_9.2")
    peer.stall()


# What the server offers, or does not


@scenario("a server without STARTTLS", 75, "does not offer STARTTLS")
def _stripped(peer: Peer) -> None:
    peer.say("220 mx.test")
    ehlo(peer, "AUTH PLAIN LOGIN")
    peer.stall()


@scenario("a server without AUTH", 75, "does not offer AUTH")
def _no_auth(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer)
    peer.stall()


@scenario("a server with AUTH only before TLS", 75, "does not offer AUTH")
def _auth_in_clear_only(peer: Peer) -> None:
    peer.say("220 mx.test")
    ehlo(peer, "AUTH PLAIN", "STARTTLS")
    peer.hear("STARTTLS")
    peer.say("220 go")
    peer.tls()
    ehlo(peer)
    peer.stall()


@scenario("a server that knows only HELO", 75, "does not offer STARTTLS")
def _helo_only(peer: Peer) -> None:
    peer.say("220 old")
    peer.hear("EHLO")
    peer.say("500 what")
    peer.hear("HELO")
    peer.say("250 hello")
    peer.stall()


@scenario("no mechanism that we know", 75, "NTLM")
def _no_mechanism(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer, "AUTH NTLM GSSAPI")
    peer.stall()


@scenario("a server without PIPELINING and CHUNKING", 0, delivered=1)
def _lock_step(peer: Peer) -> None:
    at_dot(peer)
    peer.say("250 ok")
    farewell(peer)


@scenario("a server with PIPELINING but without CHUNKING", 0, delivered=1)
def _data_only(peer: Peer) -> None:
    until_login(peer, capabilities=DATA_ONLY)
    envelope(peer)
    peer.message()
    peer.say("250 ok")
    farewell(peer)


@scenario("capabilities in lower case with blanks at the end", 0, delivered=1)
def _lower_case(peer: Peer) -> None:
    peer.say("220 mx.test")
    peer.hear("EHLO")
    peer.say("250-mx.test ", "250-starttls ", "250 auth=LOGIN ")
    peer.hear("STARTTLS")
    peer.say("220 go")
    peer.tls()
    peer.hear("EHLO")
    peer.say("250-mx.test", "250-pipelining  ", "250 auth  plain ")
    peer.hear("AUTH PLAIN")
    peer.say("235 ok")
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("a SIZE that is too small", 65, "octets")
def _size(peer: Peer) -> None:
    until_login(peer, capabilities=("SIZE 50",))
    peer.stall()


@scenario("a SIZE of zero", 0, delivered=1)
def _size_zero(peer: Peer) -> None:
    until_login(peer, capabilities=("SIZE 0", "PIPELINING"))
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("a SIZE that is no number", 0, delivered=1)
def _size_rubbish(peer: Peer) -> None:
    until_login(peer, capabilities=("SIZE lots", "PIPELINING"))
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("an unknown user at one of two recipients", 67, "accepted for r@example.net", delivered=1,
          recipients=("r@example.net", "nobody@example.net"))  # fmt: skip
def _mixed(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.hear("RCPT")
    peer.say("550 5.1.1 no such user")
    peer.message()
    peer.say("250 ok")
    farewell(peer)


@scenario("one recipient never, one later", 75, delivered=1, recipients=("r@a", "never@a", "later@a"))
def _mixed_three(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.hear("RCPT")
    peer.say("550 5.1.1 no")
    peer.hear("RCPT")
    peer.say("450 4.2.1 later")
    peer.message()
    peer.say("250 ok")
    farewell(peer)


@scenario("a transaction that takes two recipients at a time", 0, delivered=3, recipients=("a@a", "b@a", "c@a", "d@a", "e@a"))
def _two_at_a_time(peer: Peer) -> None:
    until_login(peer, capabilities=("PIPELINING",))
    for left in (5, 3, 1):
        peer.hear("MAIL")
        peer.say("250 ok")
        for number in range(left):
            peer.hear("RCPT")
            peer.say("250 ok" if number < 2 else "452 4.5.3 too many recipients")
        peer.message()
        peer.say("250 ok")
    farewell(peer)


@scenario("a server that ends each connection after one transaction", 0, delivered=2, connections=2,
          words={"max_recipients": "1"}, recipients=("a@a", "b@a"))  # fmt: skip
def _one_each(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.message()
    peer.say("250 ok", "421 enough")
    peer.stall()


@scenario("MAIL that asks for a login first", 77)
def _login_first(peer: Peer) -> None:
    until_login(peer)
    peer.hear("MAIL")
    peer.say("530 5.7.0 authentication required")
    peer.stall()


@scenario("RCPT refused because of the login", 77)
def _rcpt_login(peer: Peer) -> None:
    until_login(peer)
    peer.hear("MAIL")
    peer.say("250 ok")
    peer.hear("RCPT")
    peer.say("550 5.7.8 bad credentials")
    peer.stall()


@scenario("a refusal while the message is still on its way", 65, "too much", message=MESSAGE + b"x" * 70 * 20000)
def _early_refusal(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.hear("BDAT")
    peer.say("552 5.3.4 too much")
    peer.octets(100_000)
    peer.hang_up()


@scenario("a server that stops reading the message", 75, "does not take", message=MESSAGE + b"y" * 8_000_000)
def _stops_reading(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.hear("BDAT")
    time.sleep(4)


@scenario("a hang-up in the middle of the message", 75, message=MESSAGE + b"z" * 70 * 100000)
def _hang_up_inside(peer: Peer) -> None:
    until_login(peer)
    envelope(peer)
    peer.hear("BDAT")
    peer.octets(1000)
    peer.reset()


# TLS


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
    _rest(peer)


def _rest(peer: Peer) -> None:
    ehlo(peer, "AUTH PLAIN")
    peer.hear("AUTH")
    peer.say("235 ok")
    envelope(peer)
    peer.message()
    peer.say("250 ok")
    farewell(peer)


@scenario("TLS 1.2 where 1.3 is asked for", 75, "TLS", words={"tls_min_version": "1.3"})
def _too_old(peer: Peer) -> None:
    until_tls(peer, maximum_version=ssl.TLSVersion.TLSv1_2)
    peer.stall()


@scenario("implicit TLS", 0, delivered=1, words={"tls_starttls": "off"})
def _implicit(peer: Peer) -> None:
    peer.tls()
    peer.say("220 mx.test")
    _rest(peer)


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
    _rest(peer)


@scenario("another certificate than the pinned one", 75, "fingerprint",
          words={"tls_fingerprint": "@SELF-SIGNED@", "tls_trust_file": ""})  # fmt: skip
def _pin_differs(peer: Peer) -> None:
    until_tls(peer)
    peer.stall()


@scenario("an unverified certificate where checking is off", 0, delivered=1, words={"tls_certcheck": "off"})
def _unchecked(peer: Peer) -> None:
    until_tls(peer, "self-signed")
    _rest(peer)


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
    _rest(peer)


# Secrets that come back


def _echoes() -> list[str]:
    plain = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    shifted = [base64.b64encode(b"x" * n + PASSWORD.encode() + b"y").decode() for n in range(3)]
    return [PASSWORD, plain, base64.b64encode(PASSWORD.encode()).decode(), *shifted]


@scenario("a refused login that repeats the password", 77)
def _echo_refused(peer: Peer) -> None:
    at_auth(peer)
    peer.say(*(f"535-5.7.8 {echo}" for echo in _echoes()), "535 5.7.8 no")
    peer.stall()


@scenario("an accepted login that repeats the password", 0, delivered=1)
def _echo_accepted(peer: Peer) -> None:
    at_auth(peer)
    peer.say(*(f"235-2.7.0 {echo}" for echo in _echoes()), "235 2.7.0 yes")
    envelope(peer)
    peer.message()
    peer.say("250 ok")


@scenario("a refused message that repeats the password", 65, delivered=1)
def _echo_late(peer: Peer) -> None:
    at_bdat(peer)
    peer.say(*(f"554-5.7.1 {echo}" for echo in _echoes()), "554 5.7.1 no")
    peer.stall()


@scenario("capabilities that hold the password", 75)
def _echo_ehlo(peer: Peer) -> None:
    until_tls(peer)
    peer.hear("EHLO")
    peer.say(f"250-{PASSWORD}", f"250 X{_echoes()[1]}")
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


def _run(sendmail: str, config: str, scene: Scenario, log: str) -> tuple[subprocess.CompletedProcess[bytes], float]:
    started = time.monotonic()
    done = subprocess.run(
        [sendmail, "-C", config, "-v", "-i", "-f", "sender@example.org", *scene.recipients],
        input=scene.message,
        capture_output=True,
        timeout=30,
        check=False,
    )
    return done, time.monotonic() - started


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write a server's key and certificate of each kind, and the authority's certificate as "ca"."""
    folder = tmp_path_factory.mktemp("identities")
    ca = certificates.issue(common_name="the authority", authority=True)
    other = certificates.issue(common_name="another authority", authority=True)
    here: dict[str, object] = {"dns": ("localhost",), "ip": ("127.0.0.1",)}
    day = certificates.DAY
    made = {
        "good": certificates.issue(ca, **here),
        "expired": certificates.issue(ca, begin=-3 * day, end=-day, **here),
        "not-yet": certificates.issue(ca, begin=day, **here),
        "wrong-name": certificates.issue(ca, ("other.example",)),
        "self-signed": certificates.issue(**here),
        "unknown-authority": certificates.issue(other, **here),
        "for-clients": certificates.issue(ca, usage=certificates.CLIENT, **here),
        "name-in-subject-only": certificates.issue(ca, (), common_name="127.0.0.1"),
        "wrong-address": certificates.issue(ca, (), ("127.0.0.2",)),
    }
    paths = {kind: identity.write(folder / f"{kind}.pem") for kind, identity in made.items()}
    (folder / "ca.crt").write_bytes(ca.pem)
    fingerprint = made["self-signed"].certificate.fingerprint(certificates.hashes.SHA256()).hex()
    return {**paths, "ca": str(folder / "ca.crt"), "fingerprint": fingerprint}


def _configuration(folder: pathlib.Path, port: int, scene: Scenario, identities: dict[str, str]) -> str:
    words = {
        "host": "127.0.0.1",
        "port": str(port),
        "tls_trust_file": identities["ca"],
        "user": USER,
        "password": PASSWORD,
        "timeout": str(TIMEOUT),
        "syslog": "off",
        "logfile": str(folder / "log"),
        **scene.words,
    }
    path = folder / "conf"
    lines = [f"{word} {value}\n" for word, value in words.items() if value]
    path.write_text("".join(lines).replace("@SELF-SIGNED@", identities["fingerprint"]))
    path.chmod(0o600)
    return str(path)


def test_there_are_scenarios_enough_and_no_two_of_one_name() -> None:
    names = [scene.name for scene in SCENARIOS]
    assert len(set(names)) == len(names) >= 120


@pytest.mark.parametrize("scene", SCENARIOS, ids=lambda scene: scene.name.replace(" ", "_"))
def test_scenario(scene: Scenario, installed: Installed, identities: dict[str, str], tmp_path: pathlib.Path) -> None:
    with ScriptedServer(scene.script, identities) as server:
        config = _configuration(tmp_path, server.port, scene, identities)
        done, took = _run(installed.sendmail, config, scene, str(tmp_path / "log"))
    printed = done.stdout + done.stderr
    logged = (tmp_path / "log").read_bytes() if (tmp_path / "log").exists() else b""
    assert done.returncode == scene.code, printed.decode("utf-8", "replace")
    assert took < scene.bound
    assert scene.says.encode() in printed.replace(b"\n", b" "), printed.decode("utf-8", "replace")
    assert not server.surprises
    assert len(server.messages) == scene.delivered
    assert scene.connections is None or server.connections == scene.connections
    clear, secure = server.said
    secrets = [form.encode() for form in _echoes()]
    assert scene.clear_password or not any(secret in clear for secret in secrets)
    assert scene.clear_message or (TEXT.encode() not in clear and b"MAIL" not in clear)
    assert not any(secret in printed + logged for secret in secrets)
    assert TEXT.encode() not in printed
    assert not any(octet in printed for octet in (b"\x1b", b"\x07", b"\r", b"\x7f", b"\xc2\x9b", b"\xe2\x80\xae"))
    assert b"Traceback" not in printed
    if scene.code:
        assert done.stderr.splitlines()[-1].startswith(b"sendmail: ")
