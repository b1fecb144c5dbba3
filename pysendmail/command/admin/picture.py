"""What there is to be seen of a daemon and its queue, as one value: status shows it, metrics counts from it.

A caller who is limited to his own messages gets what concerns him: his part of the queue, his attempts, and whether the
daemon is well. What is left out then is marked in the manual.
"""

import os

from pysendmail import __version__
from pysendmail.queue.states import RESULTS, SENT
from pysendmail.queue.values import HORIZON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pysendmail.queue.sights import Leg
    from pysendmail.queue.store import Store

    Picture = dict[str, Any]

SPANS = {"minute": 60.0, "hour": 3600.0}
_ERRORS = 5
_COUNTED = (*RESULTS, "messages", "octets", "reports")
_NO_DELIVER = "the process that delivers is not there"


class Live:
    """What only the daemon knows: its figures since `since`, and how many there are at the moment.

    `callers` are connected, `waiting` of them wait for a smarthost's answer, `followers` follow the log. `accepted`
    submissions of `octets` octets were committed, others `refused`; `turned_away` callers found no room.
    """

    __slots__ = (
        "accept", "accepted", "callers", "followers", "octets", "parent", "refused", "since", "started", "turned_away",
        "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self.accept = self.parent = 0
        self.started = self.since = 0.0
        self.callers = self.waiting = self.followers = 0
        self.accepted = self.octets = self.refused = self.turned_away = 0


def draw(store: "Store | None", uid: int | None, now: float, live: Live | None) -> "Picture":
    """Return the picture; `uid` is to whom the caller is limited, `live` None where no daemon is."""
    picture: Picture = {"time": now, "version": __version__, "daemon": None}
    figures = {} if store is None else {one.name: one.value for one in store.gauges() if one.process == "deliver"}
    if live is not None:
        picture["daemon"] = _daemon(live, figures, uid is None)
        if uid is None:
            picture["callers"] = {name: getattr(live, name) for name in ("callers", "waiting", "followers")}
            counted = ("accepted", "octets", "refused", "turned_away")
            picture["submissions"] = {"since": live.since, **{name: getattr(live, name) for name in counted}}
            picture["connections"] = {"standing": _number(figures, "connections"), "idle": _number(figures, "idle")}
            counts = {name: _number(figures, name) for name in _COUNTED}
            picture["deliveries"] = {"since": float(_number(figures, "started")), **counts} if figures else None
    picture["queue"] = picture["rates"] = None
    picture["errors"] = []
    if store is not None:
        picture["queue"] = _queue(store, uid)
        if uid is None:
            picture["lanes"] = _lanes(store, now)
        picture["rates"] = {name: store.tally(now - seconds, now, uid) for name, seconds in SPANS.items()}
        unsent = tuple([state for state in RESULTS if state != SENT])
        picture["errors"] = [_error(leg) for leg in store.journey(uid=uid, limit=_ERRORS, among=unsent, newest=True)]
    return picture


def _daemon(live: Live, figures: "dict[str, str]", everything: bool) -> "Picture":
    deliver = _number(figures, "pid")
    troubles = [] if figures and (not deliver or _lives(deliver)) else [_NO_DELIVER]
    daemon: Picture = {"since": live.started, "well": not troubles, "troubles": troubles}
    if everything:
        daemon["processes"] = {"parent": live.parent, "accept": live.accept, "deliver": deliver or None}
    return daemon


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # it is somebody else's, but it is
    return True


def _queue(store: "Store", uid: int | None) -> "Picture":
    counts = store.counts(uid)
    return {
        "messages": counts.messages,
        "octets": counts.octets,
        "oldest": counts.oldest or None,
        "recipients": counts.recipients,
    }


def _lanes(store: "Store", now: float) -> "list[Picture]":
    found = []
    for lane in store.lanes():
        closed = now < lane.until <= now + HORIZON
        found.append(
            {
                "account": lane.account,
                "config": lane.config,
                "open": not closed,
                "until": lane.until if closed else None,
                "waiting": lane.waiting,
                "failures": lane.failures if closed else 0,
                "reply": lane.reply if closed else "",
                "dsn": lane.dsn if closed else "",
            }
        )
    return found


def _error(leg: "Leg") -> "Picture":
    return {
        "time": leg.at,
        "id": leg.qid,
        "recipient": leg.recipient,
        "state": leg.state,
        "relay": leg.relay,
        "dsn": leg.dsn,
        "reply": leg.reply,
    }


def _number(figures: "dict[str, str]", name: str) -> int:
    """Return a figure, 0 where it is missing or no number: another release may have written it."""
    try:
        return max(0, int(float(figures.get(name, 0))))
    except (ValueError, OverflowError):
        return 0
