"""One TLS connection: handshake, records, its end, its facts. The server is Python's own `ssl`."""

import hashlib
import ssl

import pytest

from pysendmail.delivery.tls import TLS, TLSFailure, TLSSettings, context
from tests.delivery.tls_server import GOOD, VERSIONS, Server, refusal, server_context, shake_hands

pytestmark = pytest.mark.usefixtures("binding")


# Handshake and records


@pytest.mark.parametrize("version", VERSIONS)
def test_a_good_server_is_accepted_and_its_facts_are_known(trusting, tmp_path, version):
    client = TLS(trusting)
    server = shake_hands(client, server_context(GOOD, tmp_path, version))
    assert server.done and client.handshake()
    assert client.version == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
    cipher = server.end.cipher()
    assert cipher and client.cipher == cipher[0]
    assert client.peer_certificate == GOOD.der
    assert not client.resumed


def test_the_facts_are_empty_before_the_handshake(trusting):
    client = TLS(trusting)
    assert (client.peer_certificate, client.session, client.cipher) == (b"", None, "")
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


def test_an_alert_about_our_certificate_does_not_blame_one_that_is_not_there(trusting):
    client = TLS(trusting)
    client.handshake()
    client.feed(bytes([21, 3, 3, 0, 2, 2, 48]))
    with pytest.raises(TLSFailure, match='"unknown ca": its log may tell why'):
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


def test_the_server_double_really_checks(trusting, tmp_path):
    """Tell a test server that accepts everything from one that works."""
    server = Server(server_context(GOOD, tmp_path))
    server.incoming.write(b"EHLO x\r\n")
    server.step()
    assert server.failure and not server.done
