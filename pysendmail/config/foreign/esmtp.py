"""esmtp: `keyword = value`, the value perhaps quoted as in C; an `identity` begins what holds for one sender."""

from pysendmail.config.foreign.source import Files, Line, host_and_port, port_number
from pysendmail.config.foreign.translation import DIFFERS, LOST, Draft, Translation

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_PLAIN = {"username": "user", "password": "password", "helo": "domain", "qualifydomain": "maildomain"}
_LOST = {
    "certificate_passphrase": "keys with a passphrase are not offered",
    "preconnect": "no command is run before a connection",
    "mda": "nothing is delivered on this machine; see aliases",
    "force_mda": "nothing is delivered on this machine; see aliases",
    "force sender": "see from and set_from_header",
}


def convert(files: Files, made: Translation) -> None:
    """Read the file. Raises ConfigError."""
    draft, started = made.default, False
    drafts = [draft]
    for line in files.main_file().lines():
        for keyword, value in _pairs(line):
            if keyword == "identity":
                if started or draft is not made.default:
                    draft = made.account(value, "")
                    drafts.append(draft)
                made.take(line, keyword, "from", value, draft=draft)
                started = True
            else:
                _take(line, keyword, value, made, draft)
                started = True
    for one in drafts:
        _settle(one, made)


def _take(line: Line, keyword: str, value: str, made: Translation, draft: Draft) -> None:
    if keyword == "hostname":
        host, port = host_and_port(value)
        made.take(line, keyword, "host", host, draft=draft)
        if port:
            made.take(line, keyword, "port", port_number(port), draft=draft)
    elif keyword in _PLAIN:
        made.take(line, keyword, _PLAIN[keyword], value, draft=draft)
    elif keyword == "starttls":
        _encryption(line, value.lower(), made, draft)
    elif keyword == "force reverse_path":
        address = value.replace("%u", "%U").replace("%%", "%")
        made.take(line, "force_reverse_path", "from", address, draft=draft)
        draft.set("allow_from_override", "off", line.place)
    elif keyword == "message_id":
        made.take(line, keyword, "set_msgid_header", "off" if value.lower() == "disabled" else "auto", draft=draft)
    else:
        made.remark(line, keyword.replace(" ", "_"), LOST, _LOST.get(keyword, "unknown word"))


def _encryption(line: Line, value: str, made: Translation, draft: Draft) -> None:
    tls = {"enabled": "opportunistic", "required": "on", "disabled": "off"}.get(value)
    if tls is None:
        made.remark(line, "starttls", LOST, "expected enabled, disabled or required")
    elif tls == "on":
        made.take(line, "starttls", "tls", tls, "the certificate is checked", draft=draft)
    else:
        made.take(line, "starttls", "tls", tls, draft=draft)


def _settle(draft: Draft, made: Translation) -> None:
    """Write what follows from other words, and what esmtp does without being told."""
    if not draft.get("port"):
        draft.set("port", "587", made.place)
    tls, where = draft.words.get("tls", ("", made.place))
    user = draft.words.get("user")
    draft.set("auth", "on" if user else "off", user[1] if user else made.place)
    if not user or tls == "on":
        draft.set("tls", tls or "off", where)
    elif tls == "off":
        draft.set("auth_without_tls", "on", where)
        made.remark(Line(where, ""), "starttls", DIFFERS, "auth_without_tls on; the password goes over the line in clear")
    else:
        draft.set("tls", "on", where)
        text = "tls on, since the password would else go over the line in clear; starttls = disabled would ask for that"
        made.remark(Line(user[1], ""), "username", DIFFERS, text)
    draft.set("tls_starttls", "on", made.place)


def _pairs(line: Line) -> "list[tuple[str, str]]":
    """Cut a line in keywords and values. Raises ConfigError."""
    found: list[tuple[str, str]] = []
    rest = line.text.lstrip(" \t")
    while rest and rest[0] != "#":
        keyword, rest = _word(rest)
        keyword = keyword.lower()
        if keyword == "force":
            second, rest = _word(rest.lstrip(" \t"))
            keyword = f"force {second.lower()}"
        rest = rest.lstrip(" \t").removeprefix("=").lstrip(" \t")
        if rest[:1] in ('"', "'"):
            value, rest = _quoted(line, rest)
        else:
            value, rest = _word(rest, "#")
        if not keyword:
            raise line.wrong("expected keyword = value")
        found.append((keyword, value))
        rest = rest.lstrip(" \t")
    return found


def _word(text: str, ends: str = "=#") -> tuple[str, str]:
    end = next((index for index, letter in enumerate(text) if letter in " \t" or letter in ends), len(text))
    return text[:end], text[end:]


def _quoted(line: Line, text: str) -> tuple[str, str]:
    """Take a quoted value apart; nothing in it is run or looked up."""
    letters, index = [], 1
    while index < len(text) and text[index] != text[0]:
        if text[index] == "\\" and index + 1 < len(text):
            index += 1
            digits = text[index : index + 3]
            if len(digits) == 3 and all(digit in "01234567" for digit in digits) and int(digits, 8) < 256:
                letters.append(chr(int(digits, 8)))
                index += 3
                continue
            letters.append(_ESCAPES.get(text[index], text[index]))
        else:
            letters.append(text[index])
        index += 1
    if index >= len(text):
        raise line.wrong("a quote is not closed")
    return "".join(letters), text[index + 1 :]
