"""What the configuration says, for the administrator's commands."""

import os

from pysendmail import errors
from pysendmail.command.identity import Caller
from pysendmail.command.mailq import whose
from pysendmail.config import accounts, reader
from pysendmail.queue.location import Missing
from pysendmail.queue.sqlite import SqliteStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account
    from pysendmail.config.reader import File
    from pysendmail.queue.store import Store


def choose(config: str | None, account: str | None, caller: Caller) -> "tuple[File, Account, str]":
    """Read the file of -C, or the one that holds for the caller, and choose an account in it; return it with the reason."""
    option = None if config is None else os.fsencode(config)
    xdg = os.environ.get("XDG_CONFIG_HOME")
    name = accounts.find_file(option, home=caller.home, xdg=xdg, uid=caller.uid)
    file = reader.load(name, uid=caller.uid, home=caller.home)
    chosen, reason = accounts.choose(file, account=None if account is None else os.fsencode(account))
    return file, chosen, reason


def open_configured(config: str | None, account: str | None) -> "tuple[Store | None, int | None]":
    """Open the queue of an account; return it, None if it is not there yet, and the uid that the caller is limited to.

    Raises ConfigError where no queue is configured, and what is wrong with one that is.
    """
    caller = Caller()
    file, chosen, _ = choose(config, account, caller)
    path = chosen.queue or (None if config is not None else _of_daemon(file, caller))
    if path is None:
        raise errors.ConfigError("there is no queue (the word queue says where it is to be)", chosen.place)
    try:
        store = SqliteStore(path, create=False)
    except Missing:
        return None, caller.uid
    return store, whose(caller.uid, os.stat(path).st_uid)


def _of_daemon(file: "File", caller: Caller) -> str | None:
    """Return the queue that the system's daemon, or the caller's agent, has left where the configuration names none."""
    if accounts.is_system(file.place):
        from pysendmail.daemon.ground import QUEUE

        return QUEUE if os.path.exists(QUEUE) else None
    from pysendmail.command import agent

    try:
        path = agent.queue_path(caller.home)
    except errors.ConfigError:
        return None
    return path if os.path.exists(path) else None
