"""The words that hold for the whole daemon, and the sections of callers, as they are written and miswritten."""

import subprocess
import sys

import pytest

from pysendmail.config import callers, reader
from pysendmail.config.callers import ANY, EVERYBODY, GROUP, LISTENER, USER, Rule
from pysendmail.config.daemon import DAEMON_WORDS, Daemon
from pysendmail.config.words import OF_THE_DAEMON, WORDS
from pysendmail.errors import ConfigError
from tests.imports import ROOT


def daemon(text: str, home: str = "/home/alice") -> Daemon:
    return reader.parse(text.encode(), "conf", home=home).daemon


def rule(lines: str, name: str = "alice") -> Rule:
    return daemon(f"host h\ncaller {name}\n{lines}\n").callers[0]


def refusal(text: str, home: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        reader.parse(text.encode(), "conf", home=home)
    assert caught.value.exit_code == 78
    return str(caught.value)


def test_a_file_without_such_words_has_the_defaults() -> None:
    file = reader.parse(b"host h\n", "conf")
    assert file.written is None
    found = file.daemon
    assert (found.listen, found.submission_socket, found.run_as, found.idle_exit) == ([], None, None, None)
    assert (found.received_user, found.callers) == (False, [])


def test_reading_a_file_without_such_words_loads_nothing_for_them() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom pysendmail.config import reader\n"
        "reader.parse(b'host h\\nuser u\\naccount a\\nhost b\\n', 'conf')\n"
        "print([name for name in sys.modules if name in ('pysendmail.config.daemon', 'pysendmail.config.callers')])"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_word_is_of_accounts_and_of_the_daemon() -> None:
    assert set(OF_THE_DAEMON) == {*DAEMON_WORDS, "caller"}
    assert set(OF_THE_DAEMON).isdisjoint(WORDS)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("127.0.0.1:25", [("127.0.0.1", 25, False)]),
        ("127.1.2.3:2525", [("127.1.2.3", 2525, False)]),
        ("[::1]:2525", [("::1", 2525, False)]),
        ("[0:0:0:0:0:0:0:1]:25", [("::1", 25, False)]),
        ("localhost:587", [("127.0.0.1", 587, False), ("::1", 587, True)]),
        ("LocalHost:587", [("127.0.0.1", 587, False), ("::1", 587, True)]),
        ("127.0.0.1:25 [::1]:25", [("127.0.0.1", 25, False), ("::1", 25, False)]),
    ],
)
def test_the_listener_takes_addresses_of_this_machine(value: str, meaning: object) -> None:
    assert daemon(f"listen {value}\nhost h\n").listen == meaning


@pytest.mark.parametrize(
    "value",
    [
        "0.0.0.0:25", "192.0.2.1:25", "[::]:25", "[2001:db8::1]:25", "[::ffff:127.0.0.1]:25", "::1:25", "25", ":25",
        "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:smtp", "127.1:25", "[127.0.0.1]:25",
        "mail.example:25", "*:25", "", "127.0.0.1:25 0.0.0.0:26", "localhost.example:25", "[::1%lo]:25", "[::1]25",
        "0x7f.0.0.1:25", "2130706433:25",
    ],
)  # fmt: skip
def test_the_listener_takes_no_other_address_and_says_why(value: str) -> None:
    said = refusal(f"host h\nlisten {value}\n")
    assert said.startswith("conf:2: listen: expected 127.0.0.1:PORT, [::1]:PORT or localhost:PORT; only programs of")


def test_several_listeners_add_up_and_none_stands_twice() -> None:
    assert len(daemon("listen 127.0.0.1:25\nlisten [::1]:25\n").listen) == 2
    assert refusal("listen [::1]:25\nlisten localhost:25\n").startswith("conf:2: listen: expected an address that does")


@pytest.mark.parametrize(
    ("line", "word", "meaning"),
    [
        ("submission_socket /run/x.sock", "submission_socket", "/run/x.sock"),
        ("submission_socket ~/x.sock", "submission_socket", "/home/alice/x.sock"),
        ("run_as pysendmail", "run_as", ("pysendmail", None)),
        ("run_as mail:adm", "run_as", ("mail", "adm")),
        ("run_as 99:100", "run_as", ("99", "100")),
        ("run_as svc$", "run_as", ("svc$", None)),
        ("idle_exit 10m", "idle_exit", 600.0),
        ("idle_exit off", "idle_exit", None),
        ("received_user on", "received_user", True),
        ("received_user", "received_user", True),
    ],
)
def test_a_word_of_the_daemon_has_its_value(line: str, word: str, meaning: object) -> None:
    for text in (f"{line}\nhost h\n", f"host h\n{line}\n", f"defaults\n{line}\naccount default\nhost h\n"):
        assert getattr(daemon(text), word) == meaning


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("submission_socket\n", "conf:1: submission_socket: expected a path"),
        ("submission_socket x\n", "conf:1: submission_socket: expected a path"),
        ("submission_socket /run/\n", "conf:1: submission_socket: expected a path"),
        ("submission_socket ~/x\n", "conf:1: submission_socket: expected the whole path"),
        (f"submission_socket /{'x' * 107}\n", "conf:1: submission_socket: expected a path of at most 107 octets"),
        ("run_as\n", "conf:1: run_as: expected a user"),
        ("run_as a:\n", "conf:1: run_as: expected a user"),
        ("run_as :a\n", "conf:1: run_as: expected a user"),
        ("run_as -x\n", "conf:1: run_as: expected a user"),
        ("run_as a b\n", "conf:1: run_as: expected a user"),
        ("idle_exit soon\n", "conf:1: idle_exit: expected a time"),
        ("idle_exit 0\n", "conf:1: idle_exit: expected a time"),
        ("received_user maybe\n", "conf:1: received_user: expected on or off"),
        ("run_as a\nrun_as b\n", "conf:2: run_as: expected it once; it stands in line 1 already"),
        ("account a\nhost h\nlisten 127.0.0.1:25\n", "conf:3: listen: stands above the first account"),
        ("account a\nhost h\nrun_as x\n", "conf:3: run_as: stands above the first account"),
        ("caller a\nlisten 127.0.0.1:25\n", "conf:2: listen: is no word of a caller; it stands above the first account"),
        ("caller a\nhost h\n", 'conf:2: host: is no word of a caller; it stands below "account" or "defaults"'),
        ("caller a\nsend x\n", 'conf:2: unknown word "send"'),
        ("caller a\nPassword x\n", "conf:2: not a configuration line"),
        ("caller\n", "conf:1: caller: expected a login, a uid"),
        ("caller @\n", "conf:1: caller: expected a login, a uid"),
        ("caller any\n", "conf:1: caller: expected a login, a uid"),
        ("caller all\n", "conf:1: caller: expected a login, a uid"),
        ("caller a b\n", "conf:1: caller: expected a login, a uid"),
        ("caller a,b\n", "conf:1: caller: expected a login, a uid"),
        ("caller a # him\n", "conf:1: caller: expected a login, a uid"),
        ("caller a@b\n", "conf:1: caller: expected a login, a uid"),
        ("caller www*\n", "conf:1: caller: expected a login, a uid"),
        ("caller 4294967295\n", "conf:1: caller: expected a login, a uid"),
        ("caller 007\n", "conf:1: caller: expected a login, a uid"),
        ("caller @ staff\n", "conf:1: caller: expected a login, a uid"),
        ("caller a\ncaller b\ncaller a\n", "conf:3: caller: expected another name; this one has a section at conf:1"),
        ("caller *\ncaller *\n", "conf:2: caller: expected another name"),
        ("caller a\nuse_account b\naccount c\nhost h\n", "conf:2: use_account: there is no account of this name"),
        ("caller a\nuse_account\n", "conf:2: use_account: expected the name of an account"),
        ("caller a\ndeny off\ndeny on\n", "conf:3: deny: expected it once; it stands in line 2 already"),
        ("caller listener\nsenders %U@x.org\n", "conf:2: senders: %U: who connects to the listener has no login"),
        ("caller listener\nsenders any\nalign %U@x.org\n", "conf:3: align: %U: who connects"),
        ("caller a\nsenders b@x.org\nalign c@x.org\n", "conf:3: align: expected one of the addresses of senders"),
        ("caller a\nsenders *@x.org\nalign on\n", "conf:3: align: on: needs an address in senders that is no pattern"),
        ("caller a\nalign on\n", "conf:2: align: on: needs an address in senders"),
        ("caller a\nalign a\n", "conf:2: align: expected on, off or one mail address with its domain"),
        ("caller a\nalign *@x.org\n", "conf:2: align: expected on, off or one mail address"),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


@pytest.mark.parametrize("word", ["senders", "size", "rate", "messages"])
@pytest.mark.parametrize("value", ["", "x y@z z", "-1", "1x/h", "a@b@c", "@", "*", "sales-*@x.org", '"a@x.org', "a@"])
def test_a_wrong_value_of_a_caller_is_named_and_not_shown(word: str, value: str) -> None:
    said = refusal(f"host h\ncaller a\n{word} {value}\n")
    assert said.startswith(f"conf:3: {word}: expected ")
    assert value not in said.partition("expected")[2] or value in ("", "@", "*")


@pytest.mark.parametrize("line", ["size 0", "size 5MM", "size K", "size 5.5M", "messages 0", "rate 0/h", "rate 5"])
def test_a_limit_that_is_none_is_refused(line: str) -> None:
    assert refusal(f"host h\ncaller a\n{line}\n").startswith(f"conf:3: {line.split()[0]}: expected off, or ")


def test_the_least_limits_are_taken() -> None:
    found = rule("size 1\nmessages 1\nrate 1/s")
    assert (found.size, found.messages, found.rate) == (1, 1, (1, 1.0))


def test_a_word_above_a_headless_account_or_below_it_is_the_same() -> None:
    for text in (b"caller_config on\nhost h\n", b"host h\ncaller_config on\n"):
        assert reader.parse(text, "conf").caller_config


@pytest.mark.parametrize(
    ("name", "kind", "bare", "number"),
    [
        ("alice", USER, b"alice", None),
        ("www-data", USER, b"www-data", None),
        ("svc$", USER, b"svc$", None),
        ("1000", USER, b"1000", 1000),
        ("0", USER, b"0", 0),
        ("@staff", GROUP, b"staff", None),
        ("@domain users", GROUP, b"domain users", None),
        ("@27", GROUP, b"27", 27),
        ("listener", LISTENER, b"", None),
        ("*", EVERYBODY, b"", None),
    ],
)
def test_a_section_is_of_a_user_a_group_the_listener_or_everybody(
    name: str, kind: str, bare: bytes, number: int | None
) -> None:
    found = rule("deny off", name)
    assert (found.kind, found.name, found.number, found.place) == (kind, bare, number, "conf:2")


@pytest.mark.parametrize(
    ("value", "patterns"),
    [
        ("alice@Example.ORG", [(b"alice", b"example.org")]),
        ("Alice@example.org", [(b"alice", b"example.org")]),
        ("*@Example.org", [(None, b"example.org")]),
        ("any", [ANY]),
        ("ANY", [ANY]),
        ("a@x.org, b@y.org *@z.org", [(b"a", b"x.org"), (b"b", b"y.org"), (None, b"z.org")]),
        ("<a@x.org>", [(b"a", b"x.org")]),
        ('"alice"@x.org', [(b"alice", b"x.org")]),
        ('"Al Ice"@x.org b@y.org', [(b"al ice", b"x.org"), (b"b", b"y.org")]),
        ('b@y.org "*"@x.org', [(b"b", b"y.org"), (b"*", b"x.org")]),
        ("a@bücher.example", [(b"a", b"xn--bcher-kva.example")]),
        ("*@bücher.example", [(None, b"xn--bcher-kva.example")]),
        ("*@x.org.", [(None, b"x.org")]),
        ("ä@x.org", ["ä".encode(), b"x.org"]),
        ("%U@x.org", [(b"%U", b"x.org")]),
        ("Web-%U@x.org", [(b"web-%U", b"x.org")]),
        ("joe%unix@x.org", [(b"joe%unix", b"x.org")]),
        ("a@[192.0.2.1]", [(b"a", b"[192.0.2.1]")]),
    ],
)
def test_senders_are_kept_as_they_are_compared(value: str, patterns: list[object]) -> None:
    expected = [tuple(patterns)] if patterns and isinstance(patterns[0], bytes) else patterns
    assert rule(f"senders {value}").senders == expected


def test_lines_of_senders_add_up() -> None:
    assert rule("senders a@x.org\nsize 1\nsenders b@x.org").senders == [(b"a", b"x.org"), (b"b", b"x.org")]


@pytest.mark.parametrize(
    ("lines", "aligned"),
    [
        ("senders *@x.org Alice@x.org b@x.org\nalign on", b"Alice@x.org"),
        ("senders *@x.org\nalign Alice@X.org", b"Alice@X.org"),
        ("senders alice@x.org\nalign ALICE@x.org", b"ALICE@x.org"),
        ("align b@x.org\nsenders a@x.org b@x.org", b"b@x.org"),
        ("senders %U@x.org\nalign", b"%U@x.org"),
        ("senders any\nalign a@x.org", b"a@x.org"),
        ("align a@bücher.example", b"a@xn--bcher-kva.example"),
        ("senders a@x.org\nalign off", None),
        ("senders a@x.org", None),
    ],
)
def test_the_address_that_replaces_others_is_one_of_the_senders(lines: str, aligned: bytes | None) -> None:
    assert rule(lines).aligned == aligned


@pytest.mark.parametrize(
    ("value", "octets"), [("1", 1), ("500K", 512000), ("10M", 10 << 20), ("10m", 10 << 20), ("1G", 1 << 30), ("off", None)]
)
def test_a_size_is_in_octets_or_in_units_of_1024(value: str, octets: int | None) -> None:
    assert rule(f"size {value}").size == octets


def test_the_limits_of_a_caller_have_their_values() -> None:
    found = rule("rate 100/h\nmessages 1000\ndeny on\nuse_account default")
    assert (found.rate, found.messages, found.deny, found.use_account) == ((100, 3600.0), 1000, True, "default")
    free = rule("rate off\nmessages off\ndeny off\nsize off")
    assert (free.rate, free.messages, free.deny, free.size, free.use_account) == (None, None, False, None, None)


def test_a_rate_of_an_account_and_of_a_caller_are_different_words() -> None:
    file = reader.parse(b"caller a\nrate 5/m\naccount default\nhost h\nrate 7/m\n", "conf")
    assert file.daemon.callers[0].rate == (5, 60.0)
    assert file.accounts["default"].words["rate"][0] == (7, 60.0)


def test_a_section_ends_at_an_account_at_the_defaults_and_at_another_section() -> None:
    file = reader.parse(
        b"host h\ncaller a\nsize 1\ncaller b\nsize 2\ndefaults\nport 26\naccount x\nhost i\ncaller c\nsize 3\n", "conf"
    )
    assert [one.size for one in file.daemon.callers] == [1, 2, 3]
    assert (list(file.accounts), file.accounts["x"].words["port"][0]) == (["default", "x"], 26)


def test_an_account_that_is_forced_may_stand_below() -> None:
    file = reader.parse(b"caller a\nuse_account work\naccount work\nhost h\n", "conf")
    assert file.daemon.callers[0].use_account == "work"


def test_the_words_of_a_section_are_attributes_of_a_rule() -> None:
    assert set(callers.CALLER_WORDS) <= set(Rule.__slots__)
    assert set(DAEMON_WORDS) <= set(Daemon.__slots__)
