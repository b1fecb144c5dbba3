"""Accounts: all that holds for one message, typed and checked; which of them is taken; where their file is found."""

import os

from pysendmail.config import values
from pysendmail.config.reader import File, Section, is_word, parse, read_regular, shown
from pysendmail.config.words import ACTS, WORDS
from pysendmail.errors import ConfigError, NoConfig, NoPermission

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.message.facts import When

SYSTEM_FILE = "/etc/pysendmail/pysendmail.conf"
SYSTEM_ALIASES = "/etc/aliases"
_OTHERS = ("/etc/msmtprc", "/etc/ssmtp/ssmtp.conf", "/etc/nullmailer/remotes", "/etc/dma/dma.conf")
_OWN_FILE = "pysendmail/pysendmail.conf"
_MAILNAME = "/etc/mailname"
NO_UID, NOBODY = -1, "nobody"  # no user has this uid; who connects to the listener is called so
_FIRST_PERSON = 1000  # web servers and other services have the uids below
_TIMEOUT = 300.0
_KEPT = 1000  # accounts, each for a uid, that are made once
BY_DEFAULT = "the default account"
"""The reason for an account to which nothing but the lack of another one leads."""
# Words whose attribute is made by hand below, or that hold for the whole file.
_BY_HAND = ("auth", "auto_from", "caller_config", "from", "timeout")
_PLAIN = tuple((word, row[2]) for word, row in WORDS.items() if row[0] == ACTS and word not in _BY_HAND)


class Server:
    """One server of an account; `starttls` says that it begins in clear where TLS is used.

    `identity` is the name that its certificate has to be for, if not its own. A `host` that begins with srv: stands for
    the servers of a domain, which DNS knows.
    """

    __slots__ = ("host", "identity", "port", "starttls")

    def __init__(self, host: str, port: int, starttls: bool, identity: str = "") -> None:
        self.host = host
        self.port = port
        self.starttls = starttls
        self.identity = identity

    @property
    def domain(self) -> str | None:
        """Return the domain that it stands for, None for a server."""
        return self.host[len(values.SRV) :] if self.host.startswith(values.SRV) else None

    @property
    def key(self) -> tuple[str, int]:
        """Return what tells it apart from others."""
        return self.host, self.port

    def __str__(self) -> str:
        return self.host if self.domain is not None else f"{self.host} port {self.port}"


class Account:
    """One account, each attribute a word of the configuration; what was not written has its default.

    `sender` is the address of the word `from`, None if that is a pattern. `auth` is whether to log in, or the one
    mechanism to do it with, in capitals. `timeout` is in seconds; `timeout_written` tells whether the file says it.
    `servers` are in the order in which they are tried; `host`, `port` and `tls_starttls` are those of the first one.
    `notes` are for the log. What goes into a message or an envelope is bytes, names of hosts and files are text.
    """

    __slots__ = (
        "_file", "_section", "aliases", "aliases_headers", "allow_empty", "allow_from_override", "auth",
        "auth_without_tls", "bad_recipients", "connections", "delivery", "expire", "keepfailed", "postmaster", "queue",
        "rate", "retry", "uncertain", "warn",
        "domain", "dsn_notify", "dsn_return", "extract_minus_args", "from_full_name", "host", "logfile", "maildomain",
        "keep_connections", "local_mail", "local_sender", "max_recipients", "name", "notes", "null_sender", "password",
        "passwordeval", "place", "port", "privacy", "recipient_domains", "sender", "sender_from_header", "servers",
        "set_date_header", "set_from_header", "set_msgid_header", "source_ip", "srv_domains", "syslog", "timeout",
        "timeout_written", "tls",
        "tls_cert_file", "tls_certcheck", "tls_crl_file", "tls_fingerprint", "tls_host_override", "tls_key_file",
        "system_mail", "tls_min_version", "tls_starttls", "tls_trust_file", "undisclosed_recipients", "user",
    )  # fmt: skip

    aliases: str | None
    aliases_headers: bool
    allow_empty: bool
    allow_from_override: bool
    auth_without_tls: bool
    bad_recipients: str
    connections: int
    delivery: str
    domain: str | None
    dsn_notify: bytes | None
    dsn_return: bytes | None
    expire: float
    extract_minus_args: bool
    from_full_name: bytes | None
    host: str
    keep_connections: float | None
    keepfailed: float
    local_mail: bytes | None
    local_sender: bytes | None
    logfile: str | None
    maildomain: bytes | None
    max_recipients: int
    null_sender: bytes | None
    password: bytes | None
    passwordeval: bytes | None
    port: int
    postmaster: bytes | None
    privacy: bool
    queue: str | None
    rate: tuple[int, float] | None
    recipient_domains: tuple[str, ...] | None
    retry: tuple[float, float]
    sender_from_header: bool
    set_date_header: "When"
    set_from_header: "When"
    set_msgid_header: "When"
    source_ip: str | None
    srv_domains: tuple[str, ...] | None
    syslog: str | None
    system_mail: bytes | None
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
    uncertain: str
    undisclosed_recipients: bool
    user: bytes | None
    warn: float | None

    def __init__(self, file: File, section: Section, uid: int | None = None) -> None:
        self.name = section.name
        self.place = file.place
        self._file = file
        self._section = section
        words = section.words
        for word, default in _PLAIN:
            setattr(self, word, words[word][0] if word in words else default)
        self.sender = _sender_of(file, section, uid)
        timeout = words.get("timeout", (None,))[0]
        self.timeout_written = isinstance(timeout, float)
        self.timeout = timeout if isinstance(timeout, float) else _TIMEOUT
        self.auth: bool | bytes = self.user is not None
        self._set_msmtp_defaults(file)
        if "auth" in words:
            auth = words["auth"][0]
            self.auth = auth if isinstance(auth, bytes) else bool(auth)
        self._settle()
        self._check()
        self.notes = [f"{file.at(line)}: {word}: {text}" for word, (text, line) in section.notes.items()]
        if file.tool or file.msmtp:
            self.notes.append(f"{file.place}: the configuration of {file.tool or 'msmtp'} is used; there is none of ours")
        if self.password and not self.auth:
            self.notes.append(f"{self.place_of('password')}: password: has no effect while auth is off")

    @property
    def mechanism(self) -> bytes | None:
        """Return the one mechanism to log in with, None if any may be taken."""
        return self.auth if isinstance(self.auth, bytes) else None

    def place_of(self, word: str) -> str:
        """Return file and line where the word was written, or the file alone."""
        entry = self._section.words.get(word)
        return self._file.at(entry[1]) if entry else self.place

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

    def server_names(self) -> str:
        """Return the servers in words."""
        return ", then ".join([str(server) for server in self.servers])

    def _settle(self) -> None:
        """Fill in what follows from other words."""
        if " " in self.host or ":" in self.host:
            from pysendmail.config.servers import split

            self.servers = [self._server(host, port or self.port) for host, port in split(self.host)]
        else:
            self.servers = [self._server(self.host, self.port)]
        first = self.servers[0]
        self.host, self.port, self.tls_starttls = first.domain or first.host, first.port, first.starttls
        if self.password is not None and self.passwordeval is not None:
            if self._line_of("password") > self._line_of("passwordeval"):
                self.passwordeval = None
            else:
                self.password = None
        if self.domain and "%" in self.domain:
            self.domain = _greeting(self.domain, self.place_of("domain"))

    def _server(self, host: str, port: int) -> Server:
        """Make a server of the account; port 465 speaks TLS from the first octet on (RFC 8314), nothing else works."""
        starttls = self.tls_starttls
        if port == 465 and self.tls == "on" and not self.written("tls_starttls"):
            starttls = False
        return Server(host, port or (25 if self.tls == "off" else 587 if starttls else 465), starttls)

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
        if self.auth and self.tls == "off" and not self.auth_without_tls:
            word = "auth" if self.written("auth") else "user"
            raise ConfigError("AUTH is not done in clear: it needs tls on, or auth_without_tls on", self.place_of(word))
        if not self.allow_from_override and self.sender is None:
            raise ConfigError("allow_from_override off needs an address in from", self.place_of("allow_from_override"))


def named(section: Section) -> str:
    """Name an account as far as a text of the file may be shown."""
    return f"account {section.name}" if is_word(section.name) else f"the account of line {section.line}"


def choose(
    file: File,
    *,
    account: bytes | None = None,
    sender: bytes | None = None,
    header_from: "Callable[[], bytes | None] | None" = None,
    uid: int | None = None,
) -> tuple[Account, str]:
    """Choose the account for a message; return it with the reason.

    `account` is the name given with -a, `sender` the address of -f, `header_from` gives that of the From field; `uid`
    is the caller's, None for that of this process. Raises ConfigError if there is no such account, no default, or if the
    account contradicts itself.
    """
    if account is not None:
        section = file.accounts.get(account.decode("latin-1"))
        if section is None:
            raise ConfigError(f"there is no account of the name given with -a{_known_names(file)}", file.place)
        return _made(file, section, uid), f"{named(section)}, named by -a"
    sections = list(file.accounts.values())
    if len(sections) == 1:
        return _made(file, sections[0], uid), f"{named(sections[0])}, the only one"
    from pysendmail.config.senders import best

    senders = [_from_of(file, section, uid) for section in sections]
    for address, origin in ((sender, "the envelope sender"), (header_from, "the From field")):
        found = address() if callable(address) else address
        index = best(senders, found) if found else None
        if index is not None:
            return _made(file, sections[index], uid), f"{named(sections[index])}, whose from fits {origin}"
    section = file.accounts.get("default")
    if section is None:
        hint = 'write "account default : NAME"' if sections else "host is the least it needs"
        raise ConfigError(f"it has no default account; {hint}", file.place)
    return _made(file, section, uid), BY_DEFAULT


def _made(file: File, section: Section, uid: int | None) -> Account:
    """Return the account of a section; a daemon needs the same one for each message."""
    account = file.made.get((section.name, uid))
    if account is None:
        if len(file.made) >= _KEPT:
            file.made.clear()
        account = file.made[section.name, uid] = Account(file, section, uid)
    return account


def _known_names(file: File) -> str:
    """List the names that may be shown, for an error."""
    names = [name for name in file.accounts if is_word(name)][:10]
    return f" (it has {', '.join(names)})" if names else ""


def _sender_of(file: File, section: Section, uid: int | None) -> bytes | None:
    """Return the address of `from`, None for a pattern."""
    value = _from_of(file, section, uid)
    return None if value is None or values.is_pattern(value) else value


def _from_of(file: File, section: Section, uid: int | None) -> bytes | None:
    """Return the address or pattern of `from`, with %U, %H and %M filled in. Raises ConfigError."""
    value, line = section.words.get("from", (None, 0))
    if not isinstance(value, bytes) or section.words.get("auto_from", (False,))[0]:
        return None
    if b"%" not in value:
        return value
    place = file.at(line)
    try:
        return values.sender(_filled(value.decode("latin-1"), place, "from", uid))
    except values.Expected:
        raise ConfigError("from: with the names of this machine and user it is no mail address", place) from None


def _greeting(text: str, place: str) -> str | None:
    """Fill in %H and %M in the name for EHLO. Raises ConfigError."""
    try:
        return values.greeting(_filled(text, place, "domain", None))
    except values.Expected:
        raise ConfigError("domain: with the name of this machine it is no host name", place) from None


def _filled(text: str, place: str, word: str, uid: int | None) -> str:
    """Put in the caller's login for %U, the machine's name for %H, and /etc/mailname for %M. Raises ConfigError."""
    if "%C" in text:
        raise ConfigError(f"{word}: %C is not offered, since it asks the network; write the name", place)
    if "%U" in text:
        text = text.replace("%U", _login(place, word, os.getuid() if uid is None else uid))
    if "%H" in text:
        text = text.replace("%H", os.uname().nodename)
    if "%M" in text:
        name = mailname()
        if name is None:
            raise ConfigError(f"{word}: %M needs a name in {_MAILNAME}", place)
        text = text.replace("%M", name.decode("latin-1"))
    return text


def _login(place: str, word: str, uid: int) -> str:
    if uid == NO_UID:
        return NOBODY
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise ConfigError(f"{word}: %U needs a name for uid {uid}", place) from None


def alias_file(account: Account, system: bool) -> str | None:
    """Return the name of an account's alias file, None without; the system's daemon has one without being told."""
    return account.aliases or (SYSTEM_ALIASES if system and os.path.exists(SYSTEM_ALIASES) else None)


def mailname() -> bytes | None:
    """Return the mail domain that /etc/mailname gives, None without it."""
    try:
        text, _ = read_regular(_MAILNAME, 4096)
    except ConfigError:
        return None
    name = text.partition(b"\n")[0].strip()
    return name if name.isascii() and name.replace(b"-", b"").replace(b".", b"").isalnum() else None


def find_file(option: bytes | None, *, home: str | None, xdg: str | None, uid: int) -> str:
    """Return the name of the configuration file: the one of -C, else the caller's own, else the system's.

    `home` is $HOME, else the password file's folder; `xdg` is $XDG_CONFIG_HOME. Raises NoConfig if there is no file,
    NoPermission if the caller may not name one.
    """
    if option is not None:
        if 0 < uid < _FIRST_PERSON and not _callers_may_choose():
            text = f"this uid may not use -C (uids 1 to 999 need caller_config on in {SYSTEM_FILE})"
            raise NoPermission(text)
        if not option:
            raise ConfigError("the name of the file given with -C is empty")
        return os.fsdecode(option)
    folder = xdg if xdg and xdg[0] == "/" else f"{home}/.config" if home and home[0] == "/" else ""
    own = f"{folder}/{_OWN_FILE}"
    for name in (own, SYSTEM_FILE) if folder else (SYSTEM_FILE,):
        if os.path.exists(name):
            return name
    from pysendmail.config.foreign import found

    other = found.find(folder, home or "")
    if other is not None:
        return other
    neither = f"neither {shown(own)} nor {SYSTEM_FILE} exists" if folder else f"{SYSTEM_FILE} does not exist"
    raise NoConfig(f"there is no configuration: {neither}; pysendmail configure makes one")


def is_system(place: str) -> bool:
    """Tell by its place whether a configuration is the system's, which the daemon has as well."""
    return place == SYSTEM_FILE or place in _OTHERS


def system_file(path: str, credentials: str = "") -> str:
    """Return the file that is read for `path`: another program's where `path` is the system's file and is not there.

    `credentials` is the folder of systemd's. Raises ConfigError if there is more than one program's.
    """
    if path != SYSTEM_FILE or os.path.lexists(path):
        return path
    from pysendmail.config.foreign import found

    return found.find("", "", credentials) or path


def _callers_may_choose() -> bool:
    """Tell whether the system's configuration lets any caller name a file; where it cannot be read, it does not.

    Nor does one of another program that is used instead.
    """
    try:
        os.stat(SYSTEM_FILE)
    except (FileNotFoundError, NotADirectoryError):
        from pysendmail.config.foreign import found

        try:
            return found.find("", "") is None
        except ConfigError:
            return False
    except OSError:
        return False
    try:
        text, _ = read_regular(SYSTEM_FILE, 1 << 20)
        return parse(text, SYSTEM_FILE, home="/").caller_config
    except ConfigError:
        return False
