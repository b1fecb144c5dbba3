"""dma: dma.conf with `NAME value` lines, and auth.conf with `user|server:password`."""

import os

from pysendmail.config.foreign.source import Files, Line, host_and_port
from pysendmail.config.foreign.translation import DIFFERS, IGNORED, LOST, SAME, Translation

_FLAGS = frozenset((
    "SECURETRANSFER", "STARTTLS", "OPPORTUNISTIC_TLS", "INSECURE", "SECURE", "DEFER", "FULLBOUNCE", "NULLCLIENT",
    "VERIFYCERT",
))  # fmt: skip
_VALUES = frozenset((
    "SMARTHOST", "PORT", "ALIASES", "SPOOLDIR", "AUTHPATH", "CERTFILE", "MAILNAME", "MASQUERADE", "FINGERPRINT", "DEBUGLOG",
))  # fmt: skip


def convert(files: Files, made: Translation) -> None:
    """Read the files. Raises ConfigError."""
    words: dict[str, tuple[Line, str]] = {}
    for line in files.main_file().lines():
        _take(line, made, words)
    made.imply("port", "25")
    if "SMARTHOST" in words:
        line, value = words["SMARTHOST"]
        host, port = host_and_port(value)
        made.take(line, "SMARTHOST", "host", host)
        if port:
            made.take(line, "SMARTHOST", "port", port)
    if "PORT" in words:
        made.take(words["PORT"][0], "PORT", "port", words["PORT"][1])
    _encryption(made, words)
    _login(files, made, words)
    _sender(files, made, words)
    _rest(files, made, words)


def _take(line: Line, made: Translation, words: dict[str, tuple[Line, str]]) -> None:
    text = line.text.partition("#")[0].replace("\t", " ").strip(" ")
    if not text:
        return
    word, _, value = text.partition(" ")
    value = value.strip(" ")
    if word in _FLAGS and value:
        made.remark(line, word, LOST, "expected nothing behind it; dma takes this for an error")
    elif word in _VALUES and not value:
        made.remark(line, word, IGNORED, "it has no value")
    elif word in _FLAGS or word in _VALUES:
        words[word] = line, value
    else:
        made.remark(line, word, LOST, "unknown word; dma takes this for an error")


def _encryption(made: Translation, words: dict[str, tuple[Line, str]]) -> None:
    if "SECURETRANSFER" not in words:
        made.imply("tls", "off")
        for word in ("STARTTLS", "OPPORTUNISTIC_TLS", "VERIFYCERT", "FINGERPRINT"):
            if word in words:
                made.remark(words[word][0], word, IGNORED, "it has no effect without SECURETRANSFER")
        return
    line = words["SECURETRANSFER"][0]
    upgraded = "STARTTLS" in words
    opportunistic = upgraded and "OPPORTUNISTIC_TLS" in words
    made.default.set("tls", "opportunistic" if opportunistic else "on", line.place)
    made.default.set("tls_starttls", "on" if upgraded else "off", (words["STARTTLS"][0] if upgraded else line).place)
    if opportunistic:
        made.remark(line, "SECURETRANSFER", SAME, "tls opportunistic")
        made.remark(words["OPPORTUNISTIC_TLS"][0], "OPPORTUNISTIC_TLS", SAME, "tls opportunistic")
    elif "VERIFYCERT" in words or "FINGERPRINT" in words:
        made.remark(line, "SECURETRANSFER", SAME, "tls on")
    else:
        text = "tls on; the certificate is checked, which dma does with VERIFYCERT only"
        made.remark(line, "SECURETRANSFER", DIFFERS, text)
    if upgraded:
        made.remark(words["STARTTLS"][0], "STARTTLS", SAME, "tls_starttls on")
    if not upgraded and "OPPORTUNISTIC_TLS" in words:
        made.remark(words["OPPORTUNISTIC_TLS"][0], "OPPORTUNISTIC_TLS", IGNORED, "it has no effect without STARTTLS")
    if "VERIFYCERT" in words:
        made.remark(words["VERIFYCERT"][0], "VERIFYCERT", SAME, "tls_certcheck on, the default")
    if "FINGERPRINT" in words:
        made.take(words["FINGERPRINT"][0], "FINGERPRINT", "tls_fingerprint", words["FINGERPRINT"][1])
    if "CERTFILE" in words:
        made.take(words["CERTFILE"][0], "CERTFILE", "tls_cert_file", words["CERTFILE"][1])
        made.default.set("tls_key_file", words["CERTFILE"][1], words["CERTFILE"][0].place)


def _login(files: Files, made: Translation, words: dict[str, tuple[Line, str]]) -> None:
    if "AUTHPATH" in words:
        line, path = words["AUTHPATH"]
        made.remark(line, "AUTHPATH", SAME, "user and password stand there")
        source = files.need(path)
        host = made.default.get("host").lower()
        for entry in source.lines():
            if entry.text and entry.text[0] != "#":
                _take_login(entry, made, host)
    for word in ("INSECURE", "SECURE"):
        if word in words:
            made.remark(words[word][0], word, SAME if word == "INSECURE" else IGNORED, "whether a login in clear is allowed")
    if made.default.get("user") and made.default.get("tls") == "off":
        user = Line(made.default.words["user"][1], "")
        if "INSECURE" in words:
            more = "the password goes over the line in clear"
            made.take(words["INSECURE"][0], "INSECURE", "auth_without_tls", "on", more)
        else:
            made.take(user, "user", "tls", "on", "there is no login in clear without INSECURE, not even by CRAM-MD5")


def _take_login(line: Line, made: Translation, host: str) -> None:
    user, bar, rest = line.text.partition("|")
    cut = next((index for index, letter in enumerate(rest) if letter in ": \t"), -1)
    if not bar or cut < 0:
        raise line.wrong("expected user|server:password")
    if rest[:cut].lower() != host:
        made.remark(line, "(line)", IGNORED, "it is for another server")
        return
    made.take(line, "user", "user", user)
    made.take(line, "password", "password", rest[cut + 1 :])


def _sender(files: Files, made: Translation, words: dict[str, tuple[Line, str]]) -> None:
    name = "%H"
    if "MAILNAME" in words:
        line, value = words["MAILNAME"]
        if value[0] == "/":
            source = files.take(value)
            first = source.first() if source is not None else None
            value = first.text if first is not None else ""
        if value:
            name = value
            made.take(line, "MAILNAME", "domain", value)
            made.default.set("maildomain", value, line.place)
    made.imply("from", f"%U@{name}")
    if "MASQUERADE" not in words:
        return
    line, value = words["MASQUERADE"]
    user, at, host = value.rpartition("@")
    address = f"{user or '%U'}@{host or name}"
    if at and user:
        made.take(line, "MASQUERADE", "from", address)
        made.default.set("allow_from_override", "off", line.place)
    else:
        made.take(line, "MASQUERADE", "from", address, "the domain of an address that -f gives stays")
        if host:
            made.default.set("maildomain", host, line.place)


def _rest(files: Files, made: Translation, words: dict[str, tuple[Line, str]]) -> None:
    aliases = words.get("ALIASES")
    path = aliases[1] if aliases is not None else "/etc/aliases"
    place = aliases[0].place if aliases is not None else made.place
    if "NULLCLIENT" in words:
        made.remark(words["NULLCLIENT"][0], "NULLCLIENT", SAME, "no aliases, nothing is delivered here")
    elif os.path.exists(f"{files.root}{path}"):
        made.default.set("aliases", path, place)
        if aliases is not None:
            made.remark(aliases[0], "ALIASES", SAME, f"aliases {path}")
    elif aliases is not None:
        made.remark(aliases[0], "ALIASES", IGNORED, "there is no such file")
    for word, text in (
        ("DEFER", "delivery queue does this where there is a queue"),
        ("SPOOLDIR", "what waits there is delivered by dma -q; our queue has another form"),
        ("FULLBOUNCE", "see dsn_return"),
        ("DEBUGLOG", "see logfile"),
    ):
        if word in words:
            made.remark(words[word][0], word, IGNORED, text)
