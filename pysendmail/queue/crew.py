"""The couriers of a round, each in a thread of its own."""

import _thread

from pysendmail import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.queue.lane import Lane
    from pysendmail.queue.round import Round


class Crew:
    """Start couriers and count them. `serve` is a courier's work on a lane; `ended` is called when one has ended."""

    __slots__ = ("_ended", "_lock", "_round", "_serve", "count")

    def __init__(self, round_: "Round", serve: "Callable[[Lane], None]", ended: "Callable[[], None]") -> None:
        self._round = round_
        self._serve = serve
        self._ended = ended
        self._lock = _thread.allocate_lock()
        self.count = 0

    def start(self, lane: "Lane") -> bool:
        """Start the first courier of a lane; tell whether that could be: there may be no more threads."""
        lane.enlist()
        return self.grow(lane)

    def grow(self, lane: "Lane") -> bool:
        """Start one more courier, who is enlisted already, if that can be."""
        with self._lock:
            self.count += 1
        try:
            _thread.start_new_thread(self._work, (lane,))
        except RuntimeError:
            lane.discharge()
            with self._lock:
                self.count -= 1
            return False
        return True

    def work_here(self, lane: "Lane") -> None:
        """Do the work of a courier in this thread."""
        lane.enlist()
        with self._lock:
            self.count += 1
        self._work(lane)

    def _work(self, lane: "Lane") -> None:
        try:
            self._serve(lane)
        except BaseException as error:
            self._round.fail(errors.internal(error))
        finally:
            lane.discharge()
            with self._lock:
                self.count -= 1
            self._ended()
