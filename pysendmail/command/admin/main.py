"""The command line of pysendmail."""

import _signal
import os
import sys

from pysendmail import __version__
from pysendmail.command.console import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def main() -> None:
    """Run the subcommand that the arguments name, and end the process with its exit code."""
    from pysendmail.command.program import conclude

    conclude("pysendmail", lambda: run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Parse `arguments` and run the subcommand. Raises Failure, and SystemExit where argparse has said all."""
    asked = parse(arguments)
    if asked.program == "queue":
        code = _ask(asked, arguments)
        if code is not None:
            return code
        from pysendmail.command.admin import queue
        from pysendmail.command.admin.configured import open_configured

        return queue.run(asked, open_configured)
    if asked.program == "explain":
        from pysendmail.command.admin import explain

        return explain.run(asked, arguments)
    if asked.program == "import":
        from pysendmail.command.admin import importing

        return importing.run(asked)
    if asked.program == "configure":
        from pysendmail.command.admin import configuring

        return configuring.run(asked)
    if asked.program == "agent":
        from pysendmail.command import agent

        return agent.run(asked)
    if asked.program == "log":
        return _journey(asked, arguments)
    if asked.program == "status":
        return _status(asked, arguments)
    if asked.program == "metrics":
        return _metrics(asked)
    if asked.program == "trace":
        from pysendmail.command.admin import trace

        return trace.run(asked)
    from pysendmail.command.admin import check

    return check.run(asked)


def _ask(asked: "Namespace", arguments: list[str]) -> int | None:
    """Have a daemon do what was asked for and return the exit code; None if there is none, or -C says to do it here."""
    if asked.config is not None:
        return None
    from pysendmail.command import remote

    return remote.ask(b"pysendmail", [os.fsencode(argument) for argument in arguments])


def _journey(asked: "Namespace", arguments: list[str]) -> int:
    from pysendmail.command.admin import journey
    from pysendmail.command.admin.configured import open_configured

    journey.check(asked)
    if asked.follow:
        _end_with_reader()
    code = _ask(asked, arguments)
    return journey.run(asked, open_configured) if code is None else code


def _end_with_reader() -> None:
    """Let an interruption end this process, and that nobody reads what it says any more: it has no other end."""
    import select
    from _thread import start_new_thread

    for number in (_signal.SIGINT, _signal.SIGPIPE):
        _signal.signal(number, _signal.SIG_DFL)

    def watch() -> None:
        poll = select.poll()
        poll.register(1, 0)  # of no event but the end of what is there
        poll.poll()
        os.kill(os.getpid(), _signal.SIGPIPE)

    start_new_thread(watch, ())


def _status(asked: "Namespace", arguments: list[str]) -> int:
    code = _ask(asked, arguments)
    if code is not None:
        return code
    from pysendmail import entry
    from pysendmail.command.admin import status
    from pysendmail.command.admin.configured import open_configured

    expected = asked.config is None and entry.is_expected(os.getuid())
    return status.run(asked, open_configured, expected=expected)


def _metrics(asked: "Namespace") -> int:
    """The file is written by the caller, with his rights; a daemon only gives the text."""
    from pysendmail.command.admin import metrics, textfile
    from pysendmail.command.admin.configured import open_configured

    if asked.config is None:
        from pysendmail.command import remote

        older = [b"--prometheus"] if asked.prometheus or asked.write is not None else []
        answer = remote.fetch(b"pysendmail", [b"metrics", *older])
        if answer is not None:
            code, text = answer
            if code == 0 and asked.write is not None:
                textfile.write(asked.write, text)
            elif code == 0:
                write(1, text.decode("utf-8", "backslashreplace"))
            return code
    return metrics.run(asked, open_configured)


def parse(arguments: list[str]) -> "Namespace":
    """Return what the arguments ask for; raises SystemExit as argparse does."""
    return _parser().parse_args(arguments)


def _parser() -> "ArgumentParser":
    from pysendmail.command import agent
    from pysendmail.command.admin import check, configuring, explain, importing, journey, metrics, queue, status, trace
    from pysendmail.command.program import Parser

    parser = Parser(prog="pysendmail", description="Look after the sendmail command of pysendmail.")
    parser.add_argument("--version", action="version", version=f"pysendmail {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="program")
    check.add_parser(commands)
    configuring.add_parser(commands)
    agent.add_parser(commands)
    explain.add_parser(commands)
    importing.add_parser(commands)
    queue.add_parser(commands)
    journey.add_parser(commands)
    status.add_parser(commands)
    metrics.add_parser(commands)
    trace.add_parser(commands)
    return parser
