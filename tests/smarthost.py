"""An embedded smarthost on loopback: aiosmtpd with STARTTLS and AUTH behind a certificate authority of its own."""

import asyncio
import dataclasses
import logging
import pathlib
import socket
import ssl
import threading
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

# aiosmtpd warns of its own session attribute at every login
logging.getLogger("mail.log").setLevel(logging.ERROR)


@dataclasses.dataclass(frozen=True)
class Authority:
    """The paths of a CA's certificate, and of the key and chain that it gave to localhost."""

    ca: pathlib.Path
    chain: pathlib.Path
    key: pathlib.Path


def make_authority(folder: pathlib.Path) -> Authority:
    """Write a CA and a certificate for localhost and 127.0.0.1 into `folder`."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA)
    paths = Authority(folder / "ca.pem", folder / "chain.pem", folder / "key.pem")
    authority.cert_pem.write_to_path(str(paths.ca))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(paths.chain), append=True)
    certificate.private_key_pem.write_to_path(str(paths.key))
    paths.key.chmod(0o600)
    return paths


@dataclasses.dataclass(frozen=True)
class Received:
    """One accepted message: its envelope, its octets with CRLF and without dot stuffing, and what protected it."""

    sender: str
    recipients: list[str]
    options: list[str]
    data: bytes
    tls: str | None
    login: str | None


class Smarthost:
    """Listen on a free port of 127.0.0.1 and keep what is accepted in `received`.

    With an authority, mail is taken only after STARTTLS and AUTH as `user`; without one it is taken in clear from
    anybody. Recipients in `refused` get 550.
    """

    def __init__(
        self,
        authority: Authority | None = None,
        user: str = "",
        password: str = "",
        refused: frozenset[str] = frozenset(),
    ) -> None:
        self.received: list[Received] = []
        self._login = LoginPassword(user.encode(), password.encode())
        self._refused = refused
        self._context: ssl.SSLContext | None = None
        if authority is not None:
            self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._context.load_cert_chain(authority.chain, authority.key)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        """Serve in a thread of its own until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and wait for the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._loop.create_server(self._protocol, sock=self._socket))
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _protocol(self) -> SMTP:
        guarded = self._context is not None
        return SMTP(
            self,
            hostname="localhost",
            ident="smarthost",
            enable_SMTPUTF8=True,
            data_size_limit=None,
            tls_context=self._context,
            require_starttls=guarded,
            auth_required=guarded,
            authenticator=self._authenticate,
            loop=self._loop,
        )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        return AuthResult(success=data == self._login, auth_data=data)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept every recipient but the refused ones."""
        if address in self._refused:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the message."""
        tls = session.ssl["cipher"][1] if session.ssl else None
        login = session.auth_data.login.decode() if session.auth_data else None
        options = list(envelope.mail_options) + list(envelope.rcpt_options)
        data = envelope.original_content or b""
        sender = (envelope.mail_from or "").removeprefix("<").removesuffix(">")  # the null sender comes as <>
        self.received.append(Received(sender, list(envelope.rcpt_tos), options, data, tls, login))
        return "250 2.0.0 kept"
