"""ssmtp: ssmtp.conf with `keyword=value` lines, and revaliases with `login:address:server[:port]`."""

from pysendmail.config.foreign.source import Files, Line, host_and_port
from pysendmail.config.foreign.translation import DIFFERS, IGNORED, LOST, SAME, Translation

_NOT_NEEDED = {
    "debug": "see -v of sendmail and pysendmail check -v",
    "useoldauth": "the form of AUTH LOGIN follows the server",
    "emailaddress": "it is a word of a user's file",
    "minuserid": "it holds for the file of another release",
}
_PLAIN = "ssmtp would send the password in clear; here that needs UseTLS=NO in so many words"


def convert(files: Files, made: Translation) -> None:
    """Read the files. Raises ConfigError."""
    words: dict[str, tuple[Line, str, str]] = {}
    for line in files.main_file().lines():
        _take(line, made, words)
    _server(made, words)
    _encryption(made, words)
    _login(made, words)
    domain = _sender(made, words)
    _system_mail(made, words, domain)
    reverse = files.take("revaliases")
    if reverse is not None:
        for line in reverse.lines():
            _reverse(line, made)


def _take(line: Line, made: Translation, words: dict[str, tuple[Line, str, str]]) -> None:
    text = line.text.strip(" \t")
    if not text or text[0] == "#":
        return
    theirs, equals, value = text.partition("=")
    theirs, value = theirs.strip(" \t"), value.strip(" \t")
    word = theirs.lower()
    if not equals or "#" in theirs:
        made.remark(line, theirs, IGNORED, "there is no = in it, and ssmtp passes over it as well")
    elif word in _NOT_NEEDED:
        made.remark(line, theirs, IGNORED, _NOT_NEEDED[word])
    elif word not in _KNOWN:
        made.remark(line, theirs, LOST, "unknown word")
    elif value:
        if word != "authpass":  # a password goes on to the end of its line, whatever is in it
            value = value.replace("\t", " ").partition(" ")[0]
        if word in words:
            made.remark(words[word][0], words[word][1], IGNORED, "it stands there again further down")
        words[word] = line, theirs, value


_KNOWN = frozenset((
    "root", "mailhub", "rewritedomain", "hostname", "fromlineoverride", "remoteport", "usetls", "usestarttls",
    "usetlscert", "tlscert", "tlskey", "tls_ca_file", "tls_ca_dir", "authuser", "authpass", "authmethod",
))  # fmt: skip


def _server(made: Translation, words: dict[str, tuple[Line, str, str]]) -> None:
    made.imply("port", "25")
    if "mailhub" in words:
        line, theirs, value = words["mailhub"]
        host, port = host_and_port(value)
        made.take(line, theirs, "host", host)
        if port:
            made.take(line, theirs, "port", port)
    if "remoteport" in words:
        line, theirs, value = words["remoteport"]
        made.take(line, theirs, "port", value)
    if "hostname" in words:
        line, theirs, value = words["hostname"]
        made.take(line, theirs, "domain", value)


def _encryption(made: Translation, words: dict[str, tuple[Line, str, str]]) -> None:
    """Set TLS: the last of UseTLS and UseSTARTTLS counts, as far as they contradict each other."""
    encrypted = upgraded = False
    for word in sorted(("usetls", "usestarttls"), key=lambda word: list(words).index(word) if word in words else -1):
        if word in words:
            yes = words[word][2].lower() == "yes"
            if word == "usestarttls":
                encrypted, upgraded = encrypted or yes, yes
            else:
                encrypted, upgraded = yes, upgraded and yes
    for word in ("usetls", "usestarttls"):
        if word in words:
            line, theirs, _ = words[word]
            if encrypted:
                text = f"tls on, tls_starttls {'on' if upgraded else 'off'}; the certificate is checked, unlike by ssmtp"
                made.remark(line, theirs, DIFFERS, text)
            else:
                made.remark(line, theirs, SAME, "tls off")
    place = next((words[word][0].place for word in ("usestarttls", "usetls") if word in words), made.place)
    made.default.set("tls", "on" if encrypted else "off", place)
    if encrypted:
        made.default.set("tls_starttls", "on" if upgraded else "off", place)
    for word, ours in (("tls_ca_file", "tls_trust_file"), ("tls_ca_dir", "tls_trust_file")):
        if word in words:
            made.take(words[word][0], words[word][1], ours, words[word][2])
    _certificate(made, words)


def _certificate(made: Translation, words: dict[str, tuple[Line, str, str]]) -> None:
    wanted = "usetlscert" in words and words["usetlscert"][2].lower() == "yes"
    if "usetlscert" in words:
        made.remark(words["usetlscert"][0], words["usetlscert"][1], SAME, "tls_cert_file" if wanted else "no certificate")
    if "tlscert" in words:
        line, theirs, value = words["tlscert"]
        if wanted:
            made.take(line, theirs, "tls_cert_file", value)
            made.default.set("tls_key_file", words["tlskey"][2] if "tlskey" in words else value, line.place)
        else:
            made.remark(line, theirs, IGNORED, "it has no effect without UseTLSCert=YES")


def _login(made: Translation, words: dict[str, tuple[Line, str, str]]) -> None:
    if "authuser" not in words:
        for word in ("authpass", "authmethod"):
            if word in words:
                made.remark(words[word][0], words[word][1], IGNORED, "it has no effect without AuthUser")
        return
    line, theirs, value = words["authuser"]
    made.take(line, theirs, "user", value)
    if "authpass" in words:
        made.take(words["authpass"][0], words["authpass"][1], "password", words["authpass"][2])
    if "authmethod" in words:
        made.take(words["authmethod"][0], words["authmethod"][1], "auth", words["authmethod"][2].lower())
    if made.default.get("tls") == "off":
        if "usetls" in words:
            made.take(line, theirs, "auth_without_tls", "on", "the password goes over the line in clear")
        else:
            made.take(line, theirs, "tls", "on", _PLAIN)


def _sender(made: Translation, words: dict[str, tuple[Line, str, str]]) -> str:
    """Set the sender; return the domain of names that have none."""
    domain = "%H"
    for word in ("rewritedomain", "hostname"):
        if word in words:
            line, theirs, value = words[word]
            domain = value.rpartition("@")[2]
            made.take(line, theirs, "maildomain", domain)
            break
    if domain == "localhost":
        domain = "%H"
    place = made.default.words.get("maildomain", ("", made.place))[1]
    made.default.set("from", f"%U@{domain}", place)
    override = words.get("fromlineoverride")
    if override is not None and override[2].lower() == "yes":
        made.take(override[0], override[1], "sender_from_header", "on", "-f counts more, unlike for ssmtp")
        return domain
    made.imply("allow_from_override", "off")
    made.imply("set_from_header", "on")
    if override is not None:
        made.remark(override[0], override[1], SAME, "allow_from_override off, set_from_header on")
    return domain


def _system_mail(made: Translation, words: dict[str, tuple[Line, str, str]], domain: str) -> None:
    if "root" not in words:
        return
    line, theirs, value = words["root"]
    if "@" in value:
        made.take(line, theirs, "system_mail", value)
    elif domain != "%H":
        made.take(line, theirs, "system_mail", f"{value}@{domain}")
    else:
        made.remark(line, theirs, LOST, "it has no domain, and neither rewriteDomain nor hostname gives one")


def _reverse(line: Line, made: Translation) -> None:
    text = line.text.partition("#")[0].strip(" \t")
    if not text:
        return
    login, colon, rest = text.partition(":")
    address, _, server = rest.partition(":")
    if not colon or not address.strip(" \t"):
        made.remark(line, "(line)", IGNORED, "expected login:address:server")
        return
    login = login.strip(" \t")
    account = made.account(login)
    made.take(line, "(line)", "from", address.strip(" \t"), draft=account)
    host, port = host_and_port(server.strip(" \t"))
    if host:
        made.take(line, "(line)", "host", host, draft=account)
    if port:
        made.take(line, "(line)", "port", port, draft=account)
    made.assign(line, login, account)
