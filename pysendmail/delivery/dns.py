"""Questions to the domain name system, by dnspython, which is loaded only here and only when something is asked.

Every question has a deadline, whatever the servers of /etc/resolv.conf do; a thread of its own asks, so that a signal
still ends who waits. What comes back was said by strangers: names are checked, and lists are cut.
"""

import sys
from time import monotonic

from pysendmail import errors
from pysendmail.delivery.connect import in_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PACKAGE = "python3-dnspython"
MOST = 1000
"""The records of one answer that are looked at."""

_NAME = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_OF_THE_SYSTEM = "/usr/lib/python3/dist-packages"  # it is pure Python, so that any interpreter can use it
_WAIT = 10.0  # seconds for one question, with all tries


class Absent(errors.ConfigError):
    """dnspython is not installed."""


class Troubled(errors.TempFail):
    """The question got no answer; another time it may."""

    status = "4.4.3"


class Answer:
    """What was said: `records`, none if there are none of this kind, and for how many seconds it may be kept.

    `exists` tells whether the name exists at all.
    """

    __slots__ = ("exists", "records", "ttl")

    def __init__(self, records: "list[Any]", ttl: float, exists: bool = True) -> None:
        self.records = records
        self.ttl = ttl
        self.exists = exists


def ask(name: str, kind: str, deadline: float) -> Answer:
    """Ask for the records of a kind, as dnspython has them. Raises Absent, and Troubled where no answer comes."""
    _require()
    until = min(deadline, monotonic() + _WAIT)
    found: Answer | errors.Failure | None = in_time(lambda: _resolve(name, kind, until), until + 0.5)
    if found is None:
        raise Troubled(f"DNS did not answer in time when asked for {kind} of {name}")
    if isinstance(found, errors.Failure):
        raise found
    return found


def texts(name: str, deadline: float) -> list[str]:
    """Return the TXT records of a name, each as one text. Raises as `ask`."""
    return [b"".join(record.strings).decode("utf-8", "replace") for record in ask(name, "TXT", deadline).records]


def host_name(name: "Any") -> str | None:
    """Return a name of dnspython as a host's name in lower case, "" for the root; None if no host can be called so."""
    labels = [label for label in name.labels if label]
    if not all([_NAME.issuperset(label) and label[:1] != b"-" for label in labels]):
        return None
    return b".".join(labels).decode("ascii").lower()


def _require() -> None:
    """Make dnspython importable: the installed command runs without the folders where it may be. Raises Absent."""
    try:
        import dns.resolver  # noqa: F401
    except ImportError:
        sys.path += [folder for folder in _folders() if folder not in sys.path]
        try:
            import dns.resolver  # noqa: F401
        except ImportError:
            text = f"dnspython is needed to ask DNS, and is not there; install the package {PACKAGE}"
            raise Absent(text) from None


def _folders() -> list[str]:
    """List where the distribution, and who administers the machine, put packages for this interpreter."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = dict.fromkeys((sys.prefix, sys.base_prefix))
    kinds = (f"local/lib/{version}/dist-packages", f"lib/{version}/site-packages", "lib/python3/dist-packages")
    return [*[f"{place}/{kind}" for place in places for kind in kinds], _OF_THE_SYSTEM]


def _resolve(name: str, kind: str, until: float) -> "Answer | errors.Failure":
    import dns.exception
    import dns.name
    import dns.resolver

    where = f"DNS, asked for {kind} of {name},"
    try:
        found = _resolver().resolve(dns.name.from_text(name), kind, lifetime=max(until - monotonic(), 0.1), search=False)
        records = list(found.rrset or ())[:MOST]
        return Answer(records, max(found.expiration - _now(), 0.0))
    except dns.resolver.NXDOMAIN:
        return Answer([], 0.0, exists=False)
    except dns.resolver.NoAnswer:
        return Answer([], 0.0)
    except dns.exception.Timeout:
        return Troubled(f"{where} did not answer in time; check /etc/resolv.conf and the network")
    except dns.resolver.NoNameservers as error:
        return Troubled(f"{where} failed ({_cause(error)}); its servers are in trouble, or are told not to answer")
    except dns.resolver.NoResolverConfiguration:
        return Troubled("/etc/resolv.conf names no DNS server")
    except dns.exception.DNSException as error:
        return Troubled(f"{where} gave no answer of sense ({type(error).__name__})")
    except (OSError, ValueError, UnicodeError) as error:
        return Troubled(f"{where} failed: {getattr(error, 'strerror', None) or type(error).__name__}")


def _resolver() -> "Any":
    """Return a resolver that asks the servers of the system."""
    import dns.resolver

    return dns.resolver.Resolver()


def _cause(error: "Any") -> str:
    """Name the answer's code, such as SERVFAIL or REFUSED."""
    codes = [str(entry[3]) for entry in error.kwargs.get("errors", ()) if len(entry) > 3]
    known = [code for code in codes if code.isalpha() and len(code) < 20]
    return known[0] if known else "no usable answer"


def _now() -> float:
    from time import time

    return time()
