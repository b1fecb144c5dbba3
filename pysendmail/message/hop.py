"""One Received field of a message that has arrived: who took it from whom, how and when (RFC 5321 section 4.4).

Servers write this field in many ways, and whoever forges one writes what he likes: nothing in it is trusted, and what
cannot be made sense of is None or empty. Time and memory are linear in the size of the field.
"""

from pysendmail.message import date
from pysendmail.message.tokens import COMMENT, SPACE, tokens

_CLAUSES = (b"from", b"by", b"via", b"with", b"id", b"for")
_ADDRESS = frozenset("0123456789abcdefABCDEF:.")
_LONGEST = 16384  # octets of a field that are looked at; its date is at its end


class Party:
    """One end of a hop: the name that stands there, the other names and the addresses that it has been given."""

    __slots__ = ("address", "name", "reverse")

    def __init__(self) -> None:
        self.name = ""
        self.reverse = ""  # the name of its address, as the server that wrote the field found it
        self.address = ""

    def __bool__(self) -> bool:
        return bool(self.name or self.address)

    @property
    def names(self) -> list[str]:
        """List the names, without those that are not there."""
        return [name for name in (self.name, self.reverse) if name]


class Hop:
    """What a Received field says; `when` is None where it has no date, or none that can be read (`dated` tells)."""

    __slots__ = ("by", "comment", "dated", "id", "origin", "protocol", "recipient", "when")

    def __init__(self) -> None:
        self.origin = Party()
        self.by = Party()
        self.protocol = ""
        self.id = ""
        self.recipient = ""
        self.comment = ""
        self.dated = False
        self.when: date.Moment | None = None


def read(value: bytes) -> Hop:
    """Read the value of a Received field."""
    if len(value) > _LONGEST:
        value = value[: _LONGEST // 2] + b" " + value[-_LONGEST // 2 :]
    pieces = tokens(value)
    end = next((start for kind, start, stop in reversed(pieces) if value[start:stop] == b";"), None)
    hop = Hop()
    if end is not None:
        stamp = value[end + 1 :].strip()
        hop.dated = bool(stamp)
        hop.when = date.read(stamp)
        value = value[:end]
        pieces = [piece for piece in pieces if piece[2] <= end]
    clauses: dict[bytes, tuple[bytes, bytes]] = {}
    clause, word, comment = b"", b"", b""
    for text, is_comment in _words(value, pieces):
        if is_comment:
            comment += text + b" "
        elif text.lower() in _CLAUSES and text.lower() not in clauses and (word or not clause):
            if clause:
                clauses[clause] = word, comment
            else:
                hop.comment = _text(comment.strip())
            clause, word, comment = text.lower(), b"", b""
        elif not word:
            word = text
    if clause:
        clauses[clause] = word, comment
    else:
        hop.comment = _text(comment.strip())
    hop.origin = _party(*clauses.get(b"from", (b"", b"")))
    hop.by = _party(*clauses.get(b"by", (b"", b"")))
    hop.protocol = _text(clauses.get(b"with", (b"", b""))[0])
    hop.id = _text(clauses.get(b"id", (b"", b""))[0])
    hop.recipient = _text(clauses.get(b"for", (b"", b""))[0].strip(b"<>"))
    return hop


def _words(value: bytes, pieces: list[tuple[int, int, int]]) -> list[tuple[bytes, bool]]:
    """Split a value into words, each with whether it is a comment, whose parentheses are gone."""
    found: list[tuple[bytes, bool]] = []
    begin = -1
    for kind, start, end in [*pieces, (SPACE, len(value), len(value))]:
        if kind not in (SPACE, COMMENT):
            begin = start if begin < 0 else begin
            continue
        if begin >= 0:
            found.append((value[begin:start], False))
            begin = -1
        if kind == COMMENT:
            found.append((value[start + 1 : end - 1], True))
    return found


def _party(word: bytes, comment: bytes) -> Party:
    party = Party()
    literal = address(_text(word))
    if literal:
        party.address = literal
    else:
        party.name = _host(word)
    for part in comment.replace(b"(", b" ").replace(b")", b" ").split():
        for piece in _pieces(part):
            found = address(_text(piece))
            if found:
                party.address = party.address or found
            elif piece[:5].lower() == b"helo=":
                if not party.name or not party.reverse:  # Exim puts the name of the address first, what was said here
                    party.reverse = party.reverse or party.name
                    party.name = _host(piece[5:].strip(b"[]")) or party.name
            elif b"." in piece and b"=" not in piece and not party.reverse:
                party.reverse = _host(piece.rpartition(b"@")[2])
    return party


def _pieces(part: bytes) -> list[bytes]:
    """Part what stands together in a comment, such as name[address]."""
    begin = part.find(b"[")
    end = part.find(b"]", begin)
    return [part] if begin < 0 or end < 0 else [piece for piece in (part[:begin], part[begin : end + 1]) if piece]


def _host(word: bytes) -> str:
    """Return a host's name in lower case, nothing if it is none."""
    name = _text(word).lower().strip("<>,").removesuffix(".")
    return name if name.replace("-", "").replace(".", "").replace("_", "").isalnum() else ""


def _text(word: bytes) -> str:
    return word.decode("utf-8", "backslashreplace")


def address(text: str) -> str:
    """Return an IP address in its usual form, with or without brackets, a port or IPv6: before it; nothing if it is none."""
    from ipaddress import ip_address

    bare = text.strip("[]<>,")
    if bare[:5].lower() == "ipv6:":
        bare = bare[5:]
    if len(bare) > 60 or not _ADDRESS.issuperset(bare.partition("%")[0]):
        return ""
    try:
        return str(ip_address(bare.partition("%")[0]))
    except ValueError:
        return ""
