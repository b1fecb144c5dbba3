"""A daemon under test: in a folder of its own, with children that answer questions."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

STANDIN = pathlib.Path(__file__).parent / "standin.py"
LIMIT = 60.0  # seconds: the machine may be slow, but nothing may hang
PASSWORD = "open-sesame-4711"


def wait_until(condition: Callable[[], object], what: str = "") -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, what or "it did not happen in time"
        time.sleep(0.02)


def ask(path: pathlib.Path, question: str) -> str:
    """Ask the child that serves a socket; an answer that does not come is an error."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(LIMIT)
        sock.connect(str(path))
        sock.sendall(question.encode() + b"\n")
        answer = b""
        while part := sock.recv(65536):
            answer += part
    return answer.decode().removesuffix("\n")


def answers(path: pathlib.Path) -> bool:
    """Tell whether somebody serves a socket."""
    try:
        return ask(path, "1") == "1"
    except OSError:
        return False


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and has not ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Running:
    """The daemon; `words` is its configuration, `environ` all of its environment."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.path = folder / "conf"
        self.socket = folder / "run" / "submit"
        self.deliver_socket = folder / "spool" / "deliver"
        self.log = folder / "log"
        self.environ = {"PATH": "/usr/bin:/bin", "TZ": "UTC"}
        self.words = {
            "host": "127.0.0.1",
            "user": "alice",
            "password": PASSWORD,
            "submission_socket": str(self.socket),
            "queue": str(folder / "spool" / "queue"),
            "logfile": str(self.log),
            "syslog": "off",
            "run_as": "root" if os.getuid() == 0 else "",
        }
        self.python = sys.executable
        self.process: subprocess.Popen[bytes] | None = None
        self.pids: set[int] = set()

    def configure(self, **words: str) -> None:
        """Write the configuration; an empty word is left out."""
        lines = [f"{word} {value}\n" for word, value in {**self.words, **words}.items() if value]
        self.path.write_text("".join(lines))
        self.path.chmod(0o600)

    def command(self, *arguments: str) -> list[str]:
        """Give the command line of the daemon."""
        return [self.python, "-I", str(STANDIN), str(self.path), *arguments]

    def start(self, *arguments: str, before: tuple[str, ...] = (), **words: str) -> "subprocess.Popen[bytes]":
        """Start the daemon in the foreground and wait until it serves."""
        self.launch(*arguments, before=before, **words)
        wait_until(self.serves, "the daemon does not come up")
        self.wait_for_line("started")
        assert self.process is not None
        return self.process

    def launch(self, *arguments: str, before: tuple[str, ...] = (), **words: str) -> "subprocess.Popen[bytes]":
        """Start the daemon in the foreground."""
        self.configure(**words)
        command = [*before, *self.command("-f", *arguments)]
        self.process = subprocess.Popen(command, env=self.environ, stderr=subprocess.PIPE, cwd=self.folder)
        return self.process

    def run(self, *arguments: str, **words: str) -> "subprocess.CompletedProcess[bytes]":
        """Run the daemon where it has to end by itself, or to go into the background."""
        self.configure(**words)
        command = self.command(*arguments)
        return subprocess.run(command, env=self.environ, capture_output=True, timeout=LIMIT, cwd=self.folder, check=False)

    def serves(self) -> bool:
        """Tell whether both children answer."""
        assert self.process is None or self.process.poll() is None, self.failure()
        return answers(self.socket) and answers(self.deliver_socket)

    def failure(self) -> str:
        """Tell why it ended."""
        assert self.process is not None and self.process.stderr is not None
        return f"the daemon ended with {self.process.returncode}: {self.process.stderr.read().decode()}"

    def ask(self, question: str) -> str:
        """Ask accept."""
        return ask(self.socket, question)

    def ask_deliver(self, question: str) -> str:
        """Ask deliver."""
        return ask(self.deliver_socket, question)

    def accept(self) -> int:
        """Give the process id of accept."""
        return self._noted(self.ask("os.getpid()"))

    def deliver(self) -> int:
        """Give the process id of deliver."""
        return self._noted(self.ask_deliver("os.getpid()"))

    def _noted(self, pid: str) -> int:
        self.pids.add(int(pid))
        return int(pid)

    def parent(self) -> int:
        """Give the process id of the parent."""
        return self._noted(self.ask("os.getppid()"))

    def lines(self) -> list[str]:
        """Give the lines of the log without stamp and name."""
        return [line.partition("]: ")[2] for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def wait_for_line(self, text: str) -> str:
        """Wait for a line of the log that holds this text, and return it."""
        wait_until(lambda: any(text in line for line in self.lines()), f"{text} is not in {self.lines()}")
        return next(line for line in self.lines() if text in line)

    def stop(self) -> int:
        """End the daemon and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(LIMIT)
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.process = None
        return code

    def clear(self) -> None:
        """End whatever is left."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            if self.process.stderr is not None:
                self.process.stderr.close()
        for pid in self.pids:
            if is_alive(pid) and str(STANDIN) in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)
