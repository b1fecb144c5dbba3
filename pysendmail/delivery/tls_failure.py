"""What went wrong with TLS, in one line: the cause, and how to mend it. Loaded only when it did go wrong."""

import _ssl
import time

from pysendmail.delivery.certificate import Certificate, fingerprint, printable, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.delivery.tls import TLSSettings

# Codes of X509_verify_cert(3).
_UNKNOWN_ISSUER = (2, 19, 20, 21, 27)
_NOT_YET, _EXPIRED = 9, 10
_SELF_SIGNED = 18
_PURPOSE = 26
_WRONG_NAME, _WRONG_ADDRESS = 62, 64

_TRUST_MEND = "set tls_trust_file to the issuer's certificate, or tls_fingerprint to this one's"
_SELF_MEND = "set tls_trust_file or tls_fingerprint to it"
_WEAK_MEND = "the server needs a new certificate"
_CRL_MEND = "bring tls_crl_file up to date"

_VERIFICATION = {
    3: ("tls_crl_file has no revocation list of an issuer of the certificate", "add it"),
    5: ("a revocation list of tls_crl_file is malformed", _CRL_MEND),
    7: ("a signature in the certificate chain is wrong", "somebody may be in the middle; ask the server's operator"),
    8: ("the signature of a revocation list in tls_crl_file is wrong", _CRL_MEND),
    11: ("a revocation list of tls_crl_file is not valid yet", "check the clock"),
    12: ("a revocation list of tls_crl_file has expired", _CRL_MEND),
    22: ("the certificate chain is too long", "ask the server's operator"),
    23: ("the certificate is revoked", "ask the server's operator"),
    24: ("a certificate of the chain is not an authority's, yet issues others", "ask the server's operator"),
    25: ("the certificate chain is longer than its authority permits", "ask the server's operator"),
    28: ("the certificate is rejected by its authority's rules", "ask the server's operator"),
    47: ("the authority may not issue certificates for this name", "ask the server's operator"),
    66: ("the certificate's key is too weak", _WEAK_MEND),
    67: ("the key of an authority in the certificate chain is too weak", _WEAK_MEND),
    68: ("the certificate chain is signed with a hash function that is too weak", _WEAK_MEND),
    79: ("a certificate of the chain is not an authority's, yet issues others", "ask the server's operator"),
}

_CLIENT_CERTIFICATE = "check tls_cert_file and tls_key_file"
_ALERTS = {
    "protocol version": "it does not speak TLS 1.2 or later, or not what tls_min_version asks for",
    "handshake failure": "there is no cipher in common, or it wants a client certificate (tls_cert_file)",
    "insufficient security": "it asks for stronger ciphers than this OpenSSL offers",
    "certificate required": "it wants a client certificate; set tls_cert_file and tls_key_file",
    "unrecognized name": "it does not know the name; check host",
    "unrecognised name": "it does not know the name; check host",
    "internal error": "it is in trouble itself; try later",
    "bad certificate": _CLIENT_CERTIFICATE,
    "unsupported certificate": _CLIENT_CERTIFICATE,
    "certificate revoked": _CLIENT_CERTIFICATE,
    "certificate expired": _CLIENT_CERTIFICATE,
    "certificate unknown": _CLIENT_CERTIFICATE,
    "unknown ca": _CLIENT_CERTIFICATE,
    "access denied": _CLIENT_CERTIFICATE,
    "decrypt error": _CLIENT_CERTIFICATE,
}
_REASONS = {
    "UNSUPPORTED_PROTOCOL": "the server speaks no TLS version that is permitted here; it needs TLS 1.2 or later",
    "NO_PROTOCOLS_AVAILABLE": "this system's OpenSSL permits no TLS version of 1.2 or later; check its openssl.cnf",
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": "the server lacks secure renegotiation (RFC 5746); it needs an update",
    "DH_KEY_TOO_SMALL": "the server's Diffie-Hellman parameters are too weak; it needs better ones",
    "NO_SHARED_CIPHER": "there is no cipher in common with the server",
    "EXCESSIVE_MESSAGE_SIZE": "the server sends an absurdly long certificate chain",
    "CERTIFICATE_LIST_TOO_LONG": "the server sends an absurdly long certificate chain",
    "WRONG_VERSION_NUMBER": "the server answers with something that is not TLS; check port and tls_starttls",
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": "what came from the server was changed on the way",
    "RECORD_LAYER_FAILURE": "what came from the server was changed on the way, or is not TLS",
}


def is_unknown_issuer(error: _ssl.SSLError | None) -> bool:
    """Tell whether another set of roots might make the certificate good."""
    return getattr(error, "verify_code", None) in _UNKNOWN_ISSUER


def explain(kind: str, error: _ssl.SSLError | None, name: str, der: bytes, head: bytes, settings: "TLSSettings") -> str:
    """Write the line for a failure of `kind`: "clear", "endless", "pin", "handshake" or "record".

    `der` is the server's certificate, `head` the first octets that came, each b"" if there is none.
    """
    if kind == "clear":
        return _explain_clear(head)
    if kind == "endless":
        return "the server sends without end and never completes the TLS handshake"
    if kind == "pin":
        return (
            f"the server's certificate is not that of tls_fingerprint (its SHA-256 fingerprint is {fingerprint(der)});"
            " if the server has a new one, set it anew"
        )
    code = getattr(error, "verify_code", None)
    if error is not None and code:
        return _explain_verification(code, str(getattr(error, "verify_message", "")), name, der)
    return _explain_protocol(error, kind, settings)


def _explain_clear(head: bytes) -> str:
    """Show what a server says that does not speak TLS: often it says the reason."""
    line = printable(head.split(b"\n", 1)[0].rstrip(), 120)
    if head[:3].isdigit():
        return f'the server does not speak TLS on this port (it says "{line}"); check port and tls_starttls'
    return "the server does not speak TLS on this port; check port and tls_starttls"


def _explain_verification(code: int, message: str, name: str, der: bytes) -> str:
    certificate = _parsed(der)
    if code in (_WRONG_NAME, _WRONG_ADDRESS):
        return f"the server's certificate is not for {printable(name.encode(), 255)}{_names(certificate)}"
    if code in (_EXPIRED, _NOT_YET):
        return _explain_dates(code, certificate)
    if code in _UNKNOWN_ISSUER:
        issuer = _issuer(certificate)
        return f"the server's certificate is from an issuer that is not trusted here{issuer}; {_TRUST_MEND}"
    if code == _SELF_SIGNED:
        return f"the server's certificate is signed by itself and not trusted here; {_SELF_MEND}"
    if code == _PURPOSE:
        return "the server's certificate is not meant for servers (its extended key usage); ask the server's operator"
    cause, mend = _VERIFICATION.get(code, (printable(message.encode(), 120), "ask the server's operator"))
    return f"the server's certificate cannot be verified: {cause}; {mend}"


def _explain_dates(code: int, certificate: Certificate | None) -> str:
    """Name the server's certificate only if its own dates are at fault, else one further up the chain is."""
    clock = f"check this machine's clock (now {_day(time.time())})"
    try:
        begin, end = (certificate.not_before, certificate.not_after) if certificate else (0, 1 << 62)
    except ValueError:
        begin, end = 0, 1 << 62
    if code == _EXPIRED:
        if end < time.time():
            return f"the server's certificate expired on {_day(end)}; the server needs a new one, or {clock}"
        return f"a certificate further up the server's chain has expired; renew tls_trust_file, or {clock}"
    if begin > time.time():
        return f"the server's certificate is valid from {_day(begin)} only; {clock}"
    return f"a certificate further up the server's chain is not valid yet; {clock}"


def _explain_protocol(error: _ssl.SSLError | None, kind: str, settings: "TLSSettings") -> str:
    reason = str(getattr(error, "reason", None) or "")
    alert = _alert(reason)
    when = "the TLS handshake failed" if kind == "handshake" else "the TLS connection broke"
    if alert:
        mend = _ALERTS.get(alert, "its log may tell why")
        if mend is _CLIENT_CERTIFICATE and not settings.cert_file:
            mend = "its log may tell why"
        return f'{when}: the server sent the alert "{alert}": {mend}'
    if reason in _REASONS:
        return f"{when}: {_REASONS[reason]}"
    words = reason.replace("_", " ").lower() or str(error)
    return f"{when}: {printable(words.encode('ascii', 'replace'), 120)}; the server's log may tell why"


def _alert(reason: str) -> str:
    """Find the alert's name in OpenSSL's reason, such as TLSV1_ALERT_UNKNOWN_CA or TLSV1_UNRECOGNIZED_NAME."""
    prefix, _, rest = reason.partition("_")
    if prefix not in ("SSLV3", "TLSV1", "TLSV13"):
        return ""
    return rest.removeprefix("ALERT_").replace("_", " ").lower()


def _parsed(der: bytes) -> Certificate | None:
    try:
        return Certificate(der) if der else None
    except ValueError:
        return None


def _names(certificate: Certificate | None) -> str:
    """Write whom the certificate is for, and what to do then."""
    mend = "; set host to a name of the certificate"
    if certificate is None:
        return mend
    try:
        if names := certificate.names:
            return f" but for {shorten(names)}{mend}"
        return f' but names no host at all ("{certificate.subject}" as common name does not count); it needs a new one'
    except ValueError:
        return mend


def _issuer(certificate: Certificate | None) -> str:
    try:
        return f' ("{certificate.issuer}")' if certificate and certificate.issuer else ""
    except ValueError:
        return ""


def _day(seconds: float) -> str:
    """Write a date as YYYY-MM-DD, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
