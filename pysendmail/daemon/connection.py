"""What all callers of the accept process have in common: a connection that never blocks, watched by the loop."""

from pysendmail import errors
from pysendmail.daemon.loop import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from pysendmail.daemon.committer import Job
    from pysendmail.daemon.hall import Hall

ASKING, SENDING, WAITING, SERVED, ANSWERED = range(5)
"""What a caller does: says what he wants; sends a message; waits for our answer; is answered by a thread; has it all."""

LARGEST = 2 << 30  # octets of one message
LOOK = 16 << 20  # octets after which it is looked whether the disk has room for more
ROOM = 16 << 20  # octets that must stay free on it
SMALL = 128 << 10  # octets of a request that count for nothing


class Connection:
    """A caller's connection; `fd` is negative once it has ended.

    `last` is when something last came from him or went to him, `spoken` when we last gave a sign. `job` is his message
    on its way into the queue.
    """

    __slots__ = ("_hall", "_out", "_watched", "fd", "job", "last", "line", "spoken", "uid")

    def __init__(self, hall: "Hall", line: "_socket.socket", uid: int) -> None:
        self._hall = hall
        self._out = b""  # what he has not taken yet
        self._watched = READ
        self.line = line
        self.fd = line.fileno()
        self.uid = uid
        self.job: Job | None = None
        self.last = self.spoken = hall.loop.now
        hall.loop.watch(self.fd, self.ready)

    def ready(self, events: int) -> None:
        """Do what the events of the connection ask for."""
        raise NotImplementedError

    def refuse(self, failure: errors.Failure) -> None:
        """Answer with a failure."""
        raise NotImplementedError

    def close(self) -> None:
        """End the connection; what was not committed of it is forgotten."""
        raise NotImplementedError

    def _drop(self) -> bool:
        """Do that but for telling the hall; False says that it was done before."""
        if self.fd < 0:
            return False
        self._hall.loop.forget(self.fd)
        self.fd = -1
        if self.job is not None:
            self.job.dropped = True
        self.line.close()
        return True

    def _hear(self, most: int) -> bytes | None:
        """Return what has come, b"" if he has said his last, None if there is nothing."""
        try:
            return self.line.recv(most)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _push(self) -> bool:
        """Send of what is to be sent as much as he takes now; False says that he is gone."""
        try:
            while self._out:
                self._out = self._out[self.line.send(self._out) :]
                self.last = self._hall.loop.now
        except BlockingIOError:
            pass
        except OSError:
            self.close()
        return self.fd >= 0

    def _wait_for(self, events: int) -> None:
        """Be told of these events from now on."""
        if events != self._watched:
            self._watched = events
            self._hall.loop.change(self.fd, events)

    def _confess(self, error: Exception) -> None:
        """Refuse over a bug that this caller has brought to light; it must not concern the others."""
        self.refuse(errors.internal(error))
