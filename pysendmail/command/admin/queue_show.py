"""pysendmail queue show: everything that the queue knows of a message, but for its body."""

from pysendmail.command.admin import queue_object, wording
from pysendmail.queue.states import ACTIVE, MEANING
from pysendmail.queue.store import Damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pysendmail.command.admin.outlook import Outlook
    from pysendmail.command.admin.queue_task import Task
    from pysendmail.queue.store import Store
    from pysendmail.queue.values import Item, Message, Recipient

_LABEL = 13


def run(task: "Task") -> int:
    """Show each message that was asked for."""
    outlook = task.outlook()
    describe, between = (object_line, "") if task.asked.json else (lines, "\n")
    return task.each(lambda item: describe(task.store, item, outlook), between)


def lines(store: "Store", item: "Item", outlook: "Outlook") -> "Iterator[str]":
    """Yield the lines that describe a message. Raises Damaged behind the last one if its header cannot be read."""
    yield from _envelope(item.message, outlook)
    for recipient in item.recipients:
        yield from _recipient(item.message, recipient, outlook)
    yield from _header(store, item.message)


def object_line(store: "Store", item: "Item", outlook: "Outlook") -> "Iterator[str]":
    """Yield the message as a line of JSON, with its header. Raises Damaged behind it if that cannot be read."""
    value = queue_object.message(item, outlook)
    damage = None
    try:
        value["header"] = queue_object.text(store.open(item.message).header.replace(b"\r\n", b"\n"))
    except Damaged as failure:
        value["header"], damage = None, failure
    yield queue_object.line(value)
    if damage is not None:
        raise damage


def _envelope(message: "Message", outlook: "Outlook") -> "Iterator[str]":
    yield _row("id", message.qid)
    yield _row("from", wording.address(message.sender) + (" (a report of our own)" if message.bounce else ""))
    yield _row("handed in by", f"uid {wording.login(message.uid)}")
    yield _row("arrived", f"{wording.moment(message.created)}, {wording.ago(message.created, outlook.now)}")
    yield _row("size", _size(message))
    yield _row("account", wording.shown(message.account) or "the default one")
    if message.config:
        yield _row("configuration", wording.shown(message.config))
    if message.tag:
        yield _row("log tag", wording.shown(message.tag))
    asked = [f"{name}={wording.shown(value)}" for name, value in (("RET", message.ret), ("ENVID", message.envid)) if value]
    if asked:
        yield _row("DSN", " ".join(asked))
    lane = outlook.closed(message)
    if lane is not None:
        yield _row("put off", f"all of this account until {wording.moment(lane.until)}: {wording.shown(lane.reply)}")


def _size(message: "Message") -> str:
    facts = ((message.eight_bit, "8-bit"), (message.nul, "NUL octets"), (message.long_line, "lines that are too long"))
    told = ", ".join([text for holds, text in facts if holds])
    body = f"body {message.body_size}" + (f" ({told})" if told else "")
    return f"{message.size} octets: header {message.header_size}, {body}"


def _recipient(message: "Message", one: "Recipient", outlook: "Outlook") -> "Iterator[str]":
    yield _row("to", wording.address(one.address))
    yield _row("  state", f"{one.state}: {MEANING[one.state]}")
    if one.origin:
        yield _row("  before", one.origin)
    if one.state == ACTIVE:
        yield _row("  runner", wording.shown(one.owner))
    if one.attempts:
        times = f"first {wording.moment(one.first_tried)}, last {wording.moment(one.last_tried)}"
        yield _row("  attempts", f"{one.attempts}: {times}")
    following = outlook.next(message, one)
    if following is not None:
        yield _row("  next", wording.moment(following) if following > outlook.now else "due now")
    if one.done:
        yield _row("  ended", f"{wording.moment(one.done)}, {wording.ago(one.done, outlook.now)}")
    for label, text in (("server", one.relay), ("reply", one.reply), ("status", one.dsn)):
        if text:
            yield _row(f"  {label}", wording.shown(text))
    for label, value in (("ORCPT", one.orcpt), ("NOTIFY", one.notify)):
        if value:
            yield _row(f"  {label}", wording.shown(value))
    if one.warned:
        yield _row("  warned", "the sender was told of the delay")


def _header(store: "Store", message: "Message") -> "Iterator[str]":
    yield "header\n"
    for line in store.open(message).header.split(b"\r\n")[:-1]:
        yield f"  {wording.shown(line, 4 * len(line) + 4)}\n"


def _row(label: str, text: str) -> str:
    return f"{label:<{_LABEL}} {text}\n"
