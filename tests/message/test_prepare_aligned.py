"""A sender, and names in the header, as a provider accepts them that knows one address."""

import email
import email.policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.config import aliases
from pysendmail.errors import Failure
from pysendmail.message.header import HeaderReader
from pysendmail.message.local import is_local
from pysendmail.message.prepare import prepare
from tests.message.submission import facts, header_of, submit

OWN = b"me@provider.example"
HOSTS = frozenset((b"box.example.com",))


@pytest.mark.parametrize(
    ("domain", "local"),
    [
        (b"", True), (b"localhost", True), (b"LOCALHOST", True), (b"localhost.localdomain", True), (b"box", True),
        (b"box.local", True), (b"a.b.LOCAL", True), (b"box.lan", True), (b"nas.home.arpa", True), (b"x.internal", True),
        (b"Box.Example.COM", True), (b"box.example.com.", True), (b"[127.0.0.1]", True), (b"[IPv6:::1]", True),
        (b"example.com", False), (b"sub.box.example.com", False), (b"mylocal.example", False), (b"notlocal", True),
        (b"xlocal.org", False), (b"[192.0.2.1]", False), (b"local.example.org", False),
    ],
)  # fmt: skip
def test_what_is_local_is_known_by_its_domain(domain: bytes, local: bool) -> None:
    assert is_local(domain, HOSTS) is local


def left(message: bytes, *arguments: bytes, **changed: Any) -> bytes:
    """Prepare a message and return its header but for Date, Message-ID and To."""
    header = header_of(submit(message + b"\n", *(arguments or (b"r@x.org",)), extract=False, hosts=HOSTS, **changed))
    kept = [line for line in header.splitlines(True) if line.split(b":")[0] not in (b"Date", b"Message-ID", b"To")]
    return b"".join(kept)


ON: dict[str, Any] = {"set_from_header": "on", "sender": OWN}


@pytest.mark.parametrize(
    ("header", "result"),
    [
        (b"From: Bob <bob@x.org>\n", b"From: Bob <me@provider.example>\nReply-To: Bob <bob@x.org>\n"),
        (b"From: bob@x.org (Bob)\n", b"From: me@provider.example (Bob)\nReply-To: bob@x.org (Bob)\n"),
        (b"From: bob@x.org\n", b"From: Alice Liddell <me@provider.example>\nReply-To: bob@x.org\n"),
        (b"From: root (Cron Daemon)\n",
         b"From: me@provider.example (Cron Daemon)\nReply-To: root@example.org (Cron Daemon)\n"),  # mail may arrive there
        (b'From: "(Cron Daemon)" <root@box>\n',
         b'From: "(Cron Daemon)" <me@provider.example>\nX-Original-From: "(Cron Daemon)" <root@box>\n'),
        (b"From: root@box.example.com\n",
         b"From: Alice Liddell <me@provider.example>\nX-Original-From: root@box.example.com\n"),
        (b"From: Bob <bob@x.org>\nReply-To: c@x.org\n",
         b"From: Bob <me@provider.example>\nReply-To: c@x.org\nX-Original-From: Bob <bob@x.org>\n"),
        (b"From: me@provider.example\n", b"From: me@provider.example\n"),
        (b"From: Me <me@PROVIDER.example>\n", b"From: Me <me@PROVIDER.example>\n"),
        (b"From: a@x.org, b@x.org\n", b"From: Alice Liddell <me@provider.example>\nReply-To: a@x.org, b@x.org\n"),
        (b"From: John Smith\n", b"From: Alice Liddell <me@provider.example>\nX-Original-From: John Smith\n"),
        (b"From: boss@corp.example <me@provider.example>\n",
         b"From: Alice Liddell <me@provider.example>\nReply-To: boss@corp.example <me@provider.example>\n"),
        (b"From: Bob <bob@x.org>\nSender: eve@x.org\n", b"From: Bob <me@provider.example>\nReply-To: Bob <bob@x.org>\n"),
        (b"From: me@provider.example\nSender: me@provider.example\n",
         b"From: me@provider.example\nSender: me@provider.example\n"),
        (b"From:\n", b"From: Alice Liddell <me@provider.example>\n"),
        (b"", b"From: Alice Liddell <me@provider.example>\n"),
    ],
)  # fmt: skip
def test_set_from_header_on_keeps_the_name_and_the_way_back(header: bytes, result: bytes) -> None:
    assert left(header, **ON) == result


def test_privacy_tells_nothing_of_a_local_author() -> None:
    assert left(b"From: root@box.lan\n", privacy=True, **ON) == b"From: Alice Liddell <me@provider.example>\n"
    assert left(b"From: b@x.org\n", privacy=True, **ON).endswith(b"Reply-To: b@x.org\n")


@pytest.mark.parametrize(
    ("changed", "sender"),
    [
        ({}, OWN),
        ({"sender": b"root"}, OWN),
        ({"sender": b"root@localhost"}, OWN),
        ({"sender": b"Root <root@box.lan>"}, OWN),
        ({"sender": b"www-data@BOX.example.com"}, OWN),
        ({"sender": b""}, b""),
        ({"sender": b"bob@x.org"}, b"bob@x.org"),
        ({"sender": b"root@example.org"}, b"root@example.org"),
        ({"account_from": b"acc@x.org"}, b"acc@x.org"),
        ({"account_from": b"acc"}, OWN),
        ({"account_from": b"acc@x.org", "sender": b"root"}, OWN),
        ({"sender_from_header": True}, b"w@from.org"),
    ],
)
def test_local_sender_stands_for_a_local_reverse_path_and_no_other(changed: dict[str, Any], sender: bytes) -> None:
    prepared = submit(b"From: w@from.org\nTo: r@x.org\n\n", local_sender=OWN, hosts=HOSTS, **changed)
    assert prepared.sender == sender
    assert (prepared.replaced is not None) == (sender == OWN)


@pytest.mark.parametrize(
    ("header", "result"),
    [
        (b"From: root (Cron Daemon)\n", b"From: me@provider.example (Cron Daemon)\nX-Original-From: root (Cron Daemon)\n"),
        (b'From: "(Cron Daemon)" <root>\n',
         b'From: "(Cron Daemon)" <me@provider.example>\nX-Original-From: "(Cron Daemon)" <root>\n'),
        (b"From: <root@box.local>\n", b"From: <me@provider.example>\nX-Original-From: <root@box.local>\n"),
        (b"From: root@box,\n www@box\n", b"From: me@provider.example,\n me@provider.example\nX-Original-From: root@box,\n www@box\n"),
        (b"From: bob@x.org\n", b"From: bob@x.org\n"),
        (b"From: bob@x.org\nSender: root@localhost\n", b"From: bob@x.org\nSender: me@provider.example\n"),
        (b"From: root@box\nReply-To: root\n",
         b"From: me@provider.example\nReply-To: root@example.org\nX-Original-From: root@box\n"),
        (b"From: mdadm monitoring <root>\n",
         b"From: mdadm monitoring <me@provider.example>\nX-Original-From: mdadm monitoring <root>\n"),
        (b"", b"From: Alice Liddell <me@provider.example>\n"),
    ],
)  # fmt: skip
def test_local_sender_stands_for_local_authors_whose_names_stay(header: bytes, result: bytes) -> None:
    assert left(header, local_sender=OWN) == result


def test_set_from_header_off_keeps_local_authors_too() -> None:
    assert left(b"From: root@box\n", local_sender=OWN, set_from_header="off") == b"From: root@box\n"


def test_both_words_together_replace_an_author_once() -> None:
    found = left(b"From: root (Cron Daemon)\n", local_sender=OWN, set_from_header="on", sender=b"root")
    assert found == b"From: me@provider.example (Cron Daemon)\nX-Original-From: root (Cron Daemon)\n"


def test_a_resent_message_has_its_local_resender_replaced() -> None:
    found = left(b"Resent-From: root\nResent-To: r@x.org\nFrom: bob@x.org\n", local_sender=OWN)
    assert found.startswith(b"Resent-From: me@provider.example\n") and b"From: bob@x.org\n" in found


LIST = """root: me@provider.example
team: Ann <ann@x.org>, bob
bob: bob@y.org
loop: loop
prog: |x
local: \\carol
all: """ + ", ".join([f"u{at}@x.org" for at in range(30)]) + "\n"  # fmt: skip


@pytest.mark.parametrize(
    ("header", "result"),
    [
        (b"To: root\n", b"To: me@provider.example\n"),
        (b"To: ROOT\n", b"To: me@provider.example\n"),
        (b"To: Super User <root>\n", b"To: Super User <me@provider.example>\n"),
        (b"To: root (the admin)\n", b"To: me@provider.example (the admin)\n"),
        (b"To: root@localhost\n", b"To: me@provider.example\n"),
        (b"To: root+cron\n", b"To: me@provider.example\n"),
        (b"To: team, x@y.org\n", b"To: ann@x.org, bob@y.org, x@y.org\n"),
        (b"To: The Team <team>,\n x@y.org\n", b"To: The Team <ann@x.org>, <bob@y.org>,\n x@y.org\n"),
        (b"Cc: admins: root, dave;\n", b"Cc: admins: me@provider.example, dave@example.org;\n"),
        (b"To: local\n", b"To: carol@example.org\n"),
        (b"To: dave\n", b"To: dave@example.org\n"),
        (b"To: root@x.org\n", b"To: root@x.org\n"),
        (b"To: loop, prog\n", b"To: loop@example.org, prog@example.org\n"),
        (b"To: all\n", b"To: all@example.org\n"),
        (b"From: root (Cron Daemon)\n", b"From: me@provider.example (Cron Daemon)\n"),
        (b"From: team\n", b"From: team@example.org\n"),
        (b"Reply-To: root\n", b"Reply-To: me@provider.example\n"),
        (b"Resent-To: root\n", b"Resent-To: me@provider.example\n"),
        (b"Subject: root\n", b"Subject: root\n"),
        (b"To: root, John Smith\n", b"To: me@provider.example, John Smith\n"),
    ],
)
def test_names_in_the_header_become_what_their_aliases_stand_for(header: bytes, result: bytes) -> None:
    expand = aliases.parse(LIST.encode(), "list").expand
    reader = HeaderReader()
    reader.feed(header + b"\n")
    reader.finish()
    prepared = prepare(reader.fields, facts(), extract=False, arguments=[b"r@x.org"], rewrite=expand)
    assert header_of(prepared).startswith(result)
    assert b"".join(field.raw for field in reader.fields).replace(b"\r\n", b"\n") == header  # what came stays as it came


PIECES = st.sampled_from(
    ["root", "<root>", "a@x.org", '"q, r" <root@box>', "(c (d))", ",", ";", "g:", " ", "\n ", "<", ">", '"', "@", "J. <j@lan>", "é"]
)


@given(st.lists(PIECES, max_size=8))
def test_no_from_field_survives_alignment_with_another_address(pieces: list[str]) -> None:
    value = "".join(pieces)
    message = f"From: {value}\nTo: r@x.org\n\n".encode()
    try:
        prepared = submit(message, b"r@x.org", extract=False, hosts=HOSTS, local_sender=OWN, **ON)
    except Failure:
        return
    authors = [field for field in prepared.fields if field.name == b"from"]
    assert len(authors) == 1
    parsed = email.message_from_bytes(authors[0].raw + b"\r\n", policy=email.policy.default)["From"]
    assert [one.addr_spec for one in parsed.addresses] == [OWN.decode()]


@pytest.mark.parametrize("login", [b"a b", b"", b"\xc3\xa9", b'"', b"a@b", b"<>"])
def test_a_login_of_any_kind_can_be_the_author(login: bytes) -> None:
    for maildomain in (b"", b"example.org"):
        found = submit(b"From: x@y.org\n\n", b"r@x.org", extract=False, login=login, maildomain=maildomain, set_from_header="on")
        assert [field.name for field in found.fields].count(b"from") == 1
