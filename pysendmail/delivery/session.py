"""One authenticated connection to a smarthost: from the first address tried to QUIT.

A session drives the client machine over a link. `open` gets as far as the server allows without a message; `send` runs
one transaction. What goes wrong in `open` is raised; what goes wrong in `send` is the recipients' outcome.
"""

from time import monotonic

from pysendmail import errors
from pysendmail.delivery import interruption
from pysendmail.delivery.connect import Connector, addresses
from pysendmail.delivery.link import Link, Lost, TimedOut
from pysendmail.log import Masker
from pysendmail.smtp.client import Client, Patience

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.config.accounts import Account, Server
    from pysendmail.delivery.failover import Failover
    from pysendmail.delivery.security import Security
    from pysendmail.smtp.outcome import Mail
    from pysendmail.smtp.sasl import Credentials
    from pysendmail.smtp.transaction import Transaction

    Trace = Callable[[str, bytes], None]


class _BindingRefused(Exception):
    """The server refused the type of channel binding, before it saw any proof of the password."""


# What no other address or server can mend.
_FINAL = (errors.NoPermission, errors.ConfigError, errors.SoftwareError, errors.Interrupted)


_MISSING = "the server closed the connection; the answer to %s is missing"


class _NotEncrypted(Exception):
    """TLS could not be set up, and the configuration permits to go on without it."""


def _trust(account: "Account", verify: bool) -> str:
    """Say in a word or two what is known of the server."""
    if account.tls_fingerprint:
        return "pinned"
    return "verified" if verify and account.tls_certcheck else "not verified"


class Route:
    """How to reach a smarthost: its account, the credentials if AUTH is wanted, and who is told the dialogue.

    `secrets` are masked in all that is said about it.
    """

    __slots__ = ("_failover", "_security", "account", "credentials", "masker", "patience", "trace")

    def __init__(self, account: "Account", credentials: "Credentials | None", trace: "Trace | None" = None) -> None:
        self.account = account
        self.credentials = credentials
        self.trace = trace
        self._security: Security | None = None
        self._failover: Failover | None = None
        self.masker = Masker(() if credentials is None else _secrets(credentials))
        final = account.timeout if account.timeout_written else max(600.0, account.timeout)
        self.patience = Patience(account.timeout, final)

    @property
    def security(self) -> "Security":
        """The TLS of this route, loaded when it is first needed."""
        if self._security is None:
            from pysendmail.delivery.security import Security

            self._security = Security(self.account)
        return self._security

    @property
    def failover(self) -> "Failover | None":
        """What chooses among several servers, None where there is only one."""
        servers = self.account.servers
        if self._failover is None and (len(servers) > 1 or servers[0].domain is not None):
            from pysendmail.delivery.failover import Failover

            self._failover = Failover(self.account)
        return self._failover


def _secrets(credentials: "Credentials") -> "list[bytes]":
    """Return what has to be masked: the secret, and the messages of PLAIN and OAuth that hold it."""
    secret, user = credentials.secret, credentials.user
    if not secret:
        return []
    return [secret, b"\0" + user + b"\0" + secret, b"Bearer " + secret]


class Session:
    """One connection, ready for transactions once `open` has returned.

    `deadline` (of time.monotonic) bounds all of it but the wait for the answer to a message, which has its own time: it
    is the one wait whose end leaves a doubt. It may be moved between transactions.
    """

    def __init__(self, route: Route, deadline: float) -> None:
        self.route = route
        self.deadline = deadline
        self.client: Client | None = None
        self.relay = "none"  # host[address]:port, once connected
        self.tls_facts = ""
        self.reached = False  # a server has greeted us
        self.server: Server = route.account.servers[0]
        self._trace = route.trace
        self._passed: set[tuple[str, int]] = set()
        self._link: Link | None = None

    def listen(self, trace: "Trace | None") -> None:
        """Have the dialogue told to `trace` from now on, to nobody if that is None."""
        self._trace = trace
        if self.client is not None:
            self.client.trace = trace

    @property
    def usable(self) -> bool:
        """Whether another transaction can be sent, as far as the server has let us know by now."""
        client, link = self.client, self._link
        if client is None or link is None or not client.idle:
            return False
        try:
            if early := link.arrived():
                client.feed(early)
        except errors.Failure:
            return False
        return not (client.closing or link.eof)

    def fileno(self) -> int:
        """Return the descriptor of the connection."""
        return self._ready_link().fileno()

    def keep_alive(self) -> None:
        """Have the system look now and then whether the peer of this idle connection is still there."""
        self._ready_link().keep_alive()

    def open(self) -> Client:
        """Connect, greet, encrypt and log in, at the first of the servers and their addresses where that works.

        Raises the Failure of the first one when it works at none of them; a refused login ends the search.
        """
        if self.route.account.tls != "off":
            self.route.security.context(self._verify())  # what is wrong with its files is told before anybody is called
        failover = self.route.failover
        if failover is None:
            return self._open_server(self.route.account.timeout)
        first: errors.Failure | None = None
        deadline = self.deadline
        for found, last in failover.order(deadline, self._passed):
            try:
                if isinstance(found, errors.Failure):
                    raise found
                self.server = found
                client = self._open_in_turn(deadline, last)
                failover.worked(found)
                return client
            except _FINAL:
                raise
            except errors.Failure as failure:
                if not isinstance(found, errors.Failure):
                    failover.failed(found)
                if first is None:
                    first = failure
                else:
                    first.text = f"{first.text}; {failure}"
        raise first or errors.TempFail("no other server is left to be tried", self._place())

    def open_next(self) -> bool:
        """Go over to the next server, since this one took nothing; False, and all stays as it is, if none can be used."""
        failover = self.route.failover
        if failover is None:
            return False
        passed = {*self._passed, self.server.key}
        other = Session(self.route, self.deadline)
        other.listen(self._trace)
        for found, _ in failover.order(self.deadline, passed, only_good=True):
            if isinstance(found, errors.Failure):
                continue
            other.server = found
            try:
                client = other._open_in_turn(self.deadline, False)
            except errors.Interrupted:
                raise
            except errors.Failure:
                failover.failed(found)
                continue
            self.close()
            self._passed = passed
            self.client, self._link, self.server = client, other._link, found
            self.relay, self.tls_facts = other.relay, other.tls_facts
            return True
        return False

    def _open_in_turn(self, deadline: float, last: bool) -> Client:
        """Open the session at this one of several servers: while others are left, it has less time."""
        from pysendmail.delivery.failover import CONNECT, READY

        timeout = self.route.account.timeout
        if last:
            return self._open_server(timeout)
        try:
            self.deadline = min(deadline, monotonic() + READY)
            return self._open_server(min(timeout, CONNECT))
        finally:
            self.deadline = deadline

    def _open_server(self, timeout: float) -> Client:
        """Open the session at the first of the server's addresses where that works; `timeout` bounds connecting."""
        self.relay = "none"
        found = addresses(self.server.host, self.server.port, min(self.deadline, monotonic() + timeout))
        connector = Connector(found, self.route.account.source_ip, timeout)
        first: errors.Failure | None = None
        while not connector.exhausted and monotonic() < self.deadline:
            try:
                return self._open_one(connector)
            except _FINAL:
                raise
            except errors.Failure as failure:
                first = first or failure
        raise first or errors.TempFail("no connection in time", self._place())

    def send(self, mail: "Mail", recipients: list[bytes]) -> "Transaction":
        """Run one transaction and return it with an outcome, or a place in a later one, for each recipient."""
        transaction = self.begin(mail, recipients)
        self.finish()
        return transaction

    def begin(self, mail: "Mail", recipients: list[bytes]) -> "Transaction":
        """Begin a transaction: send what may leave before there is an answer."""
        client = self._ready_client()
        interruption.hold()
        transaction = client.send(mail, recipients)
        self._go_on(self._flush)
        return transaction

    def heard(self) -> bool:
        """Take what the server has said by now, without waiting; tell whether nothing more has to be waited for."""
        client = self._ready_client()
        if not client.idle:
            self._go_on(self._listen)
        return client.idle

    def finish(self) -> None:
        """Go on with the transaction that was begun, until it has an outcome, or a place in a later one, for everybody."""
        if not self._ready_client().idle:
            self._go_on(self._exchange)

    def close(self) -> None:
        """Say QUIT if that makes sense, and leave without waiting for the answer."""
        if self._link is None:
            return
        try:
            if self.usable and self.client is not None:
                self.client.quit()
                self._link.write(self.client.output(), 1, monotonic() + 1)
        except errors.Failure:
            pass  # the answers to all messages are in; nothing after them can change an outcome
        if self._link.tls is not None:
            self.route.security.remember(self._link.tls)
        self._link.close()
        self._link = self.client = None

    # Setting up

    def _open_one(self, connector: Connector) -> Client:
        """Open a session at the next address, with the second connections that a fallback needs."""
        link = connector.next(self.deadline)
        try:
            return self._begin(link, encrypt=True, bundle=False)
        except _NotEncrypted:
            encrypt, bundle = False, False
        except errors.TempFail as failure:
            if not getattr(failure, "retry_with_bundle", False):
                raise
            encrypt, bundle = True, True
        again = Connector([link.address], self.route.account.source_ip, self.route.account.timeout)
        return self._begin(again.next(self.deadline), encrypt, bundle)

    def _begin(self, link: Link, encrypt: bool, bundle: bool) -> Client:
        account = self.route.account
        self._link = link
        self.relay = f"{self.server.host}[{link.peer}]:{self.server.port}"
        self.tls_facts = ""
        try:
            self.client = client = Client(self._name(link), self.route.patience, self.route.masker, self._trace)
            if encrypt and account.tls != "off" and not self.server.starttls:
                self._encrypt(client, link, bundle)
            self._converse()
            self.reached = True
            client.hello()
            self._converse()
            if encrypt and account.tls != "off" and self.server.starttls:
                self._upgrade(client, link, bundle)
            self._log_in(client)
        except (errors.Failure, _NotEncrypted) as failure:
            link.close()
            self._link = self.client = None
            if isinstance(failure, errors.Failure):
                failure.place = failure.place or self._place()
            raise
        return client

    def _upgrade(self, client: Client, link: Link, bundle: bool) -> None:
        """Go over to TLS on a connection that began in clear (RFC 3207)."""
        opportunistic = self.route.account.tls == "opportunistic"
        if b"STARTTLS" not in client.extensions:
            if opportunistic and self.route.account.tls_fingerprint is None:
                return
            raise errors.TempFail("the server does not offer STARTTLS, but TLS is required (see tls and tls_starttls)")
        self._encrypt(client, link, bundle)
        client.hello()
        self._converse()

    def _encrypt(self, client: Client, link: Link, bundle: bool) -> None:
        account = self.route.account
        tls = self.route.security.tls(self._verify(), bundle, self.server.identity or self.server.host)
        try:
            if self.server.starttls:
                client.start_tls()
                self._converse()
                client.secured()
            link.start_tls(tls, min(self.deadline, monotonic() + account.timeout))
        except errors.Interrupted:
            raise
        except errors.TempFail as failure:
            injected = client.tls_ready  # STARTTLS was accepted, yet TLS was not begun
            if account.tls == "opportunistic" and not self._verify() and not injected:
                raise _NotEncrypted from failure
            raise
        self.tls_facts = f"{tls.version} {tls.cipher}"
        if self._trace is not None:
            self._trace("=", f"{self.tls_facts}, server certificate {_trust(account, self._verify())}".encode())

    def _verify(self) -> bool:
        """Opportunistic TLS is not worth a check, since who can forge can also take it away; with AUTH or a pin it is."""
        account = self.route.account
        return account.tls != "opportunistic" or self.route.credentials is not None or account.tls_fingerprint is not None

    def _log_in(self, client: Client) -> None:
        credentials, account = self.route.credentials, self.route.account
        if credentials is None:
            return
        encrypted = self._link is not None and self._link.tls is not None
        if not encrypted and not account.auth_without_tls:
            raise errors.TempFail("AUTH is wanted, but the connection is not encrypted (see tls and auth_without_tls)")
        offered = client.extensions.mechanisms
        if not offered:
            raise errors.TempFail("the server does not offer AUTH, but the configuration asks for it (see auth)")
        try:
            self._authenticate(client, offered, self._binding(), encrypted)
        except _BindingRefused:
            self._authenticate(client, offered, None, encrypted)

    def _binding(self) -> "Callable[[str], bytes | None] | None":
        """Return what gives the channel binding of the connection (RFC 5929), None without TLS."""
        tls = self._ready_link().tls
        return tls.channel_binding if tls is not None else None

    def _authenticate(
        self,
        client: Client,
        offered: list[bytes],
        binding: "Callable[[str], bytes | None] | None",
        encrypted: bool,
    ) -> None:
        """Run one AUTH exchange with the best mechanism. Raises NoPermission, or _BindingRefused where that was why."""
        from pysendmail.smtp.sasl import choose

        account = self.route.account
        if self.route.credentials is None:
            return
        mechanism = choose(
            offered,
            self.route.credentials,
            wanted=account.mechanism,
            channel_binding=binding,
            external=bool(account.tls_cert_file),
            encrypted=encrypted,
            host=self.server.host.encode("utf-8", "surrogateescape"),
            port=self.server.port,
        )
        client.authenticate(mechanism)
        try:
            self._converse()
        except errors.NoPermission as failure:
            wanted = account.mechanism or b""
            if mechanism.retry_unbound and not wanted.endswith(b"-PLUS") and not client.closing:
                raise _BindingRefused from failure
            raise

    def _name(self, link: Link) -> bytes:
        """Return the name for EHLO: as configured, else this machine's full name, else our address (RFC 5321 4.1.3)."""
        account = self.route.account
        if account.domain:
            return account.domain.encode("utf-8", "surrogateescape")
        if account.privacy:
            return b"[127.0.0.1]"
        from os import uname

        name = uname().nodename
        if "." in name and name.isascii() and name.replace("-", "").replace(".", "").isalnum():
            return name.encode()
        address = link.local_address()
        return f"[IPv6:{address}]".encode() if ":" in address else f"[{address}]".encode()

    # Driving the machine

    def _go_on(self, step: "Callable[[Client, Link], object]") -> None:
        """Take a step of a transaction; where it fails, the connection has ended, and that is everybody's outcome."""
        try:
            self._converse(step)
        except errors.Failure as failure:
            self._ready_client().lost(failure)

    def _converse(self, step: "Callable[[Client, Link], object] | None" = None) -> None:
        """Send and read until the client is idle. What came before the connection broke, or a signal, still counts."""
        client, link = self._ready_client(), self._ready_link()
        try:
            (step or self._exchange)(client, link)
        except (Lost, TimedOut, errors.Interrupted):
            client.feed(link.drain())
            raise

    def _listen(self, client: Client, link: Link) -> None:
        """Take what the server has said by now."""
        if early := link.arrived():
            client.feed(early)
        if link.eof and not client.idle:
            raise Lost(_MISSING % client.waiting_for)

    def _exchange(self, client: Client, link: Link) -> None:
        """Send what is to be sent, and read what is due. Each reply has its own time, counted from the one before it."""
        since = monotonic()
        while True:
            if self._flush(client, link):
                since = monotonic()
            if client.idle:
                return
            before = client.replies
            until = since + client.patience
            data = link.read(until if client.waiting_for == "end of data" else min(until, self.deadline))
            if not data:
                raise Lost(_MISSING % client.waiting_for)
            client.feed(data)
            if client.replies != before:
                since = monotonic()

    def _flush(self, client: Client, link: Link) -> bool:
        """Send all that may be sent, and take what the server says meanwhile; tell whether anything was sent."""
        sent = False
        stall = self.route.account.timeout
        while data := client.output():
            link.write(data, stall, self.deadline)
            client.flushed()
            sent = True
            if not client.unsent:
                break
            if early := link.arrived():
                client.feed(early)
        return sent

    def _ready_client(self) -> Client:
        if self.client is None:
            raise errors.SoftwareError("the session is not open")
        return self.client

    def _ready_link(self) -> Link:
        if self._link is None:
            raise errors.SoftwareError("the session is not open")
        return self._link

    def _place(self) -> str:
        return self.relay if self.relay != "none" else str(self.server)
