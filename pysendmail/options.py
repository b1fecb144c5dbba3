"""The command line of sendmail: one table of options, and the parser that it drives.

Sendmail's options are getopt's but for three habits. An option may take its argument only when it is attached (`-q30m`,
`-d0.1`: a word after a lone `-q` is not its argument). `-o` and `-q` open a second alphabet (`-odb`, `-q!I substring`).
And options may follow recipients. Whatever an option takes is taken here, acted upon or not, so that it can never be
mistaken for a recipient; what would name a file to write, a queue folder or a program is taken and then forgotten.

Public: Options, parse(), usage(), and for the tests that compare this file with the manual TABLE and MODES.
"""

from pysendmail.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Action = str | None | Callable[["Options", bytes, str], None]
    Row = tuple[int, Action, str, str]

NONE, REQUIRED, ATTACHED = range(3)  # takes no argument; one, attached or separate; one only if attached

_CONTROLS = bytes(range(9)) + bytes(range(10, 32)) + b"\x7f"  # TAB counts as a blank
_NOTES_MAX = 16
_SEE = "see sendmail(8) or --help"


class Options:
    """Hold what the command line asks for.

    Addresses stay raw text: `recipients` are arguments (each may be a list of addresses), `sender` is None when no -f
    was given and b"" for the null sender. `notify` and `ret` are canonical (b"NEVER", b"SUCCESS,FAILURE,DELAY" in that
    order; b"FULL", b"HDRS"), `interval` is in seconds, None for one queue run, and `selections` holds
    (letter out of "IRSG", negated, pattern). `ignored` names what was taken, ignored, and deserves a line in the log.
    """

    __slots__ = (
        "account", "body", "config", "delivery", "envid", "errors", "extract", "foreground", "full_name", "hops",
        "ignore_dots", "ignored", "interval", "mail_back", "mode", "notify", "read_envelope_from", "recipients", "ret",
        "run_queue", "selections", "sender", "tag", "verbose",
    )  # fmt: skip

    def __init__(self) -> None:
        self.mode = "deliver"  # deliver smtp list aliases daemon verify queue help version
        self.recipients: list[bytes] = []
        self.extract = False
        self.sender: bytes | None = None
        self.full_name: bytes | None = None
        self.ignore_dots = False
        self.delivery: str | None = None  # "i" now, "b" in the background, "q" queue only
        self.errors = "m"  # "m" mail, "p" print, "q" exit code only, "w" as "m", "e" mail and exit 0
        self.mail_back = False  # mail was asked for in so many words, as callers do who ignore the exit code
        self.body: bytes | None = None
        self.notify: bytes | None = None
        self.ret: bytes | None = None
        self.envid: bytes | None = None
        self.verbose = False
        self.config: bytes | None = None
        self.account: bytes | None = None
        self.hops: int | None = None
        self.tag: bytes | None = None
        self.read_envelope_from = False
        self.foreground = False
        self.ignored: list[bytes] = []
        self.run_queue = False
        self.interval: int | None = None
        self.selections: list[tuple[str, bool, bytes]] = []


def parse(argv: list[bytes], name: bytes = b"sendmail") -> Options:
    """Read the arguments (without argv[0]) of a command that was called as `name`.

    Raises UsageError. Whether a mode is offered, and whether there is any recipient, is for the command to decide.
    """
    _refuse_control_characters(argv)
    options = Options()
    options.mode = _personality(name)
    rest = argv[::-1]  # a stack: an option that wants the next argument pops it
    while rest:
        argument = rest.pop()
        if argument[:1] != b"-" or argument == b"-":
            options.recipients.append(argument)
        elif argument == b"--":
            options.recipients += rest[::-1]
            break
        elif argument[1:2] == b"-":
            _read_long(options, argument, rest)
        else:
            _read_cluster(options, argument, rest)
    _settle(options)
    return options


def _refuse_control_characters(argv: list[bytes]) -> None:
    """Refuse what could end a line of the dialogue, the header or the log."""
    text = b"".join(argv)
    if len(text.translate(None, _CONTROLS)) == len(text):
        return
    for argument in argv:
        if len(argument.translate(None, _CONTROLS)) != len(argument):
            raise UsageError(f"control character in the argument {_show(argument)}; take it out")


def _personality(name: bytes) -> str:
    name = name.rpartition(b"/")[2]
    if name in (b"smtpd", b"hoststat", b"purgestat"):
        raise UsageError(f"the name {_show(name)} is not offered; call sendmail, mailq or newaliases")
    return {b"mailq": "list", b"newaliases": "aliases"}.get(name, "deliver")


def _read_long(options: Options, argument: bytes, rest: list[bytes]) -> None:
    name, equals, value = argument.partition(b"=")
    row = TABLE.get(name)
    shown = _show(name)
    if row is None:
        raise UsageError(f"unknown option {shown} (a setting belongs in the configuration file); {_SEE}")
    if row[0] == NONE and equals:
        raise UsageError(f"option {shown} takes no value; write {shown} alone")
    if row[0] == REQUIRED and not equals:
        value = _next(rest, shown, row[2])
    _act(options, row, value, shown)


def _read_cluster(options: Options, cluster: bytes, rest: list[bytes]) -> None:
    """Read `-t`, `-fA`, `-ti` or `-tif` (then A is the next argument)."""
    for at in range(1, len(cluster)):
        name = b"-" + cluster[at : at + 1]
        row = TABLE.get(name)
        if row is None:
            raise UsageError(f"unknown option {_show(name)}; {_SEE}")
        shown = name.decode()
        if row[0] != NONE:
            _act(options, row, _argument(shown, row, cluster[at + 1 :], rest), shown)
            return
        _act(options, row, b"", shown)


def _argument(shown: str, row: "Row", attached: bytes, rest: list[bytes]) -> bytes:
    """Give the argument of an option: the rest of its cluster, else the next argument where the option takes that."""
    if row[0] == REQUIRED and not attached:
        attached = _next(rest, shown, row[2])
    if attached in _CONTINUED.get(shown, ()):
        return attached + _next(rest, shown + _show(attached), "its value")
    if shown == "-d" and not attached and rest and _debug_levels(rest[-1]):
        rest.pop()
    return attached


def _next(rest: list[bytes], shown: str, what: str) -> bytes:
    if not rest:
        raise UsageError(f"option {shown} needs an argument ({what}); {_SEE}")
    return rest.pop()


def _debug_levels(text: bytes) -> bool:
    """Tell whether this is what `-d` takes, such as `0-99.1`; nobody's address looks like that."""
    return b"." in text and text[:1].isdigit() and not text.strip(b"0123456789.,-")


def _act(options: Options, row: "Row", value: bytes, shown: str) -> None:
    action = row[1]
    if isinstance(action, str):
        setattr(options, action, True)
    elif action is not None:
        action(options, value, shown)


def _settle(options: Options) -> None:
    """Join what several options say together, and refuse what contradicts itself."""
    if options.verbose:
        options.delivery = "i"
    if options.mode in ("help", "version"):
        return
    if options.run_queue:
        if options.mode not in ("deliver", "list", "daemon"):
            raise UsageError(f"-q does not go together with {_MODE_NAMES[options.mode]}; leave one out")
        if options.mode == "deliver":
            options.mode = "queue"
    if options.mode == "deliver":
        return
    if options.extract:
        raise UsageError(f"-t is for delivery only, not for {_MODE_NAMES[options.mode]}; leave one out")
    if options.recipients and options.mode != "verify":
        stray = _show(options.recipients[0])
        hint = "; an interval is attached, as in -q30m" if options.mode == "queue" else ""
        raise UsageError(f"{_MODE_NAMES[options.mode]} takes no recipient, but {stray} is given{hint}")


def _show(text: bytes) -> str:
    """Make caller's bytes fit for one line on a terminal."""
    shown = text[:60].decode("ascii", "backslashreplace")
    return "".join([c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in shown]) + ("..." if len(text) > 60 else "")


def _note(options: Options, name: bytes) -> None:
    if name not in options.ignored and len(options.ignored) < _NOTES_MAX:
        options.ignored.append(name)


def _forget(options: Options, value: bytes, shown: str) -> None:
    _note(options, shown.encode())


def _set_mode(options: Options, value: bytes, shown: str) -> None:
    mode = MODES.get(value)
    if mode is None:
        offered = " ".join([f"-b{letter.decode()}" for letter in MODES])
        raise UsageError(f"the mode {shown}{_show(value)} is not offered; offered are {offered}")
    if options.mode not in ("help", "version"):
        options.mode = mode
    if value == b"D":
        options.foreground = True


def _set_aliases(options: Options, value: bytes, shown: str) -> None:
    _set_mode(options, b"i", "-b")


def _set_word(options: Options, value: bytes, shown: str) -> None:
    """Set the mode of `--help` or `--version`, which no other option takes back."""
    options.mode = shown[2:]


def _set_sender(options: Options, value: bytes, shown: str) -> None:
    text = value.strip(b" \t")
    null = text[:1] == b"<" and text[-1:] == b">" and not text[1:-1].strip(b" \t")
    options.sender = b"" if null else text


def _set_full_name(options: Options, value: bytes, shown: str) -> None:
    options.full_name = value.replace(b"\t", b" ").strip(b" ")


def _set_name(options: Options, value: bytes, shown: str) -> None:
    """Set the file or the account; an empty one would silently mean the default."""
    if not value:
        raise UsageError(f"option {shown} needs a name that is not empty; {_SEE}")
    setattr(options, "config" if shown in ("-C", "--file") else "account", value)


def _set_body(options: Options, value: bytes, shown: str) -> None:
    body = value.upper()
    if body not in (b"7BIT", b"8BITMIME"):
        raise UsageError(f"bad body type {shown} {_show(value)}; write 7BIT or 8BITMIME")
    options.body = body


def _set_notify(options: Options, value: bytes, shown: str) -> None:
    words = [word.strip(b" \t") for word in value.upper().split(b",")]
    known = (b"SUCCESS", b"FAILURE", b"DELAY")
    if words == [b"NEVER"]:
        options.notify = b"NEVER"
    elif words == [b"OFF"] and shown == "--dsn-notify":  # msmtp's way to say: do not ask
        options.notify = None
    elif all(word in known for word in words):
        options.notify = b",".join([word for word in known if word in words])
    else:
        raise UsageError(f"bad {shown} {_show(value)}; write never, or a list out of success,failure,delay")


def _set_return(options: Options, value: bytes, shown: str) -> None:
    word = value.upper()
    if word in (b"FULL", b"HDRS"):
        options.ret = word
    elif shown == "--dsn-return" and word in (b"OFF", b"HEADERS"):  # msmtp's words
        options.ret = b"HDRS" if word == b"HEADERS" else None
    else:
        raise UsageError(f"bad {shown} {_show(value)}; write full or hdrs")


def _set_envid(options: Options, value: bytes, shown: str) -> None:
    """Take an envelope id: 1 to 100 printable characters before xtext encodes them (RFC 3461 section 4.4)."""
    text = value.replace(b"\t", b" ")
    if not 1 <= len(text) <= 100 or not text.isascii():
        raise UsageError(f"bad {shown} {_show(value)}; an envelope id is 1 to 100 printable ASCII characters")
    options.envid = text


def _set_hops(options: Options, value: bytes, shown: str) -> None:
    if not value.isdigit() or len(value) > 6:
        raise UsageError(f"bad {shown} {_show(value)}; write the number of hops (help is --help)")
    options.hops = int(value)


def _set_tag(options: Options, value: bytes, shown: str) -> None:
    """Take the log tag, without the characters that could make a log line say something else."""
    safe = bytes([c if chr(c).isalnum() and c < 128 or c in b"._/-" else 95 for c in value[:32]])
    options.tag = safe or None


def _set_letter(options: Options, value: bytes, shown: str) -> None:
    """Act on `-o` and one letter, as far as it is known and harmless."""
    letter, value = value[:1], value[1:]
    if letter in _SETTINGS:
        _SETTINGS[letter](options, value, "-o")
    elif letter in _VALUED and not value:
        # Its value would otherwise be the next argument, and a recipient.
        raise UsageError(f"option -o{letter.decode()} needs its value attached, as in -o{letter.decode()}VALUE; {_SEE}")
    elif letter in _VALUED:
        _note(options, b"-o" + letter)


def _set_long_setting(options: Options, value: bytes, shown: str) -> None:
    """Act on `-O Name=value`, as far as it is known and harmless."""
    name, _, value = value.partition(b"=")
    name = name.strip(b" \t")
    setting = _LONG_SETTINGS.get(name.lower())
    if setting is not None:
        setting(options, value.strip(b" \t"), "-O")
    else:
        _note(options, b"-O" + (name if name.isalnum() and len(name) <= 40 else b""))


def _set_errors(options: Options, value: bytes, shown: str) -> None:
    how = value[:1].lower()
    if how and how in b"mpqwe":
        options.errors = how.decode()
        options.mail_back = how in b"mwe"
    else:
        _note(options, b"-e")


def _set_delivery(options: Options, value: bytes, shown: str) -> None:
    how = {b"": "i", b"i": "i", b"f": "i", b"b": "b", b"q": "q", b"d": "q"}.get(value[:1].lower())
    if how is None:
        _note(options, b"-od")
    else:
        options.delivery = how


def _set_dots(options: Options, value: bytes, shown: str) -> None:
    options.ignore_dots = _true(value)


def _set_verbosity(options: Options, value: bytes, shown: str) -> None:
    options.verbose = _true(value)


def _true(value: bytes) -> bool:
    """Read a switch as Sendmail does: on, unless it begins with f or n (or is 0)."""
    return value[:1].lower() not in (b"f", b"n", b"0")


def _set_queue(options: Options, value: bytes, shown: str) -> None:
    options.run_queue = True
    negated = value[:1] == b"!"
    letter, pattern = value[negated : negated + 1], value[negated + 1 :]
    if letter in (b"I", b"R", b"S", b"G") and not (negated and letter == b"G"):
        if not pattern:
            raise UsageError(f"-q{_show(value)} needs a pattern that is not empty; {_SEE}")
        options.selections.append((letter.decode(), negated, pattern))
    elif value == b"f":
        options.foreground = True
    elif value == b"p":
        options.interval = 1
    elif value:
        options.interval = _interval(value[1:] if letter == b"p" and not negated else value)


def _interval(text: bytes) -> int | None:
    """Read `90`, `30m`, `1h30m`: seconds, None for nought. A number without a unit means minutes."""
    seconds = number = 0
    digits = False
    for c in text if len(text) <= 16 else b"?":
        unit = _UNITS.get(c)
        if 48 <= c <= 57:
            number, digits = number * 10 + c - 48, True
        elif unit and digits:
            seconds, number, digits = seconds + number * unit, 0, False
        else:
            raise UsageError(f"bad -q{_show(text)}; write a time such as -q30m or -q1h, or one of -qf -qI -qR -qS -qG")
    return seconds + number * 60 or None


MODES = {
    b"m": "deliver", b"s": "smtp", b"p": "list", b"i": "aliases", b"v": "verify",
    b"d": "daemon", b"D": "daemon", b"l": "daemon",
}  # fmt: skip
_MODE_NAMES = {
    "smtp": "-bs", "list": "mailq (-bp)", "aliases": "newaliases (-bi)", "verify": "-bv", "daemon": "-bd",
    "queue": "-q",
}  # fmt: skip
_UNITS = {115: 1, 109: 60, 104: 3600, 100: 86400, 119: 604800}  # s m h d w

# Options whose argument goes on in the next one. Exim's -oM… alone take theirs that way.
_CONTINUED = {
    "-q": (b"I", b"R", b"S", b"G", b"!I", b"!R", b"!S"),
    "-o": (b"Ma", b"Maa", b"Mai", b"Mas", b"Mi", b"Mm", b"Mr", b"Ms", b"Mt"),
}
_VALUED = (b"A", b"H", b"M", b"P", b"Q", b"S", b"X")  # letters of -o that name a file, a folder or a macro
_SETTINGS: "dict[bytes, Callable[[Options, bytes, str], None]]" = {
    b"d": _set_delivery, b"e": _set_errors, b"i": _set_dots, b"v": _set_verbosity,
}  # fmt: skip
_LONG_SETTINGS: "dict[bytes, Callable[[Options, bytes, str], None]]" = {
    b"deliverymode": _set_delivery, b"errormode": _set_errors, b"ignoredots": _set_dots, b"verbose": _set_verbosity,
}  # fmt: skip

# name: (takes, attribute to make true or function to call, what the argument is, line of the help or "" when ignored)
TABLE: "dict[bytes, Row]" = {
    b"-t": (NONE, "extract", "", "take recipients from To, Cc and Bcc as well"),
    b"-f": (REQUIRED, _set_sender, "address", "envelope sender; <> or '' is the null sender"),
    b"-r": (REQUIRED, _set_sender, "address", "the same as -f"),
    b"-F": (REQUIRED, _set_full_name, "name", "full name for a From field that has to be added"),
    b"-i": (NONE, "ignore_dots", "", "a line with a lone dot does not end the message"),
    b"-a": (REQUIRED, _set_name, "name", "send through this account"),
    b"-C": (REQUIRED, _set_name, "file", "read this configuration"),
    b"-v": (NONE, "verbose", "", "show the dialogue with the server on stderr"),
    b"-B": (REQUIRED, _set_body, "type", "body type: 7BIT or 8BITMIME"),
    b"-N": (REQUIRED, _set_notify, "when", "ask for reports: never or success,failure,delay"),
    b"-R": (REQUIRED, _set_return, "what", "what a report returns: full or hdrs"),
    b"-V": (REQUIRED, _set_envid, "id", "envelope id that a report returns"),
    b"-b": (REQUIRED, _set_mode, "mode", "m deliver, p list, i aliases, v verify, s SMTP, d daemon"),
    b"-I": (NONE, _set_aliases, "", "the same as -bi"),
    b"-q": (ATTACHED, _set_queue, "what", "run the queue once, or at an interval (-q30m)"),
    b"-e": (REQUIRED, _set_errors, "how", "report errors: m mail, p print, q be quiet, w, e"),
    b"-o": (REQUIRED, _set_letter, "setting", "i, d or e with a letter; others are ignored"),
    b"-O": (REQUIRED, _set_long_setting, "setting", "DeliveryMode=, ErrorMode=, IgnoreDots=, ... as -o"),
    b"-h": (REQUIRED, _set_hops, "hops", "hop count so far"),
    b"-L": (REQUIRED, _set_tag, "tag", "tag of the lines in the log"),
    b"--account": (REQUIRED, _set_name, "name", "the same as -a"),
    b"--file": (REQUIRED, _set_name, "file", "the same as -C"),
    b"--from": (REQUIRED, _set_sender, "address", "the same as -f"),
    b"--read-recipients": (NONE, "extract", "", "the same as -t"),
    b"--read-envelope-from": (NONE, "read_envelope_from", "", "envelope sender from the From field"),
    b"--dsn-notify": (REQUIRED, _set_notify, "when", "the same as -N; off asks for nothing"),
    b"--dsn-return": (REQUIRED, _set_return, "what", "the same as -R; off says nothing"),
    b"--debug": (ATTACHED, "verbose", "level", "the same as -v"),
    b"--help": (NONE, _set_word, "", "print this and exit"),
    b"--version": (NONE, _set_word, "", "print the version and exit"),
    b"-X": (REQUIRED, _forget, "file", ""),
    b"--logfile": (REQUIRED, _forget, "file", ""),
    b"-A": (REQUIRED, None, "x", ""),
    b"-D": (REQUIRED, _forget, "file", ""),
    b"-M": (REQUIRED, None, "x", ""),
    b"-T": (REQUIRED, None, "time", ""),
    b"-p": (REQUIRED, None, "protocol", ""),
    b"-d": (ATTACHED, None, "level", ""),
    b"-G": (NONE, None, "", ""),
    b"-U": (NONE, None, "", ""),
    b"-c": (NONE, None, "", ""),
    b"-m": (NONE, None, "", ""),
    b"-n": (NONE, _forget, "", ""),
    b"-s": (NONE, None, "", ""),
    b"-x": (NONE, None, "", ""),
}


def usage() -> str:
    """Write the text of --help, one line for each option that does something."""
    lines = ["usage: sendmail [option ...] [recipient ...] < message", "       mailq", "       newaliases", ""]
    ignored = []
    for name, (kind, _, argument, text) in TABLE.items():
        shown = name.decode()
        if kind != NONE:
            bound = ("=" if shown[1] == "-" else " " if kind == REQUIRED else "") + argument
            shown += f"[{bound}]" if kind == ATTACHED else bound
        if text:
            lines.append(f"  {shown:<21} {text}")
        else:
            ignored.append(shown)
    lines += ["", "Taken and ignored:"]
    for shown in ignored:
        if len(lines[-1]) + len(shown) > 76 or lines[-1][-1:] == ":":
            lines.append("  " + shown)
        else:
            lines[-1] += ", " + shown
    return "\n".join([*lines, "", "Manual: sendmail(8), pysendmail.conf(5)", ""])
