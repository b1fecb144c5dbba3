"""Who sends: the reverse-path of the envelope, and the address and name that an added From field shows."""

from pysendmail import errors
from pysendmail.message import address
from pysendmail.message.facts import Facts
from pysendmail.message.header import Field, resent_block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.message.address import Mailbox


class Sender:
    """`reverse_path` is b"" for the null sender; `shown` is the address for fields that are added, never empty.

    `name` came with the address of -f. `guessed` says that neither caller nor configuration named the shown address,
    `written` is the domain that they gave it, b"" if none. `replaced` is the address that had to make way for
    local_sender, if any.
    """

    __slots__ = ("guessed", "name", "replaced", "reverse_path", "shown", "written")

    def __init__(self, reverse_path: bytes, shown: bytes, name: bytes, guessed: bool, written: bytes = b"") -> None:
        self.reverse_path = reverse_path
        self.shown = shown
        self.name = name
        self.guessed = guessed
        self.written = written
        self.replaced: bytes | None = None

    @property
    def domain(self) -> bytes:
        """The domain of the address shown, b"" if it is unqualified."""
        return domain_of(self.shown)


def choose(fields: list[Field], facts: Facts) -> Sender:
    """Choose the sender: what -f says, the From field if it is to give it, the account's address, the caller's own.

    A local one makes way for local_sender. Raises errors.DataError for an argument of -f that is no address.
    """
    sender = _chosen(fields, facts)
    own = facts.local_sender
    if own is None or sender.shown == own:
        return sender
    from pysendmail.message.local import is_local

    if not is_local(sender.written, facts.hosts):
        return sender
    new = Sender(own if sender.reverse_path else b"", own, sender.name, False)
    new.replaced = sender.reverse_path or None
    return new


def _chosen(fields: list[Field], facts: Facts) -> Sender:
    if facts.sender is not None:
        mailbox, name = address.parse_sender(facts.sender)
        if mailbox is None:
            return _default(facts, null=True)
        given = canonical(mailbox, facts.maildomain)
        return Sender(given, given, name, False, mailbox.domain)
    if facts.sender_from_header and (mailbox := from_mailbox(fields)):
        given = canonical(mailbox, facts.maildomain)
        return Sender(given, given, b"", False, mailbox.domain)
    return _default(facts)


def from_mailbox(fields: list[Field]) -> "Mailbox | None":
    """Find who answers for the message: the first mailbox of Resent-From in the first resent block, else of From."""
    start, end = resent_block(fields)
    for name, among in ((b"resent-from", fields[start:end]), (b"from", fields)):
        for field in among:
            if field.name == name and (value := field.value):
                mailboxes = address.parse(value).mailboxes
                if mailboxes:
                    return mailboxes[0]
                break
    return None


def header_from(fields: list[Field]) -> bytes | None:
    """Return the address of the From field (of Resent-From in a resent message) as for an envelope; None without one.

    An unqualified address stays unqualified, and a domain that has no A-labels as it is.
    """
    mailbox = from_mailbox(fields)
    if mailbox is None:
        return None
    try:
        return canonical(mailbox, b"")
    except errors.DataError:
        return mailbox.address


def canonical(mailbox: "Mailbox", maildomain: bytes) -> bytes:
    """Return the address as it stands in an envelope: qualified, its domain in A-labels.

    Raises errors.DataError for a domain that has no A-labels.
    """
    domain = mailbox.domain
    if not domain:
        return mailbox.address + b"@" + maildomain if maildomain else mailbox.address
    if domain.isascii():
        return mailbox.address
    return mailbox.address[: -len(domain)] + address.domain_to_ascii(domain)


def domain_of(full: bytes) -> bytes:
    """Return the domain of a canonical address, b"" if it is unqualified."""
    at = full.rfind(b"@")
    return b"" if full.endswith(b'"') else full[at + 1 :] if at >= 0 else b""


def _default(facts: Facts, null: bool = False) -> Sender:
    """Return the sender of a caller who names none, or the null sender with his address."""
    if facts.account_from:
        try:
            mailbox, _ = address.parse_sender(facts.account_from)
            if mailbox is not None:
                shown = canonical(mailbox, facts.maildomain)
                return Sender(b"" if null else shown, shown, b"", False, mailbox.domain)
        except errors.DataError as error:
            raise errors.ConfigError(f"the account's from: {error.text}") from None
    shown = canonical(address.Mailbox(facts.login, b"", 0, 0), facts.maildomain)
    return Sender(b"" if null else shown, shown, b"", True)
