"""A server on this machine whose certificate nobody vouches for, such as Proton Mail Bridge: whether it is the right one."""

from pysendmail import errors
from pysendmail.command.admin.probe import Probe
from pysendmail.command.configure.offer import CLEAR, STARTTLS
from pysendmail.config import accounts, reader
from pysendmail.delivery import connect
from pysendmail.delivery.certificate import Certificate, fingerprint, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.configure.settings import Settings

_PATIENCE = 10  # seconds


def shown_by(settings: "Settings") -> tuple[str, str] | None:
    """Return fingerprint and name of the certificate that a server on this machine shows; None where it is another's affair.

    It is asked for nothing else, and told nothing.
    """
    offer = settings.offer
    if offer.tls == CLEAR or settings.fingerprint or settings.trust_file or not _is_here(offer.host):
        return None
    starttls = "on" if offer.tls == STARTTLS else "off"
    text = f"host {offer.host}\nport {offer.port}\ntls_starttls {starttls}\ntls_certcheck off\ntimeout {_PATIENCE}\n"
    account = accounts.choose(reader.parse(text.encode(), "configure"))[0]
    probe = Probe(account, None, None)
    try:
        found = connect.addresses(offer.host, offer.port, probe.deadline)
        probe.reach(account.servers[0], found[0])
        chain = probe.certificates()
        return (fingerprint(chain[0]), _name(chain[0])) if chain else None
    except errors.Interrupted:
        raise
    except errors.Failure:
        return None  # the checks say what is wrong
    finally:
        probe.close()


def _is_here(host: str) -> bool:
    return host in ("localhost", "::1") or (host.startswith("127.") and host.replace(".", "").isdecimal())


def _name(der: bytes) -> str:
    try:
        found = Certificate(der)
        return f"for {shorten(found.names) or found.subject or 'nobody'}"
    except ValueError:
        return "which cannot be read"
