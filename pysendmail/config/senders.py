"""Find the account whose `from` fits an address; needed only where there are several accounts."""

from pysendmail.config.values import is_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def best(candidates: "Iterable[bytes | None]", address: bytes) -> int | None:
    """Return the index of the value of `from` that fits the address best, None if none does.

    Best is the same address (the domain's case aside); then one that differs in case; then the address without its
    +detail; then the pattern with the most characters of its own. The first wins among equals.
    """
    found = None
    found_rank = (0, 0)
    for index, candidate in enumerate(candidates):
        rank = _rank(_in_ascii(candidate), address) if candidate else (0, 0)
        if rank > found_rank:
            found, found_rank = index, rank
    return found


def _in_ascii(address: bytes) -> bytes:
    """Write the domain as the addresses of messages have it, in A-labels."""
    if address.isascii():
        return address
    from pysendmail.errors import DataError
    from pysendmail.message.address import domain_to_ascii

    local, at, domain = address.rpartition(b"@")
    try:
        return local + at + domain_to_ascii(domain)
    except DataError:
        return address  # a pattern, perhaps


def _rank(candidate: bytes, address: bytes) -> tuple[int, int]:
    if is_pattern(candidate):
        pattern = candidate.decode("latin-1").lower()
        own = len(pattern) - pattern.count("*") - pattern.count("?")
        return (1, own) if fits(pattern, address.decode("latin-1").lower()) else (0, 0)
    if _folded(candidate) == _folded(address):
        return 4, 0
    lower = address.lower()
    if candidate.lower() == lower:
        return 3, 0
    local, at, domain = lower.rpartition(b"@")
    return (2, 0) if candidate.lower() == local.partition(b"+")[0] + at + domain else (0, 0)


def _folded(address: bytes) -> tuple[bytes, bytes]:
    local, at, domain = address.rpartition(b"@")
    return (local, domain.lower()) if at else (domain, b"")


def fits(pattern: str, text: str) -> bool:
    """Match a pattern of the shell's kind: `*`, `?` and sets in brackets; it takes at most both lengths multiplied."""
    parts = _parts(pattern)
    at = place = 0
    star, after_star = -1, 0
    while place < len(text):
        part = parts[at] if at < len(parts) else "end"
        if part is None:
            star, after_star = at, place
            at += 1
        elif part != "end" and _is_one(part, text[place]):
            at, place = at + 1, place + 1
        elif star >= 0:  # let the last star take one more character
            after_star += 1
            at, place = star + 1, after_star
        else:
            return False
    return all(part is None for part in parts[at:])


def _is_one(part: str, character: str) -> bool:
    return not part or (character in part[1:]) == (part[0] == "=")


def _parts(pattern: str) -> list[str | None]:
    """Cut a pattern up: None for a star, "" for any character, else "=" or "!" and the characters of a set."""
    parts: list[str | None] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        end = _set_end(pattern, at) if character == "[" else -1
        if end > 0:
            negated = pattern[at + 1] in "!^"
            parts.append(("!" if negated else "=") + _ranges(pattern[at + 1 + negated : end]))
            at = end
        elif character == "*":
            parts.append(None)
        else:
            parts.append("" if character == "?" else "=" + character)
        at += 1
    return parts


def _set_end(pattern: str, start: int) -> int:
    """Return where the set that begins at `start` ends, -1 if it is none; a `]` that comes first is one of the set."""
    negated = pattern[start + 1 : start + 2] in ("!", "^")
    return pattern.find("]", start + 2 + negated)


def _ranges(inside: str) -> str:
    """Write out what a set holds, a-z and the like in full."""
    out: list[str] = []
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            out.extend(chr(code) for code in range(ord(inside[at]), ord(inside[at + 2]) + 1))
            at += 3
        else:
            out.append(inside[at])
            at += 1
    return "".join(dict.fromkeys(out))
