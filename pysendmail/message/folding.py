"""Header lines of more than 998 octets, folded at blanks, in lists at commas too (RFC 5322 2.1.1, 2.2.3)."""

import re
from bisect import bisect_left, bisect_right

from pysendmail.errors import DataError
from pysendmail.message.header import ADDRESS_FIELDS, Field
from pysendmail.message.tokens import SPACE, SPECIAL, token

LONGEST = 998
_USUAL = 78
_LISTS = ADDRESS_FIELDS | frozenset((b"list-help", b"list-subscribe", b"list-unsubscribe", b"list-post", b"list-owner",
                                     b"list-archive", b"keywords"))
_BLANK = re.compile(rb"(?<=[^ \t\r\n])[ \t]+(?=[^ \t\r\n])")


def fold_field(field: Field) -> Field:
    """Return the field with each line of more than 998 octets cut into lines of 78 where that can be done.

    Lines that are short enough stay as they are, and so does the text: a fold goes before a blank that is there, or,
    in lists, adds one after a comma. Raises DataError for a line that cannot be folded.
    """
    lines = field.raw[:-2].split(b"\r\n")
    if all([len(line) <= LONGEST for line in lines]):
        return field
    places = _places(field)
    inner: list[int] | None = None
    done, start = [], 0
    for line in lines:
        folded = [line]
        if len(line) > LONGEST:
            folded = _fold(line, start, places)
            if max(map(len, folded)) > LONGEST:  # blanks in quotes and after the field's name are for need only
                if inner is None:
                    inner = sorted({*places, *[match.start() for match in _BLANK.finditer(field.raw)]})
                folded = _fold(line, start, inner)
        done += folded
        start += len(line) + 2
    if max(map(len, done)) <= LONGEST:
        return Field(field.name, b"\r\n".join(done) + b"\r\n")
    return _encoded(field)


def _places(field: Field) -> list[int]:
    """List where the field may well be folded: at blanks, in lists those outside of quotes and what follows commas."""
    colon = field.raw.index(b":") + 1
    if field.name not in _LISTS:
        return [match.start() for match in _BLANK.finditer(field.raw, colon + 1)]
    places, after_comma = [], False
    text = field.raw[colon:-2]
    start, size = 0, len(text)
    while start < size:  # token by token: a list of them would take a hundred times what they stand for
        kind, end = token(text, start)
        if start and (kind == SPACE or after_comma):
            places.append(colon + start)
        after_comma = kind == SPECIAL and text[start] == 44
        start = end
    return places


def _fold(line: bytes, offset: int, places: list[int]) -> list[bytes]:
    """Cut a line that begins at this offset of the field before those places that fill the lines well."""
    stop = offset + len(line.rstrip(b" \t"))
    folded, begin, last = [], offset, offset
    for place in [*places[bisect_right(places, offset):bisect_left(places, stop)], stop]:
        if place - begin >= _USUAL and last > begin:
            folded.append(line[begin - offset:last - offset])
            begin = last
        last = place
    folded.append(line[begin - offset:stop - offset])
    return folded[:1] + [part if part[:1] in (b" ", b"\t") else b" " + part for part in folded[1:]]


def _encoded(field: Field) -> Field:
    """Fold between encoded words what is not ASCII; the last resort."""
    if field.raw.isascii():
        name = field.name.decode("ascii")
        raise DataError(f"line of more than {LONGEST} octets in the {name} field that cannot be folded")
    from pysendmail.message.encoded_word import UNKNOWN
    from pysendmail.message.words import encode_field

    return fold_field(encode_field(field, UNKNOWN))
