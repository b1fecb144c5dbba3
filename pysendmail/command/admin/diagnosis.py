"""The cause behind a failure at a server, and what mends it: a wrong port shows itself in many ways."""

from pysendmail import errors
from pysendmail.command.admin import probe
from pysendmail.command.admin.findings import FAILED, OK, WARNING
from pysendmail.delivery.link import Lost, TimedOut
from pysendmail.delivery.tls import TLSFailure
from pysendmail.smtp.outcome import wants_login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.admin.check_server import Try
    from pysendmail.config.accounts import Account
    from pysendmail.smtp.reply import Reply

USUAL = (587, 465, 25, 2525)
"""Ports at which smarthosts listen."""

_SHORT = 2.0  # seconds for a look at another port


class Cause:
    """What is wrong, in which step, how bad that is, the exit code that it means, and what mends it."""

    __slots__ = ("code", "level", "mend", "step", "text")

    def __init__(self, step: str, text: str, mend: str, level: str = FAILED, code: int = 0) -> None:
        self.step = step
        self.text = text
        self.mend = mend
        self.level = level
        self.code = code


def diagnose(account: "Account", one: "Try", works: bool) -> Cause:
    """Find the cause of a failure; `works` tells that another address can be used, so that no more need be tried."""
    failure = one.failure or errors.SoftwareError("nothing is wrong")
    where = f"{one.server.host}[{str(one.address[1][0]).split('%')[0]}]:{one.server.port}"
    times = one.probe.times
    if "connected" not in times:
        return _unconnected(where, one, works)
    if isinstance(failure, TLSFailure):
        return _insecure(where, failure)
    if "greeted" not in times:
        return _ungreeted(where, account, one)
    if isinstance(failure, errors.NoPermission):
        mend = "check user and password; some providers want a password made for programs, or OAuth"
        return Cause("login", f"wrong user or password: {failure}", mend)
    text = failure.text
    if "does not offer AUTH" in text:
        mend = "use the port for submission (587 or 465), since port 25 often offers none; or write auth off"
        return Cause("login", f"{where}: {text}", mend)
    if "does not offer STARTTLS" in text:
        mend = "use port 465 or 587; only tls off would send without encryption, and anybody could read it"
        return Cause("encryption", f"{where}: {text}", mend)
    text, parted, mend = str(failure).rpartition("; ")
    return Cause("connection", text if parted else mend, mend if parted else "ask the server's operator")


def refusal(account: "Account", reply: "Reply", step: str) -> Cause:
    """Say what a reply to MAIL (step sender) or RCPT means."""
    if reply.kind == 2:
        return Cause(step, "", "", OK)
    if wants_login(reply):
        code = errors.NoPermission.exit_code
        return Cause(step, "the server wants a login first: ", "set user and a password", FAILED, code)
    if reply.kind == 4:
        # A queue comes back later, which is all that is needed.
        level = WARNING if account.queue is not None else FAILED
        grey = reply.code in (450, 451) or b"grey" in reply.text.lower() or b"gray" in reply.text.lower()
        text = "put off, by greylisting it seems: " if grey and step == "recipient" else "put off for now: "
        mend = "try again in some minutes; with the word queue a message does that by itself"
        return Cause(step, text, mend, level, errors.TempFail.exit_code)
    if reply.kind == 5 and step == "sender":
        mend = "set from to an address that this login may use"
        return Cause(step, "refused: ", mend, FAILED, errors.Unavailable.exit_code)
    if reply.kind == 5:
        mend = "check the address; without a login many servers relay nothing"
        return Cause(step, "refused: ", mend, FAILED, errors.NoUser.exit_code)
    return Cause(step, "not understood: ", "ask the server's operator", FAILED, errors.ProtocolError.exit_code)


def _unconnected(where: str, one: "Try", works: bool) -> Cause:
    text = str(one.failure)
    if "refused" in text:
        cause = f"{where} refuses connections: nothing listens at this port, or a firewall says no"
    elif isinstance(one.failure, TimedOut) or "in time" in text or "timed out" in text:
        cause = f"{where} never answers: a firewall drops it, or nobody is there"
    elif "nreachable" in text:
        return Cause("connection", f"{where}: this machine has no way there ({text})", "check the network and its routes")
    else:
        return Cause("connection", f"{where}: {text}", "check host, port and source_ip")
    others = [] if works else [port for port in USUAL if port != one.server.port]
    open_ports = [port for port in others if probe.answers(one.address, port, _SHORT)]
    if open_ports:
        ports = " and ".join([str(port) for port in open_ports])
        return Cause("connection", f"{cause}; wrong port: {ports} answers there", f"write port {open_ports[0]}")
    return Cause("connection", cause, "check host and port, and the firewalls between; many networks block port 25")


def _ungreeted(where: str, account: "Account", one: "Try") -> Cause:
    failure = one.failure
    clear = one.server.starttls or account.tls == "off"
    if isinstance(failure, TimedOut | Lost) and clear and probe.answers_tls(account, one.server, one.address):
        text = f"{where}: wrong port or wrong way of TLS: TLS begins there at once, the configuration begins in clear"
        return Cause("encryption", text, "write tls_starttls off (and tls on), or use port 587")
    if isinstance(failure, TimedOut):
        text = f"{where} takes connections, but says nothing"
        return Cause("connection", text, "check port; the server may be overloaded")
    if isinstance(failure, errors.ProtocolError):
        return Cause("connection", f"{where}: wrong port: what listens there does not speak SMTP", "check port")
    return Cause("connection", str(failure), "check host and port; the server may not want this machine")


def _insecure(where: str, failure: TLSFailure) -> Cause:
    text, parted, mend = failure.text.rpartition("; ")
    if "does not speak TLS on this port" in failure.text:
        cause = f"{where}: wrong port or wrong way of TLS: {text if parted else failure.text}"
        return Cause("encryption", cause, "write tls_starttls on, or use port 465")
    return Cause("encryption", f"{where}: {text if parted else mend}", mend if parted else "ask the server's operator")
