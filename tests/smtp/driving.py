"""Drive the client machine by hand."""

from collections.abc import Iterator

from pysendmail.smtp.client import Client, Patience
from pysendmail.smtp.outcome import Mail
from pysendmail.smtp.transaction import Transaction

ALL = b"250-mx\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-DSN\r\n250 SMTPUTF8\r\n"
PIPE = b"250-mx\r\n250 PIPELINING\r\n"
PLAIN = b"250 mx\r\n"


def flight(client: Client) -> bytes:
    """Take everything that the client sends before it waits."""
    sent = b""
    while data := client.output():
        client.flushed()
        sent += data
    return sent


def ready(ehlo: bytes = ALL) -> Client:
    client = Client(b"me", Patience())
    assert flight(client) == b""
    client.feed(b"220 hi\r\n")
    client.hello()
    assert flight(client) == b"EHLO me\r\n"
    client.feed(ehlo)
    assert client.idle
    return client


def mail(body: bytes = b"A: b\r\n\r\ntext\r\n", recipients: list[bytes] | None = None, **more: object) -> Mail:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    return Mail(b"s@x", recipients or [b"r@y"], len(body), chunks, **more)  # type: ignore[arg-type]


def states(transaction: Transaction) -> dict[bytes, tuple[str, int]]:
    return {r: (o.state, o.exit_code) for r, o in transaction.outcomes.items()}
