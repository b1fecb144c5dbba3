"""Autoconfig: what is taken from the file of a stranger, and what is not; how it is fetched, and what ends that."""

import pathlib
import time
from collections.abc import Iterator

import pytest

from pysendmail import errors
from pysendmail.command.configure import autoconfig, web
from pysendmail.command.configure.autoconfig import Malformed
from tests.configure import web_server
from tests.scripted import Peer

GOOD = """<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
 <emailProvider id="example.org">
  <domain>example.org</domain>
  <incomingServer type="imap"><hostname>imap.evil.example</hostname><port>993</port></incomingServer>
  {}
 </emailProvider>
</clientConfig>
"""
SERVER = (
    '<outgoingServer type="smtp"><hostname>{host}</hostname><port>{port}</port><socketType>{tls}</socketType>'
    "<username>{user}</username><authentication>{auth}</authentication></outgoingServer>"
)
USUAL = {"host": "smtp.example.org", "port": "465", "tls": "SSL", "user": "%EMAILADDRESS%", "auth": "password-cleartext"}


def file(*servers: "dict[str, str]") -> str:
    return GOOD.format("\n".join(SERVER.format(**{**USUAL, **one}) for one in servers))


def read(text: str | bytes) -> "list[tuple[str, int, str, str, bool]]":
    data = text.encode() if isinstance(text, str) else text
    found = autoconfig.read(data, "example.org", "a test")
    return [(one.host, one.port, one.tls, one.user, one.oauth) for one in found]


def test_the_servers_for_sending_are_taken_in_their_order() -> None:
    text = file({}, {"host": "smtp.%EMAILDOMAIN%", "port": "587", "tls": "STARTTLS", "user": "%EMAILLOCALPART%"})
    assert read(text) == [
        ("smtp.example.org", 465, "implicit", "%EMAILADDRESS%", False),
        ("smtp.example.org", 587, "starttls", "%EMAILLOCALPART%", False),
    ]


@pytest.mark.parametrize(
    "server",
    [
        {"tls": "plain"}, {"tls": ""}, {"port": "0"}, {"port": "99999"}, {"port": "465 "  "x"}, {"port": ""},
        {"host": ""}, {"host": "127.0.0.1"}, {"host": "::1"}, {"host": "[::1]"}, {"host": "a b.example"},
        {"host": "smtp.example.org&#10;tls off"}, {"host": "x.example:25"}, {"host": "-x.example"}, {"host": "localhost"},
        {"host": "../etc"}, {"host": "smtp..example"}, {"host": "user@smtp.example"}, {"auth": "none"}, {"auth": "NTLM"},
        {"auth": "client-IP-address"}, {"host": "smtp.example.org\u202e"},
    ],
)  # fmt: skip
def test_a_server_that_is_of_no_use_or_has_no_decent_name_is_left_out(server: "dict[str, str]") -> None:
    assert read(file(server)) == []
    assert len(read(file(server, {}))) == 1


def test_a_user_that_is_no_form_of_the_address_is_unknown() -> None:
    for user in ("root", "%EMAILADDRESS%\x85x", "evil&#10;%EMAILADDRESS%"):
        assert read(file({"user": user}))[0][3] == "", user
    assert read(file({"user": "x+%EMAILLOCALPART%"}))[0][3] == "x+%EMAILLOCALPART%"


def test_oauth_alone_is_told_and_a_server_with_a_password_is_better() -> None:
    assert read(file({"auth": "OAuth2"}))[0][4] is True
    assert [one[0] for one in read(file({"auth": "OAuth2", "host": "a.example"}, {"host": "b.example"}))] == ["b.example"]
    both = file({}).replace("</authentication>", "</authentication><authentication>OAuth2</authentication>")
    assert read(both)[0][4] is False


def test_a_server_elsewhere_in_the_file_is_none() -> None:
    inner = SERVER.format(**USUAL)
    for text in (f"<x>{inner}</x>", f"<incomingServer>{inner}</incomingServer>"):
        assert read(GOOD.format(text)) == []
    assert read(f"<clientConfig>{inner}</clientConfig>") == []
    nested = SERVER.format(**USUAL).replace("smtp.example.org", "<x>smtp.example.org</x>")
    assert read(GOOD.format(nested)) == []


BOMB = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(10)
) + "]>"  # fmt: skip


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "it is no XML"),
        ("<html><body>hello", "it is no XML"),
        ("\0\1\2", "it is no XML"),
        ("<a>&unknown;</a>", "it is no XML"),
        (BOMB + file({}).partition("?>")[2].replace("example.org", "&k;"), "document type"),
        ('<!DOCTYPE x SYSTEM "https://evil.example/x.dtd">' + file({}).partition("?>")[2], "document type"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', "document type"),
        ('<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/">%p;]><a/>', "document type"),
        ("<a>" * 30 + "</a>" * 30, "nested too deep"),
        ("<a>" * 100_000, "nested too deep"),
        (file(*[{}] * 100), "too many servers"),
        (file({"host": "x" * 100_000}), "too long"),
        (file({}).replace("<port>", "<port>1</port>" * 50 + "<port>"), "the same too often"),
        ('<?xml version="1.0" encoding="utf-7"?><a/>', "it is no XML"),
    ],
)
def test_a_hostile_file_is_refused_and_costs_nothing(text: str, cause: str) -> None:
    began = time.monotonic()
    with pytest.raises(Malformed, match=cause):
        read(text)
    assert time.monotonic() - began < 30


def test_other_encodings_of_xml_are_read() -> None:
    assert len(read(file({}).replace("UTF-8", "UTF-16").encode("utf-16"))) == 1
    assert len(read(file({}).replace("UTF-8", "ISO-8859-1").encode("latin-1"))) == 1
    assert len(read(b"\xef\xbb\xbf" + file({}).encode())) == 1


# How it is fetched

URL = "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=me%40example.org"
PATH = "/mail/config-v1.1.xml"
NAMES = ("autoconfig.example.org", "other.example")


@pytest.fixture
def server(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[web_server.Web]:
    with web_server.serving(tmp_path, monkeypatch, NAMES, {}) as running:
        yield running


def fetch(seconds: float = 30) -> bytes:
    return web.fetch(URL, time.monotonic() + seconds)


def fault(seconds: float = 30) -> str:
    with pytest.raises(errors.Failure) as caught:
        fetch(seconds)
    return str(caught.value)


def test_a_file_is_fetched_with_its_query(server: web_server.Web) -> None:
    server.pages[PATH] = web_server.page("hello")
    assert fetch() == b"hello"
    assert server.requests == [URL]
    assert server.clear == [] or not any(b"example" in data for data in server.clear[1:])


def test_a_file_in_chunks_and_one_that_ends_with_the_connection_are_read(server: web_server.Web) -> None:
    server.pages[PATH] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert fetch() == b"abcde"
    server.pages[PATH] = b"HTTP/1.0 200 OK\r\n\r\nabc"
    assert fetch() == b"abc"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_to_another_verified_server_is_followed(server: web_server.Web, status: int) -> None:
    server.pages[PATH] = web_server.redirect("https://other.example/x.xml", status)
    server.pages["other.example/x.xml"] = web_server.redirect("/y.xml")
    server.pages["other.example/y.xml"] = web_server.page("there")
    assert fetch() == b"there"


@pytest.mark.parametrize(
    ("location", "cause"),
    [
        ("http://other.example/x", "not https"),
        ("HTTP://other.example/x", "not https"),
        ("ftp://other.example/x", "not https"),
        ("file:///etc/passwd", "not https"),
        ("", "not https"),
        ("x.xml", "not https"),
        ("https://other.example:25/x", "no host name"),
        ("https://127.0.0.1/x", "no host name"),
        ("https://2130706433/x", "no host name"),
        ("https://[::1]/x", "no host name"),
        ("https://a@other.example/x", "no host name"),
        ("https://other.example", "characters that none may have"),
        ("https://other.example/a b", "characters that none may have"),
        ("https://stranger.example/x", "certificate is not for stranger.example"),
        ("//stranger.example/x", "certificate is not for stranger.example"),
        (URL, "redirects without end"),
    ],
)
def test_a_redirection_to_anything_else_is_not(server: web_server.Web, location: str, cause: str) -> None:
    server.pages[PATH] = web_server.redirect(location)
    assert cause in fault()
    assert all(request.startswith(f"https://{NAMES[0]}/") for request in server.requests)


def test_a_server_without_a_good_certificate_is_not_asked(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_server.serving(tmp_path, monkeypatch, ("stranger.example",), {PATH: web_server.page("x")}) as server:
        assert "is not for autoconfig.example.org" in fault() and server.requests == []
    with web_server.serving(tmp_path, monkeypatch, NAMES, {PATH: web_server.page("x")}) as server:
        monkeypatch.setattr(web, "_TRUST", None)
        assert "issuer that is not trusted here" in fault() and server.requests == []


def test_a_file_without_end_is_given_up(server: web_server.Web) -> None:
    def endless(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
        peer.flood(b"<a>" * 1000, most=1 << 30)

    server.pages[PATH] = endless
    assert "sends more than 256 KiB" in fault()


def test_a_server_that_drips_or_says_nothing_is_given_up_in_time(server: web_server.Web) -> None:
    for answer in (lambda peer: peer.drip(b"HTTP/1.1 200 OK\r\n" * 10, 0.05), lambda peer: peer.stall()):
        server.pages[PATH] = answer
        began = time.monotonic()
        assert "in time" in fault(1.5)
        assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"220 mx.test ESMTP\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", b"HTTP/1.1 xyz\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1 500 \x1b[2J\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_told(server: web_server.Web, answer: bytes) -> None:
    server.pages[PATH] = answer
    line = fault()
    assert line.startswith("autoconfig.example.org: ") and "\x1b" not in line
