"""CRAM-MD5 (RFC 2195): the password is not sent, but the server has to know it."""

from pysendmail import errors
from pysendmail.smtp.sasl import Credentials, Mechanism


class CramMD5(Mechanism):
    """Answer the server's one challenge with its HMAC under the password."""

    __slots__ = ("_digest",)

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(b"CRAM-MD5", credentials)
        self._digest = b""

    def respond(self, challenge: bytes) -> bytes:
        if self._digest:
            return super().respond(challenge)
        if not challenge:
            raise self.broken("the server's challenge is empty")
        import hmac

        try:
            digest = hmac.digest(self.credentials.secret, challenge, "md5")
        except ValueError:  # switched off by the system's cryptographic policy
            raise errors.ConfigError("AUTH CRAM-MD5 needs MD5, which is switched off on this machine") from None
        self._digest = digest.hex().encode("ascii")
        return self.credentials.user + b" " + self._digest

    def secrets(self) -> list[bytes]:
        # The digest is a secret too: with the challenge beside it, passwords can be guessed at leisure.
        return [*super().secrets(), self._digest] if self._digest else super().secrets()
