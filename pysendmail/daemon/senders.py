"""Whether a message comes from an address that its caller may use, and how one that does not is brought into line.

Looked at is what leaves: the reverse-path, and every field that says who wrote or sent the message, after it was
repaired. The null sender is nobody's address, and is no offence. A field of which not every piece is an address is one.
"""

from pysendmail.config.callers import ANY, LOGIN
from pysendmail.message import address
from pysendmail.message.address import Mailbox
from pysendmail.message.authors import AGENTS, AUTHORS, original, readdress
from pysendmail.message.header import Field
from pysendmail.message.recipients import list_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.compose import Composed
    from pysendmail.config.callers import Pattern, Rule
    from pysendmail.message.address import AddressList


class Senders:
    """The addresses that a rule lets one caller use; `login` is None for who has none."""

    __slots__ = ("_aligned", "_patterns", "any")

    def __init__(self, rule: "Rule", login: bytes | None) -> None:
        self._patterns: set[Pattern] = set()
        for local, domain in rule.senders:
            if local is not None and LOGIN in local:
                if login is None:
                    continue
                local = local.replace(LOGIN, login.lower())
            self._patterns.add((local, domain))
        self.any = not rule.senders or ANY in self._patterns
        self._aligned = _filled(rule.aligned, login) if rule.aligned is not None else None

    def __str__(self) -> str:
        """Name what is allowed."""
        names = sorted(_named(pattern) for pattern in self._patterns)
        return b", ".join(names).decode("utf-8", "backslashreplace") or "none"

    def allow(self, mailbox: Mailbox) -> bool:
        """Tell whether an address stands among those that may be used; a domain that has no A-labels never does."""
        domain = mailbox.domain.lower()
        return (mailbox.local.lower(), domain) in self._patterns or (None, domain) in self._patterns

    def offence(self, composed: "Composed") -> tuple[str, bytes] | None:
        """Return where the first address stands that may not be used, and it, or the text that is no address."""
        if self.any:
            return None
        if composed.sender and not self._allow_all(address.parse(composed.sender)):
            return "the envelope sender", composed.sender
        for field in _fields(composed):
            if field.name in AUTHORS + AGENTS and field.value:
                found = address.parse(list_text(field))
                if not self._passes(field, found):
                    bad = next((one.address for one in found.mailboxes if not self.allow(one)), field.value)
                    return f"the {field.name.decode().title()} field", bad
        return None

    def align(self, composed: "Composed", written: bool) -> bool:
        """Put the address of `align` wherever one stands that may not be used; tell whether there is such an address.

        An author's From, which is what `written` says of it, is kept in Reply-To if nothing stands there, else in
        X-Original-From.
        """
        aligned = self._aligned
        if aligned is None:
            return False
        if composed.sender and not self._allow_all(address.parse(composed.sender)):
            composed.notes.append("the envelope sender was replaced, since the caller may not use it")
            composed.sender = aligned
            if composed.owner is None:
                composed.parcel.reverse_path = aligned
        fields: list[Field] = []
        for field in _fields(composed):
            if field.name not in AUTHORS + AGENTS or not field.value:
                fields.append(field)
                continue
            found = address.parse(list_text(field))
            if self._passes(field, found):
                fields.append(field)
                continue
            name = field.name.decode().title()
            done = "replaced" if field.name in AUTHORS else "removed"
            composed.notes.append(f"the {name} field was {done}, since the caller may not use its address")
            if field.name in AUTHORS:
                fields.append(readdress(field, found, aligned))
                if field.name == b"from" and written:
                    fields.append(original(field, found, _fields(composed)))
        composed.parcel.fields = fields
        return True

    def _passes(self, field: Field, found: "AddressList") -> bool:
        """Tell whether a field shows nobody else, to any reader.

        Where it is not written as it should be, another reader than ours may find somebody else in it: one who takes the
        first address of `boss@corp <alice@corp>`, say. Of such fields only those pass whose name is an address that may
        be used, which is a common mistake.
        """
        if not found.warnings or not self._allow_all(found):
            return self._allow_all(found)
        text, one = list_text(field), found.mailboxes[0]
        name = address.parse(text[: one.start].rstrip(b" \t\r\n").removesuffix(b"<"))
        plain = len(found.mailboxes) == 1 and text[one.end :].strip() == b">"
        return plain and not name.warnings and self._allow_all(name)

    def _allow_all(self, found: "AddressList") -> bool:
        return bool(found.mailboxes) and not found.errors and all(map(self.allow, found.mailboxes))


def _fields(composed: "Composed") -> list[Field]:
    fields = composed.parcel.fields
    assert isinstance(fields, list)
    return fields


def _filled(text: bytes, login: bytes | None) -> bytes:
    """Put a login into the address of a rule."""
    mailbox = address.parse(text).mailboxes[0]
    return Mailbox(mailbox.local.replace(LOGIN, login or b"nobody"), mailbox.domain, 0, 0).address


def _named(pattern: "Pattern") -> bytes:
    local, domain = pattern
    return b"*@" + (domain or b"") if local is None else Mailbox(local, domain or b"", 0, 0).address
