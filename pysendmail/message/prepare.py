"""From the header as it came and the facts of the submission to the envelope and the header as it leaves.

Recipients are read before anything is removed, and from fields only, never from text. Each address field is parsed
once: what the parser found serves for the recipients and for the repair of the field itself.

Resending puts a block of Resent- fields on top of a message and leaves the rest alone. If the first such block names
recipients, these are the recipients; and it is this block that is completed.
"""

from pysendmail import errors
from pysendmail.message import address
from pysendmail.message.facts import Facts
from pysendmail.message.fixups import qualify, repair
from pysendmail.message.header import ADDRESS_FIELDS, Field, resent_block
from pysendmail.message.recipients import Recipients, bad_address, from_arguments, from_header, list_text
from pysendmail.message.sender import choose, header_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.message.address import AddressList
    from pysendmail.message.recipients import Expand

__all__ = ["MAX_RECEIVED", "Facts", "Prepared", "header_from", "prepare"]

MAX_RECEIVED = 100


class Prepared:
    """A message ready to be sent, but for its body and for what the server cannot take.

    fields: the header as it leaves. sender: the reverse-path without <>, b"" for the null sender. recipients: canonical
    addresses, each once. bad: recipients that were skipped as (text, reason). owners: the names of those who get what comes
    back from a list, by recipient. notes: for the log. replaced: the reverse-path for which local_sender stands, None if
    it does not.
    """

    __slots__ = ("bad", "fields", "notes", "owners", "recipients", "replaced", "sender")

    def __init__(
        self,
        fields: list[Field],
        sender: bytes,
        recipients: list[bytes],
        bad: list[tuple[bytes, str]],
        notes: list[str],
        replaced: bytes | None = None,
        owners: dict[bytes, bytes] | None = None,
    ) -> None:
        self.fields = fields
        self.sender = sender
        self.recipients = recipients
        self.bad = bad
        self.notes = notes
        self.replaced = replaced
        self.owners = owners or {}


def prepare(
    fields: list[Field],
    facts: Facts,
    *,
    extract: bool,
    arguments: list[bytes],
    extract_minus_args: bool = False,
    bad_recipients_skip: bool = False,
    expand: "Expand | None" = None,
    hops: int = 0,
    given: Recipients | None = None,
    rewrite: "Expand | None" = None,
) -> Prepared:
    """Find the envelope of a message and repair its header.

    `extract` takes recipients from the header (-t), `arguments` are further ones, or with extract_minus_args those to
    leave out; `given` are all of them, if they are known already. `expand` gives the mailboxes behind an alias, None for
    what is none, and `rewrite` does so for the names in fields, None if these stay; `hops` are what the caller counted
    (-h). Raises errors.UsageError without any recipient, errors.NoUser for an alias of nobody,
    errors.DataError for an address that is none and for a message that goes round in circles.
    """
    _refuse_loop(fields, hops)
    notes: list[str] = []
    block = resent_block(fields)
    lists = _address_lists(fields, extract, notes)
    recipients = given or Recipients(facts.maildomain, bad_recipients_skip, expand)
    if extract:
        from_header(fields, lists, block, recipients, notes)
    if extract and extract_minus_args:
        excluded = Recipients(facts.maildomain, bad_recipients_skip, expand)
        from_arguments(arguments, excluded, notes)
        recipients.remove(excluded)
    else:
        from_arguments(arguments, recipients, notes)
    found = recipients.addresses()
    if not found:
        raise _nobody(extract, recipients)
    sender = choose(fields, facts)
    originals: list[Field] = []
    fields = list(fields)
    for at, parsed in lists.items():
        fields[at] = _readdressed(fields[at], parsed, facts, rewrite, originals, notes)
    fields = [*repair(fields, block, sender, facts, notes), *originals]
    return Prepared(fields, sender.reverse_path, found, recipients.bad, notes, sender.replaced, recipients.owners)


def _readdressed(
    field: Field, found: "AddressList", facts: Facts, rewrite: "Expand | None", originals: list[Field], notes: list[str]
) -> Field:
    """Return an address field with the addresses that it leaves with; what is to be kept of it goes to `originals`."""
    if facts.local_sender is None and rewrite is None:
        return qualify(field, found, facts.maildomain)
    from pysendmail.message.authors import with_aliases, without_local

    changed = without_local(field, found, facts, originals, notes)
    if changed is field and rewrite is not None:
        changed = with_aliases(field, found, rewrite, facts.maildomain)
    if changed is not field:
        found = address.parse(list_text(changed))
    return qualify(changed, found, facts.maildomain)


def _refuse_loop(fields: list[Field], hops: int) -> None:
    count = max(hops, sum([field.name == b"received" for field in fields]))
    if count > MAX_RECEIVED:
        error = errors.DataError(f"mail loop: the message has made {count} hops (its Received fields, or -h)")
        error.status = "5.4.6"
        raise error


def _address_lists(fields: list[Field], extract: bool, notes: list[str]) -> "dict[int, AddressList]":
    """Parse every address field that matters; a Bcc field that gives no recipient is removed unread."""
    lists = {}
    for index, field in enumerate(fields):
        if field.name in ADDRESS_FIELDS and (extract or not field.name.endswith(b"bcc")):
            lists[index] = found = address.parse(list_text(field))
            notes += [f"{field.name.decode()}: {warning}" for warning in found.warnings]
    return lists


def _nobody(extract: bool, recipients: Recipients) -> errors.Failure:
    if recipients.bad:
        return bad_address(*recipients.bad[0])
    where = "in To, Cc, Bcc or the arguments" if extract else "in the arguments (-t takes them from the header)"
    return errors.UsageError(f"no recipients {where}")
