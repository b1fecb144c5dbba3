"""From a domain to its server: the table, a real DNS server, autoconfig, the provider behind MX, and guesses."""

import pathlib
import re
import socket
from collections.abc import Iterator

import pytest

from pysendmail import errors
from pysendmail.command.admin import main
from pysendmail.command.configure import discovery, guess, providers
from pysendmail.command.configure.offer import IMPLICIT, STARTTLS
from pysendmail.config import values
from pysendmail.delivery import connect, dns
from pysendmail.message.local import is_local
from tests import dns_server
from tests.configure import web_server
from tests.configure.test_autoconfig import file
from tests.delivery import certificates
from tests.imports import ROOT
from tests.obedient import Obedient

ZONES = {
    "inside.example": """
_submissions._tcp SRV 5 0 465 second
_submissions._tcp SRV 0 1 465 light
_submissions._tcp SRV 0 9 465 heavy
_submission._tcp SRV 0 0 587 clear
""",
    "starttls.example": "_submissions._tcp SRV 0 0 0 .\n_submission._tcp SRV 0 0 587 mx.starttls.example.\n",
    "outside.example": "_submissions._tcp SRV 0 0 465 smtp.evil.example.\n",
    "suffix.example": "_submissions._tcp SRV 0 0 465 smtp.notsuffix.example.\n",
    "fast.example": "_submissions._tcp SRV 0 0 465 smtp.fastmail.com.\n",
    "google.example": "@ MX 10 alt1.aspmx.l.google.com.\n@ MX 1 aspmx.l.google.com.\n",
    "microsoft.example": "@ MX 0 microsoft-example.mail.protection.outlook.com.\n",
    "fake.example": "@ MX 0 mail.evilgoogle.com.\n@ MX 5 google.com.evil.example.\n",
    "mailgun.example": "@ MX 0 mxa.eu.mailgun.org.\n",
    "hosted.example": "@ MX 0 mx1.hoster.example.\n",
    "hostile.example": "_submissions._tcp SRV 0 0 465 a\\027b\n@ MX 0 x\\010host\\032evil.google.com.\n",
    "nothing.example": "@ A 127.0.0.1\n",
    "mute.example": "@ MX 0 .\n",
    "broken.example": "",
    "evil.example": "smtp A 127.0.0.1\n",
}


@pytest.fixture(scope="module")
def names() -> Iterator[dns_server.NameServer]:
    with dns_server.serving(ZONES) as running:
        yield running


class Finder:
    """Look for servers, and keep what was told."""

    def __init__(self, web: web_server.Web) -> None:
        self.web = web
        self.told: list[str] = []

    def find(self, domain: str) -> "list[tuple[str, int, str, bool]]":
        self.told.clear()
        self.offers = discovery.find(domain, b"ann+x@" + domain.encode(), self.told.append)
        return [(one.host, one.port, one.tls, one.trusted) for one in self.offers]


@pytest.fixture
def finder(names: dns_server.NameServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Finder]:
    """Give what asks those DNS and web servers only; no name has an address."""

    def nowhere(host: str, port: int, deadline: float) -> None:
        raise errors.TempFail(f"the address of {host} cannot be found")

    dns_server.ask(monkeypatch, names)
    monkeypatch.setattr(connect, "addresses", nowhere)
    domains = [zone for zone, text in ZONES.items() if text]
    certified = (*domains, *[f"autoconfig.{zone}" for zone in domains], "autoconfig.thunderbird.net")
    with web_server.serving(tmp_path, monkeypatch, certified, {}) as web:
        yield Finder(web)


def test_a_known_provider_is_asked_for_nowhere(finder: Finder) -> None:
    assert finder.find("googlemail.com") == [("smtp.gmail.com", 465, IMPLICIT, True)]
    assert finder.offers[0].hint.startswith("it wants a password made for programs")
    assert finder.told == [] and finder.web.requests == []


def test_srv_records_inside_of_the_domain_are_trusted_in_their_order(finder: Finder) -> None:
    assert finder.find("inside.example") == [
        ("heavy.inside.example", 465, IMPLICIT, True), ("light.inside.example", 465, IMPLICIT, True),
        ("second.inside.example", 465, IMPLICIT, True), ("clear.inside.example", 587, STARTTLS, True),
    ]  # fmt: skip
    assert finder.find("starttls.example") == [("mx.starttls.example", 587, STARTTLS, True)]
    assert finder.web.requests == []


def test_srv_records_that_lead_elsewhere_are_not_trusted_unless_to_a_known_provider(finder: Finder) -> None:
    assert finder.find("outside.example") == [("smtp.evil.example", 465, IMPLICIT, False)]
    assert finder.find("suffix.example") == [("smtp.notsuffix.example", 465, IMPLICIT, False)]
    assert finder.find("fast.example") == [("smtp.fastmail.com", 465, IMPLICIT, True)]
    assert "app password" in finder.offers[0].hint


def test_the_mail_server_of_a_domain_tells_its_provider(finder: Finder) -> None:
    assert finder.find("google.example") == [("smtp.gmail.com", 465, IMPLICIT, True)]
    assert "(MX aspmx.l.google.com)" in finder.offers[0].source
    assert finder.find("microsoft.example") == [("smtp.office365.com", 587, STARTTLS, True)]
    assert finder.find("mailgun.example") == [("smtp.eu.mailgun.org", 465, IMPLICIT, True)]
    assert finder.offers[0].user_of(b"x@mailgun.example") == b"postmaster@mailgun.example"


def test_a_mail_server_that_only_looks_like_a_provider_s_is_none(finder: Finder) -> None:
    assert finder.find("fake.example") == []
    assert finder.find("hostile.example") == []
    assert finder.find("mute.example") == []


def test_the_domain_s_own_file_comes_before_that_of_the_database(finder: Finder) -> None:
    own = "autoconfig.nothing.example/mail/config-v1.1.xml"
    well_known = "nothing.example/.well-known/autoconfig/mail/config-v1.1.xml"
    database = "autoconfig.thunderbird.net/v1.1/nothing.example"
    pages = finder.web.pages
    pages.update({own: web_server.page(file({"host": "one.example"})), well_known: web_server.page(file({"host": "two.example"}))})
    pages[database] = web_server.page(file({"host": "three.example"}))
    for expected, gone in (("one.example", own), ("two.example", well_known), ("three.example", database)):
        assert finder.find("nothing.example") == [(expected, 465, IMPLICIT, True)]
        del pages[gone]
    query = "?emailaddress=ann%2Bx%40nothing.example"
    assert finder.web.requests[-3:] == [f"https://{own}{query}", f"https://{well_known}{query}", f"https://{database}"]


def test_the_database_is_asked_for_the_provider_that_takes_the_mail_and_not_trusted_then(finder: Finder) -> None:
    finder.web.pages["/v1.1/hoster.example"] = web_server.page(file({"host": "smtp.hoster.example"}))
    assert finder.find("hosted.example") == [("smtp.hoster.example", 465, IMPLICIT, False)]
    assert "(MX mx1.hoster.example)" in finder.offers[0].source
    assert not any("ann" in request for request in finder.web.requests if "thunderbird" in request)


def test_a_hostile_file_is_told_and_the_search_goes_on(finder: Finder) -> None:
    finder.web.pages["/mail/config-v1.1.xml"] = web_server.page("<!DOCTYPE x><x/>")
    finder.web.pages["/.well-known/autoconfig/mail/config-v1.1.xml"] = web_server.redirect("http://evil.example/")
    assert finder.find("google.example") == [("smtp.gmail.com", 465, IMPLICIT, True)]
    assert any("it has a document type" in line for line in finder.told)
    assert any("redirects to an address that is not https" in line for line in finder.told)


def test_dns_in_trouble_is_told_and_the_search_goes_on(finder: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert finder.find("broken.example") == []
    assert any("SERVFAIL" in line for line in finder.told)
    monkeypatch.setattr(discovery, "_DNS", 0.5)
    with dns_server.silent() as silent:
        dns_server.ask(monkeypatch, silent)
        assert finder.find("google.example") == []
    assert any("in time" in line for line in finder.told)


def test_without_dnspython_the_package_is_named(finder: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise dns.Absent(f"install the package {dns.PACKAGE}")

    monkeypatch.setattr(dns, "_require", absent)
    finder.web.pages["/v1.1/google.example"] = web_server.page(file({"host": "smtp.google.example"}))
    assert finder.find("google.example") == [("smtp.google.example", 465, IMPLICIT, True)]
    assert any("python3-dnspython" in line for line in finder.told)


def test_usual_names_are_tried_and_one_with_a_good_certificate_and_a_login_counts(
    finder: Finder, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = certificates.authority("Mail Root")
    ca = tmp_path / "mail-ca.pem"
    ca.write_bytes(root.pem)
    mail = {"good": certificates.issue(root, ("mail.nothing.example",)).write(tmp_path / "mail.pem")}
    asked = []

    def here(host: str, port: int, deadline: float) -> "list[tuple[int, tuple[str, int]]]":
        asked.append(host)
        return [(socket.AF_INET, ("127.0.0.1", port))]

    monkeypatch.setattr(connect, "addresses", here)
    with Obedient(mail, tls="starttls", mechanisms="PLAIN") as good, Obedient(mail, tls="implicit") as without_login:
        monkeypatch.setattr(guess, "PLACES", ((without_login.port, IMPLICIT), (good.port, STARTTLS)))
        for trust, expected in ((None, []), (str(ca), [("mail.nothing.example", good.port, STARTTLS, True)])):
            offers = discovery.find("nothing.example", b"ann@nothing.example", finder.told.append, trust)
            assert [(one.host, one.port, one.tls, one.trusted) for one in offers] == expected
        assert asked[-2:] == ["smtp.nothing.example", "mail.nothing.example"]
        assert not any(line.startswith("AUTH") for server in (good, without_login) for line in server.commands)


# The whole command


def configure(*arguments: str) -> int:
    return main.run(["configure", "--yes", *arguments])


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the signals of the tests' own process alone."""
    from pysendmail.delivery import interruption

    monkeypatch.setattr(interruption, "install", lambda: None)
    monkeypatch.setattr("pysendmail.command.identity.forbid_core_dumps", lambda: None)
    monkeypatch.setattr("pysendmail.command.admin.configuring.forbid_core_dumps", lambda: None)


@pytest.mark.usefixtures("quiet")
def test_what_could_be_forged_needs_agreement_and_says_how(finder: Finder, tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.UsageError) as caught:
        configure("ann@outside.example", "--file", str(tmp_path / "conf"))
    said = str(caught.value)
    assert "SRV record _submissions._tcp.outside.example names smtp.evil.example port 465" in said
    assert said.endswith("--host smtp.evil.example --port 465 --tls implicit agrees to it")
    assert not (tmp_path / "conf").exists()


@pytest.mark.usefixtures("quiet")
def test_a_domain_of_which_nobody_knows_a_server_needs_one(finder: Finder, tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.UsageError, match="no server is known for the mail of mute.example; --host"):
        configure("ann@mute.example", "--file", str(tmp_path / "conf"))


@pytest.mark.usefixtures("quiet")
def test_a_server_that_dns_names_is_tried_and_written(
    finder: Finder, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = certificates.authority("Mail Root")
    (tmp_path / "ca.pem").write_bytes(root.pem)
    mail = {"good": certificates.issue(root, ("mx.starttls.example",)).write(tmp_path / "mail.pem")}
    (tmp_path / "pw").write_text("secret-one\n")
    with Obedient(mail, tls="starttls", mechanisms="PLAIN") as server:
        here = [(socket.AF_INET, ("127.0.0.1", server.port))]
        monkeypatch.setattr(connect, "addresses", lambda host, port, deadline: here)
        code = configure(
            "Ann <ann@StartTLS.example>", "--file", str(tmp_path / "conf"), "--tls-trust-file", str(tmp_path / "ca.pem"),
            "--password-file", str(tmp_path / "pw"),
        )  # fmt: skip
        assert any(line.startswith("AUTH") for line in server.commands)
    said = capfd.readouterr().out
    assert code == 0 and "mx.starttls.example port 587, STARTTLS; the SRV record _submission._tcp.starttls.example" in said
    text = (tmp_path / "conf").read_text()
    assert "\nhost mx.starttls.example\nport 587\n" in text and "\nuser ann@StartTLS.example\n" in text
    assert "secret-one" in text and "secret-one" not in said


# The table


def test_the_rows_of_the_table_are_in_order() -> None:
    names = [one.name for one in providers.TABLE]
    domains = [domain for one in providers.TABLE for domain in one.domains]
    suffixes = [suffix for one in providers.TABLE for suffix in one.exchangers]
    for several in (names, domains, suffixes):
        assert len(several) == len(set(several))
    for one in providers.TABLE:
        assert one.port in (465, 587, 1025) and one.title and (one.host or one.name == "ses")
        assert not one.host or values.host(one.host) == one.host.lower() == one.host
    for domain in (*domains, *suffixes):
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", domain) and not is_local(domain.encode(), frozenset())


def test_the_providers_that_everybody_has_are_known() -> None:
    for domain, host in {
        "gmail.com": "smtp.gmail.com", "outlook.com": "smtp-mail.outlook.com", "icloud.com": "smtp.mail.me.com",
        "fastmail.com": "smtp.fastmail.com", "yahoo.com": "smtp.mail.yahoo.com", "gmx.de": "mail.gmx.net",
        "web.de": "smtp.web.de", "posteo.de": "posteo.de", "mailbox.org": "smtp.mailbox.org", "proton.me": "127.0.0.1",
        "zoho.com": "smtp.zoho.com", "yandex.ru": "smtp.yandex.com",
    }.items():  # fmt: skip
        found = providers.of_domain(domain)
        assert found is not None and found.host == host
    assert {"ses", "sendgrid", "mailgun", "postmark"} <= {one.name for one in providers.TABLE}


def test_the_manual_names_every_provider() -> None:
    text = (ROOT / "man" / "pysendmail.1").read_text().partition(".It Fl -provider Ar name\n")[2].partition(".It Fl")[0]
    told = re.findall(r"[a-z0-9.-]{3,}", " ".join(re.findall(r"^\.Cm (.*)$", text, flags=re.M)))
    assert told == [one.name for one in providers.TABLE]
