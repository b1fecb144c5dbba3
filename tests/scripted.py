"""A server on loopback that says what a script tells it, and remembers what it was told, in clear and under TLS.

A script is a function of a `Peer`: it says and hears lines, shakes hands, takes a message, stalls, drips, floods or
hangs up. Whatever a script does, it ends when the client goes or after LIMIT seconds.
"""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Self

LIMIT = 20.0
CAPABILITIES = ("PIPELINING", "SIZE 10000000", "8BITMIME", "CHUNKING", "DSN", "SMTPUTF8", "ENHANCEDSTATUSCODES")


class Gone(Exception):
    """The client ended the connection."""


class Peer:
    """One connection from the server's end."""

    def __init__(self, raw: socket.socket, server: "ScriptedServer") -> None:
        self.raw = self.socket = raw
        self.server = server
        self.number = server.connections
        self.buffer = b""
        self.reads = 0

    @property
    def encrypted(self) -> bool:
        return isinstance(self.socket, ssl.SSLSocket)

    def say(self, *lines: str | bytes) -> None:
        """Send lines, each with CRLF, in one piece."""
        self.send(b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines))

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Gone from error

    def receive(self) -> bytes:
        """Take what comes; remember it as said in clear or under TLS."""
        self.reads += 1
        try:
            data = self.socket.recv(65536)
        except OSError as error:
            raise Gone from error
        if not data:
            raise Gone
        (self.server.secure if self.encrypted else self.server.clear).append(data)
        return data

    def hear(self, beginning: str = "") -> bytes:
        """Read one line, which has to begin as said, and return it without its end."""
        while b"\n" not in self.buffer:
            self.buffer += self.receive()
        line, _, self.buffer = self.buffer.partition(b"\n")
        line = line.removesuffix(b"\r")
        if not line.upper().startswith(beginning.encode()):
            self.server.surprises.append(f"heard {line[:60]!r} where {beginning} was due")
        return line

    def octets(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self.buffer += self.receive()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def tls(self, identity: str = "good", **options: object) -> None:
        """Take the server's side of the handshake."""
        try:
            self.socket = self.server.context(identity, **options).wrap_socket(self.raw, server_side=True)
        except (OSError, ValueError) as error:
            raise Gone from error

    def message(self) -> bytes:
        """Hear DATA or BDAT and take the message; the answer to its end is still due."""
        line = self.hear()
        words = line.upper().split()
        if words[:1] == [b"BDAT"]:
            data = self.octets(int(words[1]))
        else:
            self.say("354 go ahead")
            data = b""
            while not data.endswith(b"\r\n.\r\n"):
                data += self.hear() + b"\r\n"
            data = data.removesuffix(b".\r\n")
        self.server.messages.append(data)
        return data

    def drip(self, data: bytes, pause: float) -> None:
        """Send one octet after the other."""
        for octet in data:
            self.send(bytes([octet]))
            time.sleep(pause)

    def flood(self, data: bytes, most: int = 64 << 20) -> None:
        """Send the same again and again until the client goes."""
        block = data * max(1, 65536 // len(data))
        for _ in range(most // len(block)):
            self.send(block)

    def stall(self) -> None:
        """Say nothing more, and read until the client goes."""
        while True:
            self.receive()

    def reset(self) -> None:
        """End the connection with a RST."""
        # wrapping a socket leaves the raw object without its descriptor
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        raise Gone

    def hang_up(self) -> None:
        raise Gone


Script = Callable[[Peer], None]


class ScriptedServer:
    """Listen on a free port and run `script` for each connection, one after the other."""

    def __init__(self, script: Script, identities: dict[str, str], host: str = "127.0.0.1", port: int = 0) -> None:
        self.script = script
        self.identities = identities
        self.clear: list[bytes] = []
        self.secure: list[bytes] = []
        self.messages: list[bytes] = []
        self.surprises: list[str] = []
        self.waits = 0
        self.connections = 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=family)
        self.port = self.listener.getsockname()[1]
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def context(self, identity: str, **options: object) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.identities[identity])
        for name, value in options.items():
            if name == "ciphers":
                context.set_ciphers(str(value))
            else:
                setattr(context, name, value)
        return context

    @property
    def said(self) -> tuple[bytes, bytes]:
        """All that the client said, in clear and under TLS."""
        return b"".join(self.clear), b"".join(self.secure)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            socket.create_connection(self.listener.getsockname()[:2], timeout=5).close()
        self._thread.join(LIMIT)
        self.listener.close()

    def _serve(self) -> None:
        while True:
            raw, _ = self.listener.accept()
            if self._stopping:
                raw.close()
                return
            self.connections += 1
            raw.settimeout(LIMIT)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(raw, self)
            try:
                self.script(peer)
            except Gone:
                pass
            finally:
                with contextlib.suppress(OSError):
                    peer.socket.close()
                    raw.close()


# Pieces of scripts


def ehlo(peer: Peer, *more: str, capabilities: tuple[str, ...] = CAPABILITIES) -> None:
    """Hear EHLO and offer capabilities."""
    peer.hear("EHLO")
    lines = ["mx.test", *capabilities, *more]
    peer.say(*(f"250{' ' if line is lines[-1] else '-'}{line}" for line in lines))


def until_tls(peer: Peer, identity: str = "good", **options: object) -> None:
    """Go from the greeting to the end of the handshake."""
    peer.say("220 mx.test ESMTP")
    ehlo(peer, "STARTTLS")
    peer.hear("STARTTLS")
    peer.say("220 go ahead")
    peer.tls(identity, **options)


def until_login(peer: Peer, *, mechanisms: str = "PLAIN LOGIN", capabilities: tuple[str, ...] = CAPABILITIES) -> None:
    """Go from the greeting to an accepted login."""
    until_tls(peer)
    ehlo(peer, f"AUTH {mechanisms}", capabilities=capabilities)
    peer.hear("AUTH")
    peer.say("235 2.7.0 welcome")


def envelope(peer: Peer, recipients: int = 1) -> None:
    """Accept sender and recipients."""
    peer.hear("MAIL")
    peer.say("250 2.1.0 ok")
    for _ in range(recipients):
        peer.hear("RCPT")
        peer.say("250 2.1.5 ok")


def farewell(peer: Peer) -> None:
    peer.hear("QUIT")
    peer.say("221 2.0.0 bye")


def good(peer: Peer) -> None:
    """Be a good server for one message."""
    until_login(peer)
    envelope(peer)
    peer.message()
    peer.say("250 2.0.0 queued as ABC")
    farewell(peer)
