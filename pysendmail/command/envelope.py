"""The envelope that an SMTP session gave, which alone says who sends and who gets the message."""

from pysendmail.message import address
from pysendmail.message.prepare import prepare
from pysendmail.message.recipients import Recipients, bad_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account
    from pysendmail.message.facts import Facts
    from pysendmail.message.header import Field
    from pysendmail.message.prepare import Prepared
    from pysendmail.message.recipients import Expand

Each = dict[bytes, tuple[bytes | None, bytes | None]]


class Envelope:
    """`sender` is the reverse-path without <>, b"" the null one; `recipients` are (address, NOTIFY, ORCPT).

    The parameters of RFC 3461 are None where they were not given; ORCPT has its type, and neither it nor `envid` is in
    xtext. A part of a message that no session brought has the sender that the options name, which may be None.
    """

    __slots__ = ("envid", "recipients", "ret", "sender")

    def __init__(
        self,
        sender: bytes | None,
        recipients: list[tuple[bytes, bytes | None, bytes | None]],
        ret: bytes | None = None,
        envid: bytes | None = None,
    ) -> None:
        self.sender = sender
        self.recipients = recipients
        self.ret = ret
        self.envid = envid

    def prepare(
        self, fields: "list[Field]", facts: "Facts", account: "Account", expand: "Expand | None", hops: int
    ) -> "tuple[Prepared, Each | None]":
        """Prepare a message for this envelope; return it with the parameters that recipients have of their own.

        Raises as message.prepare.prepare does. An alias hands its parameters on to all whom it stands for.
        """
        skip = account.bad_recipients == "skip"
        given = Recipients(facts.maildomain, skip, expand)
        parameters: dict[tuple[bytes, bytes], tuple[bytes | None, bytes | None]] = {}
        for text, notify, orcpt in self.recipients:
            found = address.parse(text)
            if not found.errors and len(found.mailboxes) != 1:
                raise bad_address(text, "expected one address")
            given.take(text, found)
            if notify is not None or orcpt is not None:
                own = Recipients(facts.maildomain, skip, expand)
                own.take(text, found)
                for one in own.addresses():
                    parameters.setdefault(_key(one), (notify, orcpt))
        rewrite = expand if account.aliases_headers else None
        prepared = prepare(fields, facts, extract=False, arguments=[], given=given, hops=hops, rewrite=rewrite)
        if not parameters:
            return prepared, None
        # Whoever has none asks for nothing: the account's dsn_notify is for those who cannot ask.
        return prepared, {one: parameters.get(_key(one), (None, None)) for one in prepared.recipients}


def _key(full: bytes) -> tuple[bytes, bytes]:
    local, _, domain = full.rpartition(b"@")
    return local, domain.lower()
