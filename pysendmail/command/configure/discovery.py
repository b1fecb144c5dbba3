"""From the domain of a mail address to its server: the table, DNS, autoconfig, the provider that takes its mail, guesses.

Each source is asked only if those before it know nothing. Answers that somebody on the way could have forged are marked
as not trusted; whoever configures is asked about them.
"""

from time import monotonic

from pysendmail import errors
from pysendmail.command.configure import autoconfig, guess, providers, records, web
from pysendmail.command.configure.offer import Offer
from pysendmail.config.reader import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[str], None]

_DNS, _WEB, _GUESSES = 12.0, 12.0, 45.0  # seconds for one question, for one file, for all guesses
_DATABASE = "https://autoconfig.thunderbird.net/v1.1/{}"
_OWN = ("https://autoconfig.{}/mail/config-v1.1.xml", "https://{}/.well-known/autoconfig/mail/config-v1.1.xml")


def find(domain: str, address: bytes, tell: "Tell", trust_file: str | None = None) -> list[Offer]:
    """Return the servers of the first source that names any, the best one first; none if nobody knows one.

    `domain` is in A-labels and lower case; `tell` gets a line for what was asked in vain.
    """
    known = providers.of_domain(domain)
    if known is not None:
        return [known.offer("known by the domain")]
    found = _by_srv(domain, tell) or _by_file(domain, address, tell)
    if found:
        return found
    exchangers = _exchangers(domain, tell)
    hosted = records.hosted(exchangers)
    if hosted is not None:
        return [hosted]
    found = _of_hoster(domain, exchangers, tell)
    if found:
        return found
    tell(f"trying the usual names and ports below {domain}")
    guessed = guess.try_all(domain, monotonic() + _GUESSES, trust_file)
    return [] if guessed is None else [guessed]


def _by_srv(domain: str, tell: "Tell") -> list[Offer]:
    try:
        found = records.submission(domain, monotonic() + _DNS)
    except errors.Interrupted:
        raise
    except errors.Failure as failure:
        tell(str(failure))
        return []
    if not found:
        tell(f"DNS names no server for the mail of {domain} (SRV)")
    return found


def _exchangers(domain: str, tell: "Tell") -> list[str]:
    try:
        return records.exchangers(domain, monotonic() + _DNS)
    except errors.Interrupted:
        raise
    except errors.Failure as failure:
        tell(str(failure))
        return []


def _by_file(domain: str, address: bytes, tell: "Tell") -> list[Offer]:
    """Ask the domain's own web servers, and then the database of Thunderbird, which gets the domain only."""
    from urllib.parse import quote

    query = f"?emailaddress={quote(address)}"
    for form in _OWN:
        found = _file(form.format(domain) + query, domain, f"the autoconfig of {domain}", tell)
        if found:
            return found
    return _file(_DATABASE.format(domain), domain, "the database of Thunderbird", tell)


def _of_hoster(domain: str, exchangers: list[str], tell: "Tell") -> list[Offer]:
    """Ask the database about whoever takes the domain's mail; DNS, which anybody on the way may forge, names him."""
    found: list[Offer] = []
    for host in exchangers[:1]:
        hoster = ".".join(host.split(".")[-2:])
        if hoster != domain:
            source = f"the database of Thunderbird, for the provider that takes the mail of the domain (MX {host})"
            found = _file(_DATABASE.format(hoster), domain, source, tell)
    for offer in found:
        offer.trusted = False
    return found


def _file(url: str, domain: str, source: str, tell: "Tell") -> list[Offer]:
    try:
        found = autoconfig.read(web.fetch(url, monotonic() + _WEB), domain, source)
    except errors.Interrupted:
        raise
    except errors.Failure as failure:
        tell(f"{source}: {failure}")
        return []
    except autoconfig.Malformed as fault:
        tell(f"{source}: {shown(url.partition('?')[0])}: {fault}")
        return []
    if not found:
        tell(f"{source}: {shown(url.partition('?')[0])}: it names no server that could be used")
    return [_with_hint(offer) for offer in found]


def _with_hint(offer: Offer) -> Offer:
    known = providers.of_host(offer.host)
    if known is not None:
        offer.hint, offer.oauth = known.hint, offer.oauth or known.oauth
    return offer
