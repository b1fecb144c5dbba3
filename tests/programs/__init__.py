"""Programs that send mail, as Debian packages them, with our command as the sendmail of their machine.

The root "programs" of tests/servers/roots.sh holds them. A `Machine` is one run of it: our command is installed there,
and what the programs hand over arrives at a smarthost on loopback. Starting one needs root and `roots.sh make programs`.
"""

import contextlib
import os
import pathlib
import subprocess
import time

from tests.conftest import make_install
from tests.obedient import Obedient
from tests.servers import ROOTS

LIMIT = 60.0  # seconds: the machine may be slow, but nothing may hang
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
IDS = {"root": 0, "alice": 7101}
WORDS = "port {port}\nhost 127.0.0.1\ntls off\nmaildomain example.org\naliases /etc/aliases\nsyslog off\n"
START = """\
cp -a /mnt/image/usr/. /usr/
cp /mnt/aliases /mnt/mailname /etc/
echo "127.0.0.1 localhost $(uname -n)" >>/etc/hosts # sudo tells root about a machine whose name nobody knows
mkdir -p /etc/pysendmail
cp /mnt/pysendmail.conf /etc/pysendmail/
useradd --create-home --uid 7101 --user-group --comment 'Alice Liddell,,,' --shell /bin/sh alice
useradd --system --user-group --no-create-home pysendmail
touch /mnt/ready
exec sleep infinity
"""


class Machine:
    """One run of the root; `folder` is its /mnt. With `daemon` the messages go through the system's daemon."""

    def __init__(self, folder: pathlib.Path, server: Obedient, *, daemon: bool) -> None:
        self.folder = folder
        self.server = server
        self.daemon = daemon
        folder.chmod(0o755)
        make_install("/usr", str(folder / "image"), "/usr/bin/python3")
        (folder / "aliases").write_text("root: operator@example.org\n")
        (folder / "mailname").write_text("example.org\n")
        config = folder / "pysendmail.conf"
        config.write_text(WORDS.format(port=server.port))
        config.chmod(0o600 if daemon else 0o644)
        self._pid = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the machine, and the daemon if there has to be one."""
        (self.folder / "start.sh").write_text("set -eu\n" + START)
        command = ["sh", str(ROOTS), "run", "programs", str(self.folder), "sh", "/mnt/start.sh"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
        end = time.monotonic() + LIMIT
        while not (self.folder / "ready").exists():
            assert self._process.poll() is None and time.monotonic() < end, self.console()
            time.sleep(0.05)
        while not (pid := _find(self._process.pid)):
            assert self._process.poll() is None and time.monotonic() < end, self.console()
            time.sleep(0.05)
        self._pid = pid
        if self.daemon:
            done = self.run(["pysendmaild"], user="root")
            assert done.returncode == 0, done.stderr

    def stop(self) -> None:
        """End the machine and everything that runs there."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(LIMIT)

    def console(self) -> str:
        """Tell what the machine said while it started."""
        path = self.folder / "console"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def run(
        self, command: list[str], text: bytes = b"", user: str = "alice", where: str = "/", **words: str
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run a command there; `words` are added to its environment."""
        home = "/root" if user == "root" else f"/home/{user}"
        ids = [f"--setuid={IDS[user]}", f"--setgid={IDS[user]}"]
        enter = ["nsenter", f"--target={self._pid}", "--mount", "--pid", "--root", f"--wd={self._inside(where)}", *ids]
        names = {**ENVIRONMENT, "HOME": home, "USER": user, "LOGNAME": user, **words}
        return subprocess.run([*enter, *command], input=text, env=names, capture_output=True, timeout=LIMIT, check=False)

    def _inside(self, path: str) -> str:
        return f"/proc/{self._pid}/root{path}"


def _find(pid: int) -> int:
    """Find, below a process of ours, the one that holds the root; 0 while there is none yet."""
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        place = pathlib.Path(f"/proc/{each}")
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            if (place / "cmdline").read_bytes() == b"sleep\0infinity\0":
                return each
            waiting += [int(child) for child in (place / "task" / str(each) / "children").read_text().split()]
    return 0


def make_folder(machine: Machine, name: str, files: dict[str, bytes]) -> str:
    """Make a folder of alice's with these files, and return its path there."""
    folder = machine.folder / name
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
        os.chown(folder / file, IDS["alice"], IDS["alice"])
    os.chown(folder, IDS["alice"], IDS["alice"])
    return f"/mnt/{name}"
