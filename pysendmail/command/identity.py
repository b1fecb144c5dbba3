"""Who calls, and from where: getuid() and the password file, never $USER or $LOGNAME."""

import os
import pwd

from pysendmail.config.accounts import NO_UID, NOBODY, mailname
from pysendmail.message.address import domain_to_ascii

__all__ = ["NO_UID", "Caller", "forbid_core_dumps", "mail_domain", "own_names"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account


class Caller:
    """The user who calls; `login` and `gecos` are of the password file, a uid without a name is a login too.

    `home` is $HOME, which only finds the caller's own configuration, else the password file's folder, else empty.
    """

    __slots__ = ("gecos", "home", "login", "uid")

    def __init__(self) -> None:
        """Take the user who runs this process."""
        self._look_up(os.getuid())
        home = os.environ.get("HOME", "")
        if home.startswith("/"):
            self.home = home

    @classmethod
    def of(cls, uid: int) -> "Caller":
        """Return the user of a uid as the password file knows him; nothing of this process goes into it."""
        if uid == NO_UID:
            return cls.of_nobody()
        caller = cls.__new__(cls)
        caller._look_up(uid)
        return caller

    @classmethod
    def of_nobody(cls) -> "Caller":
        """Return who stands for a peer of the loopback listener: he has no uid, and a name that shows it."""
        caller = cls.__new__(cls)
        caller.uid, caller.login, caller.gecos, caller.home = NO_UID, NOBODY.encode(), b"", ""
        return caller

    def _look_up(self, uid: int) -> None:
        self.uid = uid
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            self.login, self.gecos, self.home = str(uid).encode(), b"", ""
        else:
            self.login, self.gecos = os.fsencode(entry.pw_name), os.fsencode(entry.pw_gecos)
            self.home = entry.pw_dir


def mail_domain(account: "Account") -> bytes:
    """Return the domain that qualifies names: the word maildomain, /etc/mailname, `from`'s domain, this machine's name.

    It is in A-labels. Raises DataError where it has none.
    """
    sender = account.sender or b""
    named = account.maildomain or mailname() or (sender.rpartition(b"@")[2] if b"@" in sender else b"")
    if not named:
        return os.fsencode(os.uname().nodename) or b"localhost"
    return named if named.isascii() else domain_to_ascii(named)


def own_names(account: "Account") -> frozenset[bytes]:
    """Return what this machine is called, in lower case, but for a domain in which the account has its addresses."""
    names = {os.fsencode(os.uname().nodename).lower(), (mailname() or b"").lower()}
    for sender in (account.sender, account.local_sender):
        names.discard((sender or b"").rpartition(b"@")[2].lower())
    return frozenset(names - {b""})


def forbid_core_dumps() -> None:
    """See to it that no secret ends up in a core file."""
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        pass  # a limit that may not even be lowered is no reason to lose the message
