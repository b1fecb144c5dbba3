"""The record of a report that programs read: message/delivery-status (RFC 3464 section 2), or in UTF-8 (RFC 6533).

Each value is made one printable line before it is written, in ASCII unless the UTF-8 form was asked for. Long ones are
folded at blanks.
"""

from pysendmail.log import printable
from pysendmail.message.dsn_advice import is_answer
from pysendmail.message.fixups import date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.message.dsn import Facts, Recipient

_USUAL = 76  # columns of a folded line
_LONGEST = 900  # octets of a word in it, and of an address
_HOST = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:[]"
_UPPER_HEX = b"0123456789ABCDEF"
# Classes of the status code (RFC 3463) that fit an action. A failure of class 4 lasted until the time was up.
_CLASSES = {"failed": "54", "delayed": "4", "relayed": "2", "delivered": "2"}
_EXPIRED = "4.4.7"


def status_record(kind: str, facts: "Facts", recipients: "list[Recipient]", utf8: bool) -> bytes:
    """Return the groups of fields, one on the message and one a recipient, with empty lines between them."""
    fields = []
    if facts.envid:
        fields.append(_field("Original-Envelope-Id", printable(facts.envid, 200), utf8, fold=False))
    fields.append(_field("Reporting-MTA", f"dns; {safe_host(facts.host)}", utf8))
    fields.append(b"Arrival-Date: %b\r\n" % date(facts.arrived, facts.utc_offset))
    if facts.qid:
        fields.append(_field("X-Pysendmail-Queue-ID", safe_host(facts.qid), utf8))
    if facts.sender:
        fields.append(_field("X-Pysendmail-Sender", _typed(facts.sender, utf8), utf8, fold=False))
    for recipient in recipients:
        fields.append(b"\r\n")
        fields += _recipient(kind, facts, recipient, utf8)
    return b"".join(fields)


def safe_host(name: str) -> str:
    """Return a host name in which every character that none has is a question mark."""
    return "".join([letter if letter in _HOST else "?" for letter in name[:255]])


def decode_xtext(text: bytes) -> bytes:
    """Resolve the `+XX` of xtext (RFC 3461 section 4); what is malformed stays as it is."""
    head, *rest = text.split(b"+")
    done = [head]
    for piece in rest:
        code = piece[:2]
        if len(code) == 2 and not code.strip(_UPPER_HEX):
            done.append(bytes((int(code, 16),)) + piece[2:])
        else:
            done.append(b"+" + piece)
    return b"".join(done)


def _recipient(kind: str, facts: "Facts", recipient: "Recipient", utf8: bool) -> list[bytes]:
    """Return the fields of one recipient, in the order of RFC 3464 section 2.3."""
    fields = []
    if original := _original(recipient.orcpt or b"", utf8):
        fields.append(_field("Original-Recipient", original, utf8, fold=False))
    fields.append(_field("Final-Recipient", _typed(recipient.address, utf8), utf8, fold=False))
    fields.append(b"Action: %b\r\n" % kind.encode("ascii"))
    fields.append(b"Status: %b\r\n" % _status(kind, recipient).encode("ascii"))
    if host := remote_host(recipient.relay):
        fields.append(_field("Remote-MTA", f"dns; {host}", utf8))
    if reply := printable(recipient.reply.encode("utf-8", "backslashreplace")).strip():
        words = "smtp" if is_answer(reply) else "X-Pysendmail"
        fields.append(_field("Diagnostic-Code", f"{words}; {reply}", utf8))
    if recipient.last_attempt:
        fields.append(b"Last-Attempt-Date: %b\r\n" % date(recipient.last_attempt, facts.utc_offset))
    if kind == "delayed" and facts.retry_until is not None:
        fields.append(b"Will-Retry-Until: %b\r\n" % date(facts.retry_until, facts.utc_offset))
    return fields


def remote_host(relay: str) -> str:
    """Return the host of a relay as the log names it, its address in brackets if it has no name; "" for no relay."""
    if relay in ("", "none"):
        return ""
    name, bracket, rest = relay.partition("[")
    return safe_host(name or bracket + rest.partition("]")[0] + "]")


def _status(kind: str, recipient: "Recipient") -> str:
    """Return an enhanced status code of a class that fits the action."""
    allowed = _CLASSES[kind]
    parts = recipient.status.split(".")
    if len(parts) != 3 or not all([part.isascii() and part.isdigit() and len(part) <= 3 for part in parts]):
        return _EXPIRED if kind == "failed" and not recipient.reply else allowed[0] + ".0.0"
    if parts[0] in allowed:
        return recipient.status
    return ".".join([allowed, *parts[1:]]) if kind == "delayed" and parts[0] == "5" else allowed[0] + ".0.0"


def _original(orcpt: bytes, utf8: bool) -> str:
    """Return the value of Original-Recipient for an ORCPT parameter; "" if that is missing or malformed."""
    kind, _, text = orcpt.partition(b";")
    name = kind.strip().lower()
    if not text or not name.replace(b"-", b"").isalnum() or len(name) > 40:
        return ""
    address = _unescaped(text) if name == b"utf-8" else decode_xtext(text)
    if name in (b"rfc822", b"utf-8"):
        return _typed(address, utf8)
    return f"{name.decode()}; {printable(address, _LONGEST // 4)}"


def _typed(address: bytes, utf8: bool) -> str:
    """Write an address with its type: rfc822, or utf-8 if it is not ASCII (RFC 6533 section 3)."""
    shown = printable(address, _LONGEST)
    if shown.isascii():
        return "rfc822; " + shown
    if not utf8:
        shown = "".join([_escaped(letter) for letter in shown])
    while len(shown.encode()) > _LONGEST:
        shown = shown[: len(shown) * 3 // 4]
    return "utf-8; " + shown


def _escaped(letter: str) -> str:
    """Write a character as in utf-8-addr-xtext: itself, or its code point as `\\x{…}`."""
    return letter if "!" <= letter <= "~" and letter not in "\\+=" else f"\\x{{{ord(letter):02X}}}"


def _unescaped(text: bytes) -> bytes:
    """Resolve the `\\x{…}` of an address of type utf-8; what is malformed stays as it is."""
    head, *rest = text.split(b"\\x{")
    done = [head]
    for piece in rest:
        digits, brace, after = piece.partition(b"}")
        if brace and 2 <= len(digits) <= 6 and not digits.strip(_UPPER_HEX) and int(digits, 16) < 0x110000:
            done.append(chr(int(digits, 16)).encode("utf-8", "replace") + after)
        else:
            done.append(b"\\x{" + piece)
    return b"".join(done)


def _field(name: str, value: str, utf8: bool, fold: bool = True) -> bytes:
    """Write a field; a value that is folded begins with a short word and has single blanks between its words."""
    octets = value.encode("utf-8" if utf8 else "ascii", "backslashreplace")
    line = name.encode("ascii") + b":"
    if not fold or len(line) + len(octets) < _USUAL:
        return line + b" " + octets + b"\r\n"
    lines = []
    for word in octets.split():
        for at in range(0, len(word), _LONGEST):
            piece = word[at : at + _LONGEST]
            if len(line) + len(piece) >= _USUAL:
                lines.append(line)
                line = b""
            line += b" " + piece
    return b"\r\n".join([*lines, line]) + b"\r\n"
