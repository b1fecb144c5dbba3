"""The DER walker, against another implementation and against damage."""

import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.delivery.certificate import Certificate, Pins, end_point, fingerprint, printable, shorten
from tests.delivery import certificates
from tests.delivery.certificates import DAY, NOW, Identity, issue

RSA = rsa.generate_private_key(65537, 2048)
PLAIN = issue(dns=("mail.example", "*.mail.example"), ip=("192.0.2.1", "2001:db8::1"), common_name="Plain")


def pss(hash_function, mask=None):
    scheme = padding.PSS(padding.MGF1(mask or hash_function), padding.PSS.DIGEST_LENGTH)
    return issue(key=RSA, hash_function=hash_function, padding=scheme)


def spki(identity: Identity) -> bytes:
    key = identity.certificate.public_key()
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), RSA], ids=["ecdsa", "rsa"])
@pytest.mark.parametrize("name", ["sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"])
def test_the_end_point_is_hashed_as_the_certificate_is_signed(key, name):
    identity = issue(key=key, hash_function=getattr(hashes, name.upper())())
    assert end_point(identity.der) == hashlib.new(name, identity.der).digest()
    assert Certificate(identity.der).signature_hash == name


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_the_hash_of_rsa_pss_stands_in_its_parameters(name):
    identity = pss(getattr(hashes, name.upper())())
    assert end_point(identity.der) == hashlib.new(name, identity.der).digest()


def test_rsa_pss_with_two_hash_functions_has_no_end_point():
    assert end_point(pss(hashes.SHA256(), hashes.SHA512()).der) is None


def test_ed25519_has_no_end_point():
    identity = issue(key=ed25519.Ed25519PrivateKey.generate(), hash_function=None)
    assert end_point(identity.der) is None
    assert Certificate(identity.der).names == ["mail.example"]


@pytest.mark.parametrize("old", ["2a864886f70d010104", "2a864886f70d010105"], ids=["md5", "sha1"])
def test_md5_and_sha_1_give_way_to_sha_256(old):
    # Nothing signs with them any more, so the name of the algorithm is changed in a finished certificate.
    der = issue(key=RSA).der.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex(old))
    assert end_point(der) == hashlib.sha256(der).digest()


def test_an_unknown_signature_algorithm_has_no_end_point():
    der = issue(key=RSA).der.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d01017f"))
    assert end_point(der) is None


def test_the_public_key_is_taken_out_whole():
    for identity in (PLAIN, issue(key=RSA), certificates.authority()):
        assert Certificate(identity.der).spki == spki(identity)


def test_names_and_addresses_are_listed_in_their_order():
    assert Certificate(PLAIN.der).names == ["mail.example", "*.mail.example", "192.0.2.1", "2001:db8::1"]


def test_other_kinds_of_names_are_passed_over():
    kinds = [x509.RFC822Name("a@b.example"), x509.UniformResourceIdentifier("https://x/"), x509.DNSName("d.example")]
    assert Certificate(issue(names=kinds).der).names == ["d.example"]


def test_a_certificate_without_extensions_has_no_names():
    certificate = Certificate(issue(dns=(), usage=None, common_name="only.example").der)
    assert certificate.names == []
    assert certificate.subject == certificate.issuer == "only.example"


def test_a_name_without_common_name_falls_back_to_the_organisation():
    organisation = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Müller")])
    builder = x509.CertificateBuilder().subject_name(organisation).issuer_name(x509.Name([]))
    builder = builder.public_key(RSA.public_key()).serial_number(7).not_valid_before(NOW).not_valid_after(NOW + DAY)
    certificate = Certificate(builder.sign(RSA, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
    assert (certificate.subject, certificate.issuer) == ("M??ller", "")


END_OF_2049 = (datetime.datetime(2049, 12, 31, tzinfo=datetime.UTC) - NOW).days


@pytest.mark.parametrize("days", [1, 59, 60, 61, 365 * 4, END_OF_2049, END_OF_2049 + 3, 365 * 75, 365 * 3000])
def test_dates_before_and_after_2050_are_read(days):
    certificate = Certificate(issue(begin=-days * DAY if days < 20000 else -DAY, end=days * DAY).der)
    assert certificate.not_after == (NOW + days * DAY).timestamp()
    if days < 20000:
        assert certificate.not_before == (NOW - days * DAY).timestamp()


@pytest.mark.parametrize(
    "text", [b"291301000000Z", b"290132000000Z", b"290101240000Z", b"29010100000 Z", b"290101000000X"]
)
def test_dates_that_do_not_exist_are_refused(text):
    real = PLAIN.certificate.not_valid_after_utc.strftime("%y%m%d%H%M%SZ").encode()
    with pytest.raises(ValueError):
        _ = Certificate(PLAIN.der.replace(real, text)).not_after


@given(st.data())
def test_a_damaged_certificate_gives_values_or_a_value_error(data):
    octets = bytearray(PLAIN.der)
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(octets[: data.draw(st.integers(1, len(octets)))])
    end_point(damaged)
    try:
        certificate = Certificate(damaged)
        for part in ("not_before", "not_after", "signature_hash", "names", "subject", "issuer"):
            getattr(certificate, part)
    except ValueError:
        pass


@given(st.binary(max_size=200))
def test_rubbish_is_a_value_error(rubbish):
    with pytest.raises(ValueError):
        Certificate(rubbish)


def test_every_truncation_is_a_value_error():
    for size in range(len(PLAIN.der)):
        with pytest.raises(ValueError):
            Certificate(PLAIN.der[:size])


def test_octets_after_the_certificate_are_a_value_error():
    with pytest.raises(ValueError):
        Certificate(PLAIN.der + b"\0")


@pytest.mark.parametrize(
    "length",
    [b"\x80", b"\x83\x00" + len(PLAIN.der[4:]).to_bytes(2, "big"), b"\x85\0\0\0\x01\0", b"\xff"],
    ids=["indefinite", "with leading zero", "of five octets", "reserved"],
)
def test_a_length_that_is_not_der_is_a_value_error(length):
    with pytest.raises(ValueError):
        Certificate(PLAIN.der[:1] + length + PLAIN.der[4:])


def test_a_long_length_where_a_short_one_would_do_is_a_value_error():
    size = len(PLAIN.certificate.signature) + 1
    body = PLAIN.der[4:-size]
    assert body[-2:] == bytes([3, size]) and size < 0x80
    same = body[:-2] + bytes([3, 0x81, size]) + PLAIN.der[-size:]
    with pytest.raises(ValueError):
        Certificate(b"\x30\x82" + len(same).to_bytes(2, "big") + same)


def test_pins_of_certificates_are_met_by_that_certificate_alone():
    other = issue()
    for digest in (hashlib.sha256(PLAIN.der).hexdigest(), hashlib.sha1(PLAIN.der).hexdigest(), fingerprint(PLAIN.der)):
        assert Pins(digest).match(PLAIN.der)
        assert Pins(digest.upper()).match(PLAIN.der)
        assert not Pins(digest).match(other.der)


def test_a_pin_of_a_key_is_met_by_every_certificate_of_that_key():
    pins = Pins("spki:" + hashlib.sha256(spki(PLAIN)).hexdigest())
    assert pins.match(PLAIN.der)
    assert pins.match(issue(key=PLAIN.key).der)
    assert not pins.match(issue().der)


def test_the_digest_of_a_key_is_no_fingerprint_of_a_certificate():
    assert not Pins(hashlib.sha256(spki(PLAIN)).hexdigest()).match(PLAIN.der)
    assert not Pins("spki:" + hashlib.sha256(PLAIN.der).hexdigest()).match(PLAIN.der)


def test_one_of_several_pins_is_enough():
    other = issue()
    pins = Pins(f"{fingerprint(other.der)} SPKI:{hashlib.sha256(spki(PLAIN)).hexdigest()}")
    assert pins.match(PLAIN.der) and pins.match(other.der)
    assert not pins.match(issue().der)


@pytest.mark.parametrize("text", ["", " ", "00" * 16, "00" * 31, "0" * 63, "spki:" + "00" * 20, "zz" * 32, "sha256"])
def test_what_is_no_pin_is_a_configuration_error(text):
    with pytest.raises(errors.ConfigError, match="tls_fingerprint"):
        Pins(text)


def test_what_is_no_certificate_meets_no_pin():
    assert not Pins(hashlib.sha256(b"").hexdigest()).match(b"")


def test_text_of_the_peer_is_made_printable_and_short():
    assert printable(b"a\x1b[2J\xc3\xa9\r\n\x7fb") == "a?[2J?????b"
    assert printable(b"x" * 1000) == "x" * 61 + "..."
    assert printable(b"x" * 64) == "x" * 64


def test_a_long_list_of_names_is_cut():
    assert shorten(["a", "b"]) == "a, b"
    assert shorten([str(number) for number in range(8)]) == "0, 1, 2, 3, 4 and 3 more"
