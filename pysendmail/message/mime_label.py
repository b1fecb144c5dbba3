"""Change what the header of a message or part says about its encoding, and nothing else of it but what must."""

from pysendmail import errors
from pysendmail.message.header import Field, make

_LINE = 998
_ENCODING = b"content-transfer-encoding"


def label(fields: list[Field], encoding: bytes, charset: bytes) -> list[Field]:
    """Name the encoding, in the place of the field that named the old one; add a Content-Type if `charset` is given."""
    done = []
    new = [make(b"Content-Transfer-Encoding", encoding)]
    for field in fields:
        if field.name == _ENCODING:
            done += new
            new = []
        else:
            done.append(field)
    if charset:
        done.append(make(b"Content-Type", b"text/plain; charset=" + charset))
    return done + new


def with_mime_version(fields: list[Field]) -> list[Field]:
    """Add MIME-Version if it is missing, before the fields that it gives a meaning to as far as they come last."""
    if any(field.name == b"mime-version" for field in fields):
        return fields
    place = len(fields)
    while place and fields[place - 1].name.startswith(b"content-"):
        place -= 1
    return [*fields[:place], make(b"MIME-Version", b"1.0"), *fields[place:]]


def fit(fields: list[Field], sealed: str, eight_bit_ok: bool) -> list[Field]:
    """Make the header of a part fit to be sent: ASCII unless `eight_bit_ok`, no line over 998 octets.

    Raises DataError where that is impossible or `sealed` forbids it, and for NUL.
    """
    if not any(_is_unfit(field.raw, eight_bit_ok) for field in fields):
        return fields
    if sealed:
        raise errors.DataError(f"{sealed} has a header that the server does not take; re-encoding would break it")
    from pysendmail.message.words import encode_field, fold_field, header_charset

    charset = header_charset(fields)
    done = []
    for field in fields:
        if b"\0" in field.raw:
            raise errors.DataError("NUL in the header of a part")
        if _is_unfit(field.raw, eight_bit_ok):
            if not field.name:
                raise errors.DataError("the header of a part has a line that is no field and cannot be encoded")
            if not eight_bit_ok and not field.raw.isascii():
                field = encode_field(field, charset)
            if _has_long_line(field.raw):
                field = fold_field(field)
        done.append(field)
    return done


def _is_unfit(raw: bytes, eight_bit_ok: bool) -> bool:
    return b"\0" in raw or not (eight_bit_ok or raw.isascii()) or _has_long_line(raw)


def _has_long_line(raw: bytes) -> bool:
    return len(raw) > _LINE and any(len(line) > _LINE for line in raw.split(b"\r\n"))
