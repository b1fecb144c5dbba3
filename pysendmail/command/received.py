"""The Received field of whoever accepts a message."""

import os

from pysendmail.message.fixups import date
from pysendmail.message.header import Field, make

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account
    from pysendmail.message.facts import Facts

_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.[]:")


def received_field(account: "Account", qid: str, facts: "Facts", uid: int | None = None) -> Field:
    """Make the field, without a `for` clause, which would show Bcc; with the caller's `uid` only if it is given.

    The host is the word `domain` if it was written, else this machine's name, which privacy keeps back.
    """
    local = os.uname().nodename
    host = account.domain or local
    if not host or not _HOST.issuperset(host) or (account.privacy and host == local):
        host = "localhost"
    user = "" if uid is None else f", from userid {uid}"
    by = f"by {host} (pysendmail{user}) id {qid};".encode("ascii")
    when = date(facts.now, facts.utc_offset)
    return make(b"Received", b"%b%b%b" % (by, b" " if len(by) + len(when) < 68 else b"\r\n\t", when))
