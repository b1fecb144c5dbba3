"""The figures that a service shows of itself, in the queue, for whoever wants to see them (Store.gauges).

Those of the process `deliver` are: `started` (seconds since the epoch) and its `pid`; `connections`, those that stand, of
which `idle` wait for a message; `lanes`, those that are being worked on; `messages` and `octets`, attempts and how much was
to be sent; `sent`, `deferred`, `failed`, `uncertain`, `held`, recipients by what became of them; `reports`, messages to
senders. Of each account and configuration in trouble there is one `trouble`, a tab, the account, a tab, the configuration:
until when it is left alone (seconds since the epoch), a blank, and why.
"""

import os

from pysendmail import errors
from pysendmail.log import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.queue.report import RoundReport
    from pysendmail.queue.store import Store

PROCESS = "deliver"
_EVERY = 2.0  # seconds
_COUNTED = ("messages", "octets", "sent", "deferred", "failed", "uncertain", "held", "reports")
_TROUBLES = 100


class Figures:
    """Publish the figures of a service in `store`, when they have changed and not too often."""

    __slots__ = ("_clock", "_next", "_shown", "_started", "_store", "_waiting")

    def __init__(self, store: "Store", clock: "Callable[[], float]") -> None:
        self._store = store
        self._clock = clock
        self._started = f"{clock():.0f}"
        self._shown: dict[str, str] = {}
        self._next = 0.0
        self._waiting = False

    def show(self, report: "RoundReport", lanes: int, busy: int, idle: int, now: float) -> None:
        """Publish what has changed: lanes and connections are given as their numbers; `now` is monotonic."""
        figures = self._gather(report, lanes, busy, idle)
        self._waiting = figures != self._shown
        if not self._waiting or now < self._next:
            return
        self._next = now + _EVERY
        try:
            self._store.publish(PROCESS, figures, self._clock())
        except errors.Failure:
            return  # the next time
        self._shown, self._waiting = figures, False

    def due(self, now: float) -> float:
        """Return when `show` has something to do again, if nothing happens (monotonic)."""
        return self._next if self._waiting else now + 3600

    def withdraw(self) -> None:
        """Show nothing any more, unless another process shows its figures in our place by now."""
        try:
            if self._shown and self._is_ours():
                self._store.publish(PROCESS, {}, self._clock())
        except errors.Failure:
            pass  # they are old, which their time tells

    def _is_ours(self) -> bool:
        pids = [gauge.value for gauge in self._store.gauges() if gauge.process == PROCESS and gauge.name == "pid"]
        return str(os.getpid()) in pids

    def _gather(self, report: "RoundReport", lanes: int, busy: int, idle: int) -> dict[str, str]:
        figures = {name: str(getattr(report, name)) for name in _COUNTED}
        figures["started"], figures["pid"] = self._started, str(os.getpid())
        figures["lanes"] = str(lanes)
        figures["idle"] = str(idle)
        figures["connections"] = str(busy + idle)
        for trouble in report.troubles[-_TROUBLES:]:
            name = f"trouble\t{printable(trouble.account)}\t{printable(trouble.config)}"
            figures[name] = f"{trouble.until:.0f} {printable(str(trouble.failure))}"
        return figures
