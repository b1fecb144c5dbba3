"""The file by which a dialogue comes to who wants to see it."""

import os
import pathlib

import pytest

from pysendmail.queue.dialogue import LIMIT, Reader, Writer, file, sweep


@pytest.fixture
def queue(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "queue.db")


def test_what_is_written_is_read_once_line_by_line(queue: str) -> None:
    reader, writer = Reader(queue, "1A"), Writer(queue, "1A")
    assert reader.read() == b""
    writer(">", b"EHLO x")
    writer("<", b"250 \x1b y")
    assert reader.read() == b"--> EHLO x\n<-- 250 ? y\n"
    with open(file(queue, "1A"), "ab") as half:
        half.write(b"<-- 2")
    assert reader.read() == b""
    with open(file(queue, "1A"), "ab") as half:
        half.write(b"50\n")
    assert reader.read() == b"<-- 250\n"
    writer.close()
    reader.close()


def test_without_a_reader_there_is_no_writer(queue: str) -> None:
    with pytest.raises(FileNotFoundError):
        Writer(queue, "1A")
    Reader(queue, "1A").close()
    with pytest.raises(FileNotFoundError):
        Writer(queue, "1A")


def test_a_reader_who_goes_stops_no_writer(queue: str) -> None:
    reader, writer = Reader(queue, "1A"), Writer(queue, "1A")
    reader.close()
    writer(">", b"EHLO x")
    writer.close()
    assert os.listdir(os.path.dirname(queue)) == []


def test_nothing_that_lies_there_already_is_used(queue: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    os.symlink(tmp_path / "other", file(queue, "1A"))
    with pytest.raises(OSError):
        Reader(queue, "1A")
    with pytest.raises(OSError):
        Writer(queue, "1A")


def test_all_writers_together_stay_within_the_limit(queue: str) -> None:
    reader = Reader(queue, "1A")
    for _ in range(3):
        writer = Writer(queue, "1A")
        for _ in range(LIMIT // 1000):
            writer("<", b"x" * 999)
        writer.close()
    size = os.path.getsize(file(queue, "1A"))
    data = b""
    while piece := reader.read():
        data += piece
    assert len(data) == size < LIMIT + 1000 and data.count(b"is too long\n") == 1
    reader.close()


def test_a_disk_without_room_does_not_concern_the_delivery(queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = Reader(queue, "1A"), Writer(queue, "1A")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        writer(">", b"EHLO x")
    writer(">", b"EHLO x")
    assert reader.read() == b""
    writer.close()
    reader.close()


def test_what_is_left_over_is_removed_and_nothing_else(queue: str, tmp_path: pathlib.Path) -> None:
    for name in ("queue.db", "queue.db-wal", "queue.db-dialogue-1A", "queue.db-dialogue-2B", "other.db-dialogue-3C"):
        (tmp_path / name).write_bytes(b"")
    sweep(queue)
    assert sorted(os.listdir(tmp_path)) == ["other.db-dialogue-3C", "queue.db", "queue.db-wal"]
    sweep(str(tmp_path / "no" / "queue.db"))
