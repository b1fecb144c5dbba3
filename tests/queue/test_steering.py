"""Seeing what is in a queue, and changing it by command."""

import pytest

from pysendmail.queue import states
from pysendmail.queue.store import Store
from pysendmail.queue.values import QueuedRecipient, Result, Select
from tests.queue.stores import NOW, claim, contents, entry, results


def fail(store: Store, tried: float = NOW) -> str:
    """Add a message and let it fail."""
    qid = store.add(entry(b"failed@x"))
    owner = store.enroll()
    items = claim(store, owner, select=Select(qids=[qid]))
    store.finish(owner, results(items, states.FAILED, tried=tried, reply="550 no", dsn="5.1.1"))
    store.release(owner)
    return qid


def meant(store: Store, select: Select) -> set[bytes]:
    return {one.address for item in store.listing(select) for one in item.recipients}


@pytest.fixture
def full(store: Store) -> Store:
    """Give a store with a bit of everything."""
    store.add(entry(b"a@one.example", qid="QA", uid=1, sender=b"Alice@Example.ORG", created=NOW - 100, account="w"))
    store.add(entry(b"b@two.example", b"B2@TWO.example", qid="QB", uid=2, sender=b"", created=NOW, config="/c"))
    store.add(entry(QueuedRecipient(b"c@one.example", state="deferred"), qid="QC", uid=1, sender=b"carol@x", tag="t"))
    return store


A, B, B2, C = b"a@one.example", b"b@two.example", b"B2@TWO.example", b"c@one.example"


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        (Select(), {A, B, B2, C}),
        (Select(qids=["QA", "QC", "QX"]), {A, C}),
        (Select(qids=[]), set()),
        (Select(qids=['QA"', "Q'A", "*", "ünï"]), set()),
        (Select(sender=b"aLiCe@"), {A}),
        (Select(sender=b""), {B, B2}),
        (Select(sender=b"%"), set()),
        (Select(recipient=b"two.EXAMPLE"), {B, B2}),
        (Select(recipient=b"b2@"), {B2}),
        (Select(recipient=b""), {A, B, B2, C}),
        (Select(uid=1), {A, C}),
        (Select(account="w"), {A}),
        (Select(account=""), {B, B2, C}),
        (Select(config="/c"), {B, B2}),
        (Select(tag="t"), {C}),
        (Select(created_before=NOW), {A}),
        (Select(states=("deferred",)), {C}),
        (Select(states=("sent", "removed")), set()),
        (Select(states=()), set()),
        (Select(uid=1, recipient=b"c@"), {C}),
        (Select(excluded=[Select(uid=1)]), {B, B2}),
        (Select(excluded=[Select(uid=1, recipient=b"c@"), Select(recipient=b"b2")]), {A, B}),
        (Select(excluded=[Select()]), set()),
        (Select(uid=1, excluded=[Select(sender=b"carol")]), {A}),
    ],
)
def test_a_selection_means_those_for_whom_all_of_it_holds(full: Store, select: Select, expected: set[bytes]) -> None:
    assert meant(full, select) == expected
    assert full.hold(select).changed == len(expected)
    assert {one.address for item in full.listing() for one in item.recipients if one.state == "held"} == expected


def test_a_list_is_in_the_order_of_arrival_and_can_go_on_after_a_message(full: Store) -> None:
    items = list(full.listing())
    assert [item.message.qid for item in items] == ["QA", "QB", "QC"]
    assert [item.message.qid for item in full.listing(after=items[0].message.id)] == ["QB", "QC"]
    assert [one.number for one in items[1].recipients] == [0, 1]


def test_a_list_shows_what_is_neither_sent_nor_removed_unless_asked(full: Store) -> None:
    full.remove(Select(recipient=b"b@"), NOW)
    assert contents(full)["QB"] == [(B2, "queued")]
    assert meant(full, Select(states=("removed",))) == {B}


def test_a_list_of_many_is_whole_whatever_the_size_of_its_pages(store: Store) -> None:
    sizes = [1, 998, 2, 1, 2500, 1, 497] + [1] * 700
    ids = store.add_many([entry(*[b"u%d@x" % n for n in range(size)]) for size in sizes])
    listed = [(item.message.qid, [one.number for one in item.recipients]) for item in store.listing()]
    assert listed == [(qid, list(range(size))) for qid, size in zip(ids, sizes, strict=True)]


def test_who_reads_a_list_slowly_holds_up_nobody_and_sees_no_half_message(store: Store) -> None:
    store.add_many([entry(b"a@x", b"b@x") for _ in range(1500)])
    listing = store.listing()
    first = next(listing)
    store.remove(Select(), NOW)
    store.add(entry(qid="NEW"))
    rest = [item.message.qid for item in listing]
    assert len(first.recipients) == 2 and rest[-1] == "NEW" and len(rest) < 1500
    assert store.counts().messages == 1


def test_there_is_nothing_to_see_of_what_is_not_there(store: Store) -> None:
    assert store.get("NONE") is None and list(store.listing()) == [] and store.lanes() == []
    counts = store.counts()
    assert (counts.messages, counts.octets, counts.oldest) == (0, 0, 0.0)
    assert counts.recipients == dict.fromkeys(states.STATES, 0)


def test_everything_is_counted(full: Store) -> None:
    counts = full.counts()
    assert (counts.messages, counts.oldest) == (3, NOW - 100)
    assert counts.octets == sum([item.message.size for item in full.listing()])
    assert {state: number for state, number in counts.recipients.items() if number} == {"queued": 3, "deferred": 1}


@pytest.mark.parametrize("command", ["hold", "unhold", "remove", "retry"])
def test_what_is_being_delivered_is_left_alone_and_counted(full: Store, command: str) -> None:
    owner = full.enroll()
    claim(full, owner, select=Select(qids=["QB"]))
    more = [NOW] if command in ("remove", "retry") else []
    steered = getattr(full, command)(Select(), *more)
    assert (steered.changed, steered.busy) == (0 if command == "unhold" else 2, 2)
    assert full.counts().recipients["active"] == 2


def test_what_is_held_is_not_claimed_until_it_is_let_go(full: Store) -> None:
    assert full.hold(Select(recipient=b"b2")).changed == 1
    owner = full.enroll()
    (item,) = claim(full, owner, select=Select(qids=["QB"]), due_only=False)
    assert [one.address for one in item.recipients] == [B]
    steered = full.unhold(Select())
    assert (steered.changed, steered.busy) == (1, 1)
    (item,) = claim(full, owner, select=Select(qids=["QB"]))
    assert [one.address for one in item.recipients] == [B2]


def test_retry_makes_due_and_opens_the_lane(store: Store) -> None:
    qid = store.add(entry(QueuedRecipient(b"a@x", state="deferred", due=NOW + 500, attempts=4, reply="450 no")))
    other = store.add(entry(account="other"))
    store.close_lane("", "", NOW + 600)
    store.close_lane("other", "", NOW + 600)
    assert store.retry(Select(qids=[qid]), NOW).changed == 1
    (item,) = claim(store, store.enroll())
    one = item.recipients[0]
    assert (item.message.qid, one.attempts, one.reply) == (qid, 4, "450 no")
    assert store.get(other) is not None


def test_what_failed_can_be_sent_again_from_its_first_attempt(store: Store) -> None:
    qid = fail(store)
    assert store.retry(Select(qids=[qid]), NOW + 7).changed == 1
    found = store.get(qid)
    assert found is not None
    (one,) = found.recipients
    assert (one.state, one.attempts, one.due, one.done, one.warned, one.reply) == (
        "queued", 0, NOW + 7, 0.0, False, "550 no",
    )  # fmt: skip
    assert len(claim(store, store.enroll(), now=NOW + 7)) == 1


def test_retry_leaves_what_is_held(full: Store) -> None:
    full.hold(Select())
    assert full.retry(Select(), NOW).changed == 0
    assert full.counts().recipients["held"] == 4


def test_a_message_is_gone_when_its_last_recipient_was_removed(full: Store) -> None:
    assert full.remove(Select(recipient=b"b@"), NOW).changed == 1
    assert full.get("QB") is not None
    assert full.remove(Select(recipient=b"b2@"), NOW).changed == 1
    assert full.get("QB") is None and full.counts().messages == 2
    assert full.remove(Select(), NOW).changed == 2
    assert full.counts().messages == 0 and list(full.check()) == []


def test_more_than_one_batch_is_steered(store: Store) -> None:
    store.add_many([entry(b"a@x", b"b@x") for _ in range(1203)])
    assert store.hold(Select()).changed == 2406
    assert store.unhold(Select(recipient=b"a@")).changed == 1203
    assert store.counts().recipients["held"] == 1203
    assert store.remove(Select(), NOW).changed == 2406
    assert store.counts().messages == 0


def test_what_failed_is_kept_for_its_time(store: Store) -> None:
    old, new = fail(store, tried=NOW - 100), fail(store, tried=NOW)
    assert store.expire(NOW, 101.0) == 0
    assert store.expire(NOW, 100.0) == 1
    assert list(contents(store)) == [new] and store.get(old) is None


def test_a_failure_of_the_future_is_kept_from_now_on(store: Store) -> None:
    fail(store, tried=NOW + 1_000_000)
    assert store.expire(NOW, 100.0) == 0
    assert store.expire(NOW + 99, 100.0) == 0
    assert store.expire(NOW + 100, 100.0) == 1


def test_expiry_leaves_who_still_waits_for_the_same_message(store: Store) -> None:
    qid = store.add(entry(b"a@x", b"b@x"))
    owner = store.enroll()
    (item,) = claim(store, owner)
    store.finish(owner, [Result(item.message.id, 0, states.FAILED, tried=NOW)])
    store.release(owner)
    assert store.expire(NOW + 1, 0.0) == 1
    assert contents(store) == {qid: [(b"b@x", "queued")]}


def test_many_failures_expire(store: Store) -> None:
    store.add_many([entry() for _ in range(1100)])
    owner = store.enroll()
    store.finish(owner, results(claim(store, owner, limit=2000), states.FAILED))
    assert store.expire(NOW, 0.0) == 1100
    assert store.counts().messages == 0


def test_tidying_takes_nothing_away(full: Store) -> None:
    full.close_lane("gone", "", NOW + 5)
    before = contents(full)
    full.tidy(NOW)
    assert contents(full) == before
    assert {lane.account for lane in full.lanes()} == {"", "w", "gone"}


def test_a_list_gives_copies(full: Store) -> None:
    for item in full.listing():
        item.recipients[0].state = "sent"
        item.message.sender = b"mallory@x"
    assert full.counts().recipients["sent"] == 0 and meant(full, Select(sender=b"mallory")) == set()
