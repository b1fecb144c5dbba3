"""One user's own daemon: run it (`pysendmail agent`), or have it started because the configuration says `agent on`."""

import os
import stat
import sys

from pysendmail import entry, errors
from pysendmail.command.identity import Caller
from pysendmail.config import accounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from pysendmail.config.reader import File

_IDLE = 600.0  # seconds
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pysendmail.command.admin.main import main; main()"


def add_parser(commands: "Any") -> None:
    """Add the subcommand to the command line."""
    agent: ArgumentParser = commands.add_parser(
        "agent",
        help="run a daemon of your own, with your configuration and queue",
        description="Take the messages that your programs hand to sendmail, and deliver them from your own queue.",
    )
    agent.add_argument("-C", "--config", metavar="FILE", help="this configuration file")
    agent.add_argument("-f", "--foreground", action="store_true", help="stay in the foreground, for service managers")


def run(asked: "Namespace") -> int:
    """Run the agent. Raises Failure."""
    from pysendmail.command.daemon import RUNS
    from pysendmail.daemon.ground import Wish
    from pysendmail.daemon.launch import launch

    caller = Caller()
    option = None if asked.config is None else os.fsencode(asked.config)
    name = accounts.find_file(option, home=caller.home, xdg=os.environ.get("XDG_CONFIG_HOME"), uid=caller.uid)
    wish = Wish("pysendmail", os.path.abspath(name))
    wish.home = caller.home
    wish.socket = f"{_runtime_folder(caller.uid)}/pysendmail/submit.sock"
    wish.queue = queue_path(caller.home)
    wish.idle = _IDLE
    wish.agent = True
    wish.foreground = asked.foreground
    return launch(wish, RUNS)


def _runtime_folder(uid: int) -> str:
    """Return the folder where sendmail looks for the agent. Raises ConfigError for one that is not the user's alone."""
    folder = os.environ.get("XDG_RUNTIME_DIR", "")
    if folder[:1] != "/":
        raise errors.ConfigError("XDG_RUNTIME_DIR names no folder, so sendmail would not find the agent")
    try:
        status = os.stat(folder)
    except OSError as error:
        raise errors.ConfigError(f"XDG_RUNTIME_DIR: {error.strerror}", folder) from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or status.st_mode & 0o022:
        raise errors.ConfigError("XDG_RUNTIME_DIR must be a folder of yours that nobody else can write to", folder)
    return folder.rstrip("/")


def queue_path(home: str) -> str:
    """Return where an agent has its queue if its configuration does not say. Raises ConfigError."""
    return f"{_state_folder(home)}/pysendmail/queue"


def _state_folder(home: str) -> str:
    folder = os.environ.get("XDG_STATE_HOME", "")
    if folder[:1] == "/":
        return folder.rstrip("/")
    if not home:
        raise errors.ConfigError("the home folder is not known; the word queue can name a file elsewhere")
    return f"{home}/.local/state"


def start_detached(file: "File", caller: Caller) -> None:
    """Start the agent if none answers, without waiting for it; that it cannot be started is no sender's business.

    It begins as a new program, which has nothing of this process's memory. `file` has to be the caller's own.
    """
    runtime = os.fsencode(os.environ.get("XDG_RUNTIME_DIR", ""))
    if not runtime or accounts.is_system(file.place):
        return
    try:
        line = entry.connect(runtime + entry.AGENT_SOCKET, caller.uid)
    except entry.Refused:
        return  # it has more than enough to do
    if line is not None:
        line.close()
        return
    try:
        pid = os.fork()
    except OSError:
        return
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        if os.fork() == 0:
            _become_agent()
    finally:
        os._exit(0)


def _become_agent() -> None:
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    modules = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    os.execv(sys.executable, [sys.executable, "-IS", "-c", _PROGRAM, modules, "agent"])
