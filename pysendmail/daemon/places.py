"""Places for requests that are no messages: each is answered by a thread, and there are only so many threads.

Whoever finds none waits for his turn, in the order of coming. One user never has all of them, whatever he does: requests
of others go before his then. Nor do users together: some are for those who look after the machine. Only the loop's thread
uses this.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.daemon.client import Client

_MOST = 12
_OF_USERS = 10
_OF_ONE = 8


class Places:
    """Who has a place and who waits for one. `begin` has a request answered; `is_free` tells who may have all places."""

    __slots__ = ("_begin", "_busy", "_is_free", "_of", "_users", "_waiting")

    def __init__(self, begin: "Callable[[Client], None]", is_free: "Callable[[int], bool]") -> None:
        self._begin = begin
        self._is_free = is_free
        self._busy = 0
        self._users = 0  # those of the busy places that users have
        self._of: dict[int, int] = {}
        self._waiting: list[Client] = []

    def take(self, client: "Client") -> None:
        """Have a request answered as soon as there is a place for it."""
        self._waiting.append(client)
        self._next()

    def vacate(self, uid: int) -> None:
        """Let somebody else have a place: a request has ended, or goes on without one (followers.py)."""
        self._count(uid, -1)
        self._next()

    def occupy(self, uid: int) -> None:
        """Count a request again that went on without a place, for it ends now."""
        self._count(uid, 1)

    def _count(self, uid: int, change: int) -> None:
        self._busy += change
        if not self._is_free(uid):
            self._users += change
        self._of[uid] = self._of.get(uid, 0) + change
        if not self._of[uid]:
            del self._of[uid]

    def _next(self) -> None:
        """Begin with those who wait for whom there is a place."""
        at = 0
        while self._busy < _MOST and at < len(self._waiting):
            client = self._waiting[at]
            full = self._users >= _OF_USERS or self._of.get(client.uid, 0) >= _OF_ONE
            if full and not self._is_free(client.uid):
                at += 1
                continue
            del self._waiting[at]
            self._count(client.uid, 1)
            self._begin(client)
