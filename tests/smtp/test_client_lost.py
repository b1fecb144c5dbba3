"""Connections that end early, servers that say too much, and what that means for each recipient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail import errors
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


def test_a_421_in_the_middle_tells_what_became_of_the_rest() -> None:
    names = [b"a@y", b"b@y"]
    client = ready(PIPE)
    transaction = client.send(mail(recipients=names), names)
    flight(client)
    client.feed(b"250 a\r\n250 b\r\n421 4.3.2 shutting down\r\n")
    client.lost(LOST)
    assert states(transaction) == {b"a@y": ("deferred", 75), b"b@y": ("deferred", 75)}
    assert b"shutting down" in transaction.outcomes[b"a@y"].text


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
