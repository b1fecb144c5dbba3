"""Encode the content of a part while it streams by: quoted-printable and base64 (RFC 2045 section 6).

Each encoder takes text in wire form, cut anywhere, by encode() and gives what has become of it; finish() gives the
rest. Line ends of the text stay line ends in quoted-printable. No encoder ever makes a line that begins with one of
the delimiters it was told, so the structure around the part stays as it is.
"""

import binascii

from pysendmail import errors

_LINE = 76
_PIECE = 1 << 16  # a line longer than this is encoded in pieces
_LONGEST = 1 << 20
_LIMIT = 998
_SOFT = b"=\r\n"
_AS_IS = [b"%c" % octet if 0 < octet < 128 else b"=%02X" % octet for octet in range(256)]


class Encoder:
    """Leave the text as it is; the base of the others."""

    __slots__ = ()

    def encode(self, data: bytes) -> bytes:
        """Take the next octets; return what can be written by now."""
        return data

    def finish(self) -> bytes:
        """Return what is left to write; the encoder takes no more."""
        return b""


class Base64(Encoder):
    """Encode any octets; the last line gets no CRLF, for the one before the delimiter belongs to the delimiter."""

    __slots__ = ("_carry", "_lead")

    def __init__(self) -> None:
        self._carry = b""
        self._lead = b""

    def encode(self, data: bytes) -> bytes:
        data = self._carry + data
        cut = len(data) // 57 * 57
        self._carry = data[cut:]
        return self._lines(data[:cut])

    def finish(self) -> bytes:
        return self._lines(self._carry)

    def _lines(self, data: bytes) -> bytes:
        if not data:
            return b""
        text = binascii.b2a_base64(data, newline=False)
        lead, self._lead = self._lead, b"\r\n"
        return lead + b"\r\n".join([text[at : at + _LINE] for at in range(0, len(text), _LINE)])


class QuotedPrintable(Encoder):
    """Encode text; its own lines stay lines, so that what is ASCII in it can still be read."""

    __slots__ = ("_broken", "_carry", "_guard")

    def __init__(self, delimiters: list[bytes]) -> None:
        self._guard = Guard(delimiters)
        self._carry = b""
        self._broken = False

    def encode(self, data: bytes) -> bytes:
        data = self._carry + data
        cut = data.rfind(b"\n") + 1
        done = self._piece(data[:cut]) if cut else b""
        self._carry = data[cut:]
        if len(self._carry) > _PIECE:
            stop = len(self._carry) - 1  # its last octet may be the CR of a line end
            done += _open_ended(self._piece(self._carry[:stop]))
            self._carry = self._carry[stop:]
            self._broken = True
        return done

    def finish(self) -> bytes:
        return self._piece(self._carry) if self._carry else b""

    def _piece(self, data: bytes) -> bytes:
        """Encode either whole lines or text without a line end."""
        text = binascii.b2a_qp(data)
        if b"\n" not in data:  # then b2a_qp cannot know which line ends are wanted
            text = text.replace(b"\n", b"\r\n")
        for blank in (b"=20\r\n", b"=09\r\n"):
            if blank in text:
                text = _shorten(text, blank)
        broken, self._broken = self._broken, False
        return self._guard(_SOFT + text)[len(_SOFT) :] if broken else self._guard(text)


class RepairedQuotedPrintable(Encoder):
    """Mend text that says it is quoted-printable: escape NUL and 8-bit octets, break lines that are too long.

    All else stays, so that whatever a reader makes of it remains the same. Raises DataError where a line cannot be
    broken without a guess.
    """

    __slots__ = ("_carry", "_guard")

    def __init__(self, delimiters: list[bytes]) -> None:
        self._guard = Guard(delimiters)
        self._carry = b""

    def encode(self, data: bytes) -> bytes:
        data = self._carry + data
        cut = data.rfind(b"\n") + 1
        self._carry = data[cut:]
        if len(self._carry) > _LONGEST:
            raise errors.DataError("a quoted-printable part has a line of more than 1 MiB")
        return b"\r\n".join([self._mend(line) if _is_bad(line) else line for line in data[:cut].split(b"\r\n")])

    def finish(self) -> bytes:
        return self._mend(self._carry) if _is_bad(self._carry) else self._carry

    def _mend(self, line: bytes) -> bytes:
        if not line.isascii() or b"\0" in line:
            if any(_is_bad(code[:2]) for code in line.split(b"=")[1:]):
                raise errors.DataError("a quoted-printable part is malformed and cannot be mended without a guess")
            line = b"".join([_AS_IS[octet] for octet in line])
        text = line.rstrip(b" \t")  # blanks at the end of a line mean nothing; a break among them would make them count
        if len(line) - len(text) > _LIMIT - _LINE:
            raise errors.DataError("a quoted-printable part has a line that ends with too many blanks")
        pieces = []
        start = 0
        while len(text) - start > _LINE:
            stop = start + _LINE - 1
            while b"=" in text[stop - 2 : stop]:
                stop -= 1
            if stop <= start:
                raise errors.DataError("a quoted-printable part is malformed and cannot be mended without a guess")
            pieces.append(text[start:stop])
            start = stop
        return self._guard(_SOFT.join([*pieces, line[start:]]))


class RewrappedBase64(Encoder):
    """Break long lines of text that is base64 already; a line end means nothing there."""

    __slots__ = ("_carry",)

    def __init__(self) -> None:
        self._carry = b""

    def encode(self, data: bytes) -> bytes:
        *lines, last = (self._carry + data).split(b"\r\n")
        cut = max(0, len(last) - 2) // _LINE * _LINE  # the two octets may be an octet and the CR behind it
        done = b"".join([_wrapped(line) + b"\r\n" for line in lines])
        if cut:
            done += _wrapped(last[:cut]) + b"\r\n"
        self._carry = last[cut:]
        return done

    def finish(self) -> bytes:
        return _wrapped(self._carry)


class Guard:
    """Keep soft line breaks from making a line that looks like a delimiter."""

    __slots__ = ("_marks", "_odd")

    def __init__(self, delimiters: list[bytes]) -> None:
        self._marks = [(_SOFT + delimiter, _SOFT + b"=2D" + _SOFT + delimiter[1:]) for delimiter in delimiters]
        self._odd = [b"\n" + delimiter for delimiter in delimiters if b"=" in delimiter]

    def __call__(self, text: bytes) -> bytes:
        """Return quoted-printable text, which stands at the beginning of a line, so changed that it is harmless.

        Raises DataError for a boundary that is quoted-printable itself, if the text happens to be encoded to it.
        """
        marks = self._marks if b"=\r\n--" in text else []
        while any(mark in text for mark, _ in marks):  # what has lost a dash may look like another delimiter
            for mark, harmless in marks:
                text = text.replace(mark, harmless)
        for odd in self._odd:
            if odd in text or text.startswith(odd[1:]):
                raise errors.DataError("a part cannot be encoded, since the boundary around it would come up in it")
        return text


def _shorten(text: bytes, blank: bytes) -> bytes:
    """Break the lines that have become too long because the blank at their end was escaped."""
    pieces = []
    done = 0
    at = text.find(blank)
    while at >= 0:
        start = text.rfind(b"\n", max(0, at - _LINE), at) + 1
        if at + 3 - max(start, at - _LINE) > _LINE:
            pieces += [text[done:at], _SOFT]
            done = at
        at = text.find(blank, at + 3)
    pieces.append(text[done:])
    return b"".join(pieces)


def _open_ended(text: bytes) -> bytes:
    """Add a soft line break to quoted-printable text that ends within a line."""
    if len(text) - text.rfind(b"\n") > _LINE:  # the line is full: its last character goes with it
        cut = -3 if text[-3:-2] == b"=" else -1
        text = text[:cut] + _SOFT + text[cut:]
    return text + _SOFT


def _is_bad(line: bytes) -> bool:
    return len(line) > _LIMIT or not line.isascii() or b"\0" in line


def _wrapped(line: bytes) -> bytes:
    if len(line) <= _LINE:
        return line
    if b"--" in line:
        raise errors.DataError("a base64 part holds text that is not base64, in a line of over 76 octets")
    return b"\r\n".join([line[at : at + _LINE] for at in range(0, len(line), _LINE)])
