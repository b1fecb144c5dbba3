"""A whole daemon under siege: its smarthost serves any number of connections, and what it costs can be measured.

Each test has a short form, and a longer one for which PYSENDMAIL_SIEGE holds the number of seconds (run it with -s: it
prints figures).
"""

import collections
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from pysendmail import wire
from pysendmail.config.words import WORDS
from tests.command.caller import LIMIT, until
from tests.crowd import Crowd
from tests.daemon.door import answer
from tests.daemon.whole import Whole

LONG = float(os.environ.get("PYSENDMAIL_SIEGE", "0"))
WATCHED = 10.0 if LONG else 1.2  # seconds in which a daemon without work must not use much of the processor
BOB = b"bob@example.net"
LINES = 20
TICKS = os.sysconf("SC_CLK_TCK")
NUMBER = re.compile(rb"^Subject: number (\S+)\r?$", re.M)


def text(number: object, lines: int = LINES) -> bytes:
    """Return a message that shows by itself whether it is whole."""
    body = b"".join(b"line %d of %s\n" % (at, str(number).encode()) for at in range(lines))
    return b"From: ann@example.org\nTo: bob@example.net\nSubject: number %s\n\n%send %s\n" % (
        str(number).encode(), body, str(number).encode(),
    )  # fmt: skip


def frames(number: object, *words: bytes, lines: int = LINES) -> bytes:
    """Return the frames of a numbered message."""
    data = text(number, lines)
    pieces = [wire.frame(wire.DATA, data[at : at + wire.PIECE]) for at in range(0, len(data), wire.PIECE)]
    return b"".join([wire.request(b"sendmail", [b"-i", *words, BOB]), *pieces, wire.end(len(data))])


class Sink(Crowd):
    """A smarthost that notes at once which message was offered and accepted; nothing but their numbers is kept of those."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)  # type: ignore[arg-type]
        self.arrived: collections.Counter[str] = collections.Counter()
        self.offered: collections.Counter[str] = collections.Counter()
        self.half: list[bytes] = []
        self._noting = threading.Lock()
        self.deliveries = _Noted(lambda delivery: self._note(delivery.data, self.arrived))
        self.messages = _Noted(lambda data: self._note(data, self.offered))
        self.said_mail = 0
        self.commands = _Noted(self._count)
        self.clear, self.secure = [_Noted(lambda _: None) for _ in range(2)]

    def _count(self, line: str) -> None:
        self.said_mail += line[:4].upper() == "MAIL"

    def _note(self, data: bytes, counted: "collections.Counter[str]") -> None:
        found = NUMBER.search(data)
        if found is None or b"\nSubject: Undelivered Mail" in data:
            return
        number = found[1]
        with self._noting:
            counted[number.decode()] += 1
            if not data.endswith(b"\r\nend %s\r\n" % number) or data.count(b" of %s\r\n" % number) < LINES:
                self.half.append(data)


class _Noted(list[Any]):
    """A list that keeps nothing of what is put into it, but tells of it."""

    def __init__(self, told: Callable[[Any], None]) -> None:
        super().__init__()
        self._told = told

    def append(self, one: Any) -> None:
        self._told(one)


CONNECTIONS = int(str(WORDS["connections"][2]))  # as many as there are if the configuration does not say


class Siege(Whole):
    """The daemon of one user with such a smarthost, and the figures of its processes."""

    server: Sink

    def configure(self, **words: str) -> pathlib.Path:
        """Write a configuration without starting anything; an empty word is left out."""
        config = self.folder / "daemon.conf"
        config.write_text("".join([f"{word} {value}\n" for word, value in {**self.words, **words}.items() if value]))
        config.chmod(0o600)
        return config

    def run(self, config: pathlib.Path) -> None:
        """Start the daemon with a configuration that is there."""
        self.launch([self.sendmail, "-C", str(config), "-bD"])

    def start(self, **words: str) -> "subprocess.Popen[bytes]":
        """Start the daemon with a configuration of `words` and wait until it serves."""
        self.run(self.configure(**words))
        self._until_listening(words)
        assert self.process is not None
        return self.process

    def launch(self, command: list[str]) -> None:
        """Start the daemon by a command and wait until it serves; what it says is looked at in the end."""
        with open(self.folder / "stderr", "ab") as said:
            environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder)}
            self.process = subprocess.Popen(command, env=environ, stderr=said)
        until(self._serves)
        until(lambda: len(self.children()) == 2)

    def clear(self) -> None:
        super().clear()
        said = self.folder / "stderr"
        assert not said.exists() or b"Traceback" not in said.read_bytes(), said.read_text()

    def _serves(self) -> bool:
        assert self.process is None or self.process.poll() is None, "the daemon has ended"
        return super()._serves()

    def call(self) -> socket.socket:
        """Connect, as a command does."""
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(LIMIT)
        line.connect(str(self.socket))
        return line

    def hand_in(self, number: object, *words: bytes, lines: int = LINES) -> int:
        """Send a numbered message over the socket and return the exit code; -1 where there is no answer."""
        try:
            with self.call() as line:
                line.sendall(frames(number, *words, lines=lines))
                return answer(line)[0]
        except OSError:
            return -1

    def begin_open(self) -> "subprocess.Popen[bytes]":
        """Start a command that has been given the half of a message."""
        command = [self.sendmail, "-i", BOB.decode()]
        process = subprocess.Popen(command, env=self.environ, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdin is not None
        process.stdin.write(text("hello")[:100])
        process.stdin.flush()
        return process

    def pids(self) -> list[int]:
        """Give the processes of the daemon."""
        assert self.process is not None
        return [self.process.pid, *self.children()]

    def role(self, name: str) -> int:
        """Give the process of accept or deliver, once both are there and know which they are."""
        end = time.monotonic() + LIMIT
        while not (pid := self.found(name)):
            assert time.monotonic() < end, f"no {name} among {self.children()}"
            time.sleep(0.005)
        return pid

    def found(self, name: str) -> int:
        """Give the process of accept or deliver as long as both can be told apart, else 0: only the one listens."""
        listener = self._listener()
        children = self.children()
        listening = [pid for pid in children if listener in [_link(f"/proc/{pid}/fd/{fd}") for fd in _names(f"/proc/{pid}/fd")]]
        if len(children) != 2 or len(listening) != 1:
            return 0
        return listening[0] if name == "accept" else sum(children) - listening[0]

    def _listener(self) -> str:
        for line in pathlib.Path("/proc/net/unix").read_text().splitlines():
            words = line.split()
            if words[3] == "00010000" and words[-1] == str(self.socket):
                return f"socket:[{words[6]}]"
        return ""

    def pss(self) -> int:
        """Return the memory of all processes in KB, each shared page counted once."""
        total = 0
        for pid in self.pids():
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(rollup.partition("\nPss:")[2].split()[0])
        return total

    def figures(self) -> dict[str, int]:
        """Return what must not grow: memory, descriptors, threads, the queue's file and what lies beside it."""
        pids = self.pids()
        return {
            "pss_kb": self.pss(),
            "descriptors": sum(len(_names(f"/proc/{pid}/fd")) for pid in pids),
            "threads": sum(len(_names(f"/proc/{pid}/task")) for pid in pids),
            "processes": len(pids),
            "queue_kb": self.queue.stat().st_size // 1024 if self.queue.exists() else 0,
            "files": len(_names(str(self.queue.parent))),
        }

    def cpu(self) -> float:
        """Return the seconds of the processor that all processes have used."""
        used = 0
        for pid in self.pids():
            words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += int(words[11]) + int(words[12])
        return used / TICKS

    def cpu_over(self, seconds: float) -> float:
        """Return how many of these seconds the daemon keeps a processor busy."""
        before = self.cpu()
        time.sleep(seconds)
        return self.cpu() - before

    def until_empty(self, limit: float = LIMIT) -> None:
        """Wait until nothing is in the queue."""
        until(lambda: not self.items(), limit)

    def until_started(self) -> None:
        """Wait until the daemon says that both children have been there: one that has not begun well gives up for less."""
        assert self.process is not None
        until(lambda: any(line.endswith(f"[{self.process.pid}]: started") for line in self.lines()))  # type: ignore[union-attr]

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


class Hasty(Siege):
    """A daemon whose parent takes a child for hung after three seconds already, not after a minute."""

    def command(self, config: pathlib.Path) -> list[str]:
        modules = pathlib.Path(self.sendmail).parent.parent / "lib" / "pysendmail"
        return [sys.executable, "-IS", "-c", _HASTY, str(modules), self.sendmail, "-C", str(config), "-bD"]

    def run(self, config: pathlib.Path) -> None:
        self.launch(self.command(config))


_HASTY = """
import sys
modules, *sys.argv = sys.argv[1:]
sys.path.insert(0, modules)
from pysendmail import entry
from pysendmail.daemon import offspring, supervisor
from pysendmail.queue import service
offspring._HUNG, supervisor._LOOK, service.TICK = 3.0, 0.5, 1.0
entry.main()
"""


class Callers:
    """Threads that hand in numbered messages until they are told to stop; `codes` has the exit code of each."""

    def __init__(self, hand_in: Callable[[str], int], count: int = 4, pause: float = 0.0) -> None:
        self.codes: dict[str, int] = {}
        self.longest = 0.0
        self.errors: list[BaseException] = []
        self._stopping = threading.Event()
        self._hand_in = hand_in
        self._pause = pause
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(count)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(4 * LIMIT)
        assert not any(thread.is_alive() for thread in self._threads), "a caller hangs"
        assert self.errors == []

    def _work(self, caller: int) -> None:
        turn = 0
        while not self._stopping.is_set():
            number = f"{caller}.{turn}"
            begun = time.monotonic()
            try:
                self.codes[number] = self._hand_in(number)
            except BaseException as error:
                self.errors.append(error)
                return
            self.longest = max(self.longest, time.monotonic() - begun)
            turn += 1
            time.sleep(self._pause)

    @property
    def taken(self) -> set[str]:
        """The messages that were taken."""
        return {number for number, code in list(self.codes.items()) if code == 0}


def show(title: str, **values: object) -> None:
    """Print figures."""
    shown = ", ".join(f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items())
    print(f"\n{title}: {shown}")


def _names(folder: str) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(folder)
    return []


def _link(path: str) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(path)
    return ""
