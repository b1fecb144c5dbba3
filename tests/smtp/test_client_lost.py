"""Connections that end early, servers that say too much, and what that means for each recipient."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.smtp.outcome import Mail
from pysendmail.smtp.reply import TEXT_LIMIT
from pysendmail.smtp.transaction import ONE_FLIGHT
from tests.smtp.driving import ALL, PIPE, PLAIN, flight, mail, ready, states

LOST = errors.TempFail("the line is dead")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (b"", ("uncertain", 75)),
        (b"250 a\r\n", ("uncertain", 75)),
        (b"250 a\r\n250 b\r\n", ("uncertain", 75)),
        (b"250 a\r\n250 b\r\n25", ("uncertain", 75)),
        (b"550 a\r\n", ("failed", 69)),
        (b"450 a\r\n", ("deferred", 75)),
        (b"250 a\r\n550 b\r\n", ("failed", 67)),
    ],
)
def test_a_connection_lost_behind_the_end_leaves_doubt_only_where_nothing_was_refused(
    answers: bytes, expected: tuple[str, int]
) -> None:
    client = ready()
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    client.feed(answers)
    client.lost(LOST)
    assert states(transaction) == {b"r@y": expected}


def test_a_connection_lost_before_the_end_is_no_doubt() -> None:
    client = ready(PIPE)
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    client.feed(b"250 a\r\n250 b\r\n")
    client.lost(LOST)
    assert states(transaction) == {b"r@y": ("deferred", 75)}
    client = ready()
    transaction = client.send(mail(b"x" * ONE_FLIGHT + b"\r\n"), [b"r@y"])
    flight(client)
    client.feed(b"250 a\r\n250 b\r\n")
    assert client.output()  # the first part only, and it is not known to have left
    client.lost(LOST)
    assert states(transaction) == {b"r@y": ("deferred", 75)}


def test_rubbish_behind_the_end_is_doubt_and_before_it_a_broken_protocol() -> None:
    client = ready()
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    with pytest.raises(errors.ProtocolError) as caught:
        client.feed(b"250 a\r\n250 b\r\nrubbish\r\n")
    client.lost(caught.value)
    assert states(transaction) == {b"r@y": ("uncertain", 75)}
    client = ready(PIPE)
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    with pytest.raises(errors.ProtocolError) as caught:
        client.feed(b"250 a\r\nrubbish\r\n")
    client.lost(caught.value)
    assert states(transaction) == {b"r@y": ("deferred", 76)}


def test_a_yes_to_data_is_not_a_yes_to_the_message() -> None:
    client = ready(PIPE)
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    with pytest.raises(errors.ProtocolError) as caught:
        client.feed(b"250 a\r\n250 b\r\n250 c\r\n")
    client.lost(caught.value)
    assert states(transaction) == {b"r@y": ("deferred", 76)}


def test_a_354_to_the_end_of_data_is_no_answer() -> None:
    client = ready()
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    with pytest.raises(errors.ProtocolError) as caught:
        client.feed(b"250 a\r\n250 b\r\n354 go on\r\n")
    client.lost(caught.value)
    assert states(transaction) == {b"r@y": ("uncertain", 75)}


def test_an_early_refusal_stops_the_message() -> None:
    client = ready()
    transaction = client.send(mail(b"x" * 300_000), [b"r@y"])
    flight(client)
    client.feed(b"250 a\r\n250 b\r\n")
    client.output()
    client.flushed()
    client.feed(b"552 too much\r\n")
    assert client.output() == b""
    assert client.idle
    assert client.closing
    assert states(transaction) == {b"r@y": ("failed", 65)}


def test_an_early_yes_is_not_believed() -> None:
    client = ready()
    transaction = client.send(mail(b"x" * 300_000), [b"r@y"])
    flight(client)
    client.feed(b"250 a\r\n250 b\r\n")
    client.output()
    client.flushed()
    with pytest.raises(errors.ProtocolError) as caught:
        client.feed(b"250 thanks\r\n")
    client.lost(caught.value)
    assert states(transaction) == {b"r@y": ("deferred", 76)}


@pytest.mark.parametrize(("ehlo", "after"), [(ALL, b"BDAT 300000 LAST\r\n"), (PIPE, b"DATA\r\n"), (PLAIN, b"DATA\r\n")])
def test_the_answer_may_come_the_moment_the_last_octet_has_left(ehlo: bytes, after: bytes) -> None:
    body = [b"x" * 99_998 + b"\r\n"] * 3
    client = ready(ehlo)
    transaction = client.send(Mail(b"s@x", [b"r@y"], 300_000, lambda: iter(body)), [b"r@y"])
    sent = b""
    while not sent.endswith(b"x\r\n" if after[:1] == b"B" else b".\r\n") or sent.count(b"x\r\n") < 3:
        if piece := client.output():
            client.flushed()
            sent += piece
        else:
            client.feed(b"354 go\r\n" if client.waiting_for == "DATA" else b"250 ok\r\n")
    client.feed(b"250 kept\r\n")  # before the client was asked whether there is more
    assert after in sent
    assert states(transaction) == {b"r@y": ("sent", 0)}


def test_the_end_is_known_to_have_left_when_its_last_piece_has() -> None:
    client = ready()
    transaction = client.send(Mail(b"s@x", [b"r@y"], 200_000, lambda: iter([b"x" * 100_000] * 2)), [b"r@y"])
    flight_of_the_envelope = client.output()
    client.flushed()
    assert b"BDAT" not in flight_of_the_envelope
    client.feed(b"250 a\r\n250 b\r\n")
    left = b""
    while len(left) < 200_000:
        left += client.output()
        client.flushed()
    client.lost(LOST)
    assert states(transaction) == {b"r@y": ("uncertain", 75)}


def test_trouble_after_the_last_answer_changes_nothing() -> None:
    for more in (b"221 bye\r\n", b"rubbish\r\n", b"421 bye\r\n", b"\xff"):
        client = ready()
        transaction = client.send(mail(), [b"r@y"])
        flight(client)
        client.feed(b"250 a\r\n250 b\r\n250 ok\r\n" + more)
        client.lost(LOST)
        assert states(transaction) == {b"r@y": ("sent", 0)}


def test_a_second_answer_that_refuses_takes_the_success_back() -> None:
    client = ready()
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    client.feed(b"250 a\r\n250 b\r\n250 injected\r\n554 the true one\r\n")
    assert states(transaction) == {b"r@y": ("uncertain", 75)}


def test_one_reply_too_many_leaves_a_doubt_where_some_were_refused() -> None:
    """Each answer may then be that to the command before."""
    names = [b"a@y", b"b@y", b"c@y"]
    client = ready()
    transaction = client.send(mail(recipients=names), names)
    flight(client)
    client.feed(b"250 m\r\n250 stray\r\n452 4.5.3 full\r\n550 5.1.1 no\r\n250 kept\r\n250 kept\r\n")
    assert states(transaction) == {b"a@y": ("uncertain", 75), b"b@y": ("uncertain", 75), b"c@y": ("failed", 67)}
    assert transaction.left_over == []
    assert client.closing


def test_one_success_too_many_changes_nothing_where_all_were_accepted() -> None:
    client = ready()
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    client.feed(b"250 a\r\n250 b\r\n250 kept\r\n250 kept again\r\n")
    assert states(transaction) == {b"r@y": ("sent", 0)}
    assert client.closing


def test_a_421_in_the_middle_tells_what_became_of_the_rest() -> None:
    names = [b"a@y", b"b@y"]
    client = ready(PIPE)
    transaction = client.send(mail(recipients=names), names)
    flight(client)
    client.feed(b"250 a\r\n250 b\r\n421 4.3.2 shutting down\r\n")
    client.lost(LOST)
    assert states(transaction) == {b"a@y": ("deferred", 75), b"b@y": ("deferred", 75)}
    assert b"shutting down" in transaction.outcomes[b"a@y"].text


def test_a_421_to_the_reset_ends_the_transaction_before_it_begins() -> None:
    client = ready()
    client.send(mail(), [b"r@y"])
    flight(client)
    client.feed(b"250 a\r\n550 b\r\n503 x\r\n")
    transaction = client.send(mail(), [b"q@y"])
    assert flight(client).startswith(b"RSET\r\nMAIL FROM")  # and the message, which nobody reads any more
    client.feed(b"421 4.4.2 idle for too long\r\n")
    client.lost(LOST)
    assert states(transaction) == {b"q@y": ("deferred", 75)}


def test_replies_without_end_are_not_gathered_before_the_first_is_looked_at() -> None:
    client = ready()
    transaction = client.send(mail(), [b"r@y"])
    flight(client)
    flood = b"354 x\r\n" * 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(errors.ProtocolError) as caught:
            client.feed(flood)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 5_000_000
    client.lost(caught.value)
    assert states(transaction) == {b"r@y": ("deferred", 76)}


def test_a_long_refusal_of_everybody_is_not_kept_whole() -> None:
    names = [b"%d@y" % n for n in range(1000)]
    client = ready(PIPE)
    transaction = client.send(mail(recipients=names), names)
    flight(client)
    client.feed(b"250 a\r\n" + (b"550-" + b"x" * 4000 + b"\r\n") * 50 + b"550 no\r\n")
    assert len(transaction.outcomes[b"0@y"].text) == TEXT_LIMIT


@pytest.mark.parametrize("bad", [b"a@y>\r\nRCPT TO:<b@y", b"a@y\n", b"a\r@y"])
@pytest.mark.parametrize("ehlo", [ALL, PLAIN])
def test_no_line_end_gets_into_a_command(bad: bytes, ehlo: bytes) -> None:
    client = ready(ehlo)
    transaction = client.send(mail(recipients=[b"g@y", bad]), [b"g@y", bad])
    sent = b""
    with pytest.raises(errors.SoftwareError) as caught:
        for _ in range(4):
            sent += flight(client)
            client.feed(b"250 ok\r\n")
    client.lost(caught.value)
    assert b"a@y" not in sent and b"text" not in sent
    assert states(transaction) == {b"g@y": ("deferred", 70), bad: ("deferred", 70)}


def test_ten_thousand_recipients_leave_in_pieces() -> None:
    names = [b"user%d@example.org" % n for n in range(10_000)]
    client = ready()
    transaction = client.send(mail(recipients=names), names)
    most = sent = 0
    while data := client.output():
        client.flushed()
        most, sent = max(most, len(data)), sent + data.count(b"RCPT")
    assert sent == 10_000
    assert most < 100_000
    client.feed(b"250 a\r\n" * 10_002)
    assert {outcome.state for outcome in transaction.outcomes.values()} == {"sent"}


ANSWERS = st.sampled_from(
    [
        b"220 a\r\n",
        b"250 a\r\n",
        b"250-a\r\n",
        b"354 a\r\n",
        b"421 a\r\n",
        b"450 a\r\n",
        b"550 a\r\n",
        b"x\r\n",
        b"\r",
        b"25",
    ]
)


@pytest.mark.parametrize("ehlo", [ALL, PIPE, PLAIN])
@given(answers=st.lists(st.one_of(ANSWERS, st.binary(max_size=5)), max_size=12), split=st.integers(1, 9))
def test_whatever_a_server_says_every_recipient_gets_exactly_one_outcome(
    ehlo: bytes, answers: list[bytes], split: int
) -> None:
    names = [b"a@y", b"b@y", b"c@y"]
    client = ready(ehlo)
    transaction = client.send(mail(recipients=names), names)
    raw = b"".join(answers)
    sent = flight(client)
    try:
        for start in range(0, len(raw), split):
            client.feed(raw[start : start + split])
            sent += flight(client)
            if client.idle:
                break
        else:
            client.lost(LOST)
    except errors.Failure as failure:
        client.lost(failure)
    assert sorted([*transaction.outcomes, *transaction.left_over]) == names
    if any(outcome.state == "sent" for outcome in transaction.outcomes.values()):
        assert b"text\r\n" in sent


@given(st.lists(st.integers(1, 40), max_size=30))
def test_the_answers_to_a_flight_may_be_split_anywhere(cuts: list[int]) -> None:
    names = [b"a@y", b"b@y"]
    client = ready()
    transaction = client.send(mail(recipients=names), names)
    flight(client)
    raw = b"250-2.1.0 a\r\n250 2.1.0 b\r\n250 2.1.5 c\r\n550-5.1.1 d\r\n550 5.1.1 e\r\n250 2.0.0 f\r\n"
    for cut in cuts:
        client.feed(raw[:cut])
        raw = raw[cut:]
    client.feed(raw)
    assert states(transaction) == {b"a@y": ("sent", 0), b"b@y": ("failed", 67)}
