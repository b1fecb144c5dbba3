"""Who gets a report: the sender of the message, found as any other recipient is, through aliases and accounts.

Programs send as a user of this machine, whose name was qualified when the message came; a report to this address would
leave for a domain in which nobody may have such a mailbox. So a sender in a domain of this machine is looked up as the
name that he was. Where the domain is that of `maildomain`, in which people may have mailboxes as well, only a name with
an alias of its own is, and one of root or another user who is no person.
"""

import os

from pysendmail import errors
from pysendmail.command.compose import destinations_written, expander
from pysendmail.command.identity import mail_domain
from pysendmail.config import accounts
from pysendmail.config.localmail import is_system
from pysendmail.message.address import Mailbox, parse
from pysendmail.message.local import is_local
from pysendmail.message.recipients import Recipients

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases
    from pysendmail.config.reader import File
    from pysendmail.queue.settings import Readers


def readers_of(
    account: "Account", file: "File", aliases: "Callable[[Account], Aliases | None]"
) -> "Callable[[bytes], Readers]":
    """Return what finds who gets a report on a message of an account; `aliases` finds those of an account."""

    def find(to: bytes) -> "Readers":
        try:
            return _find(to, account, file, aliases)
        except errors.Failure:  # an alias that is wrong, say: its owner hears of it when mail is sent there
            return [to], account.name

    return find


def _find(
    to: bytes, account: "Account", file: "File", aliases: "Callable[[Account], Aliases | None]"
) -> "Readers":
    base, destinations = account, None
    if destinations_written(file):
        default, _ = accounts.choose(file)
        if account.recipient_domains or account.name == default.name:
            from pysendmail.config.destinations import Destinations

            base, destinations = default, Destinations(file, None)
    found = _expanded(to, base, aliases(base)) or [to]
    if destinations is None:
        return found, base.name
    ways = {own[0].name if (own := destinations.find(one)) is not None else base.name for one in found}
    return found, ways.pop() if len(ways) == 1 else base.name


def _expanded(to: bytes, account: "Account", known: "Aliases | None") -> list[bytes]:
    """Return whom an address stands for, nobody if it may not be looked up. Raises Failure."""
    parsed = parse(to)
    if parsed.errors or len(parsed.mailboxes) != 1:
        return []
    mailbox = parsed.mailboxes[0]
    name, domain = Mailbox(mailbox.local, b"", 0, 0), mailbox.domain.lower()
    if not is_local(domain, frozenset((os.fsencode(os.uname().nodename).lower(),))):
        own = known is not None and known.find(name) is not None
        if domain != mail_domain(account).lower() or not (own or is_system(name.local)):
            return []
    expand = expander(account, known.expansion().expand if known is not None else None)
    given = Recipients(mail_domain(account), True, expand)
    given.take(name.address, parse(name.address))
    return given.addresses()
