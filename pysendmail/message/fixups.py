"""What of the header is removed, changed and added before the message leaves.

Everything not named here stays byte for byte and in its place. What is added stands at the end of the header, or at the
end of the resent block in a resent message, whose Resent- fields are completed instead of the author's.
"""

import time

from pysendmail import errors
from pysendmail.message import address
from pysendmail.message.facts import Facts
from pysendmail.message.header import Field, make
from pysendmail.message.sender import Sender, domain_of, header_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.message.address import AddressList, Mailbox

_REMOVED = frozenset((b"bcc", b"resent-bcc", b"return-path", b"content-length"))
_SHOWN = frozenset((b"to", b"cc"))
_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_CONTROLS_TO_BLANKS = bytes(32 if octet < 32 or octet == 127 else octet for octet in range(256))
_ATOMS = address.ATEXT + b" "


def repair(fields: list[Field], block: tuple[int, int], sender: Sender, facts: Facts, notes: list[str]) -> list[Field]:
    """Return the fields without what has to go, and with what was missing; `block` is the first resent block."""
    start, end = block
    removed = _REMOVED
    if facts.undisclosed_recipients:
        removed |= _SHOWN | {b"resent-to", b"resent-cc"}
    if end:
        resent = _complete(b"Resent-", _without(fields[start:end], removed), fields, sender, facts)
        fields = fields[:start] + resent + fields[end:]
    fields = _one_from(_without(fields, removed), notes)
    if not end:
        fields = _complete(b"", fields, fields, sender, facts)
    if facts.set_from_header == "on":
        from pysendmail.message.authors import own_author

        fields = own_author(fields, _from_value(fields, sender, facts), sender, facts, notes)
    if facts.undisclosed_recipients or not (end or any(field.name in _SHOWN for field in fields)):
        fields.append(make(b"To", b"undisclosed-recipients:;"))
    return fields


def qualify(field: Field, found: "AddressList", maildomain: bytes) -> Field:
    """Return the field with unqualified addresses qualified and UTF-8 domains in A-labels, all other octets kept."""
    offset = field.raw.index(b":") + 1

    def spell(mailbox: "Mailbox") -> bytes | None:
        if mailbox.domain.isascii() if mailbox.domain else not maildomain:
            return None
        try:
            return _respell(mailbox, field.raw[mailbox.start + offset : mailbox.end + offset], maildomain)
        except errors.DataError:
            return None  # no such domain can be: it stays in the field, and was refused if it was in the envelope

    return respell(field, found, spell)


def respell(field: Field, found: "AddressList", spell: "Callable[[Mailbox], bytes | None]") -> Field:
    """Return the field with other addr-specs where `spell` has one for a mailbox; all other octets are kept."""
    offset = field.raw.index(b":") + 1
    pieces: list[bytes] = []
    at = 0
    for mailbox in found.mailboxes:
        spelled = spell(mailbox)
        if spelled is not None:
            pieces += field.raw[at : mailbox.start + offset], spelled
            at = mailbox.end + offset
    return Field(field.name, b"".join(pieces) + field.raw[at:]) if pieces else field


def date(now: float, utc_offset: int) -> bytes:
    """Write a point of time as RFC 5322 section 3.3 wants it, whatever the locale is."""
    local = time.gmtime(now + utc_offset * 60)
    hours, minutes = divmod(abs(utc_offset), 60)
    return b"%b, %d %b %d %02d:%02d:%02d %c%02d%02d" % (
        _DAYS[local.tm_wday],
        local.tm_mday,
        _MONTHS[local.tm_mon - 1],
        local.tm_year,
        local.tm_hour,
        local.tm_min,
        local.tm_sec,
        b"-" if utc_offset < 0 else b"+",
        hours,
        minutes,
    )


def _respell(mailbox: "Mailbox", written: bytes, maildomain: bytes) -> bytes:
    """Return an addr-spec as it was written, but qualified and with its domain in A-labels."""
    domain = mailbox.domain
    if not domain:
        return written + b"@" + maildomain
    labels = address.domain_to_ascii(domain)
    if written.endswith(domain):
        return written[: -len(domain)] + labels
    return mailbox.address[: -len(domain)] + labels  # blanks or comments within the domain


def _complete(prefix: bytes, part: list[Field], fields: list[Field], sender: Sender, facts: Facts) -> list[Field]:
    """Add From, Date and Message-ID, with the prefix before their names, to a part of the fields where it lacks them.

    An empty one counts as missing. Where the configuration wants its own, that replaces what an author wrote (own_author
    does it for From), but never what belongs to a resending.
    """
    for name, mode in (
        (b"From", facts.set_from_header),
        (b"Date", facts.set_date_header),
        (b"Message-ID", facts.set_msgid_header),
    ):
        if mode == "off":
            continue
        name = prefix + name
        there = [field for field in part if field.name == name.lower()]
        if name == b"From" and mode == "on":
            continue
        if (mode == "on" and not prefix) or not any(field.value for field in there):
            if there:
                part = _without(part, {name.lower()})
            part.append(make(name, _value(name, fields, sender, facts)))
    return part


def _value(name: bytes, fields: list[Field], sender: Sender, facts: Facts) -> bytes:
    """Return the value of an added field."""
    if name.endswith(b"From"):
        return _from_value(fields, sender, facts)
    if name.endswith(b"Date"):
        return date(facts.now, facts.utc_offset)
    domain = sender.domain
    if facts.privacy and sender.guessed:
        domain = domain_of(header_from(fields) or b"") or domain
    return b"<%b@%b>" % (facts.unique, domain or b"localhost")


def _from_value(fields: list[Field], sender: Sender, facts: Facts) -> bytes:
    name = _full_name(sender, facts).translate(_CONTROLS_TO_BLANKS)
    name = b" ".join(name.split())
    if not name:
        return sender.shown
    if name.translate(None, _ATOMS):
        if name.isascii() and b"=?" not in name:
            name = address.quote(name)
        else:
            from pysendmail.message.words import encode_phrase, header_charset

            name = encode_phrase(name, header_charset(fields))
    return b"%b <%b>" % (name, sender.shown)


def _full_name(sender: Sender, facts: Facts) -> bytes:
    """Return the name for an added From: of -F, of -f, of the account, of the password file; empty if -F is."""
    if facts.full_name is not None:
        return facts.full_name
    if name := sender.name or facts.account_full_name:
        return name
    return facts.gecos.partition(b",")[0].replace(b"&", facts.login[:1].upper() + facts.login[1:])


def _one_from(fields: list[Field], notes: list[str]) -> list[Field]:
    """Keep the first From field that says something, and no other."""
    found = [field for field in fields if field.name == b"from"]
    if len(found) < 2:
        return fields
    kept = next((field for field in found if field.value), found[0])
    notes.append(f"{len(found)} From fields, the first stays")
    return [field for field in fields if field is kept or field.name != b"from"]


def _without(fields: list[Field], names: "frozenset[bytes] | set[bytes]") -> list[Field]:
    return [field for field in fields if field.name not in names]
