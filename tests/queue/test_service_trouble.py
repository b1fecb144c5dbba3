"""Trouble with the queue pauses the service and never ends it; that of a lane stays in the lane."""

import threading
import time

import pytest

from pysendmail import errors
from pysendmail.queue import service
from pysendmail.queue.memory import MemoryStore
from pysendmail.queue.values import Item
from tests.crowd import Crowd
from tests.queue.serving import closed, open_shop, until, verbs


@pytest.fixture(autouse=True)
def _only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the service look only where something asks for it, so that a test cannot pass by luck."""
    monkeypatch.setattr(service, "TICK", 1000.0)


class Weak(MemoryStore):
    """A queue in memory whose calls in `failing` raise."""

    def __init__(self) -> None:
        super().__init__(steady=time.monotonic)
        self.failing: set[str] = set()
        self.failures = 0

    def _check(self, name: str) -> None:
        if name in self.failing:
            self.failures += 1
            raise errors.TempFail("the disk of the queue is full")

    def enroll(self) -> str:
        self._check("enroll")
        return super().enroll()

    def claim(self, *rest: object, **more: object) -> list[Item]:
        self._check("claim")
        return super().claim(*rest, **more)  # type: ignore[arg-type]

    def outlook(self, *rest: object) -> list[object]:  # type: ignore[override]
        self._check("outlook")
        return super().outlook(*rest)  # type: ignore[arg-type, return-value]

    def release(self, owner: str) -> int:
        self._check("release")
        return super().release(owner)


@pytest.mark.parametrize("calls", [("enroll",), ("claim",), ("outlook",), ("enroll", "claim", "outlook", "release")])
def test_trouble_with_the_queue_pauses_the_service_and_never_ends_it(calls: tuple[str, ...]) -> None:
    store = Weak()
    with Crowd() as server, open_shop(server.port, store) as shop:
        shop.gone(shop.add())
        store.failing.update(calls)
        if "enroll" in calls:
            store._owners.clear()  # somebody has taken over
        qid = shop.add()
        until(lambda: store.failures >= 2)
        assert shop.state(qid) == "queued" and shop.thread.is_alive()
        store.failing.clear()
        shop.gone(qid)
        told = [line for line in shop.log.of("qmgr") if "the queue cannot be used" in line]
        assert len(told) == len(set(told)) and any("the disk of the queue is full" in line for line in told)


def test_a_lost_lease_is_taken_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with Crowd() as server, open_shop(server.port) as shop:
        shop.gone(shop.add())
        shop.store._owners.clear()  # type: ignore[attr-defined]
        shop.gone(shop.add())


def test_a_lane_that_cannot_be_closed_is_not_tried_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    with Crowd(answers={"greeting": "421 no"}) as server, open_shop(server.port) as shop:

        def fail(*rest: object, **more: object) -> None:
            raise errors.TempFail("disk full")

        monkeypatch.setattr(shop.store, "close_lane", fail)
        shop.add()
        until(lambda: server.connections)
        for _ in range(60):
            shop.wake()
            time.sleep(0.01)
        assert server.connections <= 2


def test_a_bug_in_the_way_of_a_lane_closes_that_lane_alone() -> None:
    with Crowd() as server, open_shop(server.port) as shop:
        shop.ports["bad"] = server.port

        def wrong(account: str) -> None:
            if account == "bad":
                raise KeyError("secret")

        shop.before_route = wrong
        bad = shop.add(account="bad")
        shop.gone(shop.add())
        until(lambda: closed(shop))
        assert shop.state(bad) == "queued" and shop.thread.is_alive()
        assert not any("secret" in line for line in shop.log.of("qmgr"))


def test_trouble_with_the_queue_does_not_wait_for_a_smarthost_that_stalls() -> None:
    store = Weak()
    with Crowd() as stalled, Crowd() as good, open_shop(good.port, store) as shop:
        gate = stalled.gates["greeting"] = threading.Event()
        shop.ports["stalled"] = stalled.port
        waiting = shop.add(account="stalled")
        until(lambda: stalled.connections)
        store.failing.add("outlook")
        until(lambda: store.failures)
        qid = shop.add()
        until(lambda: store.failures >= 2)
        store.failing.clear()
        shop.gone(qid)
        assert shop.state(waiting) == "active", "its courier still holds it"
        gate.set()
        shop.gone(waiting)
        assert verbs(stalled).count("MAIL") == 1, "who got his connection after the end of his shift began nothing"
        shop.wake()
        until(lambda: len(shop.service._shifts) == 1)
