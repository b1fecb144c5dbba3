"""What a queue tells of the past, of the present and of what comes next, at a cost that stays the same."""

import pytest

from pysendmail.queue import journeys, memory_past, sights
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.store import Store
from pysendmail.queue.values import HORIZON, QueuedRecipient, Result
from tests.delivery.memory import Smarthost
from tests.queue.running import DAY, Desk, replying
from tests.queue.stores import NOW, claim, entry, fields, results


def go(store: Store, number: int, tried: float = NOW, **more: object) -> None:
    """Let so many messages be sent."""
    store.add_many([entry(**more) for _ in range(number)])  # type: ignore[arg-type]
    owner = store.enroll()
    store.finish(owner, results(claim(store, owner, limit=number), tried=tried))
    store.release(owner)


def test_each_result_is_a_leg_of_the_journey_and_outlives_its_message(store: Store) -> None:
    store.add(entry(b"a@x", b"b@x", qid="ONE", uid=7))
    owner = store.enroll()
    (item,) = claim(store, owner)
    first = Result(
        item.message.id, 0, "sent", tried=NOW + 3, reply="250 ok", dsn="2.0.0", relay="mx[::1]:25", tls="TLSv1.3 X",
        times=(1.0, 0.5, 0.25),
    )  # fmt: skip
    store.finish(owner, [first, Result(item.message.id, 1, "deferred", tried=NOW + 3, due=NOW + 5, reply="450 no")])
    (again,) = claim(store, owner, now=NOW + 5)
    store.finish(owner, results([again], tried=NOW + 6))
    assert store.get("ONE") is None
    legs = store.journey()
    assert [(leg.qid, leg.uid, leg.recipient, leg.state, leg.at) for leg in legs] == [
        ("ONE", 7, b"a@x", "sent", NOW + 3),
        ("ONE", 7, b"b@x", "deferred", NOW + 3),
        ("ONE", 7, b"b@x", "sent", NOW + 6),
    ]
    assert fields(legs[0], ("id", "qid", "uid", "created", "sender", "at", "recipient", "state")) == {
        "relay": "mx[::1]:25", "tls": "TLSv1.3 X", "dsn": "2.0.0", "reply": "250 ok",
        "waiting": 1.0, "connecting": 0.5, "sending": 0.25,
    }  # fmt: skip


def test_a_result_that_did_not_count_leaves_no_trace(store: Store) -> None:
    store.add(entry())
    owner = store.enroll()
    found = results(claim(store, owner))
    store.give_back(owner, [found[0].message])
    assert store.finish(owner, found) == [] and store.journey() == []


def test_journeys_are_told_by_message_by_user_and_piece_by_piece(store: Store) -> None:
    for number in range(3):
        go(store, 1, qid=f"Q{number}", uid=number % 2)
    ids = [leg.id for leg in store.journey()]
    assert ids == sorted(set(ids))
    assert [leg.qid for leg in store.journey(uid=0)] == ["Q0", "Q2"]
    assert [leg.qid for leg in store.journey(qid="Q1")] == ["Q1"]
    assert [leg.qid for leg in store.journey(qid="Q1", uid=0)] == []
    assert [leg.qid for leg in store.journey(after=ids[0], limit=1)] == ["Q1"]


def test_only_the_newest_legs_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory_past, journeys, sights):
        monkeypatch.setattr(module, "LEGS", 5)
    monkeypatch.setattr(journeys, "_BATCH", 3)
    go(store, 17)
    last = store.journey()[-1].id
    store.tidy(NOW)
    assert [leg.id for leg in store.journey()] == list(range(last - 4, last + 1))
    go(store, 1)
    assert store.journey()[-1].id == last + 1


def test_old_legs_go_but_ids_never_come_again(store: Store) -> None:
    go(store, 3, tried=NOW - 40 * DAY)
    go(store, 2, tried=NOW - 20 * DAY)
    store.tidy(NOW)
    assert len(store.journey()) == 2
    last = store.journey()[-1].id
    store.tidy(NOW + 365 * DAY)
    assert len(store.journey()) == 1
    go(store, 1)
    assert store.journey()[-1].id == last + 1


def test_figures_replace_those_of_the_same_process(store: Store) -> None:
    store.publish("deliver", {"sent": "1", "open": "2"}, NOW)
    store.publish("accept", {"clients": "3"}, NOW)
    store.publish("deliver", {"sent": "5"}, NOW + 1)
    assert [(g.process, g.name, g.value, g.at) for g in store.gauges()] == [
        ("accept", "clients", "3", NOW),
        ("deliver", "sent", "5", NOW + 1),
    ]


def test_the_outlook_of_a_lane_is_when_somebody_can_be_claimed(store: Store) -> None:
    store.add(entry(qid="NOW"))
    store.add(entry(QueuedRecipient(b"a@x", due=NOW + 50), account="later"))
    store.add(entry(account="closed"))
    store.add(entry(QueuedRecipient(b"a@x", due=NOW + 10 * HORIZON), account="wrong"))
    store.add(entry(QueuedRecipient(b"a@x", state="held"), account="held"))
    store.close_lane("closed", "", NOW + 30, failures=2)
    store.close_lane("later", "", NOW + 10 * HORIZON)
    found = {lane.account: (lane.due, lane.until, lane.failures, lane.at) for lane in store.outlook(NOW)}
    assert found == {
        "": (NOW, 0.0, 0, NOW),
        "later": (NOW + 50, 0.0, 1, NOW + 50),
        "closed": (NOW, NOW + 30, 2, NOW + 30),
        "wrong": (NOW, 0.0, 0, NOW),
    }
    assert store.next_due(NOW) == NOW


def test_who_is_being_tried_is_not_in_the_outlook(store: Store) -> None:
    store.add(entry())
    claim(store, store.enroll())
    assert store.outlook(NOW) == []


def test_a_round_notes_how_long_each_part_took_and_the_exit_code() -> None:
    made = Desk(Smarthost(replying((b"RCPT TO:<a@", b"550 5.1.1 no")), pause=1.0))
    qid = made.add(b"a@x", b"c@x", sender=b"")
    made.clock.now += 60
    made.round()
    assert {one.address: one.code for one in made.item(qid).recipients} == {b"a@x": 67, b"c@x": 0}
    refused, sent = made.store.journey(qid=qid)
    assert (refused.state, refused.reply, sent.state) == ("failed", "550 5.1.1 no", "sent")
    assert sent.connecting > 0 and sent.sending > 0 and sent.waiting > 0
    assert abs(sent.waiting + sent.connecting + sent.sending - 60) < 1e-6


def test_the_oldest_legs_are_found_without_a_look_at_the_others(path: str) -> None:
    store = SqliteStore(path)
    go(store, 3)
    commands: list[str] = []
    store._database._db.set_trace_callback(commands.append)  # type: ignore[union-attr]
    journeys.trim(store._database, NOW + 365 * DAY)
    store.journey(qid="X", uid=3)
    store.outlook(NOW)
    store.awaited()
    store.settle("X", [])
    looking = [c for c in commands if c.startswith(("SELECT", "DELETE")) and "PRAGMA" not in c]
    plans = {c: "; ".join([str(row[3]) for row in store._database.read("EXPLAIN QUERY PLAN " + c)]) for c in looking}
    bad = {c: p for c, p in plans.items() if "SCAN" in p.replace("SCAN lane", "").replace("SCAN CONSTANT ROW", "")}
    assert len(plans) > 5 and list(bad.values()) == ["SCAN message USING INDEX message_awaited"]
    store.close()


def test_the_newest_legs_come_alone_and_in_the_same_order(store: Store) -> None:
    for number in range(5):
        go(store, 1, qid=f"Q{number}", uid=number % 2)
    assert [leg.qid for leg in store.journey(newest=True, limit=2)] == ["Q3", "Q4"]
    assert [leg.qid for leg in store.journey(newest=True, limit=2, uid=0)] == ["Q2", "Q4"]
    assert [leg.qid for leg in store.journey(newest=True)] == [f"Q{number}" for number in range(5)]
    assert store.journey(newest=True, limit=0) == []


def test_legs_are_chosen_by_the_state_in_which_they_ended(store: Store) -> None:
    store.add_many([entry(qid="GOOD"), entry(qid="BAD")])
    owner = store.enroll()
    found = results(claim(store, owner, limit=2), tried=NOW)
    found[1].state = "failed"
    store.finish(owner, found)
    assert [leg.qid for leg in store.journey(among=("deferred", "failed"))] == ["BAD"]
    assert [leg.qid for leg in store.journey(among=("sent",), newest=True)] == ["GOOD"]


def test_a_leg_tells_of_its_message_when_that_is_gone(store: Store) -> None:
    go(store, 1, qid="GONE", sender=b"ann@example.org", created=NOW - 7)
    (leg,) = store.journey()
    assert store.get("GONE") is None and (leg.sender, leg.created) == (b"ann@example.org", NOW - 7)


def test_the_messages_that_were_tried_last_come_first_and_once(store: Store) -> None:
    store.add(entry(b"a@x", b"b@x", qid="TWO"))
    owner = store.enroll()
    store.finish(owner, results(claim(store, owner)))
    for number in range(3):
        go(store, 1, qid=f"Q{number}", uid=number)
    assert store.travelled(10) == ["Q2", "Q1", "Q0", "TWO"]
    assert store.travelled(2) == ["Q2", "Q1"]
    assert store.travelled(10, uid=1) == ["Q1"]


def test_legs_are_counted_by_state_between_two_times(store: Store) -> None:
    go(store, 2, tried=NOW - 60)
    go(store, 3, tried=NOW, uid=7)
    go(store, 4, tried=NOW + 1)
    nothing = {"deferred": 0, "failed": 0, "uncertain": 0, "held": 0}
    assert store.tally(NOW - 60, NOW) == {"sent": 3, **nothing}
    assert store.tally(NOW - 61, NOW)["sent"] == 5
    assert store.tally(NOW - 61, NOW, uid=7)["sent"] == 3


def test_a_user_is_told_how_much_of_his_is_in_the_queue(store: Store) -> None:
    store.add_many([entry(b"a@x", b"b@x", uid=7, created=NOW - 5), entry(uid=8, created=NOW - 9), entry(uid=7)])
    counts = store.counts(7)
    assert (counts.messages, counts.oldest, counts.recipients["queued"]) == (2, NOW - 5, 3)
    assert counts.octets * 3 == store.counts().octets * 2
    assert (store.counts(9).messages, store.counts(9).oldest) == (0, 0.0)
