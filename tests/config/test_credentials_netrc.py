"""netrc files: what people write in them, and who may read them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.config import netrc


def write(folder: Path, text: bytes, mode: int = 0o600, name: str = "netrc") -> str:
    path = folder / name
    path.write_bytes(text)
    path.chmod(mode)
    return str(path)


def password(path: str, host: bytes = b"smtp.example.com", user: bytes = b"tim", port: int = 587) -> bytes | None:
    entry = netrc.find([path], host, user, port)
    return entry.password if entry else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"machine smtp.example.com login tim password secret", b"secret"),
        (b"machine smtp.example.com\n\tlogin tim\n\tpassword secret\n", b"secret"),
        (b"machine\nsmtp.example.com\nlogin\ntim\npassword\nsecret\r\n", b"secret"),
        (b"machine SMTP.Example.COM login tim password secret", b"secret"),
        (b"machine smtp.example.com user tim passwd secret", b"secret"),
        (b"machine smtp.example.com password secret login tim", b"secret"),
        (b"machine smtp.example.com password secret", b"secret"),
        (b"machine smtp.example.com account a login tim password secret", b"secret"),
        (b"machine smtp.example.com login tim password #secret#", b"#secret#"),
        (b"machine smtp.example.com login tim password sec#ret # a comment", b"sec#ret"),
        (b'machine smtp.example.com login tim password "two words"', b"two words"),
        (b'machine smtp.example.com login tim password "a \\"b\\" \\\\"', b'a "b" \\'),
        (b"machine smtp.example.com login tim password a\\ b\\\\c", b"a b\\c"),
        (b'machine smtp.example.com login "tim" password in"side', b'in"side'),
        (b'machine smtp.example.com login tim password ""', b""),
        (b"machine smtp.example.com login tim password end\\", b"end\\"),
        (b"machine smtp.example.com login tim password p\xe4ss\xff", b"p\xe4ss\xff"),
        (b"machine smtp.example.com login tim password machine", b"machine"),
        (b'# a lone " quote\nmachine smtp.example.com login tim password secret', b"secret"),
        (b"machine smtp.example.com login tim # it's \"so\npassword secret", b"secret"),
        (b"unknown machine smtp.example.com login tim password secret", b"secret"),
        (b"machine smtp.example.com login tom password one\nmachine smtp.example.com login tim password two", b"two"),
        (b"machine other.example.com login tim password one\nmachine smtp.example.com login tim password two", b"two"),
        (b"machine smtp.example.com login tim password one\nmachine smtp.example.com login tim password two", b"one"),
        (b"machine smtp.example.com login tim\nmachine smtp.example.com login tim password two", b"two"),
        (b"machine smtp.example.com port 25 login tim password one", None),
        (b"machine smtp.example.com port 587 login tim password one", b"one"),
        (b"machine smtp.example.com port submission login tim password one", b"one"),
        (b"default login tim password secret", b"secret"),
        (b"default login anonymous password me@here", None),
        (b"machine smtp.example.com login tim password secret default login tim password other", b"secret"),
        (b"default login tim password other\nmachine smtp.example.com login tim password secret", b"secret"),
        (b"machine a macdef init\nmachine smtp.example.com login tim password no\n\n", None),
        (b'macdef init\nput "x\nquit\n\nmachine smtp.example.com login tim password secret', b"secret"),
        (b"macdef init\nmachine smtp.example.com login tim password no", None),
        (b"machine smtp.example.com login Tim password secret", None),
        (b"machine example.com login tim password secret", None),
        (b"machine smtp.example.com login tim password", None),
        (b"login tim password secret", None),
        (b"machine", None),
        (b"", None),
    ],
)
def test_the_password_of_the_first_fitting_entry_is_found(tmp_path: Path, text: bytes, expected: bytes | None) -> None:
    assert password(write(tmp_path, text)) == expected


def test_without_a_user_the_first_entry_with_a_login_gives_him(tmp_path: Path) -> None:
    path = write(tmp_path, b"machine h password x\nmachine h login tim password secret")
    entry = netrc.find([path], b"h", b"", 587)
    assert entry is not None
    assert (entry.login, entry.password) == (b"tim", b"secret")


def test_the_second_file_is_asked_if_the_first_knows_nothing(tmp_path: Path) -> None:
    one = write(tmp_path, b"machine other login tim password one", name="one")
    two = write(tmp_path, b"machine h login tim password two", name="two")
    for paths in ([one, two], [str(tmp_path / "missing"), two], [str(tmp_path), two], ["/dev/null\0", two]):
        entry = netrc.find(paths, b"h", b"tim", 587)
        assert entry is not None
        assert entry.password == b"two"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o601, 0o666])
def test_a_password_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path, b"machine smtp.example.com login tim password hush", mode)
    with pytest.raises(errors.ConfigError, match="chmod 600") as caught:
        password(path)
    assert str(caught.value).startswith(path + ": ")
    assert "hush" not in str(caught.value)


def test_an_open_file_without_our_password_does_no_harm(tmp_path: Path) -> None:
    assert password(write(tmp_path, b"machine other login tim password x", 0o644)) is None


def test_an_unclosed_quote_names_file_and_line_and_no_secret(tmp_path: Path) -> None:
    path = write(tmp_path, b'machine a login b\npassword "hush hush\nmachine c')
    with pytest.raises(errors.ConfigError, match="quote") as caught:
        password(path)
    assert caught.value.place == f"{path}:2"
    assert "hush" not in str(caught.value)


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "netrc")
    assert password(str(tmp_path / "netrc")) is None


def test_a_large_file_is_read_in_one_pass(tmp_path: Path) -> None:
    line = b"machine m login tim password x\n"
    text = line * 30_000 + b"machine smtp.example.com login tim password secret"
    assert password(write(tmp_path, text)) == b"secret"
    assert password(write(tmp_path, b'"' + b"\\" * (1 << 19) + b'"')) is None


_WORD = st.binary(min_size=1, max_size=20).filter(lambda word: not set(word) & set(b"\n\0"))


@settings(deadline=None)
@given(user=_WORD, secret=_WORD)
def test_any_password_can_be_written_in_quotes(
    tmp_path_factory: pytest.TempPathFactory, user: bytes, secret: bytes
) -> None:
    def quoted(word: bytes) -> bytes:
        return b'"' + word.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'

    folder = tmp_path_factory.mktemp("netrc")
    path = write(folder, b"machine h login %b password %b" % (quoted(user), quoted(secret)))
    assert password(path, b"h", user) == secret


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_octets_give_an_answer_or_one_clear_error(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = write(tmp_path_factory.mktemp("netrc"), b"machine h login tim password x\n" + text)
    try:
        assert password(path, b"h") == b"x"
    except errors.ConfigError as error:
        assert "quote" in error.text
