"""One TLS connection: handshake, records, its end, its facts and its failures. The server is Python's own `ssl`."""

import hashlib
import socket
import ssl
import threading

import pytest

from pysendmail import errors
from pysendmail.delivery import tls_context
from pysendmail.delivery.tls import TLS, TLSFailure, TLSSettings, context
from pysendmail.delivery.tls_failure import explain
from tests.delivery import certificates
from tests.delivery.certificates import DAY, authority, issue
from tests.delivery.tls_server import Server, server_context, shake_hands

ROOT = authority()
GOOD = issue(ROOT, ip=("127.0.0.1", "::1"))
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(autouse=True, params=["direct", "public"])
def binding(request, monkeypatch):
    """Run everything on `_ssl` as well as on the public module that is its stand-in."""
    if request.param == "public":
        monkeypatch.setattr(tls_context, "_DIRECT", False)
    assert tls_context._DIRECT is (request.param == "direct")


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root.pem"
    path.write_bytes(ROOT.pem)
    return str(path)


@pytest.fixture
def trusting(root):
    return context(TLSSettings(trust=root, host="mail.example"))


@pytest.fixture
def connected(trusting, tmp_path):
    client = TLS(trusting)
    return client, shake_hands(client, server_context(GOOD, tmp_path))


def refusal(client: TLS, server: ssl.SSLContext) -> str:
    with pytest.raises(TLSFailure) as caught:
        shake_hands(client, server)
    assert caught.value.exit_code == 75
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return str(caught.value)


# Handshake and records


@pytest.mark.parametrize("version", VERSIONS)
def test_a_good_server_is_accepted_and_its_facts_are_known(trusting, tmp_path, version):
    client = TLS(trusting)
    server = shake_hands(client, server_context(GOOD, tmp_path, version))
    assert server.done and client.handshake()
    assert client.version == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
    assert (client.cipher, client.bits) == (server.end.cipher()[0], server.end.cipher()[2])
    assert client.peer_certificate == GOOD.der
    assert not client.resumed


def test_the_facts_are_empty_before_the_handshake(trusting):
    client = TLS(trusting)
    assert (client.peer_certificate, client.session, client.cipher, client.bits) == (b"", None, "", 0)
    assert client.channel_binding("tls-server-end-point") is None


@pytest.mark.parametrize("version", VERSIONS)
def test_records_may_arrive_one_octet_at_a_time(trusting, tmp_path, version):
    client = TLS(trusting)
    server = shake_hands(client, server_context(GOOD, tmp_path, version), size=1)
    read = []
    for octet in server.write(b"220 mail.example\r\n"):
        client.feed(bytes([octet]))
        read.append(client.read())
    assert b"".join(read) == b"220 mail.example\r\n"
    assert read[-1]  # nothing of a record shows before it is complete and verified


def test_what_is_written_leaves_as_one_piece_and_arrives(connected):
    client, server = connected
    data = bytes(range(256)) * 1024
    for piece in (data, bytearray(data), memoryview(data)):
        client.write(piece)
        taken = client.take()
        assert len(taken) > len(data)
        assert client.take() == b""
        assert server.read(taken) == data


def test_writing_nothing_sends_nothing(connected):
    client, _ = connected
    client.write(b"")
    assert client.take() == b""


def test_reading_gives_no_more_than_asked_for_and_all_in_the_end(connected):
    client, server = connected
    data = bytes(range(256)) * 400
    client.feed(server.write(data))
    pieces = []
    while piece := client.read(30000):
        assert len(piece) <= 30000
        pieces.append(piece)
    assert b"".join(pieces) == data
    assert [len(piece) for piece in pieces[:-1]] == [30000] * (len(pieces) - 1)
    assert not client.eof


def test_close_notify_is_the_end(connected):
    client, server = connected
    last = server.write(b"221 bye\r\n")
    with pytest.raises(ssl.SSLWantReadError):
        server.end.unwrap()
    client.feed(last + server.outgoing.read())
    assert client.read() == b"221 bye\r\n"
    assert client.eof
    assert client.read() == b""


def test_a_stream_that_is_cut_off_is_not_the_end(connected):
    client, server = connected
    client.feed(server.write(b"250 accepted\r\n")[:-1])
    assert client.read() == b""
    assert not client.eof


def test_closing_says_close_notify(connected):
    client, server = connected
    client.close()
    server.incoming.write(client.take())
    assert server.end.read(1) == b""  # the clean end; a lost one raises


def test_closing_is_harmless_at_any_time(trusting, tmp_path):
    client = TLS(trusting)
    client.close()
    client.handshake()
    client.close()
    broken = TLS(trusting, "other.example")
    refusal(broken, server_context(GOOD, tmp_path))
    broken.close()


def test_messages_after_the_handshake_are_not_shown(connected):
    client, server = connected
    client.feed(server.outgoing.read())  # two session tickets
    assert client.read() == b""
    assert not client.eof


# Whom the certificate is for


@pytest.mark.parametrize(
    ("host", "dns", "good"),
    [
        ("mail.example", ["mail.example"], True),
        ("MAIL.Example", ["mail.example"], True),
        ("mail.example.", ["mail.example"], True),
        ("mail.example", ["other.example", "MAIL.EXAMPLE"], True),
        ("mx.mail.example", ["*.mail.example"], True),
        ("a.mx.mail.example", ["*.mail.example"], False),
        ("mail.example", ["*.mail.example"], False),
        ("mail.example", ["*.example"], False),
        ("mx.mail.example", ["m*.mail.example"], False),
        ("mx.mail.example", ["mx.*.example"], False),
        ("mail.example", ["mail.*"], False),
        ("mail.example", ["*"], False),
        ("mail.example", ["mail.example.org"], False),
        ("mail.example", [".example"], False),
    ],
)
def test_names_match_as_the_rules_say(tmp_path, root, host, dns, good):
    client = TLS(context(TLSSettings(trust=root, host=host)))
    server = server_context(issue(ROOT, dns), tmp_path)
    if good:
        assert shake_hands(client, server).done
    else:
        assert "not for " + host in refusal(client, server)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "0:0:0:0:0:0:0:1", "::1%lo"])
def test_addresses_are_verified(tmp_path, root, host):
    client = TLS(context(TLSSettings(trust=root, host=host)))
    assert shake_hands(client, server_context(GOOD, tmp_path)).done


@pytest.mark.parametrize("host", ["127.0.0.2", "::2"])
def test_another_address_is_refused(tmp_path, root, host):
    text = refusal(TLS(context(TLSSettings(trust=root, host=host))), server_context(GOOD, tmp_path))
    assert f"not for {host} but for mail.example, 127.0.0.1, ::1" in text


def test_an_address_written_as_a_dns_name_does_not_count(tmp_path, root):
    client = TLS(context(TLSSettings(trust=root, host="127.0.0.1")))
    assert "not for 127.0.0.1" in refusal(client, server_context(issue(ROOT, ["127.0.0.1"]), tmp_path))


def test_the_common_name_does_not_count(tmp_path, root):
    client = TLS(context(TLSSettings(trust=root, host="mail.example")))
    text = refusal(client, server_context(issue(ROOT, dns=(), common_name="mail.example"), tmp_path))
    assert 'names no host at all ("mail.example" as common name does not count)' in text


def test_the_names_that_were_found_are_told_without_harm(tmp_path, root):
    names = [f"{'x' * 60}{number}.example" for number in range(9)]
    text = refusal(TLS(context(TLSSettings(trust=root, host="a"))), server_context(issue(ROOT, names), tmp_path))
    assert "but for " + "x" * 60 in text
    assert "and 4 more" in text


def test_a_name_that_was_found_is_shown_without_its_controls():
    der = GOOD.der.replace(b"mail.example", b"ma\x1b[2J\r\n\xffxx")
    error = ssl.SSLCertVerificationError()
    error.verify_code = 62
    assert "but for ma?[2J???xx, 127.0.0.1" in explain("handshake", error, "mail.example", der, b"", TLSSettings())


def seen_name(client: TLS, server: ssl.SSLContext) -> list[str | None]:
    seen: list[str | None] = []
    server.sni_callback = lambda end, name, ctx: seen.append(name)
    shake_hands(client, server)
    return seen


def test_the_name_is_shown_to_the_server(trusting, tmp_path):
    assert seen_name(TLS(trusting, "mail.example."), server_context(GOOD, tmp_path)) == ["mail.example"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_is_not_shown_to_the_server(trusting, tmp_path, host):
    assert seen_name(TLS(trusting, host), server_context(GOOD, tmp_path)) == [None]


def test_a_name_in_unicode_is_verified_by_its_a_label(tmp_path, root):
    client = TLS(context(TLSSettings(trust=root, host="post.bücher.example")))
    assert shake_hands(client, server_context(issue(ROOT, ["post.xn--bcher-kva.example"]), tmp_path)).done


@pytest.mark.parametrize("host", ["", ".", "[]", ".example", "a\0b", "x" * 300])
def test_a_host_that_cannot_be_verified_is_a_configuration_error(root, host):
    with pytest.raises(errors.ConfigError, match="host"):
        TLS(context(TLSSettings(trust=root, host=host)))


# What else is wrong with certificates


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (issue(ROOT, begin=-9 * DAY, end=-2 * DAY), f"expired on {(certificates.NOW - 2 * DAY):%Y-%m-%d}"),
        (issue(ROOT, begin=2 * DAY), f"valid from {(certificates.NOW + 2 * DAY):%Y-%m-%d} only; check this machine's"),
        (issue(ROOT, usage=certificates.CLIENT), "not meant for servers"),
        (issue(), "signed by itself"),
        (issue(authority("Stranger")), 'an issuer that is not trusted here ("Stranger")'),
        (issue(authority()), "cannot be verified: a signature in the certificate chain is wrong"),
        (issue(issue(ROOT, common_name="No Authority"), chain=()), "not trusted here"),
    ],
    ids=["expired", "not yet valid", "purpose", "self-signed", "unknown issuer", "forged issuer", "missing chain"],
)
def test_a_bad_certificate_is_refused_with_the_reason(trusting, tmp_path, identity, words):
    client = TLS(trusting)
    assert words in refusal(client, server_context(identity, tmp_path))
    assert client.take()[:1] == b"\x15"  # an alert tells the server


def test_a_certificate_that_is_no_authority_issues_none(trusting, tmp_path):
    leaf = issue(ROOT, common_name="Leaf")
    assert "cannot be verified" in refusal(TLS(trusting), server_context(issue(leaf, chain=(leaf,)), tmp_path))


def test_an_expired_intermediate_is_told_apart_from_an_expired_certificate(trusting, tmp_path):
    middle = authority("Middle", ROOT, begin=-9 * DAY, end=-DAY)
    text = refusal(TLS(trusting), server_context(issue(middle, chain=(middle,)), tmp_path))
    assert "further up the server's chain has expired" in text


def test_a_chain_with_an_intermediate_is_good(trusting, tmp_path):
    middle = authority("Middle", ROOT)
    assert shake_hands(TLS(trusting), server_context(issue(middle, chain=(middle,)), tmp_path)).done


def test_without_a_usage_a_certificate_serves_any_purpose(trusting, tmp_path):
    assert shake_hands(TLS(trusting), server_context(issue(ROOT, usage=None), tmp_path)).done


def test_without_verification_any_certificate_is_taken(tmp_path):
    client = TLS(context(TLSSettings(verify=False, host="mail.example")))
    identity = issue(dns=["other"], begin=-9 * DAY, end=-2 * DAY)
    assert shake_hands(client, server_context(identity, tmp_path)).done
    assert client.peer_certificate == identity.der


# Servers that do not do as they should


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a_server_of_old_versions_only_is_refused(trusting, tmp_path, version):
    text = refusal(TLS(trusting), server_context(GOOD, tmp_path, version))
    assert '"protocol version"' in text and "TLS 1.2 or later" in text


def test_a_hello_of_tls_1_0_is_refused(trusting):
    client = TLS(trusting)
    client.handshake()
    hello = b"\x03\x01" + b"r" * 32 + b"\x00" + b"\xc0\x13" + b"\x00"
    message = b"\x02" + len(hello).to_bytes(3, "big") + hello
    client.feed(b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message)
    with pytest.raises(TLSFailure, match="it needs TLS 1.2 or later"):
        client.handshake()


def test_tls_1_3_can_be_demanded(tmp_path, root):
    settings = TLSSettings(trust=root, host="mail.example", min_version="TLS1.3")
    refusal(TLS(context(settings)), server_context(GOOD, tmp_path, ssl.TLSVersion.TLSv1_2))
    assert shake_hands(TLS(context(settings)), server_context(GOOD, tmp_path)).done


@pytest.mark.parametrize(
    ("number", "words"),
    [(40, "handshake failure"), (70, "protocol version"), (80, "internal error"), (112, "unrecognized name")],
)
def test_an_alert_is_named(trusting, number, words):
    client = TLS(trusting)
    client.handshake()
    client.feed(bytes([21, 3, 3, 0, 2, 2, number]))
    with pytest.raises(TLSFailure, match=f'handshake failed: the server sent the alert "{words}": '):
        client.handshake()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"220 mail.example ESMTP\r\nmore", 'it says "220 mail.example ESMTP"'),
        (b"554 5.7.1 \x1b[2Jgo \xc3\xa4way", 'it says "554 5.7.1 ?[2Jgo ??way"'),
        (b"421 " + b"x" * 5000, "xxx..."),
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak TLS on this port; check port and tls_starttls"),
        (b"\x00\x01\x02\x03\x04\x05", "does not speak TLS on this port; check port and tls_starttls"),
    ],
    ids=["greeting", "controls", "long", "http", "binary"],
)
def test_a_server_without_tls_is_told_by_its_words(trusting, said, shown):
    client = TLS(trusting)
    client.handshake()
    client.feed(said)
    with pytest.raises(TLSFailure) as caught:
        client.handshake()
    assert "does not speak TLS on this port" in str(caught.value)
    assert shown in str(caught.value)
    assert len(str(caught.value)) < 250 and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x03\x00\x05hello", b"\x16" * 600, b"\x15" * 600, b"\x16\x03\x01\xff\xff" * 99]
)
def test_garbage_in_the_shape_of_records_is_one_clear_failure(trusting, garbage):
    client = TLS(trusting)
    client.handshake()
    client.feed(garbage)
    with pytest.raises(TLSFailure, match="the TLS handshake failed: "):
        client.handshake()


def test_a_handshake_without_end_is_given_up(trusting):
    client = TLS(trusting)
    client.handshake()
    hello_requests = b"\x16\x03\x03\x40\x00" + b"\0\0\0\0" * 4096  # a client skips them
    with pytest.raises(TLSFailure, match="never completes the TLS handshake"):
        for _ in range(100):
            client.feed(hello_requests)
            client.handshake()


def test_what_came_before_a_damaged_record_is_given_first(connected):
    client, server = connected
    good, bad = server.write(b"250 accepted\r\n"), bytearray(server.write(b"221 bye\r\n"))
    bad[-1] ^= 1
    client.feed(good + bytes(bad))
    assert client.read() == b"250 accepted\r\n"
    for action in (client.read, client.handshake, lambda: client.write(b"QUIT\r\n")):
        with pytest.raises(TLSFailure, match="the TLS connection broke: what came from the server was changed"):
            action()
    assert not client.eof


def test_a_server_that_wants_a_client_certificate_is_understood(trusting, tmp_path, root):
    client = TLS(trusting)
    server = shake_hands(client, server_context(GOOD, tmp_path, ssl.TLSVersion.TLSv1_3, client_authority=root))
    assert server.failure
    client.feed(server.outgoing.read())
    with pytest.raises(TLSFailure, match='alert "certificate required": .*set tls_cert_file'):
        client.read()


# Pins


def pinned(text: str, verify: bool = True) -> TLS:
    return TLS(context(TLSSettings(verify=verify, fingerprint=text, host="mail.example")))


@pytest.mark.parametrize("verify", [True, False])
def test_a_pinned_certificate_is_trusted_whatever_else_is_wrong_with_it(tmp_path, verify):
    bad = issue(dns=["other.example"], begin=-9 * DAY, end=-2 * DAY, usage=certificates.CLIENT)
    for digest in (hashlib.sha256(bad.der), hashlib.sha1(bad.der)):
        assert shake_hands(pinned(digest.hexdigest(), verify), server_context(bad, tmp_path)).done


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("verify", [True, False])
def test_another_certificate_than_the_pinned_is_refused_before_anything_is_said(tmp_path, version, verify):
    client = pinned(hashlib.sha256(issue(ROOT).der).hexdigest(), verify)
    text = refusal(client, server_context(GOOD, tmp_path, version))
    assert hashlib.sha256(GOOD.der).digest().hex(":").upper() in text
    assert client.take() == b""
    with pytest.raises(TLSFailure):
        client.write(b"secret")


def test_the_pin_of_a_key_is_met_by_a_renewed_certificate(tmp_path):
    from pysendmail.delivery.certificate import Certificate

    text = "spki:" + hashlib.sha256(Certificate(GOOD.der).spki).hexdigest()
    renewed = issue(ROOT, key=GOOD.key)
    assert shake_hands(pinned(text), server_context(renewed, tmp_path)).done
    assert "tls_fingerprint" in refusal(pinned(text), server_context(issue(ROOT), tmp_path))


# Channel binding


@pytest.mark.parametrize("version", VERSIONS)
def test_the_end_point_binds_to_the_certificate(trusting, tmp_path, version):
    client = TLS(trusting)
    shake_hands(client, server_context(GOOD, tmp_path, version))
    assert client.channel_binding("tls-server-end-point") == hashlib.sha256(GOOD.der).digest()


def test_the_exporter_is_given_only_where_python_has_it(connected):
    client, _ = connected
    known = "tls-exporter" in ssl.CHANNEL_BINDING_TYPES
    assert (client.channel_binding("tls-exporter") is not None) is known


@pytest.mark.parametrize("version", VERSIONS)
def test_other_bindings_are_not_given(trusting, tmp_path, version):
    client = TLS(trusting)
    shake_hands(client, server_context(GOOD, tmp_path, version))
    assert client.channel_binding("tls-unique") is None
    assert client.channel_binding("") is None


# Sessions


class Loopback:
    """A server on a real socket that greets, reads to the end, and counts resumed handshakes."""

    def __init__(self, server: ssl.SSLContext, connections: int) -> None:
        self.reused: list[bool | None] = []
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve, args=(connections,))
        self._thread.start()

    def _serve(self, connections: int) -> None:
        for _ in range(connections):
            plain, _ = self._listener.accept()
            plain.settimeout(10)
            try:
                with self._server.wrap_socket(plain, server_side=True) as end:
                    end.sendall(b"220 ready\r\n")
                    while end.recv(1000):
                        pass
                    self.reused.append(end.session_reused)
            except OSError:
                self.reused.append(None)

    def finish(self) -> list[bool | None]:
        self._thread.join(20)
        self._listener.close()
        return self.reused


def visit(address, client: TLS) -> None:
    with socket.create_connection(address, 10) as link:
        while not client.handshake():
            link.sendall(client.take())
            client.feed(link.recv(65536))
        greeting = b""
        while b"\n" not in greeting:
            link.sendall(client.take())
            client.feed(link.recv(65536))
            greeting += client.read()
        assert greeting == b"220 ready\r\n"
        client.close()
        link.sendall(client.take())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed_by_a_real_server(trusting, tmp_path, version):
    loopback = Loopback(server_context(GOOD, tmp_path, version), 3)
    first = TLS(trusting)
    visit(loopback.address, first)
    second = TLS(trusting, session=first.session)
    visit(loopback.address, second)
    third = TLS(trusting)
    visit(loopback.address, third)
    assert loopback.finish() == [False, True, False]
    assert (first.resumed, second.resumed, third.resumed) == (False, True, False)
    assert second.peer_certificate == GOOD.der
    assert second.channel_binding("tls-server-end-point") == first.channel_binding("tls-server-end-point")


def test_a_session_is_there_once_the_ticket_has_come(connected):
    client, server = connected
    assert client.session is None
    client.feed(server.write(b"220 ready\r\n"))
    client.read()
    assert client.session is not None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_of_another_name_or_context_is_left_unused(trusting, root, tmp_path, version):
    server = server_context(GOOD, tmp_path, version)
    first = TLS(trusting)
    first.feed(shake_hands(first, server).write(b"220 ready\r\n"))
    first.read()
    assert first.session is not None
    again = TLS(trusting, session=first.session)
    assert shake_hands(again, server).end.session_reused
    assert "not for other.example" in refusal(TLS(trusting, "other.example", first.session), server)
    stranger = TLS(context(TLSSettings(trust=root, host="mail.example")), session=first.session)
    assert not shake_hands(stranger, server).end.session_reused


def test_a_resumed_session_is_still_held_against_the_pin(tmp_path):
    server = server_context(GOOD, tmp_path)
    kept = context(TLSSettings(fingerprint=hashlib.sha256(GOOD.der).hexdigest(), host="mail.example"))
    first = TLS(kept)
    first.feed(shake_hands(first, server).write(b"220 ready\r\n"))
    first.read()
    second = TLS(kept, session=first.session)
    assert shake_hands(second, server).end.session_reused
    assert kept.pins is not None
    kept.pins._wanted.clear()
    assert "tls_fingerprint" in refusal(TLS(kept, session=first.session), server)


def test_the_server_double_really_checks(trusting, tmp_path):
    """Tell a test server that accepts everything from one that works."""
    server = Server(server_context(GOOD, tmp_path))
    server.incoming.write(b"EHLO x\r\n")
    server.step()
    assert server.failure and not server.done
