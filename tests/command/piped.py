"""Clients of `sendmail -bs`: one that speaks line by line, and Python's own."""

import contextlib
import os
import select
import smtplib
import socket
import subprocess
import time
from collections.abc import Iterator

from tests.command.caller import LIMIT, Caller

HEADER = b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <1@x>\r\n"


class Dialogue:
    """One session over pipes; each reply is read before the next thing is said."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._held = b""

    def hear(self) -> str:
        """Return the next reply, its lines joined by a newline; "" at the end of output."""
        assert self.process.stdout is not None
        lines: list[bytes] = []
        deadline = time.monotonic() + LIMIT
        while True:
            line, newline, rest = self._held.partition(b"\r\n")
            if newline:
                self._held = rest
                lines.append(line)
                if line[3:4] != b"-":
                    return b"\n".join(lines).decode()
                continue
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no answer; so far {self._held!r}"
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                assert not (self._held or lines)
                return ""
            self._held += data

    def write(self, data: bytes) -> None:
        """Write octets to the command."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def say(self, line: str, end: str = "\r\n") -> str:
        """Say a line and return the reply."""
        self.write(f"{line}{end}".encode("utf-8", "surrogateescape"))
        return self.hear()

    def send(self, message: bytes, *recipients: str, sender: str = "ann@example.org") -> str:
        """Send a message in lock-step and return the reply to its end."""
        assert self.say(f"MAIL FROM:<{sender}>")[:3] == "250"
        for recipient in recipients or ("bob@example.net",):
            assert self.say(f"RCPT TO:<{recipient}>")[:3] == "250"
        assert self.say("DATA")[:3] == "354"
        self.write(message)
        return self.say(".")

    def end(self) -> tuple[int, bytes]:
        """Close the input; return the exit code and what stood on standard error."""
        _, err = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, err


@contextlib.contextmanager
def dialogue(caller: Caller, *arguments: str, greeted: bool = True, **more: object) -> Iterator[Dialogue]:
    """Start `sendmail -bs` and, if it is to be `greeted`, take its greeting."""
    process = caller.start("-bs", *arguments, **more)
    try:
        one = Dialogue(process)
        if greeted:
            assert one.hear().startswith("220 ")
        yield one
    finally:
        process.kill()
        process.communicate()


class PipedSMTP(smtplib.SMTP):
    """Python's client on one end of a socket pair."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        super().__init__("localhost", 25, timeout=LIMIT)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # type: ignore[override]
        self._end.settimeout(timeout)
        return self._end
