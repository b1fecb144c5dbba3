"""Who gets mail for names of this machine that no alias knows: the words system_mail and local_mail."""

from pysendmail.config.accounts import mailname
from pysendmail.config.alias_syntax import Final, listed
from pysendmail.message.address import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account
    from pysendmail.message.address import Mailbox
    from pysendmail.message.recipients import Expand

_FIRST_PERSON = 1000


class LocalMail:
    """What the words say, behind the aliases of an account, which `aliases` expands if there are any."""

    __slots__ = ("_aliases", "_local", "_names", "_system")

    def __init__(self, account: "Account", aliases: "Expand | None") -> None:
        self._aliases = aliases
        self._system = parse(account.system_mail).mailboxes if account.system_mail else None
        self._local = parse(account.local_mail).mailboxes if account.local_mail else None
        greeting = (account.domain or "").encode("ascii", "replace")
        self._names = {b"localhost", greeting.lower(), (mailname() or b"").lower()} if account.local_mail else set()

    def expand(self, mailbox: "Mailbox") -> "list[Mailbox] | None":
        """Return what a recipient stands for, None if nothing is said about him; see Expansion.expand."""
        found = self._aliases(mailbox) if self._aliases is not None else None
        if found is None:
            return self._of_this_machine(mailbox)
        # An alias may lead to a name that has none.
        return [target for one in found for target in self._behind(one)]

    def _behind(self, one: "Mailbox") -> "list[Mailbox]":
        found = self._of_this_machine(one)
        if found is None:
            return [one]
        return [listed(target, one.owner) for target in found] if one.owner else found

    def _of_this_machine(self, mailbox: "Mailbox") -> "list[Mailbox] | None":
        if isinstance(mailbox, Final):
            return None
        if self._system is not None and not mailbox.domain and is_system(mailbox.local):
            return self._system
        if self._local is not None and (not mailbox.domain or mailbox.domain.lower() in self._names):
            return self._local
        return None


def is_system(name: bytes) -> bool:
    """Tell whether a name is that of root or another user who is no person."""
    import pwd

    try:
        return pwd.getpwnam(name.decode("utf-8", "surrogateescape")).pw_uid < _FIRST_PERSON
    except (KeyError, ValueError):
        return False
