"""Where the password is kept: in the configuration itself, in the desktop's key ring, or as a credential of systemd.

A command that prints it (passwordeval) keeps it elsewhere.
"""

import os

from pysendmail import errors
from pysendmail.command.admin import credstore
from pysendmail.config.secretfile import first_line
from pysendmail.log import Masker, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.configure.draft import Draft
    from pysendmail.command.configure.editing import Words

FILE, KEY_RING, CREDENTIAL, COMMAND = "file", "secret-tool", "credential", "passwordeval"
_LIMIT = 65536
_PATIENCE = 120  # seconds: the key ring may have to be unlocked
_SERVICE = "/etc/systemd/system/pysendmail.service.d"


def kind_of(text: str) -> tuple[str, bytes]:
    """Read the value of --secret: where, and the command if it is one. Raises UsageError."""
    kind, equals, command = text.partition("=")
    if kind == COMMAND and command.strip():
        return kind, os.fsencode(command)
    if kind in (FILE, KEY_RING, CREDENTIAL) and not equals:
        return kind, b""
    raise errors.UsageError(f"--secret: expected {FILE}, {KEY_RING}, {CREDENTIAL} or {COMMAND}=COMMAND")


def require(kind: str, system: bool) -> None:
    """Refuse a place that this machine, or this configuration, does not have. Raises UsageError, Unavailable."""
    from shutil import which

    if kind == KEY_RING and system:
        raise errors.UsageError("--secret secret-tool: a key ring is a user's, and the system's configuration has none")
    if kind == KEY_RING and which("secret-tool") is None:
        raise errors.Unavailable("--secret secret-tool: it is not installed (package libsecret-tools)")
    if kind == CREDENTIAL and not system:
        raise errors.UsageError("--secret credential: it is for the system's daemon; --system configures that")
    if kind == CREDENTIAL and which(credstore.PROGRAM) is None:
        raise errors.Unavailable(f"--secret credential: {credstore.PROGRAM} is not installed (systemd 250 or later)")


def read(name: str) -> bytes:
    """Return the first line of a file, of standard input if it is called -. Raises UsageError, NoInput."""
    if name == "-" and os.isatty(0):
        from pysendmail.config import prompt

        typed = prompt.ask("Password (not shown): ")  # a terminal would show it
        if typed:
            return typed
    try:
        fd = 0 if name == "-" else os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            text = b""
            while b"\n" not in text and len(text) <= _LIMIT and (piece := os.read(fd, 4096)):
                text += piece
        finally:
            if fd:
                os.close(fd)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file has this name"
        raise errors.NoInput(f"--password-file: it cannot be read: {reason}") from None
    password = first_line(text)
    if not password:
        raise errors.UsageError("--password-file: its first line is empty")
    return password


def words(kind: str, password: bytes, command: bytes, host: str, user: bytes) -> "Words":
    """Return the words that say where the password is."""
    if kind == FILE:
        return [("password", password)]
    if kind == COMMAND:
        return [("passwordeval", command)]
    if kind == KEY_RING:
        return [("passwordeval", os.fsencode(" ".join(["secret-tool lookup", *_attributes(host, user)])))]
    return []


def keep(kind: str, password: bytes, host: str, user: bytes, account: str) -> "list[Draft]":
    """Put the password where it belongs; return files that are still to be committed. Raises Failure."""
    if kind == KEY_RING:
        _run(["secret-tool", "store", "--label", f"pysendmail: {host}", *_plain(host, user)], password)
    if kind != CREDENTIAL:
        return []
    from pysendmail.command.configure.draft import Draft

    name = credstore.name_of(account)
    path = f"{credstore.ENCRYPTED}/{name}"
    text = _run([credstore.PROGRAM, "encrypt", f"--name={name}", "-", "-"], password)
    unit = f"# Made by pysendmail configure\n[Service]\nLoadCredentialEncrypted={name}:{path}\n"
    drafts = [Draft(path, text, 0o600)]
    try:
        drafts.append(Draft(f"{_SERVICE}/{name}.conf", unit.encode(), 0o644))
    except BaseException:
        drafts[0].__exit__()
        raise
    return drafts


def _plain(host: str, user: bytes) -> list[str]:
    return ["service", "smtp", "host", host, "user", os.fsdecode(user)]


def _attributes(host: str, user: bytes) -> list[str]:
    from shlex import quote

    return [quote(one) for one in _plain(host, user)]


def _run(command: list[str], password: bytes) -> bytes:
    """Run a program that takes the password on standard input; return what it prints. Raises TempFail."""
    from subprocess import TimeoutExpired, run

    try:
        done = run(command, input=password, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, ValueError) as error:
        raise errors.TempFail(f"{command[0]} cannot be run: {getattr(error, 'strerror', None) or error}") from None
    except TimeoutExpired:
        raise errors.TempFail(f"{command[0]} did not end within {_PATIENCE} seconds; nothing was written") from None
    if done.returncode:
        said = Masker([password]).mask(done.stderr).strip().splitlines() or [b"it says nothing"]
        raise errors.TempFail(f"{command[0]} failed: {printable(said[-1], 300)}; nothing was written")
    return done.stdout
