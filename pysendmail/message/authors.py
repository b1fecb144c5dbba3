"""Fields that say who wrote or sent a message, and how another address gets into one of them."""

from pysendmail import errors
from pysendmail.message import address
from pysendmail.message.fixups import respell
from pysendmail.message.header import Field, make
from pysendmail.message.local import is_local
from pysendmail.message.recipients import list_text
from pysendmail.message.sender import Sender, canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.message.address import AddressList, Mailbox
    from pysendmail.message.facts import Facts
    from pysendmail.message.recipients import Expand

AUTHORS = (b"from", b"resent-from")
AGENTS = (b"sender", b"resent-sender")
_SHOWN = 20  # addresses of an alias that a header shows; a longer list stays a name


def readdress(field: Field, found: "AddressList", full: bytes) -> Field:
    """Return the field with another address, and with its name and comments if it has one author."""
    if len(found.mailboxes) == 1 and not found.errors and not found.warnings:
        return respell(field, found, lambda one: full)
    start = field.raw.index(b":") + 1
    return Field(field.name, field.raw[:start] + b" " + full + b"\r\n")


def original(field: Field, found: "AddressList", fields: list[Field], answerable: bool = True) -> Field:
    """Return the field that keeps an author's From: Reply-To if nothing stands there, else X-Original-From.

    Where nobody can answer to the address it is X-Original-From.
    """
    free = not any(other.name == b"reply-to" and other.value for other in fields)
    name = b"Reply-To" if free and answerable and found.mailboxes and not found.errors else b"X-Original-From"
    return Field(name.lower(), name + field.raw[field.raw.index(b":") :])


def own_author(fields: list[Field], made: bytes, sender: Sender, facts: "Facts", notes: list[str]) -> list[Field]:
    """Have the From field show the sender's address alone; `made` is its value where there is no name to keep.

    What was replaced is kept, as far as it says something; a Sender field with another address goes.
    """
    fields = [field for field in fields if field.name != b"sender" or not field.value or _is_of(field, sender.shown)]
    written = next((field for field in fields if field.name == b"from" and field.value), None)
    if written is None:
        return [*[field for field in fields if field.name != b"from"], make(b"From", made)]
    if _is_of(written, sender.shown):
        return fields
    found = address.parse(list_text(written))
    answerable = not any(is_local(one.domain, facts.hosts) for one in found.mailboxes)
    kept = [] if facts.privacy and not answerable else [original(written, found, fields, answerable)]
    notes.append("the From field was replaced, since set_from_header is on")
    if _has_name(written, found):
        new = readdress(written, found, sender.shown)
        return [*[new if field is written else field for field in fields], *kept]
    return [*[field for field in fields if field.name != b"from"], make(b"From", made), *kept]


def without_local(
    field: Field, found: "AddressList", facts: "Facts", originals: list[Field], notes: list[str]
) -> Field:
    """Return a field of an author or agent with local_sender for each local address; `originals` get what keeps From."""
    own = facts.local_sender
    wanted = own is not None and facts.set_from_header != "off" and field.name in AUTHORS + AGENTS
    if not wanted or not any(is_local(one.domain, facts.hosts) for one in found.mailboxes):
        return field
    notes.append(f"local_sender replaced a local address in the {field.name.decode().title()} field")
    if field.name == b"from" and not facts.privacy:
        originals.append(original(field, found, [], answerable=False))
    return respell(field, found, lambda one: own if is_local(one.domain, facts.hosts) else None)


def with_aliases(field: Field, found: "AddressList", expand: "Expand", maildomain: bytes) -> Field:
    """Return the field with the addresses behind its local names that are aliases; a name before them stays.

    An author has to be one, and a long list is not shown.
    """
    most = 1 if field.name in AUTHORS + AGENTS else _SHOWN
    offset = field.raw.index(b":") + 1

    def spell(one: "Mailbox") -> bytes | None:
        try:
            targets = expand(one)
            if not targets or len(targets) > most:
                return None
            full = [canonical(target, maildomain) for target in targets]
        except errors.Failure:
            return None  # whoever it is a recipient for is told
        bracket = field.raw[: one.start + offset].rstrip(b" \t\r\n").endswith(b"<")
        return (b">, <" if bracket else b", ").join(full)

    return respell(field, found, spell)


def _is_of(field: Field, full: bytes) -> bool:
    """Tell whether the field shows this address alone, to any reader."""
    found = address.parse(list_text(field))
    if len(found.mailboxes) != 1 or found.errors or found.warnings:
        return False
    return [found.mailboxes[0].key] == [one.key for one in address.parse(full).mailboxes]


def _has_name(field: Field, found: "AddressList") -> bool:
    """Tell whether there is one author, with a name or a comment."""
    if len(found.mailboxes) != 1 or found.errors or found.warnings:
        return False
    text, one = list_text(field), found.mailboxes[0]
    return bool((text[: one.start] + text[one.end :]).strip(b" \t\r\n<>"))
