"""Reports as a whole: their header, which parts they have, what of the message comes back, and how they travel."""

from email.message import Message

import pytest
from flufl.bounce import all_failures

from pysendmail.message import dsn
from pysendmail.message.body import Body, BodyWriter
from pysendmail.message.header import Field
from pysendmail.message.mime import reencode
from tests.message.reports import (
    HEADER,
    TEXT,
    body_of,
    content,
    facts,
    human,
    inner,
    octets,
    parsed,
    parts,
    prose,
    raw_parsed,
    recipient,
    report,
)

GOLDEN = """\
From: Mail Delivery System <MAILER-DAEMON@example.org>
To: alice@example.org
Subject: Undelivered Mail Returned to Sender
Date: Tue, 14 Nov 2023 23:13:20 +0000
Message-ID: <unique@example.org>
Auto-Submitted: auto-replied
In-Reply-To: <1@example.org>
References: <1@example.org>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="BOUNDARY"

--BOUNDARY
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

Your message could not be delivered to bob@example.net.

  Subject: Lunch
  Sent:    Tue, 14 Nov 2023 22:13:20 +0000

bob@example.net
  mail.example.net answered:
    550 5.1.1 <bob@example.net>: unknown
  What to do: There is no such address. Check its spelling, and send the
  message again to the right one.

It will not be tried again. Your message is attached.

The mail system of mail.example.org (message 4ABC)

--BOUNDARY
Content-Description: Delivery report
Content-Type: message/delivery-status

Original-Envelope-Id: job 7
Reporting-MTA: dns; mail.example.org
Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000
X-Pysendmail-Queue-ID: 4ABC
X-Pysendmail-Sender: rfc822; alice@example.org

Original-Recipient: rfc822; bob+lists@example.org
Final-Recipient: rfc822; bob@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mail.example.net
Diagnostic-Code: smtp; 550 5.1.1 <bob@example.net>: unknown
Last-Attempt-Date: Tue, 14 Nov 2023 23:13:19 +0000

--BOUNDARY
Content-Description: Undelivered Message
Content-Type: message/rfc822

From: Alice <alice@example.org>
To: bob@example.net
Subject: Lunch
Date: Tue, 14 Nov 2023 22:13:00 +0000
Message-ID: <1@example.org>

Shall we?

--BOUNDARY--
"""


def value(made: tuple[list[Field], Body], name: bytes) -> bytes:
    return next((field.value for field in made[0] if field.name == name), b"")


def boundary(made: tuple[list[Field], Body]) -> bytes:
    return value(made, b"content-type")[-48:-1]


def bounced(made: tuple[list[Field], Body]) -> tuple[list[bytes], list[bytes]]:
    """Give the recipients that are delayed and those that failed, as a mailing list's reader of bounces finds them."""
    delayed, failed = all_failures(raw_parsed(made))
    return sorted(delayed), sorted(failed)


def to_seven_bit(made: tuple[list[Field], Body]) -> tuple[list[Field], Body]:
    fields, body = reencode(*made, eight_bit_ok=False, new_writer=BodyWriter)
    assert not (body.eight_bit or body.nul or body.long_line)
    return fields, body


def returned(made: tuple[list[Field], Body]) -> Message:
    """Give the message that came back, as a reader of the report sees it."""
    third = inner(raw_parsed(made), 2)
    assert third.get_content_type() == "message/rfc822"
    return inner(third, 0)


def test_a_whole_report_is_known_to_the_octet():
    made = report(recipients=[recipient(orcpt=b"rfc822;bob+2Blists@example.org")], envid=b"job 7")
    assert octets(made).decode() == GOLDEN.replace("BOUNDARY", boundary(made).decode()).replace("\n", "\r\n")


def test_an_independent_parser_of_bounces_finds_whom_it_is_about():
    failed = [recipient(b"bob@example.net"), recipient(b'"a b"@example.net'), recipient(b"c@x", status="4.4.1")]
    assert bounced(report(recipients=failed)) == ([], [b'"a b"@example.net', b"bob@example.net", b"c@x"])
    assert bounced(report(dsn.DELAYED)) == ([b"bob@example.net"], [])
    assert bounced(report(dsn.RELAYED)) == bounced(report(dsn.DELIVERED)) == ([], [])


def test_an_independent_parser_of_bounces_prefers_the_original_recipient():
    made = report(recipients=[recipient(orcpt=b"rfc822;list+2Bbob@example.org")])
    assert bounced(made) == ([], [b"list+bob@example.org"])


@pytest.mark.parametrize(
    ("kind", "subject", "copy", "third"),
    [
        (
            dsn.FAILED,
            b"Undelivered Mail Returned to Sender",
            b"Postmaster Copy: Undelivered Mail",
            "message/rfc822",
        ),
        (
            dsn.DELAYED,
            b"Delayed Mail (still being retried)",
            b"Postmaster Warning: Delayed Mail",
            "text/rfc822-headers",
        ),
        (
            dsn.RELAYED,
            b"Successful Mail Delivery Report",
            b"Postmaster Copy: Successful Mail Delivery Report",
            "text/rfc822-headers",
        ),
        (
            dsn.DELIVERED,
            b"Successful Mail Delivery Report",
            b"Postmaster Copy: Successful Mail Delivery Report",
            "text/rfc822-headers",
        ),
    ],
)
def test_each_kind_has_the_subject_that_users_know_and_returns_what_it_should(kind, subject, copy, third):
    made = report(kind, ret=b"FULL")
    assert value(made, b"subject") == subject
    assert value(report(kind, to=b"postmaster@example.org"), b"subject") == copy
    types = [part.get_content_type() for part in parsed(made).iter_parts()]
    assert types == ["text/plain", "message/delivery-status", third]


def test_a_report_goes_to_the_sender_or_to_whom_it_is_addressed():
    assert value(report(), b"to") == b"alice@example.org"
    assert value(report(sender=b"", to=b"postmaster@example.org"), b"to") == b"postmaster@example.org"


def test_a_report_to_nobody_or_on_nobody_is_refused():
    with pytest.raises(ValueError, match="reader"):
        report(sender=b"")
    with pytest.raises(ValueError, match="recipient"):
        dsn.build(dsn.FAILED, facts(), [], HEADER, None)


@pytest.mark.parametrize("to", [b"a@x\r\nBcc: b@x", b"a@x, b@x", b"Al <a@x>", b"a b", b"a\0@x", b"a" * 990 + b"@x"])
def test_what_is_no_single_address_does_not_reach_the_to_field(to):
    made = report(sender=to)
    assert value(made, b"to") == b"undisclosed-recipients:;"
    assert [field.name for field in made[0]].count(b"bcc") == 0


def test_the_report_joins_the_thread_of_the_message():
    header = HEADER + b"In-Reply-To: <9@x>\r\nReferences: <0@x>\r\n <9@x>\r\n"
    made = report(header=header)
    assert value(made, b"in-reply-to") == b"<1@example.org>"
    assert value(made, b"references") == b"<0@x> <9@x> <1@example.org>"
    assert value(report(header=HEADER + b"In-Reply-To: <9@x>\r\n"), b"references") == b"<9@x> <1@example.org>"


def test_a_long_thread_keeps_its_first_message_and_its_last_ones():
    before = [b"<%d@x>" % number for number in range(1000)]
    made = report(header=HEADER + b"References: " + b"\r\n ".join(before) + b"\r\n")
    assert value(made, b"references").split() == [before[0], *before[-18:], b"<1@example.org>"]


@pytest.mark.parametrize("bad", [b"", b"1@example.org", b"<1\x01@x>", b"<1>", b"<" + b"1" * 300 + b"@x>", b"<\xff@x>"])
def test_a_message_id_that_is_none_is_not_repeated(bad):
    made = report(header=b"Subject: s\r\nMessage-ID: " + bad + b"\r\nReferences: <0@x>\r\n")
    assert {field.name for field in made[0]}.isdisjoint((b"in-reply-to", b"references"))


def test_there_is_no_other_field_in_the_header_of_a_report():
    names = [field.name for field in report()[0]]
    assert names == (
        b"from to subject date message-id auto-submitted in-reply-to references mime-version content-type".split()
    )
    assert value(report(text=b"\xff\r\n"), b"content-transfer-encoding") == b"8bit"


# What of the message comes back


def test_the_message_comes_back_octet_for_octet():
    text = b"\r\n--x\r\nFrom me\r\n.\r\n\r\n" + bytes(range(1, 10)) + "grün".encode() + b"\r\n\r\n"
    header = HEADER + b"X-Odd:\tone\r\n   two \r\n"
    third = parts(report(header=header, text=text))[2]
    assert third.partition(b"\r\n\r\n")[2] == header + b"\r\n" + body_of(text).chunks().__next__()


def test_only_the_header_comes_back_where_that_was_asked_for():
    made = report(ret=b"HDRS")
    assert parts(made)[2].partition(b"\r\n\r\n")[2] == HEADER
    assert TEXT not in octets(made)
    assert "The header of your message is attached." in prose(made)


def test_a_message_over_the_limit_comes_back_as_its_header_and_the_text_says_so():
    size = len(HEADER) + 2 + len(TEXT)
    assert TEXT in octets(report(limit=size))
    made = report(limit=size - 1, ret=b"FULL")
    assert TEXT not in octets(made) and parts(made)[2].partition(b"\r\n\r\n")[2] == HEADER
    assert "Your message (1 KB) is too large to be attached; its header is." in prose(made)


@pytest.mark.parametrize(
    ("status", "reply"),
    [("5.3.4", "552 5.3.4 too big"), ("5.2.3", "550 5.2.3 no"), ("5.3.4", "the message has 9 octets")],
)
def test_who_found_the_message_too_large_does_not_get_it_again_in_a_report(status, reply):
    made = report(recipients=[recipient(), recipient(b"c@x", status=status, reply=reply)], ret=b"FULL")
    assert TEXT not in octets(made)
    assert "too large to be attached" in prose(made)


def test_a_message_whose_body_is_gone_comes_back_as_its_header():
    made = report(text=None)
    assert parts(made)[2] == (
        b"Content-Description: Undelivered Message Headers\r\nContent-Type: text/rfc822-headers\r\n\r\n" + HEADER
    )


def test_a_large_message_streams_through_a_file():
    class Repeated:
        size = 4 << 20

        def chunks(self):
            return iter([b"0123456789abcd\r\n" * 65536] * 4)

    made = dsn.build(
        dsn.FAILED, facts(), [recipient()], HEADER, Repeated(), limit=5 << 20, new_writer=lambda: BodyWriter(1024)
    )
    assert made[1].size > 4 << 20
    assert made[1]._data == b"" and made[1]._spool is not None
    assert content(returned(made)).count(b"\r\n") == 4 * 65536


# How it travels


def test_a_report_on_plain_text_is_plain_text():
    _, body = made = report()
    assert not (body.eight_bit or body.nul or body.long_line)
    assert b"8bit" not in octets(made)


def test_an_8_bit_message_makes_an_8_bit_report_that_a_7_bit_server_can_take_too():
    text = "Grüße\r\n".encode()
    made = report(header=HEADER + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n", text=text)
    assert value(made, b"content-transfer-encoding") == b"8bit"
    assert b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" in octets(made)
    encoded = to_seven_bit(made)
    assert value(encoded, b"content-transfer-encoding") == b"7bit"
    assert returned(encoded)["Content-Transfer-Encoding"] == "quoted-printable"
    for version in (made, encoded):
        assert content(returned(version)) == text
        assert bounced(version) == ([], [b"bob@example.net"])


@pytest.mark.parametrize("text", [b"a\0b\r\n", b"x" * 2000 + b"\r\n", b"\xff\r\n" + b"y" * 999 + b"\r\n"])
def test_a_message_that_no_server_takes_as_it_is_can_be_encoded_in_its_report(text):
    encoded = to_seven_bit(report(text=text))
    assert content(returned(encoded)) == text


def test_an_attachment_in_an_8_bit_message_is_encoded_on_its_own():
    header = HEADER + b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n'
    text = (
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa9\r\n"
        b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n"
        b"--b--\r\n"
    )
    message = returned(to_seven_bit(report(header=header, text=text)))
    assert content(inner(message, 0)).rstrip() == b"\xc3\xa9"
    assert content(inner(message, 1)) == b"\0\1\2\3"


SIGNED = b'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary="b"\r\n'


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (SIGNED, b"--b\r\n\r\n\xc3\xa9\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"),
        (SIGNED, b"--b\r\n\r\na\0b\r\n--b--\r\n"),
        (b"Content-Transfer-Encoding: base64\r\n", b"\xff\r\n"),
        (b"To: r\xc3\xa9mi@example.net\r\n", TEXT),
        (b"X-Nul: \0\r\n", TEXT),
        (b"X-Long: " + b"x" * 2000 + b"\r\n", TEXT),
    ],
)
def test_a_message_that_could_not_be_encoded_everywhere_comes_back_as_its_header(more, text):
    made = report(header=HEADER + more, text=text)
    assert "Your message could not be attached unchanged; its header is." in prose(made)
    assert parts(made)[2].partition(b"\r\n\r\n")[2] == HEADER + more
    assert content(inner(raw_parsed(to_seven_bit(made)), 2)) == HEADER + more


def test_a_signed_message_in_plain_text_comes_back_whole():
    text = b"--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
    assert b"\r\n" + text in parts(report(header=HEADER + SIGNED, text=text))[2]


def test_the_text_names_its_charset():
    assert b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" in parts(report())[0]
    made = report(header="Subject: Grüße\r\n".encode(), ret=b"HDRS")
    assert b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" in parts(made)[0]
    assert "Subject: Grüße" in human(made) and human(to_seven_bit(made)) == human(made)
    assert b"Content-Type: text/rfc822-headers; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n" in parts(made)[2]


def test_a_header_that_is_not_utf_8_has_no_charset_named():
    third = parts(report(header=b"Subject: \xfc\r\n", ret=b"HDRS"))[2]
    assert b"Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n" in third


def test_a_reader_with_an_address_in_utf_8_gets_the_types_of_rfc_6533():
    sender, bob = "jürgen@example.org".encode(), "bjørn@example.net".encode()
    header = "Subject: Grüße\r\n".encode()
    made = report(recipients=[recipient(bob, reply="550 nøn")], header=header, sender=sender)
    types = [part.partition(b"Content-Type: ")[2].partition(b"\r\n")[0] for part in parts(made)]
    assert types == [b"text/plain; charset=utf-8", b"message/global-delivery-status", b"message/global"]
    assert value(made, b"to") == sender
    assert "\r\nFinal-Recipient: utf-8; bjørn@example.net\r\n".encode() in parts(made)[1]
    assert "Diagnostic-Code: smtp; 550 nøn\r\n".encode() in parts(made)[1]
    hdrs = parts(report(recipients=[recipient(bob)], header=header, sender=sender, ret=b"HDRS"))
    assert b"Content-Type: message/global-headers\r\n" in hdrs[2]
    to_seven_bit(made)


def test_a_reader_with_an_address_in_ascii_gets_types_that_every_program_knows():
    made = report(recipients=[recipient("bjørn@example.net".encode(), reply="550 nøn")])
    record = parts(made)[1]
    assert record.isascii() and b"Content-Type: message/delivery-status\r\n" in record
    assert rb"Final-Recipient: utf-8; bj\x{F8}rn@example.net" in record
    assert b"to bj\xc3\xb8rn@example.net." in parts(made)[0]


def test_a_header_without_its_last_line_end_is_completed():
    for cut in (HEADER[:-2], HEADER[:-1]):
        assert parts(report(header=cut))[2].endswith(b"\r\n\r\n" + HEADER + b"\r\n" + TEXT)


def test_a_message_in_ascii_is_not_called_8_bit_for_the_sake_of_the_text_before_it():
    made = report(header=b"Subject: =?utf-8?q?=C3=A9?=\r\n")
    assert [b"8bit" in part for part in parts(made)] == [True, False, False]


# The boundary


def test_a_message_cannot_hold_the_boundary_of_its_own_report():
    first = boundary(report())
    text = TEXT + b"\r\n--" + first + b"--\r\n\r\n--" + first + b"\r\nContent-Type: text/html\r\n\r\n"
    made = report(text=text)
    assert len(parts(made)) == 3 and boundary(made) != first
    assert len(list(parsed(made).iter_parts())) == 3


def test_the_boundary_depends_on_all_that_stands_between_the_boundaries():
    reports = [
        report(), report(text=TEXT + b"x"), report(header=HEADER + b"X: y\r\n"), report(qid="4ABD"),
        report(unique=b"u"), report(recipients=[recipient(status="5.1.2")]), report(recipients=[recipient(reply="550")]),
    ]  # fmt: skip
    assert len({boundary(made) for made in reports}) == len(reports)
