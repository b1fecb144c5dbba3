"""Several servers, and a domain that names them in DNS, as the installed command uses them."""

import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest

from tests import dns_server
from tests.command.caller import MESSAGE, Caller
from tests.conftest import Installed, skip
from tests.delivery import certificates
from tests.obedient import Obedient
from tests.ports import own_address

DNS = own_address()  # /etc/resolv.conf can name no port


@pytest.fixture
def resolving(superuser: None, tmp_path: pathlib.Path) -> list[str]:
    """Give what runs a command where /etc/resolv.conf names the server of the test."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        skip("no mount namespace can be made here")
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"nameserver {DNS}\noptions timeout:2 attempts:1\n")
    shell = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh", str(conf)]


@pytest.fixture
def secure(tmp_path: pathlib.Path) -> Iterator[Obedient]:
    """Run a server with the certificate of mx.srv.test."""
    authority = certificates.authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    good = certificates.issue(authority, ("mx.srv.test",)).write(tmp_path / "good.pem")
    with Obedient({"good": good}, tls="starttls") as running:
        yield running


def run(caller: Caller, resolving: list[str], **words: str) -> "subprocess.CompletedProcess[bytes]":
    caller.configure(**words)
    command = [*resolving, caller.sendmail, "bob@example.net"]
    return subprocess.run(command, input=MESSAGE, capture_output=True, env=caller.environ, timeout=120, check=False)


@pytest.mark.skipif(not os.path.exists("/etc/resolv.conf"), reason="there is nothing to put a file over")
def test_the_command_finds_the_servers_of_a_domain(caller: Caller, resolving: list[str], secure: Obedient) -> None:
    zone = f"_submission._tcp SRV 0 0 {secure.port} mx\nmx A 127.0.0.1\n"
    words = {"host": "srv:srv.test", "port": "", "tls": "on", "tls_trust_file": str(caller.home / "ca.pem")}
    with dns_server.serving({"srv.test": zone, "outside.test": f"_submission._tcp SRV 0 0 {secure.port} mx.srv.test.\n"}, DNS, 53):
        done = run(caller, resolving, **words)
        assert (done.returncode, done.stderr) == (0, b"")
        assert len(secure.deliveries) == 1 and secure.deliveries[0].encrypted
        assert any(f"relay=mx.srv.test[127.0.0.1]:{secure.port}" in line for line in caller.log)
        done = run(caller, resolving, **{**words, "host": "srv:outside.test"})
        assert done.returncode == 75
        assert b"certificate is not for outside.test but for mx.srv.test" in done.stderr
        done = run(caller, resolving, **{**words, "host": "srv:none.srv.test"})
        assert (done.returncode, done.stderr.count(b"\n")) == (75, 1)
        assert b"srv:none.srv.test: there is no SRV record _submissions._tcp.none.srv.test" in done.stderr
        spare = caller.server
        words.update(host=f"srv:none.srv.test 127.0.0.1:{spare.port}", tls="off", tls_trust_file="")
        done = run(caller, resolving, **words)
        assert (done.returncode, done.stderr, len(spare.deliveries)) == (0, b"", 1)


def test_without_dnspython_the_command_names_the_package(
    installed: Installed, caller: Caller, tmp_path: pathlib.Path, superuser: None
) -> None:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        skip("no mount namespace can be made here")
    (tmp_path / "empty").mkdir()
    find = "import dns, os; print(os.path.dirname(dns.__file__))"
    base = [installed.python, "-I", "-c", find]
    found = subprocess.run(base, capture_output=True, text=True, check=False).stdout.strip()
    places = [place for place in (found, "/usr/lib/python3/dist-packages/dns") if place and os.path.isdir(place)]
    hide = "".join(f'mount --bind "{tmp_path}/empty" "{place}" && ' for place in dict.fromkeys(places))
    shell = ["unshare", "--mount", "--propagation", "private", "sh", "-c", hide + 'exec "$@"', "sh"]
    done = run(caller, shell, host="srv:example.org", port="")
    assert (done.returncode, done.stderr.count(b"\n")) == (78, 1)
    assert b"install the package python3-dnspython" in done.stderr


def test_the_next_server_is_used_where_the_first_is_away(caller: Caller) -> None:
    delivery = caller.deliver("bob@example.net", words={"host": f"127.0.0.3:1 127.0.0.1:{caller.server.port}", "port": ""})
    assert delivery.recipients == ["bob@example.net"]


def test_one_line_says_what_is_wrong_with_each_server(caller: Caller) -> None:
    line = caller.refuse(75, "bob@example.net", words={"host": "127.0.0.3:1 127.0.0.4:1", "port": ""})
    assert "127.0.0.3 port 1: Connection refused" in line and "127.0.0.4 port 1: Connection refused" in line


def test_every_server_is_named_where_an_address_is_verified(caller: Caller) -> None:
    done = caller.run("-bv", "bob@example.net", words={"host": "a.test b.test:26", "port": ""})
    assert b"by a.test port 25, then b.test port 26" in done.stdout
