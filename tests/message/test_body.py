"""The body: line ends, facts, the spool file, and that no split of the input changes any of it."""

import errno
import os
import pathlib
import re
import resource
import stat
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.message import body as body_module
from pysendmail.message.body import Body, BodyWriter, Survey, dot_stuff
from tests.conftest import skip


def write(*pieces: bytes, drop: bool = False, memory: int = 1 << 20) -> Body:
    writer = BodyWriter(memory=memory)
    for piece in pieces:
        writer.feed(piece)
    return writer.finish(drop)


def octets(body: Body, size: int = 1 << 18) -> bytes:
    return b"".join(body.chunks(size))


def facts(body: Body | Survey) -> tuple[bool, bool, bool]:
    return body.eight_bit, body.nul, body.long_line


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in zip(edges, edges[1:], strict=False)]


LINE_ENDS = [
    (b"", b""),
    (b"a", b"a\r\n"),
    (b"a\n", b"a\r\n"),
    (b"a\r\n", b"a\r\n"),
    (b"a\nb\r\nc", b"a\r\nb\r\nc\r\n"),
    (b"\n", b"\r\n"),
    (b"\n\n", b"\r\n\r\n"),
    (b"\r\n\r\n", b"\r\n\r\n"),
    (b"a\rb", b"a\r\nb\r\n"),
    (b"a\r", b"a\r\n"),
    (b"a\r\r\nb", b"a\r\nb\r\n"),
    (b"a\r\r", b"a\r\n\r\n"),
    (b"a\r\r\r\nb", b"a\r\n\r\nb\r\n"),
    (b"a\r\r\r\r\nb", b"a\r\n\r\n\r\nb\r\n"),
    (b"a\n\rb", b"a\r\n\r\nb\r\n"),
    (b"a\r\n\r\r\n\n", b"a\r\n\r\n\r\n"),
    (b"a\n.\n", b"a\r\n.\r\n"),
    (b"a\r.\rMAIL FROM:<x>\r", b"a\r\n.\r\nMAIL FROM:<x>\r\n"),
]


@pytest.mark.parametrize(("raw", "wire"), LINE_ENDS)
@pytest.mark.parametrize("memory", [1 << 20, 0])
def test_every_line_end_becomes_crlf_in_memory_and_in_the_file(raw: bytes, wire: bytes, memory: int) -> None:
    body = write(raw, memory=memory)
    assert octets(body) == wire
    assert body.size == len(wire)


FINAL_DOTS = [
    (b".", b""),
    (b".\n", b""),
    (b".\r\n", b""),
    (b"a\n.", b"a\r\n"),
    (b"a\n.\n", b"a\r\n"),
    (b"a\r\n.\r\n", b"a\r\n"),
    (b"a\n\n.\n", b"a\r\n\r\n"),
    (b"a.\n", b"a.\r\n"),
    (b"a\n..\n", b"a\r\n..\r\n"),
    (b"a\n.\nb\n", b"a\r\n.\r\nb\r\n"),
    (b"a\n.\n\n", b"a\r\n.\r\n\r\n"),
    (b"a\n. \n", b"a\r\n. \r\n"),
    (b".\n.\n", b".\r\n"),
    (b"", b""),
]


@pytest.mark.parametrize(("raw", "wire"), FINAL_DOTS)
@pytest.mark.parametrize("memory", [1 << 20, 0])
def test_a_last_line_that_is_a_lone_dot_goes_when_asked(raw: bytes, wire: bytes, memory: int) -> None:
    pieces = [raw[at : at + 1] for at in range(len(raw))]
    for body in (write(raw, drop=True, memory=memory), write(*pieces, drop=True, memory=memory)):
        assert octets(body) == wire
        assert body.size == len(wire)


def test_a_last_lone_dot_stays_when_not_asked() -> None:
    assert octets(write(b"a\n.\n")) == b"a\r\n.\r\n"


FACTS = [
    (b"plain\n", (False, False, False)),
    (b"\x7f\t\n", (False, False, False)),
    (b"caf\xc3\xa9\n", (True, False, False)),
    (b"a\0b\n", (False, True, False)),
    (b"x" * 998 + b"\n", (False, False, False)),
    (b"x" * 999 + b"\n", (False, False, True)),
    (b"x" * 998, (False, False, False)),
    (b"x" * 999, (False, False, True)),
    (b"x" * 998 + b"\r\n" + b"x" * 998 + b"\r\n", (False, False, False)),
    (b"a\n" + b"x" * 998 + b"\n" + b"x" * 999 + b"\nb\n", (False, False, True)),
    (b"a\n" * 2000, (False, False, False)),
    (b"a\n" * 2000 + b"x" * 999 + b"\n", (False, False, True)),
    (b"x" * 5000, (False, False, True)),
    (b"\xff" + b"a\n" * 9000 + b"\0", (True, True, False)),
    (b"", (False, False, False)),
]


@pytest.mark.parametrize(("raw", "expected"), FACTS)
@pytest.mark.parametrize("step", [1, 2, 7, 997, 998, 999, 1000, 1001, 1 << 20])
def test_the_facts_are_found_in_the_same_pass(raw: bytes, expected: tuple[bool, bool, bool], step: int) -> None:
    body = write(*(raw[at : at + step] for at in range(0, len(raw), step)))
    assert facts(body) == expected


def test_a_last_line_without_its_line_end_is_judged_when_a_survey_ends() -> None:
    for length in (998, 999):
        survey = Survey()
        survey.add(b"x" * length)
        survey.finish()
        assert survey.long_line == (length == 999)


raw_text = st.lists(
    st.one_of(
        st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\r\n", b".", b"\n.", b"\0", b"\xe4", b"a", b"x" * 497, b"y" * 500]),
        st.binary(max_size=4),
    ),
    max_size=30,
).map(b"".join)


@given(raw_text, st.lists(st.integers(0, 5000), max_size=12), st.booleans(), st.sampled_from([0, 5, 1 << 20]))
@example(b"a\r\r\nb", [2], False, 1 << 20)
@example(b"a\r\r\nb", [2, 3], False, 1 << 20)
@example(b"a\r\n.\r\n", [2, 3, 4, 5], True, 0)
def test_no_split_of_the_input_changes_the_body(raw: bytes, places: list[int], drop: bool, memory: int) -> None:
    whole = write(raw, drop=drop)
    pieces = write(*cut(raw, places), drop=drop, memory=memory)
    assert octets(pieces) == octets(whole)
    assert pieces.size == whole.size == len(octets(whole))
    assert facts(pieces) == facts(whole)


@given(raw_text)
def test_what_comes_out_has_no_bare_cr_or_lf_and_ends_with_crlf(raw: bytes) -> None:
    out = octets(write(raw))
    rest = out.replace(b"\r\n", b"")
    assert b"\r" not in rest and b"\n" not in rest
    assert out.endswith(b"\r\n") == bool(raw)


@given(raw_text)
def test_the_body_is_what_a_reading_octet_by_octet_gives(raw: bytes) -> None:
    lines = re.split(rb"\r\r\n|\r\n|\r|\n", raw)
    if lines[-1] == b"":
        lines.pop()
    assert octets(write(raw)) == b"".join(line + b"\r\n" for line in lines)
    assert facts(write(raw)) == (
        any(octet > 127 for octet in raw), 0 in raw, any(len(line) > 998 for line in lines)
    )  # fmt: skip


@given(raw_text)
def test_a_body_that_is_read_again_as_input_stays_as_it_is(raw: bytes) -> None:
    once = octets(write(raw))
    assert octets(write(once)) == once


@given(raw_text, st.lists(st.integers(0, 5000), max_size=6))
def test_text_in_wire_form_may_be_added_cut_anywhere(raw: bytes, places: list[int]) -> None:
    wire = octets(write(raw))
    writer = BodyWriter(memory=7)
    for piece in cut(wire, places):
        writer.add_wire(piece)
    body = writer.finish()
    assert octets(body) == wire
    assert facts(body) == facts(write(raw))


@pytest.mark.parametrize("memory", [1 << 20, 100])
def test_a_body_is_read_in_chunks_of_the_asked_size_again_and_again(memory: int) -> None:
    body = write(b"0123456789\n" * 100, memory=memory)
    first = list(body.chunks(256))
    assert [len(chunk) for chunk in first] == [256] * 4 + [1200 - 1024]
    assert list(body.chunks(256)) == first
    assert b"".join(first) == b"0123456789\r\n" * 100


@pytest.mark.parametrize("memory", [1 << 20, 0])
def test_two_readers_do_not_disturb_each_other(memory: int) -> None:
    body = write(b"0123456789\n" * 100, memory=memory)
    pairs = list(zip(body.chunks(100), body.chunks(100), strict=True))
    assert all(left == right for left, right in pairs)


def test_up_to_the_limit_no_file_is_made_and_beyond_it_one() -> None:
    small = BodyWriter(memory=12, folders=["/nonexistent"])
    small.feed(b"0123456789\n")
    assert small.finish().size == 12
    large = BodyWriter(memory=12, folders=["/nonexistent"])
    with pytest.raises(errors.TempFail):
        large.feed(b"01234567890\n")
    usual = BodyWriter(folders=["/nonexistent"])
    usual.feed(b"x" * (1 << 20))
    with pytest.raises(errors.TempFail):
        usual.feed(b"x")


@pytest.fixture(params=["nameless", "unlinked"])
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Give the descriptors of the spool files, made in either way."""
    if request.param == "unlinked":
        monkeypatch.setattr(body_module, "_NAMELESS", 0)
    elif not body_module._NAMELESS:
        skip("this system has no files without a name (O_TMPFILE)")
    made: list[int] = []
    real = body_module._open_nameless

    def remember(folder: str) -> int:
        made.append(real(folder))
        return made[-1]

    monkeypatch.setattr(body_module, "_open_nameless", remember)
    yield made


@pytest.mark.parametrize("umask", [0, 0o177, 0o777])
def test_the_spool_file_has_no_name_and_mode_0600_whatever_the_umask(
    opened: list[int], umask: int, tmp_path: pathlib.Path
) -> None:
    before = os.umask(umask)
    try:
        writer = BodyWriter(memory=0, folders=[str(tmp_path)])
        writer.feed(b"secret\n")
    finally:
        os.umask(before)
    facts = os.fstat(opened[0])
    assert stat.S_ISREG(facts.st_mode) and stat.S_IMODE(facts.st_mode) == 0o600
    assert facts.st_nlink == 0
    assert not os.get_inheritable(opened[0])
    assert os.listdir(tmp_path) == []
    assert octets(writer.finish()) == b"secret\r\n"


def test_the_spool_file_is_closed_once_and_then_read_no_more(opened: list[int]) -> None:
    body = write(b"a\n", memory=0)
    body.close()
    body.close()
    with pytest.raises(OSError) as error:
        os.fstat(opened[0])
    assert error.value.errno == errno.EBADF
    with pytest.raises(errors.TempFail):
        octets(body)


def test_a_writer_that_is_given_up_leaves_no_open_file(opened: list[int]) -> None:
    writer = BodyWriter(memory=0)
    writer.feed(b"half a mess")
    del writer
    with pytest.raises(OSError):
        os.fstat(opened[0])


def test_the_next_folder_is_taken_when_the_first_takes_no_file(tmp_path: pathlib.Path) -> None:
    writer = BodyWriter(memory=0, folders=["/nonexistent", str(tmp_path)])
    writer.feed(b"a\n")
    assert octets(writer.finish()) == b"a\r\n"


def test_no_folder_at_all_is_a_temporary_failure_in_one_line() -> None:
    writer = BodyWriter(memory=0, folders=["/nonexistent", "/dev/null"])
    with pytest.raises(errors.TempFail) as failure:
        writer.feed(b"a\n")
    assert str(failure.value) == (
        "cannot make a temporary file for the message"
        " (/nonexistent: No such file or directory, /dev/null: Not a directory)"
    )
    assert failure.value.status == "4.3.1"


@pytest.mark.parametrize("finish", [False, True], ids=["while it is written", "at its end"])
def test_a_full_disk_is_a_temporary_failure_in_one_line(finish: bool, tmp_path: pathlib.Path) -> None:
    writer = BodyWriter(memory=0, folders=[str(tmp_path)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(errors.TempFail) as failure:
            writer.feed(b"x" * 299_000)
            writer.feed(b"y" * (2_000 if finish else 600_000))
            writer.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(failure.value) == f"cannot store the message in {tmp_path}: File too large"


def test_a_write_that_is_cut_short_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[int, memoryview], int] = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    assert octets(write(b"0123456789\n" * 9, memory=0)) == b"0123456789\r\n" * 9


def test_a_read_that_is_cut_short_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    body = write(b"0123456789\n" * 9, memory=0)
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, size, start: real(descriptor, min(size, 7), start))
    assert list(body.chunks(100)) == [(b"0123456789\r\n" * 9)[:100], (b"0123456789\r\n" * 9)[100:]]


def test_a_spool_file_that_lost_its_end_is_never_taken_for_the_whole(opened: list[int]) -> None:
    body = write(b"0123456789\n" * 9, memory=0)
    os.ftruncate(opened[0], 50)
    with pytest.raises(errors.TempFail, match="too short"):
        octets(body)


STUFFED = [
    (b"", b""),
    (b"a\r\n", b"a\r\n"),
    (b".\r\n", b"..\r\n"),
    (b"..\r\n", b"...\r\n"),
    (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n"),
    (b"a.\r\n", b"a.\r\n"),
    (b"a\r\n.b\r\n.c\r\n", b"a\r\n..b\r\n..c\r\n"),
    (b".\r\n.\r\n", b"..\r\n..\r\n"),
]


@pytest.mark.parametrize(("wire", "stuffed"), STUFFED)
@pytest.mark.parametrize("step", [1, 2, 3, 4, 100])
def test_leading_dots_are_doubled_across_any_border(wire: bytes, stuffed: bytes, step: int) -> None:
    pieces = [wire[at : at + step] for at in range(0, len(wire), step)]
    assert b"".join(dot_stuff(pieces)) == stuffed
    assert b"".join(dot_stuff([b"", *(part for piece in pieces for part in (piece, b""))])) == stuffed


@given(raw_text, st.lists(st.integers(0, 5000), max_size=8))
def test_undoing_the_dots_line_by_line_gives_the_body_and_no_line_ends_the_message_early(
    raw: bytes, places: list[int]
) -> None:
    wire = octets(write(raw))
    lines = b"".join(dot_stuff(cut(wire, places))).split(b"\r\n")
    assert b"." not in lines
    assert b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines) == wire
