"""The context of TLS connections: made by hand, so that nothing but the configuration says what is trusted.

By hand means: nothing that the caller's environment says about OpenSSL counts, TLS 1.2 at least, names checked against
subjectAltName only, no log of keys. `_ssl` is used directly, because to import the public module around it takes twice
as long as the interpreter takes to start; where a Python lacks what is needed of it, `ssl` takes its place.
"""

import _ssl
import os

from pysendmail import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.delivery.certificate import Pins

# OpenSSL reads them when the first context is made.
_ENVIRONMENT = ("OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES", "SSLKEYLOGFILE")

_DIRECT = hasattr(_ssl, "_SSLContext") and all(hasattr(_ssl._SSLContext, n) for n in ("_wrap_bio", "_host_flags"))

_TLS_1_2, _TLS_1_3 = 0x0303, 0x0304
_LEGACY_SERVER_CONNECT = 0x4

# Where distributions keep their roots, for an interpreter whose OpenSSL was built for another place.
_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/openssl/certs")
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class TLSSettings:
    """Say what the server must prove, and what we show it.

    `trust` is a file or folder of roots, None or "system" the system's, "" none at all; `fingerprint` is the text of
    `certificate.Pins` and replaces roots and name, also where `verify` is off; `min_version` is "TLS1.2" or "TLS1.3";
    `host` is the name or IP address to verify.
    """

    __slots__ = ("cert_file", "crl_file", "fingerprint", "host", "key_file", "min_version", "trust", "verify")

    def __init__(
        self,
        *,
        verify: bool = True,
        trust: str | None = None,
        crl_file: str | None = None,
        fingerprint: str | None = None,
        min_version: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        host: str = "",
    ) -> None:
        self.verify = verify
        self.trust = trust
        self.crl_file = crl_file
        self.fingerprint = fingerprint
        self.min_version = min_version
        self.cert_file = cert_file
        self.key_file = key_file
        self.host = host


class Context:
    """Keep what connections of the same settings share; made by `context`, good for any number of threads."""

    __slots__ = ("bundle_left", "pins", "raw", "settings")

    def __init__(self, raw: _ssl._SSLContext, settings: TLSSettings, pins: "Pins | None", bundle_left: bool) -> None:
        self.raw = raw
        self.settings = settings
        self.pins = pins
        self.bundle_left = bundle_left


def context(settings: TLSSettings, *, bundle: bool = False) -> Context:
    """Make a context; `bundle` reads the system's roots from the one large file. Raises ConfigError."""
    for name in _ENVIRONMENT:
        os.environ.pop(name, None)
    raw = _new_context()
    raw.minimum_version = _minimum(settings.min_version)
    # Options beyond OpenSSL's own: a lost end of the stream must show, and renegotiation serves no SMTP client.
    kept = int(raw.options) & ~(_ssl.OP_IGNORE_UNEXPECTED_EOF | _LEGACY_SERVER_CONNECT)
    raw.options = kept | _ssl.OP_NO_COMPRESSION | _ssl.OP_NO_RENEGOTIATION
    pins = None
    bundle_left = False
    if settings.fingerprint is not None:
        from pysendmail.delivery.certificate import Pins

        pins = Pins(settings.fingerprint)
    if pins or not settings.verify:
        raw.check_hostname = False
        raw.verify_mode = _ssl.CERT_NONE
    else:
        bundle_left = _trust(raw, settings, bundle)
    if settings.cert_file or settings.key_file:
        from pysendmail.delivery import tls_files

        tls_files.load_client_certificate(raw, settings.cert_file, settings.key_file)
    return Context(raw, settings, pins, bundle_left)


def _new_context() -> _ssl._SSLContext:
    """Make a raw context that checks chain, purpose and name, the latter never against the common name."""
    if _DIRECT:
        raw = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)
        raw._host_flags |= _ssl.HOSTFLAG_NEVER_CHECK_SUBJECT  # type: ignore[attr-defined]
        return raw
    import ssl

    public = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    public.hostname_checks_common_name = False
    return public


def _minimum(word: str | None) -> int:
    version = (word or "1.2").lower().removeprefix("tls").removeprefix("v")
    if version not in ("1.2", "1.3"):
        raise errors.ConfigError("tls_min_version must be TLS1.2 or TLS1.3")
    return _TLS_1_2 if version == "1.2" else _TLS_1_3


def _trust(raw: _ssl._SSLContext, settings: TLSSettings, bundle: bool) -> bool:
    """Load roots and revocations; tell whether the system's bundle is left to try.

    X509_STRICT stays off: private authorities often lack the key identifiers that it demands. Whatever stands in a
    trust file of one's own is trusted as it is, even a server's own certificate: hence PARTIAL_CHAIN, only there.
    """
    flags = _ssl.VERIFY_X509_TRUSTED_FIRST
    bundle_left = False
    if settings.trust is None or settings.trust == "system":
        bundle_left = _load_system_roots(raw, bundle)
    elif not settings.trust:
        raise errors.ConfigError("no server can be trusted: tls_trust_file is empty, and there is no tls_fingerprint")
    else:
        from pysendmail.delivery import tls_files

        tls_files.load_trust(raw, settings.trust)
        flags |= _ssl.VERIFY_X509_PARTIAL_CHAIN
    if settings.crl_file:
        from pysendmail.delivery import tls_files

        tls_files.load_revocations(raw, settings.crl_file)
        flags |= _ssl.VERIFY_CRL_CHECK_CHAIN
    raw.verify_flags = flags
    return bundle_left


def _system_places() -> tuple[list[str], list[str]]:
    """List folders and bundles where roots may be: OpenSSL's by its build (not by SSL_CERT_DIR), then well-known."""
    _, bundle, _, folder = _ssl.get_default_verify_paths()
    return [folder, *_FOLDERS], [bundle, *_BUNDLES]


def _load_system_roots(raw: _ssl._SSLContext, bundle: bool) -> bool:
    """Load the folder, which costs next to nothing, and the bundle if asked or there is no folder with hash links."""
    folders, bundles = _system_places()
    folder = next((path for path in folders if is_hashed(path)), None)
    file = next((path for path in bundles if os.access(path, os.R_OK)), None)
    if folder:
        raw.load_verify_locations(capath=folder)
    elif not file:
        raise errors.ConfigError("this system has no root certificates; install them, or set tls_trust_file")
    if file and (bundle or not folder):
        try:
            raw.load_verify_locations(cafile=file)
        except OSError as error:
            raise errors.ConfigError("no root certificates can be read from it; set tls_trust_file", file) from error
    return bool(folder and file and not bundle)


def is_hashed(folder: str) -> bool:
    """Tell whether a folder has links as `openssl rehash` makes them: eight hexadecimal digits, a dot and a number."""
    try:
        with os.scandir(folder) as entries:
            return any(_is_hash_link(entry.name) for entry in entries)
    except OSError:
        return False


def _is_hash_link(name: str) -> bool:
    return name[8:9] == "." and name[9:].isdigit() and all(letter in "0123456789abcdef" for letter in name[:8])
