"""The server's side of SCRAM, written from RFC 5802 for the tests of the client's."""

import base64
import hashlib
import hmac


class ScramServer:
    """Answer a client; `accepted` is true when its proof was right. The password is given prepared."""

    def __init__(
        self,
        digest: str,
        password: bytes,
        *,
        salt: bytes = b"0123456789abcdef",
        iterations: int = 4096,
        nonce: bytes = b"%server%",
        binding: bytes = b"",
    ) -> None:
        self.digest = digest
        self.salted = hashlib.pbkdf2_hmac(digest, password, salt, iterations)
        self.salt = salt
        self.iterations = iterations
        self.nonce = nonce
        self.binding = binding
        self.accepted = False
        self.user = b""
        self.authzid = b""
        self.flag = b""

    def first(self, message: bytes) -> bytes:
        self.flag, authzid, self.bare = message.split(b",", 2)
        self.header = self.flag + b"," + authzid + b","
        self.authzid = self._name(authzid.removeprefix(b"a="))
        user, nonce = self.bare.split(b",")
        assert user.startswith(b"n=")
        assert nonce.startswith(b"r=")
        self.user = self._name(user[2:])
        self.joint = nonce[2:] + self.nonce
        self.said = b"r=%b,s=%b,i=%d" % (self.joint, base64.b64encode(self.salt), self.iterations)
        return self.said

    def final(self, message: bytes) -> bytes:
        without, proof = message.rsplit(b",p=", 1)
        channel, nonce = without.split(b",")
        if base64.b64decode(channel.removeprefix(b"c=")) != self.header + self.binding:
            return b"e=channel-bindings-dont-match"
        assert nonce == b"r=" + self.joint
        transcript = b",".join((self.bare, self.said, without))
        client_key = self._hmac(self.salted, b"Client Key")
        signature = self._hmac(hashlib.new(self.digest, client_key).digest(), transcript)
        expected = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        if base64.b64decode(proof) != expected:
            return b"e=invalid-proof"
        self.accepted = True
        return b"v=" + base64.b64encode(self._hmac(self._hmac(self.salted, b"Server Key"), transcript))

    def _hmac(self, key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, self.digest).digest()

    @staticmethod
    def _name(text: bytes) -> bytes:
        assert b"," not in text
        return text.replace(b"=2C", b",").replace(b"=3D", b"=")
