"""pysendmail status: whether the daemon is there and well, and what it and its queue are doing."""

from time import time

from pysendmail import errors
from pysendmail.command.admin import picture, queue_object, wording
from pysendmail.command.admin.arguments import add_place
from pysendmail.command.admin.queue_task import open_store
from pysendmail.command.admin.rows import row
from pysendmail.command.admin.table import terminal_width
from pysendmail.command.console import complain
from pysendmail.command.output import Gone, Output
from pysendmail.queue.states import STATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from typing import Any

    from pysendmail.command.admin.picture import Live, Picture
    from pysendmail.command.admin.queue_task import OpenQueue

_REPLY = 200  # characters of an answer that are shown; `pysendmail log` has all of it


def add_parser(commands: "Any") -> None:
    """Add `status` to the subcommands of an argument parser."""
    text = "show how the daemon and the queue are"
    parser = commands.add_parser("status", help=text, description=f"{text.capitalize()}.", allow_abbrev=False)
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(
    asked: "Namespace",
    open_queue: "OpenQueue",
    live: "Live | None" = None,
    *,
    expected: bool = False,
    now: float | None = None,
) -> int:
    """Show what there is and return the exit code. Raises Failure.

    `live` is None where no daemon is; `expected` says that one should be there.
    """
    now = time() if now is None else now
    seen, failure = look(asked, open_queue, live, now)
    output = Output()
    try:
        for line in [queue_object.line(as_object(seen))] if asked.json else lines(seen, terminal_width()):
            output.write(line)
        output.flush()
    except Gone:
        pass
    if failure is not None:
        complain("pysendmail", str(failure))
    if live is None:
        return errors.Unavailable.exit_code if expected else failure.exit_code if failure is not None else 0
    return 0 if seen["daemon"]["well"] else errors.TempFail.exit_code


def look(
    asked: "Namespace", open_queue: "OpenQueue", live: "Live | None", now: float
) -> "tuple[Picture, errors.Failure | None]":
    """Return the picture, and what is wrong with the queue if it cannot be seen. Raises that where a daemon has it."""
    try:
        store, uid = open_store(asked, open_queue)
    except errors.Failure as failure:
        if live is not None:
            raise
        return picture.draw(None, None, now, None), failure
    try:
        return picture.draw(store, uid, now, live), None
    finally:
        store.close()


def as_object(seen: "Picture") -> "dict[str, object]":
    """Return a picture as it becomes JSON: all octets as text."""
    shown = dict(seen)
    shown["errors"] = [_as_text(each) for each in seen["errors"]]
    if "lanes" in seen:
        shown["lanes"] = [_as_text(each) for each in seen["lanes"]]
    return shown


def _as_text(value: "Picture") -> "Picture":
    return {name: queue_object.text(each) if isinstance(each, bytes | str) else each for name, each in value.items()}


def lines(seen: "Picture", terminal: int) -> "Iterator[str]":
    """Yield the lines of a picture for a terminal of so many columns."""
    for label, text in _rows(seen):
        yield row(label, text, terminal)


def _rows(seen: "Picture") -> "Iterator[tuple[str, str]]":
    now = seen["time"]
    yield from _daemon(seen["daemon"], now)
    if "callers" in seen:
        callers, submissions = seen["callers"], seen["submissions"]
        waiting = f", {callers['waiting']} of them waiting for an answer" if callers["waiting"] else ""
        following = f", {callers['followers']} following the log" if callers["followers"] else ""
        yield "callers", f"{callers['callers']} now{waiting}{following}"
        size = wording.octets(submissions["octets"])
        turned = f", {submissions['turned_away']} callers turned away" if submissions["turned_away"] else ""
        yield "submissions", f"{submissions['accepted']} accepted ({size}), {submissions['refused']} refused{turned}"
    yield from _queue(seen["queue"], now)
    for lane in seen.get("lanes", ()):
        yield _lane(lane, now)
    if "connections" in seen:
        connections = seen["connections"]
        yield "connections", f"{connections['standing']} to smarthosts, {connections['idle']} of them warm and idle"
        if seen["deliveries"] is not None:
            yield "deliveries", f"{_states(seen['deliveries'])} since {wording.moment(seen['deliveries']['since'])}"
    for name, counts in (seen["rates"] or {}).items():
        yield f"last {name}", _states(counts)
    for number, each in enumerate(seen["errors"]):
        who = f"{wording.shown(each['id'])} {each['state']} {wording.address(each['recipient'])}"
        answer = wording.shown(each["reply"], _REPLY) or "no reply"
        yield "" if number else "last errors", f"{wording.instant(each['time'])} {who}: {answer}"


def _daemon(daemon: "Picture | None", now: float) -> "Iterator[tuple[str, str]]":
    if daemon is None:
        yield "daemon", "no daemon answers; this is what the queue's file says"
        return
    well = "well" if daemon["well"] else f"not well: {'; '.join(daemon['troubles'])}"
    yield "daemon", f"{well}, up for {wording.duration(now - daemon['since'])}, since {wording.moment(daemon['since'])}"
    if "processes" in daemon:
        yield "processes", ", ".join([f"{name} {pid or 'unknown'}" for name, pid in daemon["processes"].items()])


def _queue(queue: "Picture | None", now: float) -> "Iterator[tuple[str, str]]":
    if queue is None:
        yield "queue", "cannot be seen"
        return
    if not queue["messages"]:
        yield "queue", "empty"
        return
    size = f"{wording.number(queue['messages'], 'message')}, {wording.octets(queue['octets'])}"
    yield "queue", f"{size}, the oldest of {wording.ago(queue['oldest'], now)}"
    yield "recipients", _states(queue["recipients"])


def _lane(lane: "Picture", now: float) -> tuple[str, str]:
    config = f" of {wording.shown(lane['config'])}" if lane["config"] else ""
    name = f"{wording.shown(lane['account']) or 'default'}{config}"
    waiting = f"{wording.number(lane['waiting'], 'recipient')} waiting"
    if lane["open"]:
        return "lane", f"{name}: open, {waiting}"
    reason = f": {wording.shown(lane['reply'], _REPLY)}" if lane["reply"] else ""
    left = wording.duration(lane["until"] - now)
    return "lane", f"{name}: closed until {wording.moment(lane['until'])} ({left}), {waiting}{reason}"


def _states(counts: "Picture") -> str:
    """Return the states that have somebody in them."""
    return ", ".join([f"{counts[state]} {state}" for state in STATES if counts.get(state)]) or "none"
