"""The walk through the MIME structure: what is header, text and delimiter, and that no octet is lost on the way."""

import email

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.message import mime_scan
from pysendmail.message.header import Field, make
from pysendmail.message.mime_scan import DELIMITER, END, HEADER, LEAF, MESSAGE, MULTIPART, OUTSIDE, TEXT, scan

KINDS = {LEAF: "leaf", MULTIPART: "multipart", MESSAGE: "message", OUTSIDE: "outside"}


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in zip(edges, edges[1:], strict=False)]


def walk(content_type: bytes, *chunks: bytes) -> list[tuple[str, bytes, bytes]]:
    """Return kind, header and text of each entity, and the delimiters."""
    fields = [make(b"Content-Type", content_type)] if content_type else []
    found: list[tuple[str, bytes, bytes]] = []
    header = text = b""
    for event, data, entity in scan([chunk for chunk in chunks if chunk], fields):
        if event == DELIMITER:
            found.append(("delimiter", data, b""))
        elif event == HEADER:
            header, text = data, b""
        elif event == TEXT:
            text += data
        else:
            assert event == END and entity is not None
            found.append((KINDS[entity.kind], header, text))
    return found


def crlf(text: str) -> bytes:
    return text.encode().replace(b"\n", b"\r\n")


def shape(content_type: bytes, body: str) -> list[str]:
    """Return the walk in short: `kind:text` for each entity, `|` for each delimiter."""
    return [
        "|" if kind == "delimiter" else f"{kind}:{text.decode()}" for kind, _, text in walk(content_type, crlf(body))
    ]


MIXED = b"multipart/mixed; boundary=b"
SHAPES = [
    ("no type", b"", "--b\n\nx\n", ["leaf:--b\r\n\r\nx\r\n"]),
    ("plain", MIXED, "pre\n--b\n\none\n--b\n\ntwo\n--b--\npost\n",
     ["multipart:pre", "|", "leaf:one", "|", "leaf:two", "|", "outside:post\r\n"]),
    ("delimiter first", MIXED, "--b\n\none\n--b--\n", ["multipart:", "|", "leaf:one", "|", "outside:"]),
    ("empty line before", MIXED, "\n--b\n\none\n\n--b--\n\n",
     ["multipart:", "|", "leaf:one\r\n", "|", "outside:\r\n"]),
    ("empty parts", MIXED, "--b\n--b\n\n--b\n\n\n--b--\n",
     ["multipart:", "|", "leaf:", "|", "leaf:", "|", "leaf:", "|", "outside:"]),
    ("blanks behind", MIXED, "--b \t\n\none\n--b--  \n", ["multipart:", "|", "leaf:one", "|", "outside:"]),
    ("blank before", MIXED, " --b\n\none\n", ["leaf: --b\r\n\r\none\r\n"]),
    ("no close delimiter", MIXED, "--b\n\none\n", ["multipart:", "|", "leaf:one\r\n"]),
    ("delimiter that goes on", MIXED, "--b\n\none\n--bc\n--b-\n--b--c\n--b---\n",
     ["multipart:", "|", "leaf:one\r\n--bc\r\n--b-\r\n--b--c\r\n--b---\r\n"]),
    ("delimiter within a line", MIXED, "--b\n\none--b\nx --b--\n", ["multipart:", "|", "leaf:one--b\r\nx --b--\r\n"]),
    ("never comes", MIXED, "text\n--other\n", ["leaf:text\r\n--other\r\n"]),
    ("closed at once", MIXED, "text\n--b--\nmore\n", ["leaf:text", "|", "outside:more\r\n"]),
    ("empty body", MIXED, "", ["leaf:"]),
    ("boundary with blanks at its end", b'multipart/mixed; boundary="b "', "--b\n\none\n--b--\n",
     ["multipart:", "|", "leaf:one", "|", "outside:"]),
    ("no boundary", b"multipart/mixed", "--\n\none\n----\n", ["leaf:--\r\n\r\none\r\n----\r\n"]),
    ("nested", MIXED,
     "--b\nContent-Type: multipart/alternative; boundary=c\n\nin\n--c\n\none\n--c--\nout\n--b\n\ntwo\n--b--\n",
     ["multipart:", "|", "multipart:in", "|", "leaf:one", "|", "outside:out", "|", "leaf:two", "|", "outside:"]),
    ("nested, close delimiters side by side", MIXED,
     "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--c--\n--b--\n",
     ["multipart:", "|", "multipart:", "|", "leaf:one", "|", "outside:", "|", "outside:"]),
    ("nested, inner close delimiter missing", MIXED,
     "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--b\n\ntwo\n--b--\n",
     ["multipart:", "|", "multipart:", "|", "leaf:one", "|", "leaf:two", "|", "outside:"]),
    ("inner boundary is a prefix of the outer", b"multipart/mixed; boundary=bcd",
     "--bcd\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--bcd\n\ntwo\n--b\n--bcd--\n",
     ["multipart:", "|", "multipart:", "|", "leaf:one", "|", "leaf:two\r\n--b", "|", "outside:"]),
    ("outer boundary is a prefix of the inner", MIXED,
     "--b\nContent-Type: multipart/mixed; boundary=bcd\n\n--bcd\n\none\n--bcd--\n--b--\n",
     ["multipart:", "|", "multipart:", "|", "leaf:one", "|", "outside:", "|", "outside:"]),
    ("inner boundary is the outer", MIXED,
     "--b\nContent-Type: multipart/mixed; boundary=b\n\nin\n--b\n\none\n--b--\nx\n--b--\n",
     ["multipart:", "|", "leaf:in", "|", "leaf:one", "|", "outside:x\r\n--b--\r\n"]),
    ("a line that is both the outer's delimiter and the inner's end", b"multipart/mixed; boundary=b--",
     "--b--\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n\ntwo\n--b----\n",
     ["multipart:", "|", "multipart:", "|", "leaf:one", "|", "leaf:two", "|", "outside:"]),
    ("message", b"message/rfc822", "Subject: x\n\ntext\n", ["message:", "leaf:text\r\n"]),
    ("message in a part", MIXED, "--b\nContent-Type: message/rfc822\n\nTo: a\n\ntext\n--b--\n",
     ["multipart:", "|", "message:", "leaf:text", "|", "outside:"]),
    ("multipart in a message in a part", MIXED,
     "--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--c--\n\n--b--\n",
     ["multipart:", "|", "message:", "multipart:", "|", "leaf:one", "|", "outside:", "|", "outside:"]),
    ("message with an mbox line and no text", b"message/rfc822", "From a@b Mon\nSubject: x\n",
     ["message:", "leaf:"]),
    ("message in base64 is a leaf", MIXED,
     "--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\n",
     ["multipart:", "|", "leaf:AAAA", "|", "outside:"]),
    ("digest", b"multipart/digest; boundary=b",
     "--b\n\nSubject: x\n\none\n--b\nContent-Type: text/plain\n\ntwo\n--b--\n",
     ["multipart:", "|", "message:", "leaf:one", "|", "leaf:two", "|", "outside:"]),
    ("header without an empty line", MIXED, "--b\nContent-Type: text/html\n--b\ntext: x\ntext\n--b--\n",
     ["multipart:", "|", "leaf:", "|", "leaf:text", "|", "outside:"]),
    ("text instead of a header", MIXED, "--b\nno header\n\none\n--b--\n",
     ["multipart:", "|", "leaf:no header\r\n\r\none", "|", "outside:"]),
    ("a boundary with a colon is no field", b"multipart/mixed; boundary=:b", "--:b\n--:b\n\none\n--:b--\n",
     ["multipart:", "|", "leaf:", "|", "leaf:one", "|", "outside:"]),
    ("folded type", MIXED, "--b\nContent-Type:\n multipart/mixed;\n\tboundary=c\n\n--c\n\none\n--b--\n",
     ["multipart:", "|", "multipart:", "|", "leaf:one", "|", "outside:"]),
]  # fmt: skip


@pytest.mark.parametrize(("content_type", "body", "expected"), [row[1:] for row in SHAPES], ids=[r[0] for r in SHAPES])
def test_the_structure_is_seen_as_most_readers_see_it(content_type: bytes, body: str, expected: list[str]) -> None:
    assert shape(content_type, body) == expected


def leaves(texts: list[str]) -> list[str]:
    """Forget empty leaves and last line ends: the email package drops some, and adds some to broken multiparts."""
    return [text.removesuffix("\r\n") for text in texts if text.removesuffix("\r\n")]


@pytest.mark.parametrize(("content_type", "body"), [row[1:3] for row in SHAPES], ids=[r[0] for r in SHAPES])
def test_the_email_package_finds_the_same_leaves(content_type: bytes, body: str) -> None:
    head = b"Content-Type: %b\r\n\r\n" % content_type if content_type else b"\r\n"
    message = email.message_from_bytes(head + crlf(body))
    theirs = [str(part.get_payload()) for part in message.walk() if not part.is_multipart()]
    ours = [entry.removeprefix("leaf:") for entry in shape(content_type, body) if entry.startswith("leaf:")]
    if "base64" not in body:  # it takes a message apart whatever its encoding
        assert leaves(ours) == leaves(theirs)


pieces = st.sampled_from([
    b"\r\n", b"\r\n", b"--", b"--b", b"--bc", b"--b--", b"b", b"-", b" ", b"x", b":", b"\r\n\r\n", b"\r\n--b\r\n",
    b"\r\n--b\r\nContent-Type: multipart/mixed; boundary=", b"bc\r\n\r\n", b"\r\n--bc\r\n\r\n", b"\r\n--bc--\r\n",
    b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: multipart/digest; boundary=c\r\n", b"--c\r\n", b"y" * 990,
    b"Subject: s\r\n", b" folded\r\n", b"\xe4",
])  # fmt: skip
soup = st.lists(pieces, max_size=40).map(lambda parts: b"".join([*parts, b"\r\n"]))
places = st.lists(st.integers(0, 20_000), max_size=12)


@given(soup, places)
@example(b"--b" + b" " * 991 + b"\r\n\r\nx\r\n", [994, 995, 996, 997])
@example(b"x\r\n--b" + b" " * 993 + b"\r\n\r\nx\r\n", [1000])
@example(b"x\r\n--b" + b" " * 994 + b"\r\n\r\nx\r\n", [1001])
@example(b"--b\r\n" + b"y" * 990 + b": x\r\n\r\nx\r\n", [994, 995, 996, 997])
@example(b"--b\r\n" + b"y" * 1200 + b": x\r\n\r\nx\r\n", [994, 995, 996, 997])
def test_no_octet_is_lost_and_no_cut_changes_what_is_seen(body: bytes, places: list[int]) -> None:
    fields = [make(b"Content-Type", MIXED)]
    assert b"".join(data for _, data, _ in scan(cut(body, places), fields)) == body
    whole = walk(MIXED, body)
    assert walk(MIXED, *cut(body, places)) == whole
    assert walk(MIXED, *(body[at : at + 1] for at in range(len(body)))) == whole


@given(soup)
def test_each_entity_begins_and_ends_once_and_in_order(body: bytes) -> None:
    open_entity = None
    index = 0
    for event, data, entity in scan([body], [make(b"Content-Type", MIXED)]):
        if event == HEADER:
            assert open_entity is None and entity is not None and entity.index == index
            assert b"".join(field.raw for field in entity.fields) + entity.blank == data or not index
            open_entity, index = entity, index + 1
        elif event == DELIMITER:
            assert open_entity is None and data.strip().startswith(b"--")
        else:
            assert entity is open_entity
            open_entity = None if event == END else entity
    assert open_entity is None


def test_a_line_of_over_998_octets_is_never_a_delimiter() -> None:
    for blanks, entities in ((993, 3), (994, 1), (5000, 1)):
        assert len(walk(MIXED, b"x\r\n--b" + b" " * blanks + b"\r\n\r\none\r\n")) == entities


def test_thousands_of_nested_parts_and_messages_need_no_recursion() -> None:
    multiparts = b"".join(
        b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n" % (level, level + 1) for level in range(5000)
    )
    found = walk(b"multipart/mixed; boundary=0", multiparts)
    assert found[-1][0] == "leaf"
    assert sum(kind == "multipart" for kind, _, _ in found) == mime_scan.MAX_DEPTH
    messages = walk(b"message/rfc822", b"Content-Type: message/rfc822\r\n\r\n" * 5000)
    assert sum(kind == "message" for kind, _, _ in messages) == 5001


def test_what_lies_too_deep_is_sealed() -> None:
    body = b"".join(
        b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n" % (level, level + 1) for level in range(200)
    )
    *_, last = scan([body], [make(b"Content-Type", b"multipart/mixed; boundary=0")])
    assert last[2] is not None and "over 100 deep" in last[2].sealed


def sealed(content_type: bytes, body: str) -> list[str]:
    found = scan([crlf(body)], [make(b"Content-Type", content_type)])
    return [entity.sealed for event, _, entity in found if event == END and entity is not None]


def test_all_inside_a_signed_part_is_sealed_and_nothing_outside_of_it() -> None:
    body = (
        "--b\n\none\n--b\nContent-Type: multipart/signed; boundary=c\n\n"
        "--c\nContent-Type: message/rfc822\n\n\nsigned\n--c\nContent-Type: multipart/mixed; boundary=d\n\n"
        "--d\n\nsigned\n--d--\n--c--\nx\n--b\n\ntwo\n--b--\n"
    )
    signed = "a signed part (multipart/signed)"
    assert sealed(MIXED, body) == ["", "", *[signed] * 6, "", "", ""]


@pytest.mark.parametrize("media", ["application/pkcs7-mime", "application/X-PKCS7-MIME; smime-type=signed-data"])
def test_what_s_mime_signed_or_encrypted_is_sealed(media: str) -> None:
    assert sealed(media.encode(), "x\n")[0].startswith("a part that is signed or encrypted")


@pytest.mark.parametrize(
    ("types", "is_sealed"),
    [
        ([b"text/plain", b"text/html"], False),
        ([b"text/plain", b"multipart/mixed; boundary=b"], True),
        ([b"multipart/mixed; boundary=b", b"multipart/mixed; boundary=c"], True),
        ([b"multipart/mixed; boundary=b", b'multipart/mixed; boundary="b"'], False),
        ([b"message/rfc822", b"text/plain"], True),
    ],
)
def test_two_types_that_give_two_structures_seal_the_part(types: list[bytes], is_sealed: bool) -> None:
    fields = [make(b"Content-Type", media) for media in types]
    entity = next(entity for _, _, entity in scan([b"--b\r\n\r\nx\r\n--b--\r\n"], fields) if entity is not None)
    assert bool(entity.sealed) == is_sealed
    assert not is_sealed or entity.kind == LEAF


def test_the_header_of_a_part_has_a_limit() -> None:
    many = b"--b\r\n" + b"X: y\r\n" * 180_000
    long = b"--b\r\nX: " + b"y" * (1 << 20)
    for body in (many, long + b"\r\n", long):
        with pytest.raises(errors.DataError, match="1 MiB"):
            walk(MIXED, *(body[at : at + 4096] for at in range(0, len(body), 4096)))


def test_a_part_without_header_that_begins_with_an_endless_line_is_text() -> None:
    body = b"--b\r\n" + b"y" * (1 << 21) + b"\r\n"
    assert walk(MIXED, *(body[at : at + 4096] for at in range(0, len(body), 4096)))[-1][0] == "leaf"


def test_the_fields_of_a_part_are_read_whole() -> None:
    body = crlf("--b\nFrom x: y\nSubject : a\n b\nContent-Type: text/html\n\t;charset=x\n\n")
    entities = [entity for event, _, entity in scan([body], [make(b"Content-Type", MIXED)]) if event == END]
    assert entities[1] is not None
    shown = [(field.name, field.raw) for field in entities[1].fields]
    assert shown == [
        (b"", b"From x: y\r\n"),
        (b"subject", b"Subject : a\r\n b\r\n"),
        (b"content-type", b"Content-Type: text/html\r\n\t;charset=x\r\n"),
    ]
    assert entities[1].media == b"text/html" and entities[1].typed and not entities[1].top


def test_an_unreadable_type_counts_as_plain_text() -> None:
    entity = next(scan([], [Field(b"content-type", b"Content-Type: nonsense\r\n")]))[2]
    assert entity is not None and entity.media == b"text/plain" and entity.typed
