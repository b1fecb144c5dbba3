"""The end of a message is found where it is, and nowhere else, however the input is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.message.body import dot_stuff
from pysendmail.smtp.dots import DotReader, LineEnds, line_end_fault


def read(strict: bool, *pieces: bytes) -> tuple[bytes, bytes | None, str]:
    """Return the text, what stands behind it, and the first fault."""
    reader = DotReader(strict)
    text = b""
    for at, piece in enumerate(pieces):
        more, rest = reader.feed(piece)
        if reader.fault:
            return text, None, reader.fault
        text += more
        if rest is not None:
            return text, rest + b"".join(pieces[at + 1 :]), ""
    return text, None, ""


BOTH = [
    (b".\r\n", b"", b""),
    (b".\r\nQUIT\r\n", b"", b"QUIT\r\n"),
    (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n"),
    (b"..\r\n.\r\n", b".\r\n", b""),
    (b"..a\r\n.b\r\n...\r\n.\r\n", b".a\r\nb\r\n..\r\n", b""),
    (b"\r\n\r\n.\r\n", b"\r\n\r\n", b""),
    (b"a.\r\n.\r\n", b"a.\r\n", b""),
    (b". \r\n.\r\n", b" \r\n", b""),
    (b"a\0\xff\r\n.\0\r\n.\r\n.\r\n", b"a\0\xff\r\n\0\r\n", b".\r\n"),
]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(("raw", "text", "rest"), BOTH)
def test_both_manners_end_at_the_lone_dot_and_take_off_the_others(strict: bool, raw: bytes, text: bytes, rest: bytes) -> None:
    assert read(strict, raw) == (text, rest, "")
    assert read(strict, *(raw[at : at + 1] for at in range(len(raw)))) == (text, rest, "")


LENIENT = [
    (b".\n", b"", b""),
    (b"a\n.\nQUIT\n", b"a\n", b"QUIT\n"),
    (b"a\n.\r\nQUIT\n", b"a\n", b"QUIT\n"),
    (b"a\r\n.\nQUIT\n", b"a\r\n", b"QUIT\n"),
    (b"a\r\r\n.\r\r\nx", b"a\r\r\n", b"x"),
    (b"a\n..\n.b\n.\n", b"a\n.\nb\n", b""),
    (b"a\r.\rb\n.\n", b"a\r.\rb\n", b""),
    (b"a\r.\r\nb\n.\n", b"a\r.\r\nb\n", b""),
    (b"\n.\r\r\r\n.\n", b"\n\r\r\r\n", b""),
]


@pytest.mark.parametrize(("raw", "text", "rest"), LENIENT)
def test_the_lenient_manner_takes_every_line_end_of_a_pipe(raw: bytes, text: bytes, rest: bytes) -> None:
    assert read(False, raw) == (text, rest, "")
    assert read(False, *(raw[at : at + 1] for at in range(len(raw)))) == (text, rest, "")


SMUGGLING = [
    (b"a\n.\nMAIL FROM:<x@y>\r\n", "bare LF"),
    (b"a\n.\r\nMAIL FROM:<x@y>\r\n", "bare LF"),
    (b"a\r\n.\nMAIL FROM:<x@y>\r\n", "bare LF"),
    (b"a\r.\rMAIL FROM:<x@y>\r\n", "bare CR"),
    (b"a\r.\r\nMAIL FROM:<x@y>\r\n", "bare CR"),
    (b"a\r\n.\rMAIL FROM:<x@y>\r\n", "bare CR"),
    (b"a\r\r\n.\r\r\nMAIL FROM:<x@y>\r\n", "bare CR"),
    (b"a\r\n.\r\r\nMAIL\r\n", "bare CR"),
    (b".\nMAIL FROM:<x@y>\r\n", "bare LF"),
    (b".\rMAIL FROM:<x@y>\r\n", "bare CR"),
    (b"\n.\r\nMAIL FROM:<x@y>\r\n", "bare LF"),
    (b"a\n\r\n.\r\nQUIT\r\n", "bare LF"),
]


@pytest.mark.parametrize(("raw", "fault"), SMUGGLING)
def test_the_strict_manner_sees_each_line_end_that_is_none(raw: bytes, fault: str) -> None:
    assert read(True, raw)[1:] == (None, fault)
    text, rest, found = read(True, *(raw[at : at + 1] for at in range(len(raw))))
    assert (rest, found) == (None, fault)
    assert line_end_fault(text) == ""


def test_what_stands_behind_the_end_is_not_judged_by_the_message() -> None:
    assert read(True, b"a\r\n.\r\nx\ny\rz") == (b"a\r\n", b"x\ny\rz", "")


OCTETS = st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\0", b"\r\n", b"\r\n.", b"\n.", b"\r\n.\r\n"]), max_size=30).map(b"".join)


@given(OCTETS, st.booleans(), st.data())
def test_it_never_matters_how_the_input_was_cut(raw: bytes, strict: bool, data: st.DataObject) -> None:
    whole = read(strict, raw)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    borders = [0, *cuts, len(raw)]
    text, rest, fault = read(strict, *(raw[a:b] for a, b in zip(borders, borders[1:], strict=False)))
    assert (rest, fault) == whole[1:]
    if not fault:
        assert text == whole[0]


@given(OCTETS)
def test_the_strict_manner_never_lets_a_stray_line_end_through(raw: bytes) -> None:
    text, rest, fault = read(True, raw)
    if not fault:
        assert text.count(b"\r\n") == text.count(b"\r") == text.count(b"\n")
    if rest is not None:
        assert raw.endswith(b".\r\n" + rest)


@given(st.lists(st.sampled_from([b"a", b".", b"..", b"", b". x", b"a.b"]), max_size=12), st.booleans())
def test_a_message_comes_through_stuffing_and_its_opposite_unharmed(lines: list[bytes], strict: bool) -> None:
    message = b"".join([line + b"\r\n" for line in lines])
    sent = b"".join(dot_stuff([message])) + b".\r\nQUIT\r\n"
    assert read(strict, sent) == (message, b"QUIT\r\n", "")


@pytest.mark.parametrize(
    ("pieces", "fault"),
    [
        ([b"a\r\n", b"b\r", b"\nc"], ""),
        ([b"a\r", b"b"], "bare CR"),
        ([b"a", b"\nb"], "bare LF"),
        ([b"a\r", b"\r\n"], "bare CR"),
        ([b"a\r"], "bare CR"),
        ([], ""),
    ],
)
def test_chunks_are_searched_for_stray_line_ends_over_their_borders(pieces: list[bytes], fault: str) -> None:
    ends = LineEnds()
    found = [text for text in [*map(ends.feed, pieces), ends.finish()] if text]
    assert (found[0] if found else "") == fault
