"""Exim's configuration as Debian asks for it, and esmtp's as its package shows it."""

import pytest

from pysendmail.config import accounts
from pysendmail.config.foreign.convert import convert, parse
from pysendmail.config.foreign.translation import Translation
from pysendmail.errors import ConfigError
from tests.foreign.place import Place, lost, remarks

SMARTHOST = """# /etc/exim4/update-exim4.conf.conf
dc_eximconfig_configtype='satellite'
dc_other_hostnames='box.example.org'
dc_local_interfaces='127.0.0.1 ; ::1'
dc_readhost='example.org'
dc_relay_domains=''
dc_minimaldns='false'
dc_relay_nets=''
dc_smarthost='smtp.example.org::587'
CFILEMODE='644'
dc_use_split_config='false'
dc_hide_mailname='true'
dc_mailname_in_oh='true'
dc_localdelivery='mail_spool'
"""
# All that is no comment in the sample of esmtp's package.
SAMPLE = """hostname = localhost:25
username = "USERNAME"
password = "PASSWORD"
#preconnect = "ssh -f -L 2025:mail.isp.com:25 user@shell.isp.com 'sleep 5'"
identity = myself@somewhere.com
\thostname = smtp.somewhere.com:25
\tusername = "myself"
\tpassword = "secret"
\t#starttls = disabled
mda = "/usr/bin/procmail -d %T"
"""


def exim(place: Place, main: str = SMARTHOST, passwords: str = "") -> Translation:
    path = place.write("exim4/update-exim4.conf.conf", main)
    place.write("exim4/passwd.client", passwords)
    place.write("mailname", "box.example.org\n")
    return convert("exim", str(path), str(place.root))


def esmtp(place: Place, text: str) -> Translation:
    return convert("esmtp", str(place.write("esmtprc", text)), str(place.root))


def taken(made: Translation, sender: bytes | None = None) -> accounts.Account:
    return accounts.choose(parse(made, "/nonexistent"), sender=sender)[0]


def test_a_satellite_of_exim_sends_to_the_smarthost_with_the_visible_name(place: Place) -> None:
    made = exim(place)
    account = taken(made)
    assert (account.host, account.port, account.tls, account.auth) == ("smtp.example.org", 587, "opportunistic", False)
    assert account.maildomain == b"example.org" and account.sender is not None and account.sender.endswith(b"@example.org")
    assert lost(made) == []


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("smtp.example.org:alice:geheim", "geheim"), ("*.example.org:alice:a:b^c $d", "a:b^c $d"), ("*:alice:#x", "#x"),
        ("other:a:b\nsmtp.example.org: alice:x=`id`\n*:c:d", "x=`id`"), ('"smtp.example.org": alice:"q"', '"q"'),
    ],
)  # fmt: skip
def test_the_login_is_that_of_the_first_line_for_the_server(place: Place, line: str, password: str) -> None:
    account = taken(exim(place, passwords=f"# password file\n### target.mail.server.example:login:password\n{line}\n"))
    assert (account.user, account.password, account.tls) == (b"alice", password.encode(), "on")


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("mail", "mail", 25), ("192.168.2.4::587", "192.168.2.4", 587), ("3ffe::::ffff::836f::::::192.168.2.4", "", 0),
        ("[3ffe::::1]::2525", "3ffe::1", 2525), ("mail::submission", "mail", 587), ("<;mail:465;other", "mail", 465),
    ],
)  # fmt: skip
def test_the_smarthost_is_read_as_a_list_of_exims(place: Place, written: str, host: str, port: int) -> None:
    made = exim(place, SMARTHOST.replace("smtp.example.org::587", written))
    if host:
        assert (taken(made).host, taken(made).port) == (host, port)
    else:
        with pytest.raises(ConfigError, match=r"conf.conf:9: host: expected"):
            taken(made)


def test_other_smarthosts_are_tried_as_long_as_they_get_the_same_login(place: Place) -> None:
    main = SMARTHOST.replace("smtp.example.org::587", "one.example::587:two.example:three.example::25")
    servers = taken(exim(place, main)).servers
    assert [(one.host, one.port) for one in servers] == [("one.example", 587), ("two.example", 25), ("three.example", 25)]
    made = exim(place, main, "one.example:a:b\nthree.example:a:b\ntwo.example:c:d\n")
    assert [one.host for one in taken(made).servers] == ["one.example", "three.example"]
    assert lost(made) == ["dc_smarthost"]


def test_macros_and_other_kinds_of_exim_are_told(place: Place) -> None:
    place.write("exim4/exim4.conf.localmacros", "REMOTE_SMTP_SMARTHOST_PROTOCOL = smtps\nMAIN_TLS_ENABLE = yes\n")
    made = exim(place, passwords="*:a:b\n")
    assert (taken(made).tls, taken(made).tls_starttls, lost(made)) == ("on", False, ["MAIN_TLS_ENABLE"])
    made = exim(place, SMARTHOST.replace("satellite", "internet"))
    assert "dc_eximconfig_configtype" in lost(made)
    with pytest.raises(ConfigError, match="names no server"):
        taken(made)


def test_addresses_of_users_become_accounts(place: Place) -> None:
    place.write("email-addresses", "# This is /etc/email-addresses.\n\nroot: alice@isp.example\n*: x@y.example\n")
    made = exim(place)
    assert made.users["root"][0] == "root" and lost(made) == ["(line)"]
    assert taken(made, b"alice@isp.example").host == "smtp.example.org"


def test_values_of_a_shell_are_not_run(place: Place) -> None:
    made = exim(place, SMARTHOST.replace("'smtp.example.org::587'", '"$(touch pwned)"'))
    with pytest.raises(ConfigError):
        taken(made)
    assert not (place.root / "pwned").exists()


def test_the_sample_of_esmtp_has_two_identities_that_share_nothing(place: Place) -> None:
    made = esmtp(place, SAMPLE)
    account = taken(made)
    assert (account.host, account.port, account.user, account.tls) == ("localhost", 25, b"USERNAME", "on")
    account = taken(made, b"myself@somewhere.com")
    assert (account.host, account.user, account.password) == ("smtp.somewhere.com", b"myself", b"secret")
    assert lost(made) == ["mda"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("hostname=mail", ("off", 587, False, False)),
        ("hostname mail:smtp starttls=enabled", ("opportunistic", 25, False, False)),
        ("hostname mail\nstarttls required username a password b", ("on", 587, True, False)),
        ("hostname mail username a password b starttls = disabled", ("off", 587, True, True)),
        ("hostname mail username a password b starttls = enabled", ("on", 587, True, False)),
    ],
)
def test_tls_is_what_esmtp_would_use(place: Place, lines: str, expected: tuple[str, int, bool, bool]) -> None:
    account = taken(esmtp(place, f"{lines} # comment\n"))
    assert (account.tls, account.port, account.auth, account.auth_without_tls) == expected


@pytest.mark.parametrize(
    ("written", "password"),
    [
        (r'"a\"b#c\\d"', 'a"b#c\\d'), (r"'it\'s \101'", "it's A"), ('"$HOME `id`"', "$HOME `id`"), ("plain=x", "plain=x"),
        ('" blank "', " blank "), (r'"\x"', "x"),
    ],
)  # fmt: skip
def test_a_password_is_unquoted_as_in_c(place: Place, written: str, password: str) -> None:
    account = taken(esmtp(place, f"hostname mail\nusername a\nstarttls required\npassword = {written}\n"))
    assert account.password == password.encode()


def test_what_esmtp_would_run_is_told_and_not_run(place: Place) -> None:
    text = "hostname mail\npreconnect = 'touch pwned'\nforce sender x\nforce reverse_path = %u@example.org\nmessage_id=disabled\nx=1\n"
    made = esmtp(place, text)
    assert lost(made) == ["preconnect", "force_sender", "x"]
    account = taken(made)
    assert (account.allow_from_override, account.set_msgid_header) == (False, "off")
    assert remarks(made)["force_reverse_path"] == "same: from %U@example.org"
    with pytest.raises(ConfigError, match=r"esmtprc:1: a quote is not closed"):
        esmtp(place, "password 'geheim\n")
