"""What the parent and accept are given of a configuration is the whole of it but for what is secret."""

import os
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.config import reader
from pysendmail.daemon import configuration


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (b"password geheim", b"password secret"),
        (b"  password\t geheim  \nuser a", b"password secret\nuser a"),
        (b'password "a b # c"\r\nuser a\r\n', b"password secret\nuser a\r\n"),
        (b"passwordeval pass show mail", b"passwordeval secret"),
        (b"password", b"password"),
        (b'password ""', b'password ""'),
        (b'password "', b"password secret"),
        (b"# password geheim\nhost a", b"\nhost a"),
        (b"\xef\xbb\xbfpassword geheim", b"password secret"),
        (b"host password", b"host password"),
        (b"from_full_name password geheim", b"from_full_name password geheim"),
    ],
)
def test_a_placeholder_stands_for_each_secret_and_lines_stay_where_they_are(text: bytes, left: bytes) -> None:
    assert configuration.without_secrets(text) == left


WORDS = st.sampled_from([b"password", b"passwordeval", b"user", b"from_full_name", b"#password", b"account", b"host"])
BLANKS = st.sampled_from([b" ", b"\t", b"  ", b" \t "])
VALUES = st.sampled_from([b"G3heim", b'"G3heim"', b"G3heim G3heim", b"", b'""', b'"', b"plain", b" x"])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\n\n"])
LINES = st.lists(st.tuples(st.sampled_from([b"", b" ", b"\t"]), WORDS, BLANKS, VALUES, ENDS).map(b"".join))


@given(LINES)
def test_whatever_the_reader_takes_for_a_secret_is_gone_and_all_else_is_read_the_same(lines: list[bytes]) -> None:
    text = b"".join(lines)
    try:
        before = reader.parse(text, "conf")
    except errors.ConfigError:
        return
    after = reader.parse(configuration.without_secrets(text), "conf")
    assert list(after.accounts) == list(before.accounts)
    for name, section in before.accounts.items():
        other = after.accounts[name]
        assert {word: line for word, (_, line) in section.words.items()} == {word: line for word, (_, line) in other.words.items()}
        for word, (value, _) in section.words.items():
            if word in ("password", "passwordeval"):
                assert other.words[word][0] == (None if value is None else b"secret")
            else:
                assert other.words[word][0] == value


def write(folder: pathlib.Path, text: str) -> str:
    path = folder / "conf"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_the_secrets_are_there_for_who_may_have_them_and_for_nobody_else(tmp_path: pathlib.Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    found = configuration.read(write(tmp_path, "host a\nuser u\npassword geheim\n"), "")
    (tmp_path / "conf").unlink()
    assert found.file.accounts["default"].words["password"] == (b"secret", 3)
    assert found.with_secrets().accounts["default"].words["password"] == (b"geheim", 3)
    assert found.with_secrets().accounts["default"].words["password"] == (b"geheim", 3)
    found.close()
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("host a\nnonsense\n", 'conf:2: unknown word "nonsense"'),
        ("account a\nhost a\naccount b\n", "conf: account b needs the word host"),
        ("defaults\nport 25\n", "conf: it has no account"),
        ("host a\npassword p\x01q\n", "conf:2: not a configuration line"),
    ],
)
def test_what_is_wrong_is_told_as_everywhere_and_leaves_nothing_open(tmp_path: pathlib.Path, text: str, said: str) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(errors.ConfigError) as caught:
        configuration.read(write(tmp_path, text), "")
    assert said in str(caught.value)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_file_that_others_can_read_is_refused_but_for_the_service_manager_s(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, "host a\npassword p\n")
    os.chmod(path, 0o440)
    with pytest.raises(errors.ConfigError, match="chmod 600"):
        configuration.read(path, "")
    configuration.read(path, "", str(tmp_path)).close()


def test_a_file_of_any_size_that_is_permitted_comes_through(tmp_path: pathlib.Path) -> None:
    text = "host a\n" + "# " + "x" * 16000 + "\n" + "user u\nfrom_full_name y\n" * 20000
    found = configuration.read(write(tmp_path, text), "")
    assert found.file.accounts["default"].words["user"] == (b"u", 40001)
    found.close()


def test_a_reader_that_dies_is_told_as_a_passing_failure(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "checked", lambda *_: os._exit(3))
    with pytest.raises(errors.TempFail, match="could not be read"):
        configuration.read(write(tmp_path, "host a\n"), "")
    monkeypatch.setattr(configuration, "checked", lambda *_: 1 / 0)
    with pytest.raises(errors.TempFail, match="internal error in reading the configuration: ZeroDivisionError"):
        configuration.read(write(tmp_path, "host a\n"), "")
