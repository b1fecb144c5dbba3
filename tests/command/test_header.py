"""The header as it leaves the installed command: what stays, what goes, and what is added."""

import os
import pwd
import re

import pytest

from tests.command.caller import Caller, field_names

DATE = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d [+-]\d{4}"
IDENTITY = r"<[A-Za-z0-9.]+@example\.org>"
GECOS = pwd.getpwuid(os.getuid())
COMPLETE = b"From: a@x\nTo: b@x\nDate: Thu, 1 Jan 1970 00:00:00 +0000\nMessage-ID: <1@x>\n"


def test_a_complete_header_leaves_as_it_came(caller: Caller) -> None:
    header = (
        COMPLETE + b"X-Odd :  two  blanks \t\nX-Folded: one\n\ttwo\n  three\nx-EMPTY:\n"
        b"Received: from a by b; now\nDKIM-Signature: v=1; b=abc\n =\nSubject: =?utf-8?q?=C3=A4?= \n"
    )
    assert caller.deliver("r@x", message=header + b"\ntext\n").header == header.replace(b"\n", b"\r\n")


BCC = ["Bcc: h@x", "BCC:h@x", "bcc : h@x", "bCc\t:h@x", "Bcc:", "Bcc: h@x,\n h2@x", "Bcc: h@x\nSubject: y\nBCC: h@x"]


@pytest.mark.parametrize("spelling", [*BCC, *[f"Resent-{text}" for text in BCC[:4]]])
@pytest.mark.parametrize("option", ["-t", "-i"])
def test_hidden_recipients_are_never_shown(caller: Caller, spelling: str, option: str) -> None:
    message = COMPLETE + spelling.encode() + b"\nX-Last: z\n\nBcc: this is text\n"
    delivery = caller.deliver(option, "r@x", message=message)
    assert not any(name.strip().endswith("bcc") for name in field_names(delivery))
    assert b"h@x" not in delivery.header and b"h2@x" not in delivery.header
    assert delivery.field("X-Last") == ["z"]
    assert delivery.body == b"Bcc: this is text\r\n"
    assert ("h@x" in delivery.recipients) == (option == "-t" and spelling != "Bcc:")


@pytest.mark.parametrize(
    "field", ["Return-Path: <a@x>", "return-path : <a@x>", "Content-Length: 12", "CONTENT-LENGTH: 1\n 2"]
)
def test_what_only_a_mailbox_needs_is_removed(caller: Caller, field: str) -> None:
    delivery = caller.deliver("r@x", message=COMPLETE + field.encode() + b"\nX-Last: z\n\ntext\n")
    assert field_names(delivery) == ["from", "to", "date", "message-id", "x-last"]


@pytest.mark.parametrize("line", ["From a@x Thu Jan  1 00:00:00 1970", ">From a@x now", "From x\n>From y"])
def test_mbox_lines_before_the_header_are_removed(caller: Caller, line: str) -> None:
    delivery = caller.deliver("-t", message=line.encode() + b"\n" + COMPLETE + b"\ntext\n")
    assert delivery.data == (COMPLETE + b"\ntext\n").replace(b"\n", b"\r\n")
    assert any("mbox line" in note for note in caller.log)


def test_what_is_missing_is_added_and_nothing_else(caller: Caller) -> None:
    delivery = caller.deliver("r@x", message=b"Subject: y\n\ntext\n")
    assert sorted(field_names(delivery)) == ["date", "from", "message-id", "subject", "to"]
    assert re.fullmatch(DATE, delivery.field("Date")[0])
    assert re.fullmatch(IDENTITY, delivery.field("Message-ID")[0])
    assert delivery.field("To") == ["undisclosed-recipients:;"]
    assert "sender@example.org" in delivery.field("From")[0]


@pytest.mark.parametrize("field", ["Message-ID:", "Message-ID:  \t", "Date:", "Date: \n "])
def test_an_empty_field_counts_as_missing(caller: Caller, field: str) -> None:
    delivery = caller.deliver("r@x", message=b"From: a@x\nTo: b@x\n" + field.encode() + b"\n\ntext\n")
    assert len(delivery.field("Message-ID")) == len(delivery.field("Date")) == 1
    assert re.fullmatch(DATE, delivery.field("Date")[0]) and re.fullmatch(IDENTITY, delivery.field("Message-ID")[0])


def test_an_empty_to_stays_as_it_is_where_others_are_shown(caller: Caller) -> None:
    assert "to" not in field_names(caller.deliver("r@x", message=b"From: a@x\nCc: b@x\n\ntext\n"))


NAMES: list[tuple[list[str], str]] = [
    (["-F", "Ann Lee"], "Ann Lee <sender@example.org>"),
    (["-FCronDaemon"], "CronDaemon <sender@example.org>"),
    (["-F", "Lee, Ann"], '"Lee, Ann" <sender@example.org>'),
    (["-F", 'Ann "x" \\ Lee'], '"Ann \\"x\\" \\\\ Lee" <sender@example.org>'),
    (["-F", "a@b <c@d>"], '"a@b <c@d>" <sender@example.org>'),
    (["-F", "Jörg"], "=?utf-8?q?J=C3=B6rg?= <sender@example.org>"),
    (["-F", ""], "sender@example.org"),
    (["-f", "Ann Lee <a@x>"], "Ann Lee <a@x>"),
    (["-f", "Ann Lee <a@x>", "-F", "Bob"], "Bob <a@x>"),
    (["-F", "Bob", "-f", "<>"], "Bob <sender@example.org>"),
]


@pytest.mark.parametrize(("arguments", "value"), NAMES)
def test_an_added_from_shows_the_name_that_was_given(caller: Caller, arguments: list[str], value: str) -> None:
    assert caller.deliver(*arguments, "r@x", message=b"Subject: y\n\ntext\n").field("From") == [value]


def test_an_added_from_shows_the_name_of_the_configuration(caller: Caller) -> None:
    words = {"from_full_name": "Post Office"}
    assert caller.deliver("r@x", message=b"\ntext\n", words=words).field("From") == ["Post Office <sender@example.org>"]
    assert caller.deliver("-FBob", "r@x", message=b"\ntext\n", words=words).field("From") == ["Bob <sender@example.org>"]


def test_an_added_from_shows_the_name_of_the_password_file(caller: Caller) -> None:
    name = GECOS.pw_gecos.split(",")[0].replace("&", GECOS.pw_name.capitalize())
    value = caller.deliver("r@x", message=b"\ntext\n", environ={"NAME": "Mallory", "LOGNAME": "mallory"}).field("From")
    assert value == [f"{name} <sender@example.org>" if name else "sender@example.org"]


def test_a_from_that_is_there_is_not_touched_by_a_name(caller: Caller) -> None:
    delivery = caller.deliver("-F", "Bob", "-f", "b@x", "r@x", message=COMPLETE + b"\n")
    assert delivery.field("From") == ["a@x"]


def test_of_two_from_fields_the_first_stays_and_the_log_says_so(caller: Caller) -> None:
    delivery = caller.deliver("-t", message=b"From: first@x\nTo: b@x\nFrom: second@x\n\ntext\n")
    assert delivery.field("From") == ["first@x"]
    assert any("2 From fields, the first stays" in line for line in caller.log)


def test_a_message_that_is_sent_again_gets_its_own_fields(caller: Caller) -> None:
    message = b"Resent-To: c@x\nResent-Bcc: d@x\n" + COMPLETE + b"\ntext\n"
    delivery = caller.deliver("-t", message=message)
    assert delivery.recipients == ["c@x", "d@x"]
    assert field_names(delivery)[-4:] == ["from", "to", "date", "message-id"]
    assert sorted(field_names(delivery)[:-4]) == ["resent-date", "resent-from", "resent-message-id", "resent-to"]
    assert delivery.header.endswith(COMPLETE.replace(b"\n", b"\r\n"))


def test_the_resent_fields_that_are_there_stay(caller: Caller) -> None:
    block = b"Resent-From: me@x\nResent-To: c@x\nResent-Date: Fri, 2 Jan 1970 00:00:00 +0000\nResent-Message-ID: <2@x>\n"
    delivery = caller.deliver("-t", message=block + COMPLETE + b"\ntext\n")
    assert delivery.header == (block + COMPLETE).replace(b"\n", b"\r\n")


def test_header_addresses_are_qualified_in_their_places(caller: Caller) -> None:
    message = b'From: root (Cron Daemon)\nTo: ann ,\n "Bob B" <bob>\nCc: x@bu\xcc\x88cher.example, y@b\xc3\xbccher.example\n'
    delivery = caller.deliver("-t", message=message + b"\ntext\n")
    assert delivery.field("From") == ["root@example.org (Cron Daemon)"]
    assert b'To: ann@example.org ,\r\n "Bob B" <bob@example.org>\r\n' in delivery.header
    assert delivery.field("Cc") == ["x@xn--bcher-kva.example, y@xn--bcher-kva.example"]


def test_a_message_that_goes_round_in_circles_is_stopped(caller: Caller) -> None:
    hundred = b"Received: by x\n" * 100
    assert caller.deliver("r@x", message=hundred + COMPLETE + b"\n").header.count(b"Received:") == 100
    assert "loop" in caller.refuse(65, "r@x", message=hundred + b"Received: by y\n" + COMPLETE + b"\n")


@pytest.mark.parametrize(("hops", "code"), [("100", 0), ("101", 65)])
def test_the_caller_may_say_how_far_it_has_come(caller: Caller, hops: str, code: int) -> None:
    if code:
        assert "loop" in caller.refuse(code, "-h", hops, "r@x")
    else:
        caller.deliver("-h" + hops, "r@x")


def test_who_asks_for_it_has_the_author_replaced(caller: Caller) -> None:
    delivery = caller.deliver("-F", "Ann", "r@x", message=COMPLETE + b"\n", words={"set_from_header": "on"})
    assert delivery.field("From") == ["Ann <sender@example.org>"]


def test_who_asks_for_it_gets_nothing_added(caller: Caller) -> None:
    words = {"set_from_header": "off", "set_date_header": "off", "set_msgid_header": "off"}
    assert field_names(caller.deliver("-t", message=b"To: b@x\n\ntext\n", words=words)) == ["to"]


def test_who_asks_for_it_shows_no_recipient_at_all(caller: Caller) -> None:
    delivery = caller.deliver("-t", message=COMPLETE + b"Cc: c@x\n\ntext\n", words={"undisclosed_recipients": "on"})
    assert delivery.recipients == ["b@x", "c@x"]
    assert (delivery.field("To"), delivery.field("Cc")) == (["undisclosed-recipients:;"], [])


def test_no_local_host_name_is_shown_in_privacy_mode(caller: Caller) -> None:
    words = {"privacy": "on", "from": "", "maildomain": "secret-host.example"}
    delivery = caller.deliver("-f", "", "r@x", message=b"From: a@shown.example\nTo: b@x\n\ntext\n", words=words)
    assert delivery.field("Message-ID")[0].endswith("@shown.example>")
    assert caller.server.commands[0] == "EHLO [127.0.0.1]"


UTF8_OFFERED = {
    "a subject": ("Subject: Grüße an alle", "Subject: =?utf-8?"),
    "a phrase": ("To: Jörg <j@x>", "To: =?utf-8?q?J=C3=B6rg?= <j@x>"),
    "a comment": ("To: j@x (Jörg)", "To: j@x (=?utf-8?q?J=C3=B6rg?=)"),
}


@pytest.mark.parametrize("case", UTF8_OFFERED)
def test_8_bit_text_in_the_header_becomes_encoded_words_even_where_smtputf8_is_offered(caller: Caller, case: str) -> None:
    given, encoded = UTF8_OFFERED[case]
    delivery = caller.deliver("r@x", message=b"From: a@x\n" + given.encode() + b"\n\ntext\n")
    assert delivery.header.isascii() and encoded.encode() in delivery.header
    assert not any("SMTPUTF8" in word for word in delivery.sender_words)


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [("", "unknown-8bit"), ("Content-Type: text/plain; charset=iso-8859-1\n", "iso-8859-1")],
)
def test_8_bit_text_that_is_no_utf8_is_labelled_as_what_it_is(caller: Caller, content_type: str, charset: str) -> None:
    header = content_type.encode() + b"Subject: Gr\xfc\xdfe\n"
    delivery = caller.deliver("r@x", message=b"From: a@x\n" + header + b"\ntext\n")
    assert f"=?{charset}?".encode() in delivery.header.lower() and delivery.header.isascii()


def test_an_address_field_with_a_utf8_local_part_makes_the_message_need_smtputf8(caller: Caller) -> None:
    message = "From: jörg@example.org\nTo: b@x\n\ntext\n".encode()
    delivery = caller.deliver("r@x", message=message)
    assert "SMTPUTF8" in delivery.sender_words and delivery.field("From") == ["jörg@example.org"]
    caller.server.capabilities = ("8BITMIME", "PIPELINING")
    caller.refuse(65, "r@x", message=message)


def test_long_header_lines_are_folded_at_white_space_and_after_commas(caller: Caller) -> None:
    names = ",".join(f"user{number}@example.net" for number in range(200))
    subject = "word " * 400
    delivery = caller.deliver("-i", "r@x", message=f"From: a@x\nTo: {names}\nSubject: {subject}\n\ntext\n".encode())
    assert max(map(len, delivery.data.split(b"\r\n"))) <= 998
    assert "".join(delivery.field("To")[0].split()) == names
    assert delivery.field("Subject")[0].split() == subject.split()


def test_a_header_line_that_cannot_be_folded_sends_nothing(caller: Caller) -> None:
    caller.refuse(65, "r@x", message=b"From: a@x\nX-Long: " + b"y" * 1200 + b"\n\ntext\n")


def test_nul_in_the_header_sends_nothing(caller: Caller) -> None:
    assert "NUL" in caller.refuse(65, "r@x", message=b"From: a@x\nSubject: a\0b\n\ntext\n")


def test_a_megabyte_of_commas_is_read_as_quickly_as_any_other(caller: Caller) -> None:
    message = b"From: a@x\nTo: b@x\nCc: " + b", " * 500_000 + b"c@x\n\ntext\n"
    assert caller.deliver("-t", message=message).recipients == ["b@x", "c@x"]


def test_ten_thousand_recipients_of_one_header_are_all_served(caller: Caller) -> None:
    names = [f"user{number}@example.net" for number in range(10_000)]
    message = b"From: a@x\nTo: " + ",\n ".join(names).encode() + b"\n\ntext\n"
    done = caller.run("-t", message=message)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [name for delivery in caller.server.deliveries for name in delivery.recipients] == names
    assert {len(delivery.recipients) for delivery in caller.server.deliveries} == {1000}
    assert caller.server.connections == 1
