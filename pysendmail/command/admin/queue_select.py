"""What a command for the queue is meant for: ids, or conditions, and never everything unless one says so."""

import os

from pysendmail import errors
from pysendmail.config import values
from pysendmail.queue.states import DONE, STATES
from pysendmail.queue.values import Select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

_MARKS = "*!"  # what mailq puts behind an id


class NoSuchMessage(errors.NoInput):
    """The queue has no message of this id, or none that the caller may see (EX_NOINPUT)."""


def add_conditions(parser: "ArgumentParser", everything: bool) -> None:
    """Let a command take ids and conditions; with `everything` also the word that means all messages."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="the messages of these ids")
    if everything:
        parser.add_argument("--all", action="store_true", help="all messages; so does the word all in place of the ids")
    parser.add_argument("--from", dest="sender", metavar="TEXT", help="whose sender contains TEXT; <> is the null sender")
    parser.add_argument("--to", dest="recipient", metavar="TEXT", help="the recipients whose address contains TEXT")
    parser.add_argument("--older", metavar="AGE", help="that came before AGE, as 2d, 12h or 1h30m")
    states = [state for state in STATES if state not in DONE]
    parser.add_argument("--state", action="append", choices=states, help="the recipients in this state")


def selection(asked: "Namespace", uid: int | None, now: float) -> Select:
    """Return what the arguments mean, limited to the messages of `uid` (None: of everybody). Raises UsageError."""
    return Select(
        qids=ids(asked) or None,
        sender=None if asked.sender is None else _sender(asked.sender),
        recipient=None if asked.recipient is None else _pattern(asked.recipient, "--to"),
        created_before=None if asked.older is None else now - age(asked.older),
        states=tuple(asked.state) if asked.state else None,
        uid=uid,
    )


def insist(asked: "Namespace") -> None:
    """Raise UsageError unless the arguments say which messages are meant. The word `all` does what --all does."""
    if [given.lower() for given in asked.ids] == ["all"]:  # no id is so short
        asked.ids, asked.all = [], True
    conditions = [asked.sender, asked.recipient, asked.older]
    narrowed = bool(asked.ids or asked.state) or any([condition is not None for condition in conditions])
    if narrowed and asked.all:
        raise errors.UsageError("--all means every message; leave it away where ids or conditions are given")
    if not narrowed and not asked.all:
        raise errors.UsageError("say which messages are meant: ids, --from, --to, --older, --state, or --all")


def ids(asked: "Namespace") -> list[str]:
    """Return the ids that were given, each once, in upper case and without the mark that stands behind one in a list."""
    return list(dict.fromkeys([given.rstrip(_MARKS).upper() for given in asked.ids]))


def unknown(qids: list[str]) -> NoSuchMessage:
    """Return the failure of ids that are not there."""
    several = len(qids) > 1
    return NoSuchMessage(f"no message of the id{'s' if several else ''} {', '.join(qids)} is in the queue")


def age(text: str) -> float:
    """Read `2d`, `12h` or `1h30m` as seconds. Raises UsageError, also for a number whose unit is missing."""
    try:
        if not text[-1:].isdecimal():
            return values.duration(text)
    except values.Expected:
        pass
    raise errors.UsageError(f"bad age {text!r}; write numbers with units, as 2d, 12h or 1h30m, and at most a year")


def _sender(text: str) -> bytes:
    return b"" if text == "<>" else _pattern(text, "--from")


def _pattern(text: str, option: str) -> bytes:
    if not text:
        hint = "; the null sender is <>" if option == "--from" else ""
        raise errors.UsageError(f"{option} needs a text that is not empty{hint}")
    return os.fsencode(text)
