"""A server that a domain's mail may be sent through, with where that is known from."""

IMPLICIT, STARTTLS, CLEAR = "implicit", "starttls", "off"
USUAL_PORT = {IMPLICIT: 465, STARTTLS: 587, CLEAR: 25}
ADDRESS, LOCAL_PART, DOMAIN = "%EMAILADDRESS%", "%EMAILLOCALPART%", "%EMAILDOMAIN%"
"""What stands in the name of a user for a part of the address, as in autoconfig."""


class Offer:
    """One server: `tls` is IMPLICIT, STARTTLS or CLEAR; `user` may hold the marks above, and is empty if nobody knows it.

    `source` says in words who names it. It is `trusted` if nobody but its owner, or who keeps a list that is trusted,
    can have said so. `hint` is for who has to log in there; `oauth` tells that no password is taken.
    """

    __slots__ = ("hint", "host", "oauth", "port", "source", "tls", "trusted", "user")

    def __init__(
        self,
        host: str,
        port: int,
        tls: str,
        source: str,
        *,
        user: str = ADDRESS,
        trusted: bool = True,
        hint: str = "",
        oauth: bool = False,
    ) -> None:
        self.host = host
        self.port = port
        self.tls = tls
        self.source = source
        self.user = user
        self.trusted = trusted
        self.hint = hint
        self.oauth = oauth

    def __str__(self) -> str:
        how = {IMPLICIT: "TLS from the start", STARTTLS: "STARTTLS", CLEAR: "not encrypted"}[self.tls]
        return f"{self.host} port {self.port}, {how}"

    def user_of(self, address: bytes) -> bytes:
        """Return the name to log in with for a mail address, empty if it is not known."""
        local, _, domain = address.rpartition(b"@")
        name = self.user.encode("utf-8", "surrogateescape")
        for mark, value in ((ADDRESS, address), (LOCAL_PART, local), (DOMAIN, domain)):
            if name == mark.encode():
                return value
            name = name.replace(mark.encode(), value)
        return name


def kind_of(port: int) -> str:
    """Tell how TLS begins at a port, where nobody says so."""
    return IMPLICIT if port == USUAL_PORT[IMPLICIT] else STARTTLS
