"""nullmailer's configuration: what Debian's package writes and its manual documents."""

import base64

import pytest

from pysendmail.errors import ConfigError
from tests.conftest import Installed
from tests.foreign.place import Place, lost, remarks
from tests.obedient import Obedient


def test_the_files_of_the_package_send_in_clear_to_the_one_server(place: Place) -> None:
    place.write("nullmailer/remotes", "mail.example.org\n", 0o600)
    place.write("nullmailer/defaultdomain", "example.org\n", 0o644)
    place.write("nullmailer/adminaddr", "", 0o644)
    place.write("mailname", "box\n", 0o644)
    made = place.convert("nullmailer")
    default = made.default
    assert {word: default.get(word) for word in ("host", "port", "tls", "maildomain", "domain", "local_mail")} == {
        "host": "mail.example.org", "port": "25", "tls": "off", "maildomain": "box.example.org", "domain": "box.example.org",
        "local_mail": "",
    }  # fmt: skip
    assert lost(made) == []


def test_the_documented_example_has_port_login_and_a_quoted_password(place: Place) -> None:
    place.write("nullmailer/remotes", "smarthost.dom smtp port=2525 starttls user=user pass='my pass phrase'\n", 0o600)
    account = place.account("nullmailer")
    assert (account.host, account.port, account.tls, account.tls_starttls) == ("smarthost.dom", 2525, "on", True)
    assert (account.user, account.password, account.auth) == (b"user", b"my pass phrase", True)


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("pass=a#b", "a#b"), ("pass='$HOME `id`'", "$HOME `id`"), ("pass=\"it's\"", "it's"), (r"pass=a\ b\\c", "a b\\c"),
        ("pass=a=b=c", "a=b=c"), ("'pass=x y'", "x y"), ("--pass=ab", "ab"), ("pass=' lead trail '", " lead trail "),
        ("pass='\"q\"'", '"q"'), ("pass=$(touch pwned)", None), ("pass=;reboot", ";reboot"), ("pass=\u00fc", "\u00fc"),
    ],
)  # fmt: skip
def test_a_password_is_unquoted_as_by_a_shell_and_never_run(place: Place, written: str, password: str | None) -> None:
    place.write("nullmailer/remotes", f"mail smtp tls user=alice {written}\r\n", 0o600)
    expected = "$(touch" if password is None else password
    assert place.account("nullmailer").password == expected.encode()
    assert not (place.root / "pwned").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("tls", ("on", False, 465, True)), ("ssl", ("on", False, 465, True)), ("starttls", ("on", True, 25, True)),
        ("tls insecure", ("on", False, 465, False)), ("--starttls --port=587", ("on", True, 587, True)),
        ("", ("off", True, 25, True)), ("tls port=1465", ("on", False, 1465, True)), ("port=1465 tls", ("on", False, 1465, True)),
    ],
)  # fmt: skip
def test_tls_is_what_nullmailer_would_use(place: Place, options: str, expected: tuple[str, bool, int, bool]) -> None:
    place.write("nullmailer/remotes", f"mail smtp {options}\n", 0o600)
    account = place.account("nullmailer")
    assert (account.tls, account.tls_starttls, account.port, account.tls_certcheck) == expected


def test_a_login_that_nullmailer_would_do_in_clear_needs_tls(place: Place) -> None:
    place.write("nullmailer/remotes", "mail smtp user=alice pass=geheim auth-login\n", 0o600)
    account = place.account("nullmailer")
    assert (account.tls, account.tls_starttls, account.auth) == ("on", True, b"LOGIN")
    assert "differs" in remarks(place.convert("nullmailer"))["user"]


def test_mail_goes_over_tls_and_to_the_administrator(
    installed: Installed, place: Place, identities: dict[str, str]
) -> None:
    with Obedient(identities, tls="implicit", mechanisms="PLAIN LOGIN") as server:
        place.write(
            "nullmailer/remotes",
            "\n# the provider\n"
            f"127.0.0.1 smtp tls port={server.port} user=alice pass='a b\"c' x509cafile={identities['ca']}\n",
            0o600,
        )
        place.write("nullmailer/adminaddr", "admin@example.net,second@example.net\n")
        place.write("nullmailer/allmailfrom", " bounces@example.org \n")
        place.write("nullmailer/helohost", "box.example.org\n")
        place.write("nullmailer/defaulthost", "example.org\n")
        delivery = place.deliver(
            installed, server, "nullmailer", "-f", "x@y.example", "root", "cron@localhost", "a@box.example.org", "b@c.example"
        )
        said = server.said[1]
    assert (delivery.encrypted, delivery.sender) == (True, "bounces@example.org")
    assert delivery.recipients == ["admin@example.net", "second@example.net", "b@c.example"]
    assert base64.b64encode(b'\0alice\0a b"c') in said and b"EHLO box.example.org\r\n" in said


def test_other_servers_are_tried_where_login_and_tls_are_the_same(place: Place) -> None:
    text = "first.example smtp tls user=a pass='b c'\n2001:db8::1 smtp --pass='b c' user=a port=1465 tls\n"
    place.write("nullmailer/remotes", f"{text}third.example smtp tls\n", 0o600)
    account = place.account("nullmailer")
    assert [(one.host, one.port, one.starttls) for one in account.servers] == [
        ("first.example", 465, False), ("2001:db8::1", 1465, False),
    ]  # fmt: skip
    assert lost(place.convert("nullmailer")) == ["(line)"]


def test_what_cannot_be_done_is_told(place: Place) -> None:
    text = "first.example qmqp\nsecond.example smtp x509fmtder frobnicate=1\nthird.example qmqp\n"
    place.write("nullmailer/remotes", text, 0o600)
    made = place.convert("nullmailer")
    assert made.default.get("host") == "second.example"
    assert len(lost(made)) == 4


def test_the_second_server_gets_the_mail_when_the_first_is_away(installed: Installed, place: Place) -> None:
    with Obedient() as server:
        text = f"127.0.0.1 smtp port=1\n# spare\n127.0.0.1 smtp port={server.port}\n"
        place.write("nullmailer/remotes", text, 0o600)
        place.write("nullmailer/defaulthost", "example.org\n")
        assert place.deliver(installed, server, "nullmailer", "bob@example.net").recipients == ["bob@example.net"]


def test_the_times_of_the_queue_are_taken_over(place: Place) -> None:
    place.write("nullmailer/remotes", "mail\n")
    for name, value in (("pausetime", "120"), ("maxpause", "600"), ("queuelifetime", "86400"), ("sendtimeout", "0")):
        place.write(f"nullmailer/{name}", f"{value}\n")
    account = place.account("nullmailer")
    assert (account.retry, account.expire) == ((120.0, 600.0), 86400.0)


def test_a_quote_that_is_not_closed_is_told_with_its_line(place: Place) -> None:
    path = place.write("nullmailer/remotes", "\nmail smtp pass='geheim\n", 0o600)
    with pytest.raises(ConfigError) as caught:
        place.account("nullmailer")
    assert str(caught.value) == f"{path}:2: a quote is not closed"
