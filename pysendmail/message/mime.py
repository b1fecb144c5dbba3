"""Re-encode a message without loss, part by part, for a server that cannot take it as it is.

Two passes over the body: the first finds what each part holds and decides, one octet a part; the second writes. Only
parts that need it change (8-bit text the server does not take, NUL, lines over 998 octets), and of their header only
what says how they are encoded; a Content-Type that is there stays byte for byte.

What carries no encoding of its own:
* A multipart, a message in a part: never encoded themselves, only what is in them. Their `8bit` becomes `7bit`.
* The text before a multipart's first delimiter and after its last, which no reader shows: it is written in
  quoted-printable all the same, so that every octet can be recovered and no message fails for it.
* What is signed or encrypted (multipart/signed, application/pkcs7-mime), the other message types (RFC 2046 section
  5.2), and text that says it is encoded and is not: the message fails rather than change its meaning.
"""

from pysendmail import errors
from pysendmail.message import transfer
from pysendmail.message.body import Body, BodyWriter, Survey
from pysendmail.message.header import Field
from pysendmail.message.mime_label import fit, label, with_mime_version
from pysendmail.message.mime_scan import END, HEADER, IDENTITY, LEAF, MESSAGE, MULTIPART, OUTSIDE, TEXT, Entity, scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["reencode"]

_KEEP, _QUOTED, _BASE64, _MEND, _WRAP, _UNLABELLED = range(6)
_LABELS = {_QUOTED: b"quoted-printable", _BASE64: b"base64"}
_CHARSETS = (b"", b"us-ascii", b"utf-8", b"unknown-8bit")  # RFC 1428 for the last
_CODES = 15
_CHARSET_SHIFT = 4
_EIGHT_BIT = "8-bit text that the server does not take"
_NUL = "NUL octets"
_LONG_LINE = "a line of over 998 octets"
_PLAIN = bytes(octet for octet in range(32, 127) if octet != 61) + b"\t\r\n"
# With these some readers decode; any other unknown word says nothing to any reader.
_DOUBTFUL = (b"x-", b"uu", b"quoted-printable", b"base64")
# Types of `message` that may be encoded like any leaf (RFC 6532 section 3.7, RFC 6533).
_ENCODABLE = b"message/global"


def reencode(
    fields: list[Field], body: Body, *, eight_bit_ok: bool, new_writer: "Callable[[], BodyWriter]"
) -> tuple[list[Field], Body]:
    """Return header and body with everything in them encoded that the server cannot take (RFC 2045, RFC 6152).

    NUL and lines over 998 octets always are, 8-bit octets unless `eight_bit_ok`. The given body stays as it is and
    open; it is returned itself if nothing has to change. Raises DataError where no encoding is without loss.
    """
    if not _trouble(body, eight_bit_ok):
        return fields, body
    plan = _plan(fields, body, eight_bit_ok)
    writer = new_writer()
    done = _write(fields, body, plan, writer, eight_bit_ok)
    result = writer.finish()
    if _trouble(result, eight_bit_ok):
        raise errors.DataError("the MIME structure of the message is malformed where it would have to be re-encoded")
    return done, result


class _Census(Survey):
    """Facts about one part.

    `escapes`: octets that quoted-printable would escape; `utf8`: it is ASCII or UTF-8 (not looked at if `typed`).
    """

    __slots__ = ("_decode", "escapes", "utf8")

    def __init__(self, typed: bool) -> None:
        super().__init__()
        self.escapes = 0
        self.utf8 = not typed
        if self.utf8:
            import codecs

            self._decode = codecs.getincrementaldecoder("utf-8")().decode

    def add(self, data: bytes) -> None:
        super().add(data)
        self.escapes += len(data.translate(None, _PLAIN))
        if self.utf8 and self.eight_bit:
            self._check(data, False)

    def finish(self) -> None:
        super().finish()
        if self.utf8 and self.eight_bit:
            self._check(b"", True)

    def _check(self, data: bytes, final: bool) -> None:
        try:
            self._decode(data, final)
        except UnicodeDecodeError:
            self.utf8 = False


def _trouble(facts: Survey | Body, eight_bit_ok: bool) -> str:
    """Name what the server cannot take, "" if it can take all."""
    if facts.eight_bit and not eight_bit_ok:
        return _EIGHT_BIT
    if facts.nul:
        return _NUL
    return _LONG_LINE if facts.long_line else ""


def _plan(fields: list[Field], body: Body, eight_bit_ok: bool) -> bytearray:
    """Decide for each entity, in order, what becomes of its text: the kind of encoding, and a charset to be named."""
    plan = bytearray()
    census = _Census(True)
    for event, data, entity in scan(body.chunks(), fields):
        if event == TEXT:
            census.add(data)
        elif entity is None:
            continue
        elif event == HEADER:
            census = _Census(entity.typed)
        elif event == END:
            census.finish()
            trouble = _trouble(census, eight_bit_ok)
            plan.append(_decide(entity, census, trouble) if trouble else _KEEP)
    return plan


def _decide(entity: Entity, census: _Census, trouble: str) -> int:
    if entity.sealed:
        raise errors.DataError(f"{entity.sealed} holds {trouble}; re-encoding would break it")
    if entity.kind != LEAF:
        return _UNLABELLED
    if len({b"" if encoding in IDENTITY else encoding for encoding in entity.encodings}) > 1:
        raise errors.DataError(f"a part with {trouble} has two different Content-Transfer-Encoding fields")
    if entity.media.startswith(b"message/") and not entity.media.startswith(_ENCODABLE):
        media = entity.media.decode("ascii")
        raise errors.DataError(f"a part of type {media} holds {trouble}; that type may not be encoded")
    if entity.encoding == b"quoted-printable":
        return _MEND
    if entity.encoding == b"base64":
        if trouble != _LONG_LINE:
            raise errors.DataError(f"a base64 part holds {trouble}; it cannot be mended without a guess")
        return _WRAP
    if entity.encoding.startswith(_DOUBTFUL):
        raise errors.DataError(f"a part with {trouble} has a Content-Transfer-Encoding that not every reader knows")
    return _choose(entity, census)


def _choose(entity: Entity, census: _Census) -> int:
    """Choose by length; but text stays legible and its lines lines, unless there is hardly a plain octet in it."""
    if entity.media.startswith(b"multipart/"):  # broken; what follows its end would be taken for more base64
        code = _QUOTED
    elif census.nul:
        code = _BASE64
    elif not entity.typed:
        code = _QUOTED
    elif entity.media.startswith(b"text/"):
        code = _BASE64 if census.escapes * 4 > census.size * 3 else _QUOTED
    else:
        quoted = census.size + 2 * census.escapes
        code = _QUOTED if quoted * 78 // 75 <= census.size * 78 // 57 else _BASE64
    charset = 0
    if not entity.typed:
        charset = 3 if not census.utf8 else 2 if census.eight_bit else 1
    return code | charset << _CHARSET_SHIFT


def _write(fields: list[Field], body: Body, plan: bytearray, writer: BodyWriter, eight_bit_ok: bool) -> list[Field]:
    """Write the body as planned; return the new fields of the message."""
    encoder = transfer.Encoder()
    for event, data, entity in scan(body.chunks(), fields):
        if event == TEXT:
            data = encoder.encode(data)
        elif event == END:
            data = encoder.finish()
        elif entity is not None:
            code = plan[entity.index]
            encoder = _encoder(code & _CODES, entity)
            header = _relabelled(entity, code, eight_bit_ok)
            if not entity.index:
                fields = header
            elif entity.kind != OUTSIDE and (code or header is not entity.fields):
                # What was known for text without an empty line before it may look like a field when it is encoded.
                blank = entity.blank or (b"\r\n" if code else b"")
                data = b"".join([field.raw for field in header]) + blank
        writer.add_wire(data)
    return fields


def _encoder(code: int, entity: Entity) -> transfer.Encoder:
    if code in (_QUOTED, _UNLABELLED):
        return transfer.QuotedPrintable(entity.delimiters)
    if code == _BASE64:
        return transfer.Base64()
    if code == _MEND:
        return transfer.RepairedQuotedPrintable(entity.delimiters)
    return transfer.RewrappedBase64() if code == _WRAP else transfer.Encoder()


def _relabelled(entity: Entity, code: int, eight_bit_ok: bool) -> list[Field]:
    """Return the fields of the entity as they leave; the same list if nothing of it changes."""
    fields = entity.fields
    encoding = _LABELS.get(code & _CODES, b"")
    if encoding:
        fields = label(fields, encoding, _CHARSETS[code >> _CHARSET_SHIFT])
    elif not eight_bit_ok and not entity.sealed and entity.kind in (MULTIPART, MESSAGE):
        if entity.encoding in (b"8bit", b"binary"):
            fields = label(fields, b"7bit", b"")
    if not entity.index or (entity.top and encoding):
        fields = with_mime_version(fields)
    return fit(fields, entity.sealed, eight_bit_ok) if entity.index else fields
