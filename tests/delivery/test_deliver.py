"""One message over one route: what each recipient is told, and that nobody gets it twice, whatever the server does."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysendmail.delivery.deliver import Report, deliver
from pysendmail.delivery.link import TimedOut
from pysendmail.delivery.tls import TLSFailure
from pysendmail.smtp.sasl import Credentials
from tests.delivery.memory import (
    CAPABILITIES,
    DATA_ONLY,
    LOCK_STEP,
    Answer,
    Connection,
    Hang,
    MemoryLink,
    Smarthost,
    connected,
    parcel,
    route,
)

WAYS = [CAPABILITIES, DATA_ONLY, LOCK_STEP]
A, B, C = b"a@y.test", b"b@y.test", b"c@y.test"


def told(report: Report) -> dict[bytes, tuple[str, int]]:
    return {outcome.recipient: (outcome.state, outcome.exit_code) for outcome in report.outcomes}


def refusing(*refusals: tuple[bytes, bytes]) -> Answer:
    """Answer the commands that begin so with these replies."""

    def answer(connection: Connection, line: bytes) -> bytes | None:
        return next((reply for start, reply in refusals if line.startswith(start)), None)

    return answer


@pytest.mark.parametrize("way", WAYS)
def test_everybody_is_served_by_a_good_server(way: tuple[str, ...]) -> None:
    host = Smarthost(None, way)
    with connected(host):
        report = deliver(parcel(A, B, C), route())
    assert told(report) == {A: ("sent", 0), B: ("sent", 0), C: ("sent", 0)}
    assert [outcome.recipient for outcome in report.outcomes] == [A, B, C]
    assert host.accepted == [([A, B, C], b"Subject: test\r\n\r\ntext\r\n")]
    assert report.relay == "mx.test[192.0.2.1]:25"
    assert report.outcomes[0].text == b"250 2.0.0 kept"
    assert report.size == 23
    assert host.lines[-1] == b"QUIT"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("together", [False, True])
def test_the_line_may_go_dead_after_any_octet_of_the_server(way: tuple[str, ...], together: bool) -> None:
    last = ""
    for cut in range(1000):
        host = Smarthost(None, way, together=together)
        with connected(host, cut=cut):
            report = deliver(parcel(A, B), route())
        states = {outcome.state for outcome in report.outcomes}
        assert len(states) == 1
        state = states.pop()
        if state == "sent":
            assert host.recipients() == [A, B]
            break
        assert report.outcomes[0].exit_code == 75
        assert (state == "uncertain") == bool(host.accepted), cut
        assert b"QUIT" not in host.lines
        last = state
    else:
        pytest.fail("the message was never sent")
    assert last == "uncertain"  # up to the last octet of the last answer


@pytest.mark.parametrize("way", WAYS)
def test_silence_at_any_command_ends_in_time_and_is_told(way: tuple[str, ...]) -> None:
    host = Smarthost(None, way)
    with connected(host):
        deliver(parcel(A), route())
    for place in [b"greeting", *(line[:4] for line in host.lines if line[:4] not in (b"QUIT", b"BDAT")), b"."]:
        silent = False

        def answer(connection: Connection, line: bytes, place: bytes = place) -> bytes | None:
            nonlocal silent
            silent = silent or line.startswith(place)
            return b"" if silent else None

        host = Smarthost(answer, way)
        with connected(host) as (clock, _):
            started = clock.now
            report = deliver(parcel(A), route())
        expected = "deferred" if place in (b"greeting", b"EHLO") or (place != b"." and way != CAPABILITIES) else "uncertain"
        assert told(report) == {A: (expected, 75)}, place
        assert 100 < clock.now - started <= 600


@pytest.mark.parametrize(("words", "limit"), [({}, 600), ({"timeout": 20}, 20), ({"timeout": 900}, 900)])
def test_the_answer_to_the_message_has_its_own_time(words: dict[str, int], limit: int) -> None:
    for pause, state in ((limit - 5, "sent"), (limit + 5, "uncertain")):
        host = Smarthost()

        def slow(connection: Connection, line: bytes, host: Smarthost = host, pause: int = pause) -> bytes | None:
            host.pause = pause if line == b"." else 0
            return None

        host.answer = slow
        with connected(host):
            report = deliver(parcel(A), route(words))
        assert told(report) == {A: (state, 0 if state == "sent" else 75)}


@pytest.mark.parametrize(("pause", "state"), [(290, "sent"), (310, "deferred")])
def test_each_answer_has_its_time_whole(pause: int, state: str) -> None:
    host = Smarthost(None, LOCK_STEP)
    late = iter(["RCPT"])

    def slow(connection: Connection, line: bytes) -> bytes | None:
        host.pause = pause if line.startswith(b"RCPT") and next(late, None) else 0
        return None

    host.answer = slow
    with connected(host):
        assert told(deliver(parcel(A), route()))[A][0] == state


def test_a_server_that_drags_every_transaction_out_is_left_in_the_end() -> None:
    """Two recipients are served at a time, and each time takes nearly as long as one may."""
    names = [b"%d@y.test" % n for n in range(300)]
    host = Smarthost()

    def answer(connection: Connection, line: bytes) -> bytes | None:
        host.pause = 55 if line == b"." else 10
        asked = sum(line.startswith(b"RCPT") for line in connection.lines) - 10 * sum(
            line.startswith(b"BDAT") for line in connection.lines
        )
        return b"452 4.5.3 full" if line.startswith(b"RCPT") and 1 < asked < 10 else None

    host.answer = answer
    with connected(host) as (clock, _):
        started = clock.now
        report = deliver(parcel(*names), route({"timeout": 60, "max_recipients": 10}))
    assert clock.now - started < 31 * (4 * 60 + (2 * 60 + 10) + 60) + 400
    states = Counter(outcome.state for outcome in report.outcomes)
    assert states["sent"] > 100 and states["deferred"] > 30
    assert b"took too long over other recipients" in report.outcomes[-3].text


def test_a_reply_that_drips_is_timed_as_a_whole() -> None:
    """Each octet comes soon after the last; none of them buys more time."""
    host = Smarthost()

    def drip(connection: Connection, line: bytes) -> bytes | None:
        if line != b".":
            return None
        connection.out += [(20.0, bytes([octet])) for octet in b"250-kept\r\n" * 10 + b"250 kept\r\n"]
        return b""

    host.answer = drip
    with connected(host) as (clock, _):
        started = clock.now
        report = deliver(parcel(A), route())
    assert told(report) == {A: ("uncertain", 75)}
    assert clock.now - started == 600


def test_a_second_is_given_for_each_recipient_where_every_command_waits() -> None:
    names = [b"%d@y.test" % n for n in range(300)]
    host = Smarthost(None, LOCK_STEP, pause=1)
    with connected(host):
        report = deliver(parcel(*names), route({"timeout": 60}))
    assert {outcome.state for outcome in report.outcomes} == {"sent"}


def test_a_slow_server_is_left_before_the_end_of_the_message_rather_than_after_it() -> None:
    """Once the end has left, giving up leaves a doubt; so the time for all the rest is not taken from the last answer."""
    names = [b"%d@y.test" % n for n in range(20)]
    host = Smarthost(None, LOCK_STEP)

    def slow(connection: Connection, line: bytes) -> bytes | None:
        host.pause = 590 if line == b"." else 30
        return None

    host.answer = slow
    with connected(host) as (clock, _):
        report = deliver(parcel(*names), route())
    assert {outcome.state for outcome in report.outcomes} in ({"sent"}, {"deferred"})


@pytest.mark.parametrize("way", WAYS)
def test_who_does_not_fit_into_a_transaction_comes_in_the_next(way: tuple[str, ...]) -> None:
    names = [b"%d@y.test" % n for n in range(25)]

    def answer(connection: Connection, line: bytes) -> bytes | None:
        return b"452 4.5.3 too many" if line.startswith(b"RCPT") and len(connection._recipients) >= 10 else None

    host = Smarthost(answer, way)
    with connected(host):
        report = deliver(parcel(*names), route())
    assert [len(recipients) for recipients, _ in host.accepted] == [10, 10, 5]
    assert host.recipients() == names
    assert {outcome.state for outcome in report.outcomes} == {"sent"}
    asked = [line for line in host.lines if line.startswith(b"RCPT")]
    assert len(asked) == 25 + 10 + 5  # what the first transaction taught is kept to
    assert len(host.connections) == 1


def test_recipients_are_shared_out_by_the_configured_number() -> None:
    names = [b"%d@y.test" % n for n in range(7)]
    host = Smarthost()
    with connected(host):
        deliver(parcel(*names), route({"max_recipients": 3}))
    assert [recipients for recipients, _ in host.accepted] == [names[:3], names[3:6], names[6:]]
    assert len(host.connections) == 1
    assert b"RSET" not in host.lines


def test_a_lone_452_among_others_teaches_nothing() -> None:
    names = [b"%d@y.test" % n for n in range(8)]
    host = Smarthost(lambda connection, line: b"452 full" if b"<1@" in line and not host.accepted else None)
    with connected(host):
        report = deliver(parcel(*names), route({"max_recipients": 4}))
    shares = [[int(recipient[:1]) for recipient in recipients] for recipients, _ in host.accepted]
    assert shares == [[0, 2, 3], [1, 4, 5, 6], [7]]
    assert {outcome.state for outcome in report.outcomes} == {"sent"}


@pytest.mark.parametrize("way", WAYS)
def test_a_new_connection_is_made_for_those_whose_turn_had_not_come(way: tuple[str, ...]) -> None:
    """A server that ends each connection after one message, politely or not."""
    names = [b"%d@y.test" % n for n in range(6)]
    for end in (Hang(b"250 2.0.0 kept"), Hang(b"250 2.0.0 kept\r\n421 enough")):

        def answer(connection: Connection, line: bytes, end: Hang = end) -> bytes | None:
            if line == b".":
                raise end
            return None

        host = Smarthost(answer, way, together=True)
        with connected(host):
            report = deliver(parcel(*names), route({"max_recipients": 2}))
        assert host.recipients() == names
        assert {outcome.state for outcome in report.outcomes} == {"sent"}
        assert len(host.connections) == 3


def test_left_over_recipients_after_a_421_wait_where_the_server_did_not_get_on() -> None:
    host = Smarthost(refusing((b".", b"421 4.3.2 shutting down")))
    with connected(host):
        report = deliver(parcel(A, B), route({"max_recipients": 1}))
    assert told(report) == {A: ("deferred", 75), B: ("deferred", 75)}
    assert len(host.connections) == 1
    assert host.accepted == []


def test_nobody_is_tried_again_whose_message_is_in_doubt() -> None:
    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line == b".":
            raise Hang
        return None

    host = Smarthost(answer)
    with connected(host):
        report = deliver(parcel(A, B), route({"max_recipients": 1}))
    assert told(report) == {A: ("uncertain", 75), B: ("deferred", 75)}
    assert len(host.connections) == 1


def test_a_refusal_behind_the_last_answer_is_heard_as_long_as_the_connection_is_open() -> None:
    host = Smarthost()
    late = b"554 5.7.1 the true answer\r\n"
    with connected(host) as (_, links), pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryLink, "arrived", lambda self: late if host.accepted and not self._connection.out else b"")
        report = deliver(parcel(A), route())
    assert told(report) == {A: ("uncertain", 75)}
    assert b"the true answer" in report.outcomes[0].text
    assert b"QUIT" not in host.lines
    assert links[0].closed


def test_a_connection_that_breaks_behind_the_last_answer_takes_nothing_back() -> None:
    host = Smarthost()
    with connected(host) as (_, links), pytest.MonkeyPatch.context() as patch:

        def arrived(self: MemoryLink) -> bytes:
            if host.accepted and not self._connection.out and len(host.connections) == 1:
                raise TLSFailure("a record is forged")
            return b""

        patch.setattr(MemoryLink, "arrived", arrived)
        report = deliver(parcel(A, B), route({"max_recipients": 1}))
    assert told(report) == {A: ("sent", 0), B: ("sent", 0)}
    assert host.recipients() == [A, B]
    assert len(links) == 2


def test_a_refusal_is_heard_although_the_server_does_not_read_on() -> None:
    host = Smarthost(refusing((b".", b"552 5.3.4 too much")))
    with connected(host), pytest.MonkeyPatch.context() as patch:

        def write(self: MemoryLink, data: bytes, patience: float, deadline: float) -> None:
            self._connection.take(data)
            if b"BDAT" in data:
                raise TimedOut("the server does not take what we send")

        patch.setattr(MemoryLink, "write", write)
        report = deliver(parcel(A), route())
    assert told(report) == {A: ("failed", 65)}


def test_another_connection_gets_the_form_that_its_server_takes() -> None:
    """The second connection may reach another machine, with other capabilities."""
    host = Smarthost(
        lambda connection, line: b"250 kept\r\n421 bye" if line == b"." else None,
        CAPABILITIES,
        LOCK_STEP[1:],
        together=True,
    )
    with connected(host):
        report = deliver(parcel(A, B, body="Grüße\n".encode()), route({"max_recipients": 1}))
    assert {outcome.state for outcome in report.outcomes} == {"sent"}
    first, second = (text for _, text in host.accepted)
    assert "Grüße".encode() in first
    assert second.isascii()
    assert b"Content-Transfer-Encoding: quoted-printable" in second
    assert b" BODY=8BITMIME" in host.connections[0].lines[1]
    assert b"BODY" not in b"".join(host.connections[1].lines)


def test_a_server_without_smtputf8_behind_one_that_has_it_fails_only_who_is_left() -> None:
    host = Smarthost(
        lambda connection, line: b"250 kept\r\n421 bye" if line == b"." else None, CAPABILITIES, LOCK_STEP, together=True
    )
    with connected(host):
        report = deliver(parcel(A, "ü@y.test".encode()), route({"max_recipients": 1}))
    assert [(outcome.state, outcome.exit_code) for outcome in report.outcomes] == [("sent", 0), ("failed", 65)]
    assert not any(line.startswith(b"MAIL") for line in host.connections[1].lines)


@pytest.mark.parametrize("offered", [(), ("8BITMIME",), ("SMTPUTF8",), ("8BITMIME", "SMTPUTF8")])
def test_what_the_server_does_not_offer_is_not_sent(offered: tuple[str, ...]) -> None:
    host = Smarthost(None, ("PIPELINING", *offered))
    with connected(host):
        deliver(parcel(A, body="Grüße\n".encode()), route())
    line = next(line for line in host.lines if line.startswith(b"MAIL"))
    text = host.accepted[0][1]
    assert (b"BODY=8BITMIME" in line) == ("8BITMIME" in offered) == (not text.isascii())
    assert b"SMTPUTF8" not in line  # neither address nor header needs it


def test_a_refused_transaction_does_not_stop_the_next() -> None:
    host = Smarthost(refusing((b"RCPT TO:<" + A, b"550 5.1.1 no")))
    with connected(host):
        report = deliver(parcel(A, B), route({"max_recipients": 1}))
    assert told(report) == {A: ("failed", 67), B: ("sent", 0)}
    assert host.accepted == [([B], b"Subject: test\r\n\r\ntext\r\n")]
    assert b"RSET" in host.lines


def test_a_message_that_is_too_large_is_not_even_begun() -> None:
    host = Smarthost(None, ("SIZE 10", "PIPELINING"))
    with connected(host):
        report = deliver(parcel(A, B), route({"max_recipients": 1}))
    assert told(report) == {A: ("failed", 65), B: ("failed", 65)}
    assert [line[:4] for line in host.lines] == [b"EHLO", b"QUIT"]


@pytest.mark.parametrize("place", [b"greeting", b"EHLO"])
def test_what_goes_wrong_before_the_message_is_everybodys_outcome(place: bytes) -> None:
    host = Smarthost(refusing((place, b"421 4.3.2 too busy")))
    with connected(host):
        report = deliver(parcel(A, B), route())
    assert told(report) == {A: ("deferred", 75), B: ("deferred", 75)}
    assert b"too busy" in report.outcomes[0].text
    assert b"mx.test[192.0.2.1]:25" in report.outcomes[0].text
    assert (report.size, report.transfer_time) == (0, 0)


def test_the_times_of_a_failed_transfer_are_told_too() -> None:
    host = Smarthost(lambda connection, line: b"" if line == b"." else None, pause=1)
    with connected(host):
        report = deliver(parcel(A), route())
    assert report.setup_time == 2
    assert report.transfer_time >= 600


def test_a_secret_that_comes_back_is_in_no_outcome() -> None:
    secret = b"c0rrect-horse"
    for stage in (b"RCPT", b"."):
        refusal = b"550-5.7.1 " + secret + b"\r\n550 5.7.1 no"
        host = Smarthost(refusing((b"AUTH", b"235 ok"), (stage, refusal)), (*CAPABILITIES, "AUTH PLAIN"))
        words = {"auth_without_tls": "on", "user": "u", "password": "unused"}
        with connected(host):
            report = deliver(parcel(A), route(words, Credentials(b"u", secret)))
        assert report.outcomes[0].text == b"550 5.7.1 **** 5.7.1 no"


NAMES = [b"%d@y.test" % n for n in range(6)]
MOODS = st.sampled_from(
    ["good"] * 12
    + ["452 4.5.3 full", "452 4.5.3 full", "450 later", "550 5.1.1 no", "421 bye", "hang", "silence", "twice", "rubbish"]
)


@settings(max_examples=400, deadline=None)
@given(
    moods=st.lists(MOODS, max_size=60),
    way=st.sampled_from(WAYS),
    most=st.integers(1, 7),
    together=st.booleans(),
    count=st.integers(1, 6),
)
def test_nobody_gets_two_copies_and_only_who_was_served_is_said_to_be(
    moods: list[str], way: tuple[str, ...], most: int, together: bool, count: int
) -> None:
    """A server of changing moods: each answer to MAIL, RCPT, DATA and the message's end is one of the kinds above."""
    left = iter(moods)
    muddled = False

    def answer(connection: Connection, line: bytes) -> bytes | None:
        nonlocal muddled
        if not line.startswith((b"MAIL", b"RCPT", b"DATA", b".", b"RSET")):
            return None
        mood = next(left, "good")
        if mood == "good":
            return None
        if mood == "hang":
            raise Hang
        muddled = muddled or mood in ("twice", "silence")  # what comes then answers other commands than it seems to
        if mood == "421 bye":
            raise Hang(b"421 bye")
        return {"twice": b"250 ok\r\n250 ok", "silence": b"", "rubbish": b"what?"}.get(mood, mood.encode())

    host = Smarthost(answer, way, together=together)
    names = NAMES[:count]
    with connected(host):
        report = deliver(parcel(*names), route({"max_recipients": most}))
    served = Counter(host.recipients())
    assert [outcome.recipient for outcome in report.outcomes] == names
    assert muddled or all(number == 1 for number in served.values())
    for outcome in report.outcomes:
        assert outcome.state in ("sent", "deferred", "failed", "uncertain")
        assert (outcome.exit_code == 0) == (outcome.state == "sent")
        if outcome.state == "sent" and not muddled:
            assert served[outcome.recipient] == 1
        if outcome.state in ("deferred", "failed") and not muddled:
            assert served[outcome.recipient] == 0
