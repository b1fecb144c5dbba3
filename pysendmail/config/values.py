"""How the values of configuration words are read.

A value is text of one octet a character (latin-1), so that nothing is lost on the way to bytes. A converter raises
`Expected` with what the value should have been, and never repeats the value: it may be a secret, or no configuration.
"""

_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_NOT_IN_ADDRESS = frozenset(' \t,;:<>()"\\@')
_MOST_HOSTS = 16
SRV = "srv:"
MECHANISMS = {
    "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-1-plus", "scram-sha-256", "scram-sha-256-plus",
    "xoauth2", "oauthbearer", "external",
}  # fmt: skip


class Expected(Exception):
    """Say what a value should have been; its text follows the word "expected"."""


def flag(value: str) -> bool:
    """Read on or off; no value at all means on, as in msmtp."""
    low = value.lower()
    if low == "on" or not low:
        return True
    if low == "off":
        return False
    raise Expected("on or off")


def number(value: str, lowest: int, highest: int, expected: str) -> int:
    """Read a decimal number; a leading zero is refused, because msmtp takes such a number for octal."""
    if value.isascii() and value.isdecimal() and len(value) < 12 and (value[0] != "0" or value == "0"):
        result = int(value)
        if lowest <= result <= highest:
            return result
    raise Expected(expected)


def port(value: str) -> int:
    """Read a port."""
    return number(value, 1, 65535, "a number from 1 to 65535")


def recipients(value: str) -> int:
    """Read how many recipients one transaction takes."""
    return number(value, 1, 1_000_000, "a number from 1 to 1000000")


def seconds(value: str) -> float | None:
    """Read a time in seconds; None for off."""
    if value.lower() == "off":
        return None
    return float(number(value, 1, 86400, "off, or seconds from 1 to 86400"))


def host(value: str) -> str:
    """Read a host name or IP address; a name of other letters becomes A-labels."""
    bare = value[1:-1] if value[:1] == "[" and value[-1:] == "]" else value
    if ":" not in bare:
        return _name(bare)
    try:
        return address(bare)
    except Expected:
        raise Expected("a host name or an IP address") from None


def hosts(value: str) -> str:
    """Read the servers of an account, parted by blanks: hosts, each perhaps with a port, and domains that name them."""
    found = _items(value)
    if len(found) > _MOST_HOSTS:
        raise Expected(f"at most {_MOST_HOSTS} servers")
    return " ".join([_server(item) for item in found]) or host(value)


def _items(value: str) -> list[str]:
    return [item for item in value.replace("\t", " ").split(" ") if item]


def _server(item: str) -> str:
    """Read one server: NAME, NAME:PORT, an IPv6 address with its port behind brackets, or srv:DOMAIN."""
    if item[: len(SRV)].lower() == SRV:
        return SRV + _name(item[len(SRV) :])
    name, colon, number = item.rpartition(":")
    bracketed = item[0] == "[" and name[-1:] == "]"
    if colon and (bracketed or ":" not in name):
        return f"{f'[{host(name)}]' if bracketed and ':' in name else host(name)}:{port(number)}"
    return host(item)


def domains(value: str) -> tuple[str, ...] | None:
    """Read domains parted by blanks; no value takes them back."""
    try:
        return tuple([_name(item).lower() for item in _items(value)]) or None
    except Expected:
        raise Expected("domains, parted by blanks") from None


def recipient_domains(value: str) -> tuple[str, ...] | None:
    """Read domains parted by blanks, all below one as .DOMAIN; `*.DOMAIN` is taken as well, and no value takes them back."""
    found = []
    try:
        for item in _items(value):
            bare = item.removeprefix("*")
            below = bare[:1] == "."
            if not below and bare != item:
                raise Expected("a point after the asterisk")
            found.append("." * below + _name(bare[below:]).lower())
    except Expected:
        raise Expected("domains, parted by blanks, such as example.org or .example.org") from None
    return tuple(found) or None


def _name(value: str) -> str:
    """Check a host name or domain; it goes into commands and log lines, so only the characters of names are let in."""
    if not value.isascii():
        value = _to_ascii(value)
    value = value.removesuffix(".")
    if not value or len(value) > 255 or not _HOST_CHARACTERS.issuperset(value) or value[0] in ".-" or ".." in value:
        raise Expected("a host name or an IP address")
    return value


def optional_host(value: str) -> str | None:
    """Read a host name or IP address; no value takes it back."""
    return host(value) if value else None


def _to_ascii(name: str) -> str:
    from pysendmail.errors import DataError
    from pysendmail.message.address import domain_to_ascii

    try:
        return domain_to_ascii(name.encode("latin-1")).decode("ascii")
    except (DataError, UnicodeError):
        raise Expected("a host name or an IP address") from None


def address(value: str) -> str:
    """Read an IP address, IPv6 perhaps with the name of its interface."""
    import _socket

    bare, _, zone = value.partition("%")
    try:
        _socket.inet_pton(_socket.AF_INET6 if ":" in bare else _socket.AF_INET, bare)
    except (OSError, ValueError):
        raise Expected("an IP address") from None
    if ("%" in value and not zone) or not _HOST_CHARACTERS.issuperset(zone):
        raise Expected("an IP address")
    return value


def optional_address(value: str) -> str | None:
    """Read an IP address; no value takes it back."""
    return address(value) if value else None


def greeting(value: str) -> str | None:
    """Read the name for EHLO: a host name, an address literal in brackets, or a text with %H or %M in it."""
    if not value:
        return None
    if value[0] == "[" and value[-1] == "]":
        address(value[1:-1].removeprefix("IPv6:"))
        return value
    if "%" not in value:
        return _name(value)
    _name(value.replace("%H", "h").replace("%M", "m"))
    return value


def domain(value: str) -> bytes | None:
    """Read a mail domain, as A-labels."""
    try:
        return _name(value).encode("ascii") if value else None
    except Expected:
        raise Expected("a domain") from None


def path(value: str) -> str | None:
    """Read a file name, absolute or under ~/ (which the reader replaces); no value takes it back."""
    if not value:
        return None
    if value[0] != "/" and value[:2] != "~/":
        raise Expected("a path that begins with / or ~/")
    import os

    return os.fsdecode(value.encode("latin-1"))


def trust(value: str) -> str | None:
    """Read a file or folder of authorities, or None for the system's; no value at all means that none is trusted."""
    if value == "system":
        return None
    return path(value) or ""


def log_file(value: str) -> str | None:
    """Read the name of a log file; standard output is none, since success is silent there."""
    if value == "-":
        raise Expected("a path; /dev/stderr is one, standard output is not offered")
    return path(value)


def text(value: str) -> bytes | None:
    """Read any text; no value takes it back."""
    return value.encode("latin-1") or None


def sender(value: str) -> bytes | None:
    """Read one mail address (or a pattern of addresses), with or without angle brackets; no value takes it back."""
    if not value:
        return None
    bare = value[1:-1] if value[0] == "<" and value[-1] == ">" else value
    if '"' in bare:
        _quoted(bare)
        return bare.encode("latin-1")
    local, at, name = bare.partition("@")
    if name[:1] == "[" and name[-1:] == "]":
        name = name.replace(":", "")
    if not local or (at and not name) or not _NOT_IN_ADDRESS.isdisjoint(local) or not _NOT_IN_ADDRESS.isdisjoint(name):
        raise Expected("one mail address")
    return bare.encode("latin-1")


def is_pattern(value: bytes) -> bool:
    """Tell whether a value of `from` is a pattern; brackets around a whole domain are an address literal."""
    local, _, domain = value.partition(b"@")
    return b"*" in value or b"?" in value or b"[" in local or domain.find(b"[") > 0


def mailbox(value: str) -> bytes | None:
    """Read one mail address with its domain; no value takes it back."""
    address = sender(value)
    if address is not None and (b"@" not in address or is_pattern(address)):
        raise Expected("one mail address with its domain")
    if address is None or address.isascii():
        return address
    local, _, name = address.rpartition(b"@")
    return local + b"@" + _to_ascii(name.decode("latin-1")).encode("ascii")


def mailboxes(value: str) -> bytes | None:
    """Read one or more mail addresses with their domains, parted by commas; no value takes them back."""
    if not value:
        return None
    from pysendmail.message.address import parse

    found = parse(value.encode("latin-1"))
    if found.errors or not found.mailboxes or any(not one.domain for one in found.mailboxes):
        raise Expected("mail addresses with their domains, parted by commas")
    return b", ".join([one.address for one in found.mailboxes])


def _quoted(value: str) -> None:
    """Check an address whose local part is quoted."""
    from pysendmail.message.address import parse

    found = parse(value.encode("latin-1"))
    if found.errors or len(found.mailboxes) != 1:
        raise Expected("one mail address")


def tls(value: str) -> str:
    """Read whether TLS is used."""
    return _choice(value or "on", "on", "off", "opportunistic")


def login(value: str) -> bool | bytes:
    """Read whether to log in, or the one mechanism to do it with, in capitals."""
    low = value.lower()
    if low in MECHANISMS:
        return low.upper().encode("ascii")
    try:
        return flag(value)
    except Expected:
        raise Expected("on, off or one of " + ", ".join(sorted(MECHANISMS))) from None


def _choice(value: str, *choices: str) -> str:
    low = value.lower()
    if low in choices:
        return low
    raise Expected(", ".join(choices[:-1]) + " or " + choices[-1])


def version(value: str) -> str:
    """Read the least version of TLS."""
    return "TLS" + _choice(value.lower().removeprefix("tls").removeprefix("v"), "1.2", "1.3")


def fingerprint(value: str) -> str | None:
    """Read pins, parted by blanks: the digest of a certificate in hexadecimal, or spki: and that of its public key."""
    return " ".join([_pin(word) for word in value.split()]) or None


def _pin(word: str) -> str:
    """Write one pin in lower-case hexadecimal without colons; `sha256/` is how browsers wrote the pins of keys."""
    from binascii import Error, a2b_base64

    digits = word.lower().removeprefix("spki:").replace(":", "")
    key = word[:5].lower() == "spki:"
    try:
        if word[:7].lower() == "sha256/":
            digits, key = a2b_base64(word[7:].lstrip("/"), strict_mode=True).hex(), True
        size = len(bytes.fromhex(digits))
    except (Error, ValueError):
        size = 0
    if size == 32 or (size == 20 and not key):
        return ("spki:" if key else "") + digits
    raise Expected("the SHA-256 fingerprint of a certificate, or spki: and that of its public key, in hexadecimal")


def facility(value: str) -> str | None:
    """Read the facility of syslog; None for off."""
    name = value.upper()
    if name == "OFF":
        return None
    if name in ("ON", ""):
        return "LOG_MAIL"
    if name in ("LOG_MAIL", "LOG_USER", "LOG_DAEMON") or (name[:9] == "LOG_LOCAL" and name[9:] in tuple("01234567")):
        return name
    raise Expected("on, off, LOG_MAIL, LOG_USER, LOG_DAEMON or LOG_LOCAL0 to LOG_LOCAL7")


def from_header(value: str) -> str:
    """Read when a From field is written."""
    return _choice(value or "auto", "auto", "on", "off")


def auto_header(value: str) -> str:
    """Read whether a missing field is added."""
    return _choice(value or "auto", "auto", "off")


def missing_header(value: str) -> str:
    """Read msmtp's older way to say whether a missing field is added."""
    return "auto" if flag(value) else "off"


def notify(value: str) -> bytes | None:
    """Read when reports are wanted (RFC 3461 section 4.1), in the order of the command line's -N; None for off."""
    asked = [word.strip() for word in value.lower().split(",")]
    if asked == ["off"]:
        return None
    if asked == ["never"]:
        return b"NEVER"
    if asked == [""] or not {"success", "failure", "delay"}.issuperset(asked):
        raise Expected("off, never or a list of failure, delay and success")
    return b",".join([name for name in (b"SUCCESS", b"FAILURE", b"DELAY") if name.decode().lower() in asked])


def returned(value: str) -> bytes | None:
    """Read how much a report brings back (RFC 3461 section 4.3); None for off."""
    try:
        return {"off": None, "headers": b"HDRS", "hdrs": b"HDRS", "full": b"FULL"}[value.lower()]
    except KeyError:
        raise Expected("off, headers or full") from None


def bad_recipients(value: str) -> str:
    """Read what becomes of a message of whose recipients one is no address."""
    return _choice(value, "refuse", "skip")


# What is looked at for words that do not act: whether there is anything to say about the value.


def negated(value: str) -> bool:
    """Tell whether the word is off; for the words of which the opposite is meant too."""
    return not flag(value)


def empty_is_fine(value: str) -> bool:
    """Tell whether the word has a value."""
    return bool(value)


def not_smtp(value: str) -> bool:
    """Tell whether the protocol is another."""
    return _choice(value, "smtp", "lmtp") == "lmtp"


def any_value(value: str) -> bool:
    """Take any value."""
    return True


def small_prime(value: str) -> bool:
    """Take bits that every build of OpenSSL asks for at least; more would be a promise that nobody keeps."""
    if value:
        number(value, 1, 1024, "at most 1024; where more is asked for, tls_min_version 1.3 does it")
    return bool(value)


# The queue

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = "a time such as 90s, 30m, 4h, 5d or 1w"


def duration(value: str) -> float:
    """Read a time: whole numbers, each with its unit (s, m, h, d, w); a number without one is in seconds. In seconds."""
    total, digits = 0.0, ""
    for character in value.lower() + ("s" if value[-1:].isdecimal() else ""):
        if character.isdecimal() and character.isascii():
            digits += character
        elif digits and len(digits) < 10 and character in _UNITS:
            total, digits = total + int(digits) * _UNITS[character], ""
        else:
            raise Expected(_DURATION)
    if not total or digits or total > 366 * 86400:
        raise Expected(_DURATION)
    return total


def duration_or_off(value: str) -> float | None:
    """Read a time, or None for off."""
    return None if value.lower() == "off" else duration(value)


def pauses(value: str) -> tuple[float, float]:
    """Read the pause after the first attempt and the longest one; the second may be left out."""
    words = value.split()
    if len(words) not in (1, 2):
        raise Expected("one time or two, such as 1m 1h")
    first = duration(words[0])
    longest = duration(words[1]) if len(words) == 2 else max(first, 3600.0)
    if longest < first:
        raise Expected("a first pause that is no longer than the second")
    return first, longest


def queue(value: str) -> str | None:
    """Read the name of the queue's file, or None for off."""
    if value.lower() == "off":
        return None
    if value[:11].lower() == "postgresql:":
        raise Expected("off or a path; PostgreSQL is not offered by this release")
    return path(value) or None


def delivery(value: str) -> str:
    """Read the delivery mode, as the letter of -od."""
    return _choice(value, "interactive", "background", "queue")[0]


def connections(value: str) -> int:
    """Read how many connections are used at once."""
    return number(value, 1, 100, "a number from 1 to 100")


def rate(value: str) -> tuple[int, float] | None:
    """Read how many messages may leave in how many seconds, None for any number."""
    if value.lower() == "off":
        return None
    count, slash, unit = value.partition("/")
    expected = "off, or a number of messages and a time, such as 30/m or 100/1h"
    if not slash or not unit:
        raise Expected(expected)
    try:
        return number(count, 1, 1_000_000, expected), duration(unit if unit[0].isdecimal() else "1" + unit)
    except Expected:
        raise Expected(expected) from None


def uncertain(value: str) -> str:
    """Read what becomes of a message that may have arrived."""
    return _choice(value, "retry", "hold")
