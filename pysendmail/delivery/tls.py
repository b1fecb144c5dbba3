"""TLS for a connection that somebody else reads and writes: the client's end, without any I/O.

The driver feeds what it received, calls `handshake`, `read` or `write`, and sends what `take` gives; after a failure
too, if it likes, since `take` then holds the alert for the server. The end of the connection is the driver's to judge:
when the peer closed it and `eof` is false, the stream was cut off.
"""

import _ssl

from pysendmail import errors
from pysendmail.delivery.tls_context import Context, TLSSettings, context

__all__ = ["TLS", "Context", "Session", "TLSFailure", "TLSSettings", "context"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class _Connection(Protocol):
        """What is common to the connections of `_ssl` and of `ssl`."""

        session: _ssl.SSLSession | None
        session_reused: bool

        def do_handshake(self) -> None: ...
        def read(self, size: int, /) -> bytes: ...
        def write(self, data: bytes | memoryview, /) -> int: ...
        def pending(self) -> int: ...
        def version(self) -> str | None: ...
        def cipher(self) -> tuple[str, str, int] | None: ...
        def getpeercert(self, der: bool, /) -> bytes | None: ...
        def get_channel_binding(self, kind: str, /) -> bytes | None: ...


_HANDSHAKE_LIMIT = 262144  # OpenSSL takes 100 KB of certificates; the rest of the server's part is small
_HEAD = 200


class TLSFailure(errors.TempFail):
    """TLS or the server's certificate is not as it must be.

    `retry_with_bundle`: the issuer was not found among the hashed roots of the system, but a bundle exists; a new
    connection with `context(settings, bundle=True)` may do.
    """

    status = "4.7.5"

    def __init__(self, text: str, retry_with_bundle: bool = False) -> None:
        super().__init__(text)
        self.retry_with_bundle = retry_with_bundle


class Session:
    """Carry what resumes a connection to the same server with the same context."""

    __slots__ = ("context", "name", "raw")

    def __init__(self, raw: _ssl.SSLSession, context: Context, name: str) -> None:
        self.raw = raw
        self.context = context
        self.name = name


class TLS:
    """Speak the client's side of one TLS connection in memory.

    Every failure of the handshake, of verification or of a record is a TLSFailure; it is raised again by whatever is
    called next. A `session` that belongs to another server or context is left unused, since a resumed connection shows
    no certificate to be verified.
    """

    __slots__ = ("_broken", "_context", "_done", "_early", "_head", "_in", "_name", "_out", "_raw", "eof")

    def __init__(self, context: Context, server_name: str = "", session: Session | None = None) -> None:
        self._context = context
        self._name = _server_name(server_name or context.settings.host)
        self._in = _ssl.MemoryBIO()
        self._out = _ssl.MemoryBIO()
        self._head = b""
        self._early = 0
        self._done = False
        self._broken: TLSFailure | None = None
        self.eof = False
        fits = session is not None and session.context is context and session.name == self._name
        self._raw = self._connect(session.raw if session and fits else None)

    def _connect(self, session: _ssl.SSLSession | None) -> "_Connection":
        raw = self._context.raw
        if raw.check_hostname and not self._name:  # OpenSSL would then verify any name
            raise errors.ConfigError("no host is set that a certificate could be verified for")
        wrap = getattr(raw, "wrap_bio", None) or getattr(raw, "_wrap_bio")  # noqa: B009 - unknown to the stubs
        try:
            connection: _Connection = wrap(self._in, self._out, False, self._name or None, session=session)
        except (ValueError, TypeError, _ssl.SSLError) as error:
            raise errors.ConfigError(f"no certificate can be checked for the host name {self._name!r}") from error
        return connection

    def feed(self, data: bytes) -> None:
        """Take octets that came from the server."""
        if not self._done:
            self._early += len(data)
            if len(self._head) < _HEAD:
                self._head += data[: _HEAD - len(self._head)]
        self._in.write(data)

    def take(self) -> bytes:
        """Give all octets that are to be sent to the server, b"" if none."""
        return self._out.read()

    def handshake(self) -> bool:
        """Go on with the handshake as far as the fed octets reach; True when it is done and the server is verified."""
        if self._broken:
            raise self._broken
        if self._done:
            return True
        if self._head and self._head[0] not in (21, 22):  # alert, handshake
            raise self._break(None, "clear")
        try:
            self._raw.do_handshake()
        except _ssl.SSLWantReadError:
            if self._early > _HANDSHAKE_LIMIT:
                raise self._break(None, "endless") from None
            return False
        except _ssl.SSLError as error:
            raise self._break(error, "handshake") from error
        if self._context.pins and not self._context.pins.match(self.peer_certificate):
            self._out.read()  # the server that is not the one we want learns nothing of us, our certificate included
            raise self._break(None, "pin")
        self._done = True
        self._head = b""
        return True

    def read(self, size: int = 65536) -> bytes:
        """Give up to `size` octets of clear text, b"" if there are none now; `eof` is set by the peer's close_notify.

        Call it until it gives b"" after each `feed`. What came before a failure is given first.
        """
        if self._broken:
            raise self._broken
        pieces: list[bytes] = []
        while size > 0 and not self.eof:
            try:
                piece = self._raw.read(size)
            except _ssl.SSLWantReadError:
                break
            except _ssl.SSLZeroReturnError:
                piece = b""
            except _ssl.SSLError as error:
                failure = self._break(error, "record")
                if pieces:
                    break
                raise failure from error
            self.eof = not piece
            pieces.append(piece)
            size -= len(piece)
            if not (self._in.pending or self._raw.pending()):
                break
        return b"".join(pieces)

    @property
    def broken(self) -> bool:
        """Tell whether a failure has ended the connection."""
        return self._broken is not None

    def write(self, data: "bytes | bytearray | memoryview") -> None:
        """Encrypt all of data; the whole of it then waits for `take`, so hand it over in pieces of a few 100 KB."""
        if self._broken:
            raise self._broken
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._raw.write(rest) :]
            except _ssl.SSLError as error:
                raise self._break(error, "record") from error

    def close(self) -> None:
        """Put close_notify into the output; nothing that fails here matters any more."""
        shutdown = getattr(self._raw, "shutdown", None) or getattr(self._raw, "unwrap")  # noqa: B009
        try:
            shutdown()
        except _ssl.SSLError:
            pass

    @property
    def version(self) -> str:
        """Name the protocol version, such as TLSv1.3."""
        return self._raw.version() or ""

    @property
    def cipher(self) -> str:
        """Name the cipher suite."""
        return (self._raw.cipher() or ("",))[0]

    @property
    def peer_certificate(self) -> bytes:
        """Give the server's certificate in DER, b"" if there is none or not yet."""
        try:
            return self._raw.getpeercert(True) or b""
        except ValueError:
            return b""

    @property
    def chain(self) -> list[bytes]:
        """Give the certificates that the server sent, its own first, in DER."""
        sent = getattr(getattr(self._raw, "_sslobj", self._raw), "get_unverified_chain", None)
        try:
            found = [bytes(one.public_bytes(_ssl.ENCODING_DER)) for one in (sent() if sent else None) or ()]
        except (AttributeError, ValueError, _ssl.SSLError):  # private to Python
            found = []
        return found or ([self.peer_certificate] if self.peer_certificate else [])

    @property
    def resumed(self) -> bool:
        """Tell whether the handshake was shortened by the session."""
        return self._raw.session_reused

    @property
    def session(self) -> Session | None:
        """Give what resumes this connection later, None if nothing does (yet: TLS 1.3 tells it after the handshake)."""
        raw = self._raw.session
        if raw is None or not self._done or not (raw.has_ticket or (raw.id and self.version == "TLSv1.2")):
            return None
        return Session(raw, self._context, self._name)

    def channel_binding(self, kind: str) -> bytes | None:
        """Give the data of "tls-server-end-point" (RFC 5929) or "tls-exporter" (RFC 9266), None if not to be had."""
        if kind == "tls-server-end-point":
            from pysendmail.delivery.certificate import end_point

            return end_point(self.peer_certificate)
        try:
            return self._raw.get_channel_binding(kind) if kind == "tls-exporter" else None
        except ValueError:  # this Python does not know it
            return None

    def _break(self, error: _ssl.SSLError | None, kind: str) -> TLSFailure:
        """Remember and give the failure that ends this connection."""
        from pysendmail.delivery import tls_failure

        retry = self._context.bundle_left and tls_failure.is_unknown_issuer(error)
        text = tls_failure.explain(kind, error, self._name, self._shown(), self._head, self._context.settings)
        self._broken = TLSFailure(text, retry)
        return self._broken

    def _shown(self) -> bytes:
        """Find the server's certificate even where the handshake ended before it was accepted."""
        chain = getattr(getattr(self._raw, "_sslobj", self._raw), "get_unverified_chain", None)
        try:
            found = chain() if chain else None
            return bytes(found[0].public_bytes(_ssl.ENCODING_DER)) if found else self.peer_certificate
        except (AttributeError, ValueError, _ssl.SSLError):  # private to Python: to name what was found is only a help
            return b""


def _server_name(host: str) -> str:
    """Bring a host from the configuration into the form that certificates have."""
    name = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    if ":" in name:
        return name.partition("%")[0]  # the zone of a link-local address stands in no certificate
    if not name.isascii():
        from pysendmail.message.address import domain_to_ascii

        name = domain_to_ascii(name.encode("utf-8", "surrogateescape")).decode("ascii")
    return name.removesuffix(".")
