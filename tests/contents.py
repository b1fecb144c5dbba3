"""What is in a queue file, as somebody sees it who opens it beside all others."""

import pathlib

from pysendmail.queue.location import Missing
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.values import Item


class Contents:
    """Whoever has a queue file at `queue`."""

    queue: pathlib.Path

    def items(self) -> list[Item]:
        """Give the messages in the queue with their recipients, as of now; a queue that is not there has none."""
        try:
            store = SqliteStore(str(self.queue), create=False)
        except Missing:
            return []
        try:
            return list(store.listing())
        finally:
            store.close()

    def waiting(self) -> list[tuple[str, str]]:
        """Give address and state of everybody in the queue."""
        return [(one.address.decode(), one.state) for item in self.items() for one in item.recipients]
