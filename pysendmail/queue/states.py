"""The states of a queued recipient, and every way from one to another.

This table is the only place where they are defined: the stores refuse what it does not hold, the manual prints it, and
the tests walk through it. Each row of TRANSITIONS is (from, to, cause); the causes are:

* claim: a runner takes the recipient for an attempt, under a lease;
* finish: the lease's holder reports what became of him;
* release: a lease ends without a result (given back, run out, or its holder died), and the old state holds again;
* hold, unhold, retry, remove: somebody steers the queue;
* expire: a failed recipient was kept for long enough.
"""

QUEUED, DEFERRED, UNCERTAIN, ACTIVE = "queued", "deferred", "uncertain", "active"
HELD, FAILED, SENT, REMOVED = "held", "failed", "sent", "removed"

STATES = (QUEUED, DEFERRED, UNCERTAIN, ACTIVE, HELD, FAILED, SENT, REMOVED)
MEANING = {
    QUEUED: "waits for the first attempt",
    DEFERRED: "an attempt failed for now; waits for the next one",
    UNCERTAIN: "the connection was lost after the message's end, so it may have arrived; waits for the next attempt",
    ACTIVE: "a runner is at it, under a lease",
    HELD: "waits until it is released by hand",
    FAILED: "was refused or given up; kept for a while, and can be sent again",
    SENT: "was accepted by the smarthost",
    REMOVED: "was taken out by hand, or kept for long enough",
}

WAITING = (QUEUED, DEFERRED, UNCERTAIN)
"""The states from which a runner claims, in the order of their codes."""

FIRST = (*WAITING, HELD)
"""The states in which a recipient can enter the queue."""

DONE = (SENT, REMOVED)
"""A message goes when all its recipients are in these states."""

CODES = {state: code for code, state in enumerate(STATES, 1)}
"""The number of each state in a database. The waiting states come first: `state <= 3` is what an index is made of."""

TRANSITIONS = (
    (QUEUED, ACTIVE, "claim"),
    (DEFERRED, ACTIVE, "claim"),
    (UNCERTAIN, ACTIVE, "claim"),
    (ACTIVE, SENT, "finish"),
    (ACTIVE, DEFERRED, "finish"),
    (ACTIVE, FAILED, "finish"),
    (ACTIVE, UNCERTAIN, "finish"),
    (ACTIVE, HELD, "finish"),
    (ACTIVE, QUEUED, "release"),
    (ACTIVE, DEFERRED, "release"),
    (ACTIVE, UNCERTAIN, "release"),
    (QUEUED, HELD, "hold"),
    (DEFERRED, HELD, "hold"),
    (UNCERTAIN, HELD, "hold"),
    (HELD, QUEUED, "unhold"),
    (HELD, DEFERRED, "unhold"),
    (HELD, UNCERTAIN, "unhold"),
    (FAILED, QUEUED, "retry"),
    (QUEUED, REMOVED, "remove"),
    (DEFERRED, REMOVED, "remove"),
    (UNCERTAIN, REMOVED, "remove"),
    (HELD, REMOVED, "remove"),
    (FAILED, REMOVED, "remove"),
    (FAILED, REMOVED, "expire"),
)

RESULTS = tuple(to for _, to, cause in TRANSITIONS if cause == "finish")
"""What a runner may report."""


def sources(cause: str) -> "tuple[str, ...]":
    """Return the states that `cause` can end."""
    return tuple(dict.fromkeys(start for start, _, why in TRANSITIONS if why == cause))
