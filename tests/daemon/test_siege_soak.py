"""The daemon under mixed load for a long time: nothing of it grows."""

import contextlib
import random
import smtplib
import socket
import subprocess
import time
from collections.abc import Callable

import pytest

from pysendmail import wire
from tests.command.caller import until
from tests.command.piped import PipedSMTP
from tests.daemon.door import answer
from tests.daemon.siege import LONG, Callers, Siege, frames, show, text
from tests.ports import free_port

pytestmark = pytest.mark.once

SECONDS = LONG or 6.0
ROUND = 2.0 if not LONG else 30.0


class Load:
    """What callers do all day; each part may be run at any time by any thread."""

    def __init__(self, siege: Siege, port: int) -> None:
        self.siege = siege
        self.port = port
        self.sent: set[str] = set()
        self.trouble: list[str] = []
        self.parts: list[tuple[int, Callable[[str], None]]] = [
            (20, self.small), (1, self.large), (6, self.interactive), (3, self.refused), (3, self.stdio), (4, self.listener),
            (2, self.ask), (2, self.follow), (2, self.broken), (1, self.command), (2, self.deferred),
        ]  # fmt: skip

    def __call__(self, number: str) -> int:
        part = random.choices([part for _, part in self.parts], [weight for weight, _ in self.parts])[0]
        try:
            part(number)
        except (AssertionError, OSError, smtplib.SMTPException) as error:
            self.trouble.append(f"{part.__name__}: {type(error).__name__}: {error}")
        return 0

    def small(self, number: str) -> None:
        assert self.siege.hand_in(number) == 0
        self.sent.add(number)

    def large(self, number: str) -> None:
        assert self.siege.hand_in(number, lines=250_000) == 0
        self.sent.add(number)

    def interactive(self, number: str) -> None:
        assert self.siege.hand_in(number, b"-odi") == 0
        self.sent.add(number)

    def refused(self, number: str) -> None:
        data = text(f"refused{number}")
        words = wire.request(b"sendmail", [b"-i", random.choice([b"-odi", b"-odb"]), b"refused@example.net"])
        with self.siege.call() as line:
            line.sendall(words + wire.frame(wire.DATA, data) + wire.end(len(data)))
            assert answer(line)[0] == (67 if b"-odi" in words else 0)

    def deferred(self, number: str) -> None:
        data = text(number)
        words = wire.request(b"sendmail", [b"-i", b"later@example.net"])
        with self.siege.call() as line:
            line.sendall(words + wire.frame(wire.DATA, data) + wire.end(len(data)))
            assert answer(line)[0] == 0

    def stdio(self, number: str) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs, subprocess.Popen([self.siege.sendmail, "-bs"], env=self.siege.environ, stdin=theirs.fileno(), stdout=theirs.fileno()):
            theirs.close()
            client = PipedSMTP(ours)
            client.ehlo("me")
            client.sendmail("ann@example.org", ["bob@example.net"], text(number).decode())
            client.quit()
        self.sent.add(number)

    def listener(self, number: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as client:
            client.sendmail("ann@example.org", ["bob@example.net"], text(number).decode())
        self.sent.add(number)

    def ask(self, number: str) -> None:
        words = random.choice([["mailq"], ["pysendmail", "status"], ["pysendmail", "status", "--json"], ["pysendmail", "metrics"],
                               ["pysendmail", "log"], ["pysendmail", "queue", "list"], ["sendmail", "-q"]])  # fmt: skip
        with self.siege.call() as line:
            line.sendall(wire.request(words[0].encode(), [word.encode() for word in words[1:]]))
            code, said = answer(line)
            assert code == 0, (words, code, said)

    def follow(self, number: str) -> None:
        with self.siege.call() as line:
            line.sendall(wire.request(b"pysendmail", [b"log", b"--follow"]))
            line.settimeout(5)
            with contextlib.suppress(TimeoutError):
                line.recv(1000)

    def broken(self, number: str) -> None:
        whole = frames(f"broken{number}")
        with self.siege.call() as line:
            line.sendall(whole[: random.randrange(len(whole))])

    def command(self, number: str) -> None:
        done = self.siege.send("-i", "bob@example.net", message=text(number))
        assert done.returncode == 0 and not done.stderr, done
        self.sent.add(number)


def test_under_mixed_load_nothing_grows(siege: Siege) -> None:
    siege.server.answers.update({"RCPT TO:<refused@": "550 5.1.1 no such user", "RCPT TO:<later@": "450 4.2.1 later"})
    port = free_port()
    siege.start(listen=f"127.0.0.1:{port}", retry="1s 5s", expire="20s", warn="off")
    load = Load(siege, port)
    seen = []
    end = time.monotonic() + SECONDS
    with Callers(load, 4, pause=0.05 if LONG else 0.0) as callers:
        while time.monotonic() < end:
            time.sleep(ROUND)
            seen.append(siege.figures())
            show(f"after {len(callers.codes)} turns", sent=len(load.sent), arrived=len(siege.server.arrived), trouble=len(load.trouble), **seen[-1])
    assert load.trouble == []
    until(lambda: load.sent <= set(siege.server.arrived), 120)
    assert not siege.server.half
    assert {number for number, count in siege.server.arrived.items() if count > 1} == set()
    until(lambda: siege.figures()["descriptors"] < 80 and siege.figures()["threads"] < 30)
    show("afterwards", **siege.figures())
    first = seen[min(len(seen) - 1, 3)] if LONG else seen[0]
    last = siege.figures()
    assert last["pss_kb"] < max(first["pss_kb"] * 1.3, 64 << 10)
    assert last["files"] <= 6 and last["processes"] == 3
    assert not any("internal error" in line for line in siege.lines())


def test_what_each_request_leaves_behind_is_cleared_away(siege: Siege) -> None:
    siege.start()

    def ask(times: int) -> int:
        for _ in range(times):
            with siege.call() as line:
                line.sendall(wire.request(b"pysendmail", [b"status"]))
                assert answer(line)[0] == 0
        return siege.pss()

    before = ask(100)
    after = ask(200)
    show("200 requests", before=before, after=after)
    assert after - before < 4 << 10
