"""Damage is told, never mended in silence, and what is damaged is never sent."""

import os
import pathlib

import pytest

from pysendmail import errors
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.store import Damaged
from pysendmail.queue.values import QueuedRecipient
from tests.queue.stores import claim, entry, text


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
