"""A full disk: who is not queued is told so, what was queued stays, results still find room, and then it goes on."""

import os
import pathlib
import sqlite3
import subprocess
from collections.abc import Iterator

import pytest

from pysendmail import errors
from pysendmail.queue import states
from pysendmail.queue.sqlite import SqliteStore
from tests.queue.place import as_user, need_root
from tests.queue.stores import claim, contents, entry, results, text

pytestmark = pytest.mark.once

SIZE = 4 << 20


@pytest.fixture
def small(tmp_path: pathlib.Path) -> Iterator[str]:
    """Give a path for a queue on a disk of 4 MiB."""
    need_root()
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder)], check=True)
    try:
        yield str(folder / "queue.db")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: str) -> str:
    """Take all room that is left beside the queue; give the file that takes it."""
    name = os.path.join(os.path.dirname(path), "ballast")
    fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while os.write(fd, b"x" * 4096):
            pass
    except OSError:
        pass
    finally:
        os.close(fd)
    return name


def add_until_full(store: SqliteStore, data: bytes) -> list[str]:
    """Add messages until one does not fit; give the ids of those that were taken."""
    taken: list[str] = []
    with pytest.raises(errors.TempFail) as caught:
        while len(taken) < 40_000:
            taken.append(store.add(entry(data=data)))
    assert "disk of the queue is full" in str(caught.value)
    assert (caught.value.exit_code, caught.value.status) == (75, "4.3.1")
    return taken


@pytest.mark.parametrize("size", [0, 100, 3000, 20_000, 300_000, 3_000_000])
def test_all_that_was_taken_before_the_disk_was_full_is_there(small: str, size: int) -> None:
    store = SqliteStore(small)
    taken = add_until_full(store, b"x" * 70 + b"\n" + b"y" * size)
    assert list(contents(store)) == taken
    assert list(store.check()) == []
    store.close()
    store = SqliteStore(small)
    assert list(contents(store)) == taken
    for item in store.listing():
        assert len(text(store, item)) == item.message.size
    store.close()


def test_a_queue_goes_on_when_there_is_room_again(small: str) -> None:
    store = SqliteStore(small)
    first = store.add(entry())
    ballast = fill(small)
    add_until_full(store, b"x" * 100_000)
    os.unlink(ballast)
    second = store.add(entry())
    subprocess.run(["mount", "-o", f"remount,size={2 * SIZE}", os.path.dirname(small)], check=True)
    third = store.add(entry(data=b"z" * 2_000_000))
    assert {first, second, third} <= set(contents(store)) and list(store.check()) == []
    store.close()


def test_a_queue_that_cannot_be_made_leaves_nothing(small: str) -> None:
    ballast = fill(small)
    with pytest.raises(errors.TempFail, match="full"):
        SqliteStore(small)
    assert os.listdir(os.path.dirname(small)) == ["ballast"]
    os.unlink(ballast)
    SqliteStore(small).close()


def test_without_room_for_another_name_it_is_told_as_well(small: str) -> None:
    SqliteStore(small).close()
    subprocess.run(["mount", "-o", "remount,nr_inodes=3", os.path.dirname(small)], check=True)
    with pytest.raises(errors.TempFail, match="full"):
        SqliteStore(small).add(entry())
    subprocess.run(["mount", "-o", "remount,nr_inodes=100", os.path.dirname(small)], check=True)
    store = SqliteStore(small)
    store.add(entry())
    store.close()


def test_what_was_delivered_is_noted_although_the_disk_is_full(small: str) -> None:
    store = SqliteStore(small)
    ids = store.add_many([entry(b"a@x", b"b@x", data=b"x" * 2000) for _ in range(20)])
    owner = store.enroll()
    items = claim(store, owner, limit=20)
    fill(small)
    for item in items[:10]:
        assert len(store.finish(owner, results([item]))) == 2
    deferred = results(items[10:], states.DEFERRED, reply="450 " + "x" * 500)
    assert len(store.finish(owner, deferred)) == 20
    assert list(contents(store)) == ids[10:]
    store.close()


def test_the_room_set_aside_is_made_by_the_first_message_and_used_by_results_only(small: str) -> None:
    reserve = small + "-reserve"
    store = SqliteStore(small)
    store.add_many([entry() for _ in range(9)])
    size = os.path.getsize(reserve)
    assert size == os.stat(reserve).st_blocks * 512 == SIZE // 8
    owner = store.enroll()
    items = claim(store, owner)
    ballast = fill(small)
    add_until_full(store, b"x" * 5000)
    assert os.path.exists(reserve)
    for item in items:
        store.finish(owner, results([item], states.DEFERRED, reply="x" * 1000))
    os.unlink(ballast)
    store.release(owner)
    if os.path.exists(reserve):  # the log may have had room enough
        os.unlink(reserve)
    store.enroll()
    assert os.path.getsize(reserve) == size
    store.close()


@pytest.mark.parametrize("size", [100, 5000, 100_000])
def test_a_runner_finds_room_on_a_disk_that_messages_have_filled(small: str, size: int) -> None:
    store = SqliteStore(small)
    taken = add_until_full(store, b"x" * 70 + b"\n" + b"y" * size)
    store.close()
    os.unlink(small + "-reserve")
    store = SqliteStore(small)
    owner = store.enroll()
    while items := claim(store, owner, limit=100):
        for item in items:
            assert len(store.finish(owner, results([item]))) == 1
            taken.remove(item.message.qid)
    assert not taken and list(store.check()) == []
    assert store.add(entry(data=b"y" * size))
    store.close()


def test_a_runner_finds_room_on_a_disk_that_others_have_filled(small: str) -> None:
    """The log is as long as it gets, and nothing of it is in the file yet: the reserve has room for all of that."""
    folder = os.path.dirname(small)
    subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
    store = SqliteStore(small)
    reader = sqlite3.connect(small)  # with somebody reading, the log grows on
    reader.execute("BEGIN").execute("SELECT count(*) FROM message").fetchone()
    for _ in range(350):
        store.add(entry(data=b"y" * 8000))
    fill(small)
    reader.close()
    owner = store.enroll()
    served = 0
    while items := claim(store, owner, limit=100):
        for item in items:
            assert len(store.finish(owner, results([item]))) == 1
            served += 1
    assert served == 350 and list(store.check()) == []
    store.close()


def test_a_message_that_fits_but_once_is_not_taken(small: str) -> None:
    """It could be written into the log, and never be brought from there into the file."""
    store = SqliteStore(small)
    kept = store.add(entry())
    with pytest.raises(errors.TempFail, match="disk of the queue is full"):
        store.add(entry(data=b"y" * 2_200_000))
    assert list(contents(store)) == [kept]
    store.close()


def test_without_room_for_the_reserve_a_runner_goes_on_without(small: str) -> None:
    store = SqliteStore(small)
    store.add(entry())
    os.unlink(small + "-reserve")
    fill(small)
    owner = store.enroll()
    assert [name for name in os.listdir(os.path.dirname(small)) if "reserve" in name] == []
    assert len(store.finish(owner, results(claim(store, owner)))) == 1
    store.close()


def test_a_limit_on_the_size_of_files_is_a_failure_like_any_other(used: str) -> None:
    import resource
    import signal

    def add() -> str:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        return SqliteStore(used).add(entry(data=b"x" * 1_000_000))

    told = as_user(-1, add)
    assert told.startswith("TempFail") and "\n" not in told
    store = SqliteStore(used)
    assert list(contents(store)) == ["KEPT"] and list(store.check()) == []
    store.close()


def test_without_a_descriptor_it_is_told_in_one_line(used: str) -> None:
    import resource

    def add() -> str:
        resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0), 100))
        return SqliteStore(used).add(entry())

    told = as_user(-1, add)
    assert told.startswith("TempFail") and "\n" not in told
