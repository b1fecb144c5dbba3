"""A caller of the installed command: with a home, a configuration and a smarthost of his own."""

import contextlib
import fcntl
import os
import pathlib
import struct
import subprocess
import termios
import time
from collections.abc import Iterator

from tests.conftest import skip
from tests.obedient import Delivery, Obedient

MESSAGE = b"From: Ann <ann@example.org>\nTo: bob@example.net\nSubject: hello\n\ntext\n"
LIMIT = 60  # seconds: the machine may be slow, but nothing may hang

Done = subprocess.CompletedProcess


class Caller:
    """Run the command as one user would; `environ` is all of the environment, `words` all of the configuration."""

    def __init__(self, sendmail: str, home: pathlib.Path, server: Obedient) -> None:
        self.sendmail = sendmail
        self.home = home
        self.server = server
        self.environ = {"HOME": str(home), "PATH": "/usr/bin:/bin", "TZ": "UTC"}
        self.words = {
            "host": "127.0.0.1",
            "port": str(server.port),
            "tls": "off",
            "from": "sender@example.org",
            "maildomain": "example.org",
            "logfile": str(home / "log"),
            "syslog": "off",
            "timeout": "30",
        }
        self.path = home / ".config" / "pysendmail" / "pysendmail.conf"
        self.path.parent.mkdir(parents=True)

    def configure(self, **words: str) -> None:
        """Write the configuration; an empty word is left out."""
        lines = [f"{word} {value}\n" for word, value in {**self.words, **words}.items() if value]
        self.path.write_text("".join(lines))
        self.path.chmod(0o600)

    def start(self, *arguments: str | bytes, **more: object) -> "subprocess.Popen[bytes]":
        """Start the command, with pipes where nothing else is given."""
        self.configure(**more.pop("words", {}))  # type: ignore[arg-type]
        settings: dict[str, object] = {
            "env": {**self.environ, **more.pop("environ", {})},  # type: ignore[dict-item]
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        return subprocess.Popen([more.pop("command", self.sendmail), *arguments], **{**settings, **more})  # type: ignore

    def run(self, *arguments: str | bytes, message: bytes | None = MESSAGE, **more: object) -> "Done[bytes]":
        """Run the command to its end; without a message standard input is what `stdin` says."""
        process = self.start(*arguments, **more)
        with process:
            try:
                out, err = process.communicate(message, LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Done(arguments, process.returncode, out or b"", err or b"")

    def deliver(self, *arguments: str | bytes, **more: object) -> Delivery:
        """Send one message that has to go through in one transaction without a word, and return what arrived."""
        before = len(self.server.deliveries)
        done = self.run(*arguments, **more)  # type: ignore[arg-type]
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert len(self.server.deliveries) == before + 1
        return self.server.deliveries[-1]

    def refuse(self, code: int, *arguments: str | bytes, **more: object) -> str:
        """Run the command where it has to fail with this code, one line and nothing sent; return the line."""
        before = len(self.server.messages)
        done = self.run(*arguments, **more)  # type: ignore[arg-type]
        assert (done.returncode, done.stdout) == (code, b""), done.stderr.decode()
        assert len(self.server.messages) == before
        line = done.stderr.decode()
        assert line.startswith("sendmail: ") and line.endswith("\n") and line.count("\n") == 1, line
        assert "internal error" not in line
        return line

    @property
    def log(self) -> list[str]:
        """The lines of the log file."""
        path = self.home / "log"
        return path.read_text().splitlines() if path.exists() else []


def field_names(delivery: Delivery) -> list[str]:
    """List the names of the fields in lower case, in their order."""
    lines = delivery.header.decode("latin-1").split("\r\n")
    return [line.partition(":")[0].lower() for line in lines if line and line[0] not in " \t"]


def until(condition: "object", limit: float = LIMIT) -> None:
    """Wait until a function says yes."""
    deadline = time.monotonic() + limit
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def until_read(descriptor: int) -> None:
    """Wait until nothing that was written into a pipe is unread."""
    until(lambda: struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0"))[0] == 0)


def state(pid: int) -> str:
    """Return the letter of a process's state, "" when it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def unread(port: int) -> bool:
    """Tell whether something waits to be read at the other end of a connection to the port."""
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[2].endswith(f":{port:04X}") and words[4].split(":")[1] != "00000000":
            return True
    return False


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Give both ends of a pseudo terminal: the one that types, and the terminal itself."""
    master, slave = os.openpty()
    try:
        yield master, slave
    finally:
        for descriptor in (master, slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def two_addresses(caller: Caller) -> list[str]:
    """Return what runs the command where smarthost.test has the addresses 127.0.0.1 and 127.0.0.2; this needs root."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        skip("no mount namespace can be made here")
    hosts = caller.home / "hosts"
    hosts.write_text("127.0.0.1 smarthost.test\n127.0.0.2 smarthost.test\n")
    shell = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
    return ["--mount", "--propagation", "private", "sh", "-c", shell, "sh", str(hosts), caller.sendmail]
