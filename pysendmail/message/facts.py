"""What is known of a submission besides its message: who calls, when, and what the configuration wants."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    When = Literal["auto", "on", "off"]


class Facts:
    """The facts that complete a message; nothing in pysendmail.message asks the system for them.

    login, gecos: of the user that calls (gecos as in the password file). maildomain: A-labels, qualifies names; b""
    leaves them as they are. now: seconds since the epoch; utc_offset: minutes east of UTC. unique: the left side of an
    added Message-ID. sender: the text of -f, b"" for the null sender, None if there was none. full_name: the text of
    -F. account_from, account_full_name: of the account, None if it has none. sender_from_header: without -f the From
    field gives the envelope sender. set_…_header: "auto" adds what is missing, "on" replaces what is there, "off" does
    neither; add_missing_from_header False turns the "auto" of From to "off". undisclosed_recipients: To and Cc are not
    shown. privacy: an added Message-ID shows the domain of the From field rather than a maildomain that nobody named.
    local_sender: stands for local senders (message.local says which they are, and `hosts` what this machine is called, in
    lower case), None if they stay.
    """

    __slots__ = (
        "account_from",
        "account_full_name",
        "full_name",
        "gecos",
        "hosts",
        "local_sender",
        "login",
        "maildomain",
        "now",
        "privacy",
        "sender",
        "sender_from_header",
        "set_date_header",
        "set_from_header",
        "set_msgid_header",
        "undisclosed_recipients",
        "unique",
        "utc_offset",
    )

    def __init__(
        self,
        *,
        login: bytes,
        maildomain: bytes,
        now: float,
        unique: bytes,
        gecos: bytes = b"",
        utc_offset: int = 0,
        privacy: bool = False,
        sender: bytes | None = None,
        full_name: bytes | None = None,
        account_from: bytes | None = None,
        account_full_name: bytes | None = None,
        sender_from_header: bool = False,
        set_from_header: "When" = "auto",
        add_missing_from_header: bool = True,
        set_date_header: "When" = "auto",
        set_msgid_header: "When" = "auto",
        undisclosed_recipients: bool = False,
        local_sender: bytes | None = None,
        hosts: frozenset[bytes] = frozenset(),
    ) -> None:
        self.login = login
        self.gecos = gecos
        self.maildomain = maildomain
        self.now = now
        self.utc_offset = utc_offset
        self.unique = unique
        self.privacy = privacy
        self.sender = sender
        self.full_name = full_name
        self.account_from = account_from
        self.account_full_name = account_full_name
        self.sender_from_header = sender_from_header
        self.set_from_header: When = set_from_header
        if not add_missing_from_header and set_from_header == "auto":
            self.set_from_header = "off"
        self.set_date_header: When = set_date_header
        self.set_msgid_header: When = set_msgid_header
        self.undisclosed_recipients = undisclosed_recipients
        self.local_sender = local_sender
        self.hosts = hosts
