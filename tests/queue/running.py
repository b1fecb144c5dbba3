"""What the tests of the runner share: a queue, smarthosts in memory, a clock that is turned by hand, and the log."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysendmail import errors
from pysendmail.delivery.session import Route
from pysendmail.log import Log
from pysendmail.queue import courier
from pysendmail.queue.report import RoundReport
from pysendmail.queue.runner import Runner
from pysendmail.queue.settings import Settings, Way
from pysendmail.queue.store import Store
from pysendmail.queue.values import Entry, Item, QueuedRecipient, Recipient, Select
from pysendmail.smtp.sasl import Credentials
from tests.delivery import memory
from tests.delivery.memory import Smarthost
from tests.queue import stores
from tests.queue.stores import NOW

DAY, HOUR, MINUTE = 86400.0, 3600.0, 60.0


class KeptLog(Log):
    """A log that stays in memory: the part and the text of each line."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__(None, None)
        self.lines: list[tuple[str, str]] = []

    def write_parts(self, parts: list[tuple[str, list[tuple[str, bool]]]], now: float) -> None:
        self.lines += [(part, line) for part, lines in parts for line, _ in lines]

    def of(self, part: str) -> list[str]:
        """Return the lines of one part."""
        return [line for name, line in self.lines if name == part]


class Desk:
    """A runner with all that it needs.

    `clock` is turned by setting `now`. The queue's messages go to `smarthost`, or where `routes` says for accounts of
    a name. A route may be replaced by the Failure that is raised instead.
    """

    def __init__(self, smarthost: Smarthost, store: Store | None = None, settings: Settings | None = None) -> None:
        self.smarthost = smarthost
        self.store = store or stores.make("memory", None)  # type: ignore[arg-type]
        self.clock = stores.Clock(NOW)
        self.log = KeptLog()
        self.settings = settings or Settings(host="me.test", domain=b"me.test")
        self.words: dict[str, object] = {}
        self.credentials: Credentials | None = None
        self.broken: dict[str, errors.Failure] = {}
        self.unroutable: dict[str, errors.Failure] = {}
        self.asked: list[str] = []
        self.runner = Runner(self.store, self.routes, log=self.log, clock=self.clock, chance=lambda: 0.0)

    def routes(self, account: str, config: str) -> Way:
        """Find the way for an account."""
        if account in self.broken:
            raise self.broken[account]

        def route() -> Route:
            self.asked.append(account)
            if account in self.unroutable:
                raise self.unroutable[account]
            return memory.route(self.words, self.credentials)

        return Way(self.settings, route, lambda tag: self.log)

    # The queue

    def add(self, *recipients: bytes | QueuedRecipient, **more: Any) -> str:
        """Put a message into the queue and return its id; recipients are bob, or these."""
        more.setdefault("created", self.clock.now)
        return self.store.add(self.entry(*recipients, **more))

    def entry(self, *recipients: bytes | QueuedRecipient, **more: Any) -> Entry:
        return stores.entry(*recipients, **more)

    def item(self, qid: str) -> Item:
        """Return a message of the queue."""
        found = self.store.get(qid)
        assert found is not None
        return found

    def one(self, qid: str) -> Recipient:
        """Return the only recipient of a message of the queue."""
        (recipient,) = self.item(qid).recipients
        return recipient

    def states(self, qid: str) -> dict[bytes, str]:
        """Return the state of each recipient of a message, {} if it is gone."""
        found = self.store.get(qid)
        return {one.address: one.state for one in found.recipients} if found else {}

    def reports(self) -> list[Item]:
        """Return the reports that wait in the queue."""
        return [item for item in self.store.listing() if item.message.bounce]

    def text(self, item: Item) -> bytes:
        """Return a message as it will leave."""
        return stores.text(self.store, item)

    # The runner

    def round(self, select: Select | None = None, **more: Any) -> RoundReport:
        """Run what is due now, or more."""
        with connected(self.smarthost):
            return self.runner.round(select, **more)

    def later(self, seconds: float, **more: Any) -> RoundReport:
        """Turn the clock and run."""
        self.clock.now += seconds
        return self.round(**more)


@contextlib.contextmanager
def connected(smarthost: Smarthost) -> Iterator[memory.Clock]:
    """Let couriers reach the smarthost in memory."""
    with memory.connected(smarthost) as (clock, _), pytest.MonkeyPatch.context() as patch:
        patch.setattr(courier, "monotonic", clock.monotonic)
        yield clock


def replying(*rules: tuple[bytes, bytes]) -> Callable[[memory.Connection, bytes], bytes | None]:
    """Answer the commands that begin so with this; everything else is fine."""

    def answer(connection: memory.Connection, line: bytes) -> bytes | None:
        return next((reply for start, reply in rules if line.startswith(start)), None)

    return answer


def mails(smarthost: Smarthost) -> list[bytes]:
    """Return the MAIL commands that the smarthost has heard."""
    return [line for line in smarthost.lines if line.startswith(b"MAIL")]
