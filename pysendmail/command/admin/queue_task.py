"""What all commands for the queue have in common: the arguments, the store, whose messages count, and the way out."""

from time import time

from pysendmail import errors
from pysendmail.command.admin import queue_select
from pysendmail.command.admin.outlook import Outlook
from pysendmail.command.console import complain
from pysendmail.command.output import Gone, Output
from pysendmail.queue.store import Damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable

    from pysendmail.queue.store import Store
    from pysendmail.queue.values import Item, Select

    # From the file of -C and the account of -a: the store, None if there is none yet, and the uid to whose messages the
    # caller is limited, None if he is not.
    OpenQueue = Callable[[str | None, str | None], tuple[Store | None, int | None]]


class Task:
    """One call: the arguments `asked`, a store, the `uid` to which it is limited (None: it is not), the time `now`."""

    __slots__ = ("asked", "now", "output", "store", "uid")

    def __init__(self, asked: "Namespace", store: "Store", uid: int | None, now: float) -> None:
        self.asked = asked
        self.store = store
        self.uid = uid
        self.now = now
        self.output = Output()

    def outlook(self) -> Outlook:
        """Return when the queue tries what again."""
        return Outlook(self.store.lanes(), self.now)

    def write(self, lines: "Iterable[str]") -> bool:
        """Print lines; tell whether there were any."""
        some = False
        for line in lines:
            self.output.write(line)
            some = True
        return some

    def without_missing(self, select: "Select") -> "list[str]":
        """Take the ids that are not in the queue out of a selection, and return them."""
        if select.qids is None:
            return []
        there = [qid for qid in dict.fromkeys(select.qids) if self.find(qid) is not None]
        missing = [qid for qid in dict.fromkeys(select.qids) if qid not in there]
        select.qids = there
        return missing

    def find(self, qid: str) -> "Item | None":
        """Return a message with all its recipients if it is there and the caller may see it."""
        item = self.store.get(qid)
        return item if item is not None and self.uid in (None, item.message.uid) else None

    def each(self, lines: "Callable[[Item], Iterable[str]]", between: str) -> int:
        """Print the lines of each message that was asked for, going on behind one that is not there or is damaged."""
        missing = []
        code = 0
        separator = ""
        for qid in queue_select.ids(self.asked):
            item = self.find(qid)
            if item is None:
                missing.append(qid)
                continue
            self.output.write(separator)
            separator = between
            try:
                self.write(lines(item))
            except Damaged as failure:
                code = self.complain(failure)
        return code or self.tell_missing(missing)

    def tell_missing(self, missing: list[str]) -> int:
        """Complain of ids that are not in the queue; return the exit code, 0 if there are none."""
        return self.complain(queue_select.unknown(missing)) if missing else 0

    def complain(self, failure: errors.Failure) -> int:
        """Write a failure that does not end the command to standard error, and return its exit code."""
        self.output.flush()
        complain("pysendmail", str(failure))
        return failure.exit_code


def open_store(asked: "Namespace", open_queue: "OpenQueue") -> "tuple[Store, int | None]":
    """Open the queue that the arguments mean, and return it with the uid to which the caller is limited. Raises Failure.

    Where there is none yet that is as good as an empty one.
    """
    store, uid = open_queue(asked.config, asked.account)
    if store is None:
        from pysendmail.queue.memory import MemoryStore

        store = MemoryStore()
    return store, uid


def perform(asked: "Namespace", open_queue: "OpenQueue", now: float | None, work: "Callable[[Task], int]") -> int:
    """Have `work` do what the arguments ask for, and return its exit code; `now` stands in for the clock. Raises Failure."""
    store, uid = open_store(asked, open_queue)
    try:
        task = Task(asked, store, uid, time() if now is None else now)
        code = work(task)
        task.output.flush()
        return code
    except Gone:
        return 0
    finally:
        store.close()
