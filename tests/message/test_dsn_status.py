"""The record for programs: each field's value, and that nothing makes a field of its own."""

import pytest

from pysendmail.message import dsn
from pysendmail.message.dsn_status import decode_xtext, remote_host, status_record
from tests.message.reports import RELAY, blocks, facts, recipient, report


def record(kind=dsn.FAILED, utf8=False, to=None, **changed):
    return status_record(kind, facts(), [recipient(**changed)], utf8).decode().replace("\r\n", "\n")


def field(name, kind=dsn.FAILED, **changed):
    found = [line for line in record(kind, **changed).split("\n") if line.startswith(name + ":")]
    return found[0].partition(": ")[2] if found else None


def test_several_recipients_stand_in_one_report_each_with_his_own_fields():
    made = report(
        recipients=[
            recipient(b"a@x", status="5.1.1", reply="550 5.1.1 no", relay="one[192.0.2.1]:25"),
            recipient(b"b@x", status="5.2.2", reply="552 5.2.2 full", relay="two[192.0.2.2]:25"),
        ]
    )
    message, one, two = blocks(made)
    assert message["Reporting-MTA"] == "dns; mail.example.org"
    names = ("Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code")
    assert [one[name] for name in names] == ["rfc822; a@x", "failed", "5.1.1", "dns; one", "smtp; 550 5.1.1 no"]
    assert [two[name] for name in names] == ["rfc822; b@x", "failed", "5.2.2", "dns; two", "smtp; 552 5.2.2 full"]


def test_the_fields_stand_in_the_order_of_the_standard():
    text = status_record(dsn.DELAYED, facts(envid=b"e"), [recipient(orcpt=b"rfc822;o@x")], False).decode()
    assert [line.partition(":")[0] for line in text.split("\r\n")] == [
        "Original-Envelope-Id", "Reporting-MTA", "Arrival-Date", "X-Pysendmail-Queue-ID", "X-Pysendmail-Sender", "",
        "Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
        "Last-Attempt-Date", "Will-Retry-Until", "",
    ]  # fmt: skip


def test_what_is_not_known_is_left_out():
    lone = dsn.Recipient(b"bob@example.net")
    text = status_record(dsn.DELAYED, facts(qid="", sender=b"", to=b"p@x", retry_until=None), [lone], False).decode()
    assert text.replace("\r\n", "\n") == (
        "Reporting-MTA: dns; mail.example.org\nArrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\n\n"
        "Final-Recipient: rfc822; bob@example.net\nAction: delayed\nStatus: 4.0.0\n"
    )


@pytest.mark.parametrize("kind", [dsn.FAILED, dsn.RELAYED, dsn.DELIVERED])
def test_only_a_delay_says_until_when_it_will_be_tried(kind):
    assert field("Will-Retry-Until", kind) is None
    assert field("Will-Retry-Until", dsn.DELAYED) == "Sun, 19 Nov 2023 22:13:20 +0000"


def test_dates_are_in_the_zone_of_the_report():
    text = status_record(dsn.FAILED, facts(utc_offset=-210), [recipient()], False).decode()
    assert "Arrival-Date: Tue, 14 Nov 2023 18:43:20 -0330\r\n" in text
    assert "Last-Attempt-Date: Tue, 14 Nov 2023 19:43:19 -0330\r\n" in text


@pytest.mark.parametrize(
    ("kind", "status", "reply", "expected"),
    [
        (dsn.FAILED, "5.1.1", "550 x", "5.1.1"),
        (dsn.FAILED, "5.7.999", "550 x", "5.7.999"),
        (dsn.FAILED, "4.2.0", "450 x", "4.2.0"),  # its time was up
        (dsn.FAILED, "2.0.0", "250 x", "5.0.0"),
        (dsn.FAILED, "", "550 x", "5.0.0"),
        (dsn.FAILED, "", "", "4.4.7"),
        (dsn.FAILED, "5.1", "550 x", "5.0.0"),
        (dsn.FAILED, "5.1.1\r\nAction: delivered", "550 x", "5.0.0"),
        (dsn.FAILED, "5.1.٣", "550 x", "5.0.0"),
        (dsn.FAILED, "5.1.1234", "550 x", "5.0.0"),
        (dsn.DELAYED, "4.4.1", "", "4.4.1"),
        (dsn.DELAYED, "5.7.8", "535 x", "4.7.8"),  # a refused login delays, it does not fail
        (dsn.DELAYED, "2.0.0", "", "4.0.0"),
        (dsn.RELAYED, "2.1.5", "250 x", "2.1.5"),
        (dsn.RELAYED, "", "250 x", "2.0.0"),
        (dsn.DELIVERED, "5.0.0", "", "2.0.0"),
    ],
)
def test_the_status_is_of_a_class_that_fits_the_action(kind, status, reply, expected):
    assert field("Status", kind, status=status, reply=reply) == expected
    assert field("Action", kind) == kind


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("550 5.1.1 no such user", "smtp; 550 5.1.1 no such user"),
        ("550", "smtp; 550"),
        ("550-first 550 last", "smtp; 550-first 550 last"),
        ("mail.example.net: timed out", "X-Pysendmail; mail.example.net: timed out"),
        ("5500 is no code", "X-Pysendmail; 5500 is no code"),
        ("999 nor is this", "X-Pysendmail; 999 nor is this"),
        ("550 a\r\nAction: delivered", "smtp; 550 a Action: delivered"),
        ("550 a\n\nb\rc\0d\x1be", "smtp; 550 a??b?c?d?e"),
        ("550 nö \u202e", "smtp; 550 n\\xf6 ?"),
        ("  550 a   b ", "smtp; 550 a   b"),
        ("", None),
        (" \r\n", None),
    ],
)
def test_the_diagnostic_is_the_servers_reply_in_one_line(reply, expected):
    assert field("Diagnostic-Code", reply=reply) == expected


def test_a_long_diagnostic_is_folded_at_its_blanks():
    reply = "550 " + "word " * 60 + "x" * 600
    text = record(reply=reply)
    lines = text[text.index("Diagnostic-Code") :].split("\nLast-Attempt")[0].split("\n")
    assert all(line.startswith(" ") for line in lines[1:]) and max(map(len, lines[:-1])) <= 76
    assert "".join(lines) == "Diagnostic-Code: smtp; " + reply


def test_a_diagnostic_without_blanks_stays_within_the_longest_line_there_may_be():
    text = record(reply="550 " + "ö" * 1000)
    assert max(map(len, text.split("\n"))) <= 998
    assert "smtp; 550 " + "\\xf6" * 1000 in text.replace("\n ", "").replace("550", "550 ")
    assert record(reply="550 " + "x" * 9999).count("x") < 1024


@pytest.mark.parametrize(
    ("address", "ascii", "utf8"),
    [
        (b"bob@example.net", "rfc822; bob@example.net", None),
        (b'"a  b;c"@example.net', 'rfc822; "a  b;c"@example.net', None),
        ("jürgen@x".encode(), "utf-8; j\\x{FC}rgen@x", "utf-8; jürgen@x"),
        ('"j ü\\+="@x'.encode(), 'utf-8; "j\\x{20}\\x{FC}\\x{5C}\\x{2B}\\x{3D}"@x', 'utf-8; "j ü\\+="@x'),
        ("😀@x".encode(), "utf-8; \\x{1F600}@x", "utf-8; 😀@x"),
        (b"a\xff@x", "rfc822; a\\xff@x", None),
        (b"a\r\nStatus: 2.0.0\r\n\r\n@x", "rfc822; a Status: 2.0.0  @x", None),
        (b"a\0\x1b\x7f@x", "rfc822; a???@x", None),
    ],
)
def test_an_address_is_written_with_its_type(address, ascii, utf8):
    assert field("Final-Recipient", address=address) == ascii
    assert field("Final-Recipient", address=address, utf8=True) == (utf8 or ascii)


@pytest.mark.parametrize("letter", [b"a", "ü".encode(), "😀".encode(), b"\xff"])
@pytest.mark.parametrize("utf8", [True, False])
def test_an_endless_address_does_not_make_an_endless_line(letter, utf8):
    text = status_record(dsn.FAILED, facts(), [recipient(letter * 5000 + b"@x")], utf8)
    assert max(map(len, text.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    ("orcpt", "expected"),
    [
        (None, None),
        (b"rfc822;bob@example.org", "rfc822; bob@example.org"),
        (b"RFC822;b+2Bob@example.org", "rfc822; b+ob@example.org"),
        (b"rfc822;b+2bob@x", "rfc822; b+2bob@x"),  # small letters are not xtext
        (b"rfc822;b+@x", "rfc822; b+@x"),
        (b"rfc822;b+0D+0AAction:+20delivered@x", "rfc822; b Action: delivered@x"),
        (b"rfc822;b+0A+00@x", "rfc822; b??@x"),
        (b"rfc822;j+C3+BC@x", "utf-8; j\\x{FC}@x"),
        (b"utf-8;j\\x{FC}@x", "utf-8; j\\x{FC}@x"),
        (b"utf-8;\\x{FC\\x{110000}\\x{G}\\x{D800}", "rfc822; \\x{FC\\x{110000}\\x{G}?"),
        (b"x400;/c=de", "x400; /c=de"),
        (b"bob@example.org", None),
        (b";x", None),
        (b"rfc822;", None),
        (b"a b;x", None),
        (b"y" * 41 + b";x", None),
        (b"a\r\nX:;x", None),
        (b"\xff;x", None),
    ],
)
def test_the_original_recipient_is_decoded_and_left_out_where_it_is_none(orcpt, expected):
    assert field("Original-Recipient", orcpt=orcpt) == expected


def test_the_original_recipient_is_in_utf_8_where_the_report_is():
    assert field("Original-Recipient", orcpt=b"utf-8;j\\x{FC}@x", utf8=True) == "utf-8; jü@x"


@pytest.mark.parametrize(
    ("text", "plain"),
    [(b"", b""), (b"a+2Bb+3D", b"a+b="), (b"+00+FF", b"\0\xff"), (b"+", b"+"), (b"+2", b"+2"), (b"+2g+41", b"+2gA")],
)
def test_xtext_is_decoded(text, plain):
    assert decode_xtext(text) == plain


@pytest.mark.parametrize(
    ("envid", "expected"),
    [(b"job  7+2B", "job  7+2B"), (b"a\r\nX: y", "a X: y"), (b"\xc3\xbc", "\\xfc"), (b"y" * 100, "y" * 100)],
)
def test_the_envelope_id_is_given_back(envid, expected):
    text = status_record(dsn.FAILED, facts(envid=envid), [recipient()], False).decode()
    assert text.split("\r\n")[0] == "Original-Envelope-Id: " + expected


@pytest.mark.parametrize(
    ("relay", "host"),
    [
        (RELAY, "mail.example.net"),
        ("[2001:db8::1]:25", "[2001:db8::1]"),
        ("localhost[::1]:587", "localhost"),
        ("none", ""),
        ("", ""),
        ("a\r\nX: y[1]", "a??X:?y"),
        ("ü[1]:2", "?"),
        ("h" * 999 + "[1]:2", "h" * 255),
    ],
)
def test_the_remote_server_is_named_without_its_address(relay, host):
    assert remote_host(relay) == host


def test_ten_thousand_recipients_are_all_in_the_record():
    made = report(recipients=[recipient(b"r%d@example.net" % number) for number in range(10_000)])
    found = [block["Final-Recipient"] for block in blocks(made)[1:]]
    assert found == [f"rfc822; r{number}@example.net" for number in range(10_000)]
