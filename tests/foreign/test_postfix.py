"""Postfix's configuration as that of a satellite, with what Debian's package writes and its SASL and TLS documents show."""

import base64
import os

import pytest

from pysendmail.config import accounts
from pysendmail.config.foreign.convert import convert, parse
from pysendmail.config.foreign.translation import Translation
from pysendmail.errors import ConfigError
from tests.foreign.place import Place, lost, remarks

# What Debian's package makes of the answer "Satellite system", shortened by what concerns mail that it receives.
SHIPPED = """# See /usr/share/postfix/main.cf.dist for a commented, more complete version
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
append_dot_mydomain = no
compatibility_level = 3.6

# TLS parameters
smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem
smtp_tls_CApath=/etc/ssl/certs
smtp_tls_security_level=may
smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache

smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated
 defer_unauth_destination
myhostname = box.example.org
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
myorigin = /etc/mailname
mydestination = $myhostname, localhost.$mydomain, localhost
relayhost = [smtp.example.org]:587
mynetworks = 127.0.0.0/8 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = loopback-only
default_transport = smtp
relay_transport = smtp
inet_protocols = all
"""
LOGIN = """smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
smtp_sasl_security_options = noanonymous
"""


def translate(place: Place, main: str, **tables: str) -> Translation:
    path = place.write("postfix/main.cf", main)
    for name, text in tables.items():
        place.write(f"postfix/{name}", text, 0o600)
    return convert("postfix", str(path), str(place.root))


def taken(made: Translation, sender: bytes | None = None) -> accounts.Account:
    return accounts.choose(parse(made, "/nonexistent"), sender=sender)[0]


def test_the_file_of_the_package_sends_to_the_relay_with_tls_where_it_is_offered(place: Place) -> None:
    place.write("mailname", "example.org\n")
    place.write("aliases", "root: alice\n")
    made = translate(place, SHIPPED)
    words = ("host", "port", "tls", "domain", "maildomain", "aliases", "auth", "tls_trust_file", "source_ip")
    assert [made.default.get(word) for word in words] == [
        "smtp.example.org", "587", "opportunistic", "box.example.org", "example.org", "/etc/aliases", "off", "", "",
    ]  # fmt: skip
    assert lost(made) == []
    assert {one.place for one in made.remarks} >= {
        f"{place.etc}/postfix/main.cf:{number}" for number, line in enumerate(SHIPPED.split("\n"), 1)
        if line and line[0] not in "# "
    }  # fmt: skip


@pytest.mark.parametrize("password", ["pa:ss", "a b#c", "=$x`id`", '"q"', "\u00e4,b", "x$(id)${HOME}"])
def test_the_password_is_all_that_stands_behind_the_login(place: Place, password: str) -> None:
    made = translate(place, SHIPPED + LOGIN, sasl_passwd=f"# x\n[other]:25 a:b\n[SMTP.example.org]:587\talice@example.org:{password}\n")
    account = taken(made)
    assert (account.user, account.password, account.tls) == (b"alice@example.org", password.encode(), "on")
    assert password not in "\n".join(map(str, made.remarks))


def test_a_host_of_its_own_has_its_own_password_or_none(place: Place) -> None:
    main = SHIPPED + LOGIN + (
        "sender_dependent_relayhost_maps = hash:/etc/postfix/relays\nsmtp_sender_dependent_authentication = yes\n"
    )
    made = translate(
        place, main, relays="@example.com [mail.example.com]:submission\nbob@example.net smtps.example.net:465\n",
        sasl_passwd="[smtp.example.org]:587 alice:one\nbob@example.net bob:two\ncarol@example.org carol:three\n",
    )  # fmt: skip
    found = {sender: taken(made, sender) for sender in (None, b"x@example.com", b"bob@example.net", b"carol@example.org")}
    assert [(one.host, one.port, one.user, one.password) for one in found.values()] == [
        ("smtp.example.org", 587, b"alice", b"one"), ("mail.example.com", 587, None, None),
        ("smtps.example.net", 465, b"bob", b"two"), ("smtp.example.org", 587, b"carol", b"three"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "login", "expected"),
    [
        ("smtp_tls_security_level = none", False, ("off", True, False)),
        ("smtp_tls_security_level =", False, ("off", True, False)),
        ("smtp_use_tls = yes\nsmtp_tls_security_level =", False, ("opportunistic", True, False)),
        ("smtp_enforce_tls = yes\nsmtp_tls_security_level =", False, ("on", True, False)),
        ("smtp_tls_security_level = encrypt", False, ("on", True, False)),
        ("smtp_tls_security_level = encrypt\nsmtp_tls_wrappermode = yes", True, ("on", False, False)),
        ("smtp_tls_security_level = dane", True, ("on", True, False)),
        ("smtp_tls_security_level = may", True, ("on", True, False)),
        ("smtp_tls_security_level =", True, ("on", True, False)),
        ("smtp_tls_security_level = none", True, ("off", True, True)),
        ("smtp_tls_security_level = none\nsmtp_sasl_security_options = noplaintext", True, ("on", True, False)),
    ],
)
def test_tls_is_what_postfix_would_use(place: Place, lines: str, login: bool, expected: tuple[str, bool, bool]) -> None:
    made = translate(place, SHIPPED + (LOGIN if login else "") + lines, sasl_passwd="[smtp.example.org]:587 a:b\n")
    account = taken(made)
    assert (account.tls, account.tls_starttls, account.auth_without_tls, account.tls_certcheck) == (*expected, True)


def test_names_stand_for_values_and_never_run_or_grow_without_end(place: Place) -> None:
    bombs = "".join([f"x{n} = ${{x{n + 1}}}$x{n + 1}$(x{n + 1})${{x{n + 1}}}\n" for n in range(30)])
    main = f"{bombs}x30 = boom\nloop = $loop\nmyhostname = a${{loop}}$(x0).example.org\nrelayhost = [$mydomain]:25\nmydomain = example.net\n"
    assert taken(translate(place, main)).host == "example.net"
    made = translate(place, "relayhost = [smtp.$mydomain]:25\nmydomain = `id`$(touch x)example.net\n")
    with pytest.raises(ConfigError, match=r"main.cf:1: host: expected"):
        taken(made)
    assert not os.path.exists("x")


def test_a_table_without_its_source_and_kinds_that_cannot_be_read_are_told(place: Place) -> None:
    with pytest.raises(ConfigError, match=r"postfix/sasl_passwd: cannot be read: No such file"):
        translate(place, SHIPPED + LOGIN)
    made = translate(place, SHIPPED + LOGIN.replace("hash:", "ldap:"))
    assert "smtp_sasl_password_maps" in lost(made)


def test_what_changes_addresses_or_ways_is_told(place: Place) -> None:
    main = SHIPPED + "transport_maps = hash:/x\nalways_bcc = a@b\nvirtual_alias_maps = static:x@y.example\nmaximal_queue_lifetime = 0\n"
    assert lost(translate(place, main)) == [
        "maximal_queue_lifetime", "virtual_alias_maps", "transport_maps", "always_bcc",
    ]  # fmt: skip
    made = translate(place, SHIPPED + "smtp_generic_maps = hash:/etc/postfix/generic\n", generic="@box alice@example.org\n")
    assert made.default.get("from") == "alice@example.org"


def test_values_that_matter_to_delivery_are_taken_over(place: Place) -> None:
    main = SHIPPED + (
        "inet_protocols = ipv4\nmaximal_queue_lifetime = 2\ndelay_warning_time = 0h\nminimal_backoff_time = 60s\n"
        "maximal_backoff_time = 10m\nsmtp_tls_CAfile = /etc/ca.pem\nsmtp_sasl_mechanism_filter = login\n"
        f"smtp_tls_security_level = fingerprint\nsmtp_tls_fingerprint_digest = sha256\nsmtp_tls_fingerprint_cert_match =\n"
        f"  {':'.join(['AB'] * 32)}\n  # no\n  {':'.join(['CD'] * 32)}\n"
    )
    account = taken(translate(place, main + LOGIN, sasl_passwd="smtp.example.org a:b\n"))
    assert (account.source_ip, account.expire, account.warn, account.retry) == ("0.0.0.0", 172800.0, None, (60.0, 600.0))
    assert (account.tls_trust_file, account.auth) == ("/etc/ca.pem", b"LOGIN")
    assert account.tls_fingerprint == f"{'ab' * 32} {'cd' * 32}"
    assert base64.b64encode(account.password or b"") == b"Yg=="


def test_a_relay_without_brackets_is_told(place: Place) -> None:
    made = translate(place, "relayhost = example.org\n")
    assert "MX records are not looked up" in remarks(made)["relayhost"] and lost(made) == []
    with pytest.raises(ConfigError, match="names no server"):
        taken(translate(place, "relayhost =\nmyhostname = x.example.org\n"))


def test_other_relays_are_tried_as_long_as_they_get_the_same_login(place: Place) -> None:
    main = "relayhost = [one.example.org]:587, [2001:db8::2]:25\nsmtp_fallback_relay = [three.example.org]\n"
    account = taken(translate(place, main))
    assert [(one.host, one.port) for one in account.servers] == [
        ("one.example.org", 587), ("2001:db8::2", 25), ("three.example.org", 25),
    ]  # fmt: skip
    made = translate(place, main + LOGIN, sasl_passwd="[one.example.org]:587 a:b\n[2001:db8::2]:25 a:c\nthree.example.org a:b\n")
    assert [one.host for one in taken(made).servers] == ["one.example.org", "three.example.org"]
    assert lost(made) == ["relayhost"]
