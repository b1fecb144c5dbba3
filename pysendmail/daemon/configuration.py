"""The daemon's configuration, read so that neither the parent nor accept ever has a secret in its memory.

A short-lived child with the parent's rights reads and checks the file. It writes the text with a placeholder for each
secret to a pipe, for the parent and accept, and the text as it is to a file in memory that only the parent has open and
never reads: each deliver child is given what was checked, even if the file has changed since.
"""

import os

from pysendmail import errors
from pysendmail.config import accounts, reader
from pysendmail.config.words import SECRETS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account
    from pysendmail.config.reader import File

_PATIENCE = 60.0  # seconds for reading a file
_PLACEHOLDER = b"secret"
_FAILED = b"!"
_READ = b"="


class Configuration:
    """A configuration that was found good: `file` without its secrets; `kept` holds its whole text, for deliver alone."""

    __slots__ = ("file", "home", "kept", "path")

    def __init__(self, path: str, home: str, file: "File", kept: int) -> None:
        self.path = path
        self.home = home
        self.file = file
        self.kept = kept

    def account(self) -> "Account | None":
        """Return the default account, None if there is none."""
        try:
            return accounts.choose(self.file)[0]
        except errors.ConfigError:
            return None

    def with_secrets(self) -> "File":
        """Return the file with its secrets. For deliver, before it gives up the rights that it began with."""
        size = os.fstat(self.kept).st_size
        text = os.pread(self.kept, size, 0)
        return reader.parse(text, self.file.place, home=self.home, msmtp=self.file.msmtp, tool=self.file.tool)

    def close(self) -> None:
        """Forget the text."""
        os.close(self.kept)


def read(path: str, home: str, credentials: str = "", renewal: int = -1) -> Configuration:
    """Read and check the file; `credentials` is the folder of systemd's, whose files need no look at their rights.

    What stands in `renewal`, a descriptor, is taken instead of the file unless it is empty. Where the system's file is not
    there, or is not among the credentials, the one of another program is read that accounts.find_file would give. Raises
    ConfigError, and TempFail where the system has not what it takes to read it.
    """
    kept = ours = theirs = -1
    try:
        kept = os.memfd_create("pysendmail.conf", os.MFD_CLOEXEC)
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            _read_for_parent(path, home, credentials, renewal, kept, theirs)
        os.close(theirs)
        theirs = -1
        answer = _answer(ours, pid)
        if answer[:1] == _FAILED:
            code, _, why = answer[1:].partition(b" ")
            raise _failure(int(code), why.decode("utf-8", "surrogateescape"))
        if answer[:1] != _READ:
            raise errors.TempFail("the configuration could not be read", reader.shown(path))
        name, _, text = answer[1:].partition(b"\0")
        path = os.fsdecode(name)
        found, kept = Configuration(path, home, _parsed(text, path, home), kept), -1
        return found
    except OSError as error:
        raise errors.TempFail(f"cannot be read now: {error.strerror}", reader.shown(path)) from None
    finally:
        for fd in (kept, ours, theirs):
            if fd >= 0:
                os.close(fd)


def _failure(code: int, text: str) -> errors.Failure:
    kinds: tuple[type[errors.Failure], ...] = (errors.ConfigError, errors.NoPermission, errors.DataError)
    return next((kind for kind in kinds if kind.exit_code == code), errors.TempFail)(text)


def _answer(fd: int, pid: int) -> bytes:
    """Return all that the child has to say, and wait for its end."""
    import _signal
    import select
    from time import monotonic

    end = monotonic() + _PATIENCE
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    parts = []
    while poll.poll(max(0, end - monotonic()) * 1000):
        part = os.read(fd, 1 << 16)
        if not part:
            break
        parts.append(part)
    else:
        os.kill(pid, _signal.SIGKILL)
        parts = []
    os.waitpid(pid, 0)
    return b"".join(parts)


def _read_for_parent(path: str, home: str, credentials: str, renewal: int, kept: int, answer: int) -> None:
    """Be the child that reads: answer and end."""
    try:
        path, text = checked(path, home, credentials, renewal)
        _write(kept, text)
        reply = _READ + os.fsencode(path) + b"\0" + without_secrets(text)
    except errors.Failure as failure:
        reply = _FAILED + b"%d " % failure.exit_code + str(failure).encode("utf-8", "surrogateescape")
    except BaseException as error:
        # What a traceback shows may be secret.
        reply = _FAILED + b"70 internal error in reading the configuration: " + type(error).__name__.encode()
    try:
        _write(answer, reply)
    finally:
        os._exit(0)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _parsed(text: bytes, path: str, home: str) -> "File":
    place, tool = reader.shown(path), reader.foreign_tool(path)
    return reader.parse(text, place, home=home, msmtp=reader.is_msmtp(path), tool=tool)


def checked(path: str, home: str, credentials: str, renewal: int = -1) -> tuple[str, bytes]:
    """Return the name and the text of the file, in our words if it is another program's, if all of it is good.

    Raises ConfigError.
    """
    renewed, status = _renewed(renewal), None
    if renewed is not None:
        path, text = renewed
    else:
        path = _in_use(path, credentials)
        if reader.foreign_tool(path):
            from pysendmail.config.foreign import convert

            text = convert.text_for_daemon(path, os.geteuid(), home, credentials)
        else:
            from pysendmail.config.foreign.source import handed_over

            copy = handed_over(path, credentials)
            text, status = reader.read_regular(copy or path, reader.FILE_LIMIT)
            if copy or (credentials and path.startswith(f"{credentials}/")):
                status = None  # systemd has seen to its rights
    file = _parsed(text, path, home)
    if status is not None:
        reader.check_rights(file, status, os.geteuid())
    for section in file.accounts.values():
        account = accounts.Account(file, section)
        if account.aliases:
            from pysendmail.config import aliases

            aliases.load(account.aliases)
    if not file.accounts:
        raise errors.ConfigError("it has no account; host is the least it needs", file.place)
    return path, text


def _in_use(path: str, credentials: str) -> str:
    """Return the file to be read. Raises ConfigError."""
    if credentials and path == f"{credentials}/{os.path.basename(accounts.SYSTEM_FILE)}":
        from pysendmail.config.foreign.source import is_handed_over

        path = path if is_handed_over(path) else accounts.SYSTEM_FILE
    return accounts.system_file(path, credentials)


def renewal_of(path: str, text: bytes) -> bytes:
    """Return what is written for a daemon that cannot read the file by itself: its name, and its text."""
    return os.fsencode(path) + b"\0" + text


def _renewed(fd: int) -> tuple[str, bytes] | None:
    """Return what root has written for the daemon since it started, None if there was nothing."""
    if fd < 0 or not (size := os.fstat(fd).st_size):
        return None
    name, _, text = os.pread(fd, min(size, reader.FILE_LIMIT + 4096), 0).partition(b"\0")
    return os.fsdecode(name), text


def without_secrets(text: bytes) -> bytes:
    """Return a configuration's text with a placeholder for each secret, and without its comments; lines stay in place."""
    lines = text.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return b"\n".join([_without_secret(line) for line in lines])


def _without_secret(line: bytes) -> bytes:
    content = line.strip(b" \t\r")
    if content[:1] == b"#":
        return b""
    word, _, value = content.replace(b"\t", b" ", 1).partition(b" ")
    if word.decode("latin-1") not in SECRETS or value.strip(b" \t") in (b"", b'""'):
        return line
    return word + b" " + _PLACEHOLDER
