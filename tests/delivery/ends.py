"""A link and the socket at its other end, whose part is played by a thread of the test."""

import socket
import threading
import time
from collections.abc import Callable

from pysendmail.delivery.link import Link

SOON = 0.15
LONG = 10.0


def soon() -> float:
    return time.monotonic() + SOON


def later() -> float:
    return time.monotonic() + LONG


class Ends:
    """Our link, and the socket at its other end, whose part may be played by a thread."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        self.peer.settimeout(LONG)
        self.link = Link(ours, (socket.AF_INET6, ("fe80::1%eth0", 25, 0, 2)))
        self._threads: list[threading.Thread] = []

    def play(self, part: Callable[[socket.socket], object]) -> None:
        self._threads.append(threading.Thread(target=part, args=(self.peer,), daemon=True))
        self._threads[-1].start()

    def done(self) -> None:
        """Wait until every part is played."""
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()


def read_all(peer: socket.socket, size: int, at_a_time: int = 65536) -> bytes:
    data = b""
    while len(data) < size and (piece := peer.recv(at_a_time)):
        data += piece
    return data
