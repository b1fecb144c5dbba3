"""A message whose recipients go different ways, in parts: one for each account, and for each sender that a list has.

Which recipients there are is known only after the expansion of aliases, which is done once, as the account says that
the whole message would have. Each part is then prepared as its own account says, for its recipients alone, and they all
have the same Message-ID.
"""

from pysendmail import errors
from pysendmail.command.compose import Composed, aliases_of, compose, expander
from pysendmail.command.envelope import Envelope
from pysendmail.command.identity import mail_domain, own_names
from pysendmail.config import accounts
from pysendmail.message import address
from pysendmail.message.address import Mailbox
from pysendmail.message.local import is_local
from pysendmail.message.prepare import prepare
from pysendmail.message.recipients import Recipients
from pysendmail.message.sender import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.command.envelope import Each
    from pysendmail.command.identity import Caller
    from pysendmail.command.intake import Message
    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases
    from pysendmail.config.reader import File
    from pysendmail.message.facts import Facts
    from pysendmail.message.header import Field
    from pysendmail.message.prepare import Prepared
    from pysendmail.message.recipients import Expand
    from pysendmail.options import Options

    FindAliases = Callable[[Account], Aliases | None]

_ADDED = (b"date", b"message-id")


class _Part(Envelope):
    """The recipients of one part; `each` are the parameters that they have of their own."""

    __slots__ = ("_each", "account", "addresses", "owner", "reason")

    def __init__(self, account: "Account", reason: str, owner: bytes) -> None:
        super().__init__(None, [])
        self.account = account
        self.reason = reason
        self.owner = owner
        self.addresses: list[bytes] = []
        self._each: Each | None = None

    def come_from(self, whole: Composed, options: "Options", envelope: Envelope | None) -> None:
        """Take what the envelope of the whole says for these recipients."""
        self.sender = options.sender if envelope is None else envelope.sender
        if envelope is not None:
            self.ret, self.envid = envelope.ret, envelope.envid
        each = whole.parcel.each
        self._each = None if each is None else {one: each[one] for one in self.addresses}

    def prepare(
        self, fields: "list[Field]", facts: "Facts", account: "Account", expand: "Expand | None", hops: int
    ) -> "tuple[Prepared, Each | None]":
        """Prepare the message for the recipients, who stand for nobody else any more."""
        given = Recipients(facts.maildomain, False, None)
        for one in self.addresses:
            given.take(one, address.parse(one))
        rewrite = expand if account.aliases_headers else None
        prepared = prepare(fields, facts, extract=False, arguments=[], given=given, hops=hops, rewrite=rewrite)
        return prepared, self._each


def parts(
    whole: Composed,
    options: "Options",
    caller: "Caller",
    file: "File",
    message: "Message",
    now: float,
    envelope: Envelope | None,
    received: bool,
    aliases: "FindAliases | None",
) -> list[Composed]:
    """Return the parts of a message that was composed as a whole, itself if it has only one way. Raises Failure."""
    found = _divide(whole, file, caller.uid)
    if len(found) == 1 and not found[0].owner and found[0].account is whole.account:
        return [whole]
    find = aliases or (lambda account: aliases_of(account, file))
    of_senders = _Owners(whole, find)
    made: list[Composed] = []
    for number, part in enumerate(found):
        part.come_from(whole, options, envelope)
        one = compose(
            options, caller, file, _with_id_of(made[0], message) if made else message,
            now=now, qid=whole.qid if not made else _next_id(whole.qid, now), envelope=part, received=received,
            chosen=(part.account, part.reason), aliases=find,
        )  # fmt: skip
        one.base = whole.account
        if len(found) > 1:
            one.reason = f"{part.reason}, part {number + 1} of {len(found)}"
        if not made:
            one.bad, one.notes = whole.bad, _notes(whole, part.account)
        elif part.account is whole.account:
            one.notes = []
        if part.owner and one.sender and part.account.allow_from_override:
            of_senders.give(one, part.owner)
        made.append(one)
    return made


def _divide(whole: Composed, file: "File", uid: int) -> list[_Part]:
    """Put recipients together that have the same account and the same owner, in their order."""
    find = None
    if whole.reason is accounts.BY_DEFAULT:
        from pysendmail.config.destinations import Destinations

        find = Destinations(file, uid).find
    found: dict[tuple[str, bytes], _Part] = {}
    for one in whole.parcel.recipients:
        own = find(one) if find is not None else None
        if own is None or own[0].name == whole.account.name:
            own = whole.account, whole.reason
        owner = whole.owners.get(one, b"")
        part = found.get((own[0].name, owner))
        if part is None:
            part = found[own[0].name, owner] = _Part(*own, owner)
        part.addresses.append(one)
    return list(found.values())


class _Owners:
    """The addresses of those who get what comes back from lists."""

    __slots__ = ("_aliases", "_known", "_of")

    def __init__(self, whole: Composed, aliases: "FindAliases") -> None:
        self._of = whole.account
        self._aliases = aliases
        self._known: dict[bytes, bytes] = {}

    def give(self, part: Composed, owner: bytes) -> None:
        """Let what comes back of a part go to the owner of its list, who alone decides on reports too (RFC 3461 5.2.7.3)."""
        account, parcel = part.account, part.parcel
        found = self._known.get(owner)
        if found is None:
            found = self._known[owner] = self._address(owner)
        if account.local_sender and is_local(found.rpartition(b"@")[2], own_names(account)):
            found = account.local_sender
        part.owner = parcel.reverse_path = found
        parcel.notify, parcel.ret, parcel.envid, parcel.each = account.dsn_notify, account.dsn_return, None, None
        part.notes.append(f"sent as <{found.decode('utf-8', 'backslashreplace')}>, the owner of its list")

    def _address(self, owner: bytes) -> bytes:
        """Return whom an owner's alias stands for, if that is one address, else its name in our domain."""
        known = self._aliases(self._of)
        expand = expander(self._of, known.expand if known is not None else None)
        itself, domain = Mailbox(owner, b"", 0, 0), mail_domain(self._of)
        try:
            found = expand(itself) if expand is not None else None
        except errors.NoUser:
            found = None  # it is a program, perhaps
        return canonical(found[0] if found is not None and len(found) == 1 else itself, domain)


def _notes(whole: Composed, account: "Account") -> list[str]:
    """Return the notes on the whole message for a part of this account."""
    if account is whole.account:
        return whole.notes
    return [*account.notes, *[note for note in whole.notes if note not in whole.account.notes]]


def _with_id_of(first: Composed, message: "Message") -> "Message":
    """Return the message with the Message-ID and Date that its first part has, without the notes that are told already."""
    from pysendmail.command.intake import Message

    fields = first.parcel.fields
    assert isinstance(fields, list)
    known = {field.name for field in message.fields if field.value}
    added = [field for field in fields if field.name in _ADDED and field.name not in known]
    return Message([*message.fields, *added], message.body, message.empty, [])


def _next_id(not_this: str, now: float) -> str:
    from pysendmail.queue.bounce import ids

    qid = ids.next(now)
    return qid if qid != not_this else ids.next(now)
