"""A rule about senders holds however an address is spelled and wherever it stands."""

import email
import email.policy
import email.utils
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.command.compose import Composed
from pysendmail.command.envelope import Envelope
from pysendmail.daemon.senders import Senders
from tests.command.submissions import header, user
from tests.daemon.callers import ACCOUNT, ALICE, BOB, PEER, Door

RULE = "caller *\nsenders alice@example.org *@lists.example.org\n"
ALIGNED = "caller *\nsenders *@lists.example.org alice@example.org\nalign on\n"
FROM = b"From: alice@example.org\n"
REST = b"To: x@example.net\n\nhi\n"


def verdict(door: Door, text: bytes, *arguments: str, envelope: Envelope | None = None) -> str:
    """Return what stands in the refusal as the place of the offence, "" if there is none."""
    try:
        door.take(text, *(arguments or ("-t", "-falice@example.org")), envelope=envelope)
    except errors.NoPermission as failure:
        return str(re.findall(r"\((the [A-Za-z -]+)\); caller ", str(failure))[0])
    return ""


@pytest.mark.parametrize(
    "sender",
    [
        "alice@example.org", "Alice@EXAMPLE.org", '"alice"@example.org', '"al\\ice"@example.org', "<alice@example.org>",
        "Al <alice@example.org>", "boss@corp.example <alice@example.org>", "any.body@lists.example.org",
        "<@relay.example:alice@example.org>", "x@LISTS.example.org", "<>", "",
    ],
)  # fmt: skip
def test_a_sender_that_is_allowed_may_be_spelled_in_any_way(sender: str) -> None:
    assert verdict(Door(RULE), FROM + REST, "-t", "-f", sender) == ""


@pytest.mark.parametrize(
    "sender",
    [
        "bob@example.org", "alice@corp.example", "alice@sub.lists.example.org", "x@xlists.example.org", "alicе@example.org",
        "alice+x@example.org", '"alice "@example.org', '"alice."@example.org', "alice..@example.org", "alice@example.orgx",
        '"alice@example.org"@corp.example', '"x@lists.example.org"', "alice@[127.0.0.1]", "alice", "boss",
        '"*"@corp.example', "alice%example.org@corp.example", "alice@lists.example.org.corp.example", "álice@example.org",
        "alice@exämple.org", "alice@example.org <boss@corp.example>", '"alice@example.org" <boss@corp.example>',
        "<@example.org,@lists.example.org:boss@corp.example>",
    ],
)  # fmt: skip
def test_a_sender_that_is_not_allowed_is_refused_however_it_is_spelled(sender: str) -> None:
    config = ACCOUNT % "account" + "maildomain other.example\n"
    assert verdict(Door(RULE, config), FROM + REST, "-t", "-f", sender) == "the envelope sender"


@pytest.mark.parametrize("sender", ["alice@example.org.", "alice@example..org", "a@b@example.org", "alice@"])
def test_a_sender_that_is_no_address_is_an_error_before_any_rule(sender: str) -> None:
    with pytest.raises(errors.DataError):
        Door(RULE).take(FROM + REST, "-t", "-f", sender)


@pytest.mark.parametrize(
    "fields",
    [
        "From: alice@example.org",
        "From: Boss <alice@example.org>",
        'From: "boss@corp.example" <ALICE@Example.Org>',
        "From: alice@example.org <alice@example.org>",
        "From: alice@example.org (boss@corp.example)",
        "From: alice@example.org, list@lists.example.org",
        "From: team: alice@example.org, x@lists.example.org;",
        "From: alice\n @ example.org",
        "From: <@corp.example:alice@example.org>",
        "From:",
        "From: \nFrom: alice@example.org",
        "From: alice@example.org\nFrom: boss@corp.example",  # only the first leaves
        "From: alice@example.org\nSender: alice@example.org",
        "From: alice@example.org\nSender:",
        "From: alice@example.org\nReply-To: boss@corp.example",
        "From: alice@example.org\nX-From: boss@corp.example",
        "Resent-From: alice@example.org\nResent-To: y@example.net\nFrom: alice@example.org",
        "Subject: no From at all",
    ],
)
def test_a_header_of_an_allowed_author_passes(fields: str) -> None:
    assert verdict(Door(RULE), fields.encode() + b"\n" + REST) == ""


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ("From: boss@corp.example", "the From field"),
        ("FROM : boss@corp.example", "the From field"),
        ("From: Alice <boss@corp.example>", "the From field"),
        ("From: alice@example.org <boss@corp.example>", "the From field"),
        ('From: "alice@example.org" <boss@corp.example>', "the From field"),
        ("From: alice@example.org, boss@corp.example", "the From field"),
        # what other readers than ours take for the author
        ("From: boss@corp.example <alice@example.org>", "the From field"),
        ("From: boss@corp.example<alice@example.org>", "the From field"),
        ("From: alice@example.org, boss@corp.example <alice@example.org>", "the From field"),
        ("From: team: boss@corp.example <alice@example.org>", "the From field"),
        ("From: boss alice@example.org <alice@example.org>", "the From field"),
        ("From: =?utf-8?q?boss=40corp.example?= alice@example.org <alice@example.org>", "the From field"),
        ("From: @ <alice@example.org>", "the From field"),
        ("From: alice@example.org alice@example.org", "the From field"),
        ("From: alice@example.org; alice@example.org", "the From field"),
        ("From: boss@corp.example.\u2028<alice@example.org>", "the From field"),
        ("From: boss@corp.example, alice@example.org", "the From field"),
        ("From: alice@example.org; boss@corp.example", "the From field"),
        ("From: alice@example.org boss@corp.example", "the From field"),
        ("From: team: alice@example.org, boss@corp.example;", "the From field"),
        ("From: alice@example.org,\n boss@corp.example", "the From field"),
        ("From: boss\n\t@corp.example", "the From field"),
        ("From: \n boss@corp.example", "the From field"),
        ("From: \n \n boss@corp.example", "the From field"),
        ("From:\nFrom: boss@corp.example", "the From field"),
        ("From: boss@corp.example\nFrom: alice@example.org", "the From field"),
        ("From: boss", "the From field"),  # which leaves as boss@example.org
        ("From: boss@corp.example.", "the From field"),
        ("From: alice@example.org.", "the From field"),
        ("From: \"The boss\":;", "the From field"),
        ("From: ()", "the From field"),
        ("From: <>", "the From field"),
        ("From: alice@example.org, <boss@corp.example", "the From field"),
        ("From: boss@corp@example.org", "the From field"),
        ("From: =?utf-8?q?alice=40example=2Eorg?= <boss@corp.example>", "the From field"),
        ("From: =?utf-8?q?alice?=@example.org", "the From field"),
        ("From: alicе@example.org", "the From field"),
        ("From: alice@exämple.org", "the From field"),
        ("From: alice@example.org\nSender: boss@corp.example", "the Sender field"),
        ("From: alice@example.org\nSender: alice@example.org\nSender: boss@corp.example", "the Sender field"),
        ("From: alice@example.org\nResent-From: boss@corp.example", "the Resent-From field"),
        ("Resent-From: boss@corp.example\nResent-To: y@z\nFrom: alice@example.org", "the Resent-From field"),
        ("Resent-From: alice@example.org\nResent-To: y@z\nFrom: boss@corp.example", "the From field"),
        ("Resent-Sender: boss@corp.example\nResent-To: y@z\nFrom: alice@example.org", "the Resent-Sender field"),
        (
            "Resent-From: alice@example.org\nResent-To: y@z\nResent-From: boss@corp.example\nFrom: alice@example.org",
            "the Resent-From field",
        ),
    ],
)  # fmt: skip
def test_a_header_that_shows_another_author_is_refused(fields: str, where: str) -> None:
    assert verdict(Door(RULE), fields.encode() + b"\n" + REST) == where


def test_the_null_sender_frees_no_from_field() -> None:
    assert verdict(Door(RULE), b"From: boss@corp.example\n" + REST, "-t", "-f", "<>") == "the From field"
    assert verdict(Door(RULE), FROM + REST, "-t", "-f", "<>") == ""


def test_an_added_from_field_is_looked_at_as_well() -> None:
    door = Door(RULE, ACCOUNT % "boss")
    assert verdict(door, REST, "-t", "-f", "<>") == "the From field"
    assert verdict(door, REST, "-t") == "the envelope sender"
    assert verdict(door, REST, "-t", "-f", "alice@example.org", "-F", "The Boss") == ""


def test_an_envelope_of_a_session_is_bound_by_the_rule() -> None:
    door = Door(RULE)
    evil = Envelope(b"boss@corp.example", [(b"x@example.net", None, None)])
    good = Envelope(b"alice@example.org", [(b"x@example.net", None, None)])
    assert verdict(door, FROM + REST, envelope=evil) == "the envelope sender"
    assert verdict(door, b"From: boss@corp.example\n" + REST, envelope=good) == "the From field"
    assert verdict(door, FROM + REST, envelope=good) == ""


def test_a_sender_taken_from_the_header_is_bound_by_the_rule() -> None:
    door = Door(RULE)
    text = b"From: boss@corp.example\n" + REST
    assert verdict(door, text, "-t", "--read-envelope-from") == "the envelope sender"


def test_a_refusal_says_what_is_allowed_in_one_line_without_controls() -> None:
    with pytest.raises(errors.NoPermission) as caught:
        Door(RULE).take("From: \x1b[31m\u202eboss@corp.example\n".encode() + REST, "-t", "-f", "alice@example.org")
    line = str(caught.value)
    assert line.isprintable()
    assert line.endswith("; caller * at conf:1 allows *@lists.example.org, alice@example.org")


def test_a_percent_u_is_the_callers_own_login() -> None:
    door = Door("caller *\nsenders %U@example.org web-%U@example.org\n")
    for caller, own, others in ((ALICE, b"alice", b"bob"), (BOB, b"bob", b"alice")):
        for local in (own, b"WEB-" + own):
            sender = local.decode() + "@example.org"
            assert door.take(b"From: " + sender.encode() + b"\n" + REST, "-t", "-f", sender, caller=caller)
        with pytest.raises(errors.NoPermission, match=own.decode()):
            door.take(b"From: " + others + b"@example.org\n" + REST, "-t", caller=caller)


@pytest.mark.parametrize("login", [b"*", b"any", b"a@x.example", b"%U", b"", b'"', b"a b"])
def test_a_login_of_odd_letters_widens_no_rule(login: bytes) -> None:
    door = Door("caller *\nsenders %U@example.org\n")
    for text in (b"From: boss@corp.example\n", b"From: boss@example.org\n", b"From: a@x.example\n"):
        with pytest.raises(errors.NoPermission):
            door.take(text + REST, "-t", "-f", "<>", caller=user(1010, login))


def test_any_sender_may_be_anything_at_all() -> None:
    for rule in ("caller *\n", "caller *\nsenders any\n", "caller *\nsenders a@b.example any\n"):
        for text in (b"From: boss@corp.example\n", b"From: ()\n", b"Sender: <broken\n"):
            assert Door(rule).take(text + REST, "-t", "-fboss@corp.example")


# what is brought into line


def test_an_envelope_sender_is_replaced_and_the_header_stays() -> None:
    found = Door(ALIGNED).take(FROM + REST, "-t", "-fboss@corp.example")
    assert (found.sender, found.parcel.reverse_path) == (b"alice@example.org", b"alice@example.org")
    assert header(found).startswith(b"From: alice@example.org\r\nTo: x@example.net\r\nDate:")
    assert "the envelope sender was replaced, since the caller may not use it" in found.notes


@pytest.mark.parametrize(
    ("given", "leaves"),
    [
        ("From: boss@corp.example", "From: alice@example.org\nReply-To: boss@corp.example"),
        ("From: The Boss <boss@corp.example>", "From: The Boss <alice@example.org>\nReply-To: The Boss <boss@corp.example>"),
        (
            "FROM : Boss\n <boss@corp.example>",
            "FROM : Boss\n <alice@example.org>\nReply-To: Boss\n <boss@corp.example>",
        ),
        (
            "From: boss@corp.example\nReply-To: me@corp.example",
            "From: alice@example.org\nX-Original-From: boss@corp.example\nReply-To: me@corp.example",
        ),
        ("From: boss@corp.example\nReply-To:", "From: alice@example.org\nReply-To: boss@corp.example\nReply-To:"),
        (
            "From: a@corp.example, alice@example.org",
            "From: alice@example.org\nReply-To: a@corp.example, alice@example.org",
        ),
        ("From: <broken@corp.example", "From: alice@example.org\nX-Original-From: <broken@corp.example"),
        (
            "From: boss@corp.example <boss@corp.example>",
            "From: alice@example.org\nReply-To: boss@corp.example <boss@corp.example>",
        ),
        ("From: boss:;", "From: alice@example.org\nX-Original-From: boss:;"),
        ("From: alice@example.org\nSender: boss@corp.example", "From: alice@example.org"),
        (
            "Resent-From: Boss <boss@corp.example>\nResent-Sender: x@corp.example\nFrom: alice@example.org",
            "Resent-From: Boss <alice@example.org>\nFrom: alice@example.org",
        ),
        ("From: x@lists.example.org\nSender: y@lists.example.org", "From: x@lists.example.org\nSender: y@lists.example.org"),
    ],
)
def test_a_header_is_brought_into_line(given: str, leaves: str) -> None:
    found = Door(ALIGNED).take(given.encode() + b"\n" + REST, "-t", "-falice@example.org")
    kept = [raw for raw in header(found).replace(b"\r\n", b"\n").decode().split("\n") if raw]
    added = ("Date:", "Message-ID:", "To:", "Resent-Date:", "Resent-Message-ID:")
    assert [line for line in kept if not line.startswith(added)] == leaves.split("\n")


def test_what_was_brought_into_line_is_no_offence() -> None:
    door = Door(ALIGNED)
    for written in ("From: <broken@corp.example", "From: a@b, c@d", "Sender: x@y\nResent-From: z@a", "From: g: a@x, b@y;"):
        found = door.take(written.encode() + b"\n" + REST, "-t", "-fboss@corp.example")
        assert Senders(door.file.daemon.callers[0], b"alice").offence(found) is None


def test_the_log_hears_what_was_brought_into_line() -> None:
    found = Door(ALIGNED).take(b"From: a@b\nSender: c@d\nResent-From: e@f\nResent-Sender: g@h\n" + REST, "-t", "-fx@y")
    assert found.notes[-5:] == [
        "the envelope sender was replaced, since the caller may not use it",
        "the From field was replaced, since the caller may not use its address",
        "the Sender field was removed, since the caller may not use its address",
        "the Resent-From field was replaced, since the caller may not use its address",
        "the Resent-Sender field was removed, since the caller may not use its address",
    ]


def test_the_null_sender_stays_null_when_the_header_is_brought_into_line() -> None:
    found = Door(ALIGNED).take(b"From: boss@corp.example\n" + REST, "-t", "-f", "<>")
    assert (found.sender, found.parcel.reverse_path) == (b"", b"")


def test_a_from_field_that_was_only_added_is_not_kept() -> None:
    found = Door(ALIGNED, ACCOUNT % "boss").take(REST, "-t", "-F", "The Boss")
    assert header(found).count(b"The Boss <alice@example.org>") == 1
    assert b"Reply-To" not in header(found) and b"X-Original-From" not in header(found)
    assert found.sender == b"alice@example.org"


def test_each_caller_is_brought_into_line_with_his_own_address() -> None:
    door = Door("caller *\nsenders %U@example.org\nalign on\n")
    for caller, own in ((ALICE, b"alice"), (BOB, b"bob")):
        found = door.take(b"From: boss@corp.example\n" + REST, "-t", caller=caller)
        assert found.sender == own + b"@example.org"
        assert header(found).startswith(b"From: " + own + b"@example.org\r\nReply-To: boss@corp.example\r\n")


def test_a_peer_of_the_listener_is_brought_into_line() -> None:
    door = Door("caller listener\nsenders app@example.org\nalign on\n")
    given = Envelope(b"root@localhost.localdomain", [(b"x@example.net", None, None)])
    found = door.take(b"From: root@localhost.localdomain\n" + REST, caller=PEER, envelope=given)
    assert found.sender == b"app@example.org"
    assert b"From: app@example.org\r\n" in header(found)


PIECES = (
    "alice@example.org", "boss@corp.example", "<alice@example.org>", "<boss@corp.example>", "alice", "boss", "corp.example",
    "<", ">", ",", ";", ":", '"', "(", ")", "[", "]", "\\", "@", ".", " ", "\n ", "\n\t", "\r ", "\x0b", "\xa0", "é", "Team:",
    "=?utf-8?q?boss=40corp.example?=",
)  # fmt: skip
LINES = (
    "From: alice@example.org", "From : boss@corp.example", "fRoM:boss@corp.example", " From: boss@corp.example", " ", "",
    "X: y", "X: y\r From: boss@corp.example", "X: y\x0bFrom: boss@corp.example", "X: y\r\rFrom: boss@corp.example", "From:",
    " boss@corp.example", " <boss@corp.example>", " ,", "Sender: boss@corp.example", "From boss@corp.example", "Resent-To: x@y",
    "Resent-From: boss@corp.example", "Resent-From: alice@example.org", ">From: boss@corp.example", "From;: boss@corp.example",
    "Subject: =?utf-8?q?a=0D=0AFrom:_boss=40corp.example?=", "X: " + "y" * 1200 + " From: boss@corp.example",
)  # fmt: skip


def shown_by_others(found: Composed) -> set[str]:
    """Return every address that Python's own parser finds in the fields of who wrote and sent a message."""
    leaves = email.message_from_bytes(header(found) + b"\r\nFrom: boss@corp.example\r\n", policy=email.policy.compat32)
    fields = [str(text) for name in ("From", "Sender", "Resent-From", "Resent-Sender") for text in leaves.get_all(name, [])]
    assert len(leaves.get_all("From", [])) <= 1
    return {spec.lower() for text in fields for _, spec in email.utils.getaddresses([text]) if "@" in spec}


@pytest.mark.parametrize("rule", [RULE, ALIGNED], ids=["refused", "aligned"])
@given(data=st.data())
def test_no_other_reader_finds_another_author_in_what_leaves(rule: str, data: st.DataObject) -> None:
    value = "".join(data.draw(st.lists(st.sampled_from(PIECES), max_size=7)))
    lines = data.draw(st.lists(st.sampled_from((*LINES, "From: " + value)), min_size=1, max_size=6))
    text = "\n".join([*lines, "To: x@example.net", "", "From: boss@corp.example", ""])
    try:
        found = Door(rule).take(text.encode(), "-t", "-falice@example.org")
    except errors.Failure:
        return
    assert {spec.replace('"', "") for spec in shown_by_others(found)} <= {"alice@example.org"}
