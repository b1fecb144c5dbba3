"""From what a caller wants and the message he gives to an account and a parcel; whoever accepts messages does it here.

Nothing here asks the process who calls: the command and the daemon say so, and get the same parcel.
"""

import os
from time import localtime

from pysendmail import entry, errors
from pysendmail.command.identity import NO_UID, mail_domain, own_names
from pysendmail.config import accounts
from pysendmail.delivery.parcel import Parcel
from pysendmail.log import printable
from pysendmail.message.address import parse_sender
from pysendmail.message.facts import Facts
from pysendmail.message.prepare import header_from, prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.command.envelope import Envelope
    from pysendmail.command.identity import Caller
    from pysendmail.command.intake import Message
    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases
    from pysendmail.config.reader import File
    from pysendmail.message.prepare import Prepared
    from pysendmail.message.recipients import Expand
    from pysendmail.options import Options

_NOTES = 20  # what a message may add to the log for being odd


class Composed:
    """A submission that is ready, or a part of one: its account and why it was taken, the parcel, what the log has to know.

    `sender` is the reverse-path before the word null_sender; `bad` are recipients that were skipped, as (text, reason);
    `replaced` is what the word local_sender had to replace. `owners` are those of lists, by recipient; `owner` is the
    reverse-path that one of them is, None if none is. `base` is the account whose words `queue` and `delivery` hold, the
    same for all parts. `notes` are for the log.
    """

    __slots__ = ("account", "bad", "base", "notes", "owner", "owners", "parcel", "qid", "reason", "replaced", "sender")

    def __init__(
        self, qid: str, account: "Account", reason: str, parcel: Parcel, prepared: "Prepared", notes: list[str]
    ) -> None:
        self.qid = qid
        self.account = self.base = account
        self.reason = reason
        self.parcel = parcel
        self.sender = prepared.sender
        self.replaced = prepared.replaced
        self.owners = prepared.owners
        self.owner: bytes | None = None
        self.bad = prepared.bad
        self.notes = notes


def compose(
    options: "Options",
    caller: "Caller",
    file: "File",
    message: "Message",
    *,
    now: float,
    qid: str,
    envelope: "Envelope | None" = None,
    received: bool = False,
    chosen: "tuple[Account, str] | None" = None,
    forced: str | None = None,
    aliases: "Callable[[Account], Aliases | None] | None" = None,
) -> Composed:
    """Return what leaves for a message. Raises Failure, and then nothing may leave.

    `envelope` is that of an SMTP session, which alone gives sender and recipients. `received` puts a Received field on
    top. `chosen` is what choose_account returned, if it was asked, else `forced` the account that it has to be.
    `aliases` finds the aliases of an account.
    """
    account, reason = chosen or choose_account(file, options, caller, message, envelope, forced)
    if message.empty and not account.allow_empty:
        raise errors.DataError("the input is empty; nothing was sent (allow_empty on would send it)")
    known = aliases(account) if aliases is not None else aliases_of(account, file)
    expansion = known.expansion() if known is not None else None
    expand = expander(account, expansion.expand if expansion is not None else None)
    facts = _facts(options, caller, account, now, qid, envelope)
    if envelope is None:
        prepared = prepare(
            message.fields,
            facts,
            extract=options.extract,
            arguments=options.recipients,
            extract_minus_args=account.extract_minus_args,
            bad_recipients_skip=account.bad_recipients == "skip",
            expand=expand,
            hops=options.hops or 0,
            rewrite=expand if account.aliases_headers else None,
        )
        each = None
    else:
        prepared, each = envelope.prepare(message.fields, facts, account, expand, options.hops or 0)
    if received:
        from pysendmail.command.received import received_field

        shown = file.written is not None and file.written.received_user and caller.uid != NO_UID
        prepared.fields.insert(0, received_field(account, qid, facts, caller.uid if shown else None))
    parcel = Parcel(
        prepared.fields,
        message.body,
        prepared.sender or account.null_sender or b"",
        prepared.recipients,
        options.notify or account.dsn_notify,
        (envelope.ret if envelope is not None else None) or options.ret or account.dsn_return,
        (envelope.envid if envelope is not None else None) or options.envid,
        each,
    )
    notes = [*account.notes, *message.notes, *prepared.notes, *(expansion.notes if expansion is not None else ())]
    return Composed(qid, account, reason, parcel, prepared, notes)


def compose_all(
    options: "Options",
    caller: "Caller",
    file: "File",
    message: "Message",
    *,
    now: float,
    qid: str,
    envelope: "Envelope | None" = None,
    received: bool = False,
    chosen: "tuple[Account, str] | None" = None,
    forced: str | None = None,
    aliases: "Callable[[Account], Aliases | None] | None" = None,
) -> list[Composed]:
    """Return what leaves for a message, in as many parts as its recipients have ways to go; see compose."""
    whole = compose(
        options, caller, file, message, now=now, qid=qid, envelope=envelope, received=received, chosen=chosen,
        forced=forced, aliases=aliases,
    )  # fmt: skip
    if not whole.owners and (whole.reason is not accounts.BY_DEFAULT or not destinations_written(file)):
        return [whole]
    from pysendmail.command.parts import parts

    return parts(whole, options, caller, file, message, now, envelope, received, aliases)


def destinations_written(file: "File") -> bool:
    """Tell whether an account of a file asks for recipients by their domains."""
    return len(file.accounts) > 1 and any(["recipient_domains" in one.words for one in file.accounts.values()])


def choose_account(
    file: "File",
    options: "Options",
    caller: "Caller",
    message: "Message | None",
    envelope: "Envelope | None" = None,
    forced: str | None = None,
) -> "tuple[Account, str]":
    """Choose by -a, by the sender, by the From field, or take the default; return the account and the reason.

    `forced` is the only one that this caller may use. Raises NoPermission for another that he asks for.
    """
    if forced is not None:
        name = forced.encode("latin-1")
        if options.account not in (None, name):
            raise errors.NoPermission("this caller may not choose the account (use_account names the one)")
        account, _ = accounts.choose(file, account=name, uid=caller.uid)
        return account, f"{accounts.named(file.accounts[forced])}, the only one for this caller"
    text = options.sender if envelope is None else envelope.sender
    sender = None
    if text:
        mailbox = parse_sender(text)[0]
        sender = mailbox.address if mailbox is not None else None
    shown = None if message is None else lambda: header_from(message.fields)
    return accounts.choose(file, account=options.account, sender=sender, header_from=shown, uid=caller.uid)


def aliases_of(account: "Account", file: "File") -> "Aliases | None":
    """Return the aliases that hold for the account, None without an alias file. Raises ConfigError.

    Where the system's daemon should be, its aliases hold for what is done without it as well.
    """
    instead = accounts.is_system(file.place) and os.path.isdir(os.path.dirname(entry.SYSTEM_SOCKET))
    name = accounts.alias_file(account, instead)
    if name is None:
        return None
    from pysendmail.config import aliases

    return aliases.load(name)


def expander(account: "Account", expand: "Expand | None") -> "Expand | None":
    """Return what expands a recipient: the aliases, which `expand` does if there are any, and the words behind them."""
    if account.local_mail is None and account.system_mail is None:
        return expand
    from pysendmail.config.localmail import LocalMail

    return LocalMail(account, expand).expand


def log_tag(options: "Options") -> str:
    """Return the tag of the log's lines about a message."""
    return printable(options.tag or b"", 64).replace(" ", "_") or "pysendmail"


def intake_lines(composed: Composed, options: "Options", uid: int) -> list[tuple[str, str]]:
    """Return what the log says of a message that came in, as (part, text without the id)."""
    fields = composed.parcel.fields
    found = [field.value for field in fields if field.name == b"message-id"] if isinstance(fields, list) else []
    lines = [
        ("pickup", f"uid={uid} from=<{printable(composed.sender, 320)}>"),
        ("cleanup", f"message-id={printable(found[0] if found else b'', 320)}"),
    ]
    notes = composed.notes
    lines += [("cleanup", f"note: {printable(text)}") for text in notes[:_NOTES]]
    if len(notes) > _NOTES:
        lines.append(("cleanup", f"note: {len(notes) - _NOTES} more of the kind"))
    lines += [("pickup", f"note: ignored {printable(ignored, 64)}") for ignored in options.ignored]
    lines.append(("pickup", f"note: account: {printable(composed.reason)}"))
    return lines


def _facts(
    options: "Options", caller: "Caller", account: "Account", now: float, qid: str, envelope: "Envelope | None"
) -> Facts:
    sender = options.sender if envelope is None else envelope.sender
    return Facts(
        login=caller.login,
        gecos=caller.gecos,
        maildomain=mail_domain(account),
        now=now,
        utc_offset=localtime(now).tm_gmtoff // 60,
        unique=f"{qid}.{os.urandom(6).hex()}".encode(),
        privacy=account.privacy,
        sender=sender if account.allow_from_override else account.sender,
        full_name=options.full_name,
        account_from=account.sender,
        account_full_name=account.from_full_name,
        sender_from_header=options.read_envelope_from or account.sender_from_header,
        set_from_header=account.set_from_header,
        set_date_header=account.set_date_header,
        set_msgid_header=account.set_msgid_header,
        undisclosed_recipients=account.undisclosed_recipients,
        local_sender=account.local_sender,
        hosts=own_names(account) if account.local_sender or account.set_from_header == "on" else frozenset(),
    )
