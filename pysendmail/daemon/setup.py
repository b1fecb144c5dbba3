"""What the parent gives to each of its two children.

A child calls `alive` once it is ready to serve, and from then on every ten seconds or more often, from its main loop: one
that has not done so for a minute is taken for hung, killed and replaced. SIGTERM asks it to finish the work in hand and
to return 0; it comes as well when the parent has died. SIGHUP never comes: after a change of the configuration new
children are started beside the old ones, which are told to end once the new ones serve.

So there may be two of a kind for a while, on the same pipes. A byte in `news` may then be read by the other accept, which
is why the one with callers waiting for an outcome looks for it now and then all the same. The parent writes a byte into
`wake` whenever a child has ended.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.reader import File

READY_EVERY = 10.0
"""Seconds within which a child says at least once that it is alive."""

IDLE = 10
"""What accept returns when it has been idle for as long as `idle` says and nothing waits in the queue."""


class Setup:
    """What a child works with.

    `config` names the configuration's file and `file` is what was read from it: for accept with a placeholder for each
    secret, for deliver with the secrets, those included that stand in netrc or with systemd. `queue` is the path of the
    queue. `sockets` are the listening sockets, each with what is spoken there, "frames" or "smtp"; deliver has none.
    Accept writes a byte to `wake` after each commit and deliver reads it; deliver writes a byte to `news` for each outcome
    that somebody waits for and accept reads it; neither ever blocks. `idle` is after how many seconds without work accept
    ends the daemon, None for never. `interval` is the time of -q in seconds, None without. `agent` says that this is one
    user's daemon and not the system's, `foreground` that the daemon was not detached. `started` is when the daemon was, in
    seconds since the epoch.
    """

    __slots__ = (
        "agent", "config", "file", "foreground", "idle", "interval", "news", "pulse", "queue", "sockets", "started",
        "wake",
    )  # fmt: skip

    def __init__(self, config: str, file: "File", queue: str) -> None:
        self.config = config
        self.file = file
        self.queue = queue
        self.sockets: list[tuple[str, int]] = []
        self.wake = -1
        self.news = -1
        self.pulse = -1
        self.idle: float | None = None
        self.interval: float | None = None
        self.agent = False
        self.foreground = False
        self.started = 0.0

    def alive(self) -> None:
        """Tell the parent that this child is ready and well."""
        try:
            os.write(self.pulse, b".")
        except OSError:
            pass  # the parent has not read the last ones yet, or is gone, of which SIGTERM tells

    def descriptors(self) -> set[int]:
        """Return all descriptors that belong to the child."""
        return {self.wake, self.news, self.pulse, *[fd for _, fd in self.sockets]}
