"""The files of TLS that an account names itself: its roots, revocation lists, and the client's certificate and key."""

import _ssl
import os
import stat

from pysendmail import errors

_CERTIFICATES = (
    b"-----BEGIN CERTIFICATE-----",
    b"-----BEGIN TRUSTED CERTIFICATE-----",
    b"-----BEGIN X509 CERTIFICATE-----",
)
_REVOCATIONS = b"-----BEGIN X509 CRL-----"


def load_trust(raw: _ssl._SSLContext, path: str) -> None:
    """Trust the certificates of a file, or of a folder with hash links or .pem and .crt files; raises ConfigError."""
    from pysendmail.delivery.tls_context import is_hashed

    if not os.path.isdir(path):
        _load_file(raw, path)
    elif is_hashed(path):
        raw.load_verify_locations(capath=path)
    else:
        _load_folder(raw, path)


def load_revocations(raw: _ssl._SSLContext, path: str) -> None:
    """Load certificate revocation lists; raises ConfigError.

    OpenSSL would trust any certificate that stands in the file as well, so such a file is refused.
    """
    text = _read(path)
    if _REVOCATIONS not in text:
        raise errors.ConfigError("no revocation list in PEM form in tls_crl_file", path)
    if any(begin in text for begin in _CERTIFICATES):
        raise errors.ConfigError("tls_crl_file holds a certificate, which belongs into tls_trust_file", path)
    try:
        raw.load_verify_locations(cafile=path)
    except OSError as error:
        raise errors.ConfigError("a revocation list of tls_crl_file is malformed", path) from error


def load_client_certificate(raw: _ssl._SSLContext, certificate: str | None, key: str | None) -> None:
    """Load the certificate that we show, with its key from `key` or from the same file; raises ConfigError."""
    if not certificate:
        raise errors.ConfigError("tls_key_file needs tls_cert_file as well", key)
    place = key or certificate
    _check_access(certificate)
    _check_private(place)

    def refuse() -> str:  # without it OpenSSL would ask on the terminal
        raise errors.ConfigError("the key is encrypted, and nobody is there to be asked; write it decrypted", place)

    try:
        raw.load_cert_chain(certificate, key, refuse)
    except OSError as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise errors.ConfigError(f"the key does not belong to the certificate in {certificate}", place) from error
        raise errors.ConfigError("no certificate and key in PEM form can be loaded from it", place) from error


def _load_file(raw: _ssl._SSLContext, path: str) -> None:
    _check_access(path)
    before = raw.cert_store_stats()["x509"]
    try:
        raw.load_verify_locations(cafile=path)
    except OSError as error:
        raise errors.ConfigError("no certificate in PEM form can be loaded from tls_trust_file", path) from error
    if raw.cert_store_stats()["x509"] == before:
        raise errors.ConfigError("tls_trust_file holds no certificate", path)


def _load_folder(raw: _ssl._SSLContext, path: str) -> None:
    """Load what is a certificate; keys and the like may stand beside them."""
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise errors.ConfigError(f"tls_trust_file: {error.strerror}", path) from error
    for name in names:
        if name.endswith((".pem", ".crt")):
            try:
                _check_access(os.path.join(path, name))
                raw.load_verify_locations(cafile=os.path.join(path, name))
            except (OSError, errors.ConfigError):
                continue
    if not raw.cert_store_stats()["x509"]:
        raise errors.ConfigError("the folder of tls_trust_file holds no certificate in PEM form", path)


def _read(path: str) -> bytes:
    _check_access(path)
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise errors.ConfigError(f"cannot be read: {error.strerror}", path) from error


def _check_access(path: str) -> None:
    """Find out why a file cannot be read: OpenSSL's error does not even name it, and it would wait at a pipe for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise errors.ConfigError(f"cannot be read: {error.strerror}", path) from error
    if not regular:
        raise errors.ConfigError("is not a regular file", path)


def _check_private(path: str) -> None:
    """Refuse a key that group or others can read or change."""
    _check_access(path)
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o066:
        raise errors.ConfigError(f"the key has mode {mode:04o}, so that others can get at it; chmod 600 it", path)
