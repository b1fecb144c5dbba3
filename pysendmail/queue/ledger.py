"""Recording what became of recipients, so that nothing that a smarthost has answered is forgotten.

A courier enters the results of each transaction before it begins the next one on the same connection. While one commit
is on its way to the disk, what the other couriers enter gathers, and goes with the next commit all at once.

If the queue cannot be written, the results are kept and tried again for a while. What was sent counts most: forgotten, it
would be sent again. What was refused would only be refused again.
"""

from _thread import allocate_lock

from pysendmail import errors
from pysendmail.queue.states import DEFERRED, FAILED
from pysendmail.queue.store import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.queue.store import Store
    from pysendmail.queue.values import Notice, Result

_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 20.0)  # seconds


class Unrecorded(Exception):
    """Results could not be written into the queue; `failure` says why."""

    def __init__(self, failure: errors.Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Page:
    """What is entered of one message.

    Afterwards `accepted` are the results that counted, as (message, number), `repeated` is how many recipients have, or
    may have, what the queue could not be told of because the lease was lost, and `failure` says why nothing could be
    written.
    """

    __slots__ = ("accepted", "failure", "notices", "repeated", "results", "written")

    def __init__(self, results: "list[Result]", notices: "list[Notice]") -> None:
        self.results = results
        self.notices = notices
        self.accepted: set[tuple[int, int]] = set()
        self.failure: errors.Failure | None = None
        self.repeated = 0
        self.written = False


class Ledger:
    """The results of one owner of leases. `sleep` waits for some seconds."""

    __slots__ = ("_gathered", "_lock", "_owner", "_sleep", "_store", "_writing")

    def __init__(self, store: "Store", owner: str, sleep: "Callable[[float], None]") -> None:
        self._store = store
        self._owner = owner
        self._sleep = sleep
        self._lock = allocate_lock()
        self._writing = allocate_lock()
        self._gathered: list[Page] = []

    def enter(self, results: "list[Result]", notices: "list[Notice]") -> set[tuple[int, int]]:
        """Commit results with the reports on them; return those accepted, as (message, number). Raises Unrecorded."""
        page = Page(results, notices)
        self.enter_all([page])
        if page.failure is not None:
            raise Unrecorded(page.failure)
        return page.accepted

    def enter_all(self, pages: list[Page]) -> None:
        """Commit what the pages hold, all at once unless one of them is in the way. Each says what came of it."""
        with self._lock:
            self._gathered += pages
        with self._writing:
            if not pages[-1].written:
                with self._lock:
                    gathered, self._gathered = self._gathered, []
                self._write(gathered)

    def _write(self, pages: list[Page]) -> None:
        """Write what has gathered; where that fails, one page after the other, since one may be the cause."""
        try:
            self._commit(pages)
        except errors.Failure:
            for page in pages:
                self._insist(page)
        finally:
            for page in pages:
                page.written = True

    def _commit(self, pages: list[Page]) -> None:
        results = [result for page in pages for result in page.results]
        notices = [notice for page in pages for notice in page.notices]
        accepted = set(self._store.finish(self._owner, results, notices))
        for page in pages:
            page.accepted = accepted if len(pages) == 1 else accepted & {(r.message, r.number) for r in page.results}

    def _insist(self, page: Page) -> None:
        """Write one page, as often as it takes; in the end only what must not be forgotten."""
        for pause in (0.0, *_PAUSES):
            self._sleep(pause)
            page.failure = self._failure_of(page)
            if page.failure is None or isinstance(page.failure, errors.SoftwareError | Malformed):
                break
        if page.failure is not None:
            done = Page([result for result in page.results if result.state not in (FAILED, DEFERRED)], [])
            if done.results and self._failure_of(done) is None:
                page.accepted, page.failure = done.accepted, None

    def _failure_of(self, page: Page) -> errors.Failure | None:
        """Try to write a page; return what is in the way."""
        try:
            self._commit([page])
        except errors.Failure as failure:
            return failure
        return None
