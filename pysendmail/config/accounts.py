"""Accounts: everything that holds for one message, typed and checked; which of them is taken; where the file is found."""

import os

from pysendmail.config.reader import File, Section, is_word, parse, read_regular, shown
from pysendmail.config.words import ACTS, WORDS, Expected, sender as _check_sender
from pysendmail.errors import ConfigError, NoPermission

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_FILE = "/etc/pysendmail/pysendmail.conf"
_OWN_FILE = "pysendmail/pysendmail.conf"
_MAILNAME = "/etc/mailname"
_FIRST_PERSON = 1000  # web servers and other services have the uids below
_TIMEOUT = 300.0
_USER_NOT_NEEDED = (b"EXTERNAL", b"OAUTHBEARER")
# Words whose attribute is made by hand below, or that hold for the whole file.
_BY_HAND = ("auth", "auto_from", "caller_config", "from", "timeout")
_PLAIN = tuple((word, row[2]) for word, row in WORDS.items() if row[0] == ACTS and word not in _BY_HAND)


class Account:
    """One account, each attribute a word of the configuration; what was not written has its default.

    Other than their words: `from_` is the address of `from` if that is no pattern; `auth` whether to log in and
    `mechanism` the one to do it with, None for any; `timeout` is in seconds and `timeout_written` tells whether the file
    says it; `notes` are for the log. A domain of a message (`maildomain`) and an address are bytes, names of hosts and
    files are text.
    """

    __slots__ = (
        "_section", "aliases", "allow_empty", "allow_from_override", "auth", "auth_without_tls", "bad_recipients",
        "domain", "dsn_notify", "dsn_return", "extract_minus_args", "from_", "from_full_name", "host", "logfile",
        "maildomain", "max_recipients", "mechanism", "name", "notes", "null_sender", "password", "passwordeval",
        "place", "port", "privacy", "sender_from_header", "set_date_header", "set_from_header", "set_msgid_header",
        "source_ip", "syslog", "timeout", "timeout_written", "tls", "tls_cert_file", "tls_certcheck", "tls_crl_file",
        "tls_fingerprint", "tls_host_override", "tls_key_file", "tls_min_version", "tls_starttls", "tls_trust_file",
        "undisclosed_recipients", "user",
    )  # fmt: skip

    aliases: str | None
    allow_empty: bool
    allow_from_override: bool
    auth_without_tls: bool
    bad_recipients: str
    domain: str | None
    dsn_notify: bytes | None
    dsn_return: bytes | None
    extract_minus_args: bool
    from_full_name: bytes | None
    host: str
    logfile: str | None
    maildomain: bytes | None
    max_recipients: int
    null_sender: bytes | None
    password: bytes | None
    passwordeval: bytes | None
    port: int
    privacy: bool
    sender_from_header: bool
    set_date_header: str
    set_from_header: str
    set_msgid_header: str
    source_ip: str | None
    syslog: str | None
    tls: str
    tls_cert_file: str | None
    tls_certcheck: bool
    tls_crl_file: str | None
    tls_fingerprint: str | None
    tls_host_override: str | None
    tls_key_file: str | None
    tls_min_version: str
    tls_starttls: bool
    tls_trust_file: str | None
    undisclosed_recipients: bool
    user: bytes | None

    def __init__(self, file: File, section: Section) -> None:
        self.name = section.name
        self.place = file.place
        self._section = section
        words = section.words
        for word, default in _PLAIN:
            setattr(self, word, words[word][0] if word in words else default)
        self.from_ = None if words.get("auto_from", (False,))[0] else _sender_of(file, section)
        self.timeout_written = words.get("timeout", (None,))[0] is not None
        self.timeout = float(str(words["timeout"][0])) if self.timeout_written else _TIMEOUT
        self.mechanism: bytes | None = None
        self.auth = self.user is not None
        self._set_msmtp_defaults(file)
        if "auth" in words:
            auth = words["auth"][0]
            self.auth = bool(auth)
            self.mechanism = auth if isinstance(auth, bytes) else None
        self._settle()
        self._check()
        self.notes = [f"{file.at(line)}: {word}: {text}" for word, (text, line) in section.notes.items()]
        if self.password and not self.auth:
            self.notes.append(f"{self.place_of('password')}: password: has no effect while auth is off")

    def place_of(self, word: str) -> str:
        """Return file and line where the word was written, or the file alone."""
        entry = self._section.words.get(word)
        return f"{self.place}:{entry[1]}" if entry else self.place

    def written(self, word: str) -> bool:
        """Tell whether the word was written for this account, its defaults or a parent."""
        return word in self._section.words

    def _set_msmtp_defaults(self, file: File) -> None:
        """Let msmtp's defaults hold in its own files, where ours differ in what is sent how."""
        if not file.msmtp:
            return
        self.auth = False
        if not self.written("tls"):
            self.tls = "off"
        if not self.written("syslog"):
            self.syslog = None
        if not self.port and self.tls_starttls:
            self.port = 25

    def _settle(self) -> None:
        """Fill in what follows from other words."""
        if self.port == 465 and not self.written("tls_starttls"):
            self.tls_starttls = False  # that port speaks TLS from the first octet on (RFC 8314), nothing else works
        if not self.port:
            self.port = 25 if self.tls == "off" else 587 if self.tls_starttls else 465
        if self.password is not None and self.passwordeval is not None:
            if self._line_of("password") > self._line_of("passwordeval"):
                self.passwordeval = None
            else:
                self.password = None
        if self.domain and "%" in self.domain:
            self.domain = _filled(self.domain, self.place_of("domain"), "domain")

    def _line_of(self, word: str) -> int:
        return self._section.words[word][1]

    def _check(self) -> None:
        """Refuse what contradicts itself. Raises ConfigError."""
        if not self.host:
            raise ConfigError(f"{named(self._section)} needs the word host, the server to send to", self.place)
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            has, lacks = ("cert", "key") if self.tls_cert_file else ("key", "cert")
            text = f"tls_{has}_file needs tls_{lacks}_file (the same file, if it holds both)"
            raise ConfigError(text, self.place_of(f"tls_{has}_file"))
        if self.tls_fingerprint and not self.tls_certcheck:
            raise ConfigError("tls_fingerprint contradicts tls_certcheck off", self.place_of("tls_fingerprint"))
        if self.tls_trust_file == "":
            if self.tls_certcheck and not self.tls_fingerprint:
                text = "tls_trust_file: expected a file, a folder or system, unless tls_fingerprint is set"
                raise ConfigError(text, self.place_of("tls_trust_file"))
            self.tls_trust_file = None
        if self.tls == "opportunistic" and not self.tls_starttls:
            raise ConfigError("tls opportunistic contradicts tls_starttls off", self.place_of("tls"))
        self._check_login()
        if not self.allow_from_override and self.from_ is None:
            raise ConfigError("allow_from_override off needs an address in from", self.place_of("allow_from_override"))

    def _check_login(self) -> None:
        if not self.auth:
            return
        if self.tls == "off" and not self.auth_without_tls:
            word = "auth" if self.written("auth") else "user"
            raise ConfigError("AUTH is not used in clear: it needs tls on, or auth_without_tls on", self.place_of(word))
        if self.user is None and self.mechanism not in _USER_NOT_NEEDED and (self.mechanism or not self.tls_cert_file):
            raise ConfigError("auth needs the word user", self.place_of("auth"))


def named(section: Section) -> str:
    """Name an account as far as a text of the file may be shown."""
    return f"account {section.name}" if is_word(section.name) else f"the account of line {section.line}"


def choose(
    file: File, *, account: bytes | None = None, sender: bytes | None = None, header_from: bytes | None = None
) -> tuple[Account, str]:
    """Choose the account for a message; return it with the reason.

    `account` is the name given with -a, `sender` the address of -f, `header_from` that of the From field. Raises
    ConfigError if there is no such account, no default, or if the account contradicts itself.
    """
    if account is not None:
        section = file.accounts.get(account.decode("latin-1"))
        if section is None:
            raise ConfigError(f"there is no account of the name given with -a{_known_names(file)}", file.place)
        return Account(file, section), f"{named(section)}, named by -a"
    for address, origin in ((sender, "the envelope sender"), (header_from, "the From field")):
        section = _match(file, address) if address else None
        if section is not None:
            return Account(file, section), f"{named(section)}, whose from matches {origin}"
    section = file.accounts.get("default")
    if section is None:
        if len(file.accounts) != 1:
            hint = 'write "account default : NAME"' if file.accounts else "it needs at least the word host"
            raise ConfigError(f"no account is the default; {hint}", file.place)
        (section,) = file.accounts.values()
        return Account(file, section), f"{named(section)}, the only one"
    return Account(file, section), "the default account"


def _known_names(file: File) -> str:
    """List the names that may be shown, for an error."""
    names = [name for name in file.accounts if is_word(name)][:10]
    return f" (it has {', '.join(names)})" if names else ""


def _match(file: File, address: bytes) -> Section | None:
    """Find the account whose `from` fits the address best.

    Best is the same address; then one that differs in upper and lower case; then the address without its +detail; then
    the pattern with the most characters of its own. The first in the file wins among equals.
    """
    best: Section | None = None
    best_rank = (0, 0)
    for section in file.accounts.values():
        rank = _rank(section.words.get("from", (None,))[0], file, section, address)
        if rank > best_rank:
            best, best_rank = section, rank
    return best


def _rank(value: object, file: File, section: Section, address: bytes) -> tuple[int, int]:
    if not isinstance(value, bytes) or section.words.get("auto_from", (False,))[0]:
        return 0, 0
    if _is_pattern(value):
        pattern = value.decode("latin-1").lower()
        return (1, _own_characters(pattern)) if _fits(pattern, address.decode("latin-1").lower()) else (0, 0)
    own = _sender_of(file, section) or b""
    if _folded(own) == _folded(address):
        return 4, 0
    local, _, domain = address.lower().partition(b"@")
    if own.lower() == local + b"@" + domain:
        return 3, 0
    return (2, 0) if own.lower() == local.partition(b"+")[0] + b"@" + domain else (0, 0)


def _folded(address: bytes) -> tuple[bytes, bytes]:
    local, _, domain = address.rpartition(b"@")
    return local, domain.lower()


def _is_pattern(value: bytes) -> bool:
    """Tell whether an address is a pattern; brackets around the whole domain are an address literal."""
    local, _, domain = value.partition(b"@")
    return b"*" in value or b"?" in value or b"[" in local or domain.find(b"[") > 0


def _own_characters(pattern: str) -> int:
    return len(pattern) - pattern.count("*") - pattern.count("?")


def _fits(pattern: str, text: str) -> bool:
    """Match a pattern of the shell's kind: `*`, `?` and sets in brackets; in time of the two lengths multiplied."""
    parts = _parts(pattern)
    at = place = 0
    star, after_star = -1, 0
    while place < len(text):
        if at < len(parts) and parts[at] is not None and _is_one(parts[at], text[place]):
            at, place = at + 1, place + 1
        elif at < len(parts) and parts[at] is None:
            star, after_star = at, place
            at += 1
        elif star >= 0:  # let the last star take one more character
            after_star += 1
            at, place = star + 1, after_star
        else:
            return False
    return all(part is None for part in parts[at:])


def _is_one(part: str | None, character: str) -> bool:
    return part is not None and (not part or (character in part[1:]) == (part[0] == "="))


def _parts(pattern: str) -> list[str | None]:
    """Cut a pattern up: None for a star, "" for any character, else "=" or "!" and the characters of a set."""
    parts: list[str | None] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        end = pattern.find("]", at + 3 if pattern[at + 1 : at + 2] == "!" else at + 2) if character == "[" else -1
        if end > 0:
            inside = pattern[at + 1 : end]
            negated = inside[0] == "!"
            parts.append(("!" if negated else "=") + _ranges(inside[1:] if negated else inside))
            at = end
        elif character == "*":
            parts.append(None)
        else:
            parts.append("" if character == "?" else "=" + character)
        at += 1
    return parts


def _ranges(inside: str) -> str:
    """Write out a-z in a set."""
    out = []
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            out.extend(chr(code) for code in range(ord(inside[at]), ord(inside[at + 2]) + 1))
            at += 3
        else:
            out.append(inside[at])
            at += 1
    return "".join(out)


def _sender_of(file: File, section: Section) -> bytes | None:
    """Return the address of `from`, %U, %H and %M filled in; None for a pattern."""
    value, line = section.words.get("from", (None, 0))
    if not isinstance(value, bytes) or _is_pattern(value):
        return None
    if b"%" not in value:
        return value
    place = file.at(line)
    try:
        return _check_sender(_filled(value.decode("latin-1"), place, "from"))
    except Expected:
        raise ConfigError("from: with the names of this machine and user it is not a mail address", place) from None


def _filled(text: str, place: str, word: str) -> str:
    """Put in the caller's login for %U, the machine's name for %H, and /etc/mailname for %M. Raises ConfigError."""
    if "%C" in text:
        raise ConfigError(f"{word}: %C is not offered, since it asks the network; write the name", place)
    if "%U" in text:
        text = text.replace("%U", _login(place, word))
    if "%H" in text:
        text = text.replace("%H", os.uname().nodename)
    if "%M" in text:
        name = mailname()
        if name is None:
            raise ConfigError(f"{word}: %M needs a name in {_MAILNAME}", place)
        text = text.replace("%M", name.decode("latin-1"))
    return text


def _login(place: str, word: str) -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise ConfigError(f"{word}: %U needs a name for uid {os.getuid()}", place) from None


def mailname() -> bytes | None:
    """Return the mail domain that /etc/mailname gives, None without it."""
    try:
        text, _ = read_regular(_MAILNAME, 4096)
    except ConfigError:
        return None
    name = text.partition(b"\n")[0].strip()
    return name if name.isascii() and name.replace(b"-", b"").replace(b".", b"").isalnum() else None


def home_folder(environ: "Mapping[str, str]", uid: int) -> str:
    """Return $HOME if it is a whole path, else what the password file says, else an empty text."""
    home = environ.get("HOME", "")
    if home[:1] == "/":
        return home.rstrip("/")
    import pwd

    try:
        return pwd.getpwuid(uid).pw_dir.rstrip("/")
    except KeyError:
        return ""


def find_file(option: bytes | None, *, home: str, xdg: str | None, uid: int) -> str:
    """Return the name of the configuration file: the one of -C, else the caller's own, else the system's.

    `home` is the home folder, `xdg` the value of $XDG_CONFIG_HOME. Raises ConfigError if there is none, NoPermission if
    the caller may not use -C.
    """
    if option is not None:
        if 0 < uid < _FIRST_PERSON and not _callers_may_choose():
            text = f"this uid may not use -C (uids 1 to 999 need caller_config on in {SYSTEM_FILE})"
            raise NoPermission(text)
        return os.fsdecode(option)
    folder = xdg if xdg and xdg[0] == "/" else f"{home}/.config" if home else ""
    own = f"{folder}/{_OWN_FILE}"
    for name in (own, SYSTEM_FILE) if folder else (SYSTEM_FILE,):
        if os.path.exists(name):
            return name
    neither = f"neither {shown(own)} nor {SYSTEM_FILE} exists" if folder else f"{SYSTEM_FILE} does not exist"
    raise ConfigError(f"there is no configuration: {neither}; pysendmail.conf(5) says what to write")


def _callers_may_choose() -> bool:
    """Tell whether the system's configuration lets any caller name a file; where it cannot be read, it does not."""
    try:
        os.stat(SYSTEM_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    try:
        text, _ = read_regular(SYSTEM_FILE, 1 << 20)
        return parse(text, SYSTEM_FILE, home="/").caller_config
    except ConfigError:
        return False
