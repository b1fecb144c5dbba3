"""Lists that an alias file includes: what is read of them, what never is, and that no alias takes too long."""

import os
import pathlib
import time

import pytest

from pysendmail.config import alias_list, aliases
from pysendmail.errors import ConfigError, DataError, NoUser
from pysendmail.message import address

NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="files of other users need root")


class Place:
    """An alias file in a folder, with lists beside it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        folder.chmod(0o755)

    def write(self, name: str, text: str | bytes, mode: int = 0o644) -> pathlib.Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def load(self, text: str) -> aliases.Aliases:
        return aliases.load(str(self.write("aliases", text.replace("DIR", str(self.folder)))))

    def expand(self, text: str, name: bytes = b"root") -> list[bytes] | None:
        found = self.load(text).expand(address.parse(name).mailboxes[0])
        return None if found is None else [one.address for one in found]

    def refuse(self, text: str) -> str:
        with pytest.raises(ConfigError) as caught:
            self.expand(text)
        assert caught.value.exit_code == 78
        return str(caught.value).replace(str(self.folder), "DIR")


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a@b.org\nc@d.org\n", [b"a@b.org", b"c@d.org"]),
        ("# staff\n\na@b.org, c@d.org # two\r\n  e@f.org,\n", [b"a@b.org", b"c@d.org", b"e@f.org"]),
        ("\ufeffa@b.org", [b"a@b.org"]),
        ('"Doe, Joe" <a@b.org>\n', [b"a@b.org"]),
        ("bob\n\\carol\n", [b"bob@c.org", b"carol"]),
        ("a@b.org\n/dev/null\n|x\n", [b"a@b.org"]),
        (":include:DIR/more\na@b.org\n", [b"more@b.org", b"a@b.org"]),
        ('":include:DIR/more"\n', [b"more@b.org"]),
        (':INCLUDE: "DIR/more"\n', [b"more@b.org"]),
        ("a@b.org\na@B.org\n", [b"a@b.org"]),
    ],
)
def test_a_list_has_addresses_in_lines(place: Place, text: str, found: list[bytes]) -> None:
    place.write("more", "more@b.org\n")
    place.write("list", text.replace("DIR", str(place.folder)))
    assert place.expand("root: :include:DIR/list\nbob: bob@c.org\ncarol: x@y.org\n") == found


def test_a_list_may_stand_among_addresses_and_its_name_have_a_comma(place: Place) -> None:
    place.write("a, b", "one@b.org\n")
    assert place.expand('root: x@y.org, ":include:DIR/a, b", z@y.org\n') == [b"x@y.org", b"one@b.org", b"z@y.org"]


def test_an_empty_list_leads_to_nobody(place: Place) -> None:
    place.write("list", "# nobody\n")
    with pytest.raises(NoUser, match='"root" leads to nobody'):
        place.expand("root: :include:DIR/list\n")
    assert place.expand("root: :include:DIR/list, a@b.org\n") == [b"a@b.org"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("root:\n:include:DIR/list", "DIR/list:2: expected addresses, parted by commas (a list that DIR/aliases:1 includes)"),
        ("root", "DIR/list: cannot be read"),
    ],
)
def test_a_bad_list_is_an_error_for_who_needs_it(place: Place, text: str, said: str) -> None:
    if text != "root":
        place.write("list", "a@b.org\nno address\n")
    aliases_text = "root: :include:DIR/list\nbob: a@b.org\n"
    assert said in place.refuse(aliases_text)
    assert place.expand(aliases_text, b"bob") == [b"a@b.org"]


def test_what_stands_in_a_bad_list_is_not_shown(place: Place) -> None:
    place.write("list", "root:x:0:0:secret:/root:/bin/sh\n")
    assert "secret" not in place.refuse("root: :include:DIR/list\n")


@pytest.mark.parametrize("chain", [["l1"], ["l1", "l2", "l1"], ["l1", "bob"]])
def test_lists_that_lead_back_are_a_loop(place: Place, chain: list[str]) -> None:
    place.write("l1", ":include:DIR/l1\n".replace("DIR", str(place.folder)))
    place.write("l2", ":include:DIR/l1\n".replace("DIR", str(place.folder)))
    if len(chain) == 3:
        place.write("l1", ":include:DIR/l2\n".replace("DIR", str(place.folder)))
    if chain[-1] == "bob":
        place.write("l1", "bob\n")
    said = place.refuse("root: :include:DIR/l1\nbob: root\n")
    assert "the alias leads back to itself: " in said and " -> " in said


def test_lists_nest_only_so_deep(place: Place) -> None:
    for at in range(40):
        place.write(f"l{at}", f":include:{place.folder}/l{at + 1}\n")
    assert "deep" in place.refuse("root: :include:DIR/l0\n")
    place.write("l15", "a@b.org\n")
    assert place.expand("root: :include:DIR/l0\n") == [b"a@b.org"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "missing", "nul", "huge"])
def test_only_a_regular_file_is_read_and_nothing_is_waited_for(
    place: Place, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {"device": "/dev/zero", "nul": "/x\0y"}.get(kind, "DIR/list")
    if kind == "folder":
        (place.folder / "list").mkdir()
    elif kind == "pipe":
        os.mkfifo(place.folder / "list")
    elif kind == "huge":
        monkeypatch.setattr(alias_list, "LIMIT", 100)
        place.write("list", "a@b.org\n" * 50)
    place.refuse(f"root: :include:{name}\n")


def test_a_list_that_everybody_can_write_is_not_read(place: Place) -> None:
    place.write("list", "a@b.org\n", 0o666)
    assert "everybody can write it" in place.refuse("root: :include:DIR/list\n")
    place.write("list", "a@b.org\n", 0o664)
    assert place.expand("root: :include:DIR/list\n") == [b"a@b.org"]


def test_a_list_in_a_folder_that_everybody_can_write_is_not_read(place: Place) -> None:
    (place.folder / "open").mkdir()
    place.write("open/list", "a@b.org\n")
    (place.folder / "open").chmod(0o777)
    assert "everybody can write its folder" in place.refuse("root: :include:DIR/open/list\n")
    (place.folder / "open").chmod(0o1777)
    assert place.expand("root: :include:DIR/open/list\n") == [b"a@b.org"]


@ROOT_ONLY
def test_a_list_of_a_stranger_in_a_sticky_folder_is_not_read(place: Place) -> None:
    (place.folder / "open").mkdir()
    os.chown(place.write("open/list", "a@b.org\n"), NOBODY, NOBODY)
    (place.folder / "open").chmod(0o1777)
    assert "everybody can write its folder" in place.refuse("root: :include:DIR/open/list\n")


@ROOT_ONLY
def test_a_list_that_its_owner_keeps_private_is_not_read_for_others(place: Place) -> None:
    os.chown(place.write("list", "a@b.org\n", 0o640), NOBODY, NOBODY)
    assert "private" in place.refuse("root: :include:DIR/list\n")
    (place.folder / "list").chmod(0o644)
    assert place.expand("root: :include:DIR/list\n") == [b"a@b.org"]


def test_a_private_list_is_read_by_its_own_name_only(place: Place) -> None:
    place.write("list", "a@b.org\n", 0o600)
    assert place.expand("root: :include:DIR/list\n") == [b"a@b.org"]
    (place.folder / "link").symlink_to(place.folder / "list")
    assert "symbolic link" in place.refuse("root: :include:DIR/link\n")
    real = place.folder / "real"
    real.mkdir()
    (real / "list").write_text("a@b.org\n")
    (real / "list").chmod(0o600)
    (place.folder / "way").symlink_to(real)
    assert "symbolic link" in place.refuse("root: :include:DIR/way/list\n")
    (real / "list").chmod(0o644)
    assert place.expand("root: :include:DIR/way/list\n") == [b"a@b.org"]


@ROOT_ONLY
def test_a_link_that_was_put_in_place_of_a_list_gives_away_no_secret(place: Place) -> None:
    secret = place.write("secret", "password\n", 0o640)
    assert secret.stat().st_uid == 0
    home = place.folder / "home"
    home.mkdir()
    (home / "list").symlink_to(secret)
    os.chown(home, NOBODY, NOBODY)
    said = place.refuse("root: :include:DIR/home/list\n")
    assert "symbolic link" in said and "password" not in said


def test_the_files_are_read_again_when_one_of_them_has_changed(place: Place) -> None:
    place.write("list", "a@b.org\n")
    listed = place.load("root: :include:DIR/list\n")
    assert listed.is_current()
    listed.expand(address.parse(b"root").mailboxes[0])
    assert listed.is_current()
    place.write("list", "a@b.org\nc@d.org\n")
    assert not listed.is_current()


def test_a_list_that_was_missing_is_found_when_it_is_there(place: Place) -> None:
    listed = place.load("root: :include:DIR/list\n")
    root = address.parse(b"root").mailboxes[0]
    with pytest.raises(ConfigError):
        listed.expand(root)
    place.write("list", "a@b.org\n")
    assert not listed.is_current()
    assert place.expand("root: :include:DIR/list\n") == [b"a@b.org"]


def test_a_list_that_could_not_be_read_for_its_folder_is_read_when_that_is_mended(place: Place) -> None:
    folder = place.folder / "open"
    folder.mkdir()
    place.write("open/list", "a@b.org\n")
    folder.chmod(0o777)
    listed = place.load("root: :include:DIR/open/list\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match="everybody can write its folder"):
            listed.expand(address.parse(b"root").mailboxes[0])
    assert listed.is_current()
    folder.chmod(0o755)
    assert not listed.is_current()


def test_aliases_that_double_at_each_level_are_walked_once_each() -> None:
    levels = [f"n{at}: n{at + 1}, n{at + 1}+a, n{at + 1}+b, a{at}@b.org\n" for at in range(200)]
    listed = aliases.parse(("".join(levels) + "n200: x@y.org\n").encode(), "list")
    found = listed.expand(address.parse(b"n0").mailboxes[0])
    assert found is not None and len(found) == 201
    assert list(listed.problems()) == []


def test_one_message_cannot_lead_through_the_file_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aliases, "_STEPS", 1000)
    text = "".join([f"n{at}: n{at + 1}\n" for at in range(300)]) + "n300: a@b.org\n"
    expansion = aliases.parse(text.encode(), "list").expansion()
    for name in (b"n0", b"n0", b"n1", b"n2"):
        expansion.expand(address.parse(name).mailboxes[0])
    with pytest.raises(DataError, match="more than 1000 names"):
        expansion.expand(address.parse(b"n3").mailboxes[0])


def test_a_hundred_thousand_aliases_are_no_hindrance() -> None:
    text = b"".join([b"user%d: person%d@example.org, user%d\n" % (at, at, at + 1) for at in range(100_000)])
    listed = aliases.parse(text + b"root: a@b.org\n", "list")
    began = time.monotonic()
    for name in [b"root", b"user99990", b"nobody", *[b"none%d" % at for at in range(1000)]]:
        listed.expand(address.parse(name).mailboxes[0])
    assert time.monotonic() - began < 30  # read once for each name it would take minutes


@pytest.mark.parametrize("text", [b'"' * 1_000_000, b'"a@b",' * 100_000, b'"x\\', b"," * 1_000_000, b"\n" * 1_000_000])
def test_no_list_takes_more_than_linear_time(text: bytes) -> None:
    began = time.monotonic()
    try:
        alias_list.parse(text, "list")
    except ConfigError as error:
        assert error.place == "list:1"
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("line", [b"root.x: a@b\n", b"root\n", b'"n": a@b\n', b"root (x: a@b\n"])
def test_a_look_through_many_mistakes_takes_linear_time(line: bytes) -> None:
    listed = aliases.parse(line * 100_000 + b"root: x@y.org\n", "list")
    began = time.monotonic()
    assert sum([1 for _ in listed.problems()]) >= 99_999
    assert time.monotonic() - began < 60
