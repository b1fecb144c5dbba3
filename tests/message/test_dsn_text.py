"""The text for people: what its first line says, whose words it repeats, what it advises, and that it fits a screen."""

import pytest

from pysendmail.message import dsn
from pysendmail.message.dsn_advice import is_answer
from tests.message.reports import HEADER, facts, human, parts, prose, recipient, report

BOB = "bob@example.net"


def first_line(made):
    return human(made).splitlines()[0]


def advice(made):
    return prose(made).partition("What to do: ")[2].partition(" It will not")[0].partition(" The header of")[0]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (dsn.FAILED, f"Your message could not be delivered to {BOB}."),
        (dsn.DELAYED, f"Your message has not been delivered to {BOB} yet."),
        (dsn.RELAYED, f"Your message to {BOB} was handed on to the next mail server."),
        (dsn.DELIVERED, f"Your message to {BOB} was delivered."),
    ],
)
def test_the_first_line_says_what_happened(kind, line):
    assert first_line(report(kind)) == line


def test_the_first_line_counts_several_recipients():
    made = report(recipients=[recipient(), recipient(b"carol@example.net")])
    assert first_line(made) == "Your message could not be delivered to the 2 recipients named below."


def test_the_first_line_does_not_claim_a_failure_that_nobody_knows_of():
    lost = recipient(uncertain=True, status="4.4.2", reply="it is not known whether the message was delivered")
    assert first_line(report(recipients=[lost])) == f"It is not known whether your message reached {BOB}."
    assert "may have arrived all the same. Ask the recipient" in advice(report(recipients=[lost]))
    assert first_line(report(recipients=[lost, recipient(b"c@x")])).startswith("Your message could not be")


def test_a_postmaster_reads_whose_message_it_is():
    made = report(to=b"postmaster@example.org")
    assert first_line(made) == f"A message from alice@example.org could not be delivered to {BOB}."
    assert "The message is attached." in human(made) and "our message" not in human(made)
    double = prose(report(sender=b"", to=b"postmaster@example.org"))
    assert double.startswith("A message without a return address, most likely a report like this one, could not be")


def test_a_delay_says_until_when_it_is_tried_and_that_nothing_need_be_done():
    made = report(dsn.DELAYED, [recipient(status="4.2.0", reply="450 4.2.0 greylisted")])
    assert human(made) == (
        "Your message has not been delivered to bob@example.net yet.\n"
        "\n"
        "You need not send it again: it is still being tried until Sun, 19 Nov 2023\n"
        "22:13:20 +0000.\n"
        "\n"
        "  Subject: Lunch\n"
        "  Sent:    Tue, 14 Nov 2023 22:13:20 +0000\n"
        "\n"
        "bob@example.net\n"
        "  mail.example.net answered:\n"
        "    450 4.2.0 greylisted\n"
        "  What to do: Nothing. Servers often put a message off for a short time.\n"
        "\n"
        "The header of your message is attached.\n"
        "\n"
        "The mail system of mail.example.org (message 4ABC)\n"
    )
    assert "it is still being tried." in human(report(dsn.DELAYED, retry_until=None))


def test_a_relay_report_says_that_it_may_be_the_last():
    made = report(dsn.RELAYED, [recipient(status="2.0.0", reply="250 2.0.0 queued as 77")])
    assert human(made).splitlines()[5:12] == [
        "bob@example.net",
        "  mail.example.net answered:",
        "    250 2.0.0 queued as 77",
        "",
        "That server does not report when it delivers, so this is the last report",
        "unless delivery fails. The header of your message is attached.",
        "",
    ]


def test_recipients_who_share_words_or_advice_stand_together():
    made = report(
        recipients=[
            recipient(b"a@x", reply="550 5.1.1 unknown"),
            recipient(b"b@x", status="5.2.2", reply="552 5.2.2 full"),
            recipient(b"c@x", reply="550 5.1.1 unknown"),
            recipient(b"d@x", reply="550 5.1.1 <d@x> unknown"),
        ]
    )
    lines = human(made).splitlines()
    assert lines[5:19] == [
        "a@x",
        "c@x",
        "  mail.example.net answered:",
        "    550 5.1.1 unknown",
        "d@x",
        "  mail.example.net answered:",
        "    550 5.1.1 <d@x> unknown",
        "  What to do: There is no such address. Check its spelling, and send the",
        "  message again to the right one.",
        "",
        "b@x",
        "  mail.example.net answered:",
        "    552 5.2.2 full",
        "  What to do: The mailbox is full. Try again in a few days, or reach the",
    ]


def test_the_text_on_one_recipient_fits_a_screen():
    for kind in (dsn.FAILED, dsn.DELAYED, dsn.RELAYED, dsn.DELIVERED):
        lines = human(report(kind)).splitlines()
        assert len(lines) <= 24 and max(map(len, lines)) <= 76


def test_a_long_list_of_recipients_ends_with_the_number_of_the_others():
    made = report(recipients=[recipient(b"r%d@x" % number, reply="550 5.1.1 no") for number in range(1000)])
    text = human(made)
    assert "\nr99@x\n" in text and "\nr100@x\n" not in text
    assert "900 more recipients are listed in the attached record." in text


# reply, status, and words of the advice for a failure and for a delay; None: such a trouble does not end so
TROUBLES = {
    "unknown user": ("550 5.1.1 who?", "5.1.1", "There is no such address", "Nothing."),
    "no such domain": ("550 5.1.2 where?", "5.1.2", "after the @", "Nothing."),
    "mailbox full": ("452 4.2.2 full", "4.2.2", "mailbox is full", "mailbox is full"),
    "too large for the server": ("552 5.3.4 big", "5.3.4", "Make it smaller", "Nothing."),
    "too large by SIZE": ("the message has 9 octets", "5.3.4", "Make it smaller", "Nothing."),
    "sender refused": ("553 5.1.8 you?", "5.1.8", "does not accept alice@example.org as a sender", "Nothing."),
    "content": ("554 5.6.0 no", "5.6.0", "Change what is complained about", "Nothing."),
    "policy": ("550 5.7.1 no", "5.7.1", "rules forbid", "Nothing."),
    "loop": ("554 5.4.6 loop", "5.4.6", "in a circle", "Nothing."),
    "denied by another meaning of 4.1": ("550 5.4.1 denied", "5.4.1", "Check the address. If it is right", "Nothing."),
    "a refusal without more": ("550 no", "5.0.0", "Check the address. If it is right", "Nothing."),
    "a bad address without a status": ("553 no", "5.0.0", "There is no such address", "Nothing."),
    "login refused": ("535 5.7.8 bad", "5.7.8", '"pysendmail check" tries it. Then send', "leaves by itself"),
    "login refused, no status": ("530 login first", "5.0.0", "user name or the password", "leaves by itself"),
    "login refused by us": ("no password", "4.7.0", "refuses the user name or the password", "leaves by itself"),
    "greylisting is no login": ("450 4.7.0 later", "4.7.0", "put the message off each time", "Nothing."),
    "configuration": ("/etc/x.conf:3: unknown word", "4.3.5", "configuration of pysendmail", "leaves by itself"),
    "certificate": ("certificate expired", "4.7.5", "right mail server", "leaves by itself"),
    "disk full": ("cannot store", "4.3.1", "disk of this computer is full", "leaves by itself"),
    "disk full there": ("452 4.3.1 full", "4.3.1", "put the message off each time", "Nothing. Servers"),
    "not reachable": ("connection timed out", "4.4.1", "could not be used", "see that this computer is connected"),
    "put off until the end": ("450 4.2.0 later", "4.2.0", "Send it again later", "Nothing. Servers"),
    "never tried": ("", "", "Send it again later", "Nothing. Servers"),
    "lists in words only": ("554 no", "5.0.0", "rules forbid", "Nothing."),
}


@pytest.mark.parametrize(("reply", "status", "failed", "delayed"), TROUBLES.values(), ids=TROUBLES)
def test_the_advice_fits_the_trouble(reply, status, failed, delayed):
    whom = [recipient(reply=reply, status=status)]
    assert failed in advice(report(dsn.FAILED, whom))
    assert delayed in advice(report(dsn.DELAYED, whom))
    assert advice(report(dsn.RELAYED, whom)) == ""


def test_the_advice_uses_no_words_of_the_trade():
    texts = [
        human(report(kind, [recipient(reply=reply, status=status)], to=to)).lower()
        for kind in (dsn.FAILED, dsn.DELAYED, dsn.RELAYED, dsn.DELIVERED)
        for reply, status, _, _ in TROUBLES.values()
        for to in (None, b"postmaster@x")
    ]
    for word in ("smtp", "mta", "dsn", "smarthost", "queue", "bounce", "enhanced", "envelope", "recipient_", "{"):
        assert [text for text in texts if word in text.replace(" (message", "")] == [], word


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?UTF-8?B?IGFu?= alle", "Grüße an alle"),
        (b"=?iso-8859-1*de?Q?f=FCr?= =?windows-1252?q?=80?=", "für€"),
        (b"plain  =?x-own?q?a?= =?idna?q?a?=", "plain =?x-own?q?a?= =?idna?q?a?="),
        (b"=?utf-8?x?a?= =?utf-8?b?a?= =?utf-8?q?a", "=?utf-8?x?a?= =?utf-8?b?a?= =?utf-8?q?a"),
        (b"=?utf-8?q?a=0D=0Ab=00=E2=80=AE?=", "a b??"),
        ("Grüße".encode(), "Grüße"),
        (b"\xff", "\\xff"),
        (b"=?utf-8-sig?q?a?= =?iso-8859-99?q?b?=", "a =?iso-8859-99?q?b?="),
        (b"folded\r\n line", "folded line"),
    ],
)
def test_the_subject_is_shown_as_its_reader_knows_it(subject, shown):
    assert f"\n  Subject: {shown}\n" in human(report(header=b"Subject: " + subject + b"\r\n"))


def test_a_long_subject_is_cut_and_a_missing_one_left_out():
    text = human(report(header=b"Subject: " + b"word " * 500 + b"\r\n"))
    assert 35 <= text.count("word") <= 40 and "...\n  Sent:" in text
    assert "Subject" not in human(report(header=b"From: a@x\r\n"))


def test_words_without_blanks_are_cut_so_that_every_line_can_travel():
    made = report(recipients=[recipient("😀".encode() * 400 + b"@x", reply="550 " + "\U0001f601" * 1000)])
    assert max(map(len, parts(made)[0].split(b"\r\n"))) <= 998 and not made[1].long_line
    assert human(made).count("\U0001f601") == 1000


def test_an_address_is_shown_as_it_is():
    assert '\n"a  b"@example.net\n' in human(report(recipients=[recipient(b'"a  b"@example.net')]))


@pytest.mark.parametrize(
    ("octets", "size"), [(700, "1 KB"), (99_600, "100 KB"), (999_000, "999 KB"), (1_460_000, "1.5 MB")]
)
def test_the_size_of_the_message_is_in_units_that_people_know(octets, size):
    assert f"Your message ({size}) is too large" in prose(report(text=b"x" * (octets - 200) + b"\r\n", limit=100))


def test_a_reply_of_several_lines_or_with_odd_characters_is_one_paragraph():
    made = report(recipients=[recipient(reply="550-first\r\n550 5.1.1 \x1b[31mred\u202e \x00end")])
    assert "    550-first 550 5.1.1 ?[31mred? ?end\n" in human(made)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("550 x", True), ("550", True), ("421-x", True), ("5501", False), ("150 x", False),
     ("5٥٠ x", False), ("", False)],
)
def test_an_answer_of_a_server_begins_with_a_code(text, answer):
    assert is_answer(text) is answer


def test_hours_are_those_of_the_zone():
    assert "  Sent:    Tue, 14 Nov 2023 23:13:20 +0100\n" in human(report(utc_offset=60))


def test_the_text_names_machine_and_message_for_those_who_look_into_it():
    made = report(host="mail\r\nX: y", qid="4AB\n", header=HEADER)
    assert "The mail system of mail??X:?y (message 4AB?)\n" in human(made)
    assert facts().qid in human(report())
