"""One connection, from the first address tried to QUIT, with real servers on loopback."""

import os
import pathlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pysendmail import errors
from pysendmail.delivery import connect, interruption, session
from pysendmail.delivery.deliver import deliver
from pysendmail.delivery.link import Link
from pysendmail.delivery.session import Route, Session
from pysendmail.smtp.sasl import Credentials
from tests.delivery.certificates import issue
from tests.delivery.memory import CAPABILITIES, Connection, Smarthost, connected, parcel
from tests.delivery.memory import route as in_clear
from tests.delivery.tls_server import GOOD, ROOT
from tests.scripted import Peer, Script, ScriptedServer, ehlo, envelope, farewell, good, until_login, until_tls

SECRET = b"c0rrect-horse"


@pytest.fixture(autouse=True)
def _no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_state", interruption._State())


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("identities")
    (folder / "ca.pem").write_bytes(ROOT.pem)
    stranger = issue(ROOT, ("other.example",)).write(folder / "stranger.pem")
    return {"good": GOOD.write(folder / "good.pem"), "stranger": stranger, "ca": str(folder / "ca.pem")}


@pytest.fixture
def serve(identities: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[ScriptedServer]]]:
    """Start a server for each script; they are the addresses of mail.example, in this order."""
    running: list[ScriptedServer] = []

    def start(*scripts: Script) -> list[ScriptedServer]:
        for number, script in enumerate(scripts, 1):
            running.append(ScriptedServer(script, identities, f"127.0.0.{number}").__enter__())
        found = [(socket.AF_INET, server.listener.getsockname()) for server in running]
        monkeypatch.setattr(session, "addresses", lambda host, port, deadline: list(found))
        return running

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture
def route(identities: dict[str, str]) -> Callable[..., Route]:
    """Give a route to mail.example, with a login unless one says otherwise."""

    def make(credentials: Credentials | None = Credentials(b"user", SECRET), **words: object) -> Route:  # noqa: B008
        settings = {"host": "mail.example", "tls": "on", "tls_trust_file": identities["ca"], "timeout": 5, **words}
        return in_clear(settings, credentials)

    return make


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
def test_where_one_address_fails_the_next_is_tried(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route], first: Script, knows: bool
) -> None:
    bad, fine = serve(first, good)
    report = deliver(parcel(), route())
    assert [outcome.state for outcome in report.outcomes] == ["sent"]
    assert report.relay == "mail.example[127.0.0.2]:587"
    assert (bad.connections, fine.connections) == (1, 1)
    clear, secure = bad.said
    assert b"AUTH" not in clear and b"MAIL" not in clear + secure
    assert (b"AUTH" in secure) == knows


def test_a_refused_login_ends_the_search(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route]
) -> None:
    """The next address has the same users; asking it too would only lock the account sooner."""
    first, second = serve(login_never, good)
    with pytest.raises(errors.NoPermission, match=re.escape("mail.example[127.0.0.1]:587: the login was refused")):
        opened(route())
    assert (first.connections, second.connections) == (1, 0)


def test_when_no_address_works_the_first_failure_is_told(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route]
) -> None:
    serve(stranger, greeting("421 busy"))
    with pytest.raises(errors.TempFail, match=re.escape("mail.example[127.0.0.1]:587") + ".*not for mail.example"):
        opened(route())


def test_the_time_for_all_addresses_is_limited(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route]
) -> None:
    _, second = serve(Peer.stall, Peer.stall, good)[:2]
    made = Session(route(timeout=1), time.monotonic() + 1.2)
    started = time.monotonic()
    with pytest.raises(errors.TempFail, match="in time"):
        made.open()
    assert time.monotonic() - started < 10
    assert second.connections == 1


def test_the_source_address_is_the_configured_one(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route]
) -> None:
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
def test_opportunistic_tls_goes_on_in_clear_where_starttls_is_refused(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route], reply: str
) -> None:
    (server,) = serve(refusing_starttls(reply))
    report = deliver(parcel(), route(None, tls="opportunistic"))
    assert [outcome.state for outcome in report.outcomes] == ["sent"]
    assert server.connections == 2


@pytest.mark.parametrize("words", [{"tls": "on"}, {"tls": "opportunistic", "tls_fingerprint": "ab" * 32}])
def test_required_tls_does_not(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route], words: dict[str, str]
) -> None:
    if "tls_fingerprint" in words:
        words = {**words, "tls_trust_file": None}  # type: ignore[dict-item]
    (server,) = serve(refusing_starttls("454 4.7.0 TLS not available"))
    report = deliver(parcel(), route(None, **words))
    assert [(outcome.state, outcome.exit_code) for outcome in report.outcomes] == [("deferred", 75)]
    assert server.connections == 1
    assert not server.messages


def test_an_injection_is_no_reason_to_go_on_in_clear(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route]
) -> None:
    (server,) = serve(refusing_starttls("220 go\n250 fake"))
    report = deliver(parcel(), route(None, tls="opportunistic"))
    assert [outcome.exit_code for outcome in report.outcomes] == [75]
    assert b"injection" in report.outcomes[0].text
    assert server.connections == 1


def test_where_the_second_connection_fails_too_nothing_stays_open(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route]
) -> None:
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


def test_quit_follows_the_last_answer_and_its_own_is_not_waited_for(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route]
) -> None:
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


# Much at a time


def test_ten_thousand_recipients_and_a_server_whose_answers_fill_the_pipe(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers each command before it reads the next, at length, and waits until its answer is taken."""

    def narrow(ours: socket.socket, address: object) -> Link:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        return Link(ours, address)  # type: ignore[arg-type]

    monkeypatch.setattr(connect, "Link", narrow)
    names = [b"user%d@example.test" % n for n in range(10_000)]
    ok = b"250 2.1.5 " + b"x" * 500 + b"\r\n"

    def script(peer: Peer) -> None:
        peer.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        peer.raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
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


def test_a_refusal_stops_a_large_message_on_its_way(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route]
) -> None:
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
    assert taken < size - 1_000_000


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("starttls", ["on", "off"])
def test_a_second_connection_resumes_the_tls_session_of_the_first(
    serve: Callable[..., list[ScriptedServer]],
    route: Callable[..., Route],
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


def test_the_log_of_the_dialogue_says_how_well_the_server_is_known(
    serve: Callable[..., list[ScriptedServer]], route: Callable[..., Route], tmp_path: pathlib.Path
) -> None:
    for words, word in (({}, "verified"), ({"tls_certcheck": "off", "tls_trust_file": None}, "not verified")):
        said: list[tuple[str, bytes]] = []
        serve(good)
        made = route(**words)
        made.trace = lambda direction, line, said=said: said.append((direction, line))
        deliver(parcel(), made)
        (facts,) = [line for direction, line in said if direction == "="]
        assert facts.startswith(b"TLSv1.3 TLS_") and facts.endswith(f"server certificate {word}".encode())
        assert SECRET not in b"".join(line for _, line in said)
