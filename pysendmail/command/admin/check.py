"""pysendmail check: try everything that a delivery needs, short of a message, and say how to mend what is wrong."""

import os

from pysendmail import errors
from pysendmail.command.admin.arguments import add_place
from pysendmail.command.admin.configured import choose
from pysendmail.command.admin.findings import FAILED, NOTE, WARNING, Findings
from pysendmail.command.console import show
from pysendmail.command.identity import Caller, forbid_core_dumps, mail_domain
from pysendmail.config.accounts import is_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping
    from typing import Any

    from pysendmail.config.accounts import Account
    from pysendmail.config.reader import File
    from pysendmail.smtp.sasl import Credentials

_STORES = ("/etc/credstore", "/run/credstore", "/usr/lib/credstore")  # of systemd.exec(5), LoadCredential


def add_parser(commands: "Any") -> None:
    """Add the subcommand to the parser of the command line."""
    parser: ArgumentParser = commands.add_parser(
        "check",
        help="try all that a delivery needs, and send nothing",
        description="Look at the configuration and everything around it, connect to each address of the smarthost, "
        "encrypt and log in, and say what is wrong and how to mend it. Nothing is sent.",
    )
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--to", metavar="ADDRESS", help="ask the server whether it would take a message to this address")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the dialogue, secrets masked")


def run(asked: "Namespace") -> int:
    """Print what is found and return 0, or the exit code that a message would get now. Raises UsageError."""
    caller = Caller()
    recipient = None if asked.to is None else _address(asked.to)
    forbid_core_dumps()
    findings = Findings(asked.json)
    try:
        file, account, reason = choose(asked.config, asked.account, caller)
    except errors.Failure as failure:
        mend = "pysendmail.conf(5) says what to write"
        if caller.uid and "Permission denied" in str(failure):
            mend = "run it as root, or name a file of your own by -C"
        findings.fail("configuration", failure, mend=mend)
        return findings.finish(None, None)
    look(findings, file, account, reason, caller)
    credentials = find_secret(findings, account, caller)
    from pysendmail.command.admin import check_domain, check_local, check_server

    check_local.look(findings, file, account, caller, asked.config)
    sender = check_domain.sender(account, caller)
    dialogue = show if asked.verbose else None
    check_server.look(findings, account, credentials, sender, _qualified(recipient, account), dialogue)
    check_domain.look(findings, account, sender)
    return findings.finish(file.place, account.name)


def look(findings: Findings, file: "File", account: "Account", reason: str, caller: Caller) -> None:
    """Say which account of which file it is, and what of it has no effect."""
    findings.add("configuration", f"{file.place}: {reason}; {account.server_names()}")
    for note in [*account.notes, *_differences(file), *_unknown_callers(file)]:
        findings.add("note", note, NOTE)
    if caller.uid and is_system(file.place):
        findings.add("note", "what only root or the daemon may read is not looked at; root sees all of it", NOTE)


def _differences(file: "File") -> list[str]:
    """Return what is not as another program has it, whose configuration is used."""
    if not file.tool:
        return []
    from pysendmail.config.foreign.convert import convert
    from pysendmail.config.foreign.translation import DIFFERS, LOST

    return [str(one) for one in convert(file.tool, file.place).remarks if one.verdict in (DIFFERS, LOST)]


def _unknown_callers(file: "File") -> list[str]:
    """Return a note for each section that is for nobody here."""
    if file.written is None:
        return []
    from pysendmail.daemon.policy import Policy

    return Policy(file.daemon.callers, 0, lambda uid: 0).notes()


def find_secret(findings: Findings, account: "Account", caller: Caller) -> "Credentials | None":
    """Find the password; who cannot goes on without a login."""
    from time import monotonic

    from pysendmail.config import credentials

    if account.auth is False:
        findings.add("password", "none is needed: auth is off")
        return None
    began = monotonic()
    try:
        environ = _environ(account, caller)
        found = _revealed(account, caller) or credentials.find(
            account, home=caller.home or None, environ=environ, tty=not findings.silent
        )
    except errors.Failure as failure:
        failure.text += "; the login is not tried"
        if caller.uid and is_system(account.place):
            text = f"this user cannot reach it ({failure})"
            findings.add("password", text, WARNING, "run it as root, or as the daemon's user")
        else:
            mend = "add password, passwordeval or a netrc entry, or see why the command fails"
            findings.add("password", str(failure), FAILED, mend, code=failure.exit_code)
        return None
    text = "none is needed" if found is None or not found.secret else "found"
    findings.add("password", text, seconds=monotonic() - began)
    return found


def _revealed(account: "Account", caller: Caller) -> "Credentials | None":
    """Return user and password that systemd keeps encrypted for the daemon, where nothing else gives a password."""
    nowhere = account.password is None and account.passwordeval is None and account.user
    if caller.uid or not nowhere or not is_system(account.place):
        return None
    from pysendmail.command.admin import credstore
    from pysendmail.smtp.sasl import Credentials

    password = credstore.reveal(account.name)
    return None if password is None else Credentials(account.user or b"", password)


def _environ(account: "Account", caller: Caller) -> "Mapping[str, str]":
    """Return the environment; for root at the daemon's configuration with where systemd takes its secrets from."""
    if caller.uid or not is_system(account.place) or os.environ.get("CREDENTIALS_DIRECTORY"):
        return os.environ
    names = ("pysendmail.password", f"pysendmail.{account.name}")
    there = [folder for folder in _STORES if any([os.path.exists(f"{folder}/{name}") for name in names])]
    return {**os.environ, "CREDENTIALS_DIRECTORY": there[0]} if there else os.environ


def _address(text: str) -> bytes:
    """Return the address of --to. Raises UsageError."""
    from pysendmail.message import address

    raw = os.fsencode(text)
    found = address.parse(raw)
    printable = raw.isascii() and text.isprintable()
    if not printable or found.errors or len(found.mailboxes) != 1:
        raise errors.UsageError("--to: expected one mail address in ASCII")
    return found.mailboxes[0].address


def _qualified(recipient: bytes | None, account: "Account") -> bytes | None:
    return recipient if recipient is None or b"@" in recipient else recipient + b"@" + mail_domain(account)
