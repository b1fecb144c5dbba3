"""Accounts: defaults, what follows from what, contradictions, the choice among several, and the place of the file."""

import os
import pathlib
import pwd

import pytest

from pysendmail.config import accounts, credentials, reader
from pysendmail.config.accounts import Account
from pysendmail.config.words import ACTS, WORDS
from pysendmail.errors import ConfigError, NoPermission


def account(text: str, *, msmtp: bool = False, home: str = "/home/alice") -> Account:
    """Read a text and give its default account."""
    return accounts.choose(reader.parse(text.encode(), "conf", home=home, msmtp=msmtp))[0]


def refusal(text: str, *, msmtp: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        account(text, msmtp=msmtp)
    return str(caught.value)


def test_every_word_that_acts_is_an_attribute_with_its_default() -> None:
    plain = account("host a.example")
    others = {"from": "sender", "auto_from": None, "caller_config": None}
    for word, row in WORDS.items():
        attribute = others.get(word, word)
        if row[0] == ACTS and attribute:
            assert hasattr(plain, attribute), word
            if word not in ("host", "port", "timeout", "from"):
                assert getattr(plain, attribute) == row[2], word
    assert (plain.name, plain.place, plain.notes, plain.mechanism) == ("default", "conf", [], None)


def test_attributes_have_what_was_written() -> None:
    text = """host smtp.example.org
port 2525
from <alice@example.org>
from_full_name Alice Ä
user alice
passwordeval pass show mail
auth scram-sha-256
aliases ~/aliases
tls_trust_file ~/ca
max_recipients 10
null_sender cron@example.org
syslog LOG_LOCAL3
dsn_notify failure"""
    given = account(text)
    assert (given.host, given.port, given.sender) == ("smtp.example.org", 2525, b"alice@example.org")
    assert given.from_full_name == "Alice Ä".encode()
    assert (given.user, given.passwordeval, given.password) == (b"alice", b"pass show mail", None)
    assert (given.auth, given.mechanism) == (b"SCRAM-SHA-256", b"SCRAM-SHA-256")
    assert (given.aliases, given.tls_trust_file) == ("/home/alice/aliases", "/home/alice/ca")
    assert (given.max_recipients, given.null_sender, given.syslog) == (10, b"cron@example.org", "LOG_LOCAL3")
    assert given.dsn_notify == b"FAILURE"


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("", 587),
        ("tls on", 587),
        ("tls opportunistic", 587),
        ("tls off", 25),
        ("tls off\ntls_starttls off", 25),
        ("tls_starttls off", 465),
        ("tls_nostarttls", 465),
        ("tls_starttls off\nport 2465", 2465),
    ],
)
def test_the_port_follows_from_tls_unless_it_is_written(text: str, port: int) -> None:
    assert account(f"host a\n{text}").port == port


@pytest.mark.parametrize(
    ("text", "starttls"),
    [
        ("port 465", False),
        ("port 465\ntls_starttls on", True),
        ("port 465\ntls opportunistic", True),
        ("port 587", True),
    ],
)
def test_port_465_means_tls_from_the_first_octet_unless_starttls_is_written(text: str, starttls: bool) -> None:
    assert account(f"host a\n{text}").tls_starttls is starttls


@pytest.mark.parametrize(
    ("text", "auth", "mechanism"),
    [
        ("", False, None),
        ("user u", True, None),
        ("user u\nauth off", False, None),
        ("user u\nauth on", True, None),
        ("user u\nauth plain", b"PLAIN", b"PLAIN"),
        ("auth external", b"EXTERNAL", b"EXTERNAL"),
        ('user u\nuser ""', False, None),
    ],
)
def test_auth_is_on_when_a_user_is_set_unless_the_file_says_otherwise(
    text: str, auth: bool | bytes, mechanism: bytes | None
) -> None:
    given = account(f"host a\n{text}")
    assert (given.auth, given.mechanism) == (auth, mechanism)


@pytest.mark.parametrize(
    ("text", "timeout", "written"),
    [("", 300.0, False), ("timeout off", 300.0, False), ("timeout 5", 5.0, True), ("timeout 300", 300.0, True)],
)
def test_a_timeout_tells_whether_it_was_written(text: str, timeout: float, written: bool) -> None:
    given = account(f"host a\n{text}")
    assert (given.timeout, given.timeout_written) == (timeout, written)


@pytest.mark.parametrize(
    ("text", "tls", "auth", "port", "syslog"),
    [
        ("", "off", False, 25, None),
        ("tls on", "on", False, 25, None),
        ("tls on\ntls_starttls off", "on", False, 465, None),
        ("tls on\nport 587\nuser u\nauth on\nsyslog on", "on", True, 587, "LOG_MAIL"),
        ("tls on\nuser u", "on", False, 25, None),
    ],
)
def test_the_defaults_of_msmtp_hold_in_its_own_files(
    text: str, tls: str, auth: bool, port: int, syslog: str | None
) -> None:
    given = account(f"host a\n{text}", msmtp=True)
    assert (given.tls, given.auth, given.port, given.syslog) == (tls, auth, port, syslog)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port 25", "conf: account default needs the word host"),
        ("account a-b\nport 25", "conf: the account of line 1 needs the word host"),
        ("host a\ntls_cert_file /c", "conf:2: tls_cert_file needs tls_key_file"),
        ("host a\ntls_key_file /k", "conf:2: tls_key_file needs tls_cert_file"),
        (f"host a\ntls_certcheck off\ntls_fingerprint {'a' * 64}", "conf:3: tls_fingerprint contradicts"),
        ('host a\ntls_trust_file ""', "conf:2: tls_trust_file: expected a file, a folder or system"),
        ("host a\ntls opportunistic\ntls_starttls off", "conf:2: tls opportunistic contradicts"),
        ("host a\ntls off\nuser u\nauth on", "conf:4: AUTH is not done in clear"),
        ("host a\ntls off\nuser u", "conf:3: AUTH is not done in clear"),
        ("host a\ntls off\nuser u\nauth cram-md5", "conf:4: AUTH is not done in clear"),
        ("host a\nallow_from_override off", "conf:2: allow_from_override off needs an address in from"),
        ("host a\nallow_from_override off\nfrom *@a", "conf:2: allow_from_override off needs an address in from"),
        ("host a\nfrom %U@%C", "conf:2: from: %C is not offered"),
    ],
)
def test_a_contradiction_is_named_with_its_line(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


def test_auth_in_clear_needs_its_own_word() -> None:
    assert account("host a\ntls off\nuser u\nauth_without_tls on").auth is True


def test_authorities_may_be_none_where_a_fingerprint_decides() -> None:
    assert account(f'host a\ntls_trust_file ""\ntls_fingerprint {"a" * 64}').tls_trust_file is None
    assert account('host a\ntls_certcheck off\ntls_trust_file ""').tls_trust_file is None


@pytest.mark.parametrize(
    ("text", "password", "command"),
    [
        ("password a\npasswordeval b", None, b"b"),
        ("passwordeval b\npassword a", b"a", None),
        ('password a\npasswordeval b\npasswordeval ""', b"a", None),
    ],
)
def test_of_password_and_command_the_later_one_counts(
    text: str, password: bytes | None, command: bytes | None
) -> None:
    given = account(f"host a\nuser u\n{text}")
    assert (given.password, given.passwordeval) == (password, command)


def test_an_account_may_replace_its_parents_password_by_a_command() -> None:
    file = reader.parse(b"account a\nhost a\nuser u\npassword x\naccount b : a\npasswordeval y\n", "conf")
    given, _ = accounts.choose(file, account=b"b")
    assert (given.password, given.passwordeval) == (None, b"y")


def test_notes_name_file_line_and_word() -> None:
    given = account("host a\nkeepbcc on\nuser u\npassword x\nauth off\n")
    assert given.notes == [
        "conf:2: keepbcc: has no effect: Bcc is always removed",
        "conf:4: password: has no effect while auth is off",
    ]


def test_the_place_of_a_word_is_its_line_or_the_file() -> None:
    given = account("host a\nadd_missing_from_header off")
    assert (given.place_of("host"), given.place_of("port")) == ("conf:1", "conf")
    assert given.place_of("set_from_header") == "conf:2"
    assert (given.written("host"), given.written("port")) == (True, False)


def test_the_sender_may_hold_the_names_of_user_and_machine(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mailname").write_text("example.net\n")
    monkeypatch.setattr(accounts, "_MAILNAME", str(tmp_path / "mailname"))
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "vm.example.com", "", "", "")))
    monkeypatch.setenv("USER", "mallory")
    login = pwd.getpwuid(os.getuid()).pw_name.encode()
    assert account("host a\nfrom %U@%M").sender == login + b"@example.net"
    assert account("host a\nfrom root+%H@example.org").sender == b"root+vm.example.com@example.org"
    assert account("host a\nfrom 50%x@example.org").sender == b"50%x@example.org"
    assert account("host a\ndomain %H").domain == "vm.example.com"
    assert account("host a\ndomain %M").domain == "example.net"


@pytest.mark.parametrize("text", [None, "", "a b\n", "\xff\n", "-\n<x>\n"])
def test_a_mail_name_that_is_none_is_an_error_only_where_it_is_used(
    text: str | None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "mailname").write_text(text)
    monkeypatch.setattr(accounts, "_MAILNAME", str(tmp_path / "mailname"))
    assert accounts.mailname() is None
    account("host a")
    assert refusal("host a\nfrom x@%M").startswith("conf:2: from: %M needs a name in ")


def test_a_machine_whose_name_makes_no_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "my vm", "", "", "")))
    assert refusal("host a\nfrom x@%H").startswith("conf:2: from: with the names of this machine and user")
    assert refusal("host a\ndomain %H").startswith("conf:2: domain: with the name of this machine")


def test_a_caller_without_a_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    assert refusal("host a\nfrom %U@b") == "conf:2: from: %U needs a name for uid 2147483641"


def test_auto_from_takes_the_address_of_from_away() -> None:
    assert account("host a\nfrom x@y\nauto_from on").sender is None
    assert account("host a\nfrom x@y\nauto_from off").sender == b"x@y"


def test_an_account_answers_what_credentials_ask(tmp_path: pathlib.Path) -> None:
    given = account("host a\nuser u\npassword p")
    found = credentials.find(given, home=None, environ={}, tty=False, system_netrc=str(tmp_path / "none"))
    assert found is not None and (found.user, found.secret) == (b"u", b"p")
    given = account("host a\nauth on")
    with pytest.raises(ConfigError, match="there is no user"):
        credentials.find(given, home=None, environ={}, tty=False, system_netrc=str(tmp_path / "none"))


SEVERAL = b"""
account home
host home.example
from Alice@home.example
account work
host work.example
from alice@work.example
account any
host any.example
from *@work.example
account lists
host lists.example
from lists-*@work.example
account default : home
"""


def chosen(text: bytes, **given: bytes | None) -> tuple[str, str]:
    found, reason = accounts.choose(reader.parse(text, "conf"), **given)  # type: ignore[arg-type]
    return found.name, reason


@pytest.mark.parametrize(
    ("given", "name", "reason"),
    [
        ({}, "default", "the default account"),
        ({"account": b"work"}, "work", "account work, named by -a"),
        ({"account": b"work", "sender": b"Alice@home.example"}, "work", "account work, named by -a"),
        ({"sender": b"alice@work.example"}, "work", "account work, whose from fits the envelope sender"),
        ({"header_from": b"alice@work.example"}, "work", "account work, whose from fits the From field"),
        ({"sender": b"alice@work.example", "header_from": b"Alice@home.example"}, "work",
         "account work, whose from fits the envelope sender"),
        ({"sender": b"", "header_from": b"alice@work.example"}, "work", "account work, whose from fits the From field"),
        ({"sender": b"root", "header_from": b"alice@work.example"}, "work",
         "account work, whose from fits the From field"),
        ({"sender": b"bob@work.example"}, "any", "account any, whose from fits the envelope sender"),
        ({"sender": b"lists-x@work.example"}, "lists", "account lists, whose from fits the envelope sender"),
        ({"sender": b"Alice@home.example"}, "home", "account home, whose from fits the envelope sender"),
        ({"sender": b"bob@elsewhere.example"}, "default", "the default account"),
    ],
)  # fmt: skip
def test_the_account_is_chosen_by_name_then_sender_then_from_then_default(
    given: dict[str, bytes], name: str, reason: str
) -> None:
    assert chosen(SEVERAL, **given) == (name, reason)


def test_a_file_with_one_account_needs_no_default() -> None:
    assert chosen(b"account only\nhost a\nfrom x@y\n", sender=b"z@z") == ("only", "account only, the only one")


def test_several_accounts_and_no_default_are_an_error_only_if_none_fits() -> None:
    text = b"account a\nhost a\nfrom a@a\naccount b\nhost b\n"
    assert chosen(text, sender=b"a@a")[0] == "a"
    with pytest.raises(ConfigError, match='conf: it has no default account; write "account default : NAME"'):
        chosen(text)


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"defaults\nport 25\n", b"caller_config on\n"])
def test_a_file_without_any_account_is_an_error(text: bytes) -> None:
    with pytest.raises(ConfigError, match="conf: it has no default account; host is the least it needs"):
        chosen(text)


def test_an_unknown_account_is_an_error_that_names_the_known_ones_as_far_as_they_look_like_words() -> None:
    text = b"account a_1\nhost a\naccount Geheim-X\nhost b\naccount b\nhost c\n"
    with pytest.raises(ConfigError) as caught:
        chosen(text, account=b"zzz")
    assert str(caught.value) == "conf: there is no account of the name given with -a (it has a_1, b)"
    with pytest.raises(ConfigError) as caught:
        chosen(b"account Geheim-X\nhost b\n", account=b"zzz")
    assert str(caught.value) == "conf: there is no account of the name given with -a"


def test_a_name_in_other_letters_is_found_by_its_octets() -> None:
    name = "büro".encode()
    assert chosen(b"account " + name + b"\nhost a\naccount b\nhost b\n", account=name)[0] == name.decode("latin-1")


def test_an_account_that_is_not_taken_may_be_wrong() -> None:
    assert chosen(b"account a\nport 1\naccount default\nhost b\n")[0] == "default"


def test_auto_from_keeps_an_account_out_of_the_choice_by_sender() -> None:
    text = b"account a\nhost a\nfrom a@a\nauto_from on\naccount default\nhost b\n"
    assert chosen(text, sender=b"a@a")[0] == "default"


@pytest.fixture
def folders(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Give a place for the system's file and for homes."""
    monkeypatch.setattr(accounts, "SYSTEM_FILE", str(tmp_path / "etc/pysendmail.conf"))
    (tmp_path / "etc").mkdir()
    return tmp_path


def place(path: pathlib.Path, text: str = "host a\n") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_the_callers_own_file_comes_before_the_systems(folders: pathlib.Path) -> None:
    home = str(folders / "home")
    with pytest.raises(ConfigError, match="there is no configuration: neither .*/.config/pysendmail/pysendmail.conf"):
        accounts.find_file(None, home=home, xdg=None, uid=1000)
    system = place(folders / "etc/pysendmail.conf")
    assert accounts.find_file(None, home=home, xdg=None, uid=1000) == system
    own = place(folders / "home/.config/pysendmail/pysendmail.conf")
    assert accounts.find_file(None, home=home, xdg=None, uid=1000) == own
    assert accounts.find_file(None, home=home, xdg="", uid=1000) == own
    assert accounts.find_file(None, home=home, xdg="relative", uid=1000) == own
    xdg = place(folders / "xdg/pysendmail/pysendmail.conf")
    assert accounts.find_file(None, home=home, xdg=str(folders / "xdg"), uid=1000) == xdg
    assert accounts.find_file(None, home=None, xdg=None, uid=1000) == system
    assert accounts.find_file(b"/some/file", home=home, xdg=None, uid=1000) == "/some/file"


def test_without_a_home_only_the_systems_file_is_looked_for(folders: pathlib.Path) -> None:
    for home in (None, "", "relative"):
        with pytest.raises(ConfigError, match="there is no configuration: .*etc/pysendmail.conf does not exist"):
            accounts.find_file(None, home=home, xdg=None, uid=1000)


def test_an_empty_name_is_no_file(folders: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="-C is empty"):
        accounts.find_file(b"", home=None, xdg=None, uid=1000)


def test_a_name_keeps_its_octets() -> None:
    assert os.fsencode(accounts.find_file(b"/\xff\xc3\xbc", home=None, xdg=None, uid=0)) == b"/\xff\xc3\xbc"


@pytest.mark.parametrize("uid", [0, 1000, 65534])
def test_persons_and_root_may_name_a_file(folders: pathlib.Path, uid: int) -> None:
    place(folders / "etc/pysendmail.conf")
    assert accounts.find_file(b"x", home=None, xdg=None, uid=uid) == "x"


@pytest.mark.parametrize("uid", [1, 33, 999])
@pytest.mark.parametrize("text", ["host a\n", "caller_config off\nhost a\n", "nonsense\ncaller_config on\n"])
def test_a_service_may_not_name_a_file_where_the_system_has_one(folders: pathlib.Path, uid: int, text: str) -> None:
    system = place(folders / "etc/pysendmail.conf", text)
    with pytest.raises(NoPermission, match="caller_config") as caught:
        accounts.find_file(b"x", home=None, xdg=None, uid=uid)
    assert caught.value.exit_code == 77
    assert accounts.find_file(None, home=None, xdg=None, uid=uid) == system


def test_a_service_may_name_a_file_where_the_system_permits_it_or_has_none(folders: pathlib.Path) -> None:
    assert accounts.find_file(b"x", home=None, xdg=None, uid=33) == "x"
    place(folders / "etc/pysendmail.conf", "caller_config on\nhost a\nlogfile ~/x\npassword p\n")
    assert accounts.find_file(b"x", home=None, xdg=None, uid=33) == "x"


def test_a_system_file_that_cannot_be_seen_permits_nothing(
    folders: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> os.stat_result:
        raise PermissionError(13, "no")

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(NoPermission):
        accounts.find_file(b"x", home=None, xdg=None, uid=33)


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("host a", [("a", 587, True)]),
        ("host a b:465 [::1]:25", [("a", 587, True), ("b", 465, False), ("::1", 25, True)]),
        ("host a:465 b", [("a", 465, False), ("b", 587, True)]),
        ("host a b\nport 465", [("a", 465, False), ("b", 465, False)]),
        ("host a:587 b\nport 465", [("a", 587, True), ("b", 465, False)]),
        ("host a b:465\ntls_starttls on", [("a", 587, True), ("b", 465, True)]),
        ("host a b:587\ntls_starttls off", [("a", 465, False), ("b", 587, False)]),
        ("host a b:26\ntls off", [("a", 25, True), ("b", 26, True)]),
        ("host srv:example.org b:26", [("srv:example.org", 587, True), ("b", 26, True)]),
    ],
)
def test_each_server_has_its_port_and_way_of_tls(text: str, servers: list[tuple[str, int, bool]]) -> None:
    given = account(text)
    assert [(server.host, server.port, server.starttls) for server in given.servers] == servers
    assert (given.host, given.port, given.tls_starttls) == (servers[0][0].removeprefix("srv:"), *servers[0][1:])


def test_the_servers_of_an_account_are_told_in_words() -> None:
    assert account("host a:25 srv:b.example").server_names() == "a port 25, then srv:b.example"
