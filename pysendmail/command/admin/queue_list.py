"""pysendmail queue list: a line for each message, and for each state that its recipients are in."""

from pysendmail.command.admin import queue_object, queue_select, wording
from pysendmail.command.admin.table import Column, Table, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pysendmail.command.admin.outlook import Outlook
    from pysendmail.command.admin.queue_task import Task
    from pysendmail.queue.values import Item, Recipient

_COLUMNS = [
    Column("ID", 15),
    Column("AGE", 3, right=True, spare=3),
    Column("SIZE", 4, right=True, spare=4),
    Column("STATE", 9, spare=1),
    Column("NEXT", 4, right=True, spare=2),
    Column("FROM", 12, flexible=True, spare=5),
    Column("TO", 12, flexible=True),
]


def run(task: "Task") -> int:
    """List what is meant, everything if nothing else was said."""
    select = queue_select.selection(task.asked, task.uid, task.now)
    missing = task.without_missing(select)
    items = task.store.listing(select) if select.qids != [] else ()
    outlook = task.outlook()
    if task.asked.json:
        task.write(objects(items, outlook))
    elif not task.write(lines(items, outlook, terminal_width())) and not missing:
        task.output.write("Nothing is in the queue that is meant.\n" if _conditions(task) else "The queue is empty.\n")
    return task.tell_missing(missing)


def _conditions(task: "Task") -> bool:
    asked = task.asked
    return any([given is not None for given in (asked.sender, asked.recipient, asked.older, asked.state)])


def lines(items: "Iterable[Item]", outlook: "Outlook", terminal: int) -> "Iterator[str]":
    """Yield the table with its heading, and what there is in all behind it; nothing if there are no messages."""
    table = Table(_COLUMNS, terminal)
    messages = octets = 0
    states: dict[str, int] = {}
    for item in items:
        if not messages:
            yield table.heading()
        messages += 1
        octets += item.message.size
        for state, group in _by_state(item.recipients).items():
            states[state] = states.get(state, 0) + len(group)
            yield table.row(_cells(item, state, group, outlook))
    if messages:
        counted = ", ".join([f"{count} {state}" for state, count in states.items()])
        yield f"\n{wording.number(messages, 'message')}, {wording.volume(octets)}; recipients: {counted}\n"


def objects(items: "Iterable[Item]", outlook: "Outlook") -> "Iterator[str]":
    """Yield each message as a line of JSON."""
    for item in items:
        yield queue_object.line(queue_object.message(item, outlook))


def _by_state(recipients: "list[Recipient]") -> "dict[str, list[Recipient]]":
    groups: dict[str, list[Recipient]] = {}
    for recipient in recipients:
        groups.setdefault(recipient.state, []).append(recipient)
    return groups


def _cells(item: "Item", state: str, group: "list[Recipient]", outlook: "Outlook") -> "list[str | tuple[str, str]]":
    message = item.message
    others = f" +{len(group) - 1}" if len(group) > 1 else ""
    return [
        message.qid,
        wording.span(outlook.now - message.created),
        wording.octets(message.size),
        state,
        _next(item, group, outlook),
        wording.address(message.sender),
        (wording.address(group[0].address), others),
    ]


def _next(item: "Item", group: "list[Recipient]", outlook: "Outlook") -> str:
    """Return in how long the first of the group is tried again."""
    times = [outlook.next(item.message, recipient) for recipient in group]
    first = min([time for time in times if time is not None], default=None)
    if first is None:
        return "-"
    return "now" if first <= outlook.now else wording.span(first - outlook.now)
