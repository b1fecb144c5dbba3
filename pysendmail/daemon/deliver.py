"""The deliver process: it has the secrets and the network, and takes from the queue what accept has committed.

It parses nothing that comes from callers. What a message may choose of its way is the name of an account in the daemon's
own configuration; another configuration's path counts only in a user's own daemon, where both are of the same user.
"""

import os
import sys

from pysendmail import errors
from pysendmail.command.identity import Caller, mail_domain
from pysendmail.command.queueing import settings_of
from pysendmail.config import accounts, credentials, reader
from pysendmail.daemon.aliasing import Aliasing
from pysendmail.delivery import interruption
from pysendmail.delivery.session import Route
from pysendmail.log import Log, printable
from pysendmail.queue import dialogue
from pysendmail.queue.runner import KEEP_FAILED
from pysendmail.queue.service import Service
from pysendmail.queue.settings import Way
from pysendmail.queue.sqlite import SqliteStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.config.accounts import Account
    from pysendmail.config.reader import File
    from pysendmail.daemon.setup import Setup
    from pysendmail.queue.dialogue import Writer
    from pysendmail.queue.settings import Routes

_PATIENCE = 20.0  # seconds to wait for the queue
_SHORT_PATIENCE = 5.0  # those of the main thread, which says every ten seconds that it is alive
_SWITCH = 0.001  # seconds that one thread may keep the others from running


def run(setup: "Setup") -> int:
    """Serve the queue until SIGTERM, and return the exit code. Raises Failure if the queue cannot be opened."""
    sys.setswitchinterval(_SWITCH)
    try:
        interruption.install()
        _serve(setup)
    except errors.Interrupted:
        pass  # it came before there was anything to finish
    return 0


def _serve(setup: "Setup") -> None:
    account = _default(setup.file)
    store = SqliteStore(setup.queue, patience=_PATIENCE)
    eyes = SqliteStore(setup.queue, patience=_SHORT_PATIENCE)
    try:
        service = Service(
            store,
            ways(setup.file, setup.config, agent=setup.agent),
            eyes=eyes,
            wake=setup.wake,
            tell=lambda: _tell(setup.news),
            dialogue=lambda qid: _dialogue(setup.queue, qid),
            alive=setup.alive,
            log=Log(account.syslog, account.logfile) if account else Log(),
            keepfailed=account.keepfailed if account else KEEP_FAILED,
        )
        service.run()
    finally:
        eyes.close()
        store.close()


def ways(file: "File", path: str, *, agent: bool) -> "Routes":
    """Return what finds the way for the messages of an account and a configuration.

    `file` is the daemon's configuration, read from `path`. `agent`: the daemon is a user's own.
    """
    caller = Caller()
    aliasing = Aliasing(agent, lambda text: None)  # what is wrong with them accept says

    def way(name: str, config: str) -> Way:
        its = file
        stale: Callable[[], bool] = bool
        if config and config != path:
            if not agent:
                place = printable(config)
                raise errors.ConfigError("the daemon sends nothing by another configuration than its own", place)
            stale = _watch(config)
            its = reader.load(config, uid=caller.uid, home=caller.home)
        account, _ = accounts.choose(its, account=os.fsencode(name) if name else None)

        def route() -> Route:
            home = caller.home if agent else ""
            return Route(account, credentials.find(account, home=home or None, environ=os.environ, tty=False))

        def log(tag: str) -> Log:
            return Log(account.syslog, account.logfile, tag or "pysendmail")

        return Way(settings_of(account, mail_domain(account), its, aliasing.of), route, log, stale)

    return way


def _default(file: "File") -> "Account | None":
    try:
        return accounts.choose(file)[0]
    except errors.ConfigError:
        return None  # an account may be named by each message


def _tell(news: int) -> None:
    try:
        os.write(news, b"n")
    except (BlockingIOError, BrokenPipeError):
        pass  # what accept has not read yet will have it look; after the parent's death it may be gone, and we end too


def _dialogue(queue: str, qid: str) -> "Writer | None":
    """Return what the dialogue about a message is told to, None if nobody wants to see it."""
    try:
        return dialogue.Writer(queue, qid)
    except OSError:
        return None


def _watch(path: str) -> "Callable[[], bool]":
    """Return what tells whether a file has changed since now."""

    def look() -> object:
        try:
            status = os.stat(path)
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    then = look()
    return lambda: look() != then
