"""Replies are cut out of any byte stream, or the stream is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.smtp.reply import LINE_LIMIT, LINES_LIMIT, REPLY_LIMIT, Reply, ReplyReader


def read(*pieces: bytes) -> tuple[list[tuple[int, list[bytes]]], bool]:
    reader = ReplyReader()
    replies = [reply for piece in pieces for reply in reader.feed(piece)]
    return [(reply.code, reply.lines) for reply in replies], reader.error is not None


GOOD = [
    (b"250 ok\r\n", [(250, [b"ok"])]),
    (b"250\r\n", [(250, [b""])]),
    (b"250 \n", [(250, [b""])]),
    (b"250-a\r\n250-b\r\n250 c\r\n", [(250, [b"a", b"b", b"c"])]),
    (b"220 x\r\n354 go\r\n", [(220, [b"x"]), (354, [b"go"])]),
    (b"250 \xff\x00\xe9\r\n", [(250, [b"\xff\x00\xe9"])]),
    (b"250-a\r\n250\r\n", [(250, [b"a", b""])]),
]


@pytest.mark.parametrize(("raw", "expected"), GOOD)
def test_replies_are_read_as_the_standard_writes_them(raw: bytes, expected: list[tuple[int, list[bytes]]]) -> None:
    assert read(raw) == (expected, False)


@pytest.mark.parametrize(("raw", "expected"), GOOD)
@given(data=st.data())
def test_replies_may_be_split_anywhere(
    raw: bytes, expected: list[tuple[int, list[bytes]]], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    borders = [0, *cuts, len(raw)]
    assert read(*(raw[a:b] for a, b in zip(borders, borders[1:], strict=False))) == (expected, False)


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n",
        b"\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"250x ok\r\n",
        b"150 ok\r\n",
        b"650 ok\r\n",
        b"000 ok\r\n",
        b"2\x0050 ok\r\n",
        b"\xb2\xb5\xb0 ok\r\n",
        b" 250 ok\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"250-a\r\n550 b\r\n",
        b"250_a\r\n",
    ],
)
def test_what_has_no_code_is_no_reply(raw: bytes) -> None:
    assert read(raw) == ([], True)


def test_replies_before_rubbish_still_count() -> None:
    assert read(b"250 ok\r\nrubbish\r\n250 no\r\n") == ([(250, [b"ok"])], True)
    assert read(b"rubbish\r\n", b"250 no\r\n") == ([], True)


def test_an_overlong_line_is_kept_to_its_limit_and_the_rest_skipped() -> None:
    replies, broken = read(b"250-" + b"x" * 100_000, b"y" * 10_000 + b"\r\n250 end\r\n")
    assert not broken
    assert replies[0][0] == 250
    assert len(replies[0][1][0]) == LINE_LIMIT - 4
    assert replies[0][1][1] == b"end"


def test_an_overlong_line_counts_the_same_in_one_piece() -> None:
    line = b"250 " + b"x" * 10_000 + b"\r\n"
    assert read(line) == read(line[:7000], line[7000:])


def test_a_line_without_end_is_given_up() -> None:
    reader = ReplyReader()
    for _ in range(REPLY_LIMIT // 4096 + 2):
        assert reader.feed(b"2" * 4096) == []
    assert reader.error is not None


def test_a_reply_without_end_is_given_up_by_lines_and_by_octets() -> None:
    reader = ReplyReader()
    for _ in range(LINES_LIMIT):
        reader.feed(b"250-x\r\n")
    assert reader.error is not None
    reader = ReplyReader()
    for _ in range(REPLY_LIMIT // 4000 + 1):
        reader.feed(b"250-" + b"x" * 4000 + b"\r\n")
    assert reader.error is not None


def test_the_limits_are_for_one_reply_not_for_all_of_them() -> None:
    reader = ReplyReader()
    assert sum(len(reader.feed(b"250-x\r\n250 ok\r\n" * 100)) for _ in range(1000)) == 100_000
    assert reader.error is None


@given(st.binary(max_size=300))
def test_no_octets_do_more_than_end_the_reading(raw: bytes) -> None:
    ReplyReader().feed(raw)


@pytest.mark.parametrize(
    ("code", "text", "status"),
    [
        (250, b"2.1.5 ok", "2.1.5"),
        (550, b"5.7.1 no", "5.7.1"),
        (550, b"2.0.0 of another class", "5.0.0"),
        (450, b"no status", "4.0.0"),
        (550, b"5.7.", "5.0.0"),
        (550, b"5.7.1234 no", "5.0.0"),
        (550, b"5.7.1.2 no", "5.0.0"),
        (550, b"5.\xb2.1 no", "5.0.0"),
        (550, b"5.7.26", "5.7.26"),
    ],
)
def test_an_enhanced_code_counts_only_if_it_is_one_and_of_the_same_class(code: int, text: bytes, status: str) -> None:
    assert Reply(code, [text]).status == status


def test_a_reader_knows_whether_it_holds_half_a_reply() -> None:
    for raw, partial in ((b"", False), (b"250 ok\r\n", False), (b"2", True), (b"250-a\r\n", True), (b"250 a", True)):
        reader = ReplyReader()
        reader.feed(raw)
        assert reader.partial is partial
