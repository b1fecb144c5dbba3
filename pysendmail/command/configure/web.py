"""One small file from a web server: HTTPS only, verified, of bounded size and time, and every redirection as well."""

from time import monotonic

from pysendmail import errors
from pysendmail.config import values
from pysendmail.delivery.connect import Connector, addresses
from pysendmail.delivery.tls import TLS, TLSFailure, TLSSettings, context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.delivery.link import Link

LIMIT = 256 << 10
"""Octets of an answer, its header included."""

_PORT = 443
_HOPS = 4  # requests for one file
_CONNECT = 5.0  # seconds for a connection
_TRUST: str | None = None  # the roots of the system


class NotThere(errors.Failure):
    """There is nothing of use at this address; the text says why."""

    exit_code = errors.TempFail.exit_code


def fetch(url: str, deadline: float) -> bytes:
    """Return what is at an address that begins with https://. Raises Failure, mostly NotThere."""
    for _ in range(_HOPS):
        host, path = _parts(url)
        status, headers, body = _ask(host, path, deadline)
        if status in (301, 302, 303, 307, 308):
            url = _absolute(headers.get("location", ""), host)
            continue
        if status != 200:
            raise NotThere(f"answers with {status}", host)
        return body
    raise NotThere("redirects without end", host)


def _parts(url: str) -> tuple[str, str]:
    """Return host and path; nothing but a host name and the usual port is taken. Raises NotThere."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    path = path.partition("#")[0]
    if scheme.lower() != "https":
        raise NotThere("redirects to an address that is not https")
    try:
        name = values.host(host)
    except values.Expected:
        raise NotThere("redirects to what is no host name") from None
    if ":" in name or name.replace(".", "").isdecimal() or not name.isascii():
        raise NotThere("redirects to what is no host name")
    if not slash or not path.isascii() or not path.isprintable() or " " in path:
        raise NotThere("redirects to an address with characters that none may have", name)
    return name.lower(), f"/{path}"


def _absolute(location: str, host: str) -> str:
    if location.startswith("//"):
        return f"https:{location}"
    return f"https://{host}{location}" if location.startswith("/") else location


def _ask(host: str, path: str, deadline: float) -> "tuple[int, dict[str, str], bytes]":
    """Make one request; return status, header and body."""
    found = addresses(host, _PORT, min(deadline, monotonic() + _CONNECT))
    connector = Connector(found[:4], None, _CONNECT)
    link = _encrypted(connector, host, deadline)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/xml, */*\r\nConnection: close\r\n\r\n"
        link.write(request.encode("ascii"), _CONNECT, deadline)
        return _answer(_read(link, deadline), host)
    finally:
        link.close()


def _encrypted(connector: Connector, host: str, deadline: float) -> "Link":
    for bundle in (False, True):
        link = connector.next(min(deadline, monotonic() + _CONNECT))
        try:
            link.start_tls(TLS(context(TLSSettings(host=host, trust=_TRUST), bundle=bundle)), deadline)
            return link
        except TLSFailure as failure:
            link.close()
            if not failure.retry_with_bundle:
                raise NotThere(failure.text, host) from None
            connector = Connector([link.address], None, _CONNECT)
        except BaseException:
            link.close()
            raise
    raise NotThere("its certificate could not be verified", host)


def _read(link: "Link", deadline: float) -> bytes:
    """Read to the end of the connection. Raises NotThere if there is too much."""
    pieces, size = [], 0
    while data := link.read(deadline):
        pieces.append(data)
        size += len(data)
        if size > LIMIT:
            raise NotThere(f"sends more than {LIMIT >> 10} KiB", link.peer)
    return b"".join(pieces)


def _answer(data: bytes, host: str) -> "tuple[int, dict[str, str], bytes]":
    """Take an answer of HTTP/1 apart."""
    from http.client import HTTPException, HTTPResponse
    from io import BytesIO

    class Memory:
        """What stands for a socket of which all was read."""

        def makefile(self, mode: str) -> BytesIO:
            return BytesIO(data)

    response = HTTPResponse(Memory())  # type: ignore[arg-type]
    try:
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()
    except (HTTPException, ValueError, OSError):
        raise NotThere("gives no answer of HTTP", host) from None
