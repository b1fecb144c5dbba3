"""Login mechanisms (SASL, RFC 4422) as machines without I/O, and the choice between them.

A mechanism takes and gives raw octets; the client writes them in base64 (RFC 4954). This file holds what nearly every
login needs; SCRAM, CRAM-MD5 and the OAuth mechanisms are imported only where they are chosen.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from pysendmail import errors
from pysendmail.log import Masker, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.smtp.client import Client
    from pysendmail.smtp.reply import Reply

_COMMAND_LINE = 512  # RFC 5321 section 4.5.3.1.4, for AUTH with its initial response (RFC 4954 section 4)
_ROUNDS = 16
_SCRAM = (b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-1-PLUS", b"SCRAM-SHA-256", b"SCRAM-SHA-1")
# Inside TLS nobody can listen, so PLAIN stands before CRAM-MD5: it costs one round trip less, and it lets the server
# keep salted hashes where CRAM-MD5 makes it keep the password itself. In clear CRAM-MD5 at least hides the password.
_INSIDE_TLS = (*_SCRAM, b"PLAIN", b"CRAM-MD5", b"LOGIN")
_IN_CLEAR = (*_SCRAM, b"CRAM-MD5", b"PLAIN", b"LOGIN")
_ONLY_IF_WANTED = (b"EXTERNAL", b"XOAUTH2", b"OAUTHBEARER")
SUPPORTED = _INSIDE_TLS + _ONLY_IF_WANTED
_USER_NOT_NEEDED = (b"EXTERNAL", b"OAUTHBEARER")


class Credentials:
    """Who we are and what proves it: `secret` is a password or a token, empty if there is none."""

    __slots__ = ("authzid", "secret", "user")

    def __init__(self, user: bytes, secret: bytes = b"", authzid: bytes = b"") -> None:
        self.user = user
        self.secret = secret
        self.authzid = authzid


class Mechanism:
    """One login attempt; an object serves once."""

    __slots__ = ("credentials", "name")

    def __init__(self, name: bytes, credentials: Credentials) -> None:
        self.name = name
        self.credentials = credentials

    def initial(self) -> bytes | None:
        """Return what the client says first, raw, or None if the server speaks first.

        An initial response too long for the AUTH line is the answer to the server's first, empty challenge instead.
        """
        return None

    def respond(self, challenge: bytes) -> bytes:
        """Return the raw answer to a raw challenge.

        Raises ProtocolError or TempFail where the server breaks the mechanism, NoPermission where it says no in it.
        """
        raise self.broken("the server asks for more than the mechanism has to say")

    def finish(self) -> None:
        """Take note that the server accepted us. Raises ProtocolError if it has not proved itself, where it must."""

    def secrets(self) -> list[bytes]:
        """Return every raw octet string that no log may show, so far; their base64 forms are the log's business."""
        return [self.credentials.secret] if self.credentials.secret else []

    @property
    def retry_unbound(self) -> bool:
        """Whether a refusal now is one of the channel binding, not of the password.

        The caller may then choose again on a new exchange, with `channel_binding=None`.
        """
        return False

    def broken(self, text: str) -> errors.ProtocolError:
        """Return the error for a server that does not keep to the mechanism."""
        return errors.ProtocolError(f"AUTH {self.name.decode('ascii')}: {text}")


class Plain(Mechanism):
    """PLAIN (RFC 4616): everything in one message. Password and user go as they are, in any encoding."""

    __slots__ = ()

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(b"PLAIN", credentials)
        if b"\0" in credentials.user + credentials.secret + credentials.authzid:
            raise errors.ConfigError("user or password holds a NUL, which AUTH PLAIN cannot carry")

    def initial(self) -> bytes:
        return b"\0".join((self.credentials.authzid, self.credentials.user, self.credentials.secret))

    def secrets(self) -> list[bytes]:
        return [*super().secrets(), self.initial()]


class Login(Mechanism):
    """LOGIN (never standardised): the server asks twice, for the user and for the password.

    The text of the questions differs between servers and is not looked at.
    """

    __slots__ = ("_answers",)

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(b"LOGIN", credentials)
        self._answers = [credentials.secret, credentials.user]

    def respond(self, challenge: bytes) -> bytes:
        return self._answers.pop() if self._answers else super().respond(challenge)


class External(Mechanism):
    """EXTERNAL (RFC 4422 appendix A): the client certificate of the TLS connection says who we are."""

    __slots__ = ("_asked",)

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(b"EXTERNAL", credentials)
        self._asked = False

    def initial(self) -> bytes:
        return self.credentials.authzid or self.credentials.user

    def respond(self, challenge: bytes) -> bytes:
        # Some servers take the "=" of an empty initial response for none, and ask.
        if challenge or self._asked:
            return super().respond(challenge)
        self._asked = True
        return self.initial()


class Exchange:
    """One AUTH exchange (RFC 4954): our mechanism on one side, the server's challenges on the other.

    `masker` learns what the mechanism says, so that a server that repeats it gives nothing away.
    """

    __slots__ = ("_client", "_first", "_masker", "_mechanism", "_rounds")

    def __init__(self, client: "Client", mechanism: Mechanism, masker: Masker) -> None:
        self._client = client
        self._masker = masker
        self._mechanism = mechanism
        self._first = mechanism.initial()
        self._rounds = 0

    def begin(self) -> None:
        """Send the AUTH command, with the initial response if there is one and it is short enough."""
        line = shown = b"AUTH " + self._mechanism.name
        if self._first is not None:
            encoded = b2a_base64(self._first, newline=False) or b"="
            if len(line) + len(encoded) + 3 <= _COMMAND_LINE:
                line, shown = line + b" " + encoded, shown + b" ****"
                self._first = None
        self._say(line, shown)

    def _say(self, line: bytes, shown: bytes) -> None:
        self._masker.add(self._mechanism.secrets())
        self._client.command(line, self._on_reply, "AUTH", shown)

    def _on_reply(self, reply: "Reply") -> None:
        if reply.kind == 3:
            self._answer(reply)
        elif reply.kind == 2:
            self._mechanism.finish()
            self._client.authenticated = True
        else:
            name = self._mechanism.name.decode("ascii", "replace")
            self._client.refuse(f"the login was refused (AUTH {name})", reply, login=True)

    def _answer(self, reply: "Reply") -> None:
        """Answer one challenge; a first response that was too long for the command line leaves now."""
        self._rounds += 1
        if self._rounds > _ROUNDS:
            raise errors.ProtocolError("the server does not end the AUTH exchange")
        if self._first is not None:
            response, self._first = self._first, None
        else:
            try:
                challenge = a2b_base64(reply.lines[-1].strip(), strict_mode=True)
            except Base64Error:
                raise errors.ProtocolError("the server's AUTH challenge is not base64") from None
            response = self._mechanism.respond(challenge)
        self._say(b2a_base64(response, newline=False), b"****")


def choose(
    offered: list[bytes],
    credentials: Credentials,
    *,
    wanted: bytes | None,
    channel_binding: "Callable[[str], bytes | None] | None",
    external: bool,
    encrypted: bool,
    host: bytes,
    port: int,
) -> Mechanism:
    """Return the strongest mechanism that server and credentials permit, or the `wanted` one (in any case).

    `channel_binding` gives the data for a type of RFC 5929 or 9266, or None; `external` says that the connection has a
    client certificate; `host` and `port` are those configured. Whether a login in clear is permitted is decided by the
    caller. Raises TempFail if the server does not offer what we can use, ConfigError if the configuration cannot work.
    """
    names = [name.upper() for name in offered]
    candidates = _candidates(wanted, credentials, external=external, encrypted=encrypted)
    obstacle: errors.Failure | None = None
    for name in candidates:
        if name not in names:
            continue
        try:
            return _make(name, credentials, names, channel_binding, host, port)
        except errors.Failure as error:  # a password that SCRAM cannot carry may be good for PLAIN
            obstacle = obstacle or error
    raise obstacle or _nothing_fits(names, candidates[0] if wanted is not None else None)


def _candidates(
    wanted: bytes | None, credentials: Credentials, *, external: bool, encrypted: bool
) -> tuple[bytes, ...]:
    """Return the names to try, the strongest first."""
    if wanted is None:
        if external and encrypted and not credentials.secret:
            return (b"EXTERNAL",)
        _need_user(credentials)
        return _INSIDE_TLS if encrypted else _IN_CLEAR
    name = wanted.upper()
    if name not in SUPPORTED:
        known = " ".join(word.decode("ascii").lower() for word in SUPPORTED)
        raise errors.ConfigError(f"auth {_shown([name])} is not supported; supported are: {known}")
    if name == b"EXTERNAL" and not (external and encrypted):
        raise errors.ConfigError("auth external needs TLS and a client certificate (tls_cert_file)")
    if name.endswith(b"-PLUS") and not encrypted:
        raise errors.ConfigError(f"auth {_shown([name])} needs TLS")
    if name not in _USER_NOT_NEEDED:
        _need_user(credentials)
    return (name,)


def _need_user(credentials: Credentials) -> None:
    """Raise ConfigError if nobody is to log in."""
    if not credentials.user:
        raise errors.ConfigError("auth is on, but there is no user")


def _make(
    name: bytes,
    credentials: Credentials,
    offered: list[bytes],
    channel_binding: "Callable[[str], bytes | None] | None",
    host: bytes,
    port: int,
) -> Mechanism:
    """Return the mechanism of that name; raises Failure if it cannot serve here."""
    if name == b"PLAIN":
        return Plain(credentials)
    if name == b"LOGIN":
        return Login(credentials)
    if name == b"EXTERNAL":
        return External(credentials)
    if name == b"CRAM-MD5":
        from pysendmail.smtp.cram import CramMD5

        return CramMD5(credentials)
    if name in _SCRAM:
        from pysendmail.smtp import scram

        return scram.make(name, credentials, offered, channel_binding)
    from pysendmail.smtp import oauth

    return oauth.XOAuth2(credentials) if name == b"XOAUTH2" else oauth.OAuthBearer(credentials, host, port)


def _nothing_fits(offered: list[bytes], wanted: bytes | None) -> errors.TempFail:
    """Return the error for a server that offers nothing we can use."""
    offer = f"it offers {_shown(offered)}" if offered else "it offers none"
    if wanted is not None:
        return errors.TempFail(f"the server does not offer AUTH {_shown([wanted])}; {offer}")
    if b"XOAUTH2" in offered or b"OAUTHBEARER" in offered:
        offer += "; for an OAuth2 token write auth xoauth2 or auth oauthbearer"
    return errors.TempFail(f"the server offers no AUTH mechanism that we can use; {offer}")


def _shown(names: list[bytes]) -> str:
    """Return names of mechanisms for an error line."""
    return printable(b" ".join(names), 200)
