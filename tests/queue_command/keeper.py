"""A caller whose configuration names a queue, and what is in it."""

import pathlib
import re
import socket
from collections.abc import Iterator

from pysendmail.queue.sqlite import SqliteStore
from tests.command.caller import MESSAGE, Caller, Done, until
from tests.contents import Contents
from tests.obedient import Obedient

SENDER = "sender@example.org"


class Keeper(Contents, Caller):
    """Run the command as somebody who has a queue."""

    def __init__(self, sendmail: str, home: pathlib.Path, server: Obedient) -> None:
        super().__init__(sendmail, home, server)
        self.queue = home / "spool" / "queue.db"
        self.words["queue"] = str(self.queue)

    def submit(self, *arguments: str, **more: object) -> None:
        """Hand a message over; the command has to say nothing and to exit with 0."""
        done = self.run(*arguments, **more)  # type: ignore[arg-type]
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), done.stderr.decode()

    def flush(self, *arguments: str, **more: object) -> "Done[bytes]":
        """Run the queue; that has to exit with 0."""
        done = self.run(*(arguments or ("-q",)), message=b"", **more)
        assert (done.returncode, done.stdout) == (0, b""), done.stderr.decode()
        return done

    def problems(self) -> list[str]:
        """Verify the queue file, as `pysendmail queue check` does, and give what is wrong with it."""
        store = SqliteStore(str(self.queue), create=False)
        try:
            return [f"{one.place}: {one.text}" for one in store.check()]
        finally:
            store.close()

    def texts(self) -> dict[str, bytes]:
        """Give the text of each message in the queue, verified by its checksums."""
        store = SqliteStore(str(self.queue), create=False)
        try:
            found = {item.message.qid: store.open(item.message) for item in store.listing()}
            return {qid: text.header + b"\r\n" + b"".join(text.body.chunks()) for qid, text in found.items()}
        finally:
            store.close()

    def mailq(self) -> str:
        """List the queue."""
        done = self.run("-bp", message=b"")
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode()

    def until_empty(self) -> None:
        """Wait until somebody in the background has delivered everything."""
        until(lambda: not self.items())


def numbered(number: int, text: bytes = b"text\n") -> bytes:
    """Make a message that can be told from others."""
    return b"From: Ann <ann@example.org>\nTo: bob@example.net\nX-Number: %d\nSubject: hello\n\n" % number + text


def numbers(texts: "list[bytes]") -> list[int]:
    """Read the numbers of messages, in their order."""
    return [int(found[1]) if (found := re.search(rb"^X-Number: (\d+)\r?$", text, re.M)) else -1 for text in texts]


def dead_port() -> Iterator[int]:
    """Give a port where nobody listens, as long as the iterator lives."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


__all__ = ["MESSAGE", "SENDER", "Done", "Keeper", "dead_port", "numbered", "numbers"]
