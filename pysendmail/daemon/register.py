"""What the accept process counts, for those who want to see it."""

import os
from time import time

from pysendmail.command.admin.picture import Live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.daemon.hall import Hall


class Register:
    """Figures since the process began; only the loop's thread writes them.

    `started` is when the daemon was (seconds since the epoch), `since` when this process was: a reload replaces it.
    """

    __slots__ = ("refused", "since", "started", "turned_away")

    def __init__(self, started: float = 0.0) -> None:
        self.since = time()
        self.started = started or self.since
        self.refused = 0
        self.turned_away = 0

    def live(self, hall: "Hall") -> Live:
        """Return what is so at the moment; the caller who asks does not count."""
        live = Live()
        live.accept, live.parent = os.getpid(), os.getppid()
        live.started, live.since = self.started, self.since
        live.callers, live.waiting, live.followers = max(0, len(hall.clients) - 1), hall.awaiting, hall.followers.count
        live.accepted, live.octets = hall.committed
        live.refused, live.turned_away = self.refused, self.turned_away
        return live
