"""Configuration files as they are written, by hand, by editors of all kinds, and by mistake."""

import errno
import os
import pathlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.config import reader
from pysendmail.config.words import NOTED, REFUSED, WORDS
from pysendmail.errors import ConfigError

SECRET = b"Hunter2-is-secret"


def words(text: bytes, name: str = "default", **more: str) -> dict[str, object]:
    """Read a text and give the words of one account without their lines."""
    return {word: value for word, (value, _) in reader.parse(text, "conf", **more).accounts[name].words.items()}  # type: ignore[arg-type]


def refusal(text: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        reader.parse(text, "conf")
    assert caught.value.exit_code == 78
    return str(caught.value)


def test_words_above_any_account_describe_the_default_account() -> None:
    assert words(b"host a.example\nport 25\n") == {"host": "a.example", "port": 25}


def test_comments_and_empty_lines_are_passed_over() -> None:
    assert words(b"# host b\n\n  \n\t# port 1\nhost a\n   #\n") == {"host": "a"}


@pytest.mark.parametrize("blank", [b" ", b"\t", b"   ", b" \t ", b"\t\t "])
def test_any_blanks_part_word_and_value_and_surround_them(blank: bytes) -> None:
    assert words(blank + b"user" + blank + b"a" + blank + b"b" + blank) == {"user": b"a" + blank + b"b"}


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (b'" a "', b" a "),
        (b'"a"b"', b'a"b'),
        (b'"a', b'"a'),
        (b'a"b"', b'a"b"'),
        (b'"', b'"'),
        (b'""', None),
        (b'"\\"', b"\\"),
        (b"a # b", b"a # b"),
        (b"= x", b"= x"),
        (b"\xc3\xbc\xff", b"\xc3\xbc\xff"),
    ],
)
def test_quotes_around_the_whole_value_go_and_all_else_stays(value: bytes, meaning: bytes | None) -> None:
    assert words(b"password " + value + b"\n") == {"password": meaning}


@pytest.mark.parametrize(
    "text",
    [
        b"host a\r\nport 25\r\n",
        b"\xef\xbb\xbfhost a\nport 25\n",
        b"host a\nport 25",
        b"host a\r\nport 25\r",
        b"host a   \nport\t25\t\n",
        b"\xef\xbb\xbf# c\r\nhost a\r\n\r\nport 25",
    ],
)
def test_line_ends_and_marks_of_other_editors_make_no_difference(text: bytes) -> None:
    assert words(text) == {"host": "a", "port": 25}


def test_defaults_hold_for_the_accounts_below_and_add_up() -> None:
    text = b"account z\nhost z\ndefaults\nport 26\naccount a\nhost a\ndefaults\ntimeout 5\naccount b\nhost b\n"
    assert words(text, "z") == {"host": "z"}
    assert words(text, "a") == {"port": 26, "host": "a"}
    assert words(text, "b") == {"port": 26, "timeout": 5.0, "host": "b"}


def test_words_above_the_first_account_are_no_defaults() -> None:
    assert words(b"port 26\naccount a\nhost a\n", "a") == {"host": "a"}


def test_an_account_takes_over_what_its_parents_wrote_and_the_later_parent_wins() -> None:
    text = b"account a\nhost a\nport 1\naccount b\nhost b\nuser u\naccount c : a , b\naccount d:b,a\nport 9\n"
    assert words(text, "c") == {"host": "b", "port": 1, "user": b"u"}
    assert words(text, "d") == {"host": "a", "port": 9, "user": b"u"}


def test_a_parents_words_win_over_the_defaults() -> None:
    text = b"account a\nhost a\nport 1\ndefaults\nport 99\ntimeout 3\naccount c : a\n"
    assert words(text, "c") == {"host": "a", "port": 1, "timeout": 3.0}


def test_the_default_account_may_be_another_one_with_changes() -> None:
    text = b"account a\nhost a\nport 1\naccount default : a\nport 2\n"
    assert (words(text)["port"], words(text, "a")["port"]) == (2, 1)


def test_a_word_that_stands_twice_counts_the_second_time_and_leaves_a_note() -> None:
    account = reader.parse(b"account a\nport 1\nport 2\n", "conf").accounts["a"]
    assert account.words["port"] == (2, 3)
    assert account.notes["port"][1] == 3


def test_a_word_that_overrides_defaults_or_a_parent_leaves_no_note() -> None:
    file = reader.parse(b"defaults\nport 1\naccount a\nport 2\naccount b : a\nport 3\n", "conf")
    assert [section.notes for section in file.accounts.values()] == [{}, {}]


def test_a_word_that_stands_twice_above_all_accounts_is_noted_too() -> None:
    assert "port" in reader.parse(b"port 1\nport 2\n", "conf").accounts["default"].notes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"host a\nprot 587\n", 'conf:2: unknown word "prot"'),
        (b"a" * 40 + b" x", 'conf:1: unknown word "' + "a" * 40 + '"'),
        (b"a" * 41 + b" x", "conf:1: not a configuration line"),
        (b"Host a\n", "conf:1: not a configuration line"),
        (b"port=25\n", "conf:1: not a configuration line"),
        (b"\nroot:x:0:0:root:/root:/bin/bash\n", "conf:2: not a configuration line"),
        (b"[smtp]\n", "conf:1: not a configuration line"),
        ("hôst a".encode(), "conf:1: not a configuration line"),
        (b"host a\n\0\0\0", "conf:2: not a configuration line"),
        (b"host a\x1b[2J\n", "conf:1: not a configuration line"),
        (b"host a\rport 25\r", "conf:1: not a configuration line"),
        (b"host a\r\r\n", "conf:1: not a configuration line"),
        (b"host a\x7f\n", "conf:1: not a configuration line"),
        (b"host a\nuser " + b"x" * 16384 + b"\n", "conf:2: not a configuration line"),
        (b"port smtp\n", "conf:1: port: expected a number from 1 to 65535"),
        (b"port 25 # c\n", "conf:1: port: expected a number from 1 to 65535; a comment needs a line of its own"),
        (b"host\n", "conf:1: host: expected a host name or an IP address"),
        (b"defaults x\n", "conf:1: defaults: expected nothing behind it"),
        (b"account\n", "conf:1: account: expected a name"),
        (b"account : a\n", "conf:1: account: expected a name"),
        (b"account a, b\n", "conf:1: account: expected a name"),
        (b"account a # c\n", "conf:1: account: expected a name"),
        (b"account default : a\naccount a\n", "conf:1: account: expected accounts that stand above"),
        (b"account a\naccount b : b\n", "conf:2: account: expected accounts that stand above"),
        (b"account a\naccount b : a,\n", "conf:2: account: expected accounts that stand above"),
        (b"account a\naccount a\n", "conf:2: account: the name was used in line 1"),
        (b"# c\nport 25\naccount default\n", 'conf:3: account: the name was used in line 2 by words above the first'),
        (b"account a\ncaller_config on\n", "conf:2: caller_config: stands above the first account"),
        (b"aliases ~/x\n", "conf:1: aliases: the home folder is not known"),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected(text: bytes, said: str) -> None:
    assert refusal(text).startswith(said)


def test_a_clash_of_two_written_default_accounts_is_no_matter_of_defaults() -> None:
    assert "defaults" not in refusal(b"account default\nport 25\naccount default\n")


@given(st.lists(st.binary(max_size=30), max_size=6), st.sampled_from(sorted(WORDS)))
def test_no_content_is_ever_shown(junk: list[bytes], word: str) -> None:
    text = b"\n".join([*junk, word.encode() + b" " + SECRET, SECRET, b"account " + SECRET + b" : " + SECRET])
    try:
        reader.parse(text, "conf")
    except ConfigError as error:
        assert SECRET.decode() not in str(error)
        assert str(error).isascii() and str(error).isprintable()


@given(st.binary())
def test_any_octets_are_read_or_refused(text: bytes) -> None:
    try:
        reader.parse(text, "conf")
    except ConfigError as error:
        assert error.place and error.place.startswith("conf:")


FINE = {
    "remove_bcc_headers": "on", "keepbcc": "off", "tls_force_sslv3": "off", "logfile_time_format": "", "ntlmdomain": "",
    "proxy_port": "", "proxy_host": "", "socket": "", "tls_priorities": "", "tls_min_dh_prime_bits": "",
    "protocol": "smtp", "received_user": "off",
}  # fmt: skip
OF_CONSEQUENCE = {
    "remove_bcc_headers": "off", "keepbcc": "on", "tls_force_sslv3": "on", "protocol": "lmtp",
    "tls_min_dh_prime_bits": "512", "received_user": "on",
}  # fmt: skip


@pytest.mark.parametrize("word", sorted(word for word, row in WORDS.items() if row[0] == NOTED))
def test_a_word_that_does_nothing_leaves_a_note_with_its_line(word: str) -> None:
    value = OF_CONSEQUENCE.get(word, "x")
    account = reader.parse(f"host a\n{word} {value}\n".encode(), "conf").accounts["default"]
    assert account.notes[word][1] == 2
    assert word not in account.words


@pytest.mark.parametrize("word", sorted(word for word, row in WORDS.items() if row[0] == REFUSED))
def test_a_word_that_cannot_be_ignored_is_refused(word: str) -> None:
    value = OF_CONSEQUENCE.get(word, "/x")
    assert refusal(f"host a\n{word} {value}\n".encode()).startswith(f"conf:2: {word}: ")


@pytest.mark.parametrize(("word", "value"), sorted(FINE.items()))
def test_a_word_that_asks_for_what_holds_anyway_is_fine(word: str, value: str) -> None:
    account = reader.parse(f"host a\n{word} {value}\n".encode(), "conf").accounts["default"]
    assert (account.notes, list(account.words)) == ({}, ["host"])


@pytest.mark.parametrize(
    ("text", "word", "value"),
    [
        (b"add_missing_from_header off", "set_from_header", "off"),
        (b"add_missing_date_header off", "set_date_header", "off"),
        (b"connect_timeout 9", "timeout", 9.0),
        (b"tls_nostarttls", "tls_starttls", False),
        (b"tls_nocertcheck", "tls_certcheck", False),
    ],
)
def test_an_older_spelling_acts_as_the_word_of_today(text: bytes, word: str, value: object) -> None:
    assert words(text) == {word: value}


def test_a_tilde_stands_for_the_home_folder() -> None:
    found = words(b"aliases ~/a\ntls_trust_file ~/ca\nlogfile ~/l\npassword ~/p\n", home="/home/alice")
    assert list(found.values()) == ["/home/alice/a", "/home/alice/ca", "/home/alice/l", b"~/p"]


@pytest.mark.parametrize(
    ("text", "permitted"),
    [
        (b"caller_config on\nhost a", True),
        (b"host a\n", False),
        (b"defaults\ncaller_config\naccount a\nhost a\n", True),
        (b"caller_config on\ncaller_config off\n", False),
    ],
)
def test_caller_config_holds_for_the_whole_file(text: bytes, permitted: bool) -> None:
    assert reader.parse(text, "conf").caller_config is permitted


def test_caller_config_alone_makes_no_account() -> None:
    assert list(reader.parse(b"caller_config on\naccount a\nhost a\n", "conf").accounts) == ["a"]


def write(folder: pathlib.Path, text: bytes, mode: int = 0o600, name: str = "conf") -> str:
    path = folder / name
    path.write_bytes(text)
    path.chmod(mode)
    return str(path)


def load(path: str) -> reader.File:
    return reader.load(path, uid=os.getuid(), home="/home/alice")


def test_a_file_is_read_with_its_name_as_the_place(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, b"host a\nlogfile ~/x\n")
    file = load(path)
    assert (file.place, file.at(2)) == (path, f"{path}:2")
    assert file.accounts["default"].words["logfile"] == ("/home/alice/x", 2)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o602])
def test_a_password_that_others_can_read_is_refused_with_the_remedy(tmp_path: pathlib.Path, mode: int) -> None:
    path = write(tmp_path, b"host a\npassword geheim\n", mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        load(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_password_that_its_owner_alone_can_read_is_fine(tmp_path: pathlib.Path, mode: int) -> None:
    assert load(write(tmp_path, b"password geheim\n", mode)).secrets == {"password"}


def test_a_password_in_unused_defaults_is_a_password_too(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, b"account a\nhost a\ndefaults\npassword geheim\n", 0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load(path)


@pytest.mark.parametrize("mode", [0o644, 0o664, 0o640])
def test_a_file_without_a_secret_may_be_read_by_all(tmp_path: pathlib.Path, mode: int) -> None:
    load(write(tmp_path, b"host a\nuser u\n", mode))
    load(write(tmp_path, b"host a\nuser u\npasswordeval pass show mail\n", mode))


def test_a_command_that_anybody_can_change_is_refused(tmp_path: pathlib.Path) -> None:
    load(write(tmp_path, b"host a\n", 0o666))
    with pytest.raises(ConfigError, match="passwordeval stands in it and others can write it"):
        load(write(tmp_path, b"host a\npasswordeval true\n", 0o666))


@pytest.mark.parametrize("word", ["password", "passwordeval"])
def test_a_secret_in_the_file_of_a_stranger_is_refused(tmp_path: pathlib.Path, word: str) -> None:
    path = write(tmp_path, f"host a\n{word} x\n".encode())
    stranger = os.getuid() + 4321
    if os.getuid() == 0:
        os.chown(path, stranger, -1)
        with pytest.raises(ConfigError, match="must belong to you or to root"):
            reader.load(path, uid=0)
        assert reader.load(path, uid=stranger).secrets == {word}
    else:
        with pytest.raises(ConfigError, match="must belong to you or to root"):
            reader.load(path, uid=stranger)


def test_the_rights_that_count_are_those_of_the_file_behind_a_link(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, b"password geheim\n", 0o644)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(ConfigError, match="chmod 600"):
        load(str(tmp_path / "link"))
    os.chmod(path, 0o600)
    assert load(str(tmp_path / "link")).secrets


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    for name in (tmp_path / "fifo", tmp_path / "socket", tmp_path, "/dev/zero"):
        with pytest.raises(ConfigError, match="not a regular file"):
            load(str(name))
    listener.close()


def test_a_file_that_became_a_pipe_in_the_meantime_does_not_hang(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.stat(write(tmp_path, b"host a\n", name="plain"))
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setattr(os, "stat", lambda name: plain)
    with pytest.raises(ConfigError, match="not a regular file"):
        load(str(tmp_path / "fifo"))


def test_a_missing_file_and_an_impossible_name_are_errors_of_the_configuration(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="gone: cannot be read: No such file"):
        load(str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="is no file name"):
        load("/a\0b")


def test_a_file_that_may_not_be_read_is_an_error(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "no")

    path = write(tmp_path, b"host a\n")
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load(path)


def test_a_file_beyond_all_measure_is_refused(tmp_path: pathlib.Path) -> None:
    load(write(tmp_path, b"#\n" * (reader.FILE_LIMIT // 2)))
    with pytest.raises(ConfigError, match="larger than 1024 KiB"):
        load(write(tmp_path, b"#\n" * (reader.FILE_LIMIT // 2) + b"#"))


def test_control_characters_in_a_files_name_are_not_shown(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, b"x y\n", name="a\x1b[31m\nb"))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "msmtp"),
    [
        ("/h/.msmtprc", True),
        ("/etc/msmtprc", True),
        ("msmtprc", True),
        ("/h/.config/msmtp/config", True),
        ("/h/.config/pysendmail/pysendmail.conf", False),
        ("/h/xmsmtprc", False),
    ],
)
def test_a_file_of_msmtp_is_known_by_its_name(name: str, msmtp: bool) -> None:
    assert reader.is_msmtp(name) is msmtp
