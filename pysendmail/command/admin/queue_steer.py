"""pysendmail queue hold, release, retry and remove."""

from pysendmail import errors
from pysendmail.command.admin import queue_object, queue_select, wording
from pysendmail.queue.sights import Steered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.admin.queue_task import Task
    from pysendmail.queue.values import Select

_DONE = {"hold": "held", "release": "released", "retry": "due now", "remove": "removed"}
_NOT_WHILE_BUSY = ("hold", "remove")  # the others want nothing of a recipient who is just being tried


def run(task: "Task") -> int:
    """Steer what is meant and say how many recipients that changed."""
    command = task.asked.command
    select = queue_select.selection(task.asked, task.uid, task.now)
    missing = task.without_missing(select)
    steered = _steer(task, select)
    if task.asked.json:
        told = {"command": command, "changed": steered.changed, "busy": steered.busy, "unknown": missing}
        task.output.write(queue_object.line(told))
    elif select.qids != []:
        left = f"; {steered.busy} just being tried and left alone" if steered.busy else ""
        task.output.write(f"{wording.number(steered.changed, 'recipient')} {_DONE[command]}{left}\n")
    busy = steered.busy and command in _NOT_WHILE_BUSY
    return task.tell_missing(missing) or (errors.TempFail.exit_code if busy else 0)


def _steer(task: "Task", select: "Select") -> "Steered":
    store, command = task.store, task.asked.command
    if select.qids == []:  # none of the ids is there; whatever else a store may make of that
        return Steered(0, 0)
    if command == "hold":
        return store.hold(select)
    if command == "release":
        return store.unhold(select)
    return store.retry(select, task.now) if command == "retry" else store.remove(select, task.now)
