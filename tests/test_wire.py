"""Frames: what one end makes the other one reads, however it is cut on the way, and nothing else passes for one."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail import entry, wire

WORDS = [b"-t", b"", b"a b", b"\xff\xfe", b"bob@example.net"]


def decode(data: bytes, cuts: list[int]) -> list[tuple[int, bytes]]:
    """Decode octets that come in pieces, with the pieces of DATA that follow each other put together."""
    decoder = wire.Decoder()
    places = sorted({0, len(data), *[cut % (len(data) + 1) for cut in cuts]})
    found: list[tuple[int, bytes]] = []
    for start, stop in zip(places, places[1:], strict=False):
        for kind, content in decoder.feed(data[start:stop]):
            if found and kind == found[-1][0] == wire.DATA[0]:
                found[-1] = kind, found[-1][1] + content
            else:
                found.append((kind, content))
    assert decoder.held == 0
    return found


@given(st.lists(st.binary(max_size=300)), st.lists(st.integers(min_value=0)))
def test_a_message_comes_out_as_it_went_in_however_it_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    text = b"".join(pieces)
    data = wire.request(b"sendmail", WORDS) + b"".join([wire.frame(wire.DATA, piece) for piece in pieces]) + wire.end(len(text))
    first, *middle, last = decode(data, cuts)
    assert first == (wire.REQUEST[0], b"\0".join([wire.VERSION, b"sendmail", *WORDS]))
    assert middle == ([(wire.DATA[0], text)] if text else [])
    assert last == (wire.END[0], len(text).to_bytes(8, "big"))


@pytest.mark.parametrize(
    "data",
    [
        b"Z\0\0\0\0", b"\0\0\0\0\0", b"X\0\0\0\1\0", b"O\0\0\0\0", b"GET / HTTP/1.1\r\n", b"EHLO x\r\n",
        wire.END + b"\0\0\0\x09", wire.DATA + b"\0\x10\0\1", wire.REQUEST + b"\xff\xff\xff\xff", wire.FACTS + b"\0\0\x04\1",
    ],
)  # fmt: skip
def test_what_is_no_frame_or_too_long_is_broken(data: bytes) -> None:
    with pytest.raises(wire.Broken):
        wire.Decoder().feed(data)
    decoder = wire.Decoder()
    with pytest.raises(wire.Broken):
        for at in range(len(data)):
            decoder.feed(data[at : at + 1])


@given(st.binary(max_size=2000))
def test_no_octets_do_anything_else_than_make_frames_or_break(data: bytes) -> None:
    decoder = wire.Decoder()
    try:
        found = decoder.feed(data)
    except wire.Broken:
        return
    assert sum([len(content) for _, content in found]) + decoder.held <= len(data)


def test_what_is_kept_of_data_is_nothing() -> None:
    decoder = wire.Decoder()
    decoder.feed(wire.DATA + b"\0\x10\0\0")
    for _ in range(15):
        decoder.feed(b"x" * 65536)
        assert decoder.held == 0
    decoder.feed(b"x" * 65536 + wire.REQUEST + b"\0\0\1\0" + b"y" * 100)
    assert decoder.held == 100


def test_the_command_spells_the_frames_as_the_daemon_does() -> None:
    for name in ("VERSION", "REQUEST", "DATA", "END", "OUT", "ERR", "EXIT", "HEAD", "PIECE"):
        assert getattr(entry, name) == getattr(wire, name)
    assert entry._frame(b"R", b"content") == wire.frame(b"R", b"content")


def test_a_frame_that_comes_octet_by_octet_takes_no_more_memory_than_it_has_octets() -> None:
    decoder = wire.Decoder()
    decoder.feed(wire.REQUEST + (1 << 20).to_bytes(4, "big"))
    tracemalloc.start()
    try:
        for number in range(100_000):
            decoder.feed(b"%02d" % (number % 100))
        assert tracemalloc.get_traced_memory()[0] < 400_000
    finally:
        tracemalloc.stop()
    assert decoder.held == 200_000
