"""What a service does for its queue besides sending: forgetting what is old, and settling what nobody waits for any more.

It is done in a thread of its own, since it may take a while, and none of it is urgent.
"""

import _thread

from pysendmail import errors
from pysendmail.queue import awaited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.queue.settings import Settings
    from pysendmail.queue.store import Store

WAIT = 1200.0
"""Seconds after which nobody waits for an answer any more: longer than the daemon lets anybody wait."""

_EVERY = 3600.0  # seconds
_RESULTS = 5000  # recipients settled, after which legs of journeys are forgotten earlier than that
_LOOK = 60.0  # seconds between two looks for answers that nobody waits for


class House:
    """The house of a service. `settings` are those of an account and a configuration, `note` writes a warning to the log."""

    __slots__ = ("_busy", "_clock", "_done", "_keepfailed", "_look_at", "_note", "_settings", "_store", "_tidy_at")

    def __init__(
        self,
        store: "Store",
        settings: "Callable[[str, str], Settings]",
        keepfailed: float,
        clock: "Callable[[], float]",
        note: "Callable[[str], None]",
    ) -> None:
        self._store = store
        self._settings = settings
        self._keepfailed = keepfailed
        self._clock = clock
        self._note = note
        self._busy = False
        self._done = 0
        self._tidy_at = 0.0
        self._look_at = 0.0

    def keep(self, done: int, now: float) -> None:
        """Do what is to be done at `now` (monotonic), when so many recipients have been settled."""
        tidy = now >= self._tidy_at or done >= self._done + _RESULTS
        if self._busy or not (tidy or now >= self._look_at):
            return
        self._look_at = now + _LOOK
        if tidy:
            self._tidy_at, self._done = now + _EVERY, done
        elif not self._store.awaited():
            return
        self._busy = True
        try:
            _thread.start_new_thread(self._work, (tidy,))
        except RuntimeError:
            self._busy = False  # some other time

    def _work(self, tidy: bool) -> None:
        try:
            now = self._clock()
            awaited.recover(self._store, self._settings, now, older=WAIT)
            if tidy:
                self._store.expire(now, self._keepfailed)
                self._store.tidy(now)
        except errors.Failure:
            pass  # the queue is in trouble, of which the service itself tells
        except Exception as error:
            self._note(str(errors.internal(error)))
        finally:
            self._busy = False
