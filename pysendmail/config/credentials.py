"""Where the password comes from, in this order: the word `password`, the word `passwordeval`, systemd's credentials,
netrc files, a question on the terminal.

systemd's LoadCredential= and SetCredential= hand files over in $CREDENTIALS_DIRECTORY. Those named
`pysendmail.ACCOUNT` (for one account) and `pysendmail.password` (for any) are ours, in this order; their first line is
the password. Other names are never looked at: they may be the secrets of the service that calls us.

netrc files are ~/.netrc, then /etc/netrc.
"""

from pysendmail import errors
from pysendmail.log import printable
from pysendmail.smtp.sasl import Credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Login(Protocol):
        """What is asked of an account; `auth` is off, on, or the one mechanism to use."""

        @property
        def name(self) -> str: ...
        @property
        def auth(self) -> bool | bytes: ...
        @property
        def user(self) -> bytes | None: ...
        @property
        def password(self) -> bytes | None: ...
        @property
        def passwordeval(self) -> bytes | None: ...
        @property
        def host(self) -> str: ...
        @property
        def port(self) -> int: ...
        @property
        def tls_cert_file(self) -> str | None: ...
        def place_of(self, word: str, /) -> str: ...


SYSTEM_NETRC = "/etc/netrc"
_CREDENTIAL_LIMIT = 65536


def find(
    account: "Login", *, home: str | None, environ: "Mapping[str, str]", tty: bool, system_netrc: str = SYSTEM_NETRC
) -> Credentials | None:
    """Return user and password (or token) for the account, or None if it is to send without a login.

    `tty` permits a question on the terminal, if there is one; `home` is the caller's home folder. The secret is empty
    where a client certificate takes its place. Raises ConfigError if what is needed is nowhere to be found, and what
    `passwordeval.run` and `netrc.find` raise.
    """
    if account.auth is False:
        return None
    user = account.user or b""
    if account.auth == b"EXTERNAL":
        return Credentials(user)
    secret = _stored(account, environ, tty)
    if secret is None:
        user, secret = _from_netrc(account, user, home, system_netrc)
    if secret is None and account.tls_cert_file and account.auth is True:
        return Credentials(user)  # the client certificate is the proof (AUTH EXTERNAL)
    if not user and account.auth != b"OAUTHBEARER":
        place = account.place_of("auth")
        raise errors.ConfigError("auth is on, but there is no user: add the word user, or write auth off", place)
    if secret is None and tty:
        from pysendmail.config import prompt

        secret = prompt.ask(f"password for {printable(user, 200)} at {account.host}: ") or None
    if secret is None:
        # The user is not named: the file may be any that a caller pointed at, and its content is not shown.
        place = account.place_of("user")
        raise errors.ConfigError("there is no password for this user: add passwordeval, or a netrc entry", place)
    return Credentials(user, secret)


def _stored(account: "Login", environ: "Mapping[str, str]", tty: bool) -> bytes | None:
    """Return the password that the configuration or systemd gives, or a command."""
    if account.password is not None:
        return account.password
    if account.passwordeval:
        from pysendmail.config import passwordeval

        place = account.place_of("passwordeval")
        return passwordeval.run(account.passwordeval, environ=environ, place=place, terminal=tty)
    return _from_directory(environ.get("CREDENTIALS_DIRECTORY", ""), account.name)


def _from_directory(folder: str, name: str) -> bytes | None:
    """Return the password from systemd's credentials."""
    if not folder.startswith("/"):
        return None
    from pysendmail.config import secretfile

    names = [f"pysendmail.{name}"] if name and "/" not in name else []
    for candidate in (*names, "pysendmail.password"):
        found = secretfile.read(f"{folder}/{candidate}", _CREDENTIAL_LIMIT)
        if found is not None and (line := secretfile.first_line(found[0])):
            return line
    return None


def _from_netrc(account: "Login", user: bytes, home: str | None, system_netrc: str) -> tuple[bytes, bytes | None]:
    """Return user and password from the netrc files; the user is theirs to give where the account names none."""
    from pysendmail.config import netrc

    own = [f"{home}/.netrc"] if home else []
    entry = netrc.find([*own, system_netrc], account.host.encode("utf-8", "surrogateescape"), user, account.port)
    return (user, None) if entry is None else (user or entry.login or b"", entry.password)
