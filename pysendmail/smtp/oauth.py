"""XOAUTH2 (Google's and Microsoft's) and OAUTHBEARER (RFC 7628): an access token in place of a password."""

from pysendmail import errors
from pysendmail.smtp.sasl import Credentials, Mechanism

_TOKEN_OCTETS = bytes(range(0x21, 0x7F))


class _Bearer(Mechanism):
    """What both have in common: one message with the token, and an error text that wants an answer."""

    __slots__ = ("_acknowledgement", "_asked")

    def __init__(self, name: bytes, credentials: Credentials, acknowledgement: bytes) -> None:
        super().__init__(name, credentials)
        if not credentials.secret:
            raise errors.ConfigError(f"auth {name.decode('ascii').lower()} needs an access token (passwordeval)")
        if credentials.secret.translate(None, _TOKEN_OCTETS):
            raise errors.ConfigError("the access token holds octets that no token has (blanks or control characters)")
        if b"\x01" in credentials.user + credentials.authzid:
            raise errors.ConfigError("the user name holds a control character")
        self._acknowledgement = acknowledgement
        self._asked = False

    def respond(self, challenge: bytes) -> bytes:
        """Acknowledge the server's JSON error text, so that it can send its final reply (RFC 7628 section 3.2.3)."""
        if self._asked:
            return super().respond(challenge)
        self._asked = True
        return self._acknowledgement

    def secrets(self) -> list[bytes]:
        message = self.initial()
        return super().secrets() if message is None else [*super().secrets(), message]


class XOAuth2(_Bearer):
    """XOAUTH2: user and token between control-A octets."""

    __slots__ = ()

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(b"XOAUTH2", credentials, b"")

    def initial(self) -> bytes:
        return b"user=%b\x01auth=Bearer %b\x01\x01" % (self.credentials.user, self.credentials.secret)


class OAuthBearer(_Bearer):
    """OAUTHBEARER: a GS2 header, then the host and port that we meant to reach, then the token."""

    __slots__ = ("_host", "_port")

    def __init__(self, credentials: Credentials, host: bytes, port: int) -> None:
        super().__init__(b"OAUTHBEARER", credentials, b"\x01")
        self._host = host
        self._port = port

    def initial(self) -> bytes:
        user = self.credentials.authzid or self.credentials.user
        name = b"a=" + user.replace(b"=", b"=3D").replace(b",", b"=2C") if user else b""
        parts = (b"n,%b," % name, b"host=" + self._host, b"port=%d" % self._port)
        return b"\x01".join((*parts, b"auth=Bearer " + self.credentials.secret, b"", b""))
