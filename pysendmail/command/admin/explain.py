"""pysendmail explain: what would happen to a message, without sending it."""

import os
from time import time

from pysendmail import errors
from pysendmail.command.admin.explanation import Explainer, policy_for
from pysendmail.command.console import write
from pysendmail.command.identity import NO_UID, Caller
from pysendmail.command.intake import read_message, read_pieces
from pysendmail.log import queue_id
from pysendmail.options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable
    from typing import Any

    from pysendmail.command.intake import Intake, Message
    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases
    from pysendmail.config.reader import File
    from pysendmail.options import Options


def add_parser(commands: "Any") -> None:
    """Add the subcommand to the parser of the command line."""
    parser: ArgumentParser = commands.add_parser(
        "explain",
        help="say what would happen to the message on standard input, and send nothing",
        description="Read a message, and say what sendmail with these arguments would do with it. Nothing is sent.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--as", dest="caller", metavar="WHO", help="for this login or uid, or a peer of the listener")
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="sendmail's own, after --")


def run(asked: "Namespace", words: list[str]) -> int:
    """Explain the message on standard input; return the exit code that is certain already. Raises Failure.

    A daemon that would take the message explains it, since it knows its configuration.
    """
    from pysendmail.command.submit import configuration

    options = _options(asked)
    taken = None
    if options.config is None:
        from pysendmail.command import remote

        code, data, ended = remote.explain([os.fsencode(word) for word in words], read_pieces(0, options.ignore_dots))
        if code is not None:
            return code
        if data or ended:
            taken = data, ended
    me = Caller()
    file = configuration(options, me)
    caller = _caller(asked.caller) if asked.caller is not None else me
    message = read_message(0, options.ignore_dots, taken)
    return _tell(asked, options, message, caller, file, _own_uid(file), None)


def answer(
    asked: "Namespace",
    intake: "Intake",
    me: Caller,
    file: "File",
    own: int,
    aliases: "Callable[[Account], Aliases | None]",
) -> int:
    """Explain a message that a daemon with the uid `own` would take from a caller. Raises Failure."""
    options = _options(asked)
    message = intake.finish(drop_final_dot=not options.ignore_dots)
    try:
        if asked.caller is not None and me.uid not in (0, own):
            raise errors.NoPermission("--as is for root and the daemon's own user")
        caller = _caller(asked.caller) if asked.caller is not None else me
        return _tell(asked, options, message, caller, file, own, aliases)
    finally:
        message.body.close()


def _options(asked: "Namespace") -> "Options":
    """Return what sendmail's arguments mean. Raises UsageError for those that deliver nothing."""
    options = parse([os.fsencode(argument) for argument in asked.arguments], b"sendmail")
    if options.mode != "deliver":
        raise errors.UsageError("explain is for arguments that deliver a message")
    if not options.extract and not options.recipients:
        raise errors.UsageError("no recipients in the arguments (-t takes them from the header)")
    return options


def _tell(
    asked: "Namespace",
    options: "Options",
    message: "Message",
    caller: Caller,
    file: "File",
    own: int,
    aliases: "Callable[[Account], Aliases | None] | None",
) -> int:
    """Explain a message, which a daemon would take if `aliases` are those that it knows."""
    from pysendmail.command.admin.explain_view import View

    now, daemon = time(), aliases is not None
    explainer = Explainer(
        options, caller, file, message, policy_for(file, own), now=now, qid=queue_id(now, os.getpid()), received=daemon,
        aliases=aliases,
    )  # fmt: skip
    view = View(options, caller, file, message, explainer.explain(), daemon)
    if asked.json:
        import json

        write(1, json.dumps(view.facts(), ensure_ascii=True) + "\n")
    else:
        view.show()
    return view.code


def _caller(name: str) -> Caller:
    """Return who a name or uid of --as is."""
    if name == "listener":
        return Caller.of_nobody()
    from pysendmail.daemon.directory import Directory

    uid = int(name) if name.isascii() and name.isdecimal() and len(name) < 11 else Directory().uid_of(os.fsencode(name))
    if uid is None:
        raise errors.UsageError("--as: there is no such user")
    return Caller.of(uid)


def _own_uid(file: "File") -> int:
    """Return the uid that the daemon of a file has, or that of nobody."""
    from pysendmail.daemon.directory import Directory

    user = file.written.run_as[0] if file.written is not None and file.written.run_as else "pysendmail"
    uid = int(user) if user.isdecimal() else Directory().uid_of(os.fsencode(user))
    return NO_UID if uid is None else uid
