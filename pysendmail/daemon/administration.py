"""pysendmail's own commands, done by the accept process for their caller."""

from time import time

from pysendmail import errors
from pysendmail.command.admin.main import parse
from pysendmail.command.mailq import whose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from pysendmail.command.admin.queue_task import OpenQueue
    from pysendmail.daemon.channel import Channel
    from pysendmail.daemon.client import Client
    from pysendmail.daemon.hall import Hall
    from pysendmail.queue.store import Store


def administer(hall: "Hall", client: "Client", channel: "Channel") -> int:
    """Run the subcommand that a caller's words name and return the exit code. Raises Failure."""
    from pysendmail.command.admin import queue
    from pysendmail.daemon.requests import open_store

    try:
        asked = parse([word.decode("utf-8", "surrogateescape") for word in client.words[1:]])
    except SystemExit:  # the command has parsed them before it asked us
        raise errors.UsageError("the daemon does not know this command") from None
    limit = whose(client.uid, hall.own)

    def open_queue(config: str | None, account: str | None) -> "tuple[Store | None, int | None]":
        return open_store(hall), limit

    if asked.program == "queue":
        code = queue.run(asked, open_queue, time())
        hall.notify()
        return code
    if asked.program == "status":
        from pysendmail.command.admin import status

        return status.run(asked, open_queue, hall.register.live(hall))
    if asked.program == "metrics" and asked.write is None:
        from pysendmail.command.admin import metrics

        return metrics.run(asked, open_queue, hall.register.live(hall))
    if asked.program == "explain" and client.enclosed is not None:
        from pysendmail.command.admin import explain

        return explain.answer(asked, client.enclosed, hall.caller(client.uid), hall.file, hall.own, hall.aliases)
    if asked.program == "log":
        return _journey(hall, client, channel, asked, open_queue)
    raise errors.UsageError("the daemon does not do that")


def _journey(hall: "Hall", client: "Client", channel: "Channel", asked: "Namespace", open_queue: "OpenQueue") -> int:
    from pysendmail.command.admin import journey

    journey.check(asked)
    if not asked.follow:
        return journey.run(asked, open_queue)
    from pysendmail.daemon.followers import Following

    with Following(hall, channel, client.uid, whose(client.uid, hall.own) is None) as following:
        return journey.run(asked, open_queue, pause=following.pause)
