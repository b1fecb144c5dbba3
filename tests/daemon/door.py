"""The accept process alone, in a folder of its own, without anybody who delivers."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

from pysendmail import wire
from pysendmail.queue.sqlite import SqliteStore
from tests.command.caller import LIMIT, until
from tests.conftest import ROOT
from tests.contents import Contents

PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pysendmail.config import reader
from pysendmail.daemon import accept
from pysendmail.daemon.setup import Setup
config, queue, listener, smtp, idle = sys.argv[2:]
setup = Setup(config, reader.load(config, uid=os.getuid(), home="/"), queue)
setup.sockets = [("frames", int(listener)), ("smtp", int(smtp))]
setup.idle = float(idle) if idle else None
setup.agent = True
def pipe():
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends
(woken, setup.wake), (setup.news, news) = pipe(), pipe()
setup.pulse = os.open("/dev/null", os.O_WRONLY)
os._exit(accept.run(setup))
"""
TEXT = b"Subject: hello\n\ntext\n"


class Door(Contents):
    """Run the accept process and speak with it; `words` is its configuration."""

    def __init__(self, folder: pathlib.Path, sendmail: str) -> None:
        self.folder = folder
        self.sendmail = sendmail
        self.runtime = folder / "run"
        self.socket = self.runtime / "pysendmail" / "submit.sock"
        self.queue = folder / "spool" / "queue.db"
        self.log = folder / "log"
        self.words = {
            "host": "127.0.0.1", "port": "1", "tls": "off", "from": "sender@example.org", "maildomain": "example.org",
            "logfile": str(self.log), "syslog": "off",
        }  # fmt: skip
        self.port = 0  # of its listener for SMTP
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *lines: str, idle: str = "", **more: object) -> "subprocess.Popen[bytes]":
        """Start it, with these lines behind the configuration's words."""
        config = self.folder / "conf"
        config.write_text("\n".join([*[f"{word} {value}" for word, value in self.words.items()], *lines, ""]))
        config.chmod(0o600)
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener, socket.create_server(("127.0.0.1", 0), backlog=1000) as smtp:
            listener.bind(str(self.socket))
            listener.listen(1000)
            self.port = smtp.getsockname()[1]
            numbers = [listener.fileno(), smtp.fileno()]
            places = [str(config), str(self.queue), *map(str, numbers), idle]
            words = [sys.executable, "-IS", "-c", PROGRAM, str(ROOT), *places]
            environ = {"PATH": "/usr/bin:/bin"}
            self.process = subprocess.Popen(words, pass_fds=numbers, env=environ, **more)  # type: ignore[call-overload]
        return self.process

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)

    def clear(self) -> None:
        """End it, if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # As callers do

    def environ(self) -> dict[str, str]:
        return {"XDG_RUNTIME_DIR": str(self.runtime), "HOME": str(self.folder), "PATH": "/usr/bin:/bin", "TZ": "UTC"}

    def send(self, *arguments: str, text: bytes = TEXT, command: str = "") -> "subprocess.CompletedProcess[bytes]":
        """Run the command against it."""
        return subprocess.run(
            [command or self.sendmail, *arguments], input=text, env=self.environ(), capture_output=True, timeout=LIMIT, check=False
        )

    def submit(self, *arguments: str, text: bytes = TEXT) -> None:
        """Send a message that has to be taken without a word."""
        done = self.send(*arguments, text=text)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    def refuse(self, code: int, *arguments: str, text: bytes = TEXT) -> str:
        """Send a message that has to be refused with this code and one line; return the line."""
        before = len(self.items())
        done = self.send(*arguments, text=text)
        assert (done.returncode, done.stdout) == (code, b""), done.stderr
        assert done.stderr.startswith(b"sendmail: ") and done.stderr.count(b"\n") == 1 and b"internal" not in done.stderr
        assert len(self.items()) == before
        return done.stderr.decode()

    def call(self) -> socket.socket:
        """Connect, as a command does."""
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(LIMIT)
        line.connect(str(self.socket))
        return line

    # What came of it

    def texts(self) -> list[bytes]:
        """Give the text of each message in the queue."""
        store = SqliteStore(str(self.queue), create=False)
        try:
            found = [store.open(item.message) for item in store.listing()]
            return [text.header + b"\r\n" + b"".join(text.body.chunks()) for text in found]
        finally:
            store.close()

    def until_queued(self, number: int) -> None:
        """Wait until so many messages are in the queue."""
        until(lambda: len(self.items()) >= number)

    def memory(self) -> int:
        """Return how many octets of memory it holds now."""
        assert self.process is not None
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def descriptors(self) -> int:
        """Return how many descriptors it has open."""
        assert self.process is not None
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def message(*words: bytes, text: bytes = TEXT) -> bytes:
    """Return the frames of a request with a message."""
    return wire.request(b"sendmail", list(words)) + wire.frame(wire.DATA, text) + wire.end(len(text))


def answer(line: socket.socket) -> tuple[int, bytes]:
    """Read an answer to its end: the exit code and all text; -1 and the text where there is no exit code."""
    held, text = b"", b""
    while True:
        while len(held) >= wire.HEAD and len(held) >= (size := wire.HEAD + int.from_bytes(held[1:5], "big")):
            kind, content, held = held[:1], held[wire.HEAD : size], held[size:]
            if kind == wire.EXIT:
                return content[0], text
            text += content
        try:
            data = line.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            return -1, text
        held += data
