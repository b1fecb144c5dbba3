"""dma's configuration: what Debian's package ships and its manual documents."""

import base64

import pytest

from pysendmail.errors import ConfigError
from tests.conftest import Installed
from tests.foreign.place import Place, lost, remarks
from tests.obedient import Obedient

# All that is not a comment in the package's file, with the answer to its one question.
SHIPPED = """# Your smarthost (also called relayhost).  Leave blank if you don't want
SMARTHOST mail.example.org

# Use this SMTP port.  Most users will be fine with the default (25)
#PORT 25
#ALIASES /etc/aliases
#SECURETRANSFER
#SECURE
MAILNAME /etc/mailname
# MASQUERADE herb@ert  will send all mails as herb@ert
#NULLCLIENT
"""


def test_the_file_of_the_package_sends_in_clear_as_the_user_of_this_machine(place: Place) -> None:
    place.write("dma/dma.conf", SHIPPED)
    place.write("dma/auth.conf", "# SMTP authentication entries\n# Format: user|my.smarthost.example.com:password\n")
    place.write("mailname", "box.example.org\n", 0o644)
    made = place.convert("dma")
    words = ("host", "port", "tls", "domain", "maildomain", "from", "aliases")
    assert [made.default.get(word) for word in words] == [
        "mail.example.org", "25", "off", "box.example.org", "box.example.org", "%U@box.example.org", "",
    ]  # fmt: skip
    assert lost(made) == []


@pytest.mark.parametrize(
    ("lines", "tls", "starttls"),
    [
        ("SECURETRANSFER", "on", False),
        ("SECURETRANSFER\nSTARTTLS", "on", True),
        ("STARTTLS\nSECURETRANSFER\nOPPORTUNISTIC_TLS", "opportunistic", True),
        ("STARTTLS", "off", True),
        ("OPPORTUNISTIC_TLS\nSECURETRANSFER", "on", False),
        ("SECURETRANSFER\nVERIFYCERT", "on", False),
    ],
)
def test_tls_is_what_dma_would_use_and_always_verified(place: Place, lines: str, tls: str, starttls: bool) -> None:
    place.write("dma/dma.conf", f"SMARTHOST mail\nPORT 2525\n{lines}\n")
    account = place.account("dma")
    assert (account.tls, account.tls_starttls, account.port, account.tls_certcheck) == (tls, starttls, 2525, True)


@pytest.mark.parametrize("password", ["a:b|c", "a b#c", "=#'\"", " lead", "\u00e4`id`$(id)"])
def test_the_password_is_all_that_stands_behind_the_server(place: Place, password: str) -> None:
    auth = place.write("dma/auth.conf", f"other|else.example:x\nalice|mail:{password}\r\n")
    place.write("dma/dma.conf", f"SMARTHOST mail\nSECURETRANSFER\nAUTHPATH {auth}\n")
    account = place.account("dma")
    assert (account.user, account.password) == (b"alice", password.encode())


def test_a_login_in_clear_needs_the_word_for_it(place: Place) -> None:
    auth = place.write("dma/auth.conf", "alice|mail:geheim\n")
    place.write("dma/dma.conf", f"SMARTHOST mail\nAUTHPATH {auth}\n")
    account = place.account("dma")
    assert (account.tls, account.auth_without_tls) == ("on", False)
    place.write("dma/dma.conf", f"SMARTHOST mail\nAUTHPATH {auth}\nINSECURE\n")
    account = place.account("dma")
    assert (account.tls, account.auth_without_tls) == ("off", True)


@pytest.mark.parametrize(
    ("masquerade", "sender", "fixed"),
    [("herb@ert.example", b"herb@ert.example", False), ("percolator", b"root@percolator", True), ("john@", b"john@hamlet", False)],
)
def test_masquerade_changes_the_sender(place: Place, masquerade: str, sender: bytes, fixed: bool) -> None:
    place.write("dma/dma.conf", f"SMARTHOST mail\nMAILNAME hamlet\nMASQUERADE {masquerade}\n")
    account = place.account("dma", uid=0)
    assert (account.sender, account.allow_from_override) == (sender, fixed)


def test_mail_goes_over_tls_with_a_pinned_certificate_and_the_login(
    installed: Installed, place: Place, identities: dict[str, str], pin: str
) -> None:
    with Obedient(identities, tls="starttls", mechanisms="PLAIN") as server:
        auth = place.write("dma/auth.conf", "alice|127.0.0.1:pass|word:1\n")
        aliases = place.write("aliases", "root: admin@example.net\n", 0o644)
        place.write(
            "dma/dma.conf",
            f"SMARTHOST 127.0.0.1\nPORT {server.port}\nSECURETRANSFER\nSTARTTLS\nFINGERPRINT {pin}\nAUTHPATH {auth}\n"
            f"ALIASES {aliases}\nMASQUERADE alice@example.org\n",
        )
        delivery = place.deliver(installed, server, "dma", "root")
        said = server.said[1]
    assert (delivery.encrypted, delivery.sender, delivery.recipients) == (True, "alice@example.org", ["admin@example.net"])
    assert base64.b64encode(b"\0alice\0pass|word:1") in said


def test_unknown_and_odd_words_are_told(place: Place) -> None:
    place.write("dma/dma.conf", "SMARTHOST mail\nFROB x\nSECURETRANSFER yes\nPORT\nDEFER\n")
    made = place.convert("dma")
    assert lost(made) == ["FROB", "SECURETRANSFER"]
    assert remarks(made)["DEFER"].startswith("ignored")


def test_a_login_file_that_is_missing_or_malformed_is_told_with_its_place(place: Place) -> None:
    place.write("dma/dma.conf", f"SMARTHOST mail\nAUTHPATH {place.etc}/dma/auth.conf\n")
    with pytest.raises(ConfigError, match=r"dma/auth.conf: cannot be read"):
        place.account("dma")
    place.write("dma/auth.conf", "# x\ngeheim\n")
    with pytest.raises(ConfigError) as caught:
        place.account("dma")
    assert str(caught.value) == f"{place.etc}/dma/auth.conf:2: expected user|server:password"
