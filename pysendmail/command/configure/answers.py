"""Everything that a configuration needs to know: from options, from what can be found out, and from whoever is asked."""

import os
from time import monotonic

from pysendmail import errors
from pysendmail.command.configure import discovery, guess, place, providers, secret
from pysendmail.command.configure.offer import CLEAR, USUAL_PORT, Offer, kind_of
from pysendmail.command.configure.settings import Settings
from pysendmail.config import values
from pysendmail.log import printable
from pysendmail.message import address as addresses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from pysendmail.command.configure.dialogue import Dialogue

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@+")
_GUESSES = 30.0  # seconds


def check_options(asked: "Namespace") -> None:
    """Refuse options that mean nothing, or contradict each other, before anything is asked. Raises UsageError."""
    if asked.provider is not None and providers.named(asked.provider) is None:
        known = ", ".join([one.name for one in providers.TABLE])
        raise errors.UsageError(f"--provider: expected one of {known}")
    if asked.host is not None and asked.provider is not None:
        raise errors.UsageError("--host and --provider name two servers")
    if asked.account is not None and not (asked.account and _NAME.issuperset(asked.account)):
        raise errors.UsageError("--account: expected a name of letters, digits and - _ . @ +")
    if asked.tls == CLEAR and asked.auth != "off":
        raise errors.UsageError("--tls off: no password is sent in clear; it needs --auth off")
    if asked.auth == "off" and (asked.user is not None or asked.password_file is not None):
        raise errors.UsageError("--auth off: then there is neither user nor password")
    kind, _ = secret.kind_of(asked.secret)
    if kind == secret.COMMAND and asked.password_file is not None:
        raise errors.UsageError("--password-file has no meaning beside --secret passwordeval=COMMAND")
    for option, convert in (("port", values.port), ("host", values.host), ("tls_fingerprint", values.fingerprint)):
        text = getattr(asked, option)
        if text is not None:
            _converted(f"--{option.replace('_', '-')}", text, convert)


def gather(asked: "Namespace", talk: "Dialogue") -> Settings:
    """Return all answers. Raises UsageError for one that is missing."""
    address = find_address(asked, talk)
    sender = address if asked.sender is None else parse_address(asked.sender, "--from")
    if values.is_pattern(sender) or any([mark in sender for mark in (b"%U", b"%H", b"%M", b"%C")]):
        raise errors.UsageError("--from: in a configuration * ? [ and %U %H %M %C of an address mean something else")
    offer = find_server(asked, talk, address)
    settings = Settings(address, sender, offer)
    settings.auth = asked.auth or "on"
    settings.secret, settings.command = secret.kind_of(asked.secret)
    settings.trust_file = _path(asked.tls_trust_file) or ""
    settings.fingerprint = asked.tls_fingerprint or ""
    if settings.login:
        talk.tell(f"{printable(address, 320)}: {offer}; {offer.source}")
        if offer.hint:
            talk.tell(f"note: {offer.hint}")
        _require_token(settings, asked, talk)
        settings.user = find_user(asked, talk, settings)
        settings.password = find_password(asked, talk, settings)
    return settings


def find_address(asked: "Namespace", talk: "Dialogue") -> bytes:
    """Return the mail address, its domain in A-labels."""
    if asked.address is not None:
        return parse_address(asked.address, "the address")
    missing = "which mail address? it is the argument of pysendmail configure"
    text = talk.ask("Your mail address", missing, check=_address_fault)
    return parse_address(text, "the address")


def parse_address(text: str, what: str) -> bytes:
    """Return a mail address with its domain in A-labels. Raises UsageError."""
    raw = os.fsencode(text)
    found = addresses.parse(raw)
    good = text.isprintable() and not found.errors and len(found.mailboxes) == 1 and len(raw) <= 320
    mailbox = found.mailboxes[0] if good else None
    if mailbox is None or not mailbox.domain or not mailbox.local.isascii() or mailbox.domain[:1] == b"[":
        raise errors.UsageError(f"{what}: expected one mail address, such as alice@example.org")
    try:
        domain = addresses.domain_to_ascii(mailbox.domain)
        values.host(domain.decode("ascii"))
    except (errors.DataError, values.Expected):
        raise errors.UsageError(f"{what}: its domain is none") from None
    return mailbox.address[: len(mailbox.address) - len(mailbox.domain)] + domain


def _address_fault(text: str) -> str:
    try:
        parse_address(text, "the address")
    except errors.UsageError as failure:
        return str(failure)
    return ""


def find_server(asked: "Namespace", talk: "Dialogue", address: bytes) -> Offer:
    """Return the server: the one that was named, else one that is found and, where it has to be, agreed to."""
    if asked.host is not None:
        return _given(asked, talk)
    domain = address.rpartition(b"@")[2].decode("ascii").lower()
    if asked.provider is not None:
        known = providers.named(asked.provider)
        found = [known.offer("as was asked for")] if known is not None and known.host else []
        if known is not None and not known.host:
            missing = f"the server of {known.title} depends on the region; --host says which, in place of --provider"
            host = talk.ask(f"Host name of {known.title}'s server for SMTP", missing, check=_host_fault)
            found = [known.offer("as was asked for")]
            found[0].host = _host(host)
    else:
        found = discovery.find(domain, address, talk.tell, _path(asked.tls_trust_file))
        found = _answering(found, asked, talk)
    for offer in found[:1]:
        if not offer.trusted:
            named = f"{printable(offer.source, 300)} names {offer}, which could be forged"
            how = f"--host {offer.host} --port {offer.port} --tls {offer.tls} agrees to it"
            if not talk.terminal:
                raise errors.UsageError(f"{named}; {how}")
            if not talk.confirm(f"{named}. Is it right?", how, default=False):
                break
        return _adjusted(offer, asked)
    if not found and not talk.terminal:
        raise errors.UsageError(f"no server is known for the mail of {domain}; --host, --port and --tls say which")
    return ask_server(talk)


def _answering(found: list[Offer], asked: "Namespace", talk: "Dialogue") -> list[Offer]:
    """Of several servers of one source, bring the first one to the front that can be used now."""
    deadline = monotonic() + _GUESSES
    for offer in found if len(found) > 1 and asked.port is None and asked.tls is None else ():
        if guess.at([offer.host], [(offer.port, offer.tls)], deadline, _path(asked.tls_trust_file), "") is not None:
            return [offer, *[other for other in found if other is not offer]]
        talk.tell(f"{offer} cannot be used now")
    return found


def ask_server(talk: "Dialogue") -> Offer:
    """Ask for a server."""
    missing = "--host, --port and --tls say which server"
    host = _host(talk.ask("Host name of the server that takes your mail", missing, check=_host_fault))
    port = int(talk.ask("Port", missing, "465", _port_fault))
    kinds = ("implicit", "starttls")
    fault = "expected implicit (TLS from the start) or starttls"
    tls = talk.ask("TLS, implicit or starttls", missing, kind_of(port), lambda text: "" if text in kinds else fault)
    return _known(Offer(host, port, tls, "as was answered"))


def _given(asked: "Namespace", talk: "Dialogue") -> Offer:
    """Return the server of --host; what is not said of it is as the provider has it, if he is known, or is tried."""
    host = _host(asked.host)
    port = int(asked.port) if asked.port is not None else 0
    known = providers.of_host(host)
    if known is None and not port and asked.tls is None and asked.auth != "off":
        talk.tell(f"trying the usual ports of {host}")
        source = "as was asked for, at the port that answers"
        found = guess.at([host], guess.PLACES, monotonic() + _GUESSES, _path(asked.tls_trust_file), source)
        if found is not None:
            return found
    tls = asked.tls or (kind_of(port) if port else kind_of(known.port) if known is not None else kind_of(465))
    if not port:
        port = known.port if known is not None and tls == kind_of(known.port) else USUAL_PORT[tls]
    return _known(Offer(host, port, tls, "as was asked for"))


def _known(offer: Offer) -> Offer:
    known = providers.of_host(offer.host)
    if known is not None:
        offer.hint, offer.user, offer.oauth = known.hint, known.user, known.oauth
    return offer


def _adjusted(offer: Offer, asked: "Namespace") -> Offer:
    """Let options have their say about the port of a server that was found."""
    if asked.port is not None:
        offer.port, offer.tls = int(asked.port), asked.tls or kind_of(int(asked.port))
    elif asked.tls is not None and asked.tls != offer.tls:
        offer.port, offer.tls = USUAL_PORT[asked.tls], asked.tls
    return offer


def _require_token(settings: Settings, asked: "Namespace", talk: "Dialogue") -> None:
    """See to it that a server that takes no password gets a token, which only a command can give again and again."""
    if not settings.offer.oauth:
        return
    if settings.secret != secret.COMMAND:
        how = "a program such as oama, mailctl or mutt_oauth2.py gets tokens, and --secret passwordeval=COMMAND names it"
        talk.tell(f"note: this server takes an access token (OAuth2) only, no password; {how}")
        missing = f"{settings.offer.host} takes no password, only OAuth2; {how}"
        text = talk.ask("Command that prints an access token", missing)
        settings.secret, settings.command = secret.kind_of(f"{secret.COMMAND}={text}")
    settings.auth = asked.auth or "xoauth2"


def find_user(asked: "Namespace", talk: "Dialogue", settings: Settings) -> bytes:
    """Return the name to log in with."""
    if asked.user is not None:
        if not asked.user:
            raise errors.UsageError("--user: it is empty; --auth off does without a login")
        return os.fsencode(asked.user)
    known = settings.offer.user_of(settings.address)
    return known or ask_user(talk, settings)


def ask_user(talk: "Dialogue", settings: Settings) -> bytes:
    """Ask for the name to log in with."""
    missing = f"the user's name at {settings.offer.host} is not known; --user says it"
    default = "" if not settings.offer.user else (settings.user or settings.address).decode("utf-8", "surrogateescape")
    return os.fsencode(talk.ask(f"User name at {settings.offer.host}", missing, default))


def find_password(asked: "Namespace", talk: "Dialogue", settings: Settings) -> bytes:
    """Return the password, empty where a command gives it."""
    if settings.secret == secret.COMMAND:
        return b""
    if asked.password_file is not None:
        return secret.read(asked.password_file)
    return ask_password(talk, settings)


def ask_password(talk: "Dialogue", settings: Settings) -> bytes:
    """Ask for the password."""
    missing = "there is no password; --password-file FILE (- is standard input) or --secret passwordeval=COMMAND gives it"
    return talk.ask_password(f"Password of {printable(settings.user, 200)} at {settings.offer.host}", missing)


def _host(text: str) -> str:
    """Return a host name in A-labels and lower case."""
    return values.host(os.fsencode(text).decode("latin-1")).lower()


def _path(text: str | None) -> str | None:
    return place.absolute(text) if text else None


def _host_fault(text: str) -> str:
    return _fault(text, values.host)


def _port_fault(text: str) -> str:
    return _fault(text, values.port)


def _fault(text: str, convert: "object") -> str:
    try:
        _converted("it", text, convert)
    except errors.UsageError as failure:
        return failure.text.partition(": ")[2]
    return ""


def _converted(what: str, text: str, convert: "object") -> None:
    try:
        convert(os.fsencode(text).decode("latin-1"))  # type: ignore[operator]
    except values.Expected as expected:
        raise errors.UsageError(f"{what}: expected {expected}") from None
