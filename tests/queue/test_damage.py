"""Damage is told, never mended in silence, and what is damaged is never sent."""

import os
import pathlib
import random
from collections.abc import Callable

import pytest

from pysendmail import errors
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.store import Damaged
from pysendmail.queue.values import QueuedRecipient, Select
from tests.queue.stores import NOW, claim, entry, results, text

pytestmark = pytest.mark.once


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


def change(store: SqliteStore, sql: str, *parameters: int) -> None:
    """Change the database behind the back of the store."""
    store._database.write(lambda db: db.execute(sql, parameters))


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
    assert any(list(store.check()))
    store.close()


def test_a_part_that_is_missing_is_found(used: str) -> None:
    store = SqliteStore(used)
    store.add(entry(qid="LONG", data=b"y" * 3_000_000))
    (item,) = [item for item in claim(store, store.enroll()) if item.message.qid == "LONG"]
    change(store, "DELETE FROM chunk WHERE id = ?", item.message.id << 20 | 2)
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
        change(store, "UPDATE chunk SET id = ? WHERE id = ?", new, old)
    for message in (one, two):
        with pytest.raises(Damaged):
            store.open(message)
    store.close()


def _damage(path: str, chance: random.Random) -> None:
    """Change some octets of the file, in its first pages rather than elsewhere: these hold all but the texts."""
    data = bytearray(pathlib.Path(path).read_bytes())
    for _ in range(chance.choice([1, 1, 1, 5, 50])):
        at = chance.randrange(100, min(len(data), 90_000) if chance.random() < 0.7 else len(data))
        how = chance.choice(["flip", "nought", "ones", "other"])
        if how == "flip":
            data[at] ^= 1 << chance.randrange(8)
        else:
            data[at : at + 4] = {"nought": bytes(4), "ones": b"\xff" * 4, "other": chance.randbytes(4)}[how]
    pathlib.Path(path).write_bytes(data)


def _work(store: SqliteStore) -> None:
    """Run through all messages."""
    owner = store.enroll()
    items = claim(store, owner, limit=100, due_only=False)
    for item in items:
        try:
            assert text(store, item)
        except errors.TempFail:
            pass  # held or put off
    store.finish(owner, results(items))
    claim(store, owner, limit=100)
    store.release(owner)


USES: list[Callable[[SqliteStore], object]] = [
    lambda store: list(store.check()),
    lambda store: list(store.listing()),
    SqliteStore.counts,
    SqliteStore.lanes,
    lambda store: store.next_due(NOW),
    lambda store: store.add(entry()),
    _work,
    lambda store: store.retry(Select(), NOW),
    lambda store: store.hold(Select()),
    lambda store: store.expire(NOW, 1.0),
    lambda store: store.remove(Select(), NOW),
]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_in_the_file_every_use_ends_well_or_with_a_line(path: str, seed: int) -> None:
    store = SqliteStore(path)
    store.add_many([entry(b"a@x", b"b@x", data=b"line\n" * (9000 if number % 3 else 5)) for number in range(12)])
    store.close()
    good = pathlib.Path(path).read_bytes()
    chance = random.Random(seed)  # noqa: S311
    for _ in range(15):
        for companion in ("-wal", "-shm"):
            pathlib.Path(path + companion).unlink(missing_ok=True)
        pathlib.Path(path).write_bytes(good)
        _damage(path, chance)
        try:
            store = SqliteStore(path, patience=1.0)
        except (errors.TempFail, errors.ConfigError):
            continue
        for use in USES:
            try:
                use(store)
            except errors.TempFail as failure:
                assert "\n" not in str(failure)
        store.close()


def test_what_was_delivered_is_noted_although_nothing_can_be_deleted(used: str) -> None:
    """Its list of free pages leads nowhere; without a note the message would be delivered in every round."""
    store = SqliteStore(used)
    store.add(entry(qid="BIG", data=b"line\n" * 20_000))
    store.close()
    data = bytearray(pathlib.Path(used).read_bytes())
    data[32:40] = (1 << 24).to_bytes(4, "big") + (1).to_bytes(4, "big")
    pathlib.Path(used).write_bytes(data)
    store = SqliteStore(used)
    owner = store.enroll()
    items = claim(store, owner)
    assert [item.message.qid for item in items] == ["KEPT", "BIG"]
    assert len(store.finish(owner, results(items))) == 2
    store.release(owner)
    assert claim(store, store.enroll()) == [] and list(store.listing()) == []
    assert any(["freelist" in str(problem).lower() for problem in store.check()])
    store.close()
