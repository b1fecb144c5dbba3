"""What the tests of the stores share: messages to put in, a clock to turn, and the stores themselves."""

import itertools
import pathlib
from collections.abc import Sequence
from typing import Any

from pysendmail.log import queue_id
from pysendmail.message.body import Body, BodyWriter
from pysendmail.queue import states
from pysendmail.queue.memory import MemoryStore
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.store import Store
from pysendmail.queue.values import Entry, Item, QueuedRecipient, Result

NOW = 1_700_000_000.0
HEADER = b"From: alice@example.org\r\nSubject: queue\r\n"
_numbers = itertools.count(1)


class Clock:
    """A clock that runs only when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def body(data: bytes = b"hello\n", **options: Any) -> Body:
    """Make a body."""
    writer = BodyWriter(**options)
    writer.feed(data)
    return writer.finish()


def entry(
    *recipients: bytes | QueuedRecipient,
    data: bytes = b"hello\n",
    header: bytes = HEADER,
    sender: bytes = b"alice@example.org",
    uid: int = 1000,
    created: float = NOW,
    **more: Any,
) -> Entry:
    """Make a message for bob, or for these recipients."""
    known = [each if isinstance(each, QueuedRecipient) else QueuedRecipient(each) for each in recipients]
    qid = more.pop("qid", None) or queue_id(NOW, next(_numbers))
    known = known or [QueuedRecipient(b"bob@example.net")]
    return Entry(qid, uid, sender, header, body(data), known, created=created, **more)


def make(kind: str, folder: pathlib.Path, steady: Clock | None = None, **options: Any) -> Store:
    """Make a store of this kind."""
    clock = steady or Clock()
    if kind == "memory":
        return MemoryStore(steady=clock)
    return SqliteStore(str(folder / "queue.db"), steady=clock, **options)


def claim(store: Store, owner: str, limit: int = 100, now: float = NOW, lease: float = 60.0, **more: Any) -> list[Item]:
    """Claim what is due at NOW."""
    return store.claim(owner, now, lease, limit, **more)


def claimed(items: list[Item]) -> dict[str, list[bytes]]:
    """Give the addresses that were claimed, by queue id."""
    return {item.message.qid: [one.address for one in item.recipients] for item in items}


def results(items: list[Item], state: str = states.SENT, tried: float = NOW, **more: Any) -> list[Result]:
    """Report the same of everything that was claimed."""
    return [
        Result(one.message, one.number, state, tried=tried, **more) for item in items for one in item.recipients
    ]


def contents(store: Store) -> dict[str, list[tuple[bytes, str]]]:
    """Give addresses and states of all that a list shows, by queue id."""
    return {item.message.qid: [(one.address, one.state) for one in item.recipients] for item in store.listing()}


def text(store: Store, item: Item) -> bytes:
    """Read a whole message."""
    stored = store.open(item.message)
    return stored.header + b"\r\n" + b"".join(stored.body.chunks())


def fields(value: object, without: Sequence[str] = ()) -> dict[str, object]:
    """Give what a value holds."""
    return {name: getattr(value, name) for name in getattr(value, "__slots__", ()) if name not in without}
