"""What the tests of the service share: a queue, a service in a thread, and the byte that says that something came."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from pysendmail import errors
from pysendmail.delivery.session import Route
from pysendmail.queue.memory import MemoryStore
from pysendmail.queue.schedule import Schedule
from pysendmail.queue.service import Service
from pysendmail.queue.settings import Settings, Way
from pysendmail.queue.store import Store
from pysendmail.smtp.sasl import Credentials
from tests.crowd import Crowd
from tests.delivery import memory
from tests.queue import stores
from tests.queue.running import KeptLog

PATIENCE = 60.0


class Shop:
    """A service with all that it needs; messages go to the port of `ports`, by account."""

    def __init__(self, port: int, store: Store | None = None, **settings: Any) -> None:
        self.ports = {"": port}
        self.edition = 0  # of the configuration
        self.store = store or MemoryStore(steady=time.monotonic)
        self.log = KeptLog()
        self.words: dict[str, object] = {"timeout": 20}
        self.credentials: Credentials | None = None
        self.asked: list[str] = []
        self.before_route: Callable[[str], object] = lambda account: None
        self.news = 0
        self.ahead = 0.0  # how far the clock is ahead of the true time
        settings.setdefault("keep", 60.0)
        settings.setdefault("host", "me.test")
        settings.setdefault("domain", b"me.test")
        settings.setdefault("schedule", Schedule(first=0.5, longest=3600.0))
        self.settings = Settings(**settings)
        self.reader, self.writer = os.pipe()
        for end in (self.reader, self.writer):
            os.set_blocking(end, False)
        self.service = Service(
            self.store, self.routes, wake=self.reader, tell=self._tell, log=self.log, clock=self.clock, chance=lambda: 0.0
        )
        self.thread = threading.Thread(target=self.service.run, daemon=True)

    def clock(self) -> float:
        return time.time() + self.ahead

    def _tell(self) -> None:
        self.news += 1

    def routes(self, account: str, config: str) -> Way:
        if account not in self.ports:
            raise errors.ConfigError(f"there is no account {account}")

        edition = self.edition

        def route() -> Route:
            self.asked.append(account)
            self.before_route(account)
            words = {"host": "127.0.0.1", "port": self.ports[account], **self.words}
            return memory.route(words, self.credentials)

        return Way(self.settings, route, lambda tag: self.log, lambda: self.edition != edition)

    def add(self, *recipients: Any, wake: bool = True, **more: Any) -> str:
        """Commit a message, and say so."""
        more.setdefault("created", self.clock())
        qid = self.store.add(stores.entry(*recipients, **more))
        if wake:
            self.wake()
        return qid

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self.writer, b"c")

    def gone(self, qid: str) -> None:
        """Wait until a message has left the queue."""
        until(lambda: self.store.get(qid) is None)

    def state(self, qid: str) -> str:
        """Return the state of the only recipient of a message."""
        item = self.store.get(qid)
        return item.recipients[0].state if item else "gone"

    def gauge(self, name: str) -> str:
        return next((gauge.value for gauge in self.store.gauges() if gauge.name == name), "")


def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until something holds."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.005)


@contextlib.contextmanager
def open_shop(port: int, store: Store | None = None, **settings: Any) -> Iterator[Shop]:
    """Run a service meanwhile."""
    shop = Shop(port, store, **settings)
    try:
        yield start(shop)
    finally:
        end(shop)


def start(shop: Shop) -> Shop:
    shop.thread.start()
    return shop


def end(shop: Shop) -> None:
    """Stop a service and wait for its end."""
    shop.service.stop()
    shop.thread.join(PATIENCE)
    assert not shop.thread.is_alive()
    os.close(shop.reader)
    with contextlib.suppress(OSError):
        os.close(shop.writer)


def names(server: Crowd) -> list[str]:
    """Give everybody for whom a message was taken."""
    return [recipient for delivery in server.deliveries for recipient in delivery.recipients]


def verbs(server: Crowd) -> list[str]:
    return [command.split(" ")[0] for command in server.commands]


def closed(shop: Shop) -> bool:
    """Tell whether a lane is closed."""
    return any([lane.until > 0 for lane in shop.store.lanes()])
