"""The last resort: servers with the usual names and ports, of which one counts that proves to be the domain's."""

from time import monotonic

from pysendmail import errors
from pysendmail.command.admin.probe import Probe
from pysendmail.command.configure.offer import IMPLICIT, STARTTLS, Offer
from pysendmail.config import accounts, reader
from pysendmail.delivery import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pysendmail.delivery.link import Address

_NAMES = ("smtp.{}", "mail.{}", "{}")
PLACES = ((465, IMPLICIT), (587, STARTTLS))
_PATIENCE = 6  # seconds for a connection and for each reply


def try_all(domain: str, deadline: float, trust_file: str | None) -> Offer | None:
    """Return the first server that is there, has a certificate for its name, and takes a login."""
    hosts = [name.format(domain) for name in _NAMES]
    return at(hosts, PLACES, deadline, trust_file, "found by trying usual names and ports")


def at(
    hosts: "Iterable[str]", places: "Iterable[tuple[int, str]]", deadline: float, trust_file: str | None, source: str
) -> Offer | None:
    """Return the first of these servers at which a login over verified TLS is possible."""
    for host in hosts:
        try:
            found = connect.addresses(host, 0, min(deadline, monotonic() + _PATIENCE))
        except errors.Interrupted:
            raise
        except errors.Failure:
            continue  # nobody has this name
        for port, tls in places:
            for family, where in found[:2]:
                address = family, (where[0], port, *where[2:])
                if monotonic() < deadline and _takes_login(host, port, tls, address, trust_file):
                    return Offer(host, port, tls, source)
    return None


def _takes_login(host: str, port: int, tls: str, address: "Address", trust_file: str | None) -> bool:
    text = f"host {host}\nport {port}\ntls_starttls {'on' if tls == STARTTLS else 'off'}\ntimeout {_PATIENCE}\n"
    if trust_file:
        text += f"tls_trust_file {trust_file}\n"
    account = accounts.choose(reader.parse(text.encode("utf-8", "surrogateescape"), "configure"))[0]
    probe = Probe(account, None, None)
    try:
        probe.reach(account.servers[0], address)
        return probe.client is not None and bool(probe.client.extensions.mechanisms)
    except errors.Interrupted:
        raise
    except errors.Failure:
        return False  # there may be another
    finally:
        probe.close()
