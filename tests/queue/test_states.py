"""The table of states is whole, and every store obeys it: each way that it names works, and no other way exists."""

import itertools

import pytest

from pysendmail import errors
from pysendmail.queue import states
from pysendmail.queue.store import Store
from pysendmail.queue.values import QueuedRecipient, Result, Select
from tests.queue.stores import NOW, claim, entry

CAUSES = sorted({cause for _, _, cause in states.TRANSITIONS})
STEERING = ("hold", "unhold", "retry", "remove", "expire")


def bring(store: Store, state: str, origin: str = states.QUEUED) -> tuple[str, str]:
    """Put a message with one recipient in this state into the store; give its id, and the owner of its lease.

    A second recipient, who is held, keeps the message where it is.
    """
    start = state if state in states.FIRST and state != states.HELD else origin
    qid = store.add(entry(QueuedRecipient(b"a@x", state=start), QueuedRecipient(b"stay@x", state=states.HELD)))
    owner = ""
    if state == states.HELD:
        store.hold(Select(recipient=b"a@x"))
    elif state == states.REMOVED:
        store.remove(Select(recipient=b"a@x"), NOW)
    elif state not in states.WAITING:
        owner = store.enroll()
        (item,) = claim(store, owner)
        if state != states.ACTIVE:
            store.finish(owner, [Result(item.message.id, 0, state, tried=NOW)])
    return qid, owner


def state_of(store: Store, qid: str) -> str:
    found = store.get(qid)
    return found.recipients[0].state if found is not None else states.REMOVED


def do(store: Store, cause: str, qid: str, owner: str) -> None:
    """Do what the cause says to the first recipient."""
    select = Select(qids=[qid], recipient=b"a@x")
    if cause == "claim":
        claim(store, store.enroll(), due_only=False)
    elif cause == "release":
        store.release(owner)
    elif cause == "expire":
        store.expire(NOW, 0.0)
    elif cause in ("retry", "remove"):
        getattr(store, cause)(select, NOW)
    else:
        getattr(store, cause)(select)


def test_every_state_is_explained_and_can_be_reached_and_left() -> None:
    assert set(states.MEANING) == set(states.STATES) == set(states.CODES)
    assert {to for _, to, _ in states.TRANSITIONS} | set(states.FIRST) == set(states.STATES)
    assert set(states.STATES) - {start for start, _, _ in states.TRANSITIONS} == set(states.DONE)
    assert len(set(states.TRANSITIONS)) == len(states.TRANSITIONS)


def test_the_waiting_states_are_those_that_a_claim_ends() -> None:
    assert states.sources("claim") == states.WAITING
    assert [states.CODES[state] for state in states.WAITING] == [1, 2, 3]
    assert [states.CODES[state] for state in states.DONE] == [7, 8]


def test_the_causes_are_explained() -> None:
    told = (states.__doc__ or "").replace(",", ":").partition("causes are:")[2]
    assert [cause for cause in CAUSES if cause not in told] == []


@pytest.mark.parametrize(("start", "cause"), list(itertools.product(states.STATES, [*STEERING, "claim", "release"])))
def test_a_cause_does_what_the_table_says_and_nothing_else(store: Store, start: str, cause: str) -> None:
    qid, owner = bring(store, start)
    assert state_of(store, qid) == start
    do(store, cause, qid, owner)
    allowed = {to for at, to, why in states.TRANSITIONS if (at, why) == (start, cause)}
    after = state_of(store, qid)
    assert after in allowed if allowed else after == start


@pytest.mark.parametrize(("origin", "way"), list(itertools.product(states.WAITING, ["lease", "hold"])))
def test_a_lease_or_a_hold_ends_in_the_state_before_it(store: Store, origin: str, way: str) -> None:
    qid, owner = bring(store, states.ACTIVE if way == "lease" else states.HELD, origin)
    found = store.get(qid)
    assert found is not None and found.recipients[0].origin == origin
    do(store, "release" if way == "lease" else "unhold", qid, owner)
    found = store.get(qid)
    assert found is not None and (found.recipients[0].state, found.recipients[0].origin) == (origin, "")


@pytest.mark.parametrize("result", states.STATES)
def test_an_attempt_ends_in_a_state_that_the_table_names_or_is_refused(store: Store, result: str) -> None:
    qid, owner = bring(store, states.ACTIVE)
    found = store.get(qid)
    assert found is not None
    report = [Result(found.message.id, 0, result, tried=NOW)]
    if (states.ACTIVE, result, "finish") in states.TRANSITIONS:
        assert store.finish(owner, report) == [(found.message.id, 0)]
        assert state_of(store, qid) == result
    else:
        with pytest.raises(errors.SoftwareError):
            store.finish(owner, report)
        assert state_of(store, qid) == states.ACTIVE


@pytest.mark.parametrize("state", [state for state in states.STATES if state != states.ACTIVE])
def test_who_is_not_active_cannot_get_a_result(store: Store, state: str) -> None:
    qid, owner = bring(store, state)
    found = store.get(qid)
    assert found is not None
    owner = owner or store.enroll()
    assert store.finish(owner, [Result(found.message.id, 0, states.SENT, tried=NOW)]) == []
    assert state_of(store, qid) == state
