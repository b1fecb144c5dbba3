"""Files that are no configuration, or want to be more than one."""

import os
import pathlib

import pytest

from pysendmail.config import accounts, reader
from pysendmail.config.foreign.convert import convert
from pysendmail.errors import ConfigError
from tests.foreign.place import MAIN, Place, lost

TOOLS = sorted(MAIN)
START = {"ssmtp": "mailhub=", "nullmailer": "", "dma": "SMARTHOST "}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    "content",
    [b"\x7fELF\x02\x01\x01\0\0\0", b"a\rb\n", os.urandom(3000).replace(b"\n", b"\0"), b"x" * 20000, b"mail\0.example\n"],
    ids=["binary", "bare CR", "noise", "long line", "NUL"],
)
def test_what_is_no_configuration_is_refused_without_being_shown(place: Place, tool: str, content: bytes) -> None:
    place.write(MAIN[tool], content)
    with pytest.raises(ConfigError) as caught:
        place.account(tool)
    assert str(caught.value) == f"{place.main(tool)}:1: not a configuration line"


@pytest.mark.parametrize("tool", TOOLS)
def test_a_huge_file_a_folder_and_a_pipe_are_refused_at_once(place: Place, tool: str) -> None:
    path = place.write(MAIN[tool], b"#\n" * (1 << 20))
    with pytest.raises(ConfigError, match="is larger than 1024 KiB"):
        place.account(tool)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="is not a regular file"):
        place.account(tool)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is not a regular file"):
        place.account(tool)


def test_a_pipe_beside_the_file_is_refused_at_once(place: Place) -> None:
    place.write("ssmtp/ssmtp.conf", "mailhub=mail\n")
    os.mkfifo(place.etc / "ssmtp/revaliases")
    with pytest.raises(ConfigError, match="is not a regular file"):
        place.account("ssmtp")


def test_a_file_that_names_itself_as_another_one_is_read_once(place: Place) -> None:
    path = place.write("dma/dma.conf", f"SMARTHOST mail\nMAILNAME {place.etc}/dma/dma.conf\n")
    with pytest.raises(ConfigError, match=f"{path}:2: domain: expected"):
        place.account("dma")


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("host", ["x\ttls off", "a b", "`id`", "$(id)", "-x", "é", "mail;id", "x" * 300])
def test_no_value_becomes_another_word(place: Place, tool: str, host: str) -> None:
    place.write(MAIN[tool], f"{START[tool]}{host}\n")
    try:
        account = place.account(tool)
    except ConfigError as failure:
        assert host not in str(failure)
    else:
        assert account.host in ("x", "a", "xn--9ca")


def test_names_of_reverse_aliases_cannot_become_structure(place: Place) -> None:
    names = ["a,b", "default", "DEFAULT", "\u00e4", "*", "@mail", "listener", "0", "-x", "x y", "www-data"]
    place.write("ssmtp/ssmtp.conf", "mailhub=mail\n")
    place.write("ssmtp/revaliases", "".join([f"{name}:z{number}@y.example\n" for number, name in enumerate(names)]))
    file = reader.load(place.main("ssmtp"), uid=12345678, home="")
    assert list(file.accounts)[:5] == ["default", "a_b", "default_2", "default_3", "__"]
    assert [rule.shown for rule in file.daemon.callers] == ["www-data"]
    assert len(lost(place.convert("ssmtp"))) == 10
    assert accounts.choose(file)[0].sender is not None
    place.write("ssmtp/revaliases", "x: not an address!\n")
    with pytest.raises(ConfigError, match=r"revaliases:1: from: expected one mail address"):
        place.account("ssmtp", sender=b"not")


def test_a_password_is_nowhere_in_the_account_of_the_lines(place: Place) -> None:
    secret = "geheim-4711"
    place.write("ssmtp/ssmtp.conf", f"mailhub=mail\nAuthPass={secret}\nAuthUser=alice\n {secret}\n{secret} = x\nUseTLS=YES\n")
    place.write("nullmailer/remotes", f"mail smtp tls user=alice pass={secret}\nother smtp pass={secret}\nmail smtp {secret}\n")
    place.write("dma/auth.conf", f"alice|mail:{secret}\nalice|else:{secret}\n")
    place.write("dma/dma.conf", f"SMARTHOST mail\nAUTHPATH {place.etc}/dma/auth.conf\nINSECURE\n")
    for tool in TOOLS:
        made = convert(tool, place.main(tool))
        assert secret.encode() in made.text()[0]
        assert secret not in "\n".join(map(str, made.remarks)), tool


def test_a_folder_in_the_place_of_a_folder_is_no_file(place: Place, tmp_path: pathlib.Path) -> None:
    (place.etc / "ssmtp").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        place.account("ssmtp")
