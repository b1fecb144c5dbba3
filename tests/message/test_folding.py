"""Header lines that are too long."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysendmail.errors import DataError
from pysendmail.message.address import parse
from pysendmail.message.header import Field
from pysendmail.message.words import fold_field


def folded(raw: bytes) -> bytes:
    return fold_field(Field(raw.partition(b":")[0].strip().lower(), raw + b"\r\n")).raw[:-2]


def longest(raw: bytes) -> int:
    return max(map(len, raw.split(b"\r\n")))


def test_a_field_of_legal_lines_is_left_alone() -> None:
    given_field = Field(b"subject", b"Subject: " + b"a " * 494 + b"\r\n" + b" " + b"b" * 997 + b"\r\n")
    assert fold_field(given_field) is given_field


def test_a_long_text_is_folded_before_blanks_into_lines_of_78() -> None:
    raw = b"Subject: " + b"some words\tof text  " * 100 + b"end"
    assert longest(folded(raw)) <= 78
    assert folded(raw).replace(b"\r\n", b"") == raw
    assert len(folded(raw).split(b"\r\n")) < 40


def test_lines_that_are_short_enough_stay_as_they_are() -> None:
    raw = b"Subject: " + b"a " * 200 + b"\r\n\t" + b"b " * 600 + b"c\r\n " + b"d " * 150 + b"d"
    lines = folded(raw).split(b"\r\n")
    assert lines[0] == b"Subject: " + b"a " * 200
    assert lines[-1] == b" " + b"d " * 150 + b"d"
    assert max(map(len, lines[1:-1])) <= 78


def test_a_word_of_the_greatest_length_goes_to_a_line_of_its_own() -> None:
    raw = b"Subject: " + b"a" * 997
    assert folded(raw) == b"Subject:\r\n " + b"a" * 997
    assert folded(b"Subject: x " + b"a" * 997) == b"Subject: x\r\n " + b"a" * 997


def test_a_word_of_middling_length_does_not_leave_the_line_of_the_name() -> None:
    assert folded(b"X-A: " + b"a" * 300 + b" b" * 500).startswith(b"X-A: " + b"a" * 300)


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: " + b"a" * 998,
        b"Subject:" + b"a" * 1000,
        b"Subject: x " + b"a" * 998 + b" y",
        b"To: " + b"a" * 1000 + b"@b",
        b"Subject: " + b"a," * 500,
        b"X: a" + b" " * 1000 + b"b",
    ],
)
def test_what_cannot_be_folded_is_refused(raw: bytes) -> None:
    with pytest.raises(DataError, match="998 octets in the .* field"):
        folded(raw)


def test_blanks_at_the_end_of_a_long_line_are_dropped() -> None:
    assert folded(b"Subject: a b" + b" " * 2000) == b"Subject: a b"
    assert longest(folded(b"Subject: " + b"a " * 600)) <= 78


def test_no_line_of_blanks_only_comes_of_folding() -> None:
    raw = b"X: " + (b"a" * 70 + b" " * 90) * 20 + b"a"
    assert all(line.strip() for line in folded(raw).split(b"\r\n"))
    assert folded(raw).replace(b"\r\n", b"") == raw


def test_an_address_list_without_blanks_is_folded_after_commas() -> None:
    raw = b"To:" + b",".join([b"user%d@example.org" % i for i in range(10_000)])
    assert longest(folded(raw)) <= 78
    assert folded(raw).replace(b"\r\n ", b"") == raw
    assert len(parse(folded(raw)[3:]).mailboxes) == 10_000


def test_names_in_quotes_are_not_folded_nor_split_at_their_commas() -> None:
    raw = b"To: " + b", ".join([b'"Doe, Jane,and more" <user%d@example.org>' % i for i in range(100)])
    assert longest(folded(raw)) <= 78
    assert folded(raw).count(b'"Doe, Jane,and more"') == 100
    assert folded(raw).replace(b"\r\n", b"") == raw


def test_a_quoted_name_too_long_for_a_line_is_folded_inside() -> None:
    raw = b'To: "' + b"very long name " * 100 + b'" <a@b>'
    assert longest(folded(raw)) <= 998
    assert folded(raw).replace(b"\r\n", b"") == raw
    assert [mailbox.address for mailbox in parse(folded(raw)[3:]).mailboxes] == [b"a@b"]


def test_commas_in_other_fields_are_no_place_to_fold() -> None:
    with pytest.raises(DataError):
        folded(b"DKIM-Signature: " + b"a," * 600)


def test_urls_of_mailing_lists_are_folded_after_commas() -> None:
    raw = b"List-Unsubscribe: " + b",".join([b"<https://example.org/%d>" % i for i in range(60)])
    assert longest(folded(raw)) <= 78
    assert folded(raw).replace(b">,\r\n <", b">,<") == raw


def test_a_text_in_8_bit_without_blanks_is_folded_between_encoded_words() -> None:
    result = folded(b"Subject: " + "日本語".encode() * 200)
    assert result.isascii()
    assert longest(result) <= 76


def test_a_text_in_8_bit_with_blanks_keeps_its_octets() -> None:
    raw = b"Subject: " + "größe ".encode() * 200 + b"x"
    assert folded(raw).replace(b"\r\n", b"") == raw


@given(
    st.lists(
        st.sampled_from(
            [b"a", b"bc d", b",", b" ", b"\t", b'"', b"(x y)", b"\r\n ", b"z" * 80, b"w" * 500, b"q@r, ", b"<s@t>,"]
        ),
        min_size=20,
        max_size=300,
    ).map(b"".join),
    st.sampled_from([b"Subject", b"To", b"References"]),
)
@settings(max_examples=150, deadline=None)
def test_folding_changes_nothing_but_line_ends_and_blanks_after_commas(text: bytes, name: bytes) -> None:
    raw = name + b":" + text + b"end"
    try:
        result = folded(raw)
    except DataError:
        return
    assert longest(result) <= 998
    assert result.replace(b"\r\n", b"").replace(b" ", b"").replace(b"\t", b"") == raw.replace(b"\r\n", b"").replace(
        b" ", b""
    ).replace(b"\t", b"")
    if name == b"To":
        assert [m.key for m in parse(result[3:]).mailboxes] == [m.key for m in parse(raw[3:]).mailboxes]
    elif all(len(line) <= 998 or not line[-1:].isspace() for line in raw.split(b"\r\n")):
        assert result.replace(b"\r\n", b"") == raw.replace(b"\r\n", b"")


@pytest.mark.parametrize("name", [b"To", b"Subject"])
def test_a_long_field_takes_little_memory(name: bytes) -> None:
    raw = name + b": " + b"a " * 200_000 + b"<a@x.org>"
    tracemalloc.start()
    try:
        folded(raw)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 20_000_000
