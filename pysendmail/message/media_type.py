"""Read the Content-Type and Content-Transfer-Encoding of a message or a part (RFC 2045 section 5, RFC 2231).

What is written is often not what the grammar asks for, so the reading is lenient where it has one likely meaning:
characters that need quotes and have none, a quote or comment without end, blanks at either end of a boundary.
"""

_HEX = b"0123456789abcdefABCDEF"
_NOT_TOKEN = b'()<>@,;:\\"/[]?= \t'


def parse_content_type(value: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Return `type/subtype` in lower case, b"" if that is malformed, and the parameters by lower-case name.

    The first of equal names counts. Continuations and percent signs of RFC 2231 are resolved, charsets dropped. Of an
    unquoted value of several words the first counts; but such a boundary, which readers take differently, is b"".
    """
    items = _split(value)
    media = items[0].strip(b" \t").lower()
    left, slash, right = media.partition(b"/")
    if not (slash and _is_token(left) and _is_token(right)):
        media = b""
    written: dict[bytes, bytes] = {}
    for item in items[1:]:
        name, equals, content = item.partition(b"=")
        if equals:
            name, content = name.strip(b" \t").lower(), content.strip(b" \t")
            doubtful = name == b"boundary" and not content.startswith(b'"') and len(content.split()) > 1
            written.setdefault(name, b"" if doubtful else _content(content))
    return media, _joined(written)


def parse_encoding(value: bytes) -> bytes:
    """Return the word of a Content-Transfer-Encoding in lower case, without comments and quotes; wrongly, several."""
    words = b" ".join(_split(value)[0].split()).lower()
    return _content(words) if words.startswith(b'"') else words


def _is_token(word: bytes) -> bool:
    return bool(word) and not any(octet < 33 or octet > 126 or octet in _NOT_TOKEN for octet in word)


def _split(value: bytes) -> list[bytes]:
    """Split at the semicolons that stand outside of quotes and comments; comments become blanks."""
    items = _split_once(value, True) or _split_once(value, False)
    assert items  # only an endless comment yields nothing
    return items


def _split_once(value: bytes, comments: bool) -> list[bytes]:
    """Split as _split does, but return nothing if a comment has no end; without `comments` parentheses are text."""
    items = []
    item = bytearray()
    depth = 0
    quoted = escaped = False
    for octet in value:
        if escaped:
            escaped = False
        elif octet == 0x5C and (quoted or depth):
            escaped = True
        elif octet == 0x22 and not depth:
            quoted = not quoted
        elif octet == 0x28 and comments and not quoted:
            depth += 1
            item.append(0x20)
        elif octet == 0x29 and depth:
            depth -= 1
            continue
        elif octet == 0x3B and not quoted and not depth:
            items.append(bytes(item))
            item.clear()
            continue
        if not depth:
            item.append(octet)
    items.append(bytes(item))
    return [] if depth else items


def _content(text: bytes) -> bytes:
    """Return what a value stands for: the text in its quotes, else its first word."""
    if not text.startswith(b'"'):
        return text.split(None, 1)[0] if text else b""
    plain = bytearray()
    escaped = False
    for octet in text[1:]:
        if escaped:
            escaped = False
        elif octet == 0x5C:
            escaped = True
            continue
        elif octet == 0x22:
            break
        plain.append(octet)
    return bytes(plain)


def _joined(written: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Put the pieces `name*0`, `name*1*` … together (RFC 2231 section 3); a plain `name` wins over its pieces."""
    done = {name: content for name, content in written.items() if b"*" not in name}
    for name in written:
        base, star, section = name.partition(b"*")
        if not star or base in done:
            continue
        if not section:
            done[base] = _unescaped(written[name], True)
        elif section in (b"0", b"0*"):
            done[base] = _pieces(base, written)
    return done


def _pieces(base: bytes, written: dict[bytes, bytes]) -> bytes:
    pieces = []
    for number in range(len(written)):
        name = b"%b*%d" % (base, number)
        if name in written:
            pieces.append(written[name])
        elif name + b"*" in written:
            pieces.append(_unescaped(written[name + b"*"], number == 0))
        else:
            break
    return b"".join(pieces)


def _unescaped(text: bytes, first: bool) -> bytes:
    """Resolve `charset'language'text` (only in the first piece) and percent signs."""
    if first and text.count(b"'") >= 2:
        text = text.split(b"'", 2)[2]
    head, *rest = text.split(b"%")
    done = [head]
    for piece in rest:
        code = piece[:2]
        if len(code) == 2 and not code.strip(_HEX):
            done.append(bytes([int(code, 16)]) + piece[2:])
        else:
            done.append(b"%" + piece)
    return b"".join(done)
