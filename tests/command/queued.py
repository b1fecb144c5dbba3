"""A queue with messages in every state, and the command `pysendmail queue` on it."""

import argparse
import json
from typing import Any

from pysendmail.command.admin import queue
from pysendmail.message.body import BodyWriter
from pysendmail.queue.memory import MemoryStore
from pysendmail.queue.store import Store
from pysendmail.queue.values import Entry, QueuedRecipient, Result, Select

NOW = 1_800_000_000.0  # Fri Jan 15 08:00:00 2027 UTC
HOUR = 3600.0
HEADER = b"From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: hello\r\n"
REFUSED = "connect to smtp.example.org[192.0.2.1]:587: Connection refused"


class Shared(MemoryStore):
    """A queue in memory whose runners are other processes, who go on when one command closes its store."""

    def close(self) -> None:
        pass


class Queue:
    """A queue, in memory unless another store is given, filled message by message; ids count up: 1M0001, 1M0002."""

    def __init__(self, store: Store | None = None) -> None:
        self.store: Store = store or Shared()
        self.number = 0

    def add(self, *recipients: QueuedRecipient | str, sender: bytes = b"alice@example.org", **more: Any) -> str:
        """Put a message into the queue and return its id; `age` is in seconds, `text` the body."""
        self.number += 1
        writer = BodyWriter()
        writer.feed(more.pop("text", b"text\n"))
        created = NOW - more.pop("age", HOUR)
        entry = Entry(
            f"1M{self.number:04d}",
            more.pop("uid", 1000),
            sender,
            more.pop("header", HEADER),
            writer.finish(False),
            [QueuedRecipient(each.encode()) if isinstance(each, str) else each for each in recipients],
            created=created,
            **more,
        )
        return self.store.add(entry)

    def claim(self, qid: str) -> str:
        """Let a runner be at a message; return the name of the owner."""
        owner = self.store.enroll()
        assert self.store.claim(owner, NOW, HOUR, 1, due_only=False, select=Select(qids=[qid]))
        return owner

    def end(self, qid: str, state: str, **more: object) -> None:
        """Let an attempt for the first recipient of a message end in a state."""
        owner = self.claim(qid)
        item = self.store.get(qid)
        assert item is not None
        result = Result(item.message.id, 0, state, **{"tried": NOW - 60, **more})  # type: ignore[arg-type]
        assert self.store.finish(owner, [result]) == [(item.message.id, 0)]
        self.store.release(owner)

    def states(self, qid: str) -> list[str]:
        """Give the states of a message's recipients; nothing if it is gone."""
        item = self.store.get(qid)
        return [] if item is None else [one.state for one in item.recipients]


def deferred(address: str = "bob@example.net", **more: object) -> QueuedRecipient:
    """Make a recipient who was tried twice and waits for another quarter of an hour."""
    facts: dict[str, object] = {
        "state": "deferred", "due": NOW + 900, "attempts": 2, "reply": REFUSED, "dsn": "4.4.1", "tried": NOW - 300,
    }  # fmt: skip
    return QueuedRecipient(address.encode(), **{**facts, **more})  # type: ignore[arg-type]


def run(store: Store | None, *arguments: str, uid: int | None = None) -> int:
    """Run `pysendmail queue` with these arguments, as somebody who is limited to `uid`."""
    parser = argparse.ArgumentParser(prog="pysendmail")
    queue.add_parser(parser.add_subparsers())
    return queue.run(parser.parse_args(["queue", *arguments]), lambda config, account: (store, uid), NOW)


def objects(text: str) -> list[dict[str, Any]]:
    """Read JSON, one object a line."""
    return [json.loads(line) for line in text.splitlines()]
