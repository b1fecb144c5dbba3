"""A server that says anything at all: it is told apart from a good one, and brings nothing down."""

from base64 import b64encode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pysendmail.delivery.deliver import deliver
from pysendmail.smtp.sasl import Credentials
from tests.delivery.memory import Connection, Hang, Smarthost, connected, parcel, route

SECRET = b"c0rrect-horse:battery"
WORDS = {"auth_without_tls": "on", "user": "u", "password": "unused", "timeout": 5}
CODES = st.sampled_from(b"220 235 250 251 334 354 421 450 452 503 535 550 552".split())
TEXTS = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b"", b"2.0.0 ok", b"5.7.8 no", b"4.5.3 full", b"5.3.4 large", b"\xff\x00\x1b[2J", SECRET]),
    st.just(b64encode(SECRET)),
    st.binary(max_size=60).map(b64encode),
    st.sampled_from(b'r=x,s=y,i=0 r=,s=,i= v= e=no r=x,s=AAAA,i=99999999999 {"status":"401"} <1@x>'.split()).map(b64encode),
)
CAPABILITIES = st.lists(
    st.one_of(
        st.sampled_from(b"PIPELINING CHUNKING 8BITMIME SMTPUTF8 DSN SIZE AUTH AUTH=LOGIN STARTTLS = \xff".split()),
        st.sampled_from([b"SIZE " + b"9" * 30, b"SIZE 10", b"SIZE -1", b"SIZE 9e9", b"", b" ", b"\t"]),
        st.lists(
            st.sampled_from([*b"PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2 \xc3\x84".split(), SECRET])
        ).map(lambda names: b"AUTH " + b" ".join(names)),
    ),
    max_size=6,
)
LINES = st.builds(lambda code, mark, text: code + mark + text, CODES, st.sampled_from([b" ", b"-", b"", b"x"]), TEXTS)
REPLIES = st.one_of(
    LINES, st.lists(LINES, max_size=3).map(b"\r\n".join), st.binary(max_size=20), st.just(None), st.just(None), st.just(Hang)
)


@settings(max_examples=600, deadline=None)
@given(capabilities=CAPABILITIES, replies=st.lists(REPLIES, max_size=12), greeted=st.booleans(), together=st.booleans())
@example([b"AUTH LOGIN"], [b"334 x", b"334 ", b"235"], True, False)
def test_nothing_that_a_server_says_is_a_bug_of_ours(
    capabilities: list[bytes], replies: list[object], greeted: bool, together: bool
) -> None:
    left = iter(replies)
    shown: list[bytes] = []

    def answer(connection: Connection, line: bytes) -> bytes | None:
        if greeted and line == b"greeting":
            return None
        if greeted and line.startswith(b"EHLO"):
            return b"\r\n".join([b"250-mx", *(b"250-" + word for word in capabilities), b"250 HELP"])
        reply = next(left, None)
        if reply is Hang:
            raise Hang
        return reply if isinstance(reply, bytes) else None

    host = Smarthost(answer, together=together)
    made = route(WORDS, Credentials(b"u", SECRET))
    made.trace = lambda direction, line: shown.append(line)
    names = [b"a@y.test", "ü@y.test".encode(), b"c@y.test"]
    with connected(host):
        report = deliver(parcel(*names, body="Grüße\0\n".encode()), made)
    assert [outcome.recipient for outcome in report.outcomes] == names
    for outcome in report.outcomes:
        assert outcome.exit_code in (0, 65, 67, 69, 75, 76, 77)
        assert len(outcome.dsn.split(".")) == 3
        assert SECRET not in outcome.text
        assert len(outcome.text) < 6000
    assert SECRET not in b"".join(shown)
    assert b64encode(SECRET) not in b"".join(shown)


@pytest.mark.parametrize("reply", [b"250-" + b"x" * 300_000, b"x" * 300_000, b"250-a\r\n" * 100_000, b"250 a\r\n" * 100_000])
@pytest.mark.parametrize("place", [b"greeting", b"EHLO", b"AUTH", b"MAIL", b"RCPT", b"."])
def test_too_much_at_any_place_is_no_answer(reply: bytes, place: bytes) -> None:
    host = Smarthost(lambda connection, line: reply if line.startswith(place) else None, ("AUTH PLAIN", "PIPELINING"))
    with connected(host):
        report = deliver(parcel(), route(WORDS, Credentials(b"u", SECRET)))
    (outcome,) = report.outcomes
    good = reply.startswith(b"250 ") and place == b"."  # the answer, and then more of it than anybody asked for
    assert (outcome.state == "sent") == good
    assert outcome.exit_code in ((0,) if good else (75, 76))
    assert (outcome.state == "uncertain") == (place == b"." and not good)
