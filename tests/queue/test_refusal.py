"""What is no place for a queue is refused, in one line and without being touched."""

import os
import pathlib
import subprocess

import pytest

from pysendmail import errors
from pysendmail.queue import schema
from pysendmail.queue.engine import sqlite
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.store import Damaged
from tests.queue.place import NOBODY, as_user, need_root, snapshot
from tests.queue.stores import contents, entry


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
    before = snapshot(foreign)
    assert "folder belongs to uid 12345" in as_user(NOBODY, lambda: SqliteStore(foreign))
    assert "folder belongs to another user" in refusal(foreign)
    assert snapshot(foreign) == before
    os.chown(os.path.dirname(foreign), NOBODY, NOBODY)
    os.chown(foreign, 12345, 12345)
    assert "the queue belongs to uid 12345" in as_user(NOBODY, lambda: SqliteStore(foreign))
    assert [each[2:] for each in snapshot(foreign).values()] == [each[2:] for each in before.values()]


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
    told = as_user(NOBODY, lambda: SqliteStore(foreign))
    assert told.startswith(f"TempFail: {foreign}: the queue cannot be written (read-only file, folder") and "\n" not in told
    os.unlink(foreign)
    told = as_user(NOBODY, lambda: SqliteStore(foreign))
    assert told.startswith(f"TempFail: {foreign}: ") and "Permission denied" in told and "\n" not in told


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
