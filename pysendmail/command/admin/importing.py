"""pysendmail import: make a configuration of ours from another program's, and account for each of its lines."""

import os

from pysendmail import errors
from pysendmail.command.configure.draft import Draft
from pysendmail.command.console import say, write
from pysendmail.command.identity import Caller, forbid_core_dumps
from pysendmail.config.accounts import SYSTEM_FILE, Account
from pysendmail.config.foreign import sources
from pysendmail.config.foreign.convert import convert, parse
from pysendmail.config.foreign.translation import LOST
from pysendmail.config.reader import shown
from pysendmail.config.words import SECRETS
from pysendmail.log import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from pysendmail.config.foreign.sources import Found
    from pysendmail.config.foreign.translation import Remark, Translation

_OWN_FILE = "pysendmail/pysendmail.conf"
_WIDEST = 60


def add_parser(commands: "Any") -> None:
    """Add the subcommand to the parser of the command line."""
    parser: ArgumentParser = commands.add_parser(
        "import",
        help="make a configuration from that of another program",
        description="Print a configuration made from another program's, and what became of each of its lines.",
    )
    parser.add_argument("--from", dest="tool", metavar="PROGRAM", help="this program: " + ", ".join(sources.SOURCES))
    parser.add_argument("--write", action="store_true", help="put it where it is read, instead of printing it")
    parser.add_argument("--force", action="store_true", help="with --write: replace a file that is there")
    parser.add_argument("--show-secrets", action="store_true", help="print passwords, too")
    parser.add_argument("--root", metavar="FOLDER", default="", help="look, and write, below this folder")


def run(asked: "Namespace") -> int:
    """Import. Raises Failure."""
    if asked.force and not asked.write:
        raise errors.UsageError("--force has no meaning without --write")
    forbid_core_dumps()
    caller = Caller()
    root = os.path.abspath(asked.root) if asked.root else ""
    root = "" if root == "/" else root
    folder = _folder(caller.home)
    found = sources.choose(
        asked.tool, home=caller.home, folder=folder, root=root, useful=lambda one: _names_server(one, root)
    )
    made = convert(found.tool, found.name, root)
    try:
        _check(made, caller)
    finally:
        _account_for(made)
    if asked.write:
        path = f"{root}{_target(found, caller, folder)}"
        _put(path, _text(made, secrets=True).encode("latin-1"), secret=made.has_secret(), force=asked.force)
        say(f"{shown(path)} is written; pysendmail check tries it")
    else:
        write(1, _text(made, secrets=asked.show_secrets).encode("latin-1").decode("utf-8", "surrogateescape"))
    return 0


def _folder(home: str) -> str:
    xdg = os.environ.get("XDG_CONFIG_HOME", "")
    return xdg if xdg[:1] == "/" else f"{home}/.config" if home[:1] == "/" else ""


def _target(found: "Found", caller: Caller, folder: str) -> str:
    """Return the place of the file: a user's for what was a user's, or for whoever cannot write the system's."""
    if not found.own and caller.uid == 0:
        return SYSTEM_FILE
    if not folder:
        raise errors.ConfigError("the home folder is not known, so there is no place for a configuration of yours")
    return f"{folder}/{_OWN_FILE}"


def _names_server(found: "Found", root: str) -> bool:
    try:
        made = convert(found.tool, found.name, root)
    except errors.ConfigError:
        return True  # whoever chooses it is told
    return bool(made.default.get("host"))


def _check(made: "Translation", caller: Caller) -> None:
    """Have our own reader look at it. Raises ConfigError."""
    file = parse(made, caller.home)
    for section in file.accounts.values():
        Account(file, section, caller.uid)


def _text(made: "Translation", secrets: bool) -> str:
    """Return the file, each word below the place that it comes from."""
    lines = [f"# Made from {made.place} by pysendmail import --from {made.tool}"]
    before = made.place
    for text, place, word in made.rows():
        if word == "account" or (word == "caller" and before):
            lines.append("")
            before = ""
        if place != before and place != made.place:
            lines.append(f"# {place}")
        before = place
        hidden = word in SECRETS and not secrets
        lines.append(f"# {word}: not shown; --show-secrets prints it, --write writes it" if hidden else text)
    return "\n".join(lines) + "\n"


def _account_for(made: "Translation") -> None:
    """Say on standard error what became of each line."""
    rows = [(f"{one.place}: {one.theirs}", one) for one in sorted(made.remarks, key=_order)]
    width = min(max([len(where) for where, _ in rows], default=0), _WIDEST)
    for where, one in rows:
        write(2, printable(f"{where:<{width}}  {one.verdict:<7}  {one.text}", 500) + "\n")
    lost = sum([one.verdict == LOST for one in made.remarks])
    if lost:
        write(2, f"pysendmail: {lost} of these could not be taken over ({LOST})\n")


def _order(one: "Remark") -> tuple[str, int]:
    name, _, line = one.place.rpartition(":")
    return (name, int(line)) if line.isdecimal() else (one.place, 0)


def _put(path: str, data: bytes, *, secret: bool, force: bool) -> None:
    """Write the file, whole or not at all. Raises ConfigError if one is there, SystemFailure if it cannot be written."""
    with Draft(path, data, 0o600 if secret else 0o644) as draft:
        try:
            draft.commit(replace=force)
        except FileExistsError:
            raise errors.ConfigError("is there already; --force replaces it", shown(path)) from None
