"""One connection, from the first address tried to QUIT, with real servers on loopback."""

import os
import re
import threading
import time

import pytest

from pysendmail import errors
from pysendmail.delivery.deliver import deliver
from pysendmail.delivery.session import Route, Session
from tests.delivery.conftest import MakeRoute, Serve
from tests.delivery.memory import Smarthost, connected, parcel
from tests.delivery.memory import route as in_clear
from tests.scripted import Peer, Script, ehlo, envelope, farewell, good, until_login, until_tls


def opened(route: Route) -> Session:
    made = Session(route, time.monotonic() + 20)
    made.open()
    return made


# Which address


def greeting(line: str) -> Script:
    def script(peer: Peer) -> None:
        peer.say(line)
        peer.stall()

    return script


def without_starttls(peer: Peer) -> None:
    peer.say("220 mx")
    ehlo(peer, "AUTH PLAIN")
    peer.stall()


def stranger(peer: Peer) -> None:
    until_tls(peer, "stranger")
    peer.stall()


def broken_handshake(peer: Peer) -> None:
    peer.say("220 mx")
    ehlo(peer, "STARTTLS")
    peer.hear("STARTTLS")
    peer.say("220 go")
    peer.receive()
    peer.hang_up()


def login_later(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer, "AUTH PLAIN")
    peer.hear("AUTH")
    peer.say("454 4.7.0 later")
    peer.stall()


def login_never(peer: Peer) -> None:
    until_tls(peer)
    ehlo(peer, "AUTH PLAIN")
    peer.hear("AUTH")
    peer.say("535 5.7.8 never")
    peer.stall()


@pytest.mark.parametrize(
    ("first", "knows"),
    [
        (greeting("421 4.3.2 busy"), False),
        (greeting("554 5.3.2 go away"), False),
        (greeting("SSH-2.0-OpenSSH"), False),
        (Peer.hang_up, False),
        (Peer.reset, False),
        (without_starttls, False),
        (stranger, False),
        (broken_handshake, False),
        (login_later, True),
    ],
)
def test_where_one_address_fails_the_next_is_tried(serve: Serve, route: MakeRoute, first: Script, knows: bool) -> None:
    bad, fine = serve(first, good)
    report = deliver(parcel(), route())
    assert [outcome.state for outcome in report.outcomes] == ["sent"]
    assert report.relay == "mail.example[127.0.0.2]:587"
    assert (bad.connections, fine.connections) == (1, 1)
    clear, secure = bad.said
    assert b"AUTH" not in clear and b"MAIL" not in clear + secure
    assert (b"AUTH" in secure) == knows


def test_a_refused_login_ends_the_search(serve: Serve, route: MakeRoute) -> None:
    """The next address has the same users; asking it too would only lock the account sooner."""
    first, second = serve(login_never, good)
    with pytest.raises(errors.NoPermission, match=re.escape("mail.example[127.0.0.1]:587: the login was refused")):
        opened(route())
    assert (first.connections, second.connections) == (1, 0)


def test_when_no_address_works_the_first_failure_is_told(serve: Serve, route: MakeRoute) -> None:
    serve(stranger, greeting("421 busy"))
    with pytest.raises(errors.TempFail, match=re.escape("mail.example[127.0.0.1]:587") + ".*not for mail.example"):
        opened(route())


def test_the_time_for_all_addresses_is_limited(serve: Serve, route: MakeRoute) -> None:
    _, second = serve(Peer.stall, Peer.stall, good)[:2]
    made = Session(route(timeout=1), time.monotonic() + 1.2)
    started = time.monotonic()
    with pytest.raises(errors.TempFail, match="in time"):
        made.open()
    assert time.monotonic() - started < 10
    assert second.connections == 1


def test_the_source_address_is_the_configured_one(serve: Serve, route: MakeRoute) -> None:
    seen = []

    def script(peer: Peer) -> None:
        seen.append(peer.raw.getpeername()[0])
        good(peer)

    serve(script)
    deliver(parcel(), route(source_ip="127.0.0.9"))
    assert seen == ["127.0.0.9"]


# Opportunistic TLS


def refusing_starttls(reply: str) -> Script:
    def script(peer: Peer) -> None:
        peer.say("220 mx")
        ehlo(peer, "STARTTLS")
        if peer.number == 1:
            peer.hear("STARTTLS")
            peer.say(*reply.split("\n"))
            peer.stall()
        envelope(peer)
        peer.message()
        peer.say("250 ok")
        farewell(peer)

    return script


@pytest.mark.parametrize("reply", ["454 4.7.0 TLS not available", "554 5.7.0 never", "502 what"])
def test_opportunistic_tls_goes_on_in_clear_where_starttls_is_refused(serve: Serve, route: MakeRoute, reply: str) -> None:
    (server,) = serve(refusing_starttls(reply))
    report = deliver(parcel(), route(None, tls="opportunistic"))
    assert [outcome.state for outcome in report.outcomes] == ["sent"]
    assert server.connections == 2


@pytest.mark.parametrize(
    "words", [{"tls": "on"}, {"tls": "opportunistic", "tls_fingerprint": "ab" * 32, "tls_trust_file": None}]
)
def test_required_tls_does_not(serve: Serve, route: MakeRoute, words: dict[str, str | None]) -> None:
    (server,) = serve(refusing_starttls("454 4.7.0 TLS not available"))
    report = deliver(parcel(), route(None, **words))
    assert [(outcome.state, outcome.exit_code) for outcome in report.outcomes] == [("deferred", 75)]
    assert server.connections == 1
    assert not server.messages


def test_an_injection_is_no_reason_to_go_on_in_clear(serve: Serve, route: MakeRoute) -> None:
    (server,) = serve(refusing_starttls("220 go\n250 fake"))
    report = deliver(parcel(), route(None, tls="opportunistic"))
    assert [outcome.exit_code for outcome in report.outcomes] == [75]
    assert b"injection" in report.outcomes[0].text
    assert server.connections == 1


def test_where_the_second_connection_fails_too_nothing_stays_open(serve: Serve, route: MakeRoute) -> None:
    def once(peer: Peer) -> None:
        if peer.number == 1:
            broken_handshake(peer)

    (server,) = serve(once)
    made = Session(route(None, tls="opportunistic"), time.monotonic() + 20)
    with pytest.raises(errors.TempFail, match="greeting is missing"):
        made.open()
    assert server.connections == 2
    assert (made.client, made._link, made.usable) == (None, None, False)
    made.close()


# The name that EHLO says


@pytest.mark.parametrize(
    ("node", "address", "words", "name"),
    [
        ("mx.example.org", "192.0.2.1", {}, b"mx.example.org"),
        ("mx-1.example.org", "192.0.2.1", {}, b"mx-1.example.org"),
        ("laptop", "192.0.2.1", {}, b"[192.0.2.1]"),
        ("laptop", "2001:db8::1", {}, b"[IPv6:2001:db8::1]"),
        ("bad_name.example", "192.0.2.1", {}, b"[192.0.2.1]"),
        ("gr\udcc3\udcbcn.example", "192.0.2.1", {}, b"[192.0.2.1]"),
        ("a b.example\r\nMAIL FROM:<x@y>", "192.0.2.1", {}, b"[192.0.2.1]"),
        ("mx.example.org", "192.0.2.1", {"domain": "other.test"}, b"other.test"),
        ("mx.example.org", "192.0.2.1", {"domain": "[192.0.2.7]"}, b"[192.0.2.7]"),
        ("mx.example.org", "192.0.2.1", {"privacy": "on"}, b"[127.0.0.1]"),
    ],
)
def test_what_ehlo_says(
    monkeypatch: pytest.MonkeyPatch, node: str, address: str, words: dict[str, str], name: bytes
) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", node, "", "", "")))
    host = Smarthost()
    with connected(host) as (_, links), pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.delivery.memory.MemoryLink.local_address", lambda self: address)
        made = Session(in_clear({"domain": None, **words}), 2000.0)
        made.open()
    assert host.lines == [b"EHLO " + name]
    assert len(links) == 1


# The end


def test_quit_follows_the_last_answer_and_its_own_is_not_waited_for(serve: Serve, route: MakeRoute) -> None:
    behind = []
    done = threading.Event()

    def script(peer: Peer) -> None:
        until_login(peer)
        envelope(peer)
        peer.message()
        peer.socket.settimeout(0.3)
        try:
            behind.append(peer.buffer + peer.socket.recv(100))
        except TimeoutError:
            behind.append(peer.buffer)
        peer.socket.settimeout(10)
        peer.say("250 kept")
        behind.append(peer.hear("QUIT"))
        done.wait(10)

    serve(script)
    report = deliver(parcel(), route())
    done.set()
    assert report.outcomes[0].state == "sent"
    assert behind[0] == b""
    time.sleep(0.05)
    assert behind[1:] == [b"QUIT"]


@pytest.mark.parametrize("answer", [b"421 4.3.2 bye", b"rubbish", b"250 kept\r\n421 bye", b""])
def test_nothing_more_is_said_to_a_server_that_is_leaving_or_lost(answer: bytes) -> None:
    host = Smarthost(lambda connection, line: answer if line == b"." else None, together=True)
    with connected(host):
        deliver(parcel(), in_clear())
    assert b"QUIT" not in host.lines


def test_a_session_without_a_message_says_good_bye_too() -> None:
    host = Smarthost()
    with connected(host) as (_, links):
        made = Session(in_clear(), 2000.0)
        made.open()
        assert made.usable
        made.close()
        made.close()
    assert host.lines[-1] == b"QUIT"
    assert links[0].closed
