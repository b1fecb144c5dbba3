"""pysendmail log without ids: a line for each message and each state in which its recipients' last attempts ended.

With --follow there is a line for each attempt, as they come.
"""

from pysendmail.command.admin import journey, journey_object, queue_object, waterfall, wording
from pysendmail.command.admin.table import Column, Table, terminal_width
from pysendmail.queue.states import QUEUED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pysendmail.command.admin.queue_task import Task
    from pysendmail.queue.sights import Leg

_COLUMNS = [
    Column("TIME", 19, spare=3),
    Column("ID", 15),
    Column("STATE", 9, spare=1),
    Column("TOOK", 7, right=True, spare=5),
    Column("FROM", 11, flexible=True, spare=6),
    Column("TO", 11, flexible=True, spare=2),
    Column("RELAY", 11, flexible=True, spare=7),
    Column("REPLY", 12, flexible=True, spare=4),
]
_LOOK = 0.5  # seconds
_PAGE = 1000


def show(task: "Task", number: int) -> None:
    """Show the messages that were tried last, the newest at the end."""
    groups = last_legs([journey.all_legs(task, qid) for qid in reversed(task.store.travelled(number, task.uid))])
    if task.asked.json:
        for group in groups:
            task.write([queue_object.line(journey_object.leg(leg)) for leg in group])
        return
    if not task.write(lines(groups, terminal_width())):
        task.output.write("No attempt is known.\n" if number else "")
    untried = task.store.counts(task.uid).recipients[QUEUED]
    if untried:
        task.output.write(f"\n{wording.number(untried, 'recipient')} in the queue: not tried yet\n")


def last_legs(messages: "Iterable[list[Leg]]") -> "Iterator[list[Leg]]":
    """Yield the last leg of each recipient, those of one message and one state together."""
    for legs in messages:
        last = {leg.recipient: leg for leg in legs}
        groups: dict[str, list[Leg]] = {}
        for leg in sorted(last.values(), key=lambda leg: leg.id):
            groups.setdefault(leg.state, []).append(leg)
        yield from groups.values()


def lines(groups: "Iterable[list[Leg]]", terminal: int) -> "Iterator[str]":
    """Yield the table with its heading; nothing if there are no legs."""
    table = Table(_COLUMNS, terminal)
    heading = table.heading()
    for group in groups:
        yield heading + table.row(_cells(group))
        heading = ""


def follow(task: "Task", number: int, pause: "Callable[[float], None]") -> None:
    """Show the last legs, and then each new one, until `pause` raises something."""
    table = Table(_COLUMNS, terminal_width())
    if not task.asked.json:
        task.output.write(table.heading())
    store, uid = task.store, task.uid
    newest = _newest(task)
    begun = [leg for leg in store.journey(uid=uid, limit=number, newest=True) if leg.id <= newest]
    after = newest
    _tell(task, table, begun)
    while True:
        pause(_LOOK)
        # What other users send is passed over: it is looked at once.
        newest = _newest(task)
        while after < newest:
            legs = store.journey(uid=uid, after=after, limit=_PAGE)
            after = legs[-1].id if len(legs) == _PAGE else max([newest, *[leg.id for leg in legs]])
            _tell(task, table, legs)


def _newest(task: "Task") -> int:
    """Return the id of the last leg of all."""
    return max([leg.id for leg in task.store.journey(limit=1, newest=True)], default=0)


def _tell(task: "Task", table: Table, legs: "list[Leg]") -> None:
    for leg in legs:
        task.output.write(queue_object.line(journey_object.leg(leg)) if task.asked.json else table.row(_cells([leg])))
    task.output.flush()


def _cells(group: "list[Leg]") -> "list[str | tuple[str, str]]":
    leg = group[-1]
    others = f" +{len(group) - 1}" if len(group) > 1 else ""
    return [
        wording.instant(leg.at, "%b %d %H:%M:%S"),
        wording.shown(leg.qid),
        leg.state,
        waterfall.seconds(waterfall.length(leg)),
        wording.address(leg.sender),
        (wording.address(group[0].recipient), others),
        wording.shown(leg.relay),
        wording.shown(leg.reply),
    ]
