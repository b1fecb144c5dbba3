"""Who follows the log: requests without an end, which therefore have no place among the threads for all others.

There are few places, and not all of them for one user, nor all of them for users.
"""

from _thread import allocate_lock
from time import monotonic

from pysendmail import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from pysendmail.daemon.channel import Channel
    from pysendmail.daemon.hall import Hall

_MOST = 8
_OF_USERS = 6
_OF_ONE = 3
_SIGN = 20.0  # seconds after which the caller is told that we are alive


class Followers:
    """The uids of those who follow; for any thread."""

    __slots__ = ("_lock", "_uids")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._uids: list[int] = []

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._uids)

    def enter(self, uid: int, all_places: bool) -> None:
        """Take a place; with `all_places` it may be any of them. Raises TempFail if there is none."""
        with self._lock:
            limits = (_MOST, _MOST) if all_places else (_OF_USERS, _OF_ONE)
            if len(self._uids) >= limits[0] or self._uids.count(uid) >= limits[1]:
                raise errors.TempFail("too many follow the log already; try later, or without --follow")
            self._uids.append(uid)

    def leave(self, uid: int) -> None:
        """Give a place back."""
        with self._lock:
            self._uids.remove(uid)


class Following:
    """A context in which a request goes on for as long as its caller stays; `pause` is how it lets time go by."""

    __slots__ = ("_all_places", "_channel", "_hall", "_spoken", "_uid")

    def __init__(self, hall: "Hall", channel: "Channel", uid: int, all_places: bool) -> None:
        self._hall = hall
        self._channel = channel
        self._uid = uid
        self._all_places = all_places
        self._spoken = monotonic()

    def __enter__(self) -> "Following":
        self._hall.followers.enter(self._uid, self._all_places)
        self._hall.loop.post(lambda: self._hall.places.vacate(self._uid))
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self._hall.loop.post(lambda: self._hall.places.occupy(self._uid))
        self._hall.followers.leave(self._uid)

    def pause(self, seconds: float) -> None:
        """Let time go by. Raises Hangup when the caller is gone, TempFail when the daemon ends."""
        if self._hall.stopping:
            raise errors.TempFail("the daemon is being stopped, or started anew; follow it again")
        if monotonic() > self._spoken + _SIGN:
            self._spoken = monotonic()
            self._channel.reassure()
        self._channel.wait(seconds)
