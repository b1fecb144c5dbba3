"""8-bit text of header fields as encoded words (RFC 2047) or encoded parameters (RFC 2231), and lines of legal length.

What may become encoded words: words of an unstructured field, words of a name before an address, comments. In other
places (identifiers, local parts of addresses) 8-bit text cannot be encoded without loss and raises DataError; the
domain of an address becomes A-labels. A piece of an address field that is no address is encoded as a whole, so that it
does not turn into an address on its way. Messages in ASCII with short lines never load this module.
"""

from pysendmail.errors import DataError
from pysendmail.message.address import ATEXT, quote
from pysendmail.message.encoded_word import LONGEST, UNKNOWN, encoded_words, label_for, looks_encoded
from pysendmail.message.folding import fold_field
from pysendmail.message.header import ADDRESS_FIELDS, Field
from pysendmail.message.pieces import Piece, lay_out
from pysendmail.message.tokens import is_printable

__all__ = ["encode_field", "encode_phrase", "fold_field", "header_charset"]

_PARAMETERS = frozenset((b"content-type", b"content-disposition"))
_IDENTIFIERS = frozenset(b"message-id resent-message-id in-reply-to references content-id list-id".split())
_URLS = frozenset(b"list-help list-subscribe list-unsubscribe list-post list-owner list-archive archived-at".split())
_PHRASES = frozenset(b"keywords received date resent-date mime-version content-transfer-encoding".split())
_STRUCTURED = _IDENTIFIERS | _URLS | _PHRASES


def header_charset(fields: list[Field]) -> str:
    """Name the charset of the message's Content-Type, for 8-bit text that is not UTF-8; unknown-8bit if it has none."""
    from pysendmail.message.media_type import parse_content_type

    for field in fields:
        if field.name == b"content-type":
            charset = parse_content_type(field.value)[1].get(b"charset", b"")
            return charset.decode("ascii", "replace").lower() or UNKNOWN
    return UNKNOWN


def encode_phrase(text: bytes, charset: str) -> bytes:
    """Write a name as a phrase of one line: atoms, a quoted string, or encoded words (RFC 5322 3.2.5, RFC 2047 5 (3)).

    Encoded words that are in an ASCII name already stay. Raises DataError for control characters other than TAB.
    """
    if b"\r" in text or b"\n" in text or not is_printable(text):
        raise DataError("control character in a name")
    text = text.strip(b" \t")
    if not text.isascii():
        return b" ".join(encoded_words(text, label_for(text, charset), LONGEST))
    words = text.split(b" ")
    if all([word and not word.translate(None, ATEXT) for word in words]) or not text:
        return text
    if any([looks_encoded(word) for word in words]):
        return b" ".join([word if not word.translate(None, ATEXT) else quote(word) for word in words if word])
    return quote(text)


def encode_field(field: Field, charset: str) -> Field:
    """Return the field in ASCII; `charset` names that of 8-bit text which is not UTF-8.

    Raises DataError where the text cannot be encoded: it needs SMTPUTF8, or is malformed.
    """
    if field.raw.isascii():
        return field
    colon = field.raw.index(b":") + 1
    name, text = field.raw[:colon], field.raw[colon:-2]
    try:
        pieces = _pieces(field.name, text, charset)
    except DataError as error:
        raise DataError(f"8-bit text in the {field.name.decode('ascii', 'replace')} field: {error.text}") from None
    return Field(field.name, lay_out(name, pieces, label_for(text, charset)))


def _pieces(name: bytes, text: bytes, charset: str) -> list[Piece]:
    if name in _PARAMETERS:
        from pysendmail.message.parameters import parameter_pieces

        return parameter_pieces(text, charset)
    if name in ADDRESS_FIELDS or name in _STRUCTURED:
        from pysendmail.message.structured import address_pieces, phrase_pieces

        return address_pieces(text) if name in ADDRESS_FIELDS else phrase_pieces(
            text, identifiers=name in _IDENTIFIERS, urls=name in _URLS)
    return _text_pieces(text)


def _text_pieces(text: bytes) -> list[Piece]:
    """Take unstructured text apart at its blanks; those at the end are dropped."""
    import re

    return [Piece(blanks, word, None if word.isascii() else word)
            for blanks, word in re.findall(rb"([ \t\r\n]*)([^ \t\r\n]+)", text)]
