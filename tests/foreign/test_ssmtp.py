"""ssmtp's configuration: what Debian's package writes, what its manual documents, and what people have in it."""

import base64
import subprocess

import pytest

from pysendmail.errors import ConfigError
from tests.command.caller import LIMIT
from tests.conftest import Installed
from tests.foreign.place import Place, lost, remarks
from tests.obedient import Obedient

# What the package's maintainer script writes for the answers postmaster, mail, box.example.org.
SHIPPED = """#
# Config file for sSMTP sendmail
#
# The person who gets all mail for userids < 1000
# Make this empty to disable rewriting.
root=postmaster

# The place where the mail goes. The actual machine name is required no
# MX records are consulted. Commonly mailhosts are named mail.domain.com
mailhub=mail

# Where will the mail seem to come from?
#rewriteDomain=

# The full hostname
hostname=box.example.org

# Are users allowed to set their own From: address?
# YES - Allow the user to specify their own From: address
# NO - Use the system generated From: address
#FromLineOverride=YES
"""


def test_the_file_of_the_package_sends_in_clear_as_the_user_of_this_machine(place: Place) -> None:
    place.write("ssmtp/ssmtp.conf", SHIPPED)
    account = place.account("ssmtp", uid=0)
    assert (account.host, account.port, account.tls, account.auth) == ("mail", 25, "off", False)
    assert (account.sender, account.maildomain, account.domain) == (b"root@box.example.org", b"box.example.org", "box.example.org")
    assert (account.allow_from_override, account.set_from_header) == (False, "on")
    assert account.system_mail == b"postmaster@box.example.org"
    assert lost(place.convert("ssmtp")) == []


@pytest.mark.parametrize(
    ("lines", "tls", "starttls"),
    [
        ("", "off", True),
        ("UseTLS=YES", "on", False),
        ("UseSTARTTLS=YES", "on", True),
        ("UseTLS=YES\nUseSTARTTLS=YES", "on", True),
        ("UseSTARTTLS=YES\nUseTLS=YES", "on", True),
        ("usetls=no\nusestarttls=yes", "on", True),
        ("UseSTARTTLS=YES\nUseTLS=NO", "off", True),
        ("UseTLS=YES\nUseSTARTTLS=NO", "on", False),
    ],
)
def test_tls_is_what_ssmtp_would_use(place: Place, lines: str, tls: str, starttls: bool) -> None:
    place.write("ssmtp/ssmtp.conf", f"mailhub=mail.example.org:2525\n{lines}\n")
    account = place.account("ssmtp")
    assert (account.tls, account.tls_starttls, account.port, account.tls_certcheck) == (tls, starttls, 2525, True)


def test_a_login_needs_tls_unless_the_file_says_no_in_so_many_words(place: Place) -> None:
    login = "mailhub=mail.example.org\nAuthUser=alice\nAuthPass=geheim\n"
    place.write("ssmtp/ssmtp.conf", login)
    account = place.account("ssmtp")
    assert (account.tls, account.tls_starttls, account.auth_without_tls) == ("on", True, False)
    place.write("ssmtp/ssmtp.conf", f"{login}UseTLS=NO\n")
    account = place.account("ssmtp")
    assert (account.tls, account.auth_without_tls) == ("off", True)


@pytest.mark.parametrize(
    "password",
    ["a=b", "a:b", "a#b", "#begins", "with blank in it", '"quoted"', "'", "back\\slash", "$HOME`id`$(id)", "\u00e4\u20ac", "%d;"],
)
def test_a_password_goes_on_to_the_end_of_its_line(place: Place, password: str) -> None:
    place.write("ssmtp/ssmtp.conf", f"mailhub=mail\r\nUseTLS=YES\r\nAuthUser=alice\r\nAuthPass={password}\r\n")
    assert place.account("ssmtp").password == password.encode()


def test_mail_goes_over_tls_with_the_login(installed: Installed, place: Place, identities: dict[str, str]) -> None:
    with Obedient(identities, tls="starttls", mechanisms="PLAIN LOGIN") as server:
        place.write(
            "ssmtp/ssmtp.conf",
            f"root=admin@example.net\nmailhub=127.0.0.1:{server.port}\nrewriteDomain=example.org\nFromLineOverride=YES\n"
            f"UseTLS=YES\nUseSTARTTLS=YES\nTLS_CA_File={identities['ca']}\nAuthUser=alice\nAuthPass=a#b=c:d\n",
        )
        delivery = place.deliver(installed, server, "ssmtp", "bob@example.net", "root")
        said = server.said[1]
    assert (delivery.encrypted, delivery.sender) == (True, "ann@example.org")
    assert delivery.recipients == ["bob@example.net", "admin@example.net"]
    assert base64.b64encode(b"\0alice\0a#b=c:d") in said


def test_a_certificate_that_ssmtp_would_take_is_refused(
    installed: Installed, place: Place, identities: dict[str, str]
) -> None:
    with Obedient(identities, tls="starttls") as server:
        place.write("ssmtp/ssmtp.conf", f"mailhub=127.0.0.1:{server.port}\nUseSTARTTLS=YES\nhostname=box.example.org\n")
        done = place.send(installed, "ssmtp", "bob@example.net")
    assert done.returncode == 75 and b"certificate" in done.stderr and server.messages == []


def test_a_from_field_is_replaced_unless_users_may_set_their_own(installed: Installed, place: Place) -> None:
    with Obedient() as server:
        place.write("ssmtp/ssmtp.conf", f"mailhub=127.0.0.1:{server.port}\nrewriteDomain=example.org\n")
        delivery = place.deliver(installed, server, "ssmtp", "-f", "other@example.com", "bob@example.net")
    assert delivery.sender.endswith("@example.org") and delivery.sender in delivery.field("From")[0]


def test_reverse_aliases_give_each_user_his_sender_and_server(place: Place) -> None:
    place.write("ssmtp/ssmtp.conf", "mailhub=mail.example.org\nrewriteDomain=example.org\n")
    place.write(
        "ssmtp/revaliases",
        "# sSMTP aliases\nroot:me@isp.example:smtp.isp.example:587\nnobody:no@isp.example\nmalformed\nwww-data: w@x.example : x.example\n",
    )
    account = place.account("ssmtp", uid=0)
    assert (account.name, account.sender, account.host, account.port) == ("root", b"me@isp.example", "smtp.isp.example", 587)
    account = place.account("ssmtp", sender=b"no@isp.example")
    assert (account.host, account.port) == ("mail.example.org", 25)
    made = place.convert("ssmtp")
    assert {login: name for login, (name, _) in made.users.items()} == {
        "root": "root", "nobody": "nobody", "www-data": "www_data",
    }  # fmt: skip
    assert made.text()[0].endswith(b"caller www-data\nuse_account www_data")


def test_unknown_words_are_told_and_harmless_ones_passed_over(place: Place) -> None:
    place.write("ssmtp/ssmtp.conf", "mailhub=mail\nDebug=YES\nFrobnicate=1\nno equals sign\nroot=\n")
    made = place.convert("ssmtp")
    assert lost(made) == ["Frobnicate"]
    assert remarks(made)["Debug"].startswith("ignored")


def test_what_is_wrong_is_told_with_the_files_own_place_and_without_its_content(place: Place) -> None:
    path = place.write("ssmtp/ssmtp.conf", "# first\nmailhub=not_a_host!\n")
    with pytest.raises(ConfigError) as caught:
        place.account("ssmtp")
    assert str(caught.value).startswith(f"{path}:2: host: expected") and "not_a" not in str(caught.value)
    path.write_text("root=x\n")
    with pytest.raises(ConfigError, match="names no server"):
        place.account("ssmtp")


def test_a_check_tells_what_differs_and_where_roots_mail_goes(
    installed: Installed, place: Place, identities: dict[str, str]
) -> None:
    with Obedient(identities, tls="starttls") as server:
        path = place.write(
            "ssmtp/ssmtp.conf",
            f"root=admin@example.net\nmailhub=127.0.0.1:{server.port}\nrewriteDomain=example.org\nUseSTARTTLS=YES\n"
            f"TLS_CA_File={identities['ca']}\nFrobnicate=1\n",
        )
        command = [installed.sendmail.replace("sbin/sendmail", "bin/pysendmail"), "check", "-C", str(path)]
        environ = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert f"{path}:4: UseSTARTTLS: differs: tls on" in done.stdout, done
    assert f"{path}:6: Frobnicate: lost: unknown word" in done.stdout
    assert "mail to root goes to admin@example.net" in done.stdout
