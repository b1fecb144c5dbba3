"""Real mail servers on loopback, each in a Debian root of its own (see roots.sh), for tests that deliver through them.

A server offers one port with STARTTLS and one with implicit TLS, takes mail only after AUTH, refuses one recipient
(`REFUSED`) and keeps what arrives for every other one. Starting one needs root and `roots.sh make`; `missing` tells in
one line what is lacking.
"""

import dataclasses
import os
import pathlib
import socket
import ssl
import subprocess
import time

from tests.ports import free_port
from tests.smarthost import Authority

ROOTS = pathlib.Path(__file__).with_name("roots.sh")
USER = "tester"
PASSWORD = "Tr0ub4dor&3=real%servers"
REFUSED = "refused@example.org"

# What a server may put on top of a message that it delivers.
TRACE = (b"return-path:", b"delivered-to:", b"x-original-to:", b"envelope-to:", b"delivery-date:", b"received:")


@dataclasses.dataclass(frozen=True)
class Arrived:
    """One delivered copy: for whom, from whom (reverse-path), the trace fields, the message; line ends are LF."""

    recipient: str
    sender: str
    trace: bytes
    message: bytes


def missing(name: str) -> str | None:
    """Say what keeps the server `name` from being started here, None if nothing does."""
    if os.geteuid() != 0:
        return f"{name}: only root can enter the servers' roots"
    if subprocess.run(["sh", ROOTS, "has", name], check=False).returncode != 0:
        return f"{name}: not installed (sh tests/servers/roots.sh make {name})"
    return None


class Server:
    """One running server.

    Subclasses set `name` and `mechanisms` and write their configuration in `configure`, where the folder shared with
    the root is `self.folder` on this side and /mnt inside.
    """

    name = ""
    mechanisms: tuple[str, ...] = ()

    def __init__(self, folder: pathlib.Path, authority: Authority) -> None:
        self.folder = folder
        self.ca = authority.ca
        self.starttls_port, self.tls_port = free_port(), free_port()
        folder.chmod(0o755)
        for source, target in ((authority.chain, "chain.pem"), (authority.key, "key.pem")):
            (folder / target).write_bytes(source.read_bytes())
        (folder / "key.pem").chmod(0o600)
        self.mail = folder / "mail"
        self.mail.mkdir()
        self._seen: set[pathlib.Path] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self) -> str:
        """Write the configuration and return the shell script that runs the server in the foreground."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the server and return when both ports greet."""
        (self.folder / "start.sh").write_text("set -eu\n" + self.configure())
        command = ["sh", str(ROOTS), "run", self.name, str(self.folder), "sh", "/mnt/start.sh"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
        for port in (self.starttls_port, self.tls_port):
            self._wait_for(port)

    def stop(self) -> None:
        """End the server and everything that it started."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(30)

    def log(self) -> str:
        """Return the end of what the server wrote to its console and log files."""
        files = [each for each in sorted(self.folder.glob("**/*")) if each.name == "console" or "log" in each.name]
        lines = [line for each in files if each.is_file() for line in each.read_text("utf-8", "replace").splitlines()]
        return "\n".join(lines[-60:])

    def take(self, count: int, seconds: float = 20) -> list[Arrived]:
        """Wait for `count` new deliveries and return them, ordered by recipient; a little longer to catch a surplus."""
        found: list[Arrived] = []
        deadline = time.monotonic() + seconds
        while len(found) < count and time.monotonic() < deadline:
            found += self._new()
            if len(found) < count:
                time.sleep(0.02)
        assert len(found) >= count, f"{self.name} delivered {len(found)} of {count}:\n{self.log()}"
        time.sleep(0.1)
        return sorted(found + self._new(), key=lambda each: each.recipient)

    def _new(self) -> list[Arrived]:
        paths = sorted(set(self.mail.glob("**/new/*")) - self._seen)
        self._seen.update(paths)
        return [split_trace(path.read_bytes()) for path in paths]

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + 30
        while not greets(port, implicit=port == self.tls_port):
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} does not answer on port {port}:\n{self.log()}")
            time.sleep(0.05)


def greets(port: int, implicit: bool) -> bool:
    """Tell whether an SMTP server greets on 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            link = context.wrap_socket(plain) if implicit else plain
            greeting = link.recv(512)
            link.sendall(b"QUIT\r\n")
            return greeting.startswith(b"220")
    except OSError:
        return False


def split_trace(data: bytes) -> Arrived:
    """Part a delivered copy into the trace fields on top, which tell its envelope, and the message below them."""
    lines = data.splitlines(keepends=True)
    end = 0
    facts: dict[bytes, str] = {}
    while end < len(lines):
        if lines[end].lower().startswith(TRACE):
            name, _, value = lines[end].partition(b":")
            facts.setdefault(name.lower(), value.decode().strip().strip("<>"))
        elif not (end and lines[end].startswith((b" ", b"\t"))):
            break
        end += 1
    recipient = facts.get(b"envelope-to") or facts.get(b"x-original-to") or facts.get(b"delivered-to", "")
    return Arrived(recipient, facts.get(b"return-path", ""), b"".join(lines[:end]), b"".join(lines[end:]))
