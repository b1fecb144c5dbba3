"""Who calls, and from where: getuid() and the password file, never $USER or $LOGNAME."""

import os
import pwd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account

MAILNAME = "/etc/mailname"


class Caller:
    """The user who runs the command; `home` is $HOME, else the password file's, else None."""

    __slots__ = ("gecos", "home", "login", "uid")

    def __init__(self) -> None:
        self.uid = os.getuid()
        try:
            entry = pwd.getpwuid(self.uid)
        except KeyError:
            self.login, self.gecos, folder = str(self.uid).encode(), b"", ""
        else:
            self.login, self.gecos, folder = os.fsencode(entry.pw_name), os.fsencode(entry.pw_gecos), entry.pw_dir
        self.home: str | None = os.environ.get("HOME") or folder or None


def mail_domain(account: "Account") -> bytes:
    """Return the domain that qualifies names: the word maildomain, /etc/mailname, `from`'s domain, or this machine's name."""
    if account.maildomain:
        return account.maildomain
    name = _mailname()
    if name:
        return name
    if account.sender and b"@" in account.sender:
        return account.sender.rpartition(b"@")[2]
    return os.fsencode(os.uname().nodename) or b"localhost"


def _mailname() -> bytes:
    """Return the first line of /etc/mailname, if it is a domain."""
    try:
        descriptor = os.open(MAILNAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        line = os.read(descriptor, 1024).split(b"\n", 1)[0].strip()
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    good = line.isascii() and line.replace(b".", b"").replace(b"-", b"").replace(b"_", b"").isalnum()
    return line if good and not line.startswith(b".") and b".." not in line else b""
