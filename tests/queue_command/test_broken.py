"""A queue that cannot be used: the right exit code, one line, nothing lost, and all is well when the cause is gone."""

import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest

from tests.command.caller import MESSAGE
from tests.queue_command.keeper import Keeper, numbered, numbers

BOB, CAROL = "bob@example.net", "carol@example.net"
LIMITED = pytest.mark.usefixtures("superuser")


def _is_well(caller: Keeper, *before: int) -> None:
    """See that the earlier messages are there, and that the queue takes and delivers another one."""
    caller.submit("-odq", BOB, message=numbered(99))
    assert caller.problems() == []
    caller.flush()
    assert sorted(numbers([one.data for one in caller.server.deliveries])) == [*before, 99]
    assert caller.waiting() == []


def test_a_missing_folder_is_made_for_the_caller_alone(caller: Keeper) -> None:
    deep = caller.home / "a" / "b" / "queue.db"
    caller.words["queue"] = str(deep)
    caller.queue = deep
    caller.submit("-odq", BOB, umask=0)
    assert [oct(path.stat().st_mode & 0o777) for path in (deep, deep.parent, deep.parent.parent)] == [
        "0o600", "0o700", "0o700",
    ]  # fmt: skip
    assert caller.waiting() == [(BOB, "queued")]


@pytest.mark.parametrize("mode", ["-odq", "-odb"])
def test_a_damaged_queue_is_told_and_left_as_it_is(caller: Keeper, mode: str) -> None:
    caller.submit("-odq", BOB, message=numbered(1))
    good = caller.queue.read_bytes()
    bad = b"this is no database at all" + good[26:]
    caller.queue.write_bytes(bad)
    assert "damaged" in caller.refuse(75, mode, CAROL)
    assert "damaged" in caller.refuse(75, "-q", message=b"")
    assert "damaged" in caller.refuse(75, "-bp", message=b"")
    assert caller.queue.read_bytes() == bad
    caller.queue.write_bytes(good)
    _is_well(caller, 1)


def test_a_queue_of_a_newer_release_is_told_and_left_as_it_is(caller: Keeper) -> None:
    caller.submit("-odq", BOB, message=numbered(1))
    good = caller.queue.read_bytes()
    newer = good[:60] + (99).to_bytes(4, "big") + good[64:]
    caller.queue.write_bytes(newer)
    for arguments in (["-odq", CAROL], ["-q"], ["-bp"]):
        assert "newer" in caller.refuse(78, *arguments)
    assert caller.queue.read_bytes() == newer
    caller.queue.write_bytes(good)
    _is_well(caller, 1)


def test_a_folder_in_the_place_of_the_queue_is_told(caller: Keeper) -> None:
    caller.queue.mkdir(parents=True)
    caller.queue.parent.chmod(0o700)
    caller.refuse(75, "-odq", BOB)


def test_a_file_in_the_place_of_the_folder_is_told(caller: Keeper) -> None:
    caller.queue.parent.write_bytes(b"")
    caller.refuse(75, "-odq", BOB)
    caller.queue.parent.unlink()
    _is_well(caller)


def test_a_link_in_the_place_of_the_queue_is_refused(caller: Keeper) -> None:
    caller.submit("-odq", BOB, message=numbered(1))
    elsewhere = caller.home / "elsewhere"
    caller.queue.rename(elsewhere)
    caller.queue.symlink_to(elsewhere)
    caller.refuse(78, "-odq", CAROL)
    caller.queue.unlink()
    elsewhere.rename(caller.queue)
    _is_well(caller, 1)


def test_a_folder_that_others_may_write_to_is_refused(caller: Keeper) -> None:
    caller.submit("-odq", BOB, message=numbered(1))
    caller.queue.parent.chmod(0o777)
    assert "0700" in caller.refuse(75, "-odq", CAROL)
    caller.queue.parent.chmod(0o700)
    _is_well(caller, 1)


def test_a_queue_that_cannot_be_used_stops_no_delivery_now(caller: Keeper) -> None:
    caller.queue.parent.write_bytes(b"")
    caller.deliver("-odi", BOB)


def test_who_was_served_is_told_when_the_rest_cannot_be_queued(caller: Keeper) -> None:
    caller.queue.parent.write_bytes(b"")
    caller.server.answers[f"RCPT TO:<{BOB}"] = "450 4.2.0 busy"
    done = caller.run("-odi", BOB, CAROL)
    text = done.stderr.decode()
    assert (done.returncode, done.stdout) == (75, b"") and "internal error" not in text
    assert "accepted for carol@example.net" in text and BOB in text and str(caller.queue.parent) in text
    assert any("to=<carol@example.net>" in line and "status=sent" in line for line in caller.log)


def test_why_nothing_was_sent_is_told_beside_why_nothing_was_queued(caller: Keeper, dead: dict[str, str]) -> None:
    caller.queue.parent.write_bytes(b"")
    done = caller.run("-odi", BOB, words=dead)
    assert done.returncode == 75
    assert b"Connection refused" in done.stderr and str(caller.queue.parent).encode() in done.stderr


@pytest.fixture
def small(caller: Keeper) -> Iterator[pathlib.Path]:
    """Mount a small file system where the queue lies."""
    folder = caller.queue.parent
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m,mode=0700", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def _fill(caller: Keeper) -> list[int]:
    """Hand messages over until the disk is full; return the numbers of those that were taken."""
    taken: list[int] = []
    for number in range(1, 60):
        done = caller.run("-odq", BOB, message=numbered(number, b"0123456789abcde\n" * 20_000))
        if done.returncode:
            break
        taken.append(number)
    assert (done.returncode, done.stderr.count(b"\n")) == (75, 1) and b"disk" in done.stderr
    assert sorted(numbers(list(caller.texts().values()))) == taken and len(taken) > 2
    assert f"in {len(taken)} Requests." in caller.mailq()
    return taken


def _drain(caller: Keeper, taken: list[int]) -> None:
    """See that all leaves, and that the room is used again."""
    caller.flush()
    assert sorted(numbers([one.data for one in caller.server.deliveries])) == taken
    assert caller.waiting() == []
    caller.submit("-odq", BOB, message=numbered(50, b"0123456789abcde\n" * 20_000))


@LIMITED
def test_a_full_disk_is_told_and_what_is_there_leaves_and_makes_room(caller: Keeper, small: pathlib.Path) -> None:
    caller.submit("-odq", BOB, message=numbered(0))
    caller.flush()
    assert "disk" in caller.refuse(75, "-odq", BOB, message=numbered(2, b"0123456789abcde\n" * 400_000))
    _drain(caller, [0, *_fill(caller)])


@LIMITED
def test_a_disk_that_was_filled_before_the_first_run_makes_room(caller: Keeper, small: pathlib.Path) -> None:
    _drain(caller, _fill(caller))


@LIMITED
def test_a_full_disk_is_served_again_when_it_has_grown(caller: Keeper, small: pathlib.Path) -> None:
    caller.submit("-odq", BOB, message=numbered(1))
    large = numbered(2, b"0123456789abcde\n" * 400_000)
    caller.refuse(75, "-odq", BOB, message=large)
    subprocess.run(["mount", "-o", "remount,size=40m", small], check=True)
    caller.submit("-odq", BOB, message=large)
    _is_well(caller, 1, 2)


@LIMITED
def test_a_disk_without_a_free_inode_is_told(caller: Keeper, small: pathlib.Path) -> None:
    subprocess.run(["mount", "-o", "remount,nr_inodes=2", small], check=True)
    (small / "other").write_bytes(b"")
    caller.refuse(75, "-odq", BOB)
    (small / "other").unlink()
    subprocess.run(["mount", "-o", "remount,nr_inodes=20", small], check=True)
    _is_well(caller)


@LIMITED
def test_a_read_only_queue_is_told(caller: Keeper, small: pathlib.Path) -> None:
    caller.submit("-odq", BOB, message=numbered(1))
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    assert "writ" in caller.refuse(75, "-odq", CAROL)
    caller.refuse(75, "-q")
    caller.deliver("-odi", CAROL, message=numbered(2))
    subprocess.run(["mount", "-o", "remount,rw", small], check=True)
    _is_well(caller, 1, 2)


@LIMITED
def test_root_may_not_be_led_into_a_queue_of_mixed_owners(caller: Keeper) -> None:
    caller.submit("-odq", BOB, message=numbered(1))
    os.chown(caller.queue, 65534, 65534)
    os.chown(caller.queue.parent, 12345, 12345)
    assert "another user" in caller.refuse(75, "-odq", CAROL)
    os.chown(caller.queue.parent, 0, 0)
    os.chown(caller.queue, 0, 0)
    _is_well(caller, 1)


def test_a_message_is_read_to_its_end_before_the_queue_is_looked_at(caller: Keeper) -> None:
    """A caller who is cut off while he writes would see a broken pipe in place of our words."""
    caller.queue.parent.write_bytes(b"")
    caller.refuse(75, "-odq", BOB, message=MESSAGE + b"0123456789abcde\n" * 100_000)
