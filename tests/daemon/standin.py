"""A daemon whose parent is the real one, and whose children do what they are asked: each evaluates a line of Python.

Accept answers on the daemon's sockets, deliver on the socket `deliver` in the queue's folder. `deafen` makes a child deaf to
SIGTERM; one that does not beat never says again that it is alive. The name in `from_full_name` has it come up slowly, or
not at all. Run as: standin.py CONFIGURATION [-f] [idle=SECONDS] [hung=SECONDS] [recent=SECONDS] [end=SECONDS] [agent].
"""

import os
import pathlib
import select
import signal
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from pysendmail import errors
from pysendmail.command.console import complain, open_missing_descriptors
from pysendmail.daemon import launch, offspring, supervisor
from pysendmail.daemon.ground import Wish
from pysendmail.daemon.setup import IDLE, Setup


class Servant:
    """A child that answers questions."""

    def __init__(self, setup: Setup, listeners: list[socket.socket]) -> None:
        self.setup = setup
        self.listeners = listeners
        self.ended = False
        self.code: int | None = None
        self.beating = True
        self.heard = 0
        self.last = time.monotonic()
        signal.signal(signal.SIGTERM, self.end)

    def end(self, *_: object) -> None:
        self.ended = True

    def deafen(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def serve(self, pipe: int) -> int:
        if b"slow" in self.marks():
            time.sleep(1)
        if b"killed" in self.marks():
            os.kill(os.getpid(), signal.SIGKILL)
        if b"broken" in self.marks():
            raise ValueError("secret")
        while not self.ended and self.code is None:
            if self.idle(time.monotonic()):
                return IDLE
            if self.beating:
                self.setup.alive()
            ready = select.select([pipe, *[one.fileno() for one in self.listeners]], [], [], 0.2)[0]
            if pipe in ready:
                self.heard += len(os.read(pipe, 4096))
            for listener in self.listeners:
                if listener.fileno() in ready:
                    self.answer(listener)
        return self.code or 0

    def marks(self) -> bytes:
        """Give what the configuration says for the stand-in: it stands in the name of the sender."""
        words = next(iter(self.setup.file.accounts.values())).words
        value = words.get("from_full_name", (b"", 0))[0]
        return value if isinstance(value, bytes) else b""

    def idle(self, now: float) -> bool:
        return self.setup.idle is not None and bool(self.setup.sockets) and now > self.last + self.setup.idle

    def answer(self, listener: socket.socket) -> None:
        try:
            sock = listener.accept()[0]
        except BlockingIOError:
            return  # the other accept was quicker
        self.last = time.monotonic()
        with sock, sock.makefile("rwb") as file:
            question = file.readline().decode()
            if not question:
                return
            try:
                answer = repr(eval(question, {"servant": self, "setup": self.setup, "os": os, "time": time}))
            except Exception as error:
                answer = f"{type(error).__name__}: {error}"
            file.write(answer.encode() + b"\n")


def accept(setup: Setup) -> int:
    listeners = [socket.socket(fileno=os.dup(fd)) for _, fd in setup.sockets]
    return Servant(setup, listeners).serve(setup.news)


def deliver(setup: Setup) -> int:
    path = os.path.join(os.path.dirname(setup.queue), "deliver")
    if os.path.exists(path):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen()
        listener.setblocking(False)
        return Servant(setup, [listener]).serve(setup.wake)


def main() -> None:
    open_missing_descriptors()
    os.umask(0o077)
    settings = dict(argument.partition("=")[::2] for argument in sys.argv[2:])
    if "hung" in settings:
        offspring._HUNG = float(settings["hung"])
        supervisor._LOOK = offspring._HUNG / 4
    if "recent" in settings:
        offspring._RECENT = float(settings["recent"])
    if "end" in settings:
        offspring._TO_END = dict.fromkeys(offspring.ROLES, float(settings["end"]))
    try:
        wish = Wish("pysendmaild", os.path.abspath(sys.argv[1]))
        wish.foreground = "-f" in settings
        wish.agent = "agent" in settings
        wish.idle = float(settings["idle"]) if "idle" in settings else None
        code = launch.launch(wish, {"accept": accept, "deliver": deliver})
    except errors.Failure as failure:
        complain("pysendmaild", str(failure))
        code = failure.exit_code
    os._exit(code)


if __name__ == "__main__":
    main()
