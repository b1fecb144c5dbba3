"""A queue in memory: the same behaviour as every other one, for tests and measurements. It is gone with the process."""

import os
from _thread import RLock

from pysendmail import errors
from pysendmail.queue import states
from pysendmail.queue.matching import matches
from pysendmail.queue.memory_past import Past
from pysendmail.queue.memory_rows import copy, hold, report, take_out, unhold
from pysendmail.queue.sights import Counts, Lane, Outlook, Steered
from pysendmail.queue.store import Damaged, LeaseLost, Store, Stored, StoredBody
from pysendmail.queue.values import AHEAD, HORIZON, Item, Message, Recipient, Select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pysendmail.queue.sights import Gauge, Leg, Problem
    from pysendmail.queue.values import Entry, Notice, Result

    Key = tuple[int, int]

_LIMIT = 1024
_PAGE = 1000
_PIECE = 1 << 20


class MemoryStore(Store):
    """A queue in memory. `steady` measures leases; without it the times that come with the calls do."""

    def __init__(self, *, steady: "Callable[[], float] | None" = None) -> None:
        self._steady = steady
        self._lock = RLock()
        self._last = 0
        self._messages: dict[int, Message] = {}
        self._texts: dict[int, tuple[bytes, bytes]] = {}
        self._ids: dict[str, int] = {}
        self._recipients: dict[int, list[Recipient]] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._past = Past()
        self._owners: dict[str, float] = {}
        self._enrolled: set[str] = set()

    # Taking messages in

    def add(self, entry: "Entry") -> str:
        return self.add_many([entry])[0]

    def add_many(self, entries: "Iterable[Entry]") -> list[str]:
        with self._lock:
            made = [self._make(entry) for entry in entries]
            ids = [message.qid for message, *_ in made]
            if len(set(ids)) < len(ids) or any(qid in self._ids for qid in ids):
                raise errors.TempFail("a message of this queue id is in the queue already")
            for message, text, recipients in made:
                self._last += 1
                message.id = self._last
                for one in recipients:
                    one.message = message.id
                self._messages[message.id] = message
                self._texts[message.id] = text
                self._recipients[message.id] = recipients
                self._ids[message.qid] = message.id
                self._lane(message.account, message.config)
            return ids

    def _make(self, entry: "Entry") -> "tuple[Message, tuple[bytes, bytes], list[Recipient]]":
        text = (entry.header, b"".join(entry.body.chunks()))
        if len(text[1]) != entry.body.size or not entry.recipients:
            raise errors.SoftwareError("a message for the queue has no recipient, or another length than it says")
        body = entry.body
        message = Message(
            0, entry.qid, entry.uid, entry.sender, entry.account, entry.config, entry.created, len(entry.header), body.size,
            body.eight_bit, body.nul, body.long_line, entry.ret, entry.envid, entry.tag, entry.bounce, entry.awaited,
        )  # fmt: skip
        recipients = []
        for number, new in enumerate(entry.recipients):
            if new.state not in states.FIRST:
                raise errors.SoftwareError(f"no recipient enters the queue as {new.state}")
            origin = states.QUEUED if new.state == states.HELD else ""
            due = (entry.created - AHEAD if entry.awaited else entry.created) if new.due is None else new.due
            one = Recipient(
                0, number, new.address, new.orcpt, new.notify, new.state, origin, due, new.attempts, False, new.tried,
                new.tried, 0.0, new.reply[:_LIMIT], new.dsn, new.relay, "", new.code,
            )  # fmt: skip
            recipients.append(one)
        return message, text, recipients

    def _lane(self, account: str, config: str) -> Lane:
        return self._lanes.setdefault((account, config), Lane(account, config, 0.0, 0, "", "", 0))

    # Running

    def enroll(self) -> str:
        with self._lock:
            owner = f"{os.getpid()}-{len(self._enrolled)}"
            self._enrolled.add(owner)
            self._owners[owner] = 0.0
            return owner

    def _must_be_enrolled(self, owner: str) -> None:
        if owner not in self._enrolled:
            raise errors.SoftwareError("the owner of a lease is not enrolled")

    def claim(
        self,
        owner: str,
        now: float,
        lease: float,
        limit: int,
        *,
        due_only: bool = True,
        select: "Select | None" = None,
        after: int = 0,
        horizon: float = HORIZON,
    ) -> list[Item]:
        with self._lock:
            self._must_be_enrolled(owner)
            self._end_others(owner, now)
            if not self.extend(owner, now, lease):
                raise LeaseLost("another runner took over, because this one did not get on for too long")
            found = self._due(now, now + horizon, select) if due_only else self._waiting(select, after)
            items = []
            for message, recipients in found[:limit]:
                for one in recipients:
                    one.origin, one.state, one.owner = one.state, states.ACTIVE, owner
                items.append(Item(copy(message), [copy(one) for one in recipients]))
            return items

    def _waiting(self, select: Select | None, after: int) -> "list[tuple[Message, list[Recipient]]]":
        found = []
        for message in self._messages.values():
            if message.id > after:
                recipients = [
                    one
                    for one in self._recipients[message.id]
                    if one.state in states.WAITING and matches(select, message, one)
                ]
                if recipients:
                    found.append((message, recipients))
        return found

    def _due(self, now: float, far: float, select: Select | None) -> "list[tuple[Message, list[Recipient]]]":
        """Return what is due: a message of each lane in turn, in each lane the one that was due first."""
        lanes: dict[tuple[str, str], list[tuple[float, Message, list[Recipient]]]] = {}
        for message, recipients in self._waiting(select, 0):
            key = (message.account, message.config)
            if now < self._lanes[key].until <= far:
                continue
            due = [one for one in recipients if one.due <= now or one.due > far]
            if due:
                first = min([-1.0 if one.due > far else one.due for one in due])
                lanes.setdefault(key, []).append((first, message, due))
        turns = [sorted(lane, key=lambda each: (each[0], each[1].id)) for lane in lanes.values()]
        longest = max([len(turn) for turn in turns], default=0)
        return [turn[place][1:] for place in range(longest) for turn in turns if place < len(turn)]

    def _end_others(self, owner: str, now: float) -> None:
        clock = self._steady() if self._steady is not None else now
        for other, expires in list(self._owners.items()):
            if other != owner and expires <= clock and self._give_back(other, None):
                del self._owners[other]

    def _give_back(self, owner: str, messages: "set[int] | None") -> int:
        number = 0
        for message, recipients in self._recipients.items():
            for one in recipients:
                if one.owner == owner and (messages is None or message in messages):
                    one.state, one.origin, one.owner = one.origin, "", ""
                    number += 1
        return number

    def open(self, message: Message) -> Stored:
        with self._lock:
            if message.id not in self._texts:
                raise Damaged(f"message {message.id} cannot be read: it is not there; was it removed meanwhile?")
            header, body = self._texts[message.id]
        if len(body) <= _PIECE:
            return Stored(header, StoredBody(message, lambda number: b"", body))
        return Stored(header, StoredBody(message, lambda number: body[number * _PIECE : (number + 1) * _PIECE], None))

    def finish(
        self, owner: str, results: "Iterable[Result]", notices: "Iterable[Notice]" = ()
    ) -> "list[Key]":
        with self._lock:
            self._must_be_enrolled(owner)
            results = list(results)
            for result in results:
                if result.state not in states.RESULTS:
                    raise errors.SoftwareError(f"no attempt ends as {result.state}")
            mine = [(r, one) for r in results if (one := self._one(r.message, r.number)) is not None and one.owner == owner]
            accepted = [(r.message, r.number) for r, _ in mine]
            for notice in notices:
                told = notice.failure and self._messages[notice.about[0][0]].awaited
                notice.entered = set(notice.about) <= set(accepted) and not told
            self.add_many([notice.entry for notice in notices if notice.entered])
            for result, one in mine:
                report(one, result)
                self._past.note(self._messages[one.message], one, result)
            gone = {message for message in {message for message, _ in accepted} if self._drop_if_done(message)}
            for result in results:
                result.gone = result.message in gone
            return accepted

    def _one(self, message: int, number: int) -> Recipient | None:
        recipients = self._recipients.get(message, [])
        return recipients[number] if 0 <= number < len(recipients) else None

    def _drop_if_done(self, message: int) -> bool:
        if not all([one.state in states.DONE for one in self._recipients[message]]):
            return False
        del self._ids[self._messages[message].qid]
        del self._messages[message], self._texts[message], self._recipients[message]
        return True

    def extend(self, owner: str, now: float, lease: float) -> bool:
        with self._lock:
            self._must_be_enrolled(owner)
            if owner not in self._owners:
                return False
            self._owners[owner] = (self._steady() if self._steady is not None else now) + lease
            return True

    def release(self, owner: str) -> int:
        with self._lock:
            if owner not in self._enrolled:
                return 0
            self._enrolled.discard(owner)
            self._owners.pop(owner, None)
            return self._give_back(owner, None)

    def give_back(self, owner: str, messages: "Iterable[int]") -> int:
        with self._lock:
            self._must_be_enrolled(owner)
            return self._give_back(owner, set(messages))

    def lanes(self) -> list[Lane]:
        with self._lock:
            found = []
            for lane in self._lanes.values():
                waiting = [
                    one
                    for message in self._messages.values()
                    if (message.account, message.config) == (lane.account, lane.config)
                    for one in self._recipients[message.id]
                    if one.state in states.WAITING
                ]
                if lane.until > 0 or waiting:
                    shown = copy(lane)
                    shown.waiting = len(waiting)
                    found.append(shown)
            return found

    def close_lane(
        self, account: str, config: str, until: float, *, failures: int = 1, reply: str = "", dsn: str = ""
    ) -> None:
        with self._lock:
            lane = self._lane(account, config)
            lane.until, lane.failures, lane.reply, lane.dsn = until, failures, reply[:_LIMIT], dsn

    def open_lane(self, account: str, config: str) -> None:
        self.close_lane(account, config, 0.0, failures=0)

    def next_due(self, now: float, horizon: float = HORIZON) -> float | None:
        return min([lane.at for lane in self.outlook(now, horizon)], default=None)

    def outlook(
        self, now: float, horizon: float = HORIZON, only: tuple[str, str] | None = None
    ) -> list[Outlook]:
        with self._lock:
            times: dict[tuple[str, str], list[float]] = {}
            for message, recipients in self._waiting(None, 0):
                times.setdefault((message.account, message.config), []).extend([one.due for one in recipients])
            found = []
            for key, lane in self._lanes.items():
                if key in times and only in (None, key):
                    due = now if max(times[key]) > now + horizon else max(now, min(times[key]))
                    until = lane.until if now < lane.until <= now + horizon else 0.0
                    found.append(Outlook(*key, due, until, lane.failures))
            return found

    def expire(self, now: float, keepfailed: float) -> int:
        with self._lock:
            number = 0
            for message in list(self._recipients):
                for one in self._recipients[message]:
                    if one.state == states.FAILED:
                        one.done = min(one.done, now)
                        if one.done <= now - keepfailed:
                            take_out(one, now)
                            number += 1
                self._drop_if_done(message)
            return number

    def tidy(self, now: float) -> None:
        with self._lock:
            self._past.trim(now)

    # Answers that somebody waits for

    def awaited(self) -> list[str]:
        with self._lock:
            return [message.qid for message in self._messages.values() if message.awaited]

    def settle(self, qid: str, failed: "Iterable[int]", notices: "Iterable[Notice]" = (), *, drop: bool = False) -> bool:
        with self._lock:
            message = self._messages.get(self._ids.get(qid, 0))
            if message is None or not message.awaited:
                return True
            recipients = self._recipients[message.id]
            found = [one for one in recipients if one.state == states.FAILED]
            others = [one for one in recipients if one.state not in (states.FAILED, *states.DONE)]
            if {one.number for one in found} != set(failed) or (drop and others):
                return False
            notices = list(notices)
            self.add_many([notice.entry for notice in notices])
            for notice in notices:
                notice.entered = True
            message.awaited = False
            if drop:
                for one in found:
                    take_out(one, one.done)
                self._drop_if_done(message.id)
            return True

    # Seeing and steering

    def listing(self, select: Select | None = None, after: int = 0) -> "Iterator[Item]":
        while True:
            with self._lock:
                ids = [number for number in self._messages if number > after][:_PAGE]
                items = [self._listed(self._messages[number], select) for number in ids]
            yield from [item for item in items if item.recipients]
            if len(ids) < _PAGE:
                return
            after = ids[-1]

    def _listed(self, message: Message, select: Select | None) -> Item:
        all_states = select is not None and select.states is not None
        recipients = [
            self._shown(message, one)
            for one in self._recipients[message.id]
            if matches(select, message, one) and (all_states or one.state not in states.DONE)
        ]
        return Item(copy(message), recipients)

    def _shown(self, message: Message, one: Recipient) -> Recipient:
        shown = copy(one)
        lane = self._lanes[message.account, message.config]
        if not shown.reply and lane.until > 0 and shown.state in states.WAITING:
            shown.reply, shown.dsn = lane.reply, lane.dsn
        return shown

    def get(self, qid: str) -> Item | None:
        with self._lock:
            number = self._ids.get(qid)
            if number is None:
                return None
            message = self._messages[number]
            return Item(copy(message), [self._shown(message, one) for one in self._recipients[number]])

    def waiting_of(self, uid: int) -> int:
        with self._lock:
            here = (*states.WAITING, states.ACTIVE, states.HELD)
            mine = [message for message in self._messages.values() if message.uid == uid]
            return sum([any(one.state in here for one in self._recipients[message.id]) for message in mine])

    def counts(self, uid: int | None = None) -> Counts:
        with self._lock:
            tally = dict.fromkeys(states.STATES, 0)
            messages = [message for message in self._messages.values() if uid in (None, message.uid)]
            for message in messages:
                for one in self._recipients[message.id]:
                    tally[one.state] += 1
            oldest = min([message.created for message in messages], default=0.0)
            return Counts(len(messages), sum([message.size for message in messages]), oldest, tally)

    def journey(
        self,
        qid: str | None = None,
        uid: int | None = None,
        after: int = 0,
        limit: int = 1000,
        *,
        among: tuple[str, ...] = states.RESULTS,
        newest: bool = False,
    ) -> "list[Leg]":
        with self._lock:
            return self._past.journey(qid, uid, after, limit, among, newest)

    def travelled(self, limit: int, uid: int | None = None) -> list[str]:
        with self._lock:
            return self._past.travelled(limit, uid)

    def tally(self, since: float, until: float, uid: int | None = None) -> dict[str, int]:
        with self._lock:
            return self._past.tally(since, until, uid)

    def publish(self, process: str, values: dict[str, str], now: float) -> None:
        with self._lock:
            self._past.publish(process, values, now)

    def gauges(self) -> "list[Gauge]":
        with self._lock:
            return self._past.gauges()

    def hold(self, select: Select) -> Steered:
        return self._steer(select, states.sources("hold"), hold)

    def unhold(self, select: Select) -> Steered:
        return self._steer(select, states.sources("unhold"), unhold)

    def retry(self, select: Select, now: float) -> Steered:
        def again(one: Recipient) -> None:
            if one.state == states.FAILED:
                one.state, one.attempts, one.warned, one.done = states.QUEUED, 0, False, 0.0
            one.due = now
            message = self._messages[one.message]
            self._lanes[message.account, message.config].until = 0.0

        return self._steer(select, (*states.WAITING, *states.sources("retry")), again)

    def untried(self, select: Select, since: float, now: float) -> bool:
        with self._lock:
            return any(
                one.state in (*states.WAITING, states.ACTIVE)
                and one.last_tried < since
                and message.created <= since
                and self._lanes[message.account, message.config].until <= now
                for message in self._messages.values()
                for one in self._recipients[message.id]
                if matches(select, message, one)
            )

    def remove(self, select: Select, now: float) -> Steered:
        return self._steer(select, states.sources("remove"), lambda one: take_out(one, now))

    def _steer(self, select: Select, sources: tuple[str, ...], work: "Callable[[Recipient], None]") -> Steered:
        steered = Steered(0, 0)
        with self._lock:
            for message in list(self._messages.values()):
                for one in self._recipients[message.id]:
                    if not matches(select, message, one):
                        continue
                    if one.state in sources:
                        work(one)
                        steered.changed += 1
                    elif one.state == states.ACTIVE:
                        steered.busy += 1
                self._drop_if_done(message.id)
        return steered

    def check(self) -> "Iterator[Problem]":
        return iter(())

    def close(self) -> None:
        with self._lock:
            for owner in list(self._enrolled):
                self.release(owner)
