"""The file of a queue and its folder: how they are made, and what is refused, in one line and without being touched."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from pysendmail import errors
from pysendmail.queue import location, schema
from pysendmail.queue.engine import sqlite
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.store import Damaged
from tests.conftest import ROOT, skip
from tests.queue.stores import claim, contents, entry, make, text

NOBODY = 65534


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "spool" / "queue.db")


@pytest.fixture
def used(path: str) -> str:
    """Give the path of a queue that holds a message, and is closed."""
    store = SqliteStore(path)
    store.add(entry(qid="KEPT"))
    store.close()
    return path


def snapshot(path: str) -> dict[str, object]:
    """Give all that can be seen in the queue's folder."""
    found: dict[str, object] = {}
    for each in sorted(pathlib.Path(path).parent.iterdir()):
        status = each.lstat()
        found[each.name] = (status.st_mode, status.st_uid, status.st_ino, status.st_mtime_ns, None if each.is_dir() else each.read_bytes())
    return found


def refusal(path: str, kind: type[errors.Failure] = errors.TempFail) -> str:
    """Open a queue that must be refused, and that nothing may be changed of; give the one line that says why."""
    before = snapshot(path)
    with pytest.raises(errors.Failure) as caught:
        SqliteStore(path)
    assert type(caught.value) in (kind, Damaged) and caught.value.temporary
    assert snapshot(path) == before
    told = str(caught.value)
    assert "\n" not in told and os.path.dirname(path) in told
    return told


def in_child(uid: int, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code as another user, or as the same one with uid -1."""
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); " + program, *arguments]
    identity = {} if uid < 0 else {"user": uid, "group": uid, "extra_groups": []}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/", **identity)  # type: ignore[call-overload, no-any-return]


def need_root() -> None:
    if os.geteuid():
        skip("this test needs root")


@pytest.fixture
def foreign(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the path of a queue that belongs to nobody, in a folder that he can reach."""
    need_root()
    folder = pathlib.Path(f"/var/tmp/pysendmail-test-{os.getpid()}")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "spool").mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "spool").chmod(0o700)
    os.chown(folder / "spool", NOBODY, NOBODY)
    try:
        yield str(folder / "spool" / "queue.db")
    finally:
        shutil.rmtree(folder)


# Making


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


def test_root_makes_the_file_for_the_owner_of_the_folder(foreign: str) -> None:
    store = SqliteStore(foreign)
    store.add(entry(qid="ROOTS"))
    claim(store, store.enroll(), limit=0)
    found = {each.name: (each.stat().st_uid, each.stat().st_gid) for each in pathlib.Path(foreign).parent.iterdir()}
    assert len(found) == 5 and set(found.values()) == {(NOBODY, NOBODY)}
    told = in_child(
        NOBODY,
        "from pysendmail.queue.sqlite import SqliteStore; s = SqliteStore(sys.argv[1]); o = s.enroll();"
        "print([i.message.qid for i in s.claim(o, 2e9, 60, 9)])",
        foreign,
    )
    assert (told.stdout, told.stderr) == ("['ROOTS']\n", "")
    store.close()


# Refusing


def test_a_path_that_is_not_absolute_is_refused() -> None:
    with pytest.raises(errors.ConfigError, match="slash"):
        SqliteStore("queue.db")


def test_an_empty_file_is_no_queue_and_stays_as_it_is(used: str) -> None:
    os.truncate(used, 0)
    assert "damaged" in refusal(used)


def test_a_file_that_is_no_database_stays_as_it_is(used: str) -> None:
    pathlib.Path(used).write_bytes(b"not a database\n" * 1000)
    assert "damaged" in refusal(used)


def test_the_database_of_another_program_stays_as_it_is(used: str) -> None:
    os.unlink(used)
    other = sqlite.connect(used)
    other.executescript("CREATE TABLE message (x)")
    other.close()
    os.chmod(used, 0o600)
    assert "another program" in refusal(used, errors.ConfigError)


def test_a_newer_queue_stays_as_it_is_octet_for_octet(used: str) -> None:
    newer = sqlite.connect(used, isolation_level=None)
    newer.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    newer.close()
    assert f"has version {schema.VERSION + 1}" in refusal(used, errors.ConfigError)


def test_a_symbolic_link_is_refused(used: str) -> None:
    os.rename(used, used + ".real")
    os.symlink(used + ".real", used)
    assert "symbolic link" in refusal(used, errors.ConfigError)
    os.unlink(used)
    os.symlink(used + ".nowhere", used)
    assert "symbolic link" in refusal(used, errors.ConfigError)
    assert not os.path.exists(used + ".nowhere")


def test_a_second_name_is_refused(used: str) -> None:
    os.link(used, used + ".second")
    assert "hard link" in refusal(used)


@pytest.mark.parametrize("what", ["folder", "pipe", "socket"])
def test_what_is_no_file_is_refused(used: str, what: str) -> None:
    os.unlink(used)
    if what == "folder":
        os.mkdir(used)
    elif what == "pipe":
        os.mkfifo(used, 0o600)
    else:
        os.mknod(used, 0o140600)
    assert "no regular file" in refusal(used)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "spool").write_bytes(b"")
    with pytest.raises(errors.TempFail):
        SqliteStore(str(tmp_path / "spool" / "queue.db"))
    assert (tmp_path / "spool").read_bytes() == b""


@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_a_file_that_others_may_write_to_is_refused(used: str, mode: int) -> None:
    os.chmod(used, mode)
    assert f"{mode:04o}" in refusal(used)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_folder_that_others_may_write_to_is_refused(used: str, mode: int) -> None:
    os.chmod(os.path.dirname(used), mode)
    assert f"{mode:04o}" in refusal(used)


def test_the_queue_of_another_user_is_refused(foreign: str) -> None:
    SqliteStore(foreign).close()
    os.chown(os.path.dirname(foreign), 12345, 12345)
    os.chmod(os.path.dirname(foreign), 0o755)
    program = "from pysendmail.queue.sqlite import SqliteStore\ntry: SqliteStore(sys.argv[1])\nexcept Exception as e: print(e)"
    before = snapshot(foreign)
    assert "uid 12345" in in_child(NOBODY, program, foreign).stdout
    assert "another user" in in_child(-1, program, foreign).stdout
    os.chown(os.path.dirname(foreign), NOBODY, NOBODY)
    os.chown(foreign, 12345, 12345)
    assert "belongs to uid 12345" in in_child(NOBODY, program, foreign).stdout
    os.chown(foreign, NOBODY, NOBODY)
    assert {name: each[2:] for name, each in snapshot(foreign).items()} == {  # type: ignore[index]
        name: each[2:] for name, each in before.items()  # type: ignore[index]
    }


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("how", ["symbolic", "hard", "owner"])
def test_root_gives_no_file_away_that_lies_beside_somebody_elses_queue(foreign: str, suffix: str, how: str) -> None:
    SqliteStore(foreign).close()
    secret = pathlib.Path(foreign).parent.parent / "secret"
    secret.write_bytes(b"secret")
    if how == "symbolic":
        os.symlink(secret, foreign + suffix)
    elif how == "hard":
        os.link(secret, foreign + suffix)
    else:
        pathlib.Path(foreign + suffix).write_bytes(b"")
    assert "root does not touch it" in refusal(foreign)
    assert (secret.stat().st_uid, secret.read_bytes()) == (0, b"secret")


def test_a_log_that_is_a_symbolic_link_is_not_followed(used: str, tmp_path: pathlib.Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    os.symlink(victim, used + "-wal")
    with pytest.raises(errors.TempFail):
        SqliteStore(used).add(entry())
    assert victim.read_bytes() == b"precious"


def test_a_queue_that_is_gone_while_its_log_is_there_is_not_made_anew(used: str) -> None:
    os.unlink(used)
    pathlib.Path(used + "-wal").write_bytes(b"x" * 5000)
    assert "the queue is gone" in refusal(used)


def test_a_folder_that_cannot_be_written_to_is_told_in_one_line(foreign: str) -> None:
    SqliteStore(foreign).close()
    os.chmod(os.path.dirname(foreign), 0o500)
    program = (
        "from pysendmail.queue.sqlite import SqliteStore\nfrom pysendmail import errors\n"
        "try: SqliteStore(sys.argv[1])\nexcept errors.TempFail as e: print(e.exit_code, e)"
    )
    told = in_child(NOBODY, program, foreign).stdout
    assert told.startswith("75 ") and foreign in told and told.count("\n") == 1
    os.unlink(foreign)
    told = in_child(NOBODY, program, foreign).stdout
    assert told.startswith("75 ") and "Permission denied" in told and told.count("\n") == 1


def test_a_file_system_that_cannot_be_written_to_is_told_in_one_line(used: str) -> None:
    need_root()
    folder = os.path.dirname(used)
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        with pytest.raises(errors.TempFail) as caught:
            SqliteStore(used).add(entry())
        assert "\n" not in str(caught.value)
        subprocess.run(["mount", "-o", "remount,rw,bind", folder], check=True)
        store = SqliteStore(used)
        store.add(entry(qid="AGAIN"))
        assert list(contents(store)) == ["KEPT", "AGAIN"]
        store.close()
    finally:
        subprocess.run(["umount", folder], check=True)


# Where

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


@pytest.mark.parametrize(("kind", "local"), [("nfs4", False), ("cifs", False), ("fuse.sshfs", False), ("tmpfs", True), ("fuse.fuse-overlayfs", True), ("", True)])
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
    assert os.listdir(folder) == ["queue.db", "queue.db-reserve"] or set(os.listdir(folder)) == {"queue.db", "queue.db-reserve"}


# Older files


def older(path: str, version: int) -> None:
    """Make the file one of an older release: other columns, another version."""
    db = sqlite.connect(path, isolation_level=None)
    db.executescript(f"ALTER TABLE lane DROP COLUMN dsn; PRAGMA user_version = {version}; PRAGMA wal_checkpoint(TRUNCATE);")
    db.close()


def add_dsn(db) -> None:
    db.execute("ALTER TABLE lane ADD COLUMN dsn TEXT NOT NULL DEFAULT ''")


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a release whose files have version 2, with a column more than those of version 1."""
    monkeypatch.setattr(schema, "VERSION", 2)
    monkeypatch.setattr(schema, "MIGRATIONS", (add_dsn,))


def test_a_queue_of_an_older_release_is_taken_over(used: str, next_release: None) -> None:
    older(used, 1)
    store = SqliteStore(used)
    assert contents(store) == {"KEPT": [(b"bob@example.net", "queued")]}
    store.close_lane("", "", 5.0, dsn="4.4.1")
    assert location_version(used) == 2
    store.close()
    SqliteStore(used).close()


def location_version(path: str) -> int:
    """Read the version from the file itself, as an older release does, in a process of its own."""
    program = "from pysendmail.queue import location; print(location.peek(sys.argv[1]).version)"
    return int(in_child(-1, program, path).stdout)


def test_a_migration_that_fails_leaves_the_file_as_it_was(used: str, next_release: None, monkeypatch) -> None:
    older(used, 1)

    def fail(db) -> None:
        db.execute("DELETE FROM message")
        raise sqlite.OperationalError("no")

    monkeypatch.setattr(schema, "MIGRATIONS", (fail,))
    with pytest.raises(errors.Failure):
        SqliteStore(used)
    assert location_version(used) == 1
    monkeypatch.setattr(schema, "MIGRATIONS", (add_dsn,))
    store = SqliteStore(used)
    assert list(contents(store)) == ["KEPT"]
    store.close()


def test_a_newer_version_that_stands_only_in_the_log_is_refused_too(used: str, monkeypatch) -> None:
    monkeypatch.setattr(schema, "VERSION", 2)
    monkeypatch.setattr(schema, "MIGRATIONS", (lambda db: None,))
    db = sqlite.connect(used, isolation_level=None)
    db.execute("PRAGMA user_version = 3")
    assert location.peek(used).version == 1
    with pytest.raises(errors.ConfigError, match="has version 3"):
        SqliteStore(used)
    db.close()


def test_a_file_without_its_log_mode_gets_it_back(used: str) -> None:
    db = sqlite.connect(used, isolation_level=None)
    db.execute("PRAGMA journal_mode = DELETE").fetchone()
    db.close()
    store = SqliteStore(used)
    store.add(entry())
    assert os.path.exists(used + "-wal")
    store.close()


# Damage


@pytest.mark.parametrize("keep", [100, 4096, 20_000, -4096, -1])
def test_a_truncated_file_is_told_and_not_repaired(used: str, keep: int) -> None:
    size = os.path.getsize(used)
    os.truncate(used, keep if keep > 0 else size + keep)
    data = pathlib.Path(used).read_bytes()
    try:
        store = SqliteStore(used)
    except errors.TempFail as failure:
        assert "damaged" in str(failure)
    else:
        problems = [str(problem) for problem in store.check()]
        store.close()
        assert problems
    assert pathlib.Path(used).read_bytes() == data


def test_a_damaged_file_is_told_at_every_use(used: str) -> None:
    data = bytearray(pathlib.Path(used).read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    pathlib.Path(used).write_bytes(data)
    store = SqliteStore(used)
    for use in (lambda: store.add(entry()), store.enroll, lambda: list(store.listing()), store.counts):
        with pytest.raises(Damaged, match="queue check"):
            use()
    assert any(list(store.check()))
    store.close()
    assert pathlib.Path(used).read_bytes() == data


def flip(path: str, sample: bytes, at: int = 0) -> None:
    """Flip a bit of the file where this text stands."""
    data = bytearray(pathlib.Path(path).read_bytes())
    place = data.index(sample) + at
    data[place] ^= 0x01
    pathlib.Path(path).write_bytes(data)


def test_a_flipped_octet_of_the_text_is_found_and_the_message_never_read_out(used: str) -> None:
    store = SqliteStore(used)
    store.add(entry(qid="GOOD"))
    store.add(entry(qid="LONG", data=b"y" * 2_000_000 + b"NEEDLE" + b"z" * 500_000))
    store.add(entry(qid="BAD", data=b"a needle in a haystack\n"))
    store.close()
    flip(used, b"a needle in")
    flip(used, b"NEEDLE")
    store = SqliteStore(used)
    items = {item.message.qid: item for item in claim(store, store.enroll())}
    assert text(store, items["GOOD"]).endswith(b"hello\r\n")
    with pytest.raises(Damaged, match="checksum"):
        store.open(items["BAD"].message)
    given = b""
    with pytest.raises(Damaged, match="checksum"):
        for chunk in store.open(items["LONG"].message).body.chunks():
            given += chunk
    assert len(given) == 1 << 20
    told = [str(problem) for problem in store.check()]
    assert len(told) == 2 and all("text was changed" in line for line in told)
    assert ["LONG" in told[0], "BAD" in told[1]] == [True, True]
    store.close()


@pytest.mark.parametrize("sample", [b"bob@example.net", b"alice@exmpl.org", b"rfc822;odd", b"workplace"])
def test_a_flipped_octet_of_the_envelope_is_found_and_the_message_held(path: str, sample: bytes) -> None:
    from pysendmail.queue.values import QueuedRecipient

    store = SqliteStore(path)
    odd = QueuedRecipient(b"bob@example.net", b"rfc822;odd")
    store.add(entry(odd, qid="BAD", sender=b"alice@exmpl.org", account="workplace"))
    store.add(entry(b"carol@x", qid="GOOD"))
    store.close()
    flip(path, sample, at=3)
    store = SqliteStore(path)
    owner = store.enroll()
    for due_only in (True, False):
        items = claim(store, owner, limit=2, due_only=due_only)
        assert [item.message.qid for item in items] == (["GOOD"] if due_only else [])
    found = store.get("BAD")
    assert found is not None
    (one,) = found.recipients
    assert (one.state, one.origin) == ("held", "queued") and "damaged" in one.reply
    assert len(list(store.check())) == 1
    store.close()


def test_a_part_that_is_missing_is_found(used: str) -> None:
    store = SqliteStore(used)
    store.add(entry(qid="LONG", data=b"y" * 3_000_000))
    (item,) = [item for item in claim(store, store.enroll()) if item.message.qid == "LONG"]
    store._database.write(lambda db: db.execute("DELETE FROM chunk WHERE id = ?", (item.message.id << 20 | 2,)))
    with pytest.raises(Damaged, match="part 2"):
        list(store.open(item.message).body.chunks())
    assert [str(problem).split(": ", 1)[1] for problem in store.check()] == [
        next(f"message LONG: part 2 of its text is missing; {p.advice}" for p in store.check())
    ]
    store.close()


def test_parts_that_changed_places_are_found(used: str) -> None:
    store = SqliteStore(used)
    for qid in ("ONE", "TWO"):
        store.add(entry(qid=qid, data=qid.encode() + b"\n"))
    one, two = (item.message for item in claim(store, store.enroll()) if item.message.qid != "KEPT")
    for old, new in ((one.id << 20, -1), (two.id << 20, one.id << 20), (-1, two.id << 20)):
        store._database.write(lambda db, a=old, b=new: db.execute("UPDATE chunk SET id = ? WHERE id = ?", (b, a)))
    for message in (one, two):
        with pytest.raises(Damaged):
            store.open(message)
    store.close()
