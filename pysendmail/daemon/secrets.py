"""Finding the secrets that deliver needs while it has the rights to read them."""

import os

from pysendmail import errors
from pysendmail.config import accounts, credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.reader import File


def gather(file: "File", home: str) -> None:
    """Put into each account the password that systemd's credentials or netrc have for it, as if it stood in the file.

    A password command is not run: that is done by deliver as its own user, when it is needed. An account whose password
    is nowhere keeps none, and its messages wait until there is one.
    """
    for section in file.accounts.values():
        account = accounts.Account(file, section)
        if account.password is not None or account.passwordeval is not None or account.auth in (False, b"EXTERNAL"):
            continue
        try:
            found = credentials.find(account, home=home or None, environ=os.environ, tty=False)
        except errors.Failure:
            continue  # deliver says so with the account's first message
        if found is None or not found.secret:
            continue
        section.words["password"] = found.secret, 0
        if account.user is None:
            section.words["user"] = found.user, 0
