"""Logins from files in the manner of ftp(1): `machine HOST login USER password SECRET`.

Tokens stand between blanks and line ends; one in double quotes may hold blanks, and a backslash takes the next octet as
it is, inside quotes and outside. `#` begins a comment only where a keyword is due, so a password may begin with it.
"""

from pysendmail import errors
from pysendmail.config import secretfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMIT = 1 << 20
_QUOTE, _BACKSLASH = b'"\\'
_BLANKS = b" \t\r\v\f"
_MEANINGS = {
    b"machine": "machine",
    b"login": "login",
    b"user": "login",
    b"password": "password",
    b"passwd": "password",
    b"port": "port",
    b"account": "account",
    b"macdef": "macdef",
}


class Entry:
    """One login; `machine` is None in the entry `default`, `place` is its file and line."""

    __slots__ = ("account", "login", "machine", "password", "place", "port")

    def __init__(self, machine: bytes | None, place: str) -> None:
        self.machine = machine
        self.place = place
        self.login: bytes | None = None
        self.password: bytes | None = None
        self.port: bytes | None = None
        self.account: bytes | None = None

    def fits(self, host: bytes, user: bytes, port: int) -> bool:
        """Whether this entry has a password for that user there; without `user` any entry with a login fits."""
        if self.password is None or (self.machine is not None and self.machine.lower() != host.lower()):
            return False
        if self.port is not None and self.port.isdigit() and self.port.lstrip(b"0") != b"%d" % port:
            return False
        return self.login in (None, user) if user else bool(self.login)


def find(paths: list[str], host: bytes, user: bytes, port: int) -> Entry | None:
    """Return the first entry that fits, from the first file that has one; `default` comes last in its file.

    Raises ConfigError if that entry stands in a file that group or others may use, or if a file is malformed.
    """
    for path in paths:
        found = secretfile.read(path, _LIMIT)
        if found is None:
            continue
        text, mode = found
        fitting = [entry for entry in _entries(text, path) if entry.fits(host, user, port)]
        if not fitting:
            continue
        if mode & 0o077:
            raise errors.ConfigError("others can read the passwords in this file; chmod 600 it", path)
        return next((entry for entry in fitting if entry.machine is not None), fitting[0])
    return None


def _entries(text: bytes, path: str) -> "Iterator[Entry]":
    """Yield the entries in order. What we do not know is passed over; a macro ends at the next empty line."""
    entry: Entry | None = None
    key: str | None = None
    in_macro = False
    for number, line in enumerate(text.split(b"\n"), 1):
        if in_macro:
            in_macro = bool(line.strip())
            continue
        place = f"{path}:{number}"
        for token in _tokens(line, place):
            if key is None and token.startswith(b"#"):
                break
            if key is None and token != b"default":
                key = _MEANINGS.get(token)
            elif key == "macdef":
                in_macro, key = True, None
                break
            elif key is None or key == "machine":
                if entry is not None:
                    yield entry
                entry, key = Entry(token if key else None, place), None
            else:
                if entry is not None:
                    setattr(entry, key, token)
                key = None
    if entry is not None:
        yield entry


def _tokens(line: bytes, place: str) -> "Iterator[bytes]":
    """Yield the tokens of one line, unquoted, none before it is asked for: a comment may hold a lone quote."""
    if b'"' not in line and b"\\" not in line:
        yield from line.split()
        return
    at, end = 0, len(line)
    while at < end:
        if line[at] in _BLANKS:
            at += 1
            continue
        token, at = _token(line, at, place)
        yield token


def _token(line: bytes, at: int, place: str) -> tuple[bytes, int]:
    """Return the token that begins at `at`, and where it ends."""
    quoted = line[at] == _QUOTE
    at += quoted
    token = bytearray()
    while at < len(line):
        octet = line[at]
        at += 1
        if octet == _BACKSLASH and at < len(line):
            octet = line[at]
            at += 1
        elif octet == _QUOTE if quoted else octet in _BLANKS:
            return bytes(token), at
        token.append(octet)
    if quoted:
        raise errors.ConfigError("a quote is not closed", place)
    return bytes(token), at
