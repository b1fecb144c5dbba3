"""Exim as Debian configures it: update-exim4.conf.conf with the shell's `name='value'`, passwd.client, email-addresses."""

import os

from pysendmail.config.foreign.source import Files, Line, Source, host_and_port, port_number
from pysendmail.config.foreign.translation import DIFFERS, IGNORED, LOST, SAME, Translation

_NOT_NEEDED = {
    "dc_relay_nets": "no mail is taken from other machines",
    "dc_relay_domains": "no mail is taken from other machines",
    "dc_local_interfaces": "the word listen has the daemon take mail by SMTP, as in listen localhost:25",
    "dc_minimaldns": "the name of this machine is the word domain",
    "dc_use_split_config": "it concerns the making of Exim's own file",
    "dc_mailname_in_oh": "it concerns the making of Exim's own file",
    "dc_localdelivery": "nothing is delivered on this machine; see aliases",
    "CFILEMODE": "it concerns the making of Exim's own file",
}
_CLEAR = "AUTH_CLIENT_ALLOW_NOTLS_PASSWORDS"
_KNOWN = ("dc_eximconfig_configtype", "dc_smarthost", "dc_readhost", "dc_hide_mailname", "dc_other_hostnames")


def convert(files: Files, made: Translation) -> None:
    """Read the files. Raises ConfigError."""
    words: dict[str, tuple[Line, str]] = {}
    for line in files.main_file().lines():
        _take(line, made, words)
    secrets = files.take("passwd.client")
    host = _server(made, words, secrets)
    macros = _macros(files, made)
    if secrets is not None and host:
        _login(secrets, made, host)
    _encryption(made, macros)
    _domains(files, made, words)
    if os.path.exists(f"{files.root}/etc/aliases"):
        made.imply("aliases", "/etc/aliases")
    addresses = files.take("/etc/email-addresses")
    if addresses is not None:
        for line in addresses.lines():
            _address(line, made)


def _take(line: Line, made: Translation, words: dict[str, tuple[Line, str]]) -> None:
    text = line.text.strip(" \t")
    if not text or text[0] == "#":
        return
    word, equals, value = text.partition("=")
    if value[:1] in ("'", '"'):
        value, _, rest = value[1:].partition(value[0])
    if not equals:
        made.remark(line, "(line)", LOST, "expected name='value'")
    elif word in _NOT_NEEDED:
        made.remark(line, word, IGNORED, _NOT_NEEDED[word])
    elif word in _KNOWN:
        words[word] = line, value.strip(" \t")
    else:
        made.remark(line, word, IGNORED, "unknown word")


def _server(made: Translation, words: dict[str, tuple[Line, str]], secrets: Source | None) -> str:
    """Take the smarthost, and others that get the same login, and return its name."""
    if "dc_eximconfig_configtype" in words:
        line, kind = words["dc_eximconfig_configtype"]
        if kind not in ("smarthost", "satellite"):
            made.remark(line, "dc_eximconfig_configtype", LOST, "only smarthost and satellite have a server to send to")
            return ""
        made.remark(line, "dc_eximconfig_configtype", SAME, "all mail goes to the server")
    if "dc_smarthost" not in words:
        return ""
    line, value = words["dc_smarthost"]
    servers = [one for one in _items(value) if one]
    if not servers:
        return ""
    host, port = host_and_port(servers[0].partition("/")[0])
    made.take(line, "dc_smarthost", "host", host)
    made.default.set("port", port_number(port) or "25", line.place)
    for server in servers[1:]:
        other, port = host_and_port(server.partition("/")[0])
        if secrets is not None and _value(secrets, host) and _value(secrets, other) != _value(secrets, host):
            text = f"{other} is not tried when the first one fails, since its login differs"
            made.remark(line, "dc_smarthost", LOST, text)
        else:
            made.add_server(line, "dc_smarthost", other, port_number(port) or "25")
    return host


def _value(secrets: Source, host: str) -> str:
    """Return login and password for a server, "" if there are none."""
    for line in secrets.lines():
        text = line.text.strip(" \t")
        if text and text[0] != "#":
            key, value = _key(text)
            if _fits(key, host):
                return value
    return ""


def _items(value: str) -> list[str]:
    """Cut a list of Exim's at its separator, which stands doubled for itself."""
    separator = ":"
    if value[:1] == "<" and len(value) > 1:
        separator, value = value[1], value[2:]
    return [item.replace("\0", separator).strip(" \t") for item in value.replace(separator * 2, "\0").split(separator)]


def _macros(files: Files, made: Translation) -> dict[str, tuple[Line, str]]:
    source = files.take("exim4.conf.localmacros")
    found: dict[str, tuple[Line, str]] = {}
    for line in source.lines() if source is not None else ():
        name, equals, value = line.text.partition("=")
        if equals and name[:1] != "#":
            found[name.strip(" \t")] = line, value.strip(" \t")
    for name, (line, _) in found.items():
        if name not in (_CLEAR, "REMOTE_SMTP_SMARTHOST_HOSTS_REQUIRE_TLS", "REMOTE_SMTP_SMARTHOST_PROTOCOL"):
            made.remark(line, name, LOST, "this macro has no counterpart")
    return found


def _login(source: Source, made: Translation, host: str) -> None:
    """Take the first line of passwd.client that is for the server."""
    found = False
    for line in source.lines():
        text = line.text.strip(" \t")
        if not text or text[0] == "#":
            continue
        key, value = _key(text)
        user, colon, password = value.partition(":")
        if found or not _fits(key, host):
            made.remark(line, "(line)", IGNORED, "it is for another server, or an earlier line counts")
        elif not colon:
            made.remark(line, "(line)", LOST, "expected server:login:password")
        else:
            found = True
            made.take(line, "login", "user", user)
            made.take(line, "password", "password", password)


def _key(text: str) -> tuple[str, str]:
    if text[0] == '"':
        key, _, rest = text[1:].partition('"')
    else:
        end = next((index for index, letter in enumerate(text) if letter in ": \t"), len(text))
        key, rest = text[:end], text[end:]
    return key, rest.lstrip(" \t").removeprefix(":").lstrip(" \t")


def _fits(key: str, host: str) -> bool:
    """Tell whether a key of Exim's is for a host; a regular expression never is, since it is not tried."""
    key, host = key.lower(), host.lower()
    return host.endswith(key[1:]) if key[:1] == "*" else key == host


def _encryption(made: Translation, macros: dict[str, tuple[Line, str]]) -> None:
    default = made.default
    user = default.words.get("user")
    if "REMOTE_SMTP_SMARTHOST_PROTOCOL" in macros:
        line, value = macros["REMOTE_SMTP_SMARTHOST_PROTOCOL"]
        if value == "smtps":
            made.take(line, "REMOTE_SMTP_SMARTHOST_PROTOCOL", "tls_starttls", "off", "the certificate is checked")
            default.set("tls", "on", line.place)
            return
    default.set("tls_starttls", "on", made.place)
    required = macros.get("REMOTE_SMTP_SMARTHOST_HOSTS_REQUIRE_TLS")
    if required is not None:
        made.take(required[0], "REMOTE_SMTP_SMARTHOST_HOSTS_REQUIRE_TLS", "tls", "on", "the certificate is checked")
    elif user:
        text = "tls on; Exim gives no password away without TLS either, but takes any certificate"
        default.set("tls", "on", user[1])
        made.remark(Line(user[1], ""), "login", DIFFERS, text)
    else:
        made.imply("tls", "opportunistic")
    if _CLEAR in macros:
        made.remark(macros[_CLEAR][0], _CLEAR, LOST, "auth_without_tls and tls off would do that")


def _domains(files: Files, made: Translation, words: dict[str, tuple[Line, str]]) -> None:
    source = files.take("/etc/mailname")
    name = source.first() if source is not None else None
    if name is not None:
        made.take(name, "mailname", "maildomain", name.text)
    hide = words.get("dc_hide_mailname")
    hidden = hide is not None and hide[1] == "true"
    if hide is not None:
        made.remark(hide[0], "dc_hide_mailname", SAME, "senders have the domain of dc_readhost" if hidden else "no")
    if "dc_readhost" in words:
        line, value = words["dc_readhost"]
        if hidden and value:
            made.take(line, "dc_readhost", "maildomain", value, "an address with the name of this machine stays")
            made.default.set("from", f"%U@{value}", line.place)
        else:
            made.remark(line, "dc_readhost", IGNORED, "it has no effect without dc_hide_mailname")
    if "dc_other_hostnames" in words:
        line, value = words["dc_other_hostnames"]
        made.remark(line, "dc_other_hostnames", DIFFERS, "nothing is delivered on this machine; see aliases and local_mail")


def _address(line: Line, made: Translation) -> None:
    text = line.text.partition("#")[0].strip(" \t")
    if not text:
        return
    login, colon, address = text.partition(":")
    if not colon or not address.strip(" \t"):
        made.remark(line, "(line)", LOST, "expected login: address")
        return
    account = made.account(login.strip(" \t"))
    made.take(line, "(line)", "from", address.strip(" \t"), draft=account)
    made.assign(line, login.strip(" \t"), account)
