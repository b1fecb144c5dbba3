"""The loop of the accept process: it waits on many descriptors at once and tells whoever has one of them.

What other threads have to say comes by `post`; it is done in the loop's thread, in its order.
"""

import os
import select
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable
else:
    from _collections import deque

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR


class Loop:
    """Descriptors and who is told of them: a function that takes the events of one."""

    __slots__ = ("_epoll", "_told", "_wake", "_words", "now")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._told: dict[int, Callable[[int], None]] = {}
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._words: deque[Callable[[], None]] = deque()
        self.now = monotonic()
        self.watch(self._wake, self._listen)

    def watch(self, descriptor: int, told: "Callable[[int], None]", events: int = READ) -> None:
        """Tell `told` of these events from now on."""
        self._epoll.register(descriptor, events)
        self._told[descriptor] = told

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events on a descriptor; none of them leaves its end and its errors."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Wait for nothing on a descriptor any more. Call it before that is closed."""
        if self._told.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def post(self, word: "Callable[[], None]") -> None:
        """Have something done in the loop's thread; call it from any thread."""
        self._words.append(word)
        os.eventfd_write(self._wake, 1)

    def turn(self, seconds: float) -> None:
        """Wait for so long at most, and tell of all that has come."""
        found = self._epoll.poll(seconds)
        self.now = monotonic()
        for descriptor, events in found:
            told = self._told.get(descriptor)  # somebody before in this turn may have ended it
            if told is not None:
                told(events)

    def _listen(self, events: int) -> None:
        os.eventfd_read(self._wake)
        self.attend()

    def attend(self) -> None:
        """Do what was posted; a turn need not come to it, since the kernel tells of so many descriptors at once."""
        while self._words:
            self._words.popleft()()

    def close(self) -> None:
        """Give the descriptors of the loop itself back."""
        self._epoll.close()
        os.close(self._wake)
