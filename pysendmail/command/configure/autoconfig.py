"""Servers from a file for mail programs, Thunderbird's autoconfig (config-v1.1.xml).

The file is a stranger's: a document type, and with it entities, is refused, size and depth are bounded, and every host
name and port is checked. Of what it says nothing but the servers for sending is looked at.
"""

from pysendmail.command.configure.offer import ADDRESS, DOMAIN, IMPLICIT, LOCAL_PART, STARTTLS, Offer
from pysendmail.config import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

_DEPTH = 20
_TEXT = 300  # characters of one element
_MOST = 8  # servers
_KINDS = {"SSL": IMPLICIT, "STARTTLS": STARTTLS}
_PASSWORD = ("password-cleartext", "password-encrypted", "plain", "secure")
_MARKS = (ADDRESS, LOCAL_PART, DOMAIN)


class Malformed(Exception):
    """The file cannot be used; the text says why."""


class _Gathering:
    """What was read so far: the elements that are open, and each server's elements with their texts."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.servers: list[dict[str, list[str]]] = []
        self.text = ""

    def begin(self, name: str, attributes: "dict[str, str]") -> None:
        self.open.append(name)
        if len(self.open) > _DEPTH:
            raise Malformed("it is nested too deep")
        if name == "outgoingServer" and len(self.open) == 3:
            self.servers.append({"type": [attributes.get("type", "smtp")]})
            if len(self.servers) > _MOST:
                raise Malformed("it has too many servers")
        self.text = ""

    def data(self, text: str) -> None:
        if self.open[-2:-1] != ["outgoingServer"]:
            return
        self.text += text
        if len(self.text) > _TEXT:
            raise Malformed("it has a value that is too long")

    def end(self, name: str) -> None:
        if self.open.pop() and self.open[2:] == ["outgoingServer"] and self.servers:
            self.servers[-1].setdefault(name, []).append(self.text.strip())
            if len(self.servers[-1].get(name, ())) > _MOST:
                raise Malformed("it says the same too often")

    def refuse(self, *_: object) -> int:
        raise Malformed("it has a document type, which no such file needs")


def read(data: bytes, domain: str, source: str) -> list[Offer]:
    """Return the servers of a file for the addresses of a domain, in its order. Raises Malformed."""
    from xml.parsers import expat

    gathering = _Gathering()
    parser = expat.ParserCreate()
    _connect(parser, gathering)
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError):
        raise Malformed("it is no XML") from None
    offers = [_offer(one, domain, source) for one in gathering.servers]
    found = [offer for offer in offers if offer is not None]
    return [one for one in found if not one.oauth] or found


def _connect(parser: "XMLParserType", gathering: _Gathering) -> None:
    parser.StartElementHandler = gathering.begin
    parser.EndElementHandler = gathering.end
    parser.CharacterDataHandler = gathering.data
    parser.StartDoctypeDeclHandler = gathering.refuse
    parser.EntityDeclHandler = gathering.refuse
    parser.ExternalEntityRefHandler = gathering.refuse


def _offer(server: "dict[str, list[str]]", domain: str, source: str) -> Offer | None:
    """Return a server that can be used: by SMTP, encrypted, with a password or a token."""
    tls = _KINDS.get(_first(server, "socketType").upper())
    methods = [one.lower() for one in server.get("authentication", ())]
    by_password = not methods or any([one in _PASSWORD for one in methods])
    if tls is None or _first(server, "type").lower() != "smtp" or not (by_password or "oauth2" in methods):
        return None
    try:
        host = values.host(_first(server, "hostname").replace(DOMAIN, domain)).lower()
        port = values.port(_first(server, "port"))
    except values.Expected:
        return None
    if ":" in host or host.replace(".", "").isdecimal() or "." not in host:  # an address has no name to be verified
        return None
    return Offer(host, port, tls, source, user=_user(_first(server, "username")), oauth=not by_password)


def _user(text: str) -> str:
    """Return the form of the user's name, empty for one that is no form of an address."""
    return text if any([mark in text for mark in _MARKS]) and text.isprintable() and text.isascii() else ""


def _first(server: "dict[str, list[str]]", name: str) -> str:
    return server.get(name, [""])[0]
