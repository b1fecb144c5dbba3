"""Domain names in UTF-8 as A-labels: the mapping of UTS 46, non-transitional, then Punycode (RFC 5890, RFC 3492).

Python's own `idna` codec is of 2003: it makes "ss" of the sharp s and so finds another host. Here sharp s, final sigma
and the joiners stay what they are. Code points that have no place in a name are refused; rules of registries
(bidirectional labels, scripts that do not mix) are left to the registries: a name they refuse does not exist.
"""

from pysendmail.errors import DataError

_DOTS = "\u3002\uff0e\uff61"
_IGNORED = frozenset(map(chr, (0xAD, 0x34F, 0x180B, 0x180C, 0x180D, 0x180F, 0x200B, 0x2060, 0x2064, 0xFEFF,
                               *range(0xFE00, 0xFE10))))
_KEPT = "\xdf\u03c2\u200c\u200d"  # what IDNA 2008 calls deviations
# Control, unassigned, blanks, punctuation, currency, mathematics; other symbols pass, for names with them do exist.
_REFUSED_CATEGORIES = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs",
                                 "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sm"))
_PERMITTED = "\xb7\u05f3\u05f4\u0f0b\u30fb"  # punctuation in use inside words (RFC 5892 2.6)
_REFUSED = "\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufffc\ufffd"  # letters that cannot be seen, and replacements
_CAPITAL_SHARP_S = "\u1e9e"
_LDH = "abcdefghijklmnopqrstuvwxyz0123456789-_"
_VIRAMA = 9
_MOST_OCTETS = 1024  # a name in the DNS has 255 at most; Punycode takes the square of the length


def to_ascii(domain: bytes) -> bytes:
    """Give the domain with A-labels for its U-labels; labels in ASCII stay as they are. Raises DataError."""
    try:
        if len(domain) > _MOST_OCTETS:
            raise ValueError("too long")
        labels = _undotted(domain.decode()).split(".")
        return b".".join([label.encode() if label.isascii() and label else _label_to_ascii(label) for label in labels])
    except ValueError as reason:
        text = "not UTF-8" if isinstance(reason, UnicodeError) else str(reason)
        raise DataError(f'bad domain "{domain.decode("utf-8", "backslashreplace")[:256]}": {text}') from None


def _undotted(domain: str) -> str:
    for dot in _DOTS:
        domain = domain.replace(dot, ".")
    return domain


def _label_to_ascii(label: str) -> bytes:
    mapped = _mapped(label)
    _check(mapped)
    if mapped.isascii():
        return mapped.encode()
    encoded = b"xn--" + mapped.encode("punycode")
    if len(encoded) > 63:
        raise ValueError("label of more than 63 octets")
    return encoded


def _mapped(label: str) -> str:
    """Fold case and compatibility forms, drop what UTS 46 ignores."""
    from unicodedata import normalize

    folded = [character if character in _KEPT else "\xdf" if character == _CAPITAL_SHARP_S
              else normalize("NFKC", character).casefold() for character in label if character not in _IGNORED]
    return normalize("NFKC", "".join(folded))


def _check(label: str) -> None:
    """Raise ValueError for a label that can be no U-label."""
    from unicodedata import category

    if not label:
        raise ValueError("empty label")
    if label[0] == "-" or label[-1] == "-" or label[2:4] == "--":
        raise ValueError("hyphens where a label in Unicode has none")
    if category(label[0])[0] == "M":
        raise ValueError("label begins with a combining mark")
    for place, character in enumerate(label):
        if character in "\u200c\u200d":
            _check_joiner(label, place)
        elif character.isascii():
            if character not in _LDH:
                raise ValueError(f"code point U+{ord(character):04X}")
        elif character in _REFUSED or (category(character) in _REFUSED_CATEGORIES and character not in _PERMITTED):
            raise ValueError(f"code point U+{ord(character):04X}")


def _check_joiner(label: str, place: int) -> None:
    """Let an invisible joiner stand only where it is seen: after a virama, or between Arabic letters (RFC 5892 A.1)."""
    from unicodedata import bidirectional, combining

    if place and combining(label[place - 1]) == _VIRAMA:
        return
    neighbours = label[place - 1:place] + label[place + 1:place + 2]
    if label[place] == "\u200d" or [bidirectional(letter) for letter in neighbours] != ["AL", "AL"]:
        raise ValueError(f"code point U+{ord(label[place]):04X} where it cannot be seen")
