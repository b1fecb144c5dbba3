"""Alias files: what a name gives, what is refused of them, and what is an error for whom."""

import os
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.config import aliases
from pysendmail.errors import ConfigError, NoUser
from pysendmail.message import address


def expand(text: bytes, name: bytes) -> list[bytes] | None:
    """Expand one recipient with the list."""
    found = aliases.parse(text, "list").expand(address.parse(name).mailboxes[0])
    return None if found is None else [mailbox.address for mailbox in found]


def problems(text: bytes) -> list[tuple[str, bool]]:
    """Look through the list; give what is wrong, and whether it is an error."""
    return list(aliases.parse(text, "list").problems())


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        (b"root: a@b.org", b"root", [b"a@b.org"]),
        (b"root: a@b.org, c@d.org\n", b"root", [b"a@b.org", b"c@d.org"]),
        (b"Root: a@b.org\n", b"rOOt", [b"a@b.org"]),
        (b"root : a@b.org\n", b"root", [b"a@b.org"]),
        (b"root:a@b.org\r\nbob:c@d.org\r\n", b"bob", [b"c@d.org"]),
        (b"\xef\xbb\xbfroot: a@b.org\n", b"root", [b"a@b.org"]),
        (b"# list\n\n  # more\nroot: a@b.org\n", b"root", [b"a@b.org"]),
        (b"root: a@b.org # me\n", b"root", [b"a@b.org"]),
        (b"root: a@b.org\t# me\n", b"root", [b"a@b.org"]),
        (b"root: a#b@b.org\n", b"root", [b"a#b@b.org"]),
        (b"root: a@b.org,\n c@d.org,\n\te@f.org\n", b"root", [b"a@b.org", b"c@d.org", b"e@f.org"]),
        (b"root:\n  a@b.org\n\n  # c\n  , c@d.org\n", b"root", [b"a@b.org", b"c@d.org"]),
        (b'root: "Joe Doe" <a@b.org>, <c@d.org>\n', b"root", [b"a@b.org", b"c@d.org"]),
        (b'root: "a b"@c.org\n', b"root", [b'"a b"@c.org']),
        (b'"a:b": c@d.org\n', b'"a:b"', [b"c@d.org"]),
        (b"root: a@[IPv6:::1]\n", b"root", [b"a@[IPv6:::1]"]),
        (b"root: /x=y/@gateway.org\n", b"root", [b"/x=y/@gateway.org"]),
        (b"root: bob\n", b"root", [b"bob"]),
        (b"root: bob\nbob: a@b.org\n", b"root", [b"a@b.org"]),
        (b"root: bob, eve\nbob: a@b.org, eve\neve: c@d.org, a@B.org\n", b"root", [b"a@b.org", b"c@d.org"]),
        (b"root: a@b.org\n", b"bob", None),
        (b"root: a@b.org\n", b"root@b.org", None),
        (b"default: a@b.org\nroot: c@d.org\n", b"bob", [b"a@b.org"]),
        (b"default: a@b.org\nroot: c@d.org\n", b"root", [b"c@d.org"]),
        (b"default: a@b.org\nroot: bob\n", b"root", [b"a@b.org"]),
        (b"default: a@b.org\n", b"bob@b.org", None),
        (b"default: root\nroot: c@d.org\n", b"bob", [b"c@d.org"]),
        (b"", b"root", None),
    ],
)
def test_a_local_name_gives_its_addresses(text: bytes, name: bytes, found: list[bytes] | None) -> None:
    assert expand(text, name) == found


OFFERED = "is not offered as an alias; mail for it is refused"


@pytest.mark.parametrize(
    ("text", "where", "what", "left"),
    [
        (b"x: b@c.org\nroot: |/bin/sh\n", 2, "a program", None),
        (b'root: "|/bin/sh -c x"\n', 1, "a program", None),
        (b'root: "|/bin/sh -c \\"a, b\\""\n', 1, "a program", None),
        (b'root: a@b.org, "|/bin/sh -c x, y"\n', 1, "a program", [b"a@b.org"]),
        (b"root: |/bin/sh, a@b.org\n", 1, "a program", [b"a@b.org"]),
        (b"root: /var/mail/root\n", 1, "a file", None),
        (b"root: /dev/null\n", 1, "a file", None),
        (b'root: a@b.org,\n "/var/mail/a@b"\n', 1, "a file", [b"a@b.org"]),
        (b"root: :error: no such user, or he is away\n", 1, ":error:", None),
        (b"root: a@b.org, :fail: b@c.org, d@e.org\n", 1, ":fail:", [b"a@b.org"]),
        (b"root: :blackhole:\n", 1, ":blackhole:", None),
        (b'root: ":defer:x"\n', 1, ":defer:", None),
        (b"root: bob\nbob: :Include\n", 2, ":Include:", None),
        (b"root: :a b:\n", 1, "a value with a colon", None),
    ],
)
def test_what_is_not_offered_is_told_and_never_dropped_in_silence(
    text: bytes, where: int, what: str, left: list[bytes] | None
) -> None:
    listed = aliases.parse(text, "list")
    assert list(listed.problems()) == [(f"list:{where}: {what} {OFFERED}", False)]
    expansion = listed.expansion()
    root = address.parse(b"root").mailboxes[0]
    if left is None:
        with pytest.raises(NoUser) as caught:
            expansion.expand(root)
        assert caught.value.exit_code == 67
        assert str(caught.value) == f'the alias "root" leads to nobody: list:{where} names {what}, which is not offered'
        return
    assert [one.address for one in expansion.expand(root) or []] == left
    assert expansion.notes == [f"list:{where}: {what} is not offered as an alias, and gets no copy"]


ADDRESSES = "expected addresses, parted by commas, after name and colon"
NAME = "expected name: address, the name without a domain"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"root: group: a@b.org;\n", f"list:1: {ADDRESSES}"),
        (b"root: a@b.org\n  bob: c@d.org\n", f"list:1: {ADDRESSES}"),
        (b"root:\n", f"list:1: {ADDRESSES}"),
        (b"root: ,\n", f"list:1: {ADDRESSES}"),
        (b'root: ""\n', f"list:1: {ADDRESSES}"),
        (b"root: a@b@c\n", f"list:1: {ADDRESSES}"),
        (b"root: a b\n", f"list:1: {ADDRESSES}"),
        (b"root: a@b.org \\\n", f"list:1: {ADDRESSES}"),
        (b"root: a@b.org\0\n", f"list:1: {ADDRESSES}"),
        (b'root: "a@b.org, c@d.org\n', f"list:1: {ADDRESSES}"),
        (b"root a@b.org\n", f"list:1: {NAME}"),
        (b"root\n", f"list:1: {NAME}"),
        (b"root: a@b.org,\nc@d.org\n", f"list:2: {NAME}"),
        (b"root: root\n", "list:1: the alias leads back to itself: root -> root"),
        (b"x: y@z.org\nroot: bob\nbob: eve\neve: Root\n", "list:4: the alias leads back to itself: root -> bob -> eve -> root"),
        (b"root: bob\nbob: bob\n", "list:2: the alias leads back to itself: bob -> bob"),
        (b"default: root\nroot: Default\n", "list:1: the alias leads back to itself: root -> default -> root"),
        (b"root: ann+x\nann+*: root\n", "list:2: the alias leads back to itself: root -> ann+* -> root"),
        (b"root: bob@localhost\nbob: ROOT@LocalHost\n", "list:2: the alias leads back to itself: root -> bob -> root"),
        (b"root: :include:list\n", "list:1: expected the whole path of a file after :include:"),
        (b"root: :include:\n", "list:1: expected the whole path of a file after :include:"),
    ],
)
def test_an_error_names_its_line_and_is_one_for_who_meets_it(text: bytes, said: str) -> None:
    text += b"eve2: a@b.org\n"
    assert (said, True) in problems(text) or "default" in said
    with pytest.raises(ConfigError) as caught:
        expand(text, b"root")
    assert str(caught.value) == said and caught.value.exit_code == 78
    assert expand(text, b"eve2") == [b"a@b.org"]


@pytest.mark.parametrize(
    ("text", "said", "fatal"),
    [
        (b": a@b.org\n", f"list:1: {NAME}", True),
        (b"a@b.org: c@d.org\n", f"list:1: {NAME}", True),
        (b"a, b: c@d.org\n", f"list:1: {NAME}", True),
        (b'"a: c@d.org\n', f"list:1: {NAME}", True),
        (b"\n  root: a@b.org\n", "list:2: expected name: address, from the beginning of the line", True),
        (b"root: a@b.org\n\nROOT: c@d.org\n",
         "list:3: the name has an alias above already, which is the one that counts", False),
    ],
)  # fmt: skip
def test_a_look_through_the_list_finds_what_nobody_would_meet(text: bytes, said: str, fatal: bool) -> None:
    assert problems(text) == [(said, fatal)]


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        (b"root: \\root, a@b.org\n", b"root", [b"root", b"a@b.org"]),
        (b'root: "\\\\root"\n', b"root", [b"root"]),
        (b"root: \\bob\nbob: a@b.org\n", b"root", [b"bob"]),
        (b"root: a@b.org,\n", b"root", [b"a@b.org"]),
        (b"*: a@b.org\n", b"bob", [b"a@b.org"]),
        (b"*: a@b.org\ndefault: c@d.org\n", b"bob", [b"c@d.org"]),
        (b"default: root\nroot: bob\n", b"carol", [b"bob"]),
        (b"default: bob\n", b"carol", [b"bob"]),
        (b"root: alice\ndefault: zoe\n", b"root", [b"zoe"]),
        (b"root: a@b.org\n", b"root+cron", [b"a@b.org"]),
        (b"root: a@b.org\nroot+cron: c@d.org\n", b"ROOT+Cron", [b"c@d.org"]),
        (b"root: a@b.org\nroot+*: c@d.org\n", b"root+x", [b"c@d.org"]),
        (b"root+*: c@d.org\n", b"root", None),
        (b"root: a@b.org\n", b"+x", None),
        (b"root: a@b.org\n", b"root@localhost", [b"a@b.org"]),
        (b"root: a@b.org\n", b"root@LOCALHOST.localdomain", [b"a@b.org"]),
        (b"default: a@b.org\n", b"bob@localhost", None),
        ("b\u00fcro: a@b.org\n".encode(), "B\u00dcRO".encode(), [b"a@b.org"]),
        ("b\u00fcro: a@b.org\n".encode(), "bu\u0308ro".encode(), [b"a@b.org"]),
        ("root: chef@b\u00fcro.example\n".encode(), b"root", ["chef@b\u00fcro.example".encode()]),
        (b"# \xfcber\nroot: a@b.org # \xfc\n", b"root", [b"a@b.org"]),
        (b"root (admin): a@b.org\n", b"root", [b"a@b.org"]),
        (b'"Root": a@b.org\n', b"root", [b"a@b.org"]),
        (b'"web team" : a@b.org\n', b'"web team"@localhost', [b"a@b.org"]),
        (b'"a\\"b": a@b.org\n', b'"a\\"b"@localhost', [b"a@b.org"]),
        (b'root: "x # y" <a@b.org> # z\n', b"root", [b"a@b.org"]),
        (b'root: "Doe, Joe" <a@b.org>, "a, b"@c.org\n', b"root", [b"a@b.org", b'"a, b"@c.org']),
        (b"root: one@b.org\nroot: two@b.org\n", b"root", [b"one@b.org"]),
    ],
)
@pytest.mark.parametrize("size", ["small", "large"])
def test_names_are_found_in_every_spelling_and_in_files_of_any_size(
    text: bytes, name: bytes, found: list[bytes] | None, size: str
) -> None:
    if size == "large":  # then a name is looked for in the text
        text += b"".join(b"user%d: a%d@example.org\n" % (at, at) for at in range(5000))
    assert expand(text, name) == found
    listed = aliases.parse(text, "list")
    for at in range(20):  # and then there is an index
        listed.expand(address.parse(b"user%d" % at).mailboxes[0])
    again = listed.expand(address.parse(name).mailboxes[0])
    assert (None if again is None else [one.address for one in again]) == found


def test_a_loop_is_an_error_for_those_who_walk_into_it_only() -> None:
    text = b"root: bob\nbob: root\neve: a@b.org\n"
    assert expand(text, b"eve") == [b"a@b.org"]
    with pytest.raises(ConfigError):
        expand(text, b"bob")


def test_the_same_name_on_two_ways_is_no_loop() -> None:
    assert problems(b"root: a, b\na: c\nb: c\nc: x@y.org\n") == []


def test_long_chains_and_wide_lists_are_walked() -> None:
    chain = b"".join(b"n%d: n%d\n" % (at, at + 1) for at in range(20000)) + b"n20000: a@b.org\n"
    listed = aliases.parse(chain, "list")
    assert list(listed.problems()) == []
    found = listed.expand(address.parse(b"n0").mailboxes[0])
    assert found is not None and [mailbox.address for mailbox in found] == [b"a@b.org"]
    wide = b"all: " + b",\n ".join(b"u%d@b.org" % at for at in range(20000))
    assert len(expand(wide, b"all") or []) == 20000


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_line_breaks_the_reader_or_is_shown(lines: list[bytes]) -> None:
    secret = b"Geheim"
    text = b"\n".join([*lines, secret, b"a: " + secret + b"@x.org"])
    for said, _ in problems(text):
        assert secret.decode() not in said and said.startswith("list:")
    for name in (b"a", b"b", secret):
        try:
            expand(text, name)
        except (ConfigError, NoUser) as error:
            assert name == secret or secret.decode() not in str(error)


def test_a_list_is_loaded_from_its_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "aliases"
    path.write_bytes(b"root: a@b.org\nbad\n")
    assert next(aliases.load(str(path)).problems())[0].startswith(f"{path}:2: ")
    path.write_bytes(b"root: a@b.org\n")
    assert aliases.load(str(path)).expand(address.parse(b"root").mailboxes[0])


def test_a_list_that_is_missing_or_no_file_is_an_error(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, said in (("gone", "cannot be read: No such file"), ("fifo", "is not a regular file")):
        with pytest.raises(ConfigError, match=said) as caught:
            aliases.load(str(tmp_path / name))
        assert caught.value.exit_code == 78
