"""Which servers are accepted: names, addresses, chains, pins; and what is said of the others."""

import hashlib
import ssl

import pytest

from pysendmail import errors
from pysendmail.delivery.tls import TLS, TLSFailure, TLSSettings, context
from pysendmail.delivery.tls_failure import explain
from tests.delivery import certificates
from tests.delivery.certificates import DAY, authority, issue
from tests.delivery.tls_server import GOOD, ROOT, VERSIONS, refusal, server_context, shake_hands

pytestmark = pytest.mark.usefixtures("binding")


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
    der = GOOD.der.replace(b"mail.example", b"mai\x1b[2J\r\n\xffxx")
    error = ssl.SSLCertVerificationError()
    error.verify_code = 62
    assert "but for mai?[2J???xx, 127.0.0.1" in explain("handshake", error, "mail.example", der, b"", TLSSettings())


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


@pytest.mark.parametrize("code", [2, 9, 10, 18, 20, 26, 62, 64, 23, 99])
def test_a_certificate_that_cannot_be_taken_apart_still_gives_a_reason(code):
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "some\x1breason"
    dated = GOOD.certificate.not_valid_after_utc.strftime("%y%m%d%H%M%SZ").encode()
    for der in (b"", b"rubbish", GOOD.der.replace(b"mail.example", b"m" * 13), GOOD.der.replace(dated, b"x" * 13)):
        line = explain("handshake", error, "mail.example", der, b"", TLSSettings())
        assert "the server's c" in line and line.isprintable()
