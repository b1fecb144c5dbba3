"""Many processes use one queue at the same time, and some of them die."""

import os
import pathlib
import random
import signal
import time

import pytest

from pysendmail import errors
from pysendmail.queue import database, leases
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.store import LeaseLost
from tests.queue.place import as_user, result, start
from tests.queue.stores import NOW, Clock, claim, contents, entry, results


def add_some(path: str, name: str, number: int) -> list[str]:
    """Add messages, each from a store of its own, as commands do; every other one is closed."""
    ids = []
    for each in range(number):
        store = SqliteStore(path)
        ids.append(store.add(entry(qid=f"{name}{each}")))
        if each % 2:
            store.close()
    return ids


def deliver_some(path: str, number: int) -> list[str]:
    """Claim and finish until that many are sent, or nobody was there for ten seconds."""
    store = SqliteStore(path)
    owner, sent, end = store.enroll(), [], time.monotonic() + 10  # type: ignore[var-annotated]
    while len(sent) < number and time.monotonic() < end:
        for item in claim(store, owner, limit=3):
            assert len(store.finish(owner, results([item]))) == 1
            sent.append(item.message.qid)
            end = time.monotonic() + 10
    store.close()
    return sent


def read_on(path: str, number: int) -> int:
    """List and count, over and over."""
    for _ in range(number):
        store = SqliteStore(path)
        for item in store.listing():
            assert item.recipients and item.message.qid
        store.counts()
        store.close()
    return number


def test_many_processes_add_deliver_and_list_at_once_without_an_error(path: str) -> None:
    adding = [start(lambda name=name: add_some(path, name, 12)) for name in "ABCDEF"]  # type: ignore[misc]
    running = [start(lambda: deliver_some(path, 36)) for _ in range(2)]
    reading = start(lambda: read_on(path, 10))
    added = [qid for process in adding for qid in result(process)]
    sent = [qid for process in running for qid in result(process)]
    assert result(reading) == 10
    assert sorted(sent) == sorted(added) and len(set(added)) == 72
    store = SqliteStore(path)
    assert store.counts().messages == 0 and list(store.check()) == []
    store.close()


def test_many_processes_make_the_queue_at_once(path: str) -> None:
    processes = [start(lambda name=name: add_some(path, name, 1)) for name in "ABCDEFGH"]  # type: ignore[misc]
    for process in processes:
        assert len(result(process)) == 1
    store = SqliteStore(path)
    assert sorted(contents(store)) == [f"{name}0" for name in "ABCDEFGH"]
    store.close()


def journal(path: str, name: str) -> None:
    """Add and deliver for ever, and write down what was certain, in a file of one's own."""
    store = SqliteStore(path)
    owner = store.enroll()
    with open(f"{path}.{name}", "a", buffering=1) as file:
        for number in range(1_000_000):
            qid = store.add(entry(qid=f"{name}{number}"))
            file.write(f"added {qid}\n")
            for item in claim(store, owner, limit=1):
                file.write(f"sent {item.message.qid}\n")
                store.finish(owner, results([item]))
                file.write(f"marked {item.message.qid}\n")


def wait_for(file: str) -> None:
    """Wait until something stands in a file."""
    end = time.monotonic() + 60
    while not (os.path.exists(file) and os.path.getsize(file)):
        assert time.monotonic() < end
        time.sleep(0.005)


def test_processes_killed_at_random_lose_nothing_and_send_twice_only_what_was_not_marked(path: str) -> None:
    SqliteStore(path).close()
    chance = random.Random(7)
    names = [f"{letter}{turn}X" for turn in range(6) for letter in "AB"]
    for first, second in zip(names[::2], names[1::2], strict=True):
        processes = [start(lambda name=name: journal(path, name)) for name in (first, second)]  # type: ignore[misc]
        for name in (first, second):
            wait_for(f"{path}.{name}")
        time.sleep(chance.uniform(0.0, 0.1))
        for process in processes:
            os.kill(process[0], signal.SIGKILL)
            assert result(process) is None
    told = [line.split() for name in names for line in pathlib.Path(f"{path}.{name}").read_text().splitlines()]
    added = {qid for word, qid in told if word == "added"}
    sent = [qid for word, qid in told if word == "sent"]
    marked = {qid for word, qid in told if word == "marked"}
    store = SqliteStore(path)
    left = set(contents(store))
    owner = store.enroll()
    assert {item.message.qid for item in claim(store, owner, limit=10_000)} == left
    assert added - left <= set(sent) and marked.isdisjoint(left)
    # A process may die between what it did and the line that says so, once.
    assert len(sent) - len(set(sent)) + len(left & set(sent)) <= len(names) and len(left - added) <= len(names)
    assert [problem.text for problem in store.check()] == []
    store.close()


def hold_a_lease(path: str, ready: int) -> None:
    store = SqliteStore(path)
    claim(store, store.enroll(), lease=1e6)
    os.write(ready, b"x")
    time.sleep(60)


@pytest.fixture
def dying(used: str):
    """Give the path of a queue, and a process that has claimed what is in it."""
    reading, writing = os.pipe()
    process = start(lambda: hold_a_lease(used, writing))
    os.read(reading, 1)
    yield used, process
    os.close(reading)
    os.close(writing)


def test_the_lease_of_a_process_that_died_is_taken_over_at_once(dying) -> None:
    path, process = dying
    store = SqliteStore(path)
    owner = store.enroll()
    assert claim(store, owner) == []
    os.kill(process[0], signal.SIGSTOP)
    assert claim(store, owner, due_only=False) == []
    os.kill(process[0], signal.SIGKILL)
    result(process)
    assert len(claim(store, owner)) == 1
    names = os.listdir(os.path.dirname(path))
    assert [name for name in names if "-owner-" in name] == [f"queue.db-owner-{owner}"]
    store.close()


def test_a_process_that_hangs_loses_its_lease_when_it_runs_out_and_learns_of_it(used: str) -> None:
    clock = Clock()
    hanging, other = SqliteStore(used, steady=clock), SqliteStore(used, steady=clock)
    slow, quick = hanging.enroll(), other.enroll()
    items = claim(hanging, slow, lease=60)
    clock.now += 60
    assert len(claim(other, quick)) == 1
    assert hanging.finish(slow, results(items)) == []
    with pytest.raises(LeaseLost):
        claim(hanging, slow)
    hanging.close()
    other.close()


def test_a_lock_without_an_owner_does_no_harm_and_is_cleared_away_in_time(used: str) -> None:
    fresh, old = f"{used}-owner-1-fresh", f"{used}-owner-2-old"
    for file in (fresh, old):
        pathlib.Path(file).touch()
    os.utime(old, (1, 1))
    store = SqliteStore(used)
    assert len([problem for problem in store.check() if "left over" in problem.text]) == 2
    assert len(claim(store, store.enroll())) == 1
    store.tidy(NOW)
    assert (os.path.exists(fresh), os.path.exists(old)) == (True, False)
    store.close()


def test_the_lock_of_a_living_owner_is_never_cleared_away(used: str) -> None:
    store = SqliteStore(used)
    owner = store.enroll()
    os.utime(leases.file(used, owner), (1, 1))
    store._database.write(lambda db: db.execute("DELETE FROM owner"))
    store.tidy(NOW)
    assert os.path.exists(leases.file(used, owner)) and leases.alive(used, owner)
    store.close()


def test_an_owner_whose_new_lock_is_taken_for_a_dead_one_takes_another(used: str, monkeypatch) -> None:
    flock, spoiled = leases.fcntl.flock, []  # type: ignore[attr-defined, var-annotated]

    def spoil(fd: int, how: int) -> None:
        if not spoiled:
            name = os.readlink(f"/proc/self/fd/{fd}")
            spoiled.append(name)
            os.unlink(name)
        flock(fd, how)

    monkeypatch.setattr(leases.fcntl, "flock", spoil)  # type: ignore[attr-defined]
    store = SqliteStore(used)
    owner = store.enroll()
    assert leases.alive(used, owner) and leases.file(used, owner) not in spoiled
    store.close()


def test_what_was_opened_before_a_fork_is_refused_after_it(used: str) -> None:
    store = SqliteStore(used)
    assert "before a fork" in as_user(-1, lambda: store.add(entry()))
    assert "when this process was forked" in as_user(-1, lambda: SqliteStore(used))
    store.add(entry(qid="PARENT"))
    store.close()
    assert as_user(-1, lambda: SqliteStore(used).add(entry(qid="CHILD"))) == "CHILD"


def lock(path: str, ready: int, seconds: float) -> None:
    store = SqliteStore(path)

    def work(db) -> None:
        os.write(ready, b"x")
        time.sleep(seconds)

    store._database.write(work)


def test_who_waits_too_long_for_a_lock_is_told_so(used: str) -> None:
    reading, writing = os.pipe()
    process = start(lambda: lock(used, writing, 60))
    os.read(reading, 1)
    store = SqliteStore(used, patience=0.05)
    with pytest.raises(errors.TempFail, match="locked"):
        store.add(entry())
    assert list(contents(store)) == ["KEPT"]
    os.kill(process[0], signal.SIGKILL)
    result(process)
    store.add(entry())
    store.close()


def test_who_waits_for_a_lock_gets_it(used: str) -> None:
    reading, writing = os.pipe()
    process = start(lambda: lock(used, writing, 0.3))
    os.read(reading, 1)
    store = SqliteStore(used)
    store.add(entry(qid="LATER"))
    assert result(process) is None and list(contents(store)) == ["KEPT", "LATER"]
    store.close()


def test_several_threads_use_one_store(used: str) -> None:
    import threading

    store = SqliteStore(used)
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            owner = store.enroll()
            for number in range(20):
                store.add(entry(qid=f"{name}{number}", created=NOW - 5))
                for item in claim(store, owner, limit=2):
                    assert b"".join(store.open(item.message).body.chunks()) == b"hello\r\n"
                    assert store.finish(owner, results([item]))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[name]) for name in "ABCD"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(contents(store)) <= 1
    store.close()


def test_a_store_that_is_forgotten_closes_its_file(used: str) -> None:
    SqliteStore(used).counts()
    assert database._open == {}
    store = SqliteStore(used)
    assert len(database._open) == 1
    store.close()
    store.close()
    assert database._open == {}
    with pytest.raises(errors.SoftwareError, match="closed"):
        store.counts()
