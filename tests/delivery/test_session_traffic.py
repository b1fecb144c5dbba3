"""Sessions with much to carry, with several connections, and with signals; and what their dialogue shows."""

import socket
import ssl
import time

import pytest

from pysendmail.delivery import connect, interruption
from pysendmail.delivery.deliver import deliver
from pysendmail.delivery.link import Link
from tests.delivery.conftest import SECRET, MakeRoute, Serve
from tests.delivery.memory import CAPABILITIES, Connection, Smarthost, connected, parcel
from tests.delivery.memory import route as in_clear
from tests.scripted import Peer, ehlo, envelope, farewell, good, until_login


def test_ten_thousand_recipients_and_a_server_whose_answers_fill_the_pipe(
    serve: Serve, route: MakeRoute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers each command before it reads the next, at length, and waits until its answer is taken."""

    def narrow(ours: socket.socket, address: object) -> Link:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        return Link(ours, address)  # type: ignore[arg-type]

    monkeypatch.setattr(connect, "Link", narrow)
    names = [b"user%d@example.test" % n for n in range(10_000)]
    ok = b"250 2.1.5 " + b"x" * 500 + b"\r\n"

    def script(peer: Peer) -> None:
        peer.raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        until_login(peer)
        for _ in range(10_001):
            peer.send(ok if peer.hear()[:4] in (b"MAIL", b"RCPT") else b"500 what\r\n")
        peer.message()
        peer.say("250 kept")
        farewell(peer)

    (server,) = serve(script)
    report = deliver(parcel(*names), route(max_recipients=20_000))
    assert {outcome.state for outcome in report.outcomes} == {"sent"}
    assert len(report.outcomes) == 10_000
    assert len(server.messages) == 1


def test_a_refusal_stops_a_large_message_on_its_way(serve: Serve, route: MakeRoute) -> None:
    size = 40_000_000
    taken = 0

    def script(peer: Peer) -> None:
        nonlocal taken
        until_login(peer, capabilities=("PIPELINING", "CHUNKING"))
        envelope(peer)
        peer.hear("BDAT")
        peer.say("552 5.3.4 too much")
        while True:
            taken += len(peer.receive())

    serve(script)
    report = deliver(parcel(body=b"x" * 78 + b"\n" * (size // 79) + (b"x" * 78 + b"\n") * (size // 79)), route())
    assert [(outcome.state, outcome.exit_code) for outcome in report.outcomes] == [("failed", 65)]
    assert b"too much" in report.outcomes[0].text
    assert taken < size // 2


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("starttls", ["on", "off"])
def test_a_second_connection_resumes_the_tls_session_of_the_first(
    serve: Serve,
    route: MakeRoute,
    identities: dict[str, str],
    version: ssl.TLSVersion,
    starttls: str,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identities["good"])
    context.minimum_version = context.maximum_version = version
    resumed = []

    def script(peer: Peer) -> None:
        if starttls == "on":
            peer.say("220 mx")
            ehlo(peer, "STARTTLS")
            peer.hear("STARTTLS")
            peer.say("220 go")
        peer.socket = end = context.wrap_socket(peer.raw, server_side=True)
        if starttls == "off":
            peer.say("220 mx")
        ehlo(peer, "AUTH PLAIN")
        peer.hear("AUTH")
        peer.say("235 ok")
        envelope(peer)
        peer.message()
        peer.say("250 kept", "421 one message is enough")
        resumed.append(end.session_reused)
        peer.stall()

    (server,) = serve(script)
    report = deliver(parcel(b"a@y.test", b"b@y.test", b"c@y.test"), route(max_recipients=1, tls_starttls=starttls))
    assert [outcome.state for outcome in report.outcomes] == ["sent"] * 3
    time.sleep(0.05)
    assert resumed == [False, True, True]
    assert server.connections == 3


# Signals, which only take effect where the command waits once a transaction has begun


@pytest.mark.parametrize("way", [CAPABILITIES, ("PIPELINING",), ()])
def test_a_signal_at_any_command_leaves_no_success_untold_and_begins_nothing_new(
    monkeypatch: pytest.MonkeyPatch, way: tuple[str, ...]
) -> None:
    names = [b"a@y.test", b"b@y.test", b"c@y.test"]
    monkeypatch.setattr(interruption, "_signal", type("Signals", (), {"signal": lambda *_: None, "SIG_IGN": 1}))
    at = 0
    while True:
        host = Smarthost()
        count = 0

        def answer(connection: Connection, line: bytes, at: int = at) -> bytes | None:
            nonlocal count
            count += 1
            if count == at + 1:
                interruption._caught(15, None)
            return None

        host.answer = answer
        host.capabilities = (way,)
        with connected(host):
            report = deliver(parcel(*names), in_clear({"max_recipients": 1}))
        if count <= at:
            break
        states = {outcome.recipient: outcome.state for outcome in report.outcomes}
        assert {name for name in names if states[name] == "sent"} <= set(host.recipients())
        for name in names:
            assert states[name] != "deferred" or name not in host.recipients()
        assert sum(line.startswith(b"MAIL") for line in host.lines) <= 3
        if at < 2:
            assert not any(line.startswith(b"MAIL") for line in host.lines)
        at += 1
    assert at > 6


def test_the_log_of_the_dialogue_says_how_well_the_server_is_known(serve: Serve, route: MakeRoute) -> None:
    for words, word in (({}, "verified"), ({"tls_certcheck": "off", "tls_trust_file": None}, "not verified")):
        said: list[tuple[str, bytes]] = []
        serve(good)
        made = route(**words)
        made.trace = lambda direction, line, said=said: said.append((direction, line))
        deliver(parcel(), made)
        (facts,) = [line for direction, line in said if direction == "="]
        assert facts.startswith(b"TLSv1.3 TLS_") and facts.endswith(f"server certificate {word}".encode())
        assert SECRET not in b"".join(line for _, line in said)
