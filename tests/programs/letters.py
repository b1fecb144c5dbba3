"""What a program is told to send, and how what arrives is compared with it."""

import dataclasses
import email
import email.message
import email.policy
import hashlib
import random

from tests.obedient import Delivery

# What callers without -i, mailbox formats, SMTP and character sets stumble over.
TEXT = "Dear all,\n\n.\n..\nFrom here on: Grüße, 日本語.\n.hidden\n\tblanks  and tabs\n\n.\nlast line\n".encode()
BLOB = random.Random(1).randbytes(60_000) + b"\r\n.\r\n\nFrom \0\r"


@dataclasses.dataclass(frozen=True)
class Program:
    """A program, or a way to call it: what sends a letter, and what has to arrive.

    `code` is the standard input of `command`, which runs in a folder with the files `text` and `blob`. In the
    environment are TO, CC, HIDDEN and SUBJECT. `copies` are the recipients of each message that arrives, by these
    names or as they are. `shows` is a part of the text of a program that writes its own.
    """

    name: str
    code: str
    command: str = "sh -eu"
    user: str = "alice"
    sender: str = "alice@example.org"
    copies: tuple[str, ...] = ("TO",)
    subject: str | None = None
    shows: str | None = None
    attached: bool = False

    def words(self) -> dict[str, str]:
        """Give the addresses and the subject of its letter, which nobody else's has."""
        name = self.name.replace(" ", "-").lower()
        addresses = {"TO": f"to.{name}@example.com", "CC": f"cc.{name}@example.net", "HIDDEN": f"bcc.{name}@example.com"}
        return {**addresses, "SUBJECT": f"letter of {name}"}

    def recipients(self) -> list[list[str]]:
        """Give the recipients of each message."""
        words = self.words()
        return sorted(sorted(words.get(each, each) for each in copy.split()) for copy in self.copies)


def check(program: Program, delivery: Delivery) -> None:
    """Compare what arrived with what the program was told to send."""
    words = program.words()
    assert delivery.sender == program.sender
    assert {name: len(delivery.field(name)) for name in ("From", "Date", "Message-ID", "Subject", "Bcc")} == {
        "From": 1, "Date": 1, "Message-ID": 1, "Subject": 1, "Bcc": 0,
    }  # fmt: skip
    assert delivery.field("To") or delivery.field("Cc")
    assert words["HIDDEN"].encode() not in delivery.data
    assert delivery.data.count(b"\r") == delivery.data.count(b"\n") == delivery.data.count(b"\r\n")
    message = email.message_from_bytes(delivery.data, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage) and not message.defects
    subject = words["SUBJECT"] if program.subject is None else program.subject
    assert subject in message["Subject"]
    text = _text(message)
    if program.shows is None:
        assert text == TEXT.rstrip()
    else:
        assert program.shows in text.decode()
    if program.attached:
        blobs = [part.get_payload(decode=True) for part in message.walk() if part.get_filename() == "blob"]
        assert [_digest(blob) for blob in blobs] == [_digest(BLOB)]


def _digest(content: object) -> str:
    assert isinstance(content, bytes)
    return hashlib.sha256(content).hexdigest()


def _text(message: email.message.EmailMessage) -> bytes:
    """Give the text with LF for a line end, and without the blank lines at its end.

    Ruby's library writes each line end of a text in quoted-printable twice, the first time as =0D. Where lines may
    flow (RFC 3676), a blank stands before those that begin with white space.
    """
    part = message.get_body(("plain",))
    content = None if part is None else part.get_payload(decode=True)
    assert part is not None and isinstance(content, bytes), message
    text = content.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").rstrip()
    if part.get_param("format") == "flowed":
        text = b"\n".join([line.removeprefix(b" ") for line in text.split(b"\n")])
    return text
