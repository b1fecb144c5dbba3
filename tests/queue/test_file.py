"""How the file of a queue and its folder are made, and where."""

import errno
import gc
import os
import pathlib
import shutil

import pytest

from pysendmail import errors
from pysendmail.queue import database, location, schema
from pysendmail.queue.sqlite import SqliteStore
from tests.queue.place import NOBODY, as_user
from tests.queue.stores import claim, entry, make, text


def test_folder_and_file_are_made_for_their_owner_alone_whatever_the_umask(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a" / "b" / "queue.db"
    for umask in (0o777, 0):
        old = os.umask(umask)
        try:
            store = SqliteStore(str(path))
            store.add(entry())
            owner = store.enroll()
        finally:
            os.umask(old)
        assert [oct(each.stat().st_mode & 0o7777) for each in (path.parent.parent, path.parent)] == ["0o700"] * 2
        modes = {each.name.replace(owner, "X"): oct(each.stat().st_mode & 0o7777) for each in path.parent.iterdir()}
        names = ["queue.db", "queue.db-owner-X", "queue.db-reserve", "queue.db-shm", "queue.db-wal"]
        assert modes == dict.fromkeys(names, "0o600")
        store.close()
        shutil.rmtree(tmp_path / "a")


def test_a_queue_that_is_only_looked_at_is_not_made(path: str) -> None:
    with pytest.raises(location.Missing):
        SqliteStore(path, create=False)
    assert not os.path.exists(os.path.dirname(path))
    SqliteStore(path).close()
    SqliteStore(path, create=False).close()


def test_a_new_file_is_whole_before_it_has_its_name(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    rename = os.rename

    def watch(old: str, new: str) -> None:
        seen.append(schema.Header(pathlib.Path(old).read_bytes()[:100]))
        assert not os.path.exists(new)
        rename(old, new)

    monkeypatch.setattr(os, "rename", watch)
    SqliteStore(path).close()
    assert [(header.is_queue, header.wal, header.version) for header in seen] == [(True, True, schema.VERSION)]


def test_what_a_dead_maker_left_is_replaced(path: str) -> None:
    os.mkdir(os.path.dirname(path), 0o700)
    pathlib.Path(path + "-new").write_bytes(b"half")
    SqliteStore(path).close()
    assert os.listdir(os.path.dirname(path)) == ["queue.db"]


def test_a_file_that_cannot_be_made_leaves_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(errors.TempFail) as caught:
        SqliteStore(path)
    assert caught.value.status == "4.3.1"
    monkeypatch.undo()
    assert os.listdir(os.path.dirname(path)) == []
    SqliteStore(path).close()


def test_a_disk_that_fails_when_the_file_is_just_open_leaves_it_closed(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteStore(path).close()
    real = os.stat

    def broken(*arguments: object, **more: object) -> os.stat_result:
        if more.get("follow_symlinks") is False:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments, **more)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(os, "stat", broken)
    with pytest.raises(errors.TempFail, match="the queue cannot be used: Input/output error"):
        database.Database(path)
    gc.collect()  # nothing that is left complains
    assert not any(name == os.path.realpath(path) for name in map(_target, os.listdir("/proc/self/fd")))
    monkeypatch.undo()
    SqliteStore(path).close()


def _target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""  # that of the folder itself


def test_root_makes_the_file_for_the_owner_of_the_folder(foreign: str) -> None:
    store = SqliteStore(foreign)
    store.add(entry(qid="ROOTS"))
    claim(store, store.enroll(), limit=0)
    found = {each.name: (each.stat().st_uid, each.stat().st_gid) for each in pathlib.Path(foreign).parent.iterdir()}
    assert len(found) == 5 and set(found.values()) == {(NOBODY, NOBODY)}
    store.close()

    def claims() -> list[str]:
        store = SqliteStore(foreign)
        return [item.message.qid for item in claim(store, store.enroll())]

    assert as_user(NOBODY, claims) == ["ROOTS"]


MOUNTS = b"""\
21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
22 21 0:30 / /home rw shared:5 - nfs4 server:/home rw
23 22 0:31 / /home/alice/with\\040blank rw - tmpfs none rw
24 21 0:32 /@sub /srv rw - btrfs /dev/vdb rw
25 21 0:33 / /mnt rw - fuse.sshfs host: rw
26 25 0:34 / /mnt rw - fuse.fuse-overlayfs over rw
malformed line
"""


@pytest.mark.parametrize(
    ("folder", "device", "kind"),
    [
        ("/var/spool", (254, 0), "ext4"),
        ("/home/alice", (0, 30), "nfs4"),
        ("/homeless", (254, 0), "ext4"),
        ("/home/alice/with blank", (0, 31), "tmpfs"),
        ("/srv/queue", (0, 77), "btrfs"),
        ("/mnt/queue", (0, 34), "fuse.fuse-overlayfs"),
        ("/mnt/queue", (0, 33), "fuse.sshfs"),
    ],
)
def test_the_file_system_is_known_by_its_mount(tmp_path, folder: str, device: tuple[int, int], kind: str) -> None:
    (tmp_path / "mountinfo").write_bytes(MOUNTS)
    assert location.file_system(folder, os.makedev(*device), str(tmp_path / "mountinfo")) == kind


def test_without_a_table_of_mounts_nothing_is_known() -> None:
    assert location.file_system("/", 0, "/nonexistent/mountinfo") == ""


@pytest.mark.parametrize(
    ("kind", "local"),
    [("nfs4", False), ("cifs", False), ("fuse.sshfs", False), ("tmpfs", True), ("fuse.fuse-overlayfs", True), ("", True)],
)
def test_a_network_file_system_is_refused_before_anything_is_made(
    path: str, monkeypatch: pytest.MonkeyPatch, kind: str, local: bool
) -> None:
    monkeypatch.setattr(location, "file_system", lambda folder, device: kind)
    monkeypatch.setattr(os, "major", lambda device: 0)
    if local:
        SqliteStore(path).close()
        return
    with pytest.raises(errors.ConfigError, match=f"not on {kind}"):
        SqliteStore(path)
    assert not os.path.exists(path)


def test_the_name_of_a_queue_may_hold_any_octet(tmp_path: pathlib.Path) -> None:
    name = b"a b%41?mode=ro#\xff'\"".decode("utf-8", "surrogateescape")
    folder = tmp_path / name
    store = make("sqlite", folder)
    store.add(entry())
    (item,) = claim(store, store.enroll())
    assert text(store, item).endswith(b"hello\r\n")
    store.close()
    assert sorted(os.listdir(folder)) == ["queue.db", "queue.db-reserve"]
