"""The smarthost, as seen from here: its names in DNS, each of its addresses, encryption, login, and what it would take."""

from time import monotonic, time

from pysendmail import errors
from pysendmail.command.admin import diagnosis, wording
from pysendmail.command.admin.findings import FAILED, NOTE, OK, WARNING, Findings
from pysendmail.command.admin.probe import PATIENCE, Probe
from pysendmail.delivery.certificate import Certificate, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account, Server
    from pysendmail.delivery.link import Address
    from pysendmail.delivery.session import Trace
    from pysendmail.smtp.reply import Reply
    from pysendmail.smtp.sasl import Credentials

    Broken = tuple[errors.Failure, str]  # with what mends it

_SERVERS, _ADDRESSES = 6, 8  # that are tried
_ALL = 180.0  # seconds after which no other address is tried
_SOON = 14  # days that a certificate should have left
_AHEAD = 300.0  # seconds between two clocks


class Try:
    """What became of one address of a server; `failure` is None if a message could be sent there."""

    __slots__ = ("address", "failure", "probe", "seconds", "server")

    def __init__(
        self, server: "Server", address: "Address", probe: Probe, failure: errors.Failure | None, seconds: float
    ) -> None:
        self.server = server
        self.address = address
        self.probe = probe
        self.failure = failure
        self.seconds = seconds


def look(
    findings: Findings,
    account: "Account",
    credentials: "Credentials | None",
    sender: bytes,
    recipient: bytes | None,
    dialogue: "Trace | None",
) -> None:
    """Try every address of every server."""
    tries: list[Try] = []
    broken: list[Broken] = []
    login_tried = False
    end = monotonic() + _ALL
    try:
        for server, addresses in _resolved(findings, account, broken):
            for address in addresses[:_ADDRESSES]:
                if monotonic() > end:
                    findings.add("note", f"no time is left to try {server} at {address[1][0]}", NOTE)
                    continue
                one = _try(account, None if login_tried else credentials, server, address, dialogue)
                tries.append(one)
                login_tried = login_tried or isinstance(one.failure, errors.NoPermission) or one.failure is None
            if len(addresses) > _ADDRESSES:
                findings.add("note", f"{server.host} has {len(addresses)} addresses, of which {_ADDRESSES} were tried", NOTE)
        _tell(findings, account, tries, broken)
        good = next((one for one in tries if one.failure is None), None)
        if good is not None:
            _tell_login(findings, account, credentials, good)
            if recipient is not None:
                _ask(findings, account, good.probe, sender, recipient)
    finally:
        for one in tries:
            one.probe.close()


def _resolved(
    findings: Findings, account: "Account", broken: "list[Broken]"
) -> "list[tuple[Server, list[Address]]]":
    """Find servers and addresses; what is wrong goes into `broken`."""
    from pysendmail.delivery.connect import addresses

    found: list[tuple[Server, list[Address]]] = []
    for server in _servers(findings, account, broken)[:_SERVERS]:
        began = monotonic()
        try:
            there = addresses(server.host, server.port, began + min(account.timeout, PATIENCE))
        except errors.Failure as failure:
            broken.append((failure, "check host, and /etc/resolv.conf"))
            continue
        names = ", ".join([str(where[0]) for _, where in there[:_ADDRESSES]])
        findings.add("addresses", f"{server}: {names}", seconds=monotonic() - began)
        found.append((server, there))
    return found


def _servers(findings: Findings, account: "Account", broken: "list[Broken]") -> "list[Server]":
    servers: list[Server] = []
    for entry in account.servers:
        if entry.domain is None:
            servers.append(entry)
            continue
        from pysendmail.delivery import srv

        began = monotonic()
        try:
            named = srv.servers(entry.domain, account, began + min(account.timeout, PATIENCE))
        except errors.Failure as failure:
            broken.append((failure, "check the domain, or name the servers themselves by host"))
            continue
        text = ", ".join([str(one) for one in named[:_SERVERS]])
        findings.add("DNS", f"{entry}: {text}", seconds=monotonic() - began)
        servers += named
    return servers


def _try(
    account: "Account", credentials: "Credentials | None", server: "Server", address: "Address", dialogue: "Trace | None"
) -> Try:
    began = monotonic()
    probe = Probe(account, credentials, dialogue)
    failure: errors.Failure | None = None
    try:
        probe.reach(server, address)
    except errors.Interrupted:
        raise
    except errors.Failure as found:
        failure = found
    return Try(server, address, probe, failure, monotonic() - began)


def _tell(findings: Findings, account: "Account", tries: list[Try], broken: "list[Broken]") -> None:
    """Tell what became of each address. One that cannot be used is a failure only where no other can."""
    works = any([one.failure is None for one in tries])
    level = WARNING if works else FAILED
    for failure, mend in broken:
        findings.add("DNS", str(failure), level, mend, code=failure.exit_code)
    silent = {":" in str(one.address[1][0]) for one in tries if one.failure is not None and not one.probe.times}
    for one in tries:
        if one.failure is None:
            _tell_address(findings, account, one)
            continue
        cause = diagnosis.diagnose(account, one, works)
        black_hole = works and ":" in str(one.address[1][0]) and False not in silent and not one.probe.times
        if black_hole:
            cause.text = f"{cause.text}, while IPv4 works: an IPv6 black hole"
            cause.mend = "mend the IPv6 route or firewall, or set source_ip to an IPv4 address; each connection loses time"
        refused = isinstance(one.failure, errors.NoPermission)
        findings.add(
            cause.step, cause.text, FAILED if refused else level, cause.mend, one.seconds, one.failure.exit_code
        )  # fmt: skip


def _tell_address(findings: Findings, account: "Account", one: Try) -> None:
    times, probe = one.probe.times, one.probe
    steps = [f"{name} after {times[name] * 1000:.0f} ms" for name in ("connected", "greeted", "ready") if name in times]
    findings.add("connection", f"{probe.relay}, {', '.join(steps)}")
    _tell_encryption(findings, account, probe)
    _compare_clock(findings, probe.greeting)


def _tell_encryption(findings: Findings, account: "Account", probe: Probe) -> None:
    if not probe.tls_facts:
        findings.add("encryption", "NONE: the message and its envelope go over the line in clear")
        return
    chain = probe.certificates()
    trust = "pinned" if account.tls_fingerprint else "verified" if account.tls_certcheck else "NOT verified (tls_certcheck)"
    text = f"{probe.tls_facts}, certificate {trust}"
    level, mend = OK, ""
    try:
        own = Certificate(chain[0]) if chain else None
        if own is not None:
            days = int((own.not_after - time()) // 86400)
            issuers = " < ".join([Certificate(der).issuer or "?" for der in chain[:5]])
            text += f", for {shorten(own.names) or own.subject}, issued by {issuers}, {wording.number(days, 'day')} left"
            if days < _SOON:
                level, mend = WARNING, "the server's operator has to renew it"
    except ValueError:
        text += ", which cannot be read further"
    findings.add("encryption", text, level, mend)


def _compare_clock(findings: Findings, greeting: bytes) -> None:
    """Compare the clock with the date that many servers greet with."""
    from pysendmail.message import date

    words = greeting.replace(b";", b" ").split()[:40]
    found = next((moment for at in range(len(words)) if (moment := date.read(b" ".join(words[at:]))) is not None), None)
    if found is None or found.zone is None:
        return
    ahead = time() - found.seconds
    if abs(ahead) > _AHEAD:
        relation = "ahead of" if ahead > 0 else "behind"
        text = f"this machine's clock is {wording.duration(abs(ahead))} {relation} the date in the server's greeting"
        findings.add("clock", text, WARNING, "see which is right, and set it")
    else:
        findings.add("clock", f"within {abs(ahead):.0f} seconds of the date in the server's greeting")


def _tell_login(findings: Findings, account: "Account", credentials: "Credentials | None", one: Try) -> None:
    client = one.probe.client
    if client is None:
        return
    offered = b" ".join(client.extensions.keywords).decode("ascii", "replace") or "no extensions"
    findings.add("offers", wording.shown(offered))
    if client.authenticated:
        user = (account.user or b"the client certificate").decode("utf-8", "backslashreplace")
        findings.add("login", f"accepted for {wording.shown(user, 200)}")
    elif account.auth is not False and credentials is None:
        findings.add("login", "not tried, since there is no password", NOTE)
    elif account.auth is False:
        offers = client.extensions.mechanisms
        findings.add("login", f"none{', although the server offers AUTH' if offers else ''}")


def _ask(findings: Findings, account: "Account", probe: Probe, sender: bytes, recipient: bytes) -> None:
    """Say MAIL and RCPT, take it back, and tell what the server said."""
    if not sender.isascii():
        findings.add("recipient", "not asked for: the sender's address is not in ASCII", NOTE)
        return
    began = monotonic()
    try:
        reply = probe.ask(b"MAIL FROM:<%b>" % sender, "MAIL")
        step, told = "sender", sender
        if reply.kind == 2:
            findings.add("sender", f"<{wording.shown(sender, 320)}>: {_text(probe, reply)}", seconds=monotonic() - began)
            began = monotonic()
            reply = probe.ask(b"RCPT TO:<%b>" % recipient, "RCPT")
            step, told = "recipient", recipient
        cause = diagnosis.refusal(account, reply, step)
        text = f"<{wording.shown(told, 320)}>: {cause.text}{_text(probe, reply)}"
        findings.add(step, text, cause.level, cause.mend, monotonic() - began, cause.code)
        probe.ask(b"RSET", "RSET")
    except errors.Failure as failure:
        findings.fail("recipient", failure)


def _text(probe: Probe, reply: "Reply") -> str:
    return wording.shown(probe.route.masker.mask(reply.text), 300)
