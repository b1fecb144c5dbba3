"""What receivers find in DNS about the sender's domain: whether it exists, SPF (RFC 7208) and DMARC (RFC 7489)."""

from time import monotonic, time

from pysendmail import errors
from pysendmail.command.admin import wording
from pysendmail.command.admin.findings import NOTE, WARNING, Findings
from pysendmail.command.identity import Caller, mail_domain, own_names
from pysendmail.message.local import is_local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account

_WAIT = 30.0  # seconds for all questions
_SHOWN = 300


def sender(account: "Account", caller: Caller) -> bytes:
    """Return the address that a message would have as sender where nobody names one, empty if there is none."""
    from pysendmail.message import sender as senders
    from pysendmail.message.facts import Facts

    try:
        facts = Facts(
            login=caller.login, maildomain=mail_domain(account), now=time(), unique=b"", account_from=account.sender,
            local_sender=account.local_sender, hosts=own_names(account),
        )  # fmt: skip
        return senders.choose([], facts).reverse_path
    except errors.Failure:
        return b""


def look(findings: Findings, account: "Account", address: bytes) -> None:
    """Look at the domain of the sender's address."""
    shown = wording.address(address)
    domain = address.rpartition(b"@")[2].decode("ascii", "replace").lower()
    if domain.startswith("[") or is_local(domain.encode("ascii", "replace"), frozenset()):
        text = f"mail is sent as {shown}, whose domain nobody outside knows: many servers refuse it"
        findings.add("sender domain", text, WARNING, "set from or local_sender to an address of yours")
        return
    findings.add("sender domain", f"mail is sent as {shown}")
    if address.rpartition(b"@")[2].isascii():
        _ask(findings, account, domain)


def _ask(findings: Findings, account: "Account", domain: str) -> None:
    from pysendmail.delivery import dns

    deadline = monotonic() + _WAIT
    try:
        began = monotonic()
        if not _exists(domain, deadline):
            text = f"{domain} does not exist in DNS: many servers refuse mail from it, and bounces have nowhere to go"
            mend = "set from to an address of a domain that exists"
            findings.add("sender domain", text, WARNING, mend, monotonic() - began)
            return
        _spf(findings, domain, deadline)
        _dmarc(findings, account, domain, deadline)
    except dns.Absent:
        findings.add("note", f"SPF and DMARC were not looked at: install {dns.PACKAGE}", NOTE)
    except errors.Failure as failure:
        text, parted, mend = str(failure).rpartition("; ")
        findings.add("DNS", f"SPF and DMARC are not known: {text if parted else mend}", WARNING, mend if parted else "")


def _exists(domain: str, deadline: float) -> bool:
    """Tell whether a domain can get mail."""
    from pysendmail.delivery import dns

    answer = dns.ask(domain, "MX", deadline)
    if answer.records or not answer.exists:
        return bool(answer.records)
    return any([dns.ask(domain, kind, deadline).records for kind in ("A", "AAAA")])


def _spf(findings: Findings, domain: str, deadline: float) -> None:
    from pysendmail.delivery import dns

    began = monotonic()
    found = [text for text in dns.texts(domain, deadline) if text.lower().split(" ")[0] == "v=spf1"]
    took = monotonic() - began
    if not found:
        mend = f"the owner of {domain} should publish v=spf1 with the smarthost's provider in it"
        findings.add("SPF", f"{domain} has no SPF record: receivers may distrust mail from it", WARNING, mend, took)
    elif len(found) > 1:
        text = f"{domain} has {len(found)} SPF records, so that all of them are void (RFC 7208 section 4.5)"
        findings.add("SPF", text, WARNING, "leave one", took)
    elif found[0].lower().split() == ["v=spf1", "-all"]:
        text = f"{domain} says that no server sends its mail (v=spf1 -all)"
        findings.add("SPF", text, WARNING, "set from to an address of a domain that sends mail", took)
    else:
        text = f"{domain}: {wording.shown(found[0], _SHOWN)} (whether the smarthost is in it, its operator knows)"
        findings.add("SPF", text, seconds=took)


def _dmarc(findings: Findings, account: "Account", domain: str, deadline: float) -> None:
    from pysendmail.delivery import dns

    began = monotonic()
    tags: dict[str, str] = {}
    place = domain
    # The record of the domain itself, else of one above it: its organization's (RFC 7489 section 6.6.3).
    labels = domain.split(".")
    for place in [".".join(labels[at:]) for at in range(min(len(labels) - 1, 5))]:
        found = [text for text in dns.texts(f"_dmarc.{place}", deadline) if text.lower().startswith("v=dmarc1")]
        if len(found) == 1:
            tags = _tags(found[0])
            break
    took = monotonic() - began
    if not tags:
        mend = f"the owner of {domain} should publish one, to begin with v=DMARC1; p=none"
        findings.add("DMARC", f"{domain} has no DMARC record; large providers ask for one", WARNING, mend, took)
        return
    policy = tags.get("sp", tags.get("p", "none")) if place != domain else tags.get("p", "none")
    text = f"_dmarc.{place}: p={wording.shown(policy, 40)}"
    aligned, how = alignment(account, domain, place, tags)
    if aligned:
        findings.add("DMARC", f"{text}; From and envelope {how}", seconds=took)
    else:
        level = WARNING if policy.lower() in ("quarantine", "reject") else NOTE
        mend = f"let envelopes be of {domain} (from, null_sender), or make sure that the smarthost signs (DKIM) as {domain}"
        findings.add("DMARC", f"{text}; From and envelope {how}", level, mend, took)


def alignment(account: "Account", domain: str, place: str, tags: "dict[str, str]") -> tuple[bool, str]:
    """Tell whether the envelope of a message whose sender nobody names is aligned with its From, and how."""
    if account.null_sender is not None:
        other = account.null_sender.rpartition(b"@")[2].decode("ascii", "replace").lower()
        strict = tags.get("aspf", "r").lower() == "s"
        near = other == domain or (not strict and (f".{other}").endswith(f".{place}"))
        if not near:
            return False, f"are not aligned where null_sender gives the envelope ({other})"
    return True, "are aligned where the caller changes neither"


def _tags(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(";")]
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
