"""Encoded words (RFC 2047): which charset names the octets of a text, and how they are cut into words of 75 characters.

The octets are never converted: UTF-8 is labelled utf-8, text that decodes in the charset of the message bears its name,
and anything else is `unknown-8bit` (RFC 1428), so that what arrives decodes to the octets that came.
"""

import binascii

UNKNOWN = "unknown-8bit"
LONGEST = 75  # characters of one encoded word

# What can stand as it is in a word wherever it is used, phrases included (RFC 2047 5 (3)).
_Q_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
_LABEL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-"
_ASCII = bytes(range(32, 127))
_FAMILIES = ("iso8859", "cp", "koi8", "mac", "gb", "big5", "euc", "shift_jis", "johab", "kz1048", "ptcp154", "tis_620")
_WIDEST = 12  # characters that one character may take: four octets in the Q encoding


def label_for(text: bytes, charset: str) -> str:
    """Name the charset of an 8-bit text: utf-8, else `charset` if the text decodes in it, else unknown-8bit."""
    if _is_utf8(text):
        return "utf-8"
    return charset if _characters_in(text, charset) else UNKNOWN


def encoded_words(text: bytes, label: str, room: int) -> list[bytes]:
    """Cut a text into encoded words, the first one at most `room` characters long if at all possible.

    Q, which people can read, is taken unless it is much longer than B. No character is split, but in text of an unknown
    charset.
    """
    if label == UNKNOWN and _is_utf8(text):
        label = "utf-8"
    characters = characters_of(text, label)
    in_q = sum([_q_length(octet) for octet in text]) <= 2 * len(text) + 8
    head = b"=?%b?%b?" % (label.encode(), b"q" if in_q else b"b")
    if room < narrowest(label):
        room = LONGEST
    chunks = _chunks(characters, min(room, LONGEST) - len(head) - 2, LONGEST - len(head) - 2, in_q)
    return [head + (_q(chunk) if in_q else binascii.b2a_base64(chunk, newline=False)) + b"?=" for chunk in chunks]


def narrowest(label: str) -> int:
    """Tell how many columns an encoded word of this charset needs at least."""
    return len(label) + 7 + _WIDEST


def looks_encoded(word: bytes | bytearray) -> bool:
    """Say whether a word without blanks is an encoded word, which swallows the blanks to its encoded neighbours."""
    if not (word.startswith(b"=?") and word.endswith(b"?=") and word.count(b"?") == 4):
        return False
    charset, encoding, _ = word[2:-2].split(b"?")
    return bool(charset) and encoding in (b"q", b"Q", b"b", b"B")


def characters_of(text: bytes, label: str) -> list[bytes]:
    """Split a text into the octets of its characters, into single octets where the charset is unknown."""
    if label == "utf-8":
        return [character.encode() for character in text.decode()]
    return _characters_in(text, label) or [bytes((octet,)) for octet in text]


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _characters_in(text: bytes, charset: str) -> list[bytes]:
    """Split the text by a charset; nothing if that is no superset of ASCII without states, or does not decode it."""
    if not 0 < len(charset) <= 40 or charset.encode("ascii", "replace").translate(None, _LABEL):
        return []
    from codecs import lookup

    try:
        # Any other codec that Python has is no charset of mail, and some take long or have states.
        if not lookup(charset).name.startswith(_FAMILIES) or _ASCII.decode(charset) != _ASCII.decode():
            return []
        characters = [character.encode(charset) for character in text.decode(charset)]
    except (LookupError, ValueError):
        return []
    return characters if b"".join(characters) == text else []


def _chunks(characters: list[bytes], first: int, others: int, in_q: bool) -> list[bytes]:
    """Join characters to chunks whose encoded form fits into the columns given."""
    chunks, chunk, width, limit = [], bytearray(), 0, first
    for character in characters:
        cost = sum([_q_length(octet) for octet in character]) if in_q else len(character)
        if chunk and (width + cost if in_q else (width + cost + 2) // 3 * 4) > limit:
            chunks.append(bytes(chunk))
            chunk.clear()
            width, limit = 0, others
        chunk += character
        width += cost
    chunks.append(bytes(chunk))
    return chunks


def _q_length(octet: int) -> int:
    return 1 if octet in _Q_SAFE or octet == 32 else 3


def _q(text: bytes) -> bytes:
    return b"".join([_Q_FORMS[octet] for octet in text])


_Q_FORMS = [b"_" if octet == 32 else bytes((octet,)) if octet in _Q_SAFE else b"=%02X" % octet for octet in range(256)]
