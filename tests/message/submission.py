"""Submit a message given as bytes to the header reader and to prepare, with facts that stay the same."""

from collections.abc import Callable
from typing import Any

from pysendmail.message.address import Mailbox
from pysendmail.message.header import HeaderReader
from pysendmail.message.prepare import Facts, Prepared, prepare

DATE = b"Tue, 14 Nov 2023 22:13:20 +0000"
MESSAGE_ID = b"<unique@example.org>"


def facts(**changed: Any) -> Facts:
    known: dict[str, Any] = {
        "login": b"alice",
        "gecos": b"Alice Liddell,Room 1,555",
        "maildomain": b"example.org",
        "now": 1700000000.0,
        "utc_offset": 0,
        "unique": b"unique",
    }
    return Facts(**(known | changed))


def submit(
    message: bytes,
    *arguments: bytes,
    extract: bool = True,
    minus: bool = False,
    skip: bool = False,
    expand: Callable[[Mailbox], list[Mailbox] | None] | None = None,
    **changed: Any,
) -> Prepared:
    reader = HeaderReader()
    reader.feed(message)
    reader.finish()
    return prepare(
        reader.fields,
        facts(**changed),
        extract=extract,
        arguments=list(arguments),
        extract_minus_args=minus,
        bad_recipients_skip=skip,
        expand=expand,
    )


def header_of(prepared: Prepared) -> bytes:
    """The header as it leaves, with bare LF so that tables stay readable."""
    return b"".join(field.raw for field in prepared.fields).replace(b"\r\n", b"\n")
