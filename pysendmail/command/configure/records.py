"""What a domain's own records in DNS say about where its mail is sent through: SRV (RFC 6186, RFC 8314) and MX."""

from pysendmail.command.configure import providers
from pysendmail.command.configure.offer import IMPLICIT, STARTTLS, Offer
from pysendmail.delivery import dns, srv

_SERVICES = (("_submissions._tcp", IMPLICIT), ("_submission._tcp", STARTTLS))


def submission(domain: str, deadline: float) -> list[Offer]:
    """Return the servers that SRV records name, the best one first. Raises as dns.ask.

    Who can forge DNS could name any server. So one outside of the domain is not trusted, unless it is a known provider's.
    """
    found = []
    for service, tls in _SERVICES:
        rows = [row for row in srv.look_up(f"{service}.{domain}", deadline) if row[3]]
        for _, _, port, target in srv.ordered(rows, lambda most: most):  # of equal ones that of the largest weight
            known = providers.of_host(target)
            inside = (f".{target}").endswith(f".{domain}")
            offer = Offer(target, port, tls, f"the SRV record {service}.{domain}", trusted=inside or known is not None)
            if known is not None:
                offer.hint, offer.user, offer.oauth = known.hint, known.user, known.oauth
            found.append(offer)
    return found


def exchangers(domain: str, deadline: float) -> list[str]:
    """Return the servers that take mail for a domain, the preferred one first. Raises as dns.ask."""
    answer = dns.ask(domain, "MX", deadline)
    rows = sorted([(int(record.preference), dns.host_name(record.exchange) or "") for record in answer.records])
    return [host for _, host in rows if host]


def hosted(hosts: list[str]) -> Offer | None:
    """Return the server of the known provider that takes a domain's mail."""
    for host in hosts[:4]:
        known = providers.of_exchanger(host)
        if known is not None:
            return known.offer(f"which takes the mail of the domain (MX {host})")
    return None
