"""The transfer encoders: what they give decodes to what they took, in short lines, whatever the cuts."""

import base64
import quopri

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.message import transfer
from pysendmail.message.transfer import Base64, Encoder, QuotedPrintable, RepairedQuotedPrintable, RewrappedBase64

DELIMITERS = [b"--b", b"---", b"--a", b"----"]


def run(encoder: Encoder, *pieces: bytes) -> bytes:
    return b"".join([*(encoder.encode(piece) for piece in pieces), encoder.finish()])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in zip(edges, edges[1:], strict=False)]


def as_wire(parts: list[bytes]) -> bytes:
    return b"".join(parts)


text = st.lists(
    st.one_of(
        st.sampled_from([b"\r\n", b" ", b"\t", b"=", b".", b"-", b"--b", b"\0", b"\xc3\xa4", b"From "]),
        st.sampled_from([b"x" * 60, b"x" * 72, b"x" * 73, b"x" * 74, b"x" * 75, b"x" * 76, b"- " * 40, b"-" * 200]),
        st.binary(max_size=5).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"")),
    ),
    max_size=25,
).map(as_wire)
places = st.lists(st.integers(0, 3000), max_size=8)


@given(text, places)
@example(b"x" * 74 + b" \r\n" + b"x" * 74 + b"\t\r\n", [])
@example(b"x" * 75 + b"--b--\r\n", [])
@example(b"-" * 300, [])
def test_quoted_printable_decodes_to_the_same_octets_and_breaks_no_rule(data: bytes, places: list[int]) -> None:
    out = run(QuotedPrintable(DELIMITERS), *cut(data, places))
    assert quopri.decodestring(out) == data
    assert b"\r" not in out.replace(b"\r\n", b"") and b"\n" not in out.replace(b"\r\n", b"")
    lines = out.split(b"\r\n")
    assert all(len(line) <= 76 for line in lines)
    assert out.isascii() and b"\0" not in out
    assert not any(line.endswith((b" ", b"\t")) for line in lines)
    soft = [line for before, line in zip(lines, lines[1:], strict=False) if before.endswith(b"=")]
    assert not any(line.startswith(tuple(DELIMITERS)) for line in soft)


@given(text)
def test_lines_of_the_text_stay_lines_in_quoted_printable(data: bytes) -> None:
    out = run(QuotedPrintable([]), data)
    assert [quopri.decodestring(line) for line in out.replace(b"=\r\n", b"").split(b"\r\n")] == data.split(b"\r\n")


@given(text, places)
@example(b"x" * 77, [])
@example(b"x" * 75 + b"=y", [])
@example(b"x" * 20 + b"\r\ny", [21])
def test_a_line_longer_than_any_buffer_is_encoded_in_pieces(data: bytes, places: list[int]) -> None:
    before, transfer._PIECE = transfer._PIECE, 16
    try:
        out = run(QuotedPrintable(DELIMITERS), *cut(data, places))
    finally:
        transfer._PIECE = before
    assert quopri.decodestring(out) == data
    lines = out.split(b"\r\n")
    assert all(len(line) <= 76 and b"\r" not in line and b"\n" not in line for line in lines)
    soft = [line for before, line in zip(lines, lines[1:], strict=False) if before.endswith(b"=")]
    assert not any(line.startswith(tuple(DELIMITERS)) for line in soft)


def test_a_lone_dot_in_quoted_printable_is_escaped() -> None:
    assert run(QuotedPrintable([]), b"a\r\n.\r\n") == b"a\r\n=2E\r\n"


def test_a_boundary_that_the_encoded_text_would_become_is_refused() -> None:
    with pytest.raises(errors.DataError):
        run(QuotedPrintable([b"--b=3D"]), b"x\r\n--b=\r\n")
    with pytest.raises(errors.DataError):
        run(QuotedPrintable([b"--b=3D"]), b"--b=\r\n")


@given(st.binary(max_size=400), places)
def test_base64_decodes_to_the_same_octets_in_lines_of_76(data: bytes, places: list[int]) -> None:
    out = run(Base64(), *cut(data, places))
    assert base64.b64decode(out.replace(b"\r\n", b""), validate=True) == data
    *lines, last = out.split(b"\r\n")
    assert all(len(line) == 76 for line in lines) and len(last) <= 76
    assert bool(last) == bool(data)


words = st.sampled_from(
    [b"=C3=A4", b"=\r\n", b"\r\n", b"plain ", b"\xc3\xa4", b"\0", b"x" * 60, b"  ", b"=3D", b"-", b"--b"]
)


def lenient(data: bytes) -> bytes:
    """Decode quoted-printable as readers do that pass octets on which should not be there."""
    return quopri.decodestring(b"\r\n".join(line.rstrip(b" \t") for line in data.split(b"\r\n")))


@given(st.lists(words, max_size=40).map(as_wire), places)
@example(b"=C3\xc3 =\r\n\xc3\r\n", [])
@example(b"\xc3\xa4" * 200 + b" \r\n", [])
def test_mended_quoted_printable_means_the_same_and_is_ascii_in_short_lines(data: bytes, places: list[int]) -> None:
    out = run(RepairedQuotedPrintable(DELIMITERS), *cut(data, places))
    assert lenient(out) == lenient(data)
    assert out.isascii() and b"\0" not in out
    assert all(len(line) <= 998 for line in out.split(b"\r\n"))


def test_good_lines_of_quoted_printable_stay_as_they_are() -> None:
    good = b"=\r\n=C3=\r\nx= y =zz\r\n" + b"x" * 998 + b"\r\n"
    assert run(RepairedQuotedPrintable([]), good + b"\xe4\r\n" + good) == good + b"=E4\r\n" + good


@pytest.mark.parametrize("bad", [b"=" * 1000, b"\xe4" + b" " * 990, b"=\xe4", b"x=C\0"])
def test_quoted_printable_that_cannot_be_mended_without_a_guess_is_refused(bad: bytes) -> None:
    with pytest.raises(errors.DataError):
        run(RepairedQuotedPrintable([]), bad + b"\r\n")
    with pytest.raises(errors.DataError):
        run(RepairedQuotedPrintable([]), bad)


def test_a_line_of_quoted_printable_beyond_all_measure_is_not_kept_in_memory() -> None:
    encoder = RepairedQuotedPrintable([])
    with pytest.raises(errors.DataError):
        for _ in range(9):
            encoder.encode(b"x" * (1 << 17))


@given(st.binary(max_size=900), st.sampled_from([0, 4, 76, 100, 152, 5000]), places)
def test_rewrapped_base64_decodes_to_the_same_octets(data: bytes, width: int, places: list[int]) -> None:
    flat = base64.b64encode(data)
    step = width or len(flat) or 1
    wire = b"".join(flat[at : at + step] + b"\r\n" for at in range(0, len(flat), step)) + b"\r\n"
    out = run(RewrappedBase64(), *cut(wire, places))
    assert out.replace(b"\r\n", b"") == flat
    assert all(len(line) <= 76 for line in out.split(b"\r\n"))
    if width in (4, 76):
        assert out == wire
    assert out.endswith(b"\r\n\r\n") or not flat


@pytest.mark.parametrize("length", [75, 76, 77, 151, 152, 153])
@pytest.mark.parametrize("behind", [0, 1, 2])
def test_rewrapping_adds_no_empty_line_where_the_cut_is_at_a_line_end(length: int, behind: int) -> None:
    wire = b"A" * length + b"\r\nB\r\n"
    out = run(RewrappedBase64(), wire[: length + behind], wire[length + behind :])
    assert out == run(RewrappedBase64(), wire)
    assert b"\r\n\r\n" not in out


def test_base64_with_text_that_could_become_a_delimiter_is_refused() -> None:
    assert run(RewrappedBase64(), b"-- \r\nfooter\r\n") == b"-- \r\nfooter\r\n"
    for pieces in ([b"A" * 76 + b"--b\r\n"], [b"A" * 76 + b"--b" + b"A" * 90]):
        with pytest.raises(errors.DataError):
            run(RewrappedBase64(), *pieces)


def test_the_plain_encoder_leaves_all_as_it_is() -> None:
    assert run(Encoder(), b"\0\xff", b"x") == b"\0\xffx"
