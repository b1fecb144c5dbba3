"""Use a queue in a process of its own, as the commands do: `python -I -S -B worker.py ROOT QUEUE ACTION QID`.

What was done is told on standard output, a word at a time, as soon as it is certain: `250` when a smarthost would have
said so, `marked` when that is in the queue, `added`. The exit code is that of the failure, if there is one. The process
leaves without closing the queue unless the action is `close`.
"""

import os
import sys

root, path, action, qid = sys.argv[1:]
sys.path.insert(0, root)
sys.dont_write_bytecode = True

from pysendmail import errors  # noqa: E402
from pysendmail.message.body import BodyWriter  # noqa: E402
from pysendmail.queue import claims, leases  # noqa: E402, F401 (loaded before the first call that matters)
from pysendmail.queue.sqlite import SqliteStore  # noqa: E402
from pysendmail.queue.values import Entry, QueuedRecipient, Result  # noqa: E402

NOW = 1_700_000_000.0


def tell(word: str) -> None:
    os.write(1, word.encode() + b"\n")


def entry() -> Entry:
    writer = BodyWriter()
    writer.feed(b"x" * 76 + b"\n" if action != "large" else b"y" * 3_000_000 + b"\n")
    return Entry(qid, 1000, b"alice@x", b"Subject: q\r\n", writer.finish(), [QueuedRecipient(b"bob@y")], created=NOW)


def run() -> None:
    store = SqliteStore(path, patience=3.0)  # nobody else is there to wait for
    if action in ("add", "large", "close"):
        store.add(entry())
        tell("added")
        if action == "close":
            store.close()
        return
    owner = store.enroll()
    for item in store.claim(owner, NOW, 60.0, 10):
        list(store.open(item.message).body.chunks())
        results = [Result(one.message, one.number, "sent", tried=NOW) for one in item.recipients]
        tell("250 " + item.message.qid)
        store.finish(owner, results)
        tell("marked " + item.message.qid)
    store.release(owner)


try:
    run()
except errors.Failure as failure:
    os.write(2, str(failure).encode("utf-8", "surrogateescape"))
    os._exit(failure.exit_code)
os._exit(0)
