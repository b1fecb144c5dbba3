"""One address of a server, tried as a delivery would use it, with the time that each step took."""

from time import monotonic

from pysendmail import errors
from pysendmail.delivery.connect import Connector
from pysendmail.delivery.session import Route, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account, Server
    from pysendmail.delivery.link import Address, Link
    from pysendmail.delivery.session import Trace
    from pysendmail.smtp.client import Client
    from pysendmail.smtp.reply import Reply
    from pysendmail.smtp.sasl import Credentials

PATIENCE = 30.0
"""Seconds for a connection and for each reply; a delivery waits longer, but who looks on wants to know sooner."""


class Probe(Session):
    """A session at one address. `times` are the seconds after which it was connected, greeted, encrypted and ready."""

    def __init__(self, account: "Account", credentials: "Credentials | None", trace: "Trace | None") -> None:
        from pysendmail.smtp.client import Patience

        route = Route(account, credentials, self._hear)
        self.patience = min(account.timeout, PATIENCE)
        route.patience = Patience(self.patience, self.patience)
        super().__init__(route, monotonic() + 4 * self.patience)
        self.times: dict[str, float] = {}
        self.greeting = b""
        self._dialogue = trace
        self._began = monotonic()

    def reach(self, server: "Server", address: "Address") -> None:
        """Connect, greet, encrypt and log in. Raises what Session.open raises."""
        self.server = server
        self._began = monotonic()
        self._open_one(Connector([address], self.route.account.source_ip, self.patience))
        self._note("ready")

    def ask(self, line: bytes, name: str) -> "Reply":
        """Say a command and return the reply. Raises a Failure where there is none."""
        client = self._ready_client()
        replies: list[Reply] = []
        client.command(line, replies.append, name)
        self._converse()
        if not replies:
            raise errors.TempFail(f"the server did not answer {name}", self.relay)
        return replies[0]

    def certificates(self) -> list[bytes]:
        """Return the server's certificate and those that it sent along, in DER; none without TLS."""
        tls = self._link.tls if self._link is not None else None
        return [] if tls is None else tls.chain

    def _begin(self, link: "Link", encrypt: bool, bundle: bool) -> "Client":
        self._note("connected")
        return super()._begin(link, encrypt, bundle)

    def _hear(self, direction: str, line: bytes) -> None:
        """Take the time of what is said."""
        if direction == "=":
            self._note("encrypted")
        elif direction == "<" and "greeted" not in self.times:
            self._note("greeted")
            self.greeting = line
        if self._dialogue is not None:
            self._dialogue(direction, line)

    def _note(self, name: str) -> None:
        self.times[name] = monotonic() - self._began


def answers_tls(account: "Account", server: "Server", address: "Address") -> bool:
    """Tell whether a server that says nothing speaks TLS from the start."""
    from pysendmail.delivery.tls import TLS, TLSFailure, TLSSettings, context

    deadline = monotonic() + min(account.timeout, 10.0)
    try:
        link = Connector([address], account.source_ip, 10.0).next(deadline)
    except errors.Failure:
        return False
    try:
        link.start_tls(TLS(context(TLSSettings(verify=False, host=server.host))), deadline)
    except TLSFailure as failure:
        return "alert" in failure.text
    except errors.Failure:
        return False
    finally:
        link.close()
    return True


def answers(address: "Address", port: int, patience: float) -> bool:
    """Tell whether somebody listens at another port of an address."""
    family, where = address
    other = (where[0], port, *where[2:])
    try:
        Connector([(family, other)], None, patience).next(monotonic() + patience).close()
    except errors.Failure:
        return False
    return True
