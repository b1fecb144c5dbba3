"""A strict walk through one X.509 certificate in DER: only what pins, channel binding and error texts need.

Nothing here decides whether a certificate is trusted: that is OpenSSL's work. The walk takes definite, minimal lengths
only, never leaves the element it is in, and raises ValueError for anything else. Text found in a certificate comes from
the peer: it leaves this module as printable ASCII of bounded length.
"""

import binascii

from pysendmail import errors

_INTEGER, _BITS, _OCTETS, _OID, _SEQUENCE, _SET = 0x02, 0x03, 0x04, 0x06, 0x30, 0x31
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87

_NAMES_SHOWN = 5
_TEXT_SHOWN = 64

# Object identifiers are written as the hexadecimal of their content.
_RSA_PSS, _MGF1 = "2a864886f70d01010a", "2a864886f70d010108"
_SUBJECT_ALT_NAME, _COMMON_NAME, _ORGANIZATION = "551d11", "550403", "55040a"

_HASHES = {
    "2a864886f70d0205": "md5",
    "2b0e03021a": "sha1",
    "608648016503040201": "sha256",
    "608648016503040202": "sha384",
    "608648016503040203": "sha512",
    "608648016503040204": "sha224",
}
# Ed25519 and Ed448 are left out on purpose: they name no hash function, so RFC 5929 leaves the binding undefined.
_SIGNATURES = {
    "2a864886f70d010104": "md5",  # RSA, PKCS #1 1.5
    "2a864886f70d010105": "sha1",
    "2a864886f70d01010e": "sha224",
    "2a864886f70d01010b": "sha256",
    "2a864886f70d01010c": "sha384",
    "2a864886f70d01010d": "sha512",
    "60864801650304030e": "sha3_256",
    "60864801650304030f": "sha3_384",
    "608648016503040310": "sha3_512",
    "2a8648ce3d0401": "sha1",  # ECDSA
    "2a8648ce3d040301": "sha224",
    "2a8648ce3d040302": "sha256",
    "2a8648ce3d040303": "sha384",
    "2a8648ce3d040304": "sha512",
    "60864801650304030a": "sha3_256",
    "60864801650304030b": "sha3_384",
    "60864801650304030c": "sha3_512",
    "2a8648ce380403": "sha1",  # DSA
    "608648016503040301": "sha224",
    "608648016503040302": "sha256",
}


class Certificate:
    """Hold one certificate and find in it, on demand, what is asked for; each part raises ValueError if malformed."""

    __slots__ = ("_algorithm", "_extensions", "_issuer", "_subject", "_validity", "der", "spki")

    def __init__(self, der: bytes) -> None:
        self.der = der
        signed, self._algorithm, _ = _contents(_only(der, _SEQUENCE), _SEQUENCE, _SEQUENCE, _BITS)
        fields = _elements(signed)
        if fields and fields[0][0] == 0xA0:  # [0] version
            del fields[0]
        if [field[0] for field in fields[:6]] != [_INTEGER] + [_SEQUENCE] * 5:
            raise ValueError("a field of the certificate is missing")
        self._issuer, self._validity, self._subject = (field[1] for field in fields[2:5])
        self.spki = fields[5][2]
        self._extensions = next((field[1] for field in fields[6:] if field[0] == 0xA3), b"")

    @property
    def not_before(self) -> int:
        """Give the first second of validity, in seconds since 1970 UTC."""
        return _epoch(*_elements(self._validity, 2)[0][:2])

    @property
    def not_after(self) -> int:
        """Give the last second of validity, in seconds since 1970 UTC."""
        return _epoch(*_elements(self._validity, 2)[1][:2])

    @property
    def signature_hash(self) -> str | None:
        """Name the one hash function of the signature as hashlib does; None where there is none, or more than one."""
        name, parameters = _algorithm(self._algorithm)
        return _pss_hash(parameters) if name == _RSA_PSS else _SIGNATURES.get(name)

    @property
    def names(self) -> list[str]:
        """List the DNS names and IP addresses of subjectAltName, sanitised."""
        found = []
        for tag, content, _ in _alternative_names(self._extensions):
            if tag == _DNS_NAME:
                found.append(printable(content))
            elif tag == _IP_ADDRESS:
                found.append(_address(content))
        return found

    @property
    def subject(self) -> str:
        """Give the subject's common name, else its organisation, else nothing; sanitised."""
        return _display_name(self._subject)

    @property
    def issuer(self) -> str:
        """Give the issuer's common name, else its organisation, else nothing; sanitised."""
        return _display_name(self._issuer)


def end_point(der: bytes) -> bytes | None:
    """Compute the data of tls-server-end-point (RFC 5929 section 4); None where it is undefined or unknown to us."""
    import hashlib

    try:
        name = Certificate(der).signature_hash
        return hashlib.new("sha256" if name in ("md5", "sha1") else name, der).digest() if name else None
    except ValueError:
        return None


class Pins:
    """Know the certificates or public keys of which the server must show one.

    `text` holds one or more of them, blanks between: the SHA-256 or SHA-1 fingerprint of a certificate, or `spki:` and
    the SHA-256 of a SubjectPublicKeyInfo; in hexadecimal, with or without colons. Raises ConfigError.
    """

    __slots__ = ("_wanted",)

    def __init__(self, text: str) -> None:
        self._wanted = {_pin(word) for word in text.split()}
        if not self._wanted:
            raise errors.ConfigError("tls_fingerprint is empty")

    def match(self, der: bytes) -> bool:
        """Tell whether the certificate or its key is one of those; a malformed certificate never is."""
        import hashlib

        shown = {("sha256", hashlib.sha256(der).digest()), ("sha1", hashlib.sha1(der, usedforsecurity=False).digest())}
        try:
            shown.add(("spki", hashlib.sha256(Certificate(der).spki).digest()))
        except ValueError:
            return False
        return not shown.isdisjoint(self._wanted)


def fingerprint(der: bytes) -> str:
    """Write the SHA-256 fingerprint of a certificate the way tls_fingerprint takes it."""
    import hashlib

    return hashlib.sha256(der).digest().hex(":").upper()


def printable(text: bytes, limit: int = _TEXT_SHOWN) -> str:
    """Make text of the peer fit for terminal and log: printable ASCII, else `?`, at most `limit` characters."""
    shown = "".join(chr(octet) if 0x20 <= octet < 0x7F else "?" for octet in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def shorten(names: list[str]) -> str:
    """Write a list of names for an error line, the first few of them."""
    rest = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _pin(word: str) -> tuple[str, bytes]:
    """Read one pin: what it is a digest of, and the digest."""
    digits = word.lower().removeprefix("spki:")
    key = digits != word.lower()
    try:
        digest = binascii.unhexlify(digits.replace(":", ""))
    except ValueError:
        digest = b""
    if len(digest) == 32:
        return "spki" if key else "sha256", digest
    if len(digest) == 20 and not key:
        return "sha1", digest
    raise errors.ConfigError("tls_fingerprint is no SHA-256 or SHA-1 fingerprint, nor spki: and a SHA-256 digest")


def _elements(content: bytes, count: int = -1) -> list[tuple[int, bytes, bytes]]:
    """Split content into its elements: tag, content and whole of each; ValueError unless `count` of them, if given."""
    found = []
    at = 0
    while at < len(content):
        start, end = _extent(content, at)
        found.append((content[at], content[start:end], content[at:end]))
        at = end
    if count >= 0 and len(found) != count:
        raise ValueError("an element of the certificate has too many or too few parts")
    return found


def _extent(data: bytes, at: int) -> tuple[int, int]:
    """Find where the content of the element at `at` begins and ends."""
    if data[at] & 0x1F == 0x1F or at + 2 > len(data):
        raise ValueError("a tag of the certificate is malformed")
    length = data[at + 1]
    start = at + 2
    if length >= 0x80:
        octets = length & 0x7F
        start += octets
        length = int.from_bytes(data[at + 2 : start], "big")
        # Indefinite (0x80), cut off, with leading zeros or where the short form would do: not DER.
        if not 0 < octets < 5 or start > len(data) or data[at + 2] == 0 or length < 0x80:
            raise ValueError("a length in the certificate is malformed")
    if start + length > len(data):
        raise ValueError("an element of the certificate is cut off")
    return start, start + length


def _contents(data: bytes, *tags: int) -> list[bytes]:
    """Split data into elements with exactly these tags and give their contents."""
    found = _elements(data, len(tags))
    if tuple(element[0] for element in found) != tags:
        raise ValueError("an element of the certificate has another type than it must have")
    return [element[1] for element in found]


def _only(data: bytes, tag: int) -> bytes:
    """Give the content of the one element that data must be."""
    return _contents(data, tag)[0]


def _algorithm(content: bytes) -> tuple[str, bytes]:
    """Take an AlgorithmIdentifier apart: its identifier, and its parameters as they stand."""
    found = _elements(content)
    if not 1 <= len(found) <= 2 or found[0][0] != _OID:
        raise ValueError("an algorithm in the certificate is malformed")
    return found[0][1].hex(), found[1][2] if len(found) == 2 else b""


def _pss_hash(parameters: bytes) -> str | None:
    """Name the hash of RSASSA-PSS-params (RFC 4055 section 3.1); None if the mask generation uses another one."""
    message = mask = "sha1"
    for tag, part, _ in _elements(_only(parameters, _SEQUENCE)):
        if tag == 0xA0:
            message = _HASHES.get(_algorithm(_only(part, _SEQUENCE))[0], "")
        elif tag == 0xA1:
            name, inner = _algorithm(_only(part, _SEQUENCE))
            mask = _HASHES.get(_algorithm(_only(inner, _SEQUENCE))[0], "") if name == _MGF1 else ""
    return message if message and message == mask else None


def _alternative_names(extensions: bytes) -> list[tuple[int, bytes, bytes]]:
    if not extensions:
        return []
    for _, extension, _ in _elements(_only(extensions, _SEQUENCE)):
        parts = _elements(extension)  # identifier, critical if true, value
        if len(parts) < 2 or parts[0][0] != _OID or parts[-1][0] != _OCTETS:
            raise ValueError("an extension of the certificate is malformed")
        if parts[0][1].hex() == _SUBJECT_ALT_NAME:
            return _elements(_only(parts[-1][1], _SEQUENCE))
    return []


def _address(packed: bytes) -> str:
    import _socket

    if len(packed) == 4:
        return _socket.inet_ntop(_socket.AF_INET, packed)
    return _socket.inet_ntop(_socket.AF_INET6, packed) if len(packed) == 16 else "?"


def _display_name(name: bytes) -> str:
    """Find the most telling attribute of a distinguished name."""
    found = {}
    for tag, relative, _ in _elements(name):
        if tag != _SET:
            raise ValueError("a name in the certificate is malformed")
        for _, attribute, _ in _elements(relative):
            kind, value = _elements(attribute, 2)
            found[kind[1].hex()] = printable(value[1])
    return found.get(_COMMON_NAME) or found.get(_ORGANIZATION) or ""


def _epoch(tag: int, text: bytes) -> int:
    """Read YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ (RFC 5280 section 4.1.2.5)."""
    digits = text[:-1]
    if text[-1:] != b"Z" or not digits.isdigit() or len(digits) != {_UTC_TIME: 12, _GENERALIZED_TIME: 14}.get(tag):
        raise ValueError("a date in the certificate is malformed")
    if tag == _UTC_TIME:
        digits = (b"20" if digits < b"50" else b"19") + digits
    year = int(digits[:4])
    month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(4, 14, 2))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        raise ValueError("a date in the certificate does not exist")
    return _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second


def _days(year: int, month: int, day: int) -> int:
    """Count the days from 1970-01-01 in the Gregorian calendar, with years from March so that the odd day is last."""
    year -= month < 3
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month - 3) % 12) + 2) // 5 + day - 719469
