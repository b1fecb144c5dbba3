"""Certificates, keys and revocation lists of every kind for the tests, good and bad."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


class Identity:
    """A certificate with its key, and the intermediate certificates that a server sends along."""

    def __init__(self, certificate: x509.Certificate, key, chain=()):
        self.certificate = certificate
        self.key = key
        self.chain = chain
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password: bytes | None = None) -> bytes:
        cover = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem: bytes = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cover)
        return pem

    def write(self, path: Path) -> str:
        """Write key, certificate and chain into one file, as a server wants it."""
        path.write_bytes(self.key_pem() + self.pem + b"".join(other.pem for other in self.chain))
        path.chmod(0o600)
        return str(path)


def name(common_name: str | None) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def issue(
    issuer: Identity | None = None,
    dns=("mail.example",),
    ip=(),
    *,
    common_name: str | None = None,
    usage=SERVER,
    authority: bool = False,
    begin=-DAY,
    end=30 * DAY,
    key=None,
    hash_function=hashes.SHA256(),  # noqa: B008 - it has no state
    padding=None,
    names=None,
    chain=(),
) -> Identity:
    """Make a certificate, signed by itself without an issuer; without any key identifiers, as old authorities do."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(issuer.certificate.subject if issuer else name(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begin)
        .not_valid_after(NOW + end)
    )
    names = names or [*map(x509.DNSName, dns), *(x509.IPAddress(ipaddress.ip_address(text)) for text in ip)]
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    elif names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage and not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    extra = {"rsa_padding": padding} if padding else {}
    certificate = builder.sign(issuer.key if issuer else key, hash_function, **extra)
    return Identity(certificate, key, chain)


def authority(common_name: str = "Test Root", issuer: Identity | None = None, **more) -> Identity:
    """Make a certificate that issues others."""
    return issue(issuer, common_name=common_name, authority=True, **more)


def revocation_list(issuer: Identity, *revoked: Identity, begin=-DAY, end=30 * DAY) -> bytes:
    """Make a revocation list in PEM."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW + begin)
        .next_update(NOW + end)
    )
    for identity in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(identity.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def hash_link(common_name: str) -> str:
    """Name the link under which OpenSSL looks for the certificate of an authority with this common name alone."""
    import hashlib

    text = common_name.lower().encode()
    value = b"\x06\x03\x55\x04\x03\x0c" + bytes([len(text)]) + text
    canonical = bytes([0x31, len(value) + 2, 0x30, len(value)]) + value
    return f"{int.from_bytes(hashlib.sha1(canonical).digest()[:4], 'little'):08x}.0"
