"""The accept process: it parses what callers send and commits it to the queue. It holds no secret."""

import _signal
import os
from _socket import socket
from time import time

from pysendmail import errors
from pysendmail.daemon.hall import Hall
from pysendmail.daemon.setup import IDLE
from pysendmail.queue.sqlite import SqliteStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.daemon.setup import Setup

_TICK = 1.0  # seconds


def run(setup: "Setup") -> int:
    """Serve callers until SIGTERM, or until there has been nothing to do for long enough; return the exit code."""
    store = SqliteStore(setup.queue)

    def notify() -> None:
        try:
            os.write(setup.wake, b"c")
        except (BlockingIOError, BrokenPipeError):
            pass  # what it has not read yet will wake it; where nobody is left, the next one looks by himself

    hall = Hall(setup.file, store, setup.queue, notify, agent=setup.agent, started=setup.started)
    loop = hall.loop
    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
        _signal.signal(number, lambda *_: loop.post(hall.stop))
    for kind, descriptor in setup.sockets:
        hall.doorway.listen(socket(fileno=os.dup(descriptor)), smtp=kind == "smtp")

    def hear(events: int) -> None:
        _drain(setup.news)
        hall.hear()

    loop.watch(setup.news, hear)
    presence = _be_present(setup.queue, hall)
    beat = 0.0
    code = 0
    setup.alive()
    while not hall.ended:
        loop.turn(_TICK)
        if loop.now >= beat + _TICK:
            beat = loop.now
            setup.alive()
            hall.tick()
            hall.check_committer()
            if setup.idle is not None and hall.idle > setup.idle and _nothing_waits(store):
                code = IDLE
                break
    hall.close()
    store.close()
    os.close(presence)
    return code


def _be_present(queue: str, hall: Hall) -> int:
    """Lock the file that each process of this kind locks while it lives; whoever is alone takes care of what others left.

    Where another one serves beside us, its callers wait there. Returns the descriptor. Raises TempFail.
    """
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock

    try:
        presence = os.open(f"{queue}-accept", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            flock(presence, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            pass
        else:
            hall.recover()
        flock(presence, LOCK_SH)
    except OSError as error:
        raise errors.TempFail(f"cannot be locked: {error.strerror}", f"{queue}-accept") from None
    return presence


def _drain(descriptor: int) -> None:
    """Read what is in a pipe."""
    try:
        os.read(descriptor, 4096)
    except BlockingIOError:
        pass  # another process has read it


def _nothing_waits(store: SqliteStore) -> bool:
    try:
        return store.next_due(time()) is None
    except errors.Failure:
        return False
