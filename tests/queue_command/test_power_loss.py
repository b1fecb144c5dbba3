"""The power fails right after the command has said that the message is taken: it is on the disk."""

import pathlib
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import Installed, skip
from tests.obedient import Obedient
from tests.queue_command.keeper import Keeper, numbered, numbers

pytestmark = [pytest.mark.usefixtures("superuser"), pytest.mark.once]


@pytest.fixture
def disk(caller: Keeper) -> Iterator[pathlib.Path]:
    """Mount an image of a disk where the queue lies; what is not synced comes to it after ten minutes only."""
    if shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin") is None:
        skip("there is no mkfs.ext4")
    image = caller.home / "disk"
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    folder = caller.home / "disk-here"
    _mount(image, folder, "loop,commit=600")
    caller.queue = folder / "spool" / "queue.db"
    caller.words["queue"] = str(caller.queue)
    yield image
    subprocess.run(["umount", "-l", folder], check=True)


def _mount(image: pathlib.Path, folder: pathlib.Path, options: str) -> None:
    folder.mkdir()
    if subprocess.run(["mount", "-o", options, image, folder], check=False).returncode:
        skip("a disk's image cannot be mounted here")
    folder.chmod(0o700)


def _after_power_loss(caller: Keeper, installed: Installed, image: pathlib.Path, name: str) -> Keeper:
    """Copy the image as it is, without a sync, and give somebody who has the copy."""
    copy, folder = caller.home / f"{name}.image", caller.home / f"{name}-here"
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    _mount(copy, folder, "loop")
    later = Keeper(installed.sendmail, caller.home / name, caller.server)
    later.queue = folder / "spool" / "queue.db"
    later.words["queue"] = str(later.queue)
    return later


def test_what_was_taken_is_there_after_a_power_loss(
    caller: Keeper, installed: Installed, server: Obedient, disk: pathlib.Path
) -> None:
    (caller.queue.parent.parent / "unsynced").write_bytes(b"not synced" * 1000)
    caller.submit("-odq", "bob@example.net", message=numbered(1))
    first = _after_power_loss(caller, installed, disk, "first")
    caller.submit("-odq", "bob@example.net", message=numbered(2, b"0123456789abcde\n" * 100_000))
    second = _after_power_loss(caller, installed, disk, "second")
    caller.flush()
    delivered = len(server.deliveries)
    third = _after_power_loss(caller, installed, disk, "third")
    try:
        loose = first.queue.parent.parent / "unsynced"
        assert not loose.exists() or loose.stat().st_size == 0  # or this test would show nothing
        assert numbers(list(first.texts().values())) == [1] and first.problems() == []
        assert numbers(list(second.texts().values())) == [1, 2] and second.problems() == []
        assert (delivered, third.waiting()) == (2, [])
        second.flush()
        assert sorted(numbers([one.data for one in server.deliveries[2:]])) == [1, 2] and second.waiting() == []
    finally:
        for keeper in (first, second, third):
            subprocess.run(["umount", "-l", keeper.queue.parent.parent], check=True)
