"""Which program's file is used where there is none of ours, and who may read it."""

import os
import pathlib

import pytest

from pysendmail.config import accounts, reader
from pysendmail.config.foreign import found
from pysendmail.errors import ConfigError, NoConfig, NoPermission
from tests.foreign.place import MAIN, Place

GOOD = {"ssmtp": "mailhub=mail\n", "nullmailer": "mail\n", "dma": "SMARTHOST mail\n"}
EMPTY = {"ssmtp": "root=x\n", "nullmailer": "\n", "dma": "#SMARTHOST\nMAILNAME x\n"}


@pytest.fixture(autouse=True)
def machine(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "ROOT", str(place.root))
    monkeypatch.setattr(accounts, "SYSTEM_FILE", str(place.etc / "pysendmail/pysendmail.conf"))


def find(place: Place, xdg: str | None = None) -> str:
    return accounts.find_file(None, home=str(place.root / "home"), xdg=xdg, uid=1000)


@pytest.mark.parametrize("tool", MAIN)
def test_the_one_file_that_is_there_is_used_and_the_log_says_so(place: Place, tool: str) -> None:
    with pytest.raises(NoConfig):
        find(place)
    place.write(MAIN[tool], GOOD[tool])
    assert find(place) == place.main(tool)
    assert accounts.system_file(accounts.SYSTEM_FILE) == place.main(tool)
    notes = place.account(tool).notes
    assert notes == [f"{place.main(tool)}: the configuration of {tool} is used; there is none of ours"]


@pytest.mark.parametrize("ours", ["home/.config/pysendmail/pysendmail.conf", "etc/pysendmail/pysendmail.conf"])
def test_a_file_of_ours_comes_before_all_others(place: Place, ours: str) -> None:
    for tool, name in MAIN.items():
        place.write(name, GOOD[tool])
    path = place.root / ours
    path.parent.mkdir(parents=True)
    path.write_text("host mail\n")
    assert find(place) == str(path)


def test_the_first_msmtprc_counts_with_msmtps_defaults(place: Place) -> None:
    names = ["home/.msmtprc", "home/.config/msmtp/config", "etc/msmtprc"]
    for name in names:
        path = place.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("host mail\nfrom alice@example.org\n")
    for name in names:
        path = place.root / name
        assert find(place) == str(path)
        account, _ = accounts.choose(reader.load(str(path), uid=os.getuid()))
        assert (account.tls, account.port) == ("off", 25)
        assert account.notes == [f"{path}: the configuration of msmtp is used; there is none of ours"]
        path.unlink()
    with pytest.raises(NoConfig):
        find(place)


def test_several_are_named_with_what_to_do(place: Place) -> None:
    for tool in ("ssmtp", "dma"):
        place.write(MAIN[tool], GOOD[tool])
    with pytest.raises(ConfigError) as caught:
        find(place)
    line = str(caught.value)
    assert place.main("ssmtp") in line and place.main("dma") in line
    assert "pysendmail import --from ssmtp|dma --write" in line and not isinstance(caught.value, NoConfig)


@pytest.mark.parametrize("tool", MAIN)
def test_what_names_no_server_does_not_stand_in_the_way(place: Place, tool: str) -> None:
    for each, name in MAIN.items():
        place.write(name, (GOOD if each == tool else EMPTY)[each])
    assert find(place) == place.main(tool)


def test_a_password_that_anybody_can_read_is_refused_and_the_packages_rights_are_not(place: Place) -> None:
    text = "mailhub=mail\nUseTLS=YES\nAuthUser=alice\nAuthPass=geheim\n"
    path = place.write("ssmtp/ssmtp.conf", text, 0o644)
    with pytest.raises(ConfigError, match=f"run chmod o=,g-w {path}"):
        place.account("ssmtp")
    path.chmod(0o660)
    with pytest.raises(ConfigError, match="others can read or change"):
        place.account("ssmtp")
    path.chmod(0o640)
    assert place.account("ssmtp").password == b"geheim"
    place.write("dma/dma.conf", f"SMARTHOST mail\nSECURETRANSFER\nAUTHPATH {place.etc}/dma/auth.conf\n", 0o644)
    place.write("dma/auth.conf", "alice|mail:geheim\n", 0o644)
    with pytest.raises(ConfigError, match=r"dma/auth.conf: a password stands in it"):
        place.account("dma")


def test_msmtps_group_may_read_the_systems_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "msmtprc"
    path.write_text("host mail\ntls on\nauth on\nuser alice\npassword geheim\n")
    path.chmod(0o640)
    if os.getuid() == 0:
        reader.load(str(path), uid=1000)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        reader.load(str(path), uid=os.getuid())


def test_a_service_may_not_name_a_file_where_another_programs_is_the_systems(place: Place) -> None:
    path = place.write("other", "host mail\n")
    assert accounts.find_file(os.fsencode(path), home=None, xdg=None, uid=33) == str(path)
    for tool in ("ssmtp", "dma"):
        place.write(MAIN[tool], GOOD[tool])
        with pytest.raises(NoPermission):
            accounts.find_file(os.fsencode(path), home=None, xdg=None, uid=33)
    assert accounts.find_file(os.fsencode(path), home=None, xdg=None, uid=1000) == str(path)
