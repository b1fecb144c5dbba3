"""The header reader: what is a field, where the header ends, and that no split of the input changes either."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.message import header
from pysendmail.message.header import Field, HeaderReader


def read(*pieces: bytes) -> HeaderReader:
    reader = HeaderReader()
    for piece in pieces:
        reader.feed(piece)
    reader.finish()
    return reader


def raws(reader: HeaderReader) -> list[bytes]:
    return [field.raw for field in reader.fields]


HEADERS = [
    # input, fields as they leave, rest, blank line seen
    (b"To: a@b\n\nHello\n", [b"To: a@b\r\n"], b"Hello\n", True),
    (b"To: a@b\r\n\r\nHello\r\n", [b"To: a@b\r\n"], b"Hello\r\n", True),
    (b"To: a@b\r\nCc: c\n\r\nx", [b"To: a@b\r\n", b"Cc: c\r\n"], b"x", True),
    (b"To: a@b\r\r\nCc: c\r\r\n\r\r\nx", [b"To: a@b\r\n", b"Cc: c\r\n"], b"x", True),
    (b"To: a,\n b,\n\tc\nSubject: s\n\nx", [b"To: a,\r\n b,\r\n\tc\r\n", b"Subject: s\r\n"], b"x", True),
    (b"To: a@b\n", [b"To: a@b\r\n"], b"", False),
    (b"To: a@b", [b"To: a@b\r\n"], b"", False),
    (b"To: a@b\n\n", [b"To: a@b\r\n"], b"", True),
    (b"To:\n\n", [b"To:\r\n"], b"", True),
    (b"To :a\n\n", [b"To :a\r\n"], b"", True),
    (b"To \t: a\n\n", [b"To \t: a\r\n"], b"", True),
    (b"", [], b"", False),
    (b"\nHello\n", [], b"Hello\n", True),
    (b"\r\nHello\n", [], b"Hello\n", True),
    # text without any header
    (b"Hello world\n", [], b"Hello world\n", False),
    (b"Hello world\n\nBcc: x@y\n", [], b"Hello world\n\nBcc: x@y\n", False),
    (b"Dear Sir: hello\n", [], b"Dear Sir: hello\n", False),
    (b" To: a@b\n\nx", [], b" To: a@b\n\nx", False),
    (b"\tx: y\n", [], b"\tx: y\n", False),
    (b"   \nTo: a@b\n", [], b"   \nTo: a@b\n", False),
    (b": x\n", [], b": x\n", False),
    (b" : x\n", [], b" : x\n", False),
    (b"\rTo: a@b\n", [], b"\rTo: a@b\n", False),
    # no blank line: the first line that is no field begins the body
    (b"To: a@b\nHello\nBcc: c@d\n", [b"To: a@b\r\n"], b"Hello\nBcc: c@d\n", False),
    (b"To: a@b\n.\nBcc: c@d\n", [b"To: a@b\r\n"], b".\nBcc: c@d\n", False),
    (b"To: a@b\nHello", [b"To: a@b\r\n"], b"Hello", False),
    (b"To: a@b\nTo\x00x: b\n", [b"To: a@b\r\n"], b"To\x00x: b\n", False),
    (b"To: a@b\nT\x01o: b\n", [b"To: a@b\r\n"], b"T\x01o: b\n", False),
    (b"To: a@b\nT\x7fo: b\n", [b"To: a@b\r\n"], b"T\x7fo: b\n", False),
    (b"To: a@b\n\xc3\x9cber: b\n", [b"To: a@b\r\n"], b"\xc3\x9cber: b\n", False),
    (b"To: a@b\nFrom me to you\n", [b"To: a@b\r\n"], b"From me to you\n", False),
    # bare CR
    (b"Subject: a\rBcc: x@y\n\n", [b"Subject: a Bcc: x@y\r\n"], b"", True),
    (b"Subject: a\n\rBcc: x@y\n\n", [b"Subject: a\r\n Bcc: x@y\r\n"], b"", True),
    (b"Bcc\r: x@y\n\n", [b"Bcc : x@y\r\n"], b"", True),
    (b"Subject: a\r", [b"Subject: a \r\n"], b"", False),
    (b"Subject: a\n\nx\ry", [b"Subject: a\r\n"], b"x\ry", True),
    # control characters and 8-bit in the value stay
    (b"X: \x01\x0b\x0c\xff\n\n", [b"X: \x01\x0b\x0c\xff\r\n"], b"", True),
    # a line of blanks only
    (b"To: a,\n \n b\n\nx", [b"To: a,\r\n \r\n b\r\n"], b"x", True),
    (b"To: a\n \t\nBcc: b\n\nx", [b"To: a\r\n \t\r\n", b"Bcc: b\r\n"], b"x", True),
    (b"To: a\n \n\t\nBcc: b\n\nx", [b"To: a\r\n \r\n\t\r\n", b"Bcc: b\r\n"], b"x", True),
    (b"To: a\r\n \r\n\r\nx", [b"To: a\r\n \r\n"], b"x", True),
    (b"To: a\n \nHello you\n", [b"To: a\r\n"], b"Hello you\n", True),
    (b"To: a\n \n\t\nHello you\n", [b"To: a\r\n"], b"\t\nHello you\n", True),
    (b"To: a\n \n", [b"To: a\r\n"], b"", True),
    (b"To: a\n ", [b"To: a\r\n"], b"", True),
    (b"To: a\n \n ", [b"To: a\r\n"], b" ", True),
]


@pytest.mark.parametrize(("message", "fields", "rest", "complete"), HEADERS)
def test_the_header_ends_where_the_table_says(message: bytes, fields: list[bytes], rest: bytes, complete: bool) -> None:
    reader = read(message)
    assert raws(reader) == fields
    assert reader.rest == rest
    assert reader.complete is complete
    assert reader.removed == []


MBOX = [
    (b"From a Mon Jan  1 00:00:00 2024\nTo: a\n\nx", [b"From a Mon Jan  1 00:00:00 2024"], [b"To: a\r\n"], b"x"),
    (b">From a\r\nTo: a\n\nx", [b">From a"], [b"To: a\r\n"], b"x"),
    (b"From a\n>From b\n>From c\nTo: a\n\nx", [b"From a", b">From b", b">From c"], [b"To: a\r\n"], b"x"),
    (b"From now on\nall is well\n", [], [], b"From now on\nall is well\n"),
    (b"From now on\n\nall is well\n", [], [], b"From now on\n\nall is well\n"),
    (b"From now on\n>From then\nall\n", [], [], b"From now on\n>From then\nall\n"),
    (b"From now on", [], [], b"From now on"),
    (b"From now on\n", [], [], b"From now on\n"),
    (b"From : a@b\n\nx", [], [b"From : a@b\r\n"], b"x"),
    (b">>From a\nTo: a\n\nx", [], [], b">>From a\nTo: a\n\nx"),
    (b"From a\n x\nTo: a\n", [], [], b"From a\n x\nTo: a\n"),
]


@pytest.mark.parametrize(("message", "removed", "fields", "rest"), MBOX)
def test_mbox_lines_are_dropped_only_before_a_field(
    message: bytes, removed: list[bytes], fields: list[bytes], rest: bytes
) -> None:
    reader = read(message)
    assert reader.removed == removed
    assert raws(reader) == fields
    assert reader.rest == rest


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        (b"Subject: x\n", b"subject", b"x"),
        (b"BCC \t:\tx \n", b"bcc", b"x"),
        (b"To:a,\n b\n", b"to", b"a, b"),
        (b"X-A:\n b:c\n", b"x-a", b"b:c"),
        (b"Date:\n", b"date", b""),
        (b"Date: \t \n \n\n", b"date", b""),
        (b"!#$%: x\n", b"!#$%", b"x"),
    ],
)
def test_a_field_gives_its_name_in_lower_case_and_its_value_unfolded(raw: bytes, name: bytes, value: bytes) -> None:
    (field,) = read(raw).fields
    assert (field.name, field.value) == (name, value)


def test_make_gives_a_field_that_the_reader_would_have_given() -> None:
    field = header.make(b"Message-ID", b"<a@b>")
    assert (field.name, field.raw, field.value) == (b"message-id", b"Message-ID: <a@b>\r\n", b"<a@b>")


def test_feed_says_when_the_header_is_over_and_keeps_what_follows() -> None:
    reader = HeaderReader()
    assert reader.feed(b"To: a\n") is False
    assert reader.feed(b"\nbo") is True
    assert reader.feed(b"dy") is True
    reader.finish()
    assert reader.rest == b"body"


@pytest.mark.parametrize("message", [b"To: a\x00b\n\n", b"To: a\n b\x00\n\n", b"To: a\nX:\x00", b"To: a\n\x20\x00\n\n"])
def test_a_nul_in_a_field_is_refused(message: bytes) -> None:
    with pytest.raises(errors.DataError, match="NUL"):
        read(message)


@pytest.mark.parametrize(
    "message", [b"\x00To: a\n", b"To: a\n\x00", b"To: a\n\x00X: b\n\n", b"To: a\n\n\x00", b"From \x00"]
)
def test_a_nul_in_the_text_is_no_matter_of_the_header(message: bytes) -> None:
    assert b"\x00" in read(message).rest


@pytest.mark.parametrize("step", [1 << 16, 1 << 20, 1 << 25])
def test_a_header_over_4_mib_is_refused_however_it_comes(step: int) -> None:
    for unit in (b"X" * 600 + b": y\n", b" " + b"x" * 800 + b"\n", b"x" * 1000):
        message = b"To: a" + (b"\n" if unit[:1] == b"X" or unit[:1] == b" " else b"") + unit * ((5 << 20) // len(unit))
        with pytest.raises(errors.DataError, match="larger than 4 MiB"):
            read(*(message[at : at + step] for at in range(0, len(message), step)))


def test_an_unfinished_line_over_4_mib_is_refused_while_it_comes() -> None:
    reader = HeaderReader()
    reader.feed(b"Subject: ")
    with pytest.raises(errors.DataError, match="larger than 4 MiB"):
        for _ in range(5):
            reader.feed(b"x" * (1 << 20))


@pytest.mark.parametrize(("length", "dropped"), [(1002, True), (1003, False)])
def test_an_mbox_line_is_no_longer_than_other_lines(length: int, dropped: bool) -> None:
    message = (b"From " + b"x" * length)[: length - 1] + b"\nTo: a\n\n"
    for reader in (read(message), read(message[:1002], message[1002:]), read(message[:1005], message[1005:])):
        assert bool(reader.removed) is dropped
        assert reader.rest == (b"" if dropped else message)


def test_too_many_fields_are_refused() -> None:
    with pytest.raises(errors.DataError, match="fields"):
        read(b"a:\n" * (header.MAX_FIELDS + 1))


@pytest.mark.parametrize("text", [b"A" * 5000, b"From " + b"a" * 5000, b" " * 5000, b"Dear all: " + b"b" * 5000])
def test_an_endless_line_of_text_streams(text: bytes) -> None:
    reader = HeaderReader()
    over = [reader.feed(text[at : at + 100]) for at in range(0, len(text), 100)]
    assert over[11] is True
    reader.finish()
    assert (reader.fields, reader.rest) == ([], text)


def test_a_long_line_of_a_field_is_waited_for() -> None:
    reader = read(*[b"Subject: "] + [b"x" * 100] * 100 + [b"\n y", b"y" * 3000, b"\n\nz"])
    assert raws(reader) == [b"Subject: " + b"x" * 10000 + b"\r\n y" + b"y" * 3000 + b"\r\n"]
    assert reader.rest == b"z"


@pytest.mark.parametrize(("length", "is_field"), [(997, True), (998, True), (999, False), (1000, False)])
def test_a_name_of_more_than_998_octets_is_no_name(length: int, is_field: bool) -> None:
    message = b"a" * length + b": x\n\nbody"
    for reader in (read(message), read(message[:1003], message[1003:]), read(*(bytes([one]) for one in message))):
        assert bool(reader.fields) is is_field
        assert reader.rest == (b"body" if is_field else message)


PIECES = [
    b"To: a",
    b"Bcc :b",
    b"x" * 300,
    b"X" * 1010,
    b"From ",
    b">From ",
    b"\n",
    b"\r",
    b"\r\n",
    b" ",
    b"\t",
    b":",
    b"\xc3",
    b"\0",
    b"a",
]
messages = st.lists(st.sampled_from(PIECES), max_size=24).map(b"".join)


def outcome(pieces: list[bytes]) -> tuple[object, ...]:
    try:
        reader = read(*pieces)
    except errors.DataError as error:
        return (str(error),)
    return raws(reader), [field.name for field in reader.fields], reader.rest, reader.complete, reader.removed


@given(messages, st.lists(st.integers(0, 3000), max_size=8))
@example(b"To: a\n \r", [6, 7])
@example(b"To: a\r\r\n\r\r\nx", [6, 7, 9, 10])
def test_the_result_does_not_depend_on_how_the_input_is_split(message: bytes, cuts: list[int]) -> None:
    whole = outcome([message])
    ends = sorted(min(cut, len(message)) for cut in cuts) + [len(message)]
    starts = [0, *ends[:-1]]
    assert outcome([message[start:end] for start, end in zip(starts, ends, strict=True)]) == whole
    assert outcome([message[at : at + 1] for at in range(len(message))]) == whole


@given(st.one_of(messages, st.binary(max_size=300)))
def test_every_field_is_whole_and_nothing_of_the_text_is_lost(message: bytes) -> None:
    try:
        reader = read(message)
    except errors.DataError:
        assert b"\0" in message
        return
    for field in reader.fields:
        assert field.raw.endswith(b"\r\n")
        lines = field.raw[:-2].split(b"\r\n")
        assert not any(b"\r" in line or b"\n" in line for line in lines)
        assert all(line[:1] in (b" ", b"\t") for line in lines[1:])
        assert field.raw.lower().startswith(field.name)
    assert message.endswith(reader.rest)
    left = b"".join([*reader.removed, *(field.raw for field in reader.fields)]) + reader.rest
    for blank in (b"\r", b"\n", b" ", b"\t"):
        left, message = left.replace(blank, b""), message.replace(blank, b"")
    assert left == message


def block(*names: bytes) -> tuple[int, int]:
    return header.resent_block([Field(name, name + b": x\r\n") for name in names])


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (b"to from", (0, 0)),
        (b"", (0, 0)),
        (b"resent-to resent-cc to", (0, 2)),
        (b"received resent-from resent-to", (1, 3)),
        (b"resent-to subject resent-cc", (0, 1)),
        (b"resent-from resent-to resent-from resent-to", (0, 2)),
        (b"resent-to resent-to resent-bcc", (0, 3)),
        (b"resent-date resent-x resent-date", (0, 2)),
    ],
)
def test_the_first_resent_block_ends_at_another_field_or_at_an_older_block(
    names: bytes, found: tuple[int, int]
) -> None:
    assert block(*names.split()) == found
