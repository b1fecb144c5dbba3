"""The client machine, driven by hand: what leaves in which flight, and what each answer means."""

import functools

import pytest

from pysendmail import errors
from pysendmail.smtp.client import Client, Patience
from pysendmail.smtp.transaction import ONE_FLIGHT
from tests.smtp.driving import ALL, PIPE, PLAIN, flight, mail, ready, states


def test_a_small_message_is_one_flight_where_the_server_permits() -> None:
    client = ready()
    transaction = client.send(mail(), [b"r@y"])
    assert flight(client) == (b"MAIL FROM:<s@x> SIZE=14\r\nRCPT TO:<r@y>\r\nBDAT 14 LAST\r\nA: b\r\n\r\ntext\r\n")
    client.feed(b"250 a\r\n250 b\r\n250 2.0.0 queued\r\n")
    assert client.idle
    assert states(transaction) == {b"r@y": ("sent", 0)}
    assert transaction.outcomes[b"r@y"].dsn == "2.0.0"


def test_without_chunking_data_waits_for_354() -> None:
    client = ready(PIPE)
    transaction = client.send(mail(b"A: b\r\n\r\n.dot\r\n"), [b"r@y"])
    assert flight(client) == b"MAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nDATA\r\n"
    client.feed(b"250 a\r\n250 b\r\n354 go\r\n")
    assert flight(client) == b"A: b\r\n\r\n..dot\r\n.\r\n"
    client.feed(b"250 ok\r\n")
    assert states(transaction) == {b"r@y": ("sent", 0)}


def test_without_pipelining_each_command_waits_for_its_answer() -> None:
    client = ready(PLAIN)
    transaction = client.send(mail(), [b"r@y", b"q@y"])
    for expected, answer in (
        (b"MAIL FROM:<s@x>\r\n", b"250 a\r\n"),
        (b"RCPT TO:<r@y>\r\n", b"250 a\r\n"),
        (b"RCPT TO:<q@y>\r\n", b"550 a\r\n"),
        (b"DATA\r\n", b"354 a\r\n"),
        (b"A: b\r\n\r\ntext\r\n.\r\n", b"250 a\r\n"),
    ):
        assert flight(client) == expected
        assert not client.idle
        client.feed(answer)
    assert flight(client) == b""
    assert client.idle
    assert states(transaction) == {b"r@y": ("sent", 0), b"q@y": ("failed", 67)}


def test_chunking_without_pipelining_sends_the_message_behind_its_command() -> None:
    client = ready(b"250-mx\r\n250 CHUNKING\r\n")
    transaction = client.send(mail(), [b"r@y"])
    for expected in (b"MAIL FROM:<s@x>\r\n", b"RCPT TO:<r@y>\r\n", b"BDAT 14 LAST\r\nA: b\r\n\r\ntext\r\n"):
        assert flight(client) == expected
        client.feed(b"250 a\r\n")
    assert states(transaction) == {b"r@y": ("sent", 0)}


def test_a_large_message_waits_for_the_answers_to_its_envelope() -> None:
    body = b"x" * ONE_FLIGHT + b"\r\n"
    client = ready()
    transaction = client.send(mail(body), [b"r@y"])
    assert flight(client) == b"MAIL FROM:<s@x> SIZE=65538\r\nRCPT TO:<r@y>\r\n"
    client.feed(b"250 a\r\n250 b\r\n")
    assert flight(client) == b"BDAT 65538 LAST\r\n" + body
    client.feed(b"250 ok\r\n")
    assert states(transaction) == {b"r@y": ("sent", 0)}


@pytest.mark.parametrize("ehlo", [ALL, PLAIN])
def test_a_large_message_does_not_leave_when_nobody_takes_it(ehlo: bytes) -> None:
    client = ready(ehlo)
    transaction = client.send(mail(b"x" * ONE_FLIGHT + b"\r\n"), [b"r@y"])
    sent = flight(client)
    client.feed(b"250 a\r\n")
    sent += flight(client)
    client.feed(b"550 b\r\n")
    sent += flight(client)
    assert client.idle
    assert b"x" * 10 not in sent
    assert states(transaction) == {b"r@y": ("failed", 67)}


def test_data_that_is_let_through_without_recipients_ends_with_an_empty_message() -> None:
    client = ready(PIPE)
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    client.feed(b"250 a\r\n550 b\r\n354 go\r\n")
    assert flight(client) == b".\r\n"
    client.feed(b"250 ok\r\n")
    assert states(transaction) == {b"r@y": ("failed", 67)}


def test_mixed_answers_reach_the_recipients_they_are_about() -> None:
    client = ready()
    names = [b"a@y", b"b@y", b"c@y", b"d@y"]
    transaction = client.send(mail(recipients=names), names)
    flight(client)
    client.feed(b"250 a\r\n250 a\r\n550 5.1.1 no\r\n450 4.2.1 later\r\n250 d\r\n250 ok\r\n")
    assert states(transaction) == {
        b"a@y": ("sent", 0), b"b@y": ("failed", 67), b"c@y": ("deferred", 75), b"d@y": ("sent", 0),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (b"550 no\r\n503 x\r\n503 x\r\n", ("failed", 69)),
        (b"450 no\r\n503 x\r\n503 x\r\n", ("deferred", 75)),
        (b"530 login\r\n503 x\r\n503 x\r\n", ("deferred", 77)),
        (b"550 5.7.8 login\r\n503 x\r\n503 x\r\n", ("deferred", 77)),
        (b"552 5.3.4 large\r\n503 x\r\n503 x\r\n", ("failed", 65)),
        (b"250 a\r\n250 b\r\n554 spam\r\n", ("failed", 65)),
        (b"250 a\r\n250 b\r\n451 later\r\n", ("deferred", 75)),
        (b"250 a\r\n250 b\r\n535 login\r\n", ("deferred", 77)),
        (b"250 a\r\n354 b\r\n503 x\r\n", ("deferred", 76)),
        (b"250 a\r\n451 b\r\n503 x\r\n", ("deferred", 75)),
        (b"250 a\r\n550 5.7.9 b\r\n503 x\r\n", ("deferred", 77)),
        (b"250 a\r\n299 b\r\n250 x\r\n", ("sent", 0)),
    ],
)
def test_answers_are_judged_by_class_then_by_enhanced_code(answers: bytes, expected: tuple[str, int]) -> None:
    client = ready()
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    client.feed(answers)
    assert states(transaction) == {b"r@y": expected}


def test_recipients_beyond_what_a_transaction_takes_are_left_over() -> None:
    names = [b"%d@y" % n for n in range(5)]
    client = ready()
    transaction = client.send(mail(recipients=names), names)
    flight(client)
    client.feed(b"250 a\r\n250 a\r\n250 b\r\n452 4.5.3 full\r\n452 full\r\n552 full\r\n250 ok\r\n")
    assert transaction.left_over == names[2:]
    assert set(transaction.outcomes) == set(names[:2])
    again = client.send(mail(recipients=names), transaction.left_over)
    assert flight(client).startswith(b"MAIL FROM")
    client.feed(b"250 a\r\n452 4.2.2 over quota\r\n250 b\r\n452 4.2.2 over quota\r\n250 ok\r\n")
    assert again.left_over == []
    assert states(again) == {b"2@y": ("deferred", 75), b"3@y": ("sent", 0), b"4@y": ("deferred", 75)}


def test_a_full_transaction_that_took_nobody_defers_so_that_there_is_an_end() -> None:
    client = ready()
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    client.feed(b"250 a\r\n452 4.5.3 full\r\n503 x\r\n")
    assert transaction.left_over == []
    assert states(transaction) == {b"r@y": ("deferred", 75)}


def test_a_refused_transaction_is_reset_before_the_next() -> None:
    client = ready()
    client.send(mail(), [b"r@y"])
    flight(client)
    client.feed(b"250 a\r\n550 b\r\n503 x\r\n")
    client.send(mail(), [b"q@y"])
    assert flight(client).startswith(b"RSET\r\nMAIL FROM")
    client.feed(b"250 r\r\n250 a\r\n250 b\r\n250 c\r\n")
    assert client.idle


def test_a_message_beyond_the_size_limit_is_not_even_begun() -> None:
    client = ready(b"250-mx\r\n250 SIZE 10\r\n")
    transaction = client.send(mail(), [b"r@y"])
    assert client.idle
    assert states(transaction) == {b"r@y": ("failed", 65)}


@pytest.mark.parametrize("size", [b"", b"0", b"-1", b"many", b"9" * 30, b"99999999999999999999"])
def test_an_absurd_size_is_no_limit(size: bytes) -> None:
    client = ready(b"250-mx\r\n250 SIZE " + size + b"\r\n")
    client.send(mail(), [b"r@y"])
    assert flight(client).startswith(b"MAIL FROM:<s@x> SIZE=14\r\n")


def test_parameters_are_sent_only_where_the_extension_is_offered() -> None:
    asked = functools.partial(mail, eight_bit=True, notify=b"SUCCESS,DELAY", ret=b"HDRS", envid=b"a+b=c d")
    client = ready()
    client.send(asked(), [b"r+1@y"])
    sent = flight(client)
    assert b"MAIL FROM:<s@x> SIZE=14 BODY=8BITMIME RET=HDRS ENVID=a+2Bb+3Dc+20d\r\n" in sent
    assert b"RCPT TO:<r+1@y> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;r+2B1@y\r\n" in sent
    client = ready(PIPE)
    client.send(asked(), [b"r+1@y"])
    assert flight(client) == b"MAIL FROM:<s@x>\r\nRCPT TO:<r+1@y>\r\nDATA\r\n"


def test_helo_is_said_to_a_server_that_knows_no_ehlo() -> None:
    client = Client(b"me", Patience())
    client.feed(b"220 old\r\n")
    client.hello()
    flight(client)
    client.feed(b"502 what\r\n")
    assert flight(client) == b"HELO me\r\n"
    client.feed(b"250 hello\r\n")
    assert client.idle
    assert client.extensions.keywords == []


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([b"421 busy\r\n"], errors.TempFail),
        ([b"554 go away\r\n"], errors.TempFail),
        ([b"354 what\r\n"], errors.ProtocolError),
        ([b"SSH-2.0-x\r\n"], errors.ProtocolError),
        ([b"220 a\r\n220 b\r\n"], errors.ProtocolError),
        ([b"220 a\r\n", b"421 busy\r\n"], errors.TempFail),
        ([b"220 a\r\n", b"550 no\r\n", b"550 no\r\n"], errors.TempFail),
        ([b"220 a\r\n", b"530 login first\r\n"], errors.NoPermission),
        ([b"220 a\r\n", b"250 b\r\n250 c\r\n"], errors.ProtocolError),
    ],
)
def test_a_session_that_does_not_come_up_says_why(answers: list[bytes], error: type[errors.Failure]) -> None:
    client = Client(b"me", Patience())
    with pytest.raises(error) as caught:
        client.feed(answers[0])
        client.hello()
        flight(client)
        client.feed(answers[1])
        flight(client)
        client.feed(answers[2])
    assert type(caught.value) is error


def test_a_421_between_messages_is_a_good_bye() -> None:
    client = ready()
    client.feed(b"421 idle\r\n")
    assert client.closing


def test_what_is_said_behind_starttls_is_an_injection() -> None:
    for extra in (b"250 fake\r\n", b"250-half", b"x"):
        client = ready(b"250-mx\r\n250 STARTTLS\r\n")
        client.start_tls()
        flight(client)
        with pytest.raises(errors.TempFail):
            client.feed(b"220 go\r\n" + extra)
            client.secured()


def test_nothing_said_in_clear_is_remembered_under_tls() -> None:
    client = ready(b"250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n")
    client.start_tls()
    flight(client)
    client.feed(b"220 go\r\n")
    assert client.tls_ready
    client.secured()
    assert client.extensions.keywords == []
    assert client.extensions.mechanisms == []
