"""nullmailer: `remotes`, a server a line in the shell's quoting, and small files that hold one value each."""

from pysendmail.config.foreign.source import Files, Line
from pysendmail.config.foreign.translation import DIFFERS, IGNORED, LOST, SAME, Draft, Translation

_TLS = ("tls", "ssl", "starttls")
_WORDS = {
    "port": "port", "user": "user", "pass": "password", "source": "source_ip", "x509certfile": "tls_cert_file",
    "x509keyfile": "tls_key_file", "x509cafile": "tls_trust_file", "x509crlfile": "tls_crl_file",
}  # fmt: skip
_CLEAR = "nullmailer would send the password in clear; only a configuration of ours can ask for that (auth_without_tls)"


def convert(files: Files, made: Translation) -> None:
    """Read the files. Raises ConfigError."""
    first: list[str] | None = None
    for line in files.main_file().lines():
        text = line.text.strip(" \t")
        if text and text[0] != "#":
            if first is not None:
                _another(line, text, first, made)
            elif _remote(line, text, made):
                first = _options(split(line, text))
    domain = _domain(files, made)
    _name(files, made, domain)
    _sender(files, made)
    _admin(files, made)
    _times(files, made)


def _remote(line: Line, text: str, made: Translation) -> bool:
    """Take a line of remotes; tell whether it can be used. Raises ConfigError."""
    words = split(line, text)
    if not words:
        return False
    if len(words) > 1 and words[1] != "smtp":
        made.remark(line, "(line)", LOST, "only smtp is offered as the protocol")
        return False
    draft = made.default
    draft.set("port", "25", line.place)
    made.take(line, "(line)", "host", words[0].removeprefix("[").removesuffix("]"))
    options = [word.removeprefix("--").partition("=") for word in words[2:]]
    names = [name for name, _, _ in options]
    encrypted = [name for name in names if name in _TLS]
    if "tls" in encrypted or "ssl" in encrypted:
        draft.set("port", "465", line.place)
    for name, _, value in options:
        _option(line, name, value, made)
    _encryption(line, names, encrypted, draft, made)
    return True


def _another(line: Line, text: str, first: list[str], made: Translation) -> None:
    """Take a server that is tried after the first one; all servers of an account have one login and one kind of TLS."""
    words = split(line, text)
    if len(words) > 1 and words[1] != "smtp":
        made.remark(line, "(line)", LOST, "only smtp is offered as the protocol")
    elif _options(words) != first:
        text = "this server is not tried when the first one fails, since its login or TLS differ"
        made.remark(line, "(line)", LOST, text)
    else:
        ports = [word.rpartition("=")[2] for word in words[2:] if word.removeprefix("--").startswith("port=")]
        implied = "465" if {"tls", "ssl"}.intersection(first) else "25"
        made.add_server(line, "(line)", words[0].removeprefix("[").removesuffix("]"), ports[-1] if ports else implied)


def _options(words: list[str]) -> list[str]:
    """Return what two servers of one account must have in common: all but the port."""
    return sorted([word.removeprefix("--") for word in words[2:] if not word.removeprefix("--").startswith("port=")])


def _option(line: Line, name: str, value: str, made: Translation) -> None:
    if name in _WORDS:
        made.take(line, name, _WORDS[name], value)
        if name == "x509certfile" and not made.default.get("tls_key_file"):
            made.default.set("tls_key_file", value, line.place)
    elif name == "auth-login":
        made.take(line, "auth_login", "auth", "login")
    elif name == "insecure":
        made.take(line, name, "tls_certcheck", "off")
    elif name == "x509fmtder":
        made.remark(line, name, LOST, "certificates in DER are not offered; convert them to PEM")
    elif name == "tls-anon-auth":
        made.remark(line, "tls_anon_auth", LOST, "TLS without a certificate is not offered")
    elif name not in _TLS:
        made.remark(line, name.replace("-", "_"), LOST, "unknown option")


def _encryption(line: Line, names: list[str], encrypted: list[str], draft: Draft, made: Translation) -> None:
    if encrypted:
        draft.set("tls", "on", line.place)
        upgraded = encrypted[-1] == "starttls"
        draft.set("tls_starttls", "on" if upgraded else "off", line.place)
        made.remark(line, encrypted[-1], SAME, f"tls on, tls_starttls {'on' if upgraded else 'off'}")
    elif "user" in names:
        draft.set("tls", "on", line.place)
        made.remark(line, "user", DIFFERS, f"tls on; {_CLEAR}")
    else:
        draft.set("tls", "off", line.place)
    if "user" not in names and draft.get("auth"):
        draft.words.pop("auth")


def split(line: Line, text: str) -> list[str]:
    """Cut a line at blanks, as a shell does, and do nothing else that a shell would do. Raises ConfigError."""
    import shlex

    try:
        return shlex.split(text, posix=True)
    except ValueError:
        raise line.wrong("a quote is not closed") from None


def _value(files: Files, name: str) -> Line | None:
    source = files.take(name)
    return source.first() if source is not None else None


def _domain(files: Files, made: Translation) -> str:
    """Set the domain of addresses that have none, and return it."""
    host = _value(files, "defaulthost") or _value(files, "/etc/mailname")
    added = _value(files, "defaultdomain")
    domain = host.text if host is not None else ""
    if domain and "." not in domain and domain != "localhost" and added is not None:
        domain = f"{domain}.{added.text}"
    if domain and host is not None:
        made.take(host, host.place.rpartition("/")[2].partition(":")[0], "maildomain", domain)
    if added is not None and "." in domain:
        text = "maildomain is whole already" if not domain.endswith(f".{added.text}") else f"maildomain {domain}"
        made.remark(added, "defaultdomain", SAME, text)
    elif added is not None and not domain:
        made.take(added, "defaultdomain", "maildomain", added.text)
        domain = added.text
    ids = _value(files, "idhost")
    if ids is not None:
        made.remark(ids, "idhost", DIFFERS, "a Message-ID that is added has the sender's domain")
    return domain


def _name(files: Files, made: Translation, domain: str) -> None:
    greeting, me = _value(files, "helohost"), _value(files, "me")
    if greeting is not None:
        made.take(greeting, "helohost", "domain", greeting.text)
    if me is not None and greeting is None:
        made.take(me, "me", "domain", me.text)
    elif me is not None:
        made.remark(me, "me", IGNORED, "helohost counts more")
    elif greeting is None and domain:
        made.imply("domain", domain)


def _sender(files: Files, made: Translation) -> None:
    line = _value(files, "allmailfrom")
    if line is not None:
        made.take(line, "allmailfrom", "from", line.text)
        made.imply("allow_from_override", "off")


def _admin(files: Files, made: Translation) -> None:
    line = _value(files, "adminaddr")
    if line is not None:
        made.take(line, "adminaddr", "local_mail", line.text)


def _times(files: Files, made: Translation) -> None:
    first, longest, life = (_value(files, name) for name in ("pausetime", "maxpause", "queuelifetime"))
    if first is not None or longest is not None:
        line = first or longest
        assert line is not None
        begin = _seconds(first, 60)
        end = max(_seconds(longest, 86400), begin)
        made.take(line, "pausetime" if first is not None else "maxpause", "retry", f"{begin} {end}")
    if life is not None:
        made.take(life, "queuelifetime", "expire", str(_seconds(life, 604800)))
    limit = _value(files, "sendtimeout")
    if limit is not None:
        made.remark(limit, "sendtimeout", IGNORED, "each wait has its own bound; see timeout")


def _seconds(line: Line | None, default: int) -> int:
    text = line.text if line is not None else ""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else default
    return min(max(number, 1), 366 * 86400)
