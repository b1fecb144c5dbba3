"""SCRAM-SHA-1, SCRAM-SHA-256 and their -PLUS forms (RFC 5802, RFC 7677): both sides prove that they know the password.

The exchange has two rounds. We send our name and a nonce; the server answers with the joint nonce, a salt and a number
of iterations; we send a proof; the server sends its signature. Success counts only after that signature was verified.
The -PLUS forms also bind the login to the TLS connection, so that nobody in the middle can pass it on.
"""

import os
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from pysendmail import errors
from pysendmail.log import printable
from pysendmail.smtp.sasl import Credentials, Mechanism
from pysendmail.smtp.saslprep import prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FEWEST_ITERATIONS = 4096  # RFC 7677 section 4
MOST_ITERATIONS = 1_000_000  # about a second; a server that asks for more wants our time
_SALT_LIMIT = 1024
_BINDINGS = ("tls-exporter", "tls-server-end-point")


def make(
    name: bytes,
    credentials: Credentials,
    offered: list[bytes],
    channel_binding: "Callable[[str], bytes | None] | None",
) -> "Scram":
    """Return the mechanism `name`, bound to the TLS connection if that is a -PLUS form.

    `offered` are the server's mechanisms in upper case: without a -PLUS form among them a client that could bind says
    so (gs2-cbind-flag "y", RFC 5802 section 6), and a server whose offer was tampered with will notice.
    Raises TempFail if the connection gives no channel binding, ConfigError if user or password cannot be prepared.
    """
    kind, data = _binding(channel_binding)
    if name.endswith(b"-PLUS"):
        if kind is None:
            raise errors.TempFail(f"this TLS connection gives no channel binding, which {name.decode('ascii')} needs")
        return Scram(name, credentials, b"p=" + kind.encode("ascii"), data)
    server_binds = any(other.startswith(b"SCRAM-") and other.endswith(b"-PLUS") for other in offered)
    return Scram(name, credentials, b"y" if kind is not None and not server_binds else b"n")


def _binding(channel_binding: "Callable[[str], bytes | None] | None") -> tuple[str | None, bytes]:
    """Return type and data of the best channel binding that there is."""
    for kind in _BINDINGS if channel_binding is not None else ():
        data = channel_binding(kind) if channel_binding is not None else None
        if data:
            return kind, data
    return None, b""


class Scram(Mechanism):
    """One SCRAM exchange. `nonce` is for tests with known answers; it is random otherwise."""

    __slots__ = ("_bare", "_binding", "_final", "_gs2", "_hash", "_nonce", "_password", "_signature", "_stage")

    def __init__(
        self, name: bytes, credentials: Credentials, flag: bytes, binding: bytes = b"", nonce: bytes | None = None
    ) -> None:
        super().__init__(name, credentials)
        user = prepare(credentials.user, "the user name", stored=False)
        if not user:
            raise errors.ConfigError("the user name is empty when prepared for SCRAM (SASLprep)")
        self._password = prepare(credentials.secret, "the password", stored=True)
        self._hash = "sha256" if b"SHA-256" in name else "sha1"
        authzid = b"a=" + _escape(credentials.authzid) if credentials.authzid else b""
        self._gs2 = flag + b"," + authzid + b","
        self._binding = binding
        self._nonce = nonce or b2a_base64(os.urandom(24), newline=False)
        self._bare = b"n=" + _escape(user) + b",r=" + self._nonce
        self._final = b""
        self._signature = b""
        self._stage = 0  # 0: server-first awaited, 1: server-final awaited, 2: signature verified

    def initial(self) -> bytes:
        return self._gs2 + self._bare

    def respond(self, challenge: bytes) -> bytes:
        if self._stage == 0:
            return self._prove(challenge)
        if self._stage == 1:
            self._verify(challenge)
            return b""
        return super().respond(challenge)

    def finish(self) -> None:
        if self._stage != 2:
            raise self.broken("the server accepted the login without proving that it knows the password")

    def secrets(self) -> list[bytes]:
        # The proof belongs to them: who has it and the salt can guess passwords at leisure.
        known = [self.credentials.secret, self._password, self._final, self._final.rpartition(b",p=")[2]]
        return [secret for secret in dict.fromkeys(known) if secret]

    @property
    def retry_unbound(self) -> bool:
        # Types of channel binding cannot be negotiated. A server that says no before it saw a proof dislikes the type.
        return self._stage == 0 and self._gs2.startswith(b"p=")

    def _prove(self, challenge: bytes) -> bytes:
        """Answer the server's first message with the proof (RFC 5802 section 3)."""
        nonce, salt, iterations = self._read_first(challenge)
        import hashlib
        import hmac

        channel = b2a_base64(self._gs2 + self._binding, newline=False)
        final = b"c=" + channel + b",r=" + nonce
        transcript = b",".join((self._bare, challenge, final))
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, salt, iterations)
        key = hmac.digest(salted, b"Client Key", self._hash)
        signature = hmac.digest(hashlib.new(self._hash, key).digest(), transcript, self._hash)
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", self._hash), transcript, self._hash)
        proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        self._final = final + b",p=" + b2a_base64(proof, newline=False)
        self._stage = 1
        return self._final

    def _read_first(self, challenge: bytes) -> tuple[bytes, bytes, int]:
        """Return nonce, salt and iterations of the server's first message; extensions after them are ignored."""
        fields = self._fields(challenge)
        if fields[0][0] == b"m":
            raise self.broken("the server asks for an extension that we do not know")
        if [key for key, _ in fields[:3]] != [b"r", b"s", b"i"]:
            raise self.broken("the server's first message is malformed")
        nonce, salt, iterations = (value for _, value in fields[:3])
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce) or _unprintable(nonce):
            raise self.broken("the server's nonce does not extend ours")
        return nonce, self._read_salt(salt), self._read_iterations(iterations)

    def _read_salt(self, text: bytes) -> bytes:
        salt = self._decoded(text, "salt")
        if not 0 < len(salt) <= _SALT_LIMIT:
            raise self.broken(f"the server's salt has {len(salt)} octets")
        return salt

    def _read_iterations(self, text: bytes) -> int:
        if not text.isdigit() or text.startswith(b"0"):
            raise self.broken("the server's number of iterations is malformed")
        # Digits are counted first: turning a million of them into a number would take its time.
        count = int(text) if len(text) < 10 else MOST_ITERATIONS + 1
        if FEWEST_ITERATIONS <= count <= MOST_ITERATIONS:
            return count
        wrong = f"fewer than {FEWEST_ITERATIONS}" if count < FEWEST_ITERATIONS else f"more than {MOST_ITERATIONS}"
        raise errors.TempFail(
            f"AUTH {self.name.decode('ascii')}: the server asks for {wrong} iterations, which is not safe;"
            " another mechanism can be named with the word auth"
        )

    def _verify(self, challenge: bytes) -> None:
        """Check the server's signature (RFC 5802 section 3)."""
        import hmac

        key, value = self._fields(challenge)[0]
        if key != b"v":
            raise self.broken("the server's last message is malformed")
        if not hmac.compare_digest(self._decoded(value, "signature"), self._signature):
            raise self.broken("the server's signature is wrong: it does not know the password")
        self._stage = 2

    def _fields(self, message: bytes) -> list[tuple[bytes, bytes]]:
        """Split a message into its attributes, at least one. Raises NoPermission if it is an error message."""
        fields = []
        for part in message.split(b","):
            key, equals, value = part.partition(b"=")
            if not (equals and len(key) == 1 and key.isalpha()):
                raise self.broken("the server's message is malformed")
            fields.append((key, value))
        if fields[0][0] == b"e":
            reason = printable(fields[0][1], 100)
            raise errors.NoPermission(f"the server refused our login (AUTH {self.name.decode('ascii')}): {reason}")
        return fields

    def _decoded(self, text: bytes, what: str) -> bytes:
        try:
            return a2b_base64(text, strict_mode=True)
        except Base64Error:
            raise self.broken(f"the server's {what} is not base64") from None


def _escape(name: bytes) -> bytes:
    """Write a user name as a saslname (RFC 5802 section 5.1)."""
    return name.replace(b"=", b"=3D").replace(b",", b"=2C")


def _unprintable(text: bytes) -> bool:
    return any(not 0x21 <= octet <= 0x7E for octet in text)
