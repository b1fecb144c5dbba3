"""What holds for every message: hidden recipients stay hidden, text is text, and nothing else is touched."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.message.header import HeaderReader
from tests.message.submission import header_of, submit

HIDDEN = b"hidden@secret.example"
NAMES = [b"To", b"cc", b"Subject", b"X-Bcc", b"From", b"Resent-To", b"Received", b"Date", b"Message-ID", b"Resent-From"]
VALUES = [
    b"",
    b" a@x.org",
    b" root",
    b"x: y, <a@x.org>;",
    b" a,\n b,\n \n c@x.org",
    b" John Smith",
    b"\r",
    b" \xc3\xbc",
]
field = st.tuples(st.sampled_from(NAMES), st.sampled_from([b":", b" :", b"\t:"]), st.sampled_from(VALUES)).map(b"".join)
bcc = st.tuples(
    st.sampled_from([b"Bcc", b"BCC", b"bCc", b"Resent-Bcc", b"resent-bcc"]),
    st.sampled_from([b":", b" :", b"\t :", b"\r:"]),
    st.sampled_from([b"", b" ", b"\n ", b"\n \n\t", b" a@x.org,\n "]),
    st.just(HIDDEN),
).map(b"".join)
header_lines = st.lists(st.one_of(field, field, bcc), max_size=8)
line_end = st.sampled_from([b"\n", b"\r\n", b"\r\r\n"])


@given(header_lines, st.lists(bcc, min_size=1, max_size=3), line_end, st.booleans())
def test_a_bcc_is_never_shown_and_always_served(
    lines: list[bytes], hidden: list[bytes], end: bytes, extract: bool
) -> None:
    message = b"\n".join([*lines, *hidden, b"Subject: s", b"", b"text"]).replace(b"\n", end)
    prepared = submit(message, b"r@x.org", extract=extract)
    left = header_of(prepared)
    assert HIDDEN not in left
    assert not any(line.lower().startswith((b"bcc", b"resent-bcc")) for line in left.split(b"\n"))
    if not extract:
        assert prepared.recipients == [b"r@x.org"]
    elif not any(line.lower().startswith(b"resent-") for line in lines + hidden):
        assert HIDDEN in prepared.recipients


@given(
    header_lines,
    st.sampled_from([b"\n", b"no field\n", b"\n \n", b" \nno field\n"]),
    st.lists(bcc, min_size=1, max_size=5),
    line_end,
)
def test_text_never_gives_a_recipient(lines: list[bytes], gap: bytes, text: list[bytes], end: bytes) -> None:
    head = b"".join(line.replace(HIDDEN, b"a@x.org") + b"\n" for line in lines)
    message = (b"X: y\n" + head + gap + b"\n".join(text)).replace(b"\n", end)
    assert HIDDEN not in submit(message, b"r@x.org").recipients


@given(header_lines)
def test_other_fields_stay_byte_for_byte_and_in_order(lines: list[bytes]) -> None:
    kept = [b"X-One: 1\n", b"subject :\t two \n \xff\n", b"X-Bcc: a@x.org\n"]
    message = kept[0] + b"".join(line + b"\n" for line in lines) + kept[1] + kept[2] + b"\n"
    left = header_of(submit(message, b"r@x.org"))
    places = [left.find(line) for line in kept]
    assert -1 not in places
    assert left.startswith(kept[0])
    assert left.index(kept[2], left.index(kept[1])) >= 0


@given(header_lines, st.booleans(), st.booleans())
def test_a_prepared_header_needs_no_second_preparation(lines: list[bytes], undisclosed: bool, replace: bool) -> None:
    settings: dict[str, Any] = {"undisclosed_recipients": undisclosed, "set_date_header": "on" if replace else "auto"}
    once = submit(b"\n".join([*lines, b"", b""]), b"r@x.org", extract=False, **settings)
    twice = submit(header_of(once) + b"\n", b"r@x.org", extract=False, **settings)
    assert sorted(header_of(twice).splitlines()) == sorted(header_of(once).splitlines())
    assert replace or undisclosed or header_of(twice) == header_of(once)


pieces = st.sampled_from(
    [
        *NAMES,
        *VALUES,
        b"Bcc",
        b":",
        b"\n",
        b"\n\n",
        b"<",
        b">",
        b"@",
        b",",
        b";",
        b'"',
        b"(",
        b")",
        b"[",
        b"\\",
        b"\x80",
        b"\0",
    ]
)


@given(st.lists(pieces, max_size=30).map(b"".join), st.lists(st.binary(max_size=12), max_size=3), st.booleans())
def test_whatever_comes_in_is_prepared_or_refused_with_a_word(
    message: bytes, arguments: list[bytes], skip: bool
) -> None:
    try:
        prepared = submit(message, *arguments, skip=skip)
    except errors.Failure as error:
        assert error.exit_code in (64, 65)
        return
    assert prepared.recipients
    assert len(set(prepared.recipients)) == len(prepared.recipients)
    for address in [prepared.sender, *prepared.recipients]:
        assert b"@" in address
        assert not set(address) & set(b"\0\r\n")
    raw = b"".join(entry.raw for entry in prepared.fields)
    again = HeaderReader()
    again.feed(raw)
    again.finish()
    assert [entry.name for entry in again.fields] == [entry.name for entry in prepared.fields]
    assert again.rest == b""


@pytest.mark.parametrize("number", [1, 1000])
def test_every_one_of_many_bcc_fields_goes(number: int) -> None:
    prepared = submit(b"".join(b"Bcc: u%d@x.org\n" % one for one in range(number)))
    assert len(prepared.recipients) == number
    assert b"u0@" not in header_of(prepared)
