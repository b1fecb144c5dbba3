"""Run the daemon: `pysendmaild`, and the modes -bd, -bl and -bD of sendmail."""

import os
import sys

from pysendmail import errors
from pysendmail.daemon.ground import Wish
from pysendmail.daemon.launch import launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

    from pysendmail.daemon.setup import Setup
    from pysendmail.daemon.supervisor import Runs
    from pysendmail.options import Options


_PROGRAM = "pysendmaild"


def main() -> None:
    """Run the program pysendmaild for this process's arguments and end the process with its exit code."""
    from pysendmail.command.program import conclude

    conclude(_PROGRAM, _run)


def _run() -> int:
    asked = _parser().parse_args(sys.argv[1:])
    path = _path(asked.config)
    if asked.reload is not None:
        from pysendmail.daemon import renewal

        renewal.reload(path, asked.reload)
        return 0
    wish = Wish(_PROGRAM, path)
    wish.foreground = asked.foreground
    return launch(wish, RUNS)


def _parser() -> "ArgumentParser":
    from pysendmail import __version__
    from pysendmail.command.program import Parser

    parser = Parser(prog=_PROGRAM, description="Take messages from sendmail and deliver them.")
    parser.add_argument("--version", action="version", version=f"pysendmail {__version__}")
    parser.add_argument("-f", "--foreground", action="store_true", help="stay in the foreground, for service managers")
    parser.add_argument("-C", "--config", metavar="FILE", help="this configuration, not the system's")
    parser.add_argument("--reload", type=_pid, metavar="PID", help="have the daemon with this process id read it anew")
    return parser


def _pid(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 31:
        raise ValueError
    return int(text)


def run(options: "Options", program: str) -> int:
    """Run the daemon as sendmail's options ask for it. Raises Failure."""
    from pysendmail.config import accounts

    path = None
    if options.config is not None:
        # Whoever can add options to a web server's call of sendmail must not have it run his own configuration.
        path = accounts.find_file(options.config, home=None, xdg=None, uid=os.getuid())
    wish = Wish(program, _path(path))
    wish.foreground = options.foreground
    wish.interval = None if options.interval is None else float(options.interval)
    return launch(wish, RUNS)


def _path(name: str | None) -> str:
    from pysendmail.config.accounts import SYSTEM_FILE

    if name == "":
        raise errors.ConfigError("the name of the file given with -C is empty")
    return os.path.abspath(name) if name is not None else SYSTEM_FILE


def _accept(setup: "Setup") -> int:
    from pysendmail.daemon import accept

    return accept.run(setup)


def _deliver(setup: "Setup") -> int:
    from pysendmail.daemon import deliver

    return deliver.run(setup)


RUNS: "Runs" = {"accept": _accept, "deliver": _deliver}
