"""Postfix as a satellite: relayhost, the tables with its passwords, smtp_tls_*, and senders with servers of their own."""

import os

from pysendmail.config.foreign.postfix_file import Parameters, Tables, words
from pysendmail.config.foreign.source import Files, Line, host_and_port, port_number
from pysendmail.config.foreign.translation import DIFFERS, IGNORED, LOST, SAME, Draft, Translation
from pysendmail.config.values import MECHANISMS

_LOGIN = ("user", "password", "auth", "auth_without_tls", "tls", "from")
_SYSTEM_TRUST = ("/etc/ssl/certs", "/etc/ssl/certs/ca-certificates.crt")
_REWRITING = (
    "smtp_generic_maps", "sender_canonical_maps", "canonical_maps", "recipient_canonical_maps", "virtual_alias_maps",
)  # fmt: skip
_LOST = {
    "transport_maps": "each message goes to its account's server", "default_transport": "each message goes by SMTP",
    "relay_transport": "each message goes by SMTP", "smtp_tls_policy_maps": "TLS is set for an account as a whole",
    "always_bcc": "nobody is added to the recipients", "sender_bcc_maps": "nobody is added to the recipients",
    "recipient_bcc_maps": "nobody is added to the recipients", "content_filter": "there are no filters",
    "header_checks": "there are no filters", "body_checks": "there are no filters",
    "smtp_header_checks": "there are no filters", "masquerade_domains": "see from and maildomain",
}  # fmt: skip
_PREFIXES = (
    "smtpd_", "local_", "mailbox_", "virtual_", "milter_", "postscreen_", "lmtp_", "relay_", "tlsproxy_", "home_mailbox",
)  # fmt: skip


def convert(files: Files, made: Translation) -> None:
    """Read main.cf and the tables that it names. Raises ConfigError."""
    name = os.uname().nodename
    defaults = {"myhostname": name, "mydomain": name.partition(".")[2] or "localdomain", "myorigin": "$myhostname"}
    params = Parameters(files, defaults)
    params.line("smtp_sasl_security_options")
    tables = Tables(files, params.get("smtp_sasl_password_maps") if params.yes("smtp_sasl_auth_enable") else "")
    _server(params, tables, made)
    _names(files, params, made)
    _trust(params, made)
    _queue(params, made)
    _login(params, tables, (words(params.get("relayhost")) or [""])[0], "", made, made.default)
    _senders(files, params, tables, made)
    _aliases(files, params, made)
    _rewriting(files, params, made)
    _rest(params, made)


def _server(params: Parameters, tables: Tables, made: Translation) -> None:
    line = params.line("relayhost")
    hosts = words(params.get("relayhost"))
    if line is None or not hosts:
        return
    host, port = host_and_port(hosts[0])
    if hosts[0][0] == "[":
        made.take(line, "relayhost", "host", host)
    else:
        made.take(line, "relayhost", "host", host, "this host itself, its MX records are not looked up")
    made.default.set("port", port_number(port) or "25", line.place)
    fallback = params.line("smtp_fallback_relay")
    login = _entry(tables, hosts[0])
    for server in [*hosts[1:], *words(params.get("smtp_fallback_relay"))]:
        other, port = host_and_port(server)
        theirs, where = ("relayhost", line) if server in hosts or fallback is None else ("smtp_fallback_relay", fallback)
        if login is not None and (_entry(tables, server) or Line("", "")).text != login.text:
            made.remark(where, theirs, LOST, f"{other} is not tried when the first one fails, since its login differs")
        else:
            made.add_server(where, theirs, other, port_number(port) or "25")


def _entry(tables: Tables, relay: str, *first: str) -> Line | None:
    """Return the entry with the login for a server, as Postfix looks for it."""
    host, port = host_and_port(relay)
    return tables.find(*first, relay, host, f"[{host}]", f"[{host}]:{port}")


def _names(files: Files, params: Parameters, made: Translation) -> None:
    for name in ("smtp_helo_name", "myhostname"):
        line = params.line(name)
        if line is not None and not made.default.get("domain"):
            made.take(line, name, "domain", params.get(name))
        elif line is not None:
            made.remark(line, name, IGNORED, "smtp_helo_name counts more")
    origin = params.line("myorigin")
    value = params.get("myorigin")
    if value[:1] == "/":
        source = files.take(value)
        first = source.first() if source is not None else None
        value = first.text if first is not None else ""
    if origin is not None and value:
        made.take(origin, "myorigin", "maildomain", value)
    elif value and params.line("myhostname") is not None:
        made.default.set("maildomain", value, params.lines["myhostname"].place)
    for name in ("smtp_bind_address", "smtp_bind_address6"):
        line = params.line(name)
        if line is not None and line.text:
            made.take(line, name, "source_ip", params.get(name))
    line = params.line("inet_protocols")
    family = words(params.get("inet_protocols"))
    if line is not None and family in (["ipv4"], ["ipv6"]) and not made.default.get("source_ip"):
        made.take(line, "inet_protocols", "source_ip", "0.0.0.0" if family == ["ipv4"] else "::")
    elif line is not None:
        made.remark(line, "inet_protocols", SAME, "IPv6 and IPv4")


def _trust(params: Parameters, made: Translation) -> None:
    for name in ("smtp_tls_CAfile", "smtp_tls_CApath"):
        line = params.line(name)
        if line is None:
            continue
        value = params.get(name)
        if value in _SYSTEM_TRUST or not value:
            made.remark(line, name, SAME, "the system's authorities, as without it")
        elif made.default.get("tls_trust_file"):
            made.remark(line, name, LOST, "only one file or folder can be named")
        else:
            made.take(line, name, "tls_trust_file", value)
    for name in ("smtp_tls_chain_files", "smtp_tls_cert_file"):
        line = params.line(name)
        files = words(params.get(name))
        if line is not None and files:
            made.take(line, name, "tls_cert_file", files[0])
            key = params.get("smtp_tls_key_file") if name == "smtp_tls_cert_file" else ""
            made.default.set("tls_key_file", key if key and key != "$smtp_tls_cert_file" else files[0], line.place)
            break


def _level(params: Parameters) -> str:
    level = params.get("smtp_tls_security_level").lower()
    if level:
        return level
    if params.yes("smtp_enforce_tls"):
        return "encrypt"
    return "may" if params.yes("smtp_use_tls") else "none"


def _login(params: Parameters, tables: Tables, relay: str, sender: str, made: Translation, draft: Draft) -> None:
    """Set user, password and TLS of an account for a sender, or for any."""
    by_sender = sender if params.yes("smtp_sender_dependent_authentication") else ""
    entry = _entry(tables, relay, by_sender) if draft.get("host") else None
    if entry is not None:
        line = entry if entry.place else params.lines["smtp_sasl_password_maps"]
        user, _, password = entry.text.partition(":")
        made.take(line, "(line)", "user", user, draft=draft)
        if password:
            made.take(line, "(line)", "password", password, draft=draft)
    mechanisms = [one.lower() for one in words(params.get("smtp_sasl_mechanism_filter"))]
    if entry is None:
        draft.set("auth", "off", made.place)
    elif len(mechanisms) == 1 and mechanisms[0] in MECHANISMS:
        draft.set("auth", mechanisms[0], params.lines["smtp_sasl_mechanism_filter"].place)
    _encryption(params, entry is not None, made, draft)


def _encryption(params: Parameters, login: bool, made: Translation, draft: Draft) -> None:
    level = _level(params)
    names = ("smtp_tls_security_level", "smtp_enforce_tls", "smtp_use_tls")
    word = next((name for name in names if params.line(name) is not None), "")
    line = params.lines.get(word, Line(made.place, ""))
    more, tls = "", "on"
    if level == "none" and login and line.text and _allows_plain(params):
        tls, more = "off", "auth_without_tls on: the password goes over the line in clear"
        draft.set("auth_without_tls", "on", line.place)
    elif level in ("none", "may") and login:
        more = "the password goes over TLS only, and the certificate is checked"
    elif level in ("none", "may"):
        tls = "off" if level == "none" else "opportunistic"
    elif level == "encrypt":
        more = "the certificate is checked"
    elif level in ("dane", "dane-only"):
        more = "DANE is not offered; the certificate is checked by its authority"
    elif level == "fingerprint":
        _pins(params, made, draft)
    draft.set("tls", tls, line.place)
    if draft is made.default:
        text = f"tls {tls}; {more}" if more else f"tls {tls}"
        made.remark(line, word or "smtp_tls_security_level", DIFFERS if more else SAME, text)
    wrapped = params.yes("smtp_tls_wrappermode")
    place = params.lines["smtp_tls_wrappermode"].place if wrapped else made.place
    draft.set("tls_starttls", "off" if wrapped and tls == "on" else "on", place)


def _allows_plain(params: Parameters) -> bool:
    """Tell whether the file says itself that passwords may go in clear, which they may not by default."""
    line = params.line("smtp_sasl_security_options")
    return line is not None and "noplaintext" not in params.get("smtp_sasl_security_options")


def _pins(params: Parameters, made: Translation, draft: Draft) -> None:
    line = params.line("smtp_tls_fingerprint_cert_match")
    pins = words(params.get("smtp_tls_fingerprint_cert_match").replace("|", " "))
    digest = params.get("smtp_tls_fingerprint_digest").lower()
    if line is None or digest == "md5" or any(len(pin.replace(":", "")) not in (40, 64) for pin in pins):
        place = line or Line(made.place, "")
        made.remark(place, "smtp_tls_fingerprint_cert_match", LOST, "fingerprints by SHA-1 or SHA-256 are needed")
    else:
        made.take(line, "smtp_tls_fingerprint_cert_match", "tls_fingerprint", " ".join(pins), draft=draft)


def _senders(files: Files, params: Parameters, tables: Tables, made: Translation) -> None:
    """Make an account for each sender who has a server or a password of his own."""
    relays = Tables(files, params.get("sender_dependent_relayhost_maps"))
    _unread(params, "sender_dependent_relayhost_maps", relays, made)
    _unread(params, "smtp_sasl_password_maps", tables, made)
    senders = dict(relays.entries)
    if params.yes("smtp_sender_dependent_authentication"):
        for key, line in tables.entries.items():
            if "@" in key:
                senders.setdefault(key, line)
    for sender, line in senders.items():
        if "@" not in sender:
            made.remark(line, "(line)", LOST, "expected the address of a sender, or a domain behind @")
            continue
        draft = made.separate(sender, _LOGIN)
        relay = relays.entries[sender].text if sender in relays.entries else params.get("relayhost")
        host, port = host_and_port(relay)
        draft.set("from", f"*{sender}" if sender[0] == "@" else sender, line.place)
        made.take(line, "(line)", "host", host, draft=draft)
        draft.set("port", port_number(port) or "25", line.place)
        _login(params, tables, relay, sender, made, draft)


def _unread(params: Parameters, name: str, tables: Tables, made: Translation) -> None:
    line = params.line(name)
    if line is not None:
        for table in tables.unread:
            made.remark(line, name, LOST, f"{table} is of a kind that cannot be read here")
        if not tables.unread:
            made.remark(line, name, SAME, "its lines follow" if tables.entries else "it is empty, or not used")


def _queue(params: Parameters, made: Translation) -> None:
    for name, word in (("maximal_queue_lifetime", "expire"), ("delay_warning_time", "warn")):
        line = params.line(name)
        if line is not None:
            value = params.get(name)
            value = f"{value}{'d' if word == 'expire' else 'h'}" if value.isdecimal() else value
            made.take(line, name, word, "off" if word == "warn" and value.rstrip("smhdw") == "0" else value)
    line = params.line("minimal_backoff_time")
    if line is not None:
        longest = params.get("maximal_backoff_time") or "4000s"
        made.take(line, "minimal_backoff_time", "retry", f"{params.get('minimal_backoff_time')} {longest}")
    name = "smtp_destination_concurrency_limit"
    line = params.line(name)
    if line is not None:
        made.take(line, name, "connections", params.get(name))


def _aliases(files: Files, params: Parameters, made: Translation) -> None:
    line = params.line("alias_maps")
    tables = words(params.get("alias_maps")) if line is not None else ["hash:/etc/aliases"]
    for table in tables:
        name = table.removeprefix("proxy:").partition(":")[2]
        if name[:1] == "/" and not made.default.get("aliases") and os.path.exists(f"{files.root}{name}"):
            made.default.set("aliases", name, line.place if line is not None else made.place)
            for draft in made.accounts:
                draft.set("aliases", name, line.place if line is not None else made.place)
            if line is not None:
                made.remark(line, "alias_maps", SAME, f"aliases {name}")
        elif line is not None:
            made.remark(line, "alias_maps", IGNORED, "one file that is there can be named")


def _rewriting(files: Files, params: Parameters, made: Translation) -> None:
    """A table that turns every address into one can be put in our words."""
    for name in _REWRITING:
        line = params.line(name)
        if line is None or not line.text:
            continue
        targets = {entry.text for entry in Tables(files, params.get(name)).entries.values()}
        if len(targets) == 1 and name in _REWRITING[:3] and not made.default.get("from"):
            more = "where the caller names no sender; addresses in the header are not changed"
            made.take(line, name, "from", targets.pop(), more)
        else:
            made.remark(line, name, LOST, "addresses are not changed by a table; see from, aliases and accounts")


def _rest(params: Parameters, made: Translation) -> None:
    told = {one.place for one in made.remarks}
    for name, line in params.lines.items():
        if name in params.asked:
            if line.place not in told:
                made.remark(line, name, SAME, "it counts with the others" if line.text else "it is empty")
            continue
        if name in _LOST and line.text and line.text not in ("smtp", "relay"):
            made.remark(line, name, LOST, _LOST[name])
        elif name == "inet_interfaces":
            made.remark(line, name, DIFFERS, "listen localhost:25 has the daemon take mail by SMTP")
        elif name == "mydestination" and line.text:
            made.remark(line, name, DIFFERS, "nothing is delivered on this machine; see aliases and local_mail")
        elif name.startswith(_PREFIXES) or name in ("mynetworks", "recipient_delimiter", "biff"):
            made.remark(line, name, IGNORED, "it concerns mail that Postfix takes or delivers on this machine")
        else:
            made.remark(line, name, IGNORED, "there is no counterpart")
