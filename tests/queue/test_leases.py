"""Who claims has a lease, and only who has the lease can report."""

import pathlib
from typing import Any

import pytest

from pysendmail import errors
from pysendmail.queue import leases, states
from pysendmail.queue.store import LeaseLost, Store
from pysendmail.queue.values import HORIZON, Notice, QueuedRecipient, Result, Select
from tests.queue.stores import NOW, Clock, claim, claimed, contents, entry, results

DAY = 86400.0


def add(store: Store, *due: float, **more) -> list[str]:
    return [store.add(entry(QueuedRecipient(b"bob@x", due=each), **more)) for each in due]


def ids(items) -> list[str]:
    return [item.message.qid for item in items]


def test_what_is_claimed_is_active_under_the_owners_name(store: Store) -> None:
    qid = store.add(entry(b"a@x", b"b@x"))
    owner = store.enroll()
    (item,) = claim(store, owner)
    assert [(one.state, one.origin, one.owner) for one in item.recipients] == [("active", "queued", owner)] * 2
    found = store.get(qid)
    assert found is not None
    assert [(one.state, one.origin, one.owner) for one in found.recipients] == [("active", "queued", owner)] * 2


def test_nobody_claims_what_is_claimed(store: Store) -> None:
    store.add(entry())
    first, second = store.enroll(), store.enroll()
    assert first != second
    assert len(claim(store, first)) == 1
    assert claim(store, second) == claim(store, first) == []


def test_what_is_due_first_is_claimed_first(store: Store) -> None:
    late, early, future, middle = add(store, NOW, NOW - 100, NOW + 1, NOW - 50)
    owner = store.enroll()
    assert ids(claim(store, owner, limit=2)) == [early, middle]
    assert ids(claim(store, owner, limit=2)) == [late]
    assert ids(claim(store, owner, now=NOW + 1)) == [future]


def test_only_those_recipients_are_claimed_who_are_due(store: Store) -> None:
    qid = store.add(entry(b"now@x", QueuedRecipient(b"later@x", due=NOW + 5), QueuedRecipient(b"held@x", state="held")))
    owner = store.enroll()
    assert claimed(claim(store, owner)) == {qid: [b"now@x"]}
    assert claimed(claim(store, owner, now=NOW + 5)) == {qid: [b"later@x"]}


def test_a_claim_may_take_all_that_wait_whatever_their_time(store: Store) -> None:
    first, second, third = add(store, NOW + 1000, NOW, NOW + 500)
    held = store.add(entry(QueuedRecipient(b"held@x", state="held")))
    store.close_lane("", "", NOW + 1000)
    owner = store.enroll()
    items = claim(store, owner, due_only=False, limit=2)
    assert ids(items) == [first, second]
    more = claim(store, owner, due_only=False, after=items[-1].message.id)
    assert ids(more) == [third] and held not in ids(more)


def test_a_round_sees_each_message_once_even_if_it_waits_again(store: Store) -> None:
    add(store, NOW, NOW, NOW)
    owner, after, seen = store.enroll(), 0, []
    while items := claim(store, owner, limit=1, due_only=False, after=after):
        after = items[-1].message.id
        seen += ids(items)
        store.finish(owner, results(items, states.DEFERRED, due=NOW))
    assert seen == list(contents(store))


def test_a_claim_may_be_for_chosen_messages_only(store: Store) -> None:
    one, two = store.add(entry(b"a@x", b"b@y")), store.add(entry(b"c@x", sender=b"carol@example.org"))
    owner = store.enroll()
    assert claimed(claim(store, owner, select=Select(sender=b"CAROL"))) == {two: [b"c@x"]}
    assert claimed(claim(store, owner, select=Select(recipient=b"@y"), due_only=False)) == {one: [b"b@y"]}
    assert claimed(claim(store, owner, select=Select(qids=[one, "NONE", "' OR 1"]))) == {one: [b"a@x"]}


def test_a_time_that_a_wrong_clock_set_counts_as_reached(store: Store) -> None:
    far, near, due = add(store, NOW + 3650 * DAY, NOW + HORIZON, NOW)
    owner = store.enroll()
    assert store.next_due(NOW) == NOW
    assert ids(claim(store, owner)) == [far, due]
    assert store.next_due(NOW) == NOW + HORIZON
    assert ids(claim(store, owner, horizon=3600.0)) == [near]


def test_a_lease_given_back_leaves_all_as_it_was(store: Store) -> None:
    add(store, NOW)
    store.add(entry(QueuedRecipient(b"c@x", state="uncertain", attempts=2, reply="lost", due=NOW - 9)))
    before = [vars_of(item) for item in store.listing()]
    owner = store.enroll()
    assert len(claim(store, owner)) == 2
    assert store.release(owner) == 2 and store.release(owner) == 0
    assert [vars_of(item) for item in store.listing()] == before


def vars_of(item) -> list[object]:
    return [[getattr(one, name) for name in one.__slots__] for one in item.recipients]


def test_single_messages_can_be_given_back(store: Store) -> None:
    first, second = add(store, NOW, NOW)
    owner, other = store.enroll(), store.enroll()
    one, two = claim(store, owner)
    assert store.give_back(owner, [one.message.id, 999]) == 1
    assert store.give_back(other, [two.message.id]) == 0
    assert ids(claim(store, other)) == [first]
    assert store.finish(owner, results([one])) == []
    assert store.finish(owner, results([two])) == [(two.message.id, 0)]
    assert list(contents(store)) == [first]


def test_a_lease_that_runs_out_is_taken_over(store: Store, steady: Clock) -> None:
    add(store, NOW)
    slow, quick = store.enroll(), store.enroll()
    items = claim(store, slow, lease=60)
    steady.now += 59
    assert claim(store, quick) == []
    steady.now += 1
    assert len(claim(store, quick)) == 1
    assert store.finish(slow, results(items)) == []
    assert [one.owner for item in store.listing() for one in item.recipients] == [quick]


def test_who_lost_a_lease_gets_nothing_more(store: Store, steady: Clock) -> None:
    add(store, NOW)
    slow, quick = store.enroll(), store.enroll()
    items = claim(store, slow, lease=1)
    steady.now += 1
    others = claim(store, quick)
    store.finish(quick, results(others, states.DEFERRED, due=NOW))
    assert not store.extend(slow, NOW, 60)
    with pytest.raises(LeaseLost):
        claim(store, slow)
    assert store.finish(slow, results(items)) == []
    assert store.release(slow) == 0
    assert len(claim(store, store.enroll())) == 1


def test_a_lease_can_be_extended_and_claiming_extends_it(store: Store, steady: Clock) -> None:
    add(store, NOW)
    owner, other = store.enroll(), store.enroll()
    items = claim(store, owner, lease=10)
    for _ in range(3):
        steady.now += 9
        assert store.extend(owner, NOW, 10)
        steady.now += 9
        assert claim(store, owner, lease=10) == []
    assert claim(store, other) == []
    assert len(store.finish(owner, results(items))) == 1


@pytest.mark.parametrize("jump", [-31 * DAY, 31 * DAY, 3650 * DAY])
def test_no_jump_of_the_clock_ends_a_lease(store: Store, steady: Clock, jump: float) -> None:
    add(store, NOW)
    owner, other = store.enroll(), store.enroll()
    items = claim(store, owner, lease=60)
    assert claim(store, other, now=NOW + jump) == []
    assert claim(store, other, now=NOW + jump, due_only=False) == []
    steady.now += 60
    assert len(claim(store, other, now=NOW + max(jump, 0))) == 1
    assert store.finish(owner, results(items)) == []


def test_an_owner_without_claims_loses_nothing(store: Store, steady: Clock) -> None:
    idle, busy = store.enroll(), store.enroll()
    add(store, NOW)
    steady.now += 1000
    items = claim(store, busy)
    store.give_back(busy, [items[0].message.id])
    assert len(claim(store, idle)) == 1


@pytest.mark.parametrize("call", ["claim", "finish", "extend", "give_back"])
def test_who_is_not_enrolled_is_refused(store: Store, call: str) -> None:
    arguments = {"claim": (NOW, 60.0, 1), "finish": ([Result(1, 0, "sent", tried=NOW)],), "extend": (NOW, 60.0)}
    with pytest.raises(errors.SoftwareError):
        getattr(store, call)("nobody", *arguments.get(call, ([1],)))


def test_a_result_is_written_down(store: Store) -> None:
    qid = store.add(entry(b"a@x", b"b@x"))
    owner = store.enroll()
    (item,) = claim(store, owner)
    a, b = item.recipients
    told: dict[str, Any] = {"reply": "450 try later", "dsn": "4.2.0", "relay": "mx[192.0.2.1]:25"}
    accepted = store.finish(
        owner,
        [
            Result(a.message, 0, states.DEFERRED, tried=NOW + 1, due=NOW + 61, warned=True, **told),
            Result(b.message, 1, states.FAILED, tried=NOW + 2, reply="550 " + "no" * 1000),
        ],
    )
    assert accepted == [(a.message, 0), (b.message, 1)]
    found = store.get(qid)
    assert found is not None
    a, b = found.recipients
    assert (a.state, a.due, a.attempts, a.warned, a.reply, a.dsn, a.relay) == (
        "deferred", NOW + 61, 1, True, "450 try later", "4.2.0", "mx[192.0.2.1]:25",
    )  # fmt: skip
    assert (a.first_tried, a.last_tried, a.done, a.owner, a.origin) == (NOW + 1, NOW + 1, 0.0, "", "")
    assert (b.state, b.done, len(b.reply)) == ("failed", NOW + 2, 1024)


def test_attempts_are_counted_and_the_first_and_last_time_kept(store: Store) -> None:
    qid = store.add(entry())
    owner = store.enroll()
    for turn, attempted in enumerate([True, False, True]):
        items = claim(store, owner, now=NOW + turn)
        due = NOW + turn + 1
        store.finish(owner, results(items, states.DEFERRED, tried=NOW + turn, due=due, attempted=attempted))
    found = store.get(qid)
    assert found is not None
    (one,) = found.recipients
    assert (one.attempts, one.first_tried, one.last_tried, one.warned) == (2, NOW, NOW + 2, False)


def test_a_recipient_held_by_a_result_remembers_where_he_came_from(store: Store) -> None:
    store.add(entry(b"a@x", b"b@x"))
    owner = store.enroll()
    (item,) = claim(store, owner)
    message = item.message.id
    store.finish(
        owner,
        [
            Result(message, 0, states.HELD, tried=NOW, origin=states.UNCERTAIN),
            Result(message, 1, states.HELD, tried=NOW, attempted=False),
        ],
    )
    (item,) = store.listing()
    assert [(one.state, one.origin, one.attempts) for one in item.recipients] == [
        ("held", "uncertain", 1),
        ("held", "queued", 0),
    ]


def test_a_message_goes_when_its_last_recipient_is_sent(store: Store) -> None:
    qid = store.add(entry(b"a@x", b"b@x", data=b"x" * 3_000_000))
    owner = store.enroll()
    (item,) = claim(store, owner)
    first, second = results([item])
    store.finish(owner, [first])
    found = store.get(qid)
    assert found is not None and [one.state for one in found.recipients] == ["sent", "active"]
    assert contents(store) == {qid: [(b"b@x", "active")]}
    store.finish(owner, [second])
    assert store.get(qid) is None and store.counts().messages == store.counts().octets == 0
    assert list(store.check()) == []


def test_a_message_with_a_failed_recipient_stays(store: Store) -> None:
    qid = store.add(entry(b"a@x", b"b@x"))
    owner = store.enroll()
    (item,) = claim(store, owner)
    first, second = results([item])
    second.state = states.FAILED
    store.finish(owner, [first, second])
    assert contents(store) == {qid: [(b"b@x", "failed")]}


def test_a_report_enters_together_with_the_result_it_is_about(store: Store) -> None:
    store.add(entry())
    owner = store.enroll()
    items = claim(store, owner)
    report = entry(b"alice@example.org", sender=b"", bounce=True)
    failed = results(items, states.FAILED)
    store.finish(owner, failed, [Notice(report, [(failed[0].message, 0)])])
    assert [one for each in contents(store).values() for one in each] == [
        (b"bob@example.net", "failed"),
        (b"alice@example.org", "queued"),
    ]


def test_a_report_about_somebody_else_s_recipient_is_dropped(store: Store, steady: Clock) -> None:
    add(store, NOW, NOW)
    slow, quick = store.enroll(), store.enroll()
    items = claim(store, slow, limit=1, lease=1)
    steady.now += 1
    claim(store, quick)
    failed = results(items, states.FAILED)
    assert store.finish(slow, failed, [Notice(entry(b"alice@x"), [(failed[0].message, 0)])]) == []
    assert store.counts().messages == 2


def test_nothing_of_a_result_stays_if_its_report_cannot_enter(store: Store) -> None:
    qid = store.add(entry())
    owner = store.enroll()
    items = claim(store, owner)
    report = entry(qid=qid)
    with pytest.raises(errors.TempFail):
        store.finish(owner, results(items, states.FAILED), [Notice(report, [(items[0].message.id, 0)])])
    assert contents(store) == {qid: [(b"bob@example.net", "active")]}


def test_a_result_for_nobody_is_not_accepted(store: Store) -> None:
    store.add(entry())
    owner = store.enroll()
    (item,) = claim(store, owner)
    message = item.message.id
    nobody = [Result(message, 7, "sent", tried=NOW), Result(message + 5, 0, "sent", tried=NOW)]
    assert store.finish(owner, nobody) == store.finish(owner, []) == []
    assert store.counts().recipients["active"] == 1


def test_each_lane_gets_its_share(store: Store) -> None:
    for number in range(6):
        store.add(entry(account="busy", created=NOW - 100 + number))
    quiet = [store.add(entry(account="quiet")), store.add(entry(config="/conf"))]
    owner = store.enroll()
    items = claim(store, owner, limit=4)
    assert set(quiet) < set(ids(items)) and len(items) == 4
    assert len(claim(store, owner, limit=10)) == 4


def test_a_closed_lane_holds_up_its_own_recipients_only(store: Store) -> None:
    stopped, free = store.add(entry(account="dead", config="/c")), store.add(entry())
    store.close_lane("dead", "/c", NOW + 60, failures=3, reply="no connection", dsn="4.4.1")
    owner = store.enroll()
    assert ids(claim(store, owner)) == [free]
    assert store.next_due(NOW) == NOW + 60
    (lane,) = store.lanes()
    assert (lane.account, lane.config, lane.until, lane.failures, lane.reply, lane.dsn, lane.waiting) == (
        "dead", "/c", NOW + 60, 3, "no connection", "4.4.1", 1,
    )  # fmt: skip
    shown = {item.message.qid: item.recipients[0] for item in store.listing()}
    assert (shown[stopped].reply, shown[stopped].dsn, shown[free].reply) == ("no connection", "4.4.1", "")
    assert ids(claim(store, owner, now=NOW + 60)) == [stopped]


def test_a_lane_is_opened_by_its_runner_or_by_time_or_because_the_clock_was_wrong(store: Store) -> None:
    store.add(entry())
    owner = store.enroll()
    store.close_lane("", "", NOW + 60)
    assert claim(store, owner) == []
    store.close_lane("", "", NOW + 400 * DAY)
    assert store.next_due(NOW) == NOW
    (item,) = claim(store, owner)
    store.give_back(owner, [item.message.id])
    store.close_lane("", "", NOW + 60)
    store.open_lane("", "")
    assert len(claim(store, owner)) == 1
    assert store.lanes() == []


def test_the_next_due_time_is_that_of_the_first_who_waits(store: Store) -> None:
    assert store.next_due(NOW) is None
    add(store, NOW + 50, NOW + 20)
    store.add(entry(QueuedRecipient(b"held@x", state="held")))
    assert store.next_due(NOW) == NOW + 20
    assert store.next_due(NOW + 30) == NOW + 30
    claim(store, store.enroll(), now=NOW + 60)
    assert store.next_due(NOW) is None


def test_a_store_that_closes_gives_everything_back(store: Store) -> None:
    store.add(entry())
    claim(store, store.enroll())
    if type(store).__name__ == "MemoryStore":
        store.close()
        again = store
    else:
        store.close()
        again = type(store)(store.path)  # type: ignore[attr-defined, call-arg]
    store.close()
    assert [one.state for item in again.listing() for one in item.recipients] == ["queued"]
    again.close()


def test_a_folder_that_is_gone_is_trouble_of_the_queue_and_no_bug(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.TempFail, match="locks cannot be listed"):
        leases.left_over(str(tmp_path / "gone" / "queue.db"))
