"""Who calls, and from where: getuid() and the password file, never $USER or $LOGNAME."""

import os
import pwd

from pysendmail.config.accounts import mailname
from pysendmail.message.address import domain_to_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account


class Caller:
    """The user who runs the command; `login` and `gecos` are of the password file, a uid without a name is a login too.

    `home` is $HOME, which only finds the caller's own configuration, else the password file's folder, else empty.
    """

    __slots__ = ("gecos", "home", "login", "uid")

    def __init__(self) -> None:
        self.uid = os.getuid()
        folder = ""
        try:
            entry = pwd.getpwuid(self.uid)
        except KeyError:
            self.login, self.gecos = str(self.uid).encode(), b""
        else:
            self.login, self.gecos = os.fsencode(entry.pw_name), os.fsencode(entry.pw_gecos)
            folder = entry.pw_dir
        home = os.environ.get("HOME", "")
        self.home = home if home.startswith("/") else folder


def mail_domain(account: "Account") -> bytes:
    """Return the domain that qualifies names: the word maildomain, /etc/mailname, `from`'s domain, this machine's name.

    It is in A-labels. Raises DataError where it has none.
    """
    sender = account.sender or b""
    named = account.maildomain or mailname() or (sender.rpartition(b"@")[2] if b"@" in sender else b"")
    if not named:
        return os.fsencode(os.uname().nodename) or b"localhost"
    return named if named.isascii() else domain_to_ascii(named)


def forbid_core_dumps() -> None:
    """See to it that no secret ends up in a core file."""
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        pass  # a limit that may not even be lowered is no reason to lose the message
