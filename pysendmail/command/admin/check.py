"""pysendmail check: try everything that a delivery needs, short of a message."""

import os
from time import monotonic

from pysendmail import errors
from pysendmail.command.admin.configured import choose
from pysendmail.command.compose import aliases_of
from pysendmail.command.console import say, show
from pysendmail.command.identity import Caller, forbid_core_dumps
from pysendmail.config import credentials
from pysendmail.delivery.session import Route, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account
    from pysendmail.config.reader import File
    from pysendmail.smtp.client import Client

_PROBLEMS = 20


def check(config: str | None, account_name: str | None, verbose: bool) -> int:
    """Print a line for each step and return 0, or the exit code that a message would get now."""
    try:
        _run(config, account_name, verbose)
    except errors.Failure as failure:
        _step("failed", str(failure))
        return failure.exit_code
    return 0


def _run(config: str | None, account_name: str | None, verbose: bool) -> None:
    caller = Caller()
    forbid_core_dumps()
    file, account, reason = choose(config, account_name, caller)
    _step("configuration", f"{file.place}: {reason}")
    for note in [*account.notes, *_unknown_callers(file)]:
        _step("note", note)
    _check_aliases(account)
    found = credentials.find(account, home=caller.home or None, environ=os.environ, tty=True)
    _step("password", "none is needed" if found is None or not found.secret else "found")
    _connect(account, Route(account, found, show if verbose else None))


def _check_aliases(account: "Account") -> None:
    """Print what is wrong with the alias file. Raises ConfigError if it cannot be read."""
    known = aliases_of(account)
    if known is None:
        return
    found = [text for text, _ in known.problems()]
    _step("aliases", f"{known.place}: {sum([1 for _ in known.names()])} names")
    for text in found[:_PROBLEMS]:
        _step("note", text)
    if len(found) > _PROBLEMS:
        _step("note", "newaliases tells more about the aliases")


def _unknown_callers(file: "File") -> list[str]:
    """Return a note for each section that is for nobody here."""
    if file.written is None:
        return []
    from pysendmail.daemon.policy import Policy

    return Policy(file.daemon.callers, 0, lambda uid: 0).notes()


def _connect(account: "Account", route: Route) -> None:
    started = monotonic()
    session = Session(route, started + 4 * account.timeout)
    try:
        client = session.open()
        _step("connection", f"{session.relay}, ready after {(monotonic() - started) * 1000:.0f} ms")
        _step("encryption", session.tls_facts or "NONE: the message and its envelope go over the line in clear")
        _step("offers", b" ".join(client.extensions.keywords).decode("ascii", "replace") or "no extensions")
        _step("login", _login(client, account))
    finally:
        session.close()


def _login(client: "Client", account: "Account") -> str:
    if not client.authenticated:
        return "none"
    return f"accepted for {(account.user or b'the client certificate').decode('utf-8', 'backslashreplace')}"


def _step(name: str, text: str) -> None:
    say(f"{name + ':':<15}{text}")
