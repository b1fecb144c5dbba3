"""pysendmail check in this process, where names, DNS and the clock can be others than those of the machine."""

import pathlib
import socket
from collections.abc import Iterator

import pytest

from pysendmail import errors
from pysendmail.command.admin import check_domain, check_local, check_server, diagnosis
from pysendmail.command.admin.findings import Findings
from pysendmail.config import accounts, reader
from pysendmail.delivery import connect
from tests import dns_server
from tests.black_hole import black_hole
from tests.conftest import skip
from tests.obedient import Obedient


class Teller(Findings):
    """Findings that are kept."""

    def __init__(self) -> None:
        super().__init__(True)

    def of(self, level: str) -> list[str]:
        return [f"{one.step}: {one.text}; mend: {one.mend}" for one in self.found if one.level == level]


def account(text: str, tmp_path: pathlib.Path) -> accounts.Account:
    return accounts.choose(reader.parse(text.encode(), "conf"))[0]


def test_an_ipv6_black_hole_is_told_while_ipv4_works(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    if not _has_ipv6():
        skip("there is no IPv6 on loopback")
    with black_hole("::1") as port, Obedient(port=port) as server:
        both = [(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", server.port))]
        monkeypatch.setattr(connect, "addresses", lambda host, port, deadline: both)
        told = Teller()
        check_server.look(told, account("host mx.test\ntls off\ntimeout 2\n", tmp_path), None, b"a@b.test", None, None)
    assert told.of("failed") == []
    (line,) = told.of("warning")
    assert "mx.test[::1]" in line and "an IPv6 black hole" in line and "source_ip" in line


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


def test_the_port_that_answers_is_named_for_one_that_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    with Obedient() as server:
        monkeypatch.setattr(diagnosis, "USUAL", (1, server.port))
        told = Teller()
        check_server.look(told, account("host 127.0.0.1:2\ntls off\n", tmp_path), None, b"a@b.test", None, None)
    (line,) = told.of("failed")
    assert f"wrong port: {server.port} answers there; mend: write port {server.port}" in line


ZONES = {
    "good.example": '@ MX 10 mx\n@ TXT "v=spf1 include:_spf.provider.test -all"\n_dmarc TXT "v=DMARC1; p=reject; aspf=s"\n',
    "bare.example": "@ A 127.0.0.1\n",
    "two.example": '@ MX 10 mx\n@ TXT "v=spf1 -all"\n@ TXT "v=spf1 mx -all"\n_dmarc TXT "v=DMARC1; p=none"\n',
    "mute.example": '@ MX 10 mx\n@ TXT "v=spf1 -all"\n@ TXT "v=spf10 x"\n',
    "hostile.example": '@ MX 10 mx\n@ TXT "v=spf1 \\027[2J\\155 \\226\\128\\174"\n_dmarc TXT "v=DMARC1; p=\\027]0;"\n',
    "broken.example": "",
}


def test_a_domain_without_servers_is_told(names: dns_server.NameServer, tmp_path: pathlib.Path) -> None:
    told = Teller()
    with pytest.MonkeyPatch.context() as patch:
        dns_server.ask(patch, names)
        check_server.look(told, account("host srv:good.example\n", tmp_path), None, b"", None, None)
    (line,) = told.of("failed")
    assert "there is no SRV record _submissions._tcp.good.example" in line and "; mend: check the domain" in line


def test_a_host_that_has_no_address_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    def unknown(host: str, port: int, deadline: float) -> None:
        raise errors.TempFail(f"the address of {host} cannot be found: Name or service not known")

    monkeypatch.setattr(connect, "addresses", unknown)
    told = Teller()
    check_server.look(told, account("host mx.test\n", tmp_path), None, b"", None, None)
    (line,) = told.of("failed")
    assert "the address of mx.test cannot be found" in line and "; mend: check host, and /etc/resolv.conf" in line


@pytest.fixture(scope="module")
def names() -> Iterator[dns_server.NameServer]:
    with dns_server.serving(ZONES) as running:
        yield running


def domain(told: Teller, names: dns_server.NameServer, address: str, tmp_path: pathlib.Path, more: str = "") -> Teller:
    with pytest.MonkeyPatch.context() as patch:
        dns_server.ask(patch, names)
        check_domain.look(told, account(f"host a\n{more}", tmp_path), address.encode())
    return told


def test_a_domain_that_is_well_is_told(names: dns_server.NameServer, tmp_path: pathlib.Path) -> None:
    told = domain(Teller(), names, "me@good.example", tmp_path)
    assert told.of("warning") == told.of("failed") == []
    assert any("v=spf1 include:_spf.provider.test" in line for line in told.of("ok"))
    assert any("_dmarc.good.example: p=reject; From and envelope are aligned" in line for line in told.of("ok"))


@pytest.mark.parametrize(
    ("address", "causes"),
    [
        ("me@bare.example", ["has no SPF record", "has no DMARC record"]),
        ("me@two.example", ["has 2 SPF records"]),
        ("me@mute.example", ["says that no server sends its mail", "has no DMARC record"]),
        ("me@nowhere.good.example", ["does not exist in DNS"]),
        ("me@broken.example", ["SPF and DMARC are not known: DNS, asked for MX of broken.example, failed (SERVFAIL)"]),
        ("me@localhost", ["whose domain nobody outside knows"]),
        ("me@[192.0.2.1]", ["whose domain nobody outside knows"]),
        ("", ["whose domain nobody outside knows"]),
    ],
)
def test_what_is_wrong_with_a_domain_is_told(
    names: dns_server.NameServer, tmp_path: pathlib.Path, address: str, causes: list[str]
) -> None:
    told = domain(Teller(), names, address, tmp_path).of("warning")
    assert len(told) == len(causes), told
    for line, cause in zip(told, causes, strict=True):
        assert cause in line


def test_a_null_sender_of_another_domain_is_not_aligned(names: dns_server.NameServer, tmp_path: pathlib.Path) -> None:
    told = domain(Teller(), names, "me@good.example", tmp_path, "null_sender bounces@other.example\n")
    assert any("not aligned where null_sender gives the envelope" in line for line in told.of("warning"))
    told = domain(Teller(), names, "me@good.example", tmp_path, "null_sender bounces@sub.good.example\n")
    assert told.of("warning"), "its alignment is strict"


def test_controls_in_dns_are_made_harmless(names: dns_server.NameServer, tmp_path: pathlib.Path) -> None:
    told = domain(Teller(), names, "me@hostile.example", tmp_path)
    for one in told.found:
        assert "\x1b" not in one.text and "\x9b" not in one.text and "\u202e" not in one.text


def test_dns_that_never_answers_is_a_warning(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_domain, "_WAIT", 1.0)
    with dns_server.silent() as silent:
        (line,) = domain(Teller(), silent, "me@good.example", tmp_path).of("warning")
    assert "did not answer in time" in line


def test_without_dnspython_the_package_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name == "dns" or name.startswith("dns.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dns", None)
    told = Teller()
    check_domain.look(told, account("host a\n", tmp_path), b"me@good.example")
    assert told.of("note") == ["note: SPF and DMARC were not looked at: install python3-dnspython; mend: "]


def test_where_roots_mail_goes_is_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "aliases").write_text("root: admin\nadmin: ann@example.org, bob\n")
    told = Teller()
    check_local._aliases(told, account(f"host a\nmaildomain example.net\naliases {tmp_path}/aliases\n", tmp_path))
    assert "root: mail to root goes to ann@example.org, bob@example.net; mend: " in told.of("ok")
    told = Teller()
    check_local._aliases(told, account("host a\nmaildomain box\n", tmp_path))
    assert "root@box, which no server outside knows" in told.of("warning")[0]


def test_a_clock_that_is_behind_a_file_is_told(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_local, "time", lambda: 1e9)
    told = Teller()
    check_local._clock(told, reader.parse(b"host a\n", "conf"))
    assert "set the clock" in told.of("warning")[0]


def test_what_others_can_write_is_told(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "conf"
    path.write_text("host a\n")
    path.chmod(0o666)
    told = Teller()
    check_local._rights(told, reader.parse(b"host a\n", str(path)), account("host a\n", tmp_path))
    assert f"chmod o-w {path}" in told.of("warning")[0]
