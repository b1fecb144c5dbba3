"""The whole daemon of one user, with a smarthost: what the command says through it, and what arrives."""

import os
import pathlib
import signal
import socket
import subprocess

from tests.command.caller import LIMIT, MESSAGE, until
from tests.contents import Contents
from tests.obedient import Obedient
from tests.ports import listens


class Whole(Contents):
    """Run the daemon with a configuration of `words`; the command finds it by XDG_RUNTIME_DIR."""

    def __init__(self, sendmail: str, folder: pathlib.Path, server: Obedient) -> None:
        self.sendmail = sendmail
        self.folder = folder
        self.server = server
        self.queue = folder / "spool" / "queue.db"
        self.socket = folder / "pysendmail" / "submit.sock"
        self.log = folder / "log"
        self.environ = {"XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "PATH": "/usr/bin:/bin", "TZ": "UTC"}
        self.words = {
            "host": "127.0.0.1", "port": str(server.port), "tls": "off", "from": "sender@example.org",
            "maildomain": "example.org", "logfile": str(self.log), "syslog": "off", "timeout": "30", "retry": "1h 2h",
            "queue": str(self.queue), "submission_socket": str(self.socket),
        }  # fmt: skip
        if os.geteuid() == 0:
            self.words["run_as"] = "root"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **words: str) -> "subprocess.Popen[bytes]":
        """Start the daemon and wait until it serves."""
        config = self.folder / "daemon.conf"
        config.write_text("".join([f"{word} {value}\n" for word, value in {**self.words, **words}.items()]))
        config.chmod(0o600)
        command = [self.sendmail, "-C", str(config), "-bD"]
        self.process = subprocess.Popen(command, env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)})
        until(self._serves)
        self._until_listening(words)
        return self.process

    def _until_listening(self, words: "dict[str, str]") -> None:
        """Wait for the port of the word `listen`: the socket is there a moment before it."""
        listen = {**self.words, **words}.get("listen", "")
        if listen:
            until(lambda: listens(int(listen.rpartition(":")[2])))

    def _serves(self) -> bool:
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(str(self.socket))
            except OSError:
                return False
            return True

    def send(self, *arguments: str, message: bytes = MESSAGE) -> "subprocess.CompletedProcess[bytes]":
        """Run the command."""
        words = [self.sendmail, *arguments]
        return subprocess.run(words, input=message, env=self.environ, capture_output=True, timeout=LIMIT, check=False)

    def begin(self, *arguments: str, message: bytes = MESSAGE) -> "subprocess.Popen[bytes]":
        """Start the command, and give it all of the message."""
        pipe = subprocess.PIPE
        process = subprocess.Popen([self.sendmail, *arguments], env=self.environ, stdin=pipe, stdout=pipe, stderr=pipe)
        assert process.stdin is not None
        process.stdin.write(message)
        process.stdin.close()
        process.stdin = None
        return process

    def children(self) -> list[int]:
        """Give the process ids of accept and deliver."""
        assert self.process is not None
        pid = self.process.pid
        return [int(one) for one in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill(self) -> None:
        """End all processes of the daemon at once."""
        assert self.process is not None
        pids = self.children()
        for pid in (self.process.pid, *pids):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(LIMIT)
        until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))

    def stop(self) -> int:
        """Ask the daemon to end, and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(LIMIT)

    def clear(self) -> None:
        """End the daemon if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.kill()
