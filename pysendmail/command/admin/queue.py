"""pysendmail queue: see the queue and steer it.

Each caller sees and steers what is his: whoever opens the store says to whose messages he is limited, and everything
here goes by that.
"""

from pysendmail.command.admin import queue_select
from pysendmail.command.admin.arguments import add_place
from pysendmail.command.admin.queue_task import Task, perform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from pysendmail.command.admin.queue_task import OpenQueue

_COMMANDS = {
    "list": "list messages",
    "show": "show all that is known of messages, but for their bodies",
    "why": "say why messages are still here, and what to do",
    "hold": "keep recipients from being tried",
    "release": "end a hold",
    "retry": "let recipients be tried at once, those who failed for good as well",
    "remove": "take recipients out of the queue, without a word to anybody",
    "check": "look for damage in the queue's file",
}
_STEERING = ("hold", "release", "retry", "remove")


def add_parser(commands: "Any") -> None:
    """Add `queue` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "queue", help="see and steer the queue", description="See the queue and steer it.", allow_abbrev=False
    )
    subcommands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for command, text in _COMMANDS.items():
        each = subcommands.add_parser(command, help=text, description=f"{text.capitalize()}.", allow_abbrev=False)
        _add_arguments(each, command)


def _add_arguments(parser: "ArgumentParser", command: str) -> None:
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    if command == "list" or command in _STEERING:
        queue_select.add_conditions(parser, everything=command in _STEERING)
    elif command != "check":
        parser.add_argument("ids", nargs="+", metavar="ID", help="the messages of these ids")


def run(asked: "Namespace", open_queue: "OpenQueue", now: float | None = None) -> int:
    """Do what the parsed arguments ask for and return the exit code; `now` stands in for the clock. Raises Failure."""
    if asked.command in _STEERING:
        queue_select.insist(asked)
    return perform(asked, open_queue, now, _dispatch)


def _dispatch(task: Task) -> int:
    command = task.asked.command
    if command == "list":
        from pysendmail.command.admin.queue_list import run as run_command
    elif command == "show":
        from pysendmail.command.admin.queue_show import run as run_command
    elif command == "why":
        from pysendmail.command.admin.queue_why import run as run_command
    elif command == "check":
        from pysendmail.command.admin.queue_check import run as run_command
    else:
        from pysendmail.command.admin.queue_steer import run as run_command
    return run_command(task)
