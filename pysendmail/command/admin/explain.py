"""pysendmail explain: what would happen to a message, without sending it."""

import os
from time import time

from pysendmail import errors, handover
from pysendmail.command.admin.explanation import Explainer, policy_for
from pysendmail.command.console import write
from pysendmail.command.identity import NO_UID, Caller
from pysendmail.command.intake import read_message
from pysendmail.command.submit import configuration
from pysendmail.log import queue_id
from pysendmail.options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from pysendmail.config.reader import File


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


def run(asked: "Namespace") -> int:
    """Explain the message on standard input; return the exit code that is certain already. Raises Failure."""
    from pysendmail.command.admin.explain_view import View

    options = parse([os.fsencode(argument) for argument in asked.arguments], b"sendmail")
    if options.mode != "deliver":
        raise errors.UsageError("explain is for arguments that deliver a message")
    if not options.extract and not options.recipients:
        raise errors.UsageError("no recipients in the arguments (-t takes them from the header)")
    me = Caller()
    file = configuration(options, me)
    taken_by_daemon = options.config is None and handover.socket_path(me.uid) is not None
    caller = me if asked.caller is None else _caller(asked.caller)
    message = read_message(0, options.ignore_dots)
    now = time()
    explainer = Explainer(
        options, caller, file, message, policy_for(file, _own_uid(file)), now=now, qid=queue_id(now, os.getpid()),
        received=taken_by_daemon,
    )  # fmt: skip
    view = View(options, caller, file, message, explainer.explain(), taken_by_daemon)
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
