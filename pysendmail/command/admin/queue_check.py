"""pysendmail queue check: look for damage, and change nothing."""

from pysendmail import errors
from pysendmail.command.admin import queue_object, wording

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.admin.queue_task import Task
    from pysendmail.queue.sights import Problem


def run(task: "Task") -> int:
    """Print a line for each problem, or that there is none. Raises NoPermission for whom the queue does not belong to."""
    if task.uid is not None:
        raise errors.NoPermission("only root and the owner of the queue may check it")
    tell = _object if task.asked.json else _line
    if task.write(map(tell, task.store.check())):
        return errors.TempFail.exit_code
    if not task.asked.json:
        counts = task.store.counts()
        text = f"{wording.number(counts.messages, 'message')}, {wording.volume(counts.octets)}"
        task.output.write(f"The queue is in order: {text}.\n")
    return 0


def _line(problem: "Problem") -> str:
    return f"{wording.shown(str(problem))}\n"


def _object(problem: "Problem") -> str:
    parts = {"place": problem.place, "text": problem.text, "advice": problem.advice}
    return queue_object.line({name: queue_object.text(part) for name, part in parts.items()})
