"""What a report takes from the header of the message that it is about: which message it is, for people and programs."""

from binascii import Error, a2b_base64, a2b_qp

from pysendmail import errors
from pysendmail.log import printable
from pysendmail.message.encoded_word import looks_encoded
from pysendmail.message.header import Field, HeaderReader

_LONGEST_ID = 250
_FIRST, _LAST = 1, 19  # identifiers that stay of a long thread
_LONGEST_SUBJECT = 200  # characters
_LABELS = ("utf-8", "us-ascii", "iso-8859-", "windows-125", "koi8-")


class Original:
    """The message: its `header` as octets, its `size` in octets, and what the header says.

    `message_id` is b"" if it has none that is fit to be repeated; `references` then is empty, else the thread up to and
    including this message (RFC 5322 section 3.6.4). `subject` is decoded, one printable line.
    """

    __slots__ = ("header", "message_id", "references", "size", "subject")

    def __init__(self, header: bytes, body_size: int) -> None:
        fields = _fields(header)
        self.header = header
        self.size = len(header) + 2 + body_size
        own = _identifiers(_first(fields, b"message-id"))
        self.message_id = own[0] if own else b""
        self.references: list[bytes] = []
        if own:
            before = _identifiers(_first(fields, b"references")) or _identifiers(_first(fields, b"in-reply-to"))[:1]
            thread = [*before, own[0]]
            self.references = thread if len(thread) <= _FIRST + _LAST else thread[:_FIRST] + thread[-_LAST:]
        self.subject = _decoded(_first(fields, b"subject"))


def is_utf8(text: bytes) -> bool:
    """Say whether the octets are UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fields(header: bytes) -> list[Field]:
    reader = HeaderReader()
    try:
        reader.feed(header)
        reader.finish()
    except errors.DataError:
        pass  # what was read until then identifies the message as well as can be
    return reader.fields


def _first(fields: list[Field], name: bytes) -> bytes:
    return next((field.value for field in fields if field.name == name), b"")


def _identifiers(value: bytes) -> list[bytes]:
    """List the message identifiers of a field, without any that is not plain or is over-long."""
    words = [word for word in value.split() if word[:1] == b"<" and word[-1:] == b">" and b"@" in word]
    return [word for word in words if len(word) <= _LONGEST_ID and word.isascii() and word.decode().isprintable()]


def _decoded(value: bytes) -> str:
    """Return a text for people, its encoded words (RFC 2047) decoded where the charset is a usual one."""
    words: list[str] = []
    joins = False
    for word in value[:2000].split():
        text = _encoded_text(word)
        if text is None:
            words.append(" " + word.decode("utf-8", "backslashreplace"))
        else:
            words.append(text if joins else " " + text)
        joins = text is not None
    return printable("".join(words).strip().encode("utf-8", "backslashreplace"), _LONGEST_SUBJECT)


def _encoded_text(word: bytes) -> str | None:
    """Decode an encoded word; None if it is none, or none that can be decoded."""
    if not looks_encoded(word):
        return None
    label, encoding, content = word[2:-2].split(b"?")
    charset = label.partition(b"*")[0].decode("ascii", "replace").lower()  # RFC 2231 adds a language
    if not charset.startswith(_LABELS):
        return None
    try:
        octets = a2b_base64(content) if encoding in b"bB" else a2b_qp(content, header=True)
        return octets.decode(charset, "replace")
    except (Error, LookupError):
        return None
