"""What the header loses, keeps and gains on its way out."""

from typing import Any

import pytest

from pysendmail import errors
from pysendmail.message.fixups import date
from pysendmail.message.sender import header_from
from tests.message.submission import DATE, MESSAGE_ID, header_of, submit

TAIL = b"From: Alice Liddell <alice@example.org>\nDate: " + DATE + b"\nMessage-ID: " + MESSAGE_ID + b"\n"
FULL = b"From: a@x.org\nTo: b@x.org\nDate: Mon\nMessage-ID: <m@x>\n"


def test_a_complete_header_leaves_byte_for_byte() -> None:
    message = (
        b'received: from x\n\tby y; z  \nFROM : "A \\" B"  <a@x.org>(c)\nTo:b@x.org,\n c@x.org \nCC:\tG: d@x.org ;\n'
        b"X-Empty:\nsubject:  \xff\xfe caf\xc3\xa9 \x01\nSender: z@x.org\nDate: whenever\nMessage-Id: none\n"
        b"Date: twice\n"
    )
    assert header_of(submit(message)) == message


def test_a_message_without_header_gets_a_whole_one() -> None:
    prepared = submit(b"just text\n", b"root", extract=False)
    assert header_of(prepared) == TAIL + b"To: undisclosed-recipients:;\n"


@pytest.mark.parametrize(
    "bcc",
    [
        b"Bcc: c@x.org\n",
        b"bcc:c@x.org\n",
        b"BCC : c@x.org\n",
        b"Bcc\t:\n c@x.org\n",
        b"Bcc: c@x.org,\n \n\td@x.org\n",
        b"Bcc:\n",
        b"Bcc: no address\n",
        b"Bcc: c@x.org\nBcc: d@x.org\n",
        b"Resent-Bcc: c@x.org\n",
        b"RESENT-BCC :c@x.org\n",
        b"Return-Path: <c@x.org>\n",
        b"Content-Length : 12\n",
    ],
)
@pytest.mark.parametrize("extract", [True, False])
def test_what_must_not_be_seen_is_removed_wherever_it_stands(bcc: bytes, extract: bool) -> None:
    lines = FULL.splitlines(keepends=True)
    for place in range(len(lines) + 1):
        message = b"".join(lines[:place]) + bcc + b"".join(lines[place:]) + b"\nBcc: text\n"
        left = header_of(submit(message, b"b@x.org", extract=extract))
        assert [line for line in left.splitlines(keepends=True) if not line.startswith(b"Resent-")] == lines


QUALIFIED = [
    (b"To: root\n", b"To: root@example.org\n"),
    (b"From: root (Cron Daemon)\n", b"From: root@example.org (Cron Daemon)\n"),
    (b"From: Anacron <root>\n", b"From: Anacron <root@example.org>\n"),
    (b"From: mdadm monitoring <root>\n", b"From: mdadm monitoring <root@example.org>\n"),
    (b"Cc:a,b@x.org,\n c , D <d>\n", b"Cc:a@example.org,b@x.org,\n c@example.org , D <d@example.org>\n"),
    (b"Reply-To: g: a, b;\n", b"Reply-To: g: a@example.org, b@example.org;\n"),
    (b'Sender: "a.b" (x)\n', b'Sender: "a.b"@example.org (x)\n'),
    (b"Disposition-Notification-To: a\n", b"Disposition-Notification-To: a@example.org\n"),
    (b"To: a, b@@x, c\n", b"To: a@example.org, b@@x, c@example.org\n"),
    (b"To: u@b\xc3\xbccher.example\n", b"To: u@xn--bcher-kva.example\n"),
    (b"To: \xc3\xbc <u@b\xc3\xbccher.example> (\xc3\xbc)\n", b"To: \xc3\xbc <u@xn--bcher-kva.example> (\xc3\xbc)\n"),
    (b"To: u@(c)b\xc3\xbccher.example\n", b"To: u@(c)xn--bcher-kva.example\n"),
    (b"To: u@b\xc3\xbccher . example, v\n", b"To: u@xn--bcher-kva.example, v@example.org\n"),
    (b"To: u@\xff.example, v\n", b"To: u@\xff.example, v@example.org\n"),
    (b"To: u, u@\xcd\xb8.example, v\n", b"To: u@example.org, u@\xcd\xb8.example, v@example.org\n"),
    (b"Subject: root\n", b"Subject: root\n"),
    (b"X-To: root\n", b"X-To: root\n"),
    (b"To: John Smith\n", b"To: John Smith\n"),
    (b"To: undisclosed-recipients:;\n", b"To: undisclosed-recipients:;\n"),
]


@pytest.mark.parametrize(("before", "after"), QUALIFIED)
def test_addresses_are_completed_in_place_and_nothing_else_changes(before: bytes, after: bytes) -> None:
    assert header_of(submit(before, b"r@x.org", extract=False)).startswith(after)


def test_resent_addresses_are_completed_too() -> None:
    left = header_of(submit(b"Resent-From: a\nResent-To: b\nResent-Cc: c\nResent-Sender: d\n", b"r@x.org"))
    for line in (b"Resent-From: a@", b"Resent-To: b@", b"Resent-Cc: c@", b"Resent-Sender: d@"):
        assert line + b"example.org\n" in left


ADDED = [
    (b"From", b"From: Alice Liddell <alice@example.org>\n"),
    (b"Date", b"Date: " + DATE + b"\n"),
    (b"Message-ID", b"Message-ID: " + MESSAGE_ID + b"\n"),
]


def without(name: bytes) -> bytes:
    return b"".join(line for line in FULL.splitlines(keepends=True) if not line.startswith(name + b":"))


@pytest.mark.parametrize(("name", "added"), [*ADDED, (b"To", b"To: undisclosed-recipients:;\n")])
def test_a_missing_field_is_added_at_the_end(name: bytes, added: bytes) -> None:
    assert header_of(submit(without(name), b"b@x.org", extract=False)) == without(name) + added


@pytest.mark.parametrize(("name", "added"), ADDED)
@pytest.mark.parametrize("empty", [b"", b" ", b"\n ", b" \n \n\t"])
def test_an_empty_field_counts_as_missing(name: bytes, added: bytes, empty: bytes) -> None:
    message = name + b":" + empty + b"\n" + without(name)
    assert header_of(submit(message, b"b@x.org", extract=False)) == without(name) + added


def test_cc_alone_needs_no_to_and_an_empty_to_stays() -> None:
    assert b"undisclosed" not in header_of(submit(b"Cc: a@x.org\n\n"))
    assert header_of(submit(b"To:\nBcc: a@x.org\n\n")).count(b"To:") == 1


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ({}, b"Alice Liddell <alice@example.org>"),
        ({"gecos": b""}, b"alice@example.org"),
        ({"gecos": b","}, b"alice@example.org"),
        ({"gecos": b"& Smith,x"}, b"Alice Smith <alice@example.org>"),
        ({"gecos": b"& and &", "login": b"mcDonald"}, b"McDonald and McDonald <mcDonald@example.org>"),
        ({"gecos": b"A\x01\tB\r\nBcc \x7f x  y"}, b"A B Bcc x y <alice@example.org>"),
        ({"full_name": b"CronDaemon"}, b"CronDaemon <alice@example.org>"),
        ({"full_name": b"a & b"}, b"a & b <alice@example.org>"),
        ({"full_name": b""}, b"alice@example.org"),
        ({"sender": b"Bob B <b@x.org>"}, b"Bob B <b@x.org>"),
        ({"sender": b"Bob B <b@x.org>", "full_name": b"F"}, b"F <b@x.org>"),
        ({"sender": b"b@x.org"}, b"Alice Liddell <b@x.org>"),
        ({"sender": b"b"}, b"Alice Liddell <b@example.org>"),
        ({"sender": b""}, b"Alice Liddell <alice@example.org>"),
        ({"sender": b"<>", "account_from": b"acc@x.org"}, b"Alice Liddell <acc@x.org>"),
        ({"account_from": b"acc@x.org", "account_full_name": b"Acc"}, b"Acc <acc@x.org>"),
        ({"account_from": b"acc"}, b"Alice Liddell <acc@example.org>"),
        ({"login": b"DOM\\user x"}, b'Alice Liddell <"DOM\\\\user x"@example.org>'),
        ({"full_name": b'J. "Q" P'}, b'"J. \\"Q\\" P" <alice@example.org>'),
        ({"gecos": b"J. Smith (x)"}, b'"J. Smith (x)" <alice@example.org>'),
        ({"full_name": b"J\xc3\xbcrgen"}, b"=?utf-8?q?J=C3=BCrgen?= <alice@example.org>"),
        ({"sender": b"u@b\xc3\xbccher.example"}, b"Alice Liddell <u@xn--bcher-kva.example>"),
    ],
)
def test_an_added_from_shows_this_name_and_address(changed: dict[str, Any], value: bytes) -> None:
    left = header_of(submit(b"To: b@x.org\nDate: d\nMessage-ID: <m@x>\n\n", **changed))
    assert left == b"To: b@x.org\nDate: d\nMessage-ID: <m@x>\nFrom: " + value + b"\n"


def test_of_two_from_fields_the_first_stays_and_the_log_says_so() -> None:
    prepared = submit(b"From: a@x.org\nSubject: s\nFrom: b@x.org\nfrom : c@x.org\nTo: r@x.org\n\n")
    assert header_of(prepared).lower().count(b"from") == 1
    assert header_of(prepared).startswith(b"From: a@x.org\nSubject: s\nTo: r@x.org\n")
    assert header_from(prepared.fields) == b"a@x.org"
    assert any("From" in note for note in prepared.notes)


def test_of_two_from_fields_an_empty_one_goes() -> None:
    left = header_of(submit(b"From:\nTo: r@x.org\nFrom: b@x.org\n\n"))
    assert left.startswith(b"To: r@x.org\nFrom: b@x.org\nDate")


RESENT_TAIL = TAIL.replace(b"From:", b"Resent-From:").replace(b"Date", b"Resent-Date").replace(b"Mess", b"Resent-Mess")


@pytest.mark.parametrize(
    ("message", "left"),
    [
        (b"Resent-To: n@x.org\nSubject: s\n", b"Resent-To: n@x.org\n" + RESENT_TAIL + b"Subject: s\n"),
        (b"Subject: s\nResent-To: n@x.org\n", b"Subject: s\nResent-To: n@x.org\n" + RESENT_TAIL),
        (b"Resent-Bcc: n@x.org\nBcc: o@x.org\nSubject: s\n", RESENT_TAIL + b"Subject: s\n"),
        (
            b"Resent-From: me@x.org\nResent-Date:\nResent-Message-ID: <r@x>\nResent-To: n@x.org\nSubject: s\n",
            b"Resent-From: me@x.org\nResent-Message-ID: <r@x>\nResent-To: n@x.org\nResent-Date: "
            + DATE
            + b"\nSubject: s\n",
        ),
        (
            b"Resent-To: n@x.org\nReceived: x\nResent-From: old@x.org\nResent-Bcc: x@x.org\nFrom:\nDate:\n",
            b"Resent-To: n@x.org\n" + RESENT_TAIL + b"Received: x\nResent-From: old@x.org\nFrom:\nDate:\n",
        ),
    ],
)
def test_a_resent_message_has_its_resent_block_completed_instead(message: bytes, left: bytes) -> None:
    assert header_of(submit(message + b"\n")) == left


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        (
            {"set_from_header": "on"},
            b"To: r@x.org\nDate: d\nMessage-ID: <m@x>\nFrom: Alice Liddell <alice@example.org>\nReply-To: a@x.org\n",
        ),
        (
            {"set_from_header": "on", "sender": b"b@x.org", "full_name": b""},
            b"To: r@x.org\nDate: d\nMessage-ID: <m@x>\nFrom: b@x.org\nReply-To: a@x.org\n",
        ),
        ({"set_date_header": "on"}, b"From: a@x.org\nTo: r@x.org\nMessage-ID: <m@x>\nDate: " + DATE + b"\n"),
        ({"set_msgid_header": "on"}, b"From: a@x.org\nTo: r@x.org\nDate: d\nMessage-ID: " + MESSAGE_ID + b"\n"),
        (
            {"undisclosed_recipients": True},
            b"From: a@x.org\nDate: d\nMessage-ID: <m@x>\nTo: undisclosed-recipients:;\n",
        ),
    ],
)
def test_the_configuration_can_replace_what_is_there(changed: dict[str, Any], left: bytes) -> None:
    message = b"From: a@x.org\nTo: r@x.org\nDate: d\nMessage-ID: <m@x>\nCc: c@x.org\n\n"
    if "undisclosed_recipients" not in changed:
        message = message.replace(b"Cc: c@x.org\n", b"")
    assert header_of(submit(message, **changed)) == left


@pytest.mark.parametrize(
    ("changed", "absent"),
    [
        ({"set_from_header": "off"}, b"From"),
        ({"add_missing_from_header": False}, b"From"),
        ({"set_date_header": "off"}, b"Date"),
        ({"set_msgid_header": "off"}, b"Message-ID"),
    ],
)
def test_the_configuration_can_forbid_adding(changed: dict[str, Any], absent: bytes) -> None:
    assert absent not in header_of(submit(b"To: r@x.org\n\n", **changed))
    assert absent not in header_of(submit(b"Resent-To: r@x.org\n\n", **changed))


def test_set_from_header_outweighs_add_missing_from_header() -> None:
    left = header_of(submit(b"To: r@x.org\n\n", set_from_header="on", add_missing_from_header=False))
    assert b"From: Alice Liddell <alice@example.org>\n" in left


def test_a_replaced_from_replaces_the_authors_in_a_resent_message_too() -> None:
    left = header_of(submit(b"Resent-From: b@x.org\nResent-To: r@x.org\nFrom: a@x.org\n\n", set_from_header="on"))
    assert b"Resent-From: b@x.org\n" in left
    assert left.endswith(b"\nFrom: Alice Liddell <alice@example.org>\nReply-To: a@x.org\n")
    assert left.count(b"From: ") == 2


def test_undisclosed_recipients_hides_resent_recipients_too() -> None:
    left = header_of(submit(b"Resent-To: r@x.org\nResent-Cc: q@x.org\nTo: a@x.org\n\n", undisclosed_recipients=True))
    assert b"r@x.org" not in left
    assert b"q@x.org" not in left
    assert left.endswith(b"To: undisclosed-recipients:;\n")


@pytest.mark.parametrize(
    ("changed", "domain"),
    [
        ({}, b"example.org"),
        ({"sender": b"a@b.org"}, b"b.org"),
        ({"sender": b"<>"}, b"example.org"),
        ({"sender": b"<>", "account_from": b"x@acc.org"}, b"acc.org"),
        ({"account_from": b"x@acc.org"}, b"acc.org"),
        ({"sender": b"a@[192.0.2.1]"}, b"[192.0.2.1]"),
        ({"privacy": True}, b"from.org"),
        ({"privacy": True, "sender": b"<>"}, b"from.org"),
        ({"privacy": True, "sender": b"a@b.org"}, b"b.org"),
        ({"privacy": True, "account_from": b"x@acc.org"}, b"acc.org"),
        ({"maildomain": b""}, b"localhost"),
        ({"maildomain": b"", "login": b"a@b"}, b"localhost"),
    ],
)
def test_an_added_message_id_shows_the_domain_of_the_sender(changed: dict[str, Any], domain: bytes) -> None:
    left = header_of(submit(b"To: r@x.org\nFrom: a@from.org\n\n", **changed))
    assert left.endswith(b"\nMessage-ID: <unique@" + domain + b">\n")


@pytest.mark.parametrize(
    ("now", "offset", "written"),
    [
        (0.0, 0, b"Thu, 1 Jan 1970 00:00:00 +0000"),
        (1700000000.99, 0, b"Tue, 14 Nov 2023 22:13:20 +0000"),
        (1700000000.0, 120, b"Wed, 15 Nov 2023 00:13:20 +0200"),
        (1700000000.0, -210, b"Tue, 14 Nov 2023 18:43:20 -0330"),
        (1700000000.0, 345, b"Wed, 15 Nov 2023 03:58:20 +0545"),
        (1709164799.0, 0, b"Wed, 28 Feb 2024 23:59:59 +0000"),
        (1709164800.0, 0, b"Thu, 29 Feb 2024 00:00:00 +0000"),
        (4102444800.0, -30, b"Thu, 31 Dec 2099 23:30:00 -0030"),
    ],
)
def test_dates_are_written_as_rfc_5322_wants_them(now: float, offset: int, written: bytes) -> None:
    assert date(now, offset) == written


def test_more_than_a_hundred_received_fields_are_a_loop() -> None:
    trace = b"Received: from x by y; z\n"
    assert header_of(submit(trace * 100 + b"To: r@x.org\n\n")).count(trace) == 100
    with pytest.raises(errors.DataError, match="loop"):
        submit(trace * 50 + b"received :x\n" * 51 + b"To: r@x.org\n\n")
