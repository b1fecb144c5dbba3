"""Folders: their modes, who makes them at once, and who has to wait for whom."""

import os
import pathlib
import stat
import threading
import time
from collections.abc import Iterator

import pytest

from pysendmail import folders


@pytest.fixture
def umask() -> Iterator[None]:
    """Take almost all rights away from what is made."""
    before = os.umask(0o277)
    yield
    os.umask(before)


@pytest.fixture
def locked(tmp_path: pathlib.Path) -> Iterator[list[int]]:
    """Give two descriptors of one folder, each opened by itself."""
    found = [os.open(tmp_path, os.O_RDONLY) for _ in range(2)]
    yield found
    for fd in found:
        os.close(fd)


def modes(path: pathlib.Path, top: pathlib.Path) -> list[int]:
    """Give the modes of a folder and those above it, but for the top."""
    found = []
    while path != top:
        found.append(stat.S_IMODE(path.stat().st_mode))
        path = path.parent
    return found


def test_folders_get_their_modes_whatever_the_umask(tmp_path: pathlib.Path, umask: None) -> None:
    path = tmp_path / "a" / "b" / "c"
    folders.make(str(path), 0o700, 0o755)
    assert modes(path, tmp_path) == [0o700, 0o755, 0o755]


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a"
    path.mkdir(mode=0o711)
    folders.make(str(path), 0o700, 0o755)
    folders.make(str(path / "b"), 0o700, 0o755)
    assert modes(path / "b", tmp_path) == [0o700, 0o711]


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError):
        folders.make(str(tmp_path / "link" / "a"), 0o700, 0o755)
    assert os.listdir(tmp_path) == ["link"]


def test_one_that_somebody_else_has_just_made_will_do(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.mkdir

    def mkdir(path: str, mode: int) -> None:
        real(path, 0o711)
        real(path, mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    folders.make(str(tmp_path / "a"), 0o700, 0o755)
    assert modes(tmp_path / "a", tmp_path) == [0o711]


def test_a_lock_is_waited_for_and_no_longer_than_was_said(locked: list[int]) -> None:
    assert folders.lock(locked[0], 0)
    begun = time.monotonic()
    assert not folders.lock(locked[1], 0.2)
    assert time.monotonic() - begun >= 0.2
    threading.Timer(0.2, os.close, (os.dup(locked[0]),)).start()
    os.close(locked[0])
    locked[0] = os.dup(locked[1])
    assert folders.lock(locked[1], 60)
