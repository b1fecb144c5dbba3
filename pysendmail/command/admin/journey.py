"""pysendmail log: what became of messages, attempt by attempt, those included that are gone.

Each caller sees the journeys of what he handed in: whoever opens the store says to whom he is limited.
"""

from time import sleep

from pysendmail import errors
from pysendmail.command.admin import queue_select
from pysendmail.command.admin.arguments import add_place
from pysendmail.command.admin.queue_task import Task, perform
from pysendmail.queue.sights import LEGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import Any

    from pysendmail.command.admin.queue_task import OpenQueue
    from pysendmail.queue.sights import Leg

_SHOWN = 20
_PAGE = 1000


class NoSuchJourney(errors.NoInput):
    """Nothing is known of a message of this id, or it is another user's (EX_NOINPUT)."""


def add_parser(commands: "Any") -> None:
    """Add `log` to the subcommands of an argument parser."""
    text = "show what became of messages, attempt by attempt"
    parser = commands.add_parser("log", help=text, description=f"{text.capitalize()}.", allow_abbrev=False)
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    parser.add_argument("--follow", action="store_true", help="go on with each new attempt until interrupted")
    parser.add_argument("-n", dest="number", type=int, metavar="N", help=f"this many, not {_SHOWN}")
    parser.add_argument("ids", nargs="*", metavar="ID", help="all about the messages of these ids")


def check(asked: "Namespace") -> None:
    """Raise UsageError for arguments that do not go together."""
    if asked.ids and (asked.follow or asked.number is not None):
        raise errors.UsageError("ids go with neither --follow nor -n")
    if asked.number is not None and not 0 <= asked.number <= LEGS:
        raise errors.UsageError(f"-n takes a number up to {LEGS}: more is not kept")


def run(
    asked: "Namespace",
    open_queue: "OpenQueue",
    now: float | None = None,
    pause: "Callable[[float], None]" = sleep,
) -> int:
    """Do what the parsed arguments ask for and return the exit code. Raises Failure.

    `now` stands in for the clock. `pause` lets time go by while new attempts are waited for; what it raises ends that.
    """
    check(asked)
    return perform(asked, open_queue, now, lambda task: _dispatch(task, pause))


def _dispatch(task: Task, pause: "Callable[[float], None]") -> int:
    if task.asked.ids:
        return _tell(task)
    from pysendmail.command.admin import journey_table

    number = _SHOWN if task.asked.number is None else task.asked.number
    if task.asked.follow:
        journey_table.follow(task, number, pause)
    else:
        journey_table.show(task, number)
    return 0


def _tell(task: Task) -> int:
    """Tell all about each message that was asked for, going on behind one of which nothing is known."""
    from pysendmail.command.admin import journey_story

    outlook = task.outlook()
    missing = []
    between = ""
    for qid in queue_select.ids(task.asked):
        item, legs = task.find(qid), all_legs(task, qid)
        if item is None and not legs:
            missing.append(qid)
        elif task.asked.json:
            task.output.write(journey_story.line(item, legs, outlook))
        else:
            task.output.write(between)
            between = "\n"
            task.write(journey_story.lines(item, legs, outlook))
    if not missing:
        return 0
    several = "s" if len(missing) > 1 else ""
    return task.complain(NoSuchJourney(f"nothing is known of the id{several} {', '.join(missing)}"))


def all_legs(task: Task, qid: str) -> "list[Leg]":
    """Return all legs of a message that the caller may see."""
    legs: list[Leg] = []
    while page := task.store.journey(qid, task.uid, after=legs[-1].id if legs else 0, limit=_PAGE):
        legs += page
    return legs
