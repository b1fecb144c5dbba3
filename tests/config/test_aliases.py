"""Plain alias lists: what they give, and that anything more is refused as a whole."""

import os
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.config import aliases
from pysendmail.errors import ConfigError
from pysendmail.message import address


def expand(text: bytes, name: bytes) -> list[bytes] | None:
    """Expand one recipient with the list."""
    found = aliases.parse(text, "list").expand(address.parse(name).mailboxes[0])
    return None if found is None else [mailbox.address for mailbox in found]


def refusal(text: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        aliases.parse(text, "list").check()
    assert caught.value.exit_code == 78
    return str(caught.value)


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


PROGRAMS = "programs, files and :include: are not offered; expected addresses, parted by commas"
ADDRESSES = "expected addresses, parted by commas, after name and colon"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: b@c.org\nroot: |/bin/sh\n", f"list:2: {PROGRAMS}"),
        (b'root: "|/bin/sh -c x"\n', f"list:1: {PROGRAMS}"),
        (b'root: a@b.org, "|/bin/sh -c x"\n', f"list:1: {ADDRESSES}"),
        (b"root: /var/mail/root\n", f"list:1: {PROGRAMS}"),
        (b'root: a@b.org,\n "/var/mail/root"\n', f"list:1: {ADDRESSES}"),
        (b"root: :include:/etc/list\n", f"list:1: {PROGRAMS}"),
        (b'root: ":include:/etc/list"\n', f"list:1: {PROGRAMS}"),
        (b"root: a@b.org, :include:/etc/list\n", f"list:1: {ADDRESSES}"),
        (b"root: \\root, a@b.org\n", f"list:1: {ADDRESSES}"),
        (b'root: "\\\\root"\n', f"list:1: {ADDRESSES}"),
        (b"root: group: a@b.org;\n", f"list:1: {ADDRESSES}"),
        (b"root: a@b.org\n  bob: c@d.org\n", f"list:1: {ADDRESSES}"),
        (b"root:\n", f"list:1: {ADDRESSES}"),
        (b"root: ,\n", f"list:1: {ADDRESSES}"),
        (b'root: ""\n', f"list:1: {ADDRESSES}"),
        (b"root: a@b@c\n", f"list:1: {ADDRESSES}"),
        (b"root: a b\n", f"list:1: {ADDRESSES}"),
        (b"root: a@b.org\0\n", f"list:1: {ADDRESSES}"),
        (b"root a@b.org\n", "list:1: expected name: address, the name without a domain"),
        (b": a@b.org\n", "list:1: expected name: address, the name without a domain"),
        (b"a@b.org: c@d.org\n", "list:1: expected name: address, the name without a domain"),
        (b"a, b: c@d.org\n", "list:1: expected name: address, the name without a domain"),
        (b'"a: c@d.org\n', "list:1: expected name: address, the name without a domain"),
        (b"\n  root: a@b.org\n", "list:2: expected name: address, from the beginning of the line"),
        (b"root: a@b.org\n\nROOT: c@d.org\n", "list:3: the name has an alias in line 1 already"),
        (b"root: root\n", "list:1: the alias leads back to itself"),
        (b"x: y@z.org\nroot: bob\nbob: eve\neve: Root\n", "list:2: the alias leads back to itself"),
        (b"default: bob\n", "list:1: the alias leads back to itself"),
        (b"root: alice\ndefault: zoe\n", "list:2: the alias leads back to itself"),
    ],
)
def test_anything_but_a_plain_list_is_refused_with_its_line(text: bytes, said: str) -> None:
    assert refusal(text) == said


def test_a_loop_is_an_error_for_those_who_walk_into_it_only() -> None:
    text = b"root: bob\nbob: root\neve: a@b.org\n"
    assert expand(text, b"eve") == [b"a@b.org"]
    with pytest.raises(ConfigError):
        expand(text, b"bob")


def test_the_same_name_on_two_ways_is_no_loop() -> None:
    aliases.parse(b"root: a, b\na: c\nb: c\nc: x@y.org\n", "list").check()


def test_long_chains_and_wide_lists_are_walked() -> None:
    chain = b"".join(b"n%d: n%d\n" % (at, at + 1) for at in range(20000)) + b"n20000: a@b.org\n"
    listed = aliases.parse(chain, "list")
    listed.check()
    found = listed.expand(address.parse(b"n0").mailboxes[0])
    assert found is not None and [mailbox.address for mailbox in found] == [b"a@b.org"]
    wide = b"all: " + b",\n ".join(b"u%d@b.org" % at for at in range(20000))
    assert len(expand(wide, b"all") or []) == 20000


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_line_breaks_the_reader_or_is_shown(lines: list[bytes]) -> None:
    secret = b"Geheim"
    text = b"\n".join([*lines, secret, b"a: " + secret + b"@x.org"])
    try:
        aliases.parse(text, "list").check()
    except ConfigError as error:
        assert secret.decode() not in str(error)
        assert error.place and error.place.startswith("list:")


def test_a_list_is_loaded_from_its_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "aliases"
    path.write_bytes(b"root: a@b.org\nbad\n")
    with pytest.raises(ConfigError, match=f"{path}:2: "):
        aliases.load(str(path))
    path.write_bytes(b"root: a@b.org\n")
    assert aliases.load(str(path)).expand(address.parse(b"root").mailboxes[0])


def test_a_list_that_is_missing_or_no_file_is_an_error(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, said in (("gone", "cannot be read: No such file"), ("fifo", "is not a regular file")):
        with pytest.raises(ConfigError, match=said) as caught:
            aliases.load(str(tmp_path / name))
        assert caught.value.exit_code == 78
