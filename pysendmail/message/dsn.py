"""Reports on a delivery: the message that tells a sender what became of his own (RFC 3461, 3464, 6522, 6533).

A report is a multipart/report of three parts: a text for people (dsn_text), a record for programs (dsn_status), and the
message that it is about, or the header of that. It is sent with the null reverse-path, and never on a message that had
it: the caller sees to both.

What servers, addresses and messages say cannot reach the structure. Text and record hold it in single printable lines;
the message goes through BodyWriter like any other; and the boundary is the digest of all that stands between the
boundaries, which no text can hold of itself. No octet of the message is changed here. Where 8-bit text or long lines
must not travel, message.mime encodes report and message in one go; a message that it could not encode (a signed one,
say) is represented by its header, so that a report can always be sent.
"""

from pysendmail import errors
from pysendmail.message.body import Body, BodyWriter
from pysendmail.message.dsn_advice import SIZE, trouble
from pysendmail.message.dsn_original import Original, is_utf8
from pysendmail.message.dsn_status import safe_host, status_record
from pysendmail.message.dsn_text import ABRIDGED, HEADER, TOO_LARGE, WHOLE, describe
from pysendmail.message.fixups import date
from pysendmail.message.header import Field, make

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

    class Readable(Protocol):
        """A body in wire form: octets, and a way to read it again and again; message.body.Body is one."""

        size: int

        def chunks(self) -> Iterator[bytes]:
            """Yield the body from its beginning."""
            ...


__all__ = ["DELAYED", "DELIVERED", "FAILED", "LIMIT", "RELAYED", "Facts", "Recipient", "build"]

FAILED, DELAYED, RELAYED, DELIVERED = "failed", "delayed", "relayed", "delivered"
"""The kinds of a report; each is the Action (RFC 3464 section 2.3.3) of all recipients in it."""

LIMIT = 1 << 20
"""The octets of the largest message that comes back whole unless the caller says otherwise."""

_LONGEST_ADDRESS = 900  # octets that still make a legal line of a To field

_SUBJECTS = {
    FAILED: (b"Undelivered Mail Returned to Sender", b"Postmaster Copy: Undelivered Mail"),
    DELAYED: (b"Delayed Mail (still being retried)", b"Postmaster Warning: Delayed Mail"),
    RELAYED: (b"Successful Mail Delivery Report", b"Postmaster Copy: Successful Mail Delivery Report"),
    DELIVERED: (b"Successful Mail Delivery Report", b"Postmaster Copy: Successful Mail Delivery Report"),
}


class Facts:
    """What a report says besides its recipients.

    host: this machine's name. domain: of the report's own addresses, in A-labels. now, arrived, retry_until: seconds
    since the epoch, of this report, of the message's arrival and of the end of its time in the queue (None: not known,
    or there is none); utc_offset: minutes east of UTC. unique: the left side of the report's Message-ID. qid: the queue
    id of the message. sender: its reverse-path; to: whom the report goes to, the sender if not given, the postmaster
    when a report cannot be delivered itself. envid: the envelope id as its sender gave it, xtext decoded. reporter: the
    address of the report's author, b"" for MAILER-DAEMON in its domain.
    """

    __slots__ = (
        "arrived", "domain", "envid", "host", "now", "qid", "reporter", "retry_until", "sender", "to", "unique",
        "utc_offset",
    )  # fmt: skip

    def __init__(
        self,
        *,
        host: str,
        domain: bytes,
        now: float,
        unique: bytes,
        qid: str,
        sender: bytes,
        arrived: float,
        utc_offset: int = 0,
        to: bytes | None = None,
        envid: bytes | None = None,
        retry_until: float | None = None,
        reporter: bytes = b"",
    ) -> None:
        self.host = host
        self.domain = domain
        self.now = now
        self.utc_offset = utc_offset
        self.unique = unique
        self.qid = qid
        self.sender = sender
        self.to = sender if to is None else to
        self.envid = envid
        self.arrived = arrived
        self.retry_until = retry_until
        self.reporter = reporter


class Recipient:
    """A recipient that the report is about.

    address: of the envelope, without angle brackets. status: enhanced code ("5.1.1"), "" if there is none. reply: what
    the server said, code first, or what happened instead; secrets masked. relay: the server as in the log
    (`host[address]:port`), "" or "none" if none was reached. orcpt: the original recipient as in the ORCPT parameter
    (`rfc822;xtext`), or None. last_attempt: seconds since the epoch, 0 if there was none. uncertain: the connection was
    lost after the end of the message and before the answer to it.
    """

    __slots__ = ("address", "last_attempt", "orcpt", "relay", "reply", "status", "uncertain")

    def __init__(
        self,
        address: bytes,
        status: str = "",
        reply: str = "",
        relay: str = "",
        *,
        orcpt: bytes | None = None,
        last_attempt: float = 0.0,
        uncertain: bool = False,
    ) -> None:
        self.address = address
        self.status = status
        self.reply = reply
        self.relay = relay
        self.orcpt = orcpt
        self.last_attempt = last_attempt
        self.uncertain = uncertain


def build(
    kind: str,
    facts: Facts,
    recipients: list[Recipient],
    header: bytes,
    body: "Readable | None",
    ret: bytes | None = None,
    *,
    limit: int = LIMIT,
    new_writer: "Callable[[], BodyWriter]" = BodyWriter,
) -> tuple[list[Field], Body]:
    """Make the report of one kind on one or more recipients of a message; return its header and body.

    `header` is that of the message without the blank line; `body` may be None. The message comes back whole only in a
    report of failure, unless `ret` is b"HDRS" or the message has more than `limit` octets or was too large for the
    server (RFC 3461 section 6.2). Raises ValueError for a report to nobody or on nobody, TempFail where its body cannot
    be stored or the message's cannot be read.
    """
    if not facts.to or not recipients:
        raise ValueError("a report needs a reader and a recipient")
    original = Original(header, 0 if body is None else body.size)
    enclosed = _enclosed(kind, recipients, original, body, ret, limit)
    if enclosed != WHOLE:
        return _write(kind, facts, recipients, original, None, enclosed, new_writer)
    fields, report = _write(kind, facts, recipients, original, body, enclosed, new_writer)
    if _can_be_encoded(fields, report, new_writer):
        return fields, report
    report.close()
    return _write(kind, facts, recipients, original, None, ABRIDGED, new_writer)


def _enclosed(
    kind: str, recipients: list[Recipient], original: Original, body: "Readable | None", ret: bytes | None, limit: int
) -> str:
    """Decide how much of the message comes back, and why not all of it."""
    if kind != FAILED or body is None or ret == b"HDRS":
        return HEADER
    # Who found the message too large would find a report with it in it too large as well.
    if original.size > limit or any([trouble(each) == SIZE for each in recipients]):
        return TOO_LARGE
    return WHOLE


def _can_be_encoded(fields: list[Field], report: Body, new_writer: "Callable[[], BodyWriter]") -> bool:
    """Say whether the report can be sent to any server, one that takes only 7-bit text included."""
    if not (report.eight_bit or report.nul or report.long_line):
        return True
    from pysendmail.message.mime import reencode

    try:
        _, encoded = reencode(fields, report, eight_bit_ok=False, new_writer=new_writer)
    except errors.DataError:
        return False
    encoded.close()
    return True


def _write(
    kind: str,
    facts: Facts,
    recipients: list[Recipient],
    original: Original,
    body: "Readable | None",
    enclosed: str,
    new_writer: "Callable[[], BodyWriter]",
) -> tuple[list[Field], Body]:
    """Write the report; the message is enclosed as far as there is a `body`, and `enclosed` says why."""
    utf8 = not facts.to.isascii()  # such a reader has SMTPUTF8; any other is spared the types of RFC 6533
    text = describe(kind, facts, recipients, original, enclosed)
    record = status_record(kind, facts, recipients, utf8)
    boundary, plain = _boundary(facts.unique, (text, record, original.header), body)
    message = b"Undelivered Message" if kind in (FAILED, DELAYED) else b"Message"
    if body is None:
        message += b" Headers"
    charset = b"us-ascii" if text.isascii() else b"utf-8"
    writer = new_writer()
    for description, media, is_ascii, content in (
        (b"Notification", b"text/plain; charset=" + charset, text.isascii(), (text,)),
        (b"Delivery report", b"message/%bdelivery-status" % (b"global-" if utf8 else b""), record.isascii(), (record,)),
        (message, _media(original.header, body is not None, utf8), plain, _message(original.header, body)),
    ):
        writer.feed(b"--%b\r\nContent-Description: %b\r\nContent-Type: %b\r\n" % (boundary, description, media))
        writer.feed(b"\r\n" if is_ascii else b"Content-Transfer-Encoding: 8bit\r\n\r\n")
        for chunk in content:
            writer.feed(chunk)
        writer.feed(b"\r\n")
    writer.feed(b"--%b--\r\n" % boundary)
    report = writer.finish()
    return _header(kind, facts, original, boundary, report.eight_bit), report


def _boundary(unique: bytes, texts: "Iterable[bytes]", body: "Readable | None") -> tuple[bytes, bool]:
    """Return a boundary that comes up nowhere in this, and whether the message (last text and body) is ASCII."""
    from hashlib import sha256

    digest = sha256(unique)
    plain = True
    for text in texts:
        digest.update(b"%d:" % len(text))
        digest.update(text)
        plain = text.isascii()
    for chunk in () if body is None else body.chunks():
        digest.update(chunk)
        plain = plain and chunk.isascii()
    return b"report-" + digest.hexdigest()[:40].encode(), plain


def _media(header: bytes, whole: bool, utf8: bool) -> bytes:
    """Name the type of the part that holds the message or its header (RFC 6522 section 4, RFC 6533 section 4)."""
    plain = header.isascii() or not is_utf8(header)
    if utf8 and not plain:
        return b"message/global" if whole else b"message/global-headers"
    if whole:
        return b"message/rfc822"
    return b"text/rfc822-headers" if plain else b"text/rfc822-headers; charset=utf-8"


def _message(header: bytes, body: "Readable | None") -> "Iterator[bytes]":
    yield header
    if header and not header.endswith(b"\n"):
        yield b"\r\n"
    if body is not None:
        yield b"\r\n"
        yield from body.chunks()


def _header(kind: str, facts: Facts, original: Original, boundary: bytes, eight_bit: bool) -> list[Field]:
    """Make the header of the report; no Precedence, which says nothing that Auto-Submitted (RFC 3834) does not."""
    domain = safe_host(facts.domain.decode("ascii", "replace") or facts.host).encode("ascii", "replace")
    fields = [
        make(b"From", b"Mail Delivery System <%b>" % (facts.reporter or b"MAILER-DAEMON@" + domain)),
        make(b"To", _addressee(facts.to)),
        make(b"Subject", _SUBJECTS[kind][facts.to != facts.sender]),
        make(b"Date", date(facts.now, facts.utc_offset)),
        make(b"Message-ID", b"<%b@%b>" % (facts.unique, domain)),
        make(b"Auto-Submitted", b"auto-replied"),
    ]
    if original.message_id:
        fields.append(make(b"In-Reply-To", original.message_id))
        fields.append(make(b"References", b"\r\n ".join(original.references)))
    fields.append(make(b"MIME-Version", b"1.0"))
    media = b'multipart/report; report-type=delivery-status;\r\n\tboundary="%b"' % boundary
    fields.append(make(b"Content-Type", media))
    if eight_bit:
        fields.append(make(b"Content-Transfer-Encoding", b"8bit"))
    return fields


def _addressee(to: bytes) -> bytes:
    """Return the address for the To field, or an empty group for what would be no address there."""
    from pysendmail.message.address import parse

    sound = len(to) <= _LONGEST_ADDRESS and [mailbox.address for mailbox in parse(to).mailboxes] == [to]
    return to if sound else b"undisclosed-recipients:;"
