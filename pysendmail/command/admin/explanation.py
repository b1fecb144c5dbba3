"""What would become of a message: everything that is certain before a server is asked, and nothing is sent."""

from pysendmail import errors
from pysendmail.command.compose import aliases_of, choose_account, compose_all, expander
from pysendmail.command.identity import mail_domain
from pysendmail.message import address
from pysendmail.message.header import resent_block
from pysendmail.message.recipients import Recipients, list_text
from pysendmail.message.render import render
from pysendmail.message.sender import from_mailbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pysendmail.command.compose import Composed
    from pysendmail.command.identity import Caller
    from pysendmail.command.intake import Message
    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases
    from pysendmail.config.callers import Rule
    from pysendmail.config.reader import File
    from pysendmail.daemon.policy import Policy
    from pysendmail.delivery.parcel import Parcel
    from pysendmail.message.address import Mailbox
    from pysendmail.message.render import Rendered
    from pysendmail.options import Options

_PLAIN = (b"to", b"cc", b"bcc")
_RESENT = (b"resent-to", b"resent-cc", b"resent-bcc")


class Explanation:
    """What is known; what was not reached because of `failure` is None or empty.

    `sent` is the message for a server that offers everything; `plain` for one that offers nothing, or why it would be
    refused. `origins` says for each recipient where he comes from. Where recipients go different ways this is about the
    first part of the message, and `others` are the rest.
    """

    __slots__ = (
        "account", "composed", "failure", "origins", "others", "plain", "reason", "rule", "sender_origin", "sent",
    )  # fmt: skip

    def __init__(self) -> None:
        self.others: list[Explanation] = []
        self.rule: Rule | None = None
        self.account: Account | None = None
        self.reason = ""
        self.composed: Composed | None = None
        self.sender_origin = ""
        self.origins: dict[bytes, str] = {}
        self.sent: Rendered | None = None
        self.plain: Rendered | errors.Failure | None = None
        self.failure: errors.Failure | None = None


class Explainer:
    """One submission to be explained; `received` tells that a daemon would take it."""

    __slots__ = ("_aliases", "_caller", "_file", "_message", "_now", "_options", "_policy", "_qid", "_received")

    def __init__(
        self,
        options: "Options",
        caller: "Caller",
        file: "File",
        message: "Message",
        policy: "Policy",
        *,
        now: float,
        qid: str,
        received: bool,
        aliases: "Callable[[Account], Aliases | None] | None" = None,
    ) -> None:
        self._options = options
        self._caller = caller
        self._file = file
        self._message = message
        self._policy = policy
        self._now = now
        self._qid = qid
        self._received = received
        self._aliases = aliases or (lambda account: aliases_of(account, file))

    def explain(self) -> Explanation:
        """Go the way of a message until its end, or until something refuses it."""
        found = Explanation()
        try:
            self._go(found)
        except errors.Failure as failure:
            found.failure = failure
        return found

    def _go(self, found: Explanation) -> None:
        from pysendmail.daemon.policy import check_senders, check_size

        options, caller, file, message = self._options, self._caller, self._file, self._message
        found.rule = rule = self._policy.rule_of(caller)
        forced = None if rule is None else rule.use_account
        found.account, found.reason = chosen = choose_account(file, options, caller, message, None, forced)
        base = found.account
        if rule is not None:
            check_size(rule, sum([len(field.raw) for field in message.fields]) + message.body.size)
        parts = compose_all(
            options, caller, file, message, now=self._now, qid=self._qid, chosen=chosen, received=self._received,
            aliases=self._aliases,
        )  # fmt: skip
        found.others = [Explanation() for _ in parts[1:]]
        for one, composed in zip([found, *found.others], parts, strict=True):
            one.account, one.reason, one.composed = composed.account, composed.reason, composed
            one.origins = self._origins(base, composed)
            one.sender_origin = self._sender_origin(composed.account, composed)
            if rule is not None:
                before = composed.sender
                check_senders(rule, caller, composed, any(one.name == b"from" and one.value for one in message.fields))
                if composed.sender != before:
                    one.sender_origin = f"align; {one.sender_origin} gave <{before.decode('utf-8', 'backslashreplace')}>"
            _render(one, composed.parcel)

    def _sender_origin(self, account: "Account", composed: "Composed") -> str:
        options = self._options
        if not account.allow_from_override:
            origin = "from of the account, which -f may not override"
        elif options.sender is not None:
            origin = "-f"
        elif (options.read_envelope_from or account.sender_from_header) and from_mailbox(self._message.fields):
            origin = "the From field"
        elif account.sender:
            origin = "from of the account"
        else:
            origin = "the login of the caller"
        if composed.replaced is not None:
            origin = f"local_sender of the account; {origin} gave <{composed.replaced.decode('utf-8', 'backslashreplace')}>"
        if composed.owner is not None:
            return f"the owner of the list; {origin} gave <{composed.sender.decode('utf-8', 'backslashreplace')}>"
        return f"null_sender of the account; {origin} gave <>" if account.null_sender and not composed.sender else origin

    def _origins(self, account: "Account", composed: "Composed") -> dict[bytes, str]:
        """Say where each recipient comes from first; whoever is named twice gets one copy."""
        known = self._aliases(account)
        expand = expander(account, known.expand if known is not None else None)
        domain = mail_domain(account)
        found: dict[tuple[bytes, bytes], str] = {}
        for origin, mailbox in self._named():
            targets = expand(mailbox) if expand is not None else None
            if targets is not None:
                name = mailbox.local.decode("utf-8", "backslashreplace")
                origin = f"alias {name} in {origin}"
            for target in [mailbox] if targets is None else targets:
                found.setdefault(_key(target, domain), origin)
        return {one: found.get(_parsed(one).key, "") for one in composed.parcel.recipients}

    def _named(self) -> "Iterator[tuple[str, Mailbox]]":
        """Yield everybody who is named as a recipient, with where."""
        fields, options = self._message.fields, self._options
        if options.extract:
            resent = [field for field in fields[slice(*resent_block(fields))] if field.name in _RESENT]
            for field in resent or [field for field in fields if field.name in _PLAIN]:
                for mailbox in address.parse(list_text(field)).mailboxes:
                    yield field.name.decode().title(), mailbox
        for argument in options.recipients:
            for mailbox in address.parse(argument).mailboxes:
                yield "the arguments", mailbox


def _render(found: Explanation, parcel: "Parcel") -> None:
    """Find out what the message is like for a server that offers everything, and for one that offers nothing."""
    everybody = [parcel.reverse_path, *parcel.recipients]
    found.sent = render(parcel.fields, parcel.body, everybody, eight_bit_ok=True, utf8_ok=True)
    try:
        found.plain = render(parcel.fields, parcel.body, everybody, eight_bit_ok=False, utf8_ok=False)
    except errors.Failure as failure:
        found.plain = failure


def policy_for(file: "File", own: int) -> "Policy":
    """Return what the sections of a file permit, for a look that uses up nothing."""
    from pysendmail.daemon.policy import Policy

    return Policy(file.daemon.callers if file.written is not None else [], own, lambda uid: 0)


def certain_code(found: Explanation, queued: bool) -> int:
    """Return the exit code that is certain already: 0 if nothing is wrong as far as can be told."""
    if found.failure is not None:
        return found.failure.exit_code
    if found.composed is not None and found.composed.bad and not queued:
        return errors.DataError.exit_code
    return 0


def _key(mailbox: "Mailbox", domain: bytes) -> tuple[bytes, bytes]:
    """Return what a recipient is known by, qualified as an envelope has him."""
    own = Recipients(domain, True, None)
    own.take(b"", _Alone(mailbox))
    for full in own.addresses():
        return _parsed(full).key
    return mailbox.key


class _Alone(address.AddressList):
    """A list of one mailbox."""

    __slots__ = ()

    def __init__(self, mailbox: "Mailbox") -> None:
        super().__init__()
        self.mailboxes.append(mailbox)


def _parsed(full: bytes) -> "Mailbox":
    return address.parse(full).mailboxes[0]
