"""The submission servers that a domain names in DNS (RFC 6186, RFC 8314), as servers to connect to.

Who can forge DNS must not choose to whom the password goes. So a target outside of the domain asked for, which is not
in a domain of the word srv_domains either, has to show a certificate for the domain itself (RFC 6125 section 6.2.1); a
target inside shows one for its own name.
"""

import os
from time import monotonic

from pysendmail import errors
from pysendmail.config.accounts import Server
from pysendmail.delivery import dns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pysendmail.config.accounts import Account

MOST = 16
"""The targets of one domain that are tried."""

_KEPT = 86400.0  # seconds that an answer is kept at most, and that an old one serves while DNS is in trouble
_cache: "dict[str, tuple[float, float, list[tuple[int, int, int, str]]]]" = {}  # name: good until, of use until, rows
_CACHED = 100  # names


def servers(domain: str, account: "Account", deadline: float) -> list[Server]:
    """Return the servers of a domain in the order in which they are to be tried. Raises TempFail and ConfigError."""
    found: list[Server] = []
    problems: list[str] = []
    for service, starttls in _services(account):
        name = f"{service}._tcp.{domain}"
        try:
            rows = look_up(name, deadline)
        except dns.Troubled as failure:
            problems.append(failure.text)
            continue
        if not rows:
            problems.append(f"there is no SRV record {name}")
        elif all([not target for _, _, _, target in rows]):
            problems.append(f"{domain} does not offer {service} (its SRV record says so)")
        for _, _, port, target in ordered([row for row in rows if row[3]], _chance):
            identity = _identity(target, domain, account)
            if identity is None:
                text = f"{target} is not in {domain}, and without a verified certificate it could be anybody's"
                problems.append(f"{text} (srv_domains may permit it)")
            else:
                found.append(Server(target, port, starttls, identity))
    if not found:
        raise errors.TempFail("; ".join(problems[:4]), f"srv:{domain}")
    return found[:MOST]


def ordered(rows: "list[tuple[int, int, int, str]]", chance: "Any") -> "list[tuple[int, int, int, str]]":
    """Order rows by priority, and those of one priority by chance as their weights say (RFC 2782).

    `chance` returns a whole number from 0 up to the one it is given.
    """
    result: list[tuple[int, int, int, str]] = []
    for priority in sorted({row[0] for row in rows}):
        left = sorted([row for row in rows if row[0] == priority], key=lambda row: row[1])
        total = sum([row[1] for row in left])
        while left and len(result) < MOST:
            pick, index = chance(total), 0
            while pick > left[index][1]:
                pick -= left[index][1]
                index += 1
            total -= left[index][1]
            result.append(left.pop(index))
    return result


def _services(account: "Account") -> list[tuple[str, bool]]:
    """List the services to ask for, each with whether it begins in clear: TLS from the start first (RFC 8314)."""
    both = [("_submissions", False), ("_submission", True)]
    if account.tls != "on":
        return both[1:]
    if account.written("tls_starttls"):
        return both[1:] if account.tls_starttls else both[:1]
    return both


def _identity(target: str, domain: str, account: "Account") -> str | None:
    """Return the name that the certificate has to be for, "" for the target's own; None if the target cannot be used."""
    if account.tls == "on" and (account.tls_fingerprint or account.tls_host_override):
        return ""
    if any([target == one or target.endswith(f".{one}") for one in (domain.lower(), *(account.srv_domains or ()))]):
        return ""
    return domain if account.tls == "on" and account.tls_certcheck else None


def look_up(name: str, deadline: float) -> "list[tuple[int, int, int, str]]":
    """Return priority, weight, port and target of each SRV record of a name, kept for as long as they say.

    A target that no host can be called is left out. Raises TempFail and ConfigError.
    """
    now = monotonic()
    kept = _cache.get(name)
    if kept is not None and now < kept[0]:
        return kept[2]
    try:
        answer = dns.ask(name, "SRV", deadline)
    except dns.Troubled:
        if kept is not None and now < kept[1]:  # better an old answer than none (RFC 8767)
            return kept[2]
        raise
    rows = []
    for record in answer.records:
        target = dns.host_name(record.target)
        if target is not None and (record.port or not target):
            rows.append((int(record.priority), int(record.weight), int(record.port), target))
    if len(_cache) >= _CACHED:
        _cache.clear()
    _cache[name] = (now + min(answer.ttl, _KEPT), now + _KEPT, rows) if rows else (now, now, rows)
    return rows


def _chance(most: int) -> int:
    return int.from_bytes(os.urandom(8), "big") % (most + 1)
