"""pysendmail import: the file that it prints or writes, and the account of the lines."""

import base64
import os
import pathlib
import subprocess

import pytest

from pysendmail.config.foreign.sources import SOURCES
from tests.command.caller import LIMIT, MESSAGE
from tests.conftest import Installed
from tests.foreign.place import Place
from tests.obedient import Obedient

SECRET = 'ge"heim #4711=:'
FILES = {
    "msmtp": {"home/.msmtprc": "defaults\ntls on\ntls_trust_file {ca}\naccount work\nhost 127.0.0.1\nport {port}\nauth on\n"
              "user alice\npassword {secret}\nfrom a@example.org\naccount default : work\n"},
    "ssmtp": {"etc/ssmtp/ssmtp.conf": "mailhub=127.0.0.1:{port}\nUseSTARTTLS=YES\nTLS_CA_File={ca}\nAuthUser=alice\n"
              "AuthPass={secret}\nrewriteDomain=example.org\n"},
    "nullmailer": {"etc/nullmailer/remotes": "127.0.0.1 smtp starttls port={port} user=alice x509cafile={ca} pass='{secret}'\n",
                   "etc/nullmailer/allmailfrom": "a@example.org\n"},
    "dma": {"etc/dma/dma.conf": "SMARTHOST localhost\nPORT {port}\nSECURETRANSFER\nSTARTTLS\nFINGERPRINT {pin}\n"
            "AUTHPATH /etc/dma/auth.conf\nNULLCLIENT\nMASQUERADE a@example.org\n",
            "etc/dma/auth.conf": "alice|localhost:{secret}\n"},
    "esmtp": {"etc/esmtprc": "hostname = 127.0.0.1:{port} username = alice\npassword = '{secret}' starttls = required\n"
              "force reverse_path a@example.org\n"},
    "postfix": {"etc/postfix/main.cf": "relayhost = [127.0.0.1]:{port}\nsmtp_sasl_auth_enable = yes\nmyorigin = example.org\n"
                "smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\nsmtp_tls_security_level = verify\n"
                "smtp_tls_CAfile = {ca}\n",
                "etc/postfix/sasl_passwd": "[127.0.0.1]:{port} alice:{secret}\n"},
    "exim": {"etc/exim4/update-exim4.conf.conf": "dc_eximconfig_configtype='satellite'\ndc_smarthost='127.0.0.1::{port}'\n"
             "dc_readhost='example.org'\ndc_hide_mailname='true'\n",
             "etc/exim4/passwd.client": "127.0.0.1:alice:{secret}\n"},
}  # fmt: skip
TRUST_MISSING = ("esmtp", "exim")  # they cannot name an authority, so a line is added to what was written


def fill(place: Place, tool: str, **values: str) -> None:
    for name, text in FILES[tool].items():
        path = place.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(secret=SECRET, **{"port": "2525", "ca": "/ca.pem", "pin": "ab" * 32, **values}))
        path.chmod(0o600)


def run_import(installed: Installed, place: Place, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command for a user whose home, like all of the machine, is below the folder."""
    command = [installed.sendmail.replace("sbin/sendmail", "bin/pysendmail"), "import", f"--root={place.root}", *arguments]
    environ = {"HOME": "/home", "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=LIMIT, check=False)


def written(place: Place, tool: str) -> pathlib.Path:
    own = tool == "msmtp" or os.getuid() != 0
    return place.root / ("home/.config/pysendmail/pysendmail.conf" if own else "etc/pysendmail/pysendmail.conf")


def test_all_sources_are_tried_here() -> None:
    assert set(FILES) == set(SOURCES)


@pytest.mark.parametrize("tool", FILES)
def test_what_is_written_sends_with_tls_and_the_login(
    installed: Installed, place: Place, identities: dict[str, str], pin: str, tool: str
) -> None:
    with Obedient(identities, tls="starttls", mechanisms="PLAIN") as server:
        fill(place, tool, port=str(server.port), ca=identities["ca"], pin=pin)
        done = run_import(installed, place, "--write")
        path = written(place, tool)
        assert done.returncode == 0 and done.stdout == f"{path} is written; pysendmail check tries it\n", done.stderr
        assert path.stat().st_mode & 0o777 == 0o600 and [one.name for one in path.parent.iterdir()] == ["pysendmail.conf"]
        if tool in TRUST_MISSING:
            with path.open("a") as file:
                file.write(f"tls_trust_file {identities['ca']}\n")
        command = [installed.sendmail, "-C", str(path), "-i", "bob@example.net"]
        environ = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}
        sent = subprocess.run(command, input=MESSAGE, env=environ, capture_output=True, timeout=LIMIT, check=False)
        assert (sent.returncode, sent.stderr) == (0, b"")
        (delivery,) = server.deliveries
        said = server.said[1]
    assert delivery.encrypted and delivery.sender.endswith("@example.org")
    assert base64.b64encode(b"\0alice\0" + SECRET.encode()) in said


@pytest.mark.parametrize("tool", FILES)
def test_no_secret_is_shown_unless_it_is_asked_for(installed: Installed, place: Place, tool: str) -> None:
    fill(place, tool)
    done = run_import(installed, place, "--from", tool)
    assert done.returncode == 0 and SECRET not in done.stdout + done.stderr
    assert "# password: not shown" in done.stdout and "(not shown)" in done.stderr
    assert not written(place, tool).exists()
    done = run_import(installed, place, "--show-secrets")
    assert f"\npassword {SECRET}\n" in done.stdout and SECRET not in done.stderr


@pytest.mark.parametrize("tool", FILES)
def test_every_line_has_its_account(installed: Installed, place: Place, tool: str) -> None:
    fill(place, tool)
    if tool == "dma":
        main = place.root / "etc/dma/dma.conf"
        main.write_text(main.read_text().replace("SECURETRANSFER\n", "") + "CERTFILE /x.pem\nMAILNAME /etc/nothing\n")
    done = run_import(installed, place, "--from", tool)
    for name in FILES[tool]:
        path = place.root / name
        for number, line in enumerate(path.read_text().split("\n"), 1):
            assert not line or f"{path}:{number}: " in done.stderr, (path, number, line)


def test_a_file_that_is_there_is_replaced_by_force_only(installed: Installed, place: Place) -> None:
    fill(place, "ssmtp")
    path = written(place, "ssmtp")
    path.parent.mkdir(parents=True)
    path.write_text("mine\n")
    done = run_import(installed, place, "--write")
    assert done.returncode == 78 and f"{path}: is there already; --force replaces it" in done.stderr
    assert path.read_text() == "mine\n" and len(list(path.parent.iterdir())) == 1
    assert run_import(installed, place, "--write", "--force").returncode == 0
    assert "mailhub" not in path.read_text() and len(list(path.parent.iterdir())) == 1


def test_a_file_without_a_password_can_be_read_by_all(installed: Installed, place: Place) -> None:
    place.write("ssmtp/ssmtp.conf", "mailhub=mail\n")
    assert run_import(installed, place, "--write").returncode == 0
    path = written(place, "ssmtp")
    assert path.stat().st_mode & 0o777 == 0o644
    if os.getuid() == 0:
        assert path.parent.stat().st_mode & 0o777 == 0o755


def test_several_programs_need_from(installed: Installed, place: Place) -> None:
    fill(place, "ssmtp")
    fill(place, "postfix")
    done = run_import(installed, place)
    assert done.returncode == 64 and "more than one: ssmtp" in done.stderr and "--from says which" in done.stderr
    assert run_import(installed, place, "--from", "postfix").returncode == 0
    assert run_import(installed, place, "--from", "sendmail").returncode == 64
    assert run_import(installed, place, "--force").returncode == 64
    done = run_import(installed, place, "--from", "exim")
    assert done.returncode == 78 and "no configuration of exim" in done.stderr


def test_each_line_is_accounted_for_in_its_order(installed: Installed, place: Place) -> None:
    path = place.write("ssmtp/ssmtp.conf", "root=admin@example.org\nmailhub=mail\nUseTLS=YES\nDebug=YES\nfrob=1\n")
    done = run_import(installed, place)
    rows = [line.partition("ssmtp.conf:")[2].split(None, 3) for line in done.stderr.splitlines() if str(path) in line]
    assert [row[:3] for row in rows] == [
        ["1:", "root", "same"], ["2:", "mailhub", "same"], ["3:", "UseTLS", "differs"], ["4:", "Debug", "ignored"],
        ["5:", "frob", "lost"],
    ]  # fmt: skip
    assert done.stderr.endswith("pysendmail: 1 of these could not be taken over (lost)\n")


def test_the_words_of_msmtp_get_its_defaults_and_lose_what_is_not_offered(installed: Installed, place: Place) -> None:
    (place.root / "home").mkdir()
    (place.root / "home/.msmtprc").write_text(
        "host mail\neval echo password x\ntls_nocertcheck\nlogfile ~/log\ntls_priorities NORMAL\nunknown x\nkeepbcc on\n"
        "account second : default\ntls on\ntls_starttls off\nuser alice\n"
    )
    done = run_import(installed, place)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line[:1] not in ("#", "")] == [
        "account default", "host mail", "tls_certcheck off", "logfile ~/log", "port 25", "tls off", "auth off", "syslog off",
        "account second", "host mail", "tls_certcheck off", "logfile ~/log", "tls on", "tls_starttls off", "user alice",
        "port 465", "auth off", "syslog off",
    ]  # fmt: skip
    lost = [line.split(": ")[1].split()[0] for line in done.stderr.splitlines() if "  lost  " in line]
    assert lost == ["eval", "tls_priorities", "unknown"]


def test_what_is_no_configuration_leaves_no_file(installed: Installed, place: Place) -> None:
    place.write("ssmtp/ssmtp.conf", b"\x7fELF\0\0")
    done = run_import(installed, place, "--write")
    assert done.returncode == 78 and "ssmtp.conf:1: not a configuration line" in done.stderr
    assert not written(place, "ssmtp").exists()
