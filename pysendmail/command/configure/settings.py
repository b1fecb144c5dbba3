"""What a new configuration is to say, and its words."""

from pysendmail.command.configure import providers, secret
from pysendmail.command.configure.offer import CLEAR, IMPLICIT, STARTTLS, Offer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.configure.editing import Words
    from pysendmail.config.accounts import Account


class Settings:
    """The answers. `address` is the one that was begun with, `sender` that of the word from; `offer` names the server.

    `auth` is off, on, or a mechanism; `secret` and `command` are as secret.kind_of gives them.
    """

    __slots__ = ("address", "auth", "command", "fingerprint", "offer", "password", "secret", "sender", "trust_file", "user")

    def __init__(self, address: bytes, sender: bytes, offer: Offer) -> None:
        self.address = address
        self.sender = sender
        self.offer = offer
        self.auth = "on"
        self.user = b""
        self.password = b""
        self.secret = secret.FILE
        self.command = b""
        self.trust_file = ""
        self.fingerprint = ""

    @property
    def login(self) -> bool:
        """Tell whether there is a login at all."""
        return self.auth != "off"

    def words(self, *, full: bool) -> "Words":
        """Return the words; `full` says also what would hold by itself in a file where nothing else stands."""
        offer = self.offer
        found = [("host", offer.host.encode()), ("port", b"%d" % offer.port)]
        if offer.tls == CLEAR or full:
            found.append(("tls", b"off" if offer.tls == CLEAR else b"on"))
        if offer.tls != CLEAR and (full or (offer.tls == IMPLICIT) != (offer.port == 465)):
            found.append(("tls_starttls", b"on" if offer.tls == STARTTLS else b"off"))
        if full and offer.tls != CLEAR and not self.fingerprint:
            found.append(("tls_certcheck", b"on"))
        if self.trust_file:
            found.append(("tls_trust_file", self.trust_file.encode("utf-8", "surrogateescape")))
        if self.fingerprint:
            found.append(("tls_fingerprint", self.fingerprint.encode("ascii", "replace")))
        found.append(("from", self.sender))
        if full or self.auth not in ("on", "off"):
            found.append(("auth", self.auth.encode("ascii")))
        if self.login:
            found.append(("user", self.user))
            found += secret.words(self.secret, self.password, self.command, offer.host, self.user)
        return found

    def words_of_machine(self, *, system: bool) -> "Words":
        """Return what a new account says about mail from and to this machine's own names.

        Nobody outside can answer to these, and at a provider's domain they would be strangers' addresses.
        """
        found = [("local_sender", self.sender)]
        if system:
            found.append(("null_sender", self.sender))
        if providers.of_domain(self.sender.rpartition(b"@")[2].decode("ascii").lower()) is not None:
            found.append(("local_mail", self.sender))
        elif system:
            found.append(("system_mail", self.sender))
        return found

    def missed(self, account: "Account") -> list[str]:
        """Return the words whose meaning is another in an account that was read."""
        offer = self.offer
        server = account.servers[0]
        mechanism = None if self.auth in ("on", "off") else self.auth.upper().encode()
        kept = dict(secret.words(self.secret, self.password, self.command, offer.host, self.user)) if self.login else {}
        clear = offer.tls == CLEAR
        wanted = {
            "host": len(account.servers) == 1 and server.host.lower() == offer.host.lower(),
            "port": server.port == offer.port,
            "tls": account.tls == ("off" if clear else "on"),
            "tls_starttls": clear or server.starttls == (offer.tls == STARTTLS),
            "tls_certcheck": clear or account.tls_certcheck,
            "tls_host_override": account.tls_host_override is None,
            "tls_fingerprint": (account.tls_fingerprint is None) == (not self.fingerprint),
            "from": account.sender == self.sender,
            "auth": bool(account.auth) == self.login and account.mechanism == mechanism,
            "user": not self.login or account.user == self.user,
            "password": account.password == kept.get("password"),
            "passwordeval": account.passwordeval == kept.get("passwordeval"),
        }
        return [word for word, fits in wanted.items() if not fits]
