"""Requests that are no messages: the list of the queue, running it, and pysendmail's commands, each for its caller.

They run in threads of the accept process, with a connection to the queue of their own, and say what they have to say
through the caller's channel. Root and the daemon's own user see and steer everything, others what is theirs.
"""

from time import monotonic, sleep, time

from pysendmail import errors
from pysendmail.command import console, modes
from pysendmail.command.mailq import mailq, whose
from pysendmail.daemon.channel import Channel, Hangup
from pysendmail.queue.location import Missing
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.states import ACTIVE, WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.daemon.client import Client
    from pysendmail.daemon.hall import Hall
    from pysendmail.queue.store import Store

_ROUND = 3600.0  # seconds that a run of the queue is waited for
_LOOK = 0.05
_SIGN = 20.0  # seconds after which the caller is told that we are alive


def answer(hall: "Hall", client: "Client", channel: Channel) -> int:
    """Do what a caller asks for and return the exit code; nothing is raised."""
    with console.Elsewhere(channel.write, client.columns):
        try:
            return _answer(hall, client, channel)
        except errors.Failure as failure:
            text, code = str(failure), failure.exit_code
        except Hangup:
            return errors.TempFail.exit_code
        except Exception as error:  # a bug that this caller brings to light must not concern the others
            bug = errors.internal(error)
            text, code = str(bug), bug.exit_code
        try:
            console.complain(client.program, text)
        except Hangup:
            pass  # then nobody wants to know
        return code


def _answer(hall: "Hall", client: "Client", channel: Channel) -> int:
    options = client.options
    if options is None:
        from pysendmail.daemon.administration import administer

        return administer(hall, client, channel)
    caller = hall.caller(client.uid)
    if options.mode == "verify":
        return modes.verify(options, caller, hall.file, hall.aliases, client.program)
    if options.mode == "aliases":
        # The daemon may read a file that its caller may not.
        listing = client.uid in (0, hall.own)
        return modes.check_aliases(options, caller, hall.file, hall.aliases, client.program, listing)
    store = open_store(hall)
    if store is None:
        return mailq(None) if options.mode == "list" else 0
    try:
        if options.mode == "list":
            return mailq(store, whose(client.uid, hall.own))
        return _run(hall, client, channel, store)
    finally:
        store.close()


def open_store(hall: "Hall") -> "Store | None":
    """Open the queue once more; None if it is not there."""
    try:
        return SqliteStore(hall.path, create=False)
    except Missing:
        return None


def _run(hall: "Hall", client: "Client", channel: Channel, store: "Store") -> int:
    """Have the deliver process try what a caller means, and wait until it has. Raises Failure."""
    from pysendmail.command.queue_run import selection
    from pysendmail.queue.values import Select

    assert client.options is not None
    chosen = selection(client.options) or Select()
    chosen.states = (*WAITING, ACTIVE)
    limit = whose(client.uid, hall.own)
    if limit is not None:
        chosen.uid = limit
    since, begun = time(), monotonic()
    store.retry(chosen, since)
    hall.notify()
    spoken = begun
    while store.untried(chosen, since, time()) and monotonic() < begun + _ROUND:
        if monotonic() > spoken + _SIGN:
            spoken = monotonic()
            channel.reassure()
        sleep(_LOOK)
    for lane in store.lanes():
        if lane.until > time() and lane.reply and lane.waiting and limit is None:
            console.complain(client.program, f"{lane.reply}; its messages wait")
    return 0
