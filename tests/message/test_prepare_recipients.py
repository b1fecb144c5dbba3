"""Who gets the message: header, arguments, aliases, resent blocks, and what happens to bad addresses."""

import pytest

from pysendmail import errors
from pysendmail.message import address
from pysendmail.message.address import Mailbox
from tests.message.submission import header_of, submit

FROM_HEADER = [
    (b"To: a@x.org\n\n", [b"a@x.org"]),
    (b"To: a@x.org\nCc: b@x.org\nBcc: c@x.org\n\n", [b"a@x.org", b"b@x.org", b"c@x.org"]),
    (b"to: a@x.org\ncC: b@x.org\nbCC: c@x.org\n\n", [b"a@x.org", b"b@x.org", b"c@x.org"]),
    (b"Bcc : c@x.org\n\n", [b"c@x.org"]),
    (b"Bcc\t \t:c@x.org\n\n", [b"c@x.org"]),
    (b"Bcc: c@x.org,\n d@x.org\nSubject: s\nBcc: e@x.org\n\n", [b"c@x.org", b"d@x.org", b"e@x.org"]),
    (b"To: a@x.org\nTo: b@x.org\n\n", [b"a@x.org", b"b@x.org"]),
    (b"To: a@x.org,\n \n b@x.org\n\n", [b"a@x.org", b"b@x.org"]),
    (b'To: A <a@x.org>, "B, C" <b@x.org> (who)\n\n', [b"a@x.org", b"b@x.org"]),
    (b"To: friends: a@x.org, b@x.org;, c@x.org\n\n", [b"a@x.org", b"b@x.org", b"c@x.org"]),
    (b"To: undisclosed-recipients:;\nBcc: a@x.org\n\n", [b"a@x.org"]),
    (b"To: <@r1.org,@r2.org:a@x.org>\n\n", [b"a@x.org"]),
    (b'To: a@[192.0.2.1], "a b"@x.org\n\n', [b"a@[192.0.2.1]", b'"a b"@x.org']),
    (b"To: alice@evil.org <bob@good.org>\n\n", [b"bob@good.org"]),
    (b'To: root, "a b"@x.org, postmaster\n\n', [b"root@example.org", b'"a b"@x.org', b"postmaster@example.org"]),
    (b"To: u@b\xc3\xbccher.example\n\n", [b"u@xn--bcher-kva.example"]),
    (b"To: \xc3\xbc@b\xc3\xbccher.example\n\n", [b"\xc3\xbc@xn--bcher-kva.example"]),
    (b"To: a@x.org\n \nBcc: b@x.org\n\n", [b"a@x.org", b"b@x.org"]),
    (b"From x Mon\nTo: a@x.org\n\n", [b"a@x.org"]),
    # a CR never makes a field, text never gives a recipient
    (b"To: a@x.org\nSubject: s\rBcc: b@x.org\n\n", [b"a@x.org"]),
    (b"To: a@x.org\n\nBcc: b@x.org\n", [b"a@x.org"]),
    (b"To: a@x.org\nno field\nBcc: b@x.org\n", [b"a@x.org"]),
    (b"To: a@x.org\nSubject: Cc: b@x.org\n Bcc: c@x.org\n\n", [b"a@x.org"]),
    (b"To: a@x.org\nX-To: b@x.org\nReply-To: c@x.org\nApparently-To: d@x.org\n\n", [b"a@x.org"]),
    # duplicates
    (b'To: a@x.org, a@X.ORG, "a"@x.org\nBcc: <a@x.org>\n\n', [b"a@x.org"]),
    (b"To: a@x.org, A@x.org\n\n", [b"a@x.org", b"A@x.org"]),
    (b"To: root, root@EXAMPLE.org\n\n", [b"root@example.org"]),
    (b"To: u@b\xc3\xbccher.example, u@XN--BCHER-KVA.example\n\n", [b"u@xn--bcher-kva.example"]),
    # resent
    (b"Resent-To: n@x.org\nTo: a@x.org\nBcc: b@x.org\n\n", [b"n@x.org"]),
    (b"Resent-Cc: n@x.org\nResent-Bcc: m@x.org\nCc: a@x.org\n\n", [b"n@x.org", b"m@x.org"]),
    (b"To: a@x.org\nResent-From: n@x.org\n\n", [b"a@x.org"]),
    (b"Resent-From: me\nResent-To: n@x.org\nReceived: y\nResent-To: old@x.org\nTo: a@x.org\n\n", [b"n@x.org"]),
    (b"Resent-From: me\nResent-To: n@x.org\nResent-From: you\nResent-To: old@x.org\n\n", [b"n@x.org"]),
    (b"Resent-From: me\nReceived: y\nResent-To: old@x.org\nTo: a@x.org\n\n", [b"a@x.org"]),
    (b"Resent-To: n@x.org\nResent-To: m@x.org\nTo: a@x.org\n\n", [b"n@x.org", b"m@x.org"]),
]


@pytest.mark.parametrize(("message", "recipients"), FROM_HEADER)
def test_the_header_gives_these_recipients_and_no_others(message: bytes, recipients: list[bytes]) -> None:
    assert submit(message).recipients == recipients


@pytest.mark.parametrize(
    ("arguments", "recipients"),
    [
        ([b"a@x.org"], [b"a@x.org"]),
        ([b"a@x.org,b@x.org"], [b"a@x.org", b"b@x.org"]),
        ([b"A B <a@x.org>"], [b"a@x.org"]),
        ([b"a@x.org", b"a@X.org", b"b@x.org"], [b"a@x.org", b"b@x.org"]),
        ([b"root"], [b"root@example.org"]),
        ([b"", b"a@x.org"], [b"a@x.org"]),
        ([b"-x@x.org"], [b"-x@x.org"]),
    ],
)
def test_each_argument_is_an_address_list(arguments: list[bytes], recipients: list[bytes]) -> None:
    message = b"To: not-me@x.org\nBcc: nor-me@x.org\nResent-To: nor-me@x.org\n\n"
    assert submit(message, *arguments, extract=False).recipients == recipients


def test_two_addresses_without_a_comma_are_both_taken_and_the_log_says_so() -> None:
    from_header = submit(b"To: a@x.org b@x.org\n\n")
    from_argument = submit(b"\n", b"a@x.org b@x.org", extract=False)
    for prepared in (from_header, from_argument):
        assert prepared.recipients == [b"a@x.org", b"b@x.org"]
        assert len(prepared.notes) == 1


def test_a_bcc_that_gives_no_recipient_leaves_no_trace_in_the_log() -> None:
    assert submit(b"Bcc: a@x.org b@x.org\n\n", b"r@x.org", extract=False).notes == []


def test_arguments_are_added_to_the_header_each_recipient_once() -> None:
    prepared = submit(b"To: a@x.org\nBcc: b@x.org\n\n", b"c@x.org", b"a@X.org")
    assert prepared.recipients == [b"a@x.org", b"b@x.org", b"c@x.org"]


def test_arguments_are_taken_away_where_the_configuration_says_so() -> None:
    message = b"To: a@x.org, b@x.org\n\n"
    assert submit(message, b"a@X.org", minus=True).recipients == [b"b@x.org"]
    assert submit(message, b"c@x.org", minus=True).recipients == [b"a@x.org", b"b@x.org"]
    assert submit(message, b"a@x.org", minus=True, extract=False).recipients == [b"a@x.org"]
    with pytest.raises(errors.UsageError):
        submit(message, b"a@x.org, b@x.org", minus=True)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"Subject: x\n\n",
        b"To:\n\n",
        b"To: undisclosed-recipients:;\n\n",
        b"To: no address\n\n",
        b"\nTo: a@x.org\n",
    ],
)
def test_no_recipient_at_all_is_a_usage_error(message: bytes) -> None:
    with pytest.raises(errors.UsageError, match="no recipients"):
        submit(message)


def test_without_t_the_header_gives_no_recipient() -> None:
    with pytest.raises(errors.UsageError, match="-t"):
        submit(b"To: a@x.org\n\n", extract=False)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (b"To: a@x.org, b@@x.org\n\n", "b@@x.org"),
        (b"To: a@x.org,\n John\n Smith\n\n", "John Smith"),
        (b"To: good@x.org\nCc: a@x.org, <b@x.org\n\n", "b@x.org"),
        (b"To: a@x.org, b@-\xff.org\n\n", "b@-"),
        (b"To: a@x.org, b@\x01x.org\n\n", "b@"),
        (b"To: a@x.org, b@\xcd\xb8.org\n\n", "b@\u0378.org"),
    ],
)
def test_a_bad_address_among_good_ones_is_refused_and_named(message: bytes, named: str) -> None:
    with pytest.raises(errors.DataError) as caught:
        submit(message)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "argument", [b"a@@x.org", b"John Smith", b"a@x.org,b@@x.org", b"<a@x.org", b"u@\xff.org", b"u@\xcd\xb8.org"]
)
def test_a_bad_argument_is_refused(argument: bytes) -> None:
    with pytest.raises(errors.DataError):
        submit(b"To: a@x.org\n\n", argument)


def test_a_bad_address_can_be_skipped_and_is_reported() -> None:
    prepared = submit(b"To: a@x.org, b@@x.org\nCc: u@\xcd\xb8.org, c@x.org\n\n", b"d@@x.org", skip=True)
    assert prepared.recipients == [b"a@x.org", b"c@x.org"]
    assert [text for text, _ in prepared.bad] == [b"b@@x.org", b"u@\xcd\xb8.org", b"d@@x.org"]
    assert all(reason for _, reason in prepared.bad)


def test_bad_addresses_alone_are_an_error_even_where_they_may_be_skipped() -> None:
    with pytest.raises(errors.DataError, match="a@@x"):
        submit(b"\n", b"a@@x.org", skip=True, extract=False)


def test_a_field_of_which_nothing_can_be_parsed_leaves_as_it_came() -> None:
    prepared = submit(b"To: no address, at all\nCc: a@x.org\n\n")
    assert prepared.recipients == [b"a@x.org"]
    assert header_of(prepared).startswith(b"To: no address, at all\nCc: a@x.org\n")
    assert any(note.startswith("to gives no recipient") for note in prepared.notes)


ALIASES = {
    b"root": [address.Mailbox(b"admin", b"x.org", 0, 0), address.Mailbox(b"bob", b"", 0, 0)],
    b"nobody": [],
    b"webmaster": [address.Mailbox(b"admin", b"X.org", 0, 0)],
}


def expand(mailbox: Mailbox) -> list[Mailbox] | None:
    return None if mailbox.domain else ALIASES.get(mailbox.local)


def test_aliases_are_expanded_before_duplicates_are_removed() -> None:
    prepared = submit(b"To: root, bob, nobody\nCc: admin@x.org\n\n", b"webmaster", expand=expand)
    assert prepared.recipients == [b"admin@x.org", b"bob@example.org"]
    assert header_of(prepared).startswith(
        b"To: root@example.org, bob@example.org, nobody@example.org\nCc: admin@x.org\n"
    )


def test_excluded_arguments_are_expanded_as_well() -> None:
    assert submit(b"To: a@x.org, admin@x.org\n\n", b"webmaster", minus=True, expand=expand).recipients == [b"a@x.org"]


def test_without_maildomain_names_stay_unqualified() -> None:
    prepared = submit(b'To: root, Root, "a@b"\n\n', b"root", maildomain=b"")
    assert prepared.recipients == [b"root", b"Root", b'"a@b"']
    assert header_of(prepared).startswith(b'To: root, Root, "a@b"\nFrom: Alice Liddell <alice>\n')


def test_ten_thousand_recipients_are_all_found() -> None:
    people = [b"user%d@host%d.example" % (number, number % 7) for number in range(10_000)]
    assert submit(b"Bcc: " + b",\n ".join(people) + b"\n\n").recipients == people
