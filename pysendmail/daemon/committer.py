"""Committing submissions to the queue, in a thread of its own, so that no caller waits for the reading of another one.

While one commit is on its way to the disk, what comes in gathers and goes with the next one all at once. Nobody waits
for others to come: a single message is committed alone and at once.
"""

from _thread import allocate_lock, start_new_thread

from pysendmail import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.queue.store import Store
    from pysendmail.queue.values import Entry

_OCTETS = 8 << 20  # of text in one commit, so that a large message keeps few others waiting
_MESSAGES = 200


class Job:
    """Messages that are to be committed, all of them or none.

    `done` is called in the committer's thread with what went wrong, None for nothing. While `dropped` is set it need not
    be done: its caller is gone.
    """

    __slots__ = ("done", "dropped", "entries", "size")

    def __init__(self, entries: "list[Entry]", done: "Callable[[errors.Failure | None], None]") -> None:
        self.entries = entries
        self.done = done
        self.dropped = False
        self.size = sum([len(entry.header) + entry.body.size for entry in entries])


class Committer:
    """Commit what is given to it, in the order in which it comes. `committed` is called after each commit.

    `failure` is the bug that has ended its work, if one has.
    """

    __slots__ = ("_committed", "_ended", "_ending", "_jobs", "_lock", "_ready", "_store", "failure", "messages", "octets")

    def __init__(self, store: "Store", committed: "Callable[[], None]") -> None:
        self._store = store
        self._committed = committed
        self._lock = allocate_lock()
        self._ready = allocate_lock()  # held while there is nothing to do
        self._ended = allocate_lock()
        self._jobs: list[Job] = []
        self._ending = False
        self.failure: errors.Failure | None = None
        self.messages = 0  # submissions that were committed, and how much they held
        self.octets = 0

    def start(self) -> None:
        """Begin to work."""
        self._ready.acquire()
        self._ended.acquire()
        start_new_thread(self._work, ())

    def stop(self) -> None:
        """Do what is there, and end."""
        self._ending = True
        self._wake()
        with self._ended:
            pass

    def take(self, job: Job) -> None:
        """Have a message committed."""
        with self._lock:
            self._jobs.append(job)
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if self._ready.locked():
                self._ready.release()

    def _work(self) -> None:
        try:
            while True:
                self._ready.acquire()
                while jobs := self._next():
                    self._commit(jobs)
                if self._ending:
                    return
        except Exception as error:
            self.failure = errors.internal(error)
        finally:
            self._ended.release()

    def _next(self) -> list[Job]:
        """Return what is to be committed together."""
        with self._lock:
            taken, size = 0, 0
            for job in self._jobs:
                if taken and (size + job.size > _OCTETS or taken >= _MESSAGES):
                    break
                taken += 1
                size += job.size
            jobs, self._jobs = self._jobs[:taken], self._jobs[taken:]
        return jobs

    def _commit(self, jobs: list[Job]) -> None:
        """Commit messages together; where that fails, each by itself, since one of them may be the cause."""
        jobs = [job for job in jobs if not job.dropped]
        if not jobs:
            return
        failure = self._add(jobs)
        before = self.messages
        for job in jobs:
            its = failure if len(jobs) == 1 or failure is None else self._add([job])
            if its is None:
                self.messages += 1
                self.octets += job.size
            job.done(its)
        if self.messages > before:
            self._committed()  # after the callers, whose answers must not compete with the delivery for the processor

    def _add(self, jobs: list[Job]) -> "errors.Failure | None":
        try:
            self._store.add_many([entry for job in jobs for entry in job.entries])
        except errors.Failure as failure:
            return failure
        except Exception as error:  # a bug that one message brings to light must not end the accepting of all others
            return errors.internal(error)
        return None
