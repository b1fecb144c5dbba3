"""Whatever servers, addresses and messages say, a report keeps its structure and says what it was built from."""

from flufl.bounce import all_failures
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pysendmail.message import dsn
from pysendmail.message.body import BodyWriter
from pysendmail.message.dsn import Recipient
from pysendmail.message.header import HeaderReader
from pysendmail.message.mime import reencode
from tests.message.reports import blocks, body_of, content, facts, inner, octets, parts, raw_parsed

PIECES = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b" ", b"\t", b"--", b"--\r\n", b".", b"\r\n.\r\n", b"\x80", b"\xff",
    "ü".encode(), "\u2028".encode(), "\u202e".encode(), b";", b":", b",", b"<", b">", b"@", b'"', b"\\", b"(", b"=",
    b"=20", b"+0A", b"\\x{A}", b"550 ", b"x" * 80, b"y" * 1100, b"=?utf-8?q?=0A?=", b"Action: delivered\r\n",
    b"\r\nFinal-Recipient: rfc822; evil@x\r\n", b"\r\nBcc: evil@x\r\n", b"Content-Type: text/html\r\n\r\n", b"From ",
    b"Message-ID: <", b"References: <a@b> ", b"Subject: ", b"Content-Transfer-Encoding: base64\r\n",
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n', b"\r\n--b\r\n", b"\r\n--b--\r\n", b"report-",
]  # fmt: skip
HOSTILE = st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=8).map(b"".join)
HOSTILE_TEXT = HOSTILE.map(lambda octets: octets.decode("utf-8", "surrogateescape")) | st.text(max_size=20)
STATUS = st.sampled_from(["5.1.1", "4.4.1", "2.0.0", "5.3.4", "5.7.8", "", "5.1.1\r\nX: y"]) | HOSTILE_TEXT
RECIPIENT = st.builds(
    Recipient,
    HOSTILE,
    STATUS,
    HOSTILE_TEXT,
    HOSTILE_TEXT,
    orcpt=st.none() | HOSTILE.map(lambda octets: b"rfc822;" + octets) | HOSTILE,
    last_attempt=st.sampled_from([0.0, 1700000000.5]),
    uncertain=st.booleans(),
)
KIND = st.sampled_from([dsn.FAILED, dsn.DELAYED, dsn.RELAYED, dsn.DELIVERED])
RET = st.sampled_from([None, b"FULL", b"HDRS"])
FACTS = st.fixed_dictionaries(
    {
        "host": HOSTILE_TEXT,
        "qid": HOSTILE_TEXT,
        "sender": HOSTILE,
        "to": st.sampled_from([b"alice@example.org", "jürgen@example.org".encode(), b"x\r\nBcc: evil@x"]),
        "envid": st.none() | HOSTILE,
        "retry_until": st.sampled_from([None, 1700432000.0]),
    }
)
PER_MESSAGE = ("original-envelope-id", "reporting-mta", "arrival-date", "x-pysendmail-queue-id", "x-pysendmail-sender")
PER_RECIPIENT = (
    "original-recipient", "final-recipient", "action", "status", "remote-mta", "diagnostic-code", "last-attempt-date",
    "will-retry-until",
)  # fmt: skip
TOP = b"from to subject date message-id auto-submitted in-reply-to references mime-version content-type".split()
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def in_order(names, allowed):
    """Say whether the names are some of those allowed, each at most once and in that order."""
    places = [allowed.index(name) if name in allowed else -1 for name in names]
    return -1 not in places and places == sorted(set(places))


def check(made, kind, recipients):
    raw = octets(made)
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n") and raw.endswith(b"\r\n")
    assert in_order([field.name for field in made[0] if field.name != b"content-transfer-encoding"], TOP)
    assert [field.name for field in made[0]] == [field.name for field in header_of(raw)]
    assert all(len(line) <= 998 for field in made[0] for line in field.raw.split(b"\r\n"))
    text, record, _ = parts(made)
    assert max(map(len, (text + record).split(b"\r\n"))) <= 998 and b"\0" not in text + record
    message = raw_parsed(made)
    assert message.get_content_type() == "multipart/report" and len(message.get_payload()) == 3
    if b"message/delivery-status\r\n" in record:
        per_message, *per_recipient = blocks(made)
        assert in_order([name.lower() for name in per_message], PER_MESSAGE)
        assert len(per_recipient) == len(recipients)
        for block in per_recipient:
            assert in_order([name.lower() for name in block], PER_RECIPIENT)
            assert block["Action"] == kind and block["Final-Recipient"]
            assert block["Status"].count(".") == 2
            assert block["Status"][0] in {"failed": "54", "delayed": "4"}.get(kind, "2")


def header_of(raw):
    reader = HeaderReader()
    reader.feed(raw)
    return reader.fields


@SETTINGS
@given(KIND, FACTS, st.lists(RECIPIENT, min_size=1, max_size=3), HOSTILE, st.none() | HOSTILE, RET)
def test_nothing_that_was_said_breaks_the_structure_or_adds_a_field(kind, told, recipients, header, text, ret):
    body = None if text is None else body_of(text)
    made = dsn.build(kind, facts(**told), recipients, header, body, ret)
    check(made, kind, recipients)
    for eight_bit_ok in (True, False):
        encoded = reencode(*made, eight_bit_ok=eight_bit_ok, new_writer=BodyWriter)
        assert not ((encoded[1].eight_bit and not eight_bit_ok) or encoded[1].nul or encoded[1].long_line)
        assert len(raw_parsed(encoded).get_payload()) == 3


@SETTINGS
@given(st.lists(RECIPIENT, min_size=1, max_size=2), HOSTILE, st.lists(HOSTILE, min_size=1, max_size=2), FACTS)
def test_a_message_that_knows_an_earlier_report_cannot_forge_the_next(recipients, header, texts, told):
    first = dsn.build(dsn.FAILED, facts(**told), recipients, header, body_of(texts[0]))
    stolen = parts(first)  # its whole content, delimiters included
    delimiter = b"".join(first[1].chunks()).partition(b"\r\n")[0]
    text = delimiter.join([b"\r\n", *stolen, *texts]) + b"\r\n" + delimiter + b"--\r\n"
    reply = (delimiter + b"\r\n" + text[:300]).decode("utf-8", "surrogateescape")
    forged = [*recipients, Recipient(delimiter + b"@x", "5.1.1", reply)]
    made = dsn.build(dsn.FAILED, facts(**told), forged, header + delimiter + b"\r\n", body_of(text))
    check(made, dsn.FAILED, forged)


LOCAL = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789!#$&*+-/?^_`{|}~", min_size=1, max_size=20)
ADDRESS = st.builds("{}@{}.example".format, LOCAL, st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True))


@SETTINGS
@given(st.sets(ADDRESS, min_size=1, max_size=5), HOSTILE_TEXT, HOSTILE)
def test_others_read_who_failed_whatever_the_server_said(addresses, reply, text):
    recipients = [Recipient(address.encode(), "5.1.1", "550 " + reply) for address in addresses]
    made = dsn.build(dsn.FAILED, facts(), recipients, b"Subject: x\r\n", body_of(text))
    assert {block["Final-Recipient"] for block in blocks(made)[1:]} == {f"rfc822; {address}" for address in addresses}
    assert all_failures(raw_parsed(made))[1] == {address.encode() for address in addresses}


TEXT_LINE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=80)


@SETTINGS
@given(st.lists(TEXT_LINE, min_size=1, max_size=10))
def test_a_message_comes_back_as_it_was_also_through_a_7_bit_server(lines):
    text = "".join([line + "\r\n" for line in lines]).encode()
    header = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    made = dsn.build(dsn.FAILED, facts(), [Recipient(b"b@x")], header, body_of(text))
    assert parts(made)[2].endswith(b"\r\n\r\n" + header + b"\r\n" + text)
    encoded = reencode(*made, eight_bit_ok=False, new_writer=BodyWriter)
    assert content(inner(raw_parsed(encoded), 2, 0)) == text
