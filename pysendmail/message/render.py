"""Give a prepared message the octets that a given server can take.

What a server offers is known only when it has answered EHLO, so this is the last step before the wire: 8-bit header
text and bodies leave as they are where they may, and are encoded without loss where not (BEHAVIOUR of bytes: RFC 6152,
RFC 6531, RFC 2047, RFC 2045).
"""

from pysendmail import errors
from pysendmail.message.body import Body, BodyWriter
from pysendmail.message.header import Field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_LIMIT = 998  # octets of a line without CRLF (RFC 5322 section 2.1.1)


class Rendered:
    """A message as it leaves: `size` octets with CRLF line ends; `chunks` may be called again and again."""

    __slots__ = ("_body", "_header", "eight_bit", "size", "utf8")

    def __init__(self, fields: list[Field], body: Body, utf8: bool) -> None:
        self._header = b"".join([field.raw for field in fields]) + b"\r\n"
        self._body = body
        self.size = len(self._header) + body.size
        self.eight_bit = body.eight_bit
        self.utf8 = utf8

    def chunks(self) -> "Iterator[bytes]":
        """Yield the octets from the beginning."""
        yield self._header
        yield from self._body.chunks()


def render(fields: list[Field], body: Body, addresses: list[bytes], *, eight_bit_ok: bool, utf8_ok: bool) -> Rendered:
    """Return the message for a server that offers 8BITMIME and SMTPUTF8, or not.

    `addresses` are those of the envelope. Raises DataError where the message cannot be sent without loss.
    """
    utf8 = not all(address.isascii() for address in addresses)
    fields, utf8 = _header(fields, utf8, utf8_ok)
    if utf8 and not utf8_ok:
        raise errors.DataError("an address is not ASCII, and the server does not offer SMTPUTF8")
    if body.nul or body.long_line or (body.eight_bit and not eight_bit_ok):
        from pysendmail.message.mime import reencode

        fields, body = reencode(fields, body, eight_bit_ok=eight_bit_ok, new_writer=BodyWriter)
    return Rendered(fields, body, utf8)


def _header(fields: list[Field], utf8: bool, utf8_ok: bool) -> "tuple[list[Field], bool]":
    """Encode what is not ASCII and fold what is too long; tell whether the header needs SMTPUTF8 after that."""
    if not any(_has_long_line(field.raw) or not field.raw.isascii() for field in fields):
        return fields, utf8
    from pysendmail.message.words import encode_field, fold_field, header_charset

    charset = header_charset(fields)
    done = []
    for field in fields:
        if not field.raw.isascii():
            try:
                field = encode_field(field, charset)
            except errors.DataError:
                if not (utf8_ok and _is_utf8(field.raw)):
                    raise
                utf8 = True
        if _has_long_line(field.raw):
            field = fold_field(field)
        done.append(field)
    return done, utf8


def _has_long_line(raw: bytes) -> bool:
    return len(raw) > LINE_LIMIT and any([len(line) > LINE_LIMIT for line in raw.split(b"\r\n")])


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
