"""AUTH as a server answers it: PLAIN and LOGIN (RFC 4954, RFC 4616)."""

from binascii import Error, a2b_base64

from pysendmail.smtp.answer import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MECHANISMS = (b"PLAIN", b"LOGIN")


class LoginExchange:
    """One AUTH command. `challenge` is what the client has to answer next, None when `user` and `password` are known."""

    __slots__ = ("_steps", "challenge", "password", "user")

    def __init__(self, argument: bytes) -> None:
        """Begin with what stands behind AUTH. Raises Refused."""
        mechanism, _, initial = argument.partition(b" ")
        name = mechanism.upper()
        if name not in MECHANISMS:
            raise Refused(504, "5.5.4", "the mechanism is not offered")
        self.user = self.password = b""
        self._steps: list[tuple[bytes, Callable[[bytes], None]]] = (
            [(b"", self._plain)]
            if name == b"PLAIN"
            else [(b"VXNlcm5hbWU6", self._set_user), (b"UGFzc3dvcmQ6", self._set_password)]
        )
        self.challenge: bytes | None = self._steps[0][0]
        if initial:
            self.take(b"" if initial == b"=" else initial)

    def take(self, line: bytes) -> None:
        """Take a line of the client's. Raises Refused, which ends the exchange."""
        if line == b"*":
            raise Refused(501, "5.7.0", "AUTH was cancelled")
        try:
            text = a2b_base64(line, strict_mode=True) if line else b""
        except Error:
            raise Refused(501, "5.5.2", "that is no base64") from None
        self._steps.pop(0)[1](text)
        self.challenge = self._steps[0][0] if self._steps else None

    def _plain(self, text: bytes) -> None:
        parts = text.split(b"\0")
        if len(parts) != 3 or parts[0] not in (b"", parts[1]):
            raise Refused(501, "5.5.2", "PLAIN wants a user and a password")
        _, self.user, self.password = parts

    def _set_user(self, text: bytes) -> None:
        self.user = text

    def _set_password(self, text: bytes) -> None:
        self.password = text
