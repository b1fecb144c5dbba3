"""Re-encoding: the bytes that leave, and that a reader sees the same octets in each part as before."""

import base64
import email
import quopri
import re
from email.header import decode_header, make_header

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.message.body import Body, BodyWriter
from pysendmail.message.header import Field, HeaderReader
from pysendmail.message.mime import reencode


def read(raw: bytes) -> tuple[list[Field], Body]:
    reader = HeaderReader()
    reader.feed(raw)
    reader.finish()
    writer = BodyWriter()
    writer.feed(reader.rest)
    return reader.fields, writer.finish()


def as_octets(fields: list[Field], body: Body) -> bytes:
    return b"".join(field.raw for field in fields) + b"\r\n" + b"".join(body.chunks())


def convert(raw: bytes, eight_bit_ok: bool = False, spool: bool = False) -> bytes:
    fields, body = read(raw)
    done = reencode(fields, body, eight_bit_ok=eight_bit_ok, new_writer=lambda: BodyWriter(0 if spool else 1 << 20))
    return as_octets(*done)


def octets(text: str) -> bytes:
    """Write a message for a test: `~` is a NUL, `@@` a run of 999 letters, line ends become CRLF."""
    return text.replace("@@", "x" * 999).replace("~", "\0").encode().replace(b"\n", b"\r\n")


LONG = "x" * 75 + "=\n"
GOLDEN = {
    "text without any MIME header": (
        "Subject: s\n\nHéllo = wörld \nplain\n.\n",
        "Subject: s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: quoted-printable\n\nH=C3=A9llo =3D w=C3=B6rld=20\nplain\n=2E\n",
    ),
    "ASCII text with a long line": (
        "Subject: s\n\n@@\n",
        "Subject: s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n"
        f"Content-Transfer-Encoding: quoted-printable\n\n{LONG * 13}{'x' * 24}\n",
    ),
    "text with a NUL": (
        "Subject: s\n\na~b\n",
        "Subject: s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n"
        "Content-Transfer-Encoding: base64\n\nYQBiDQo=\n",
    ),
    "the encoding is replaced in its place and all else stays": (
        "mime-version: 1.0 (x)\nContent-transfer-encoding: 8BIT\nContent-Type: Text/Plain;\n\tcharset=UTF-8\nTo: a\n"
        "\né\n",
        "mime-version: 1.0 (x)\nContent-Transfer-Encoding: quoted-printable\nContent-Type: Text/Plain;\n\tcharset=UTF-8"
        "\nTo: a\n\n=C3=A9\n",
    ),
    "the encoding is added where it is missing, and so is the version": (
        "To: a\nContent-Type: text/html\n\né\n",
        "To: a\nMIME-Version: 1.0\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9\n",
    ),
    "two encodings that say the same become one": (
        "MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\nContent-Type: text/plain\n"
        "Content-Transfer-Encoding: binary\n\né\n",
        "MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\nContent-Type: text/plain\n\n=C3=A9\n",
    ),
    "an encoding that nobody knows changed nothing": (
        "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: utf-8\n\né\n",
        "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9\n",
    ),
    "text in other letters is shorter in base64": (
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nПривет\n",
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
        "0J/RgNC40LLQtdGCDQo=\n",
    ),
    "data that is text for the most part stays legible": (
        'MIME-Version: 1.0\nContent-Type: application/json\n\n{"name": "Zoë", "age": "unknown"}\n',
        "MIME-Version: 1.0\nContent-Type: application/json\nContent-Transfer-Encoding: quoted-printable\n\n"
        '{"name": "Zo=C3=AB", "age": "unknown"}\n',
    ),
    "only the parts that need it change": (
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n"
        "This is MIME.\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\nplain = plain \n"
        "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nContent-ID: <x>\n\né\n\n"
        "--b \nContent-Type: image/png\nContent-Transfer-Encoding: binary\n\né~ÿ\n--b--\nThe end.\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\n"
        "This is MIME.\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\nplain = plain \n"
        "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nContent-ID: <x>\n\n"
        "=C3=A9\n\n--b \nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nw6kAw78=\n--b--\nThe end.\n",
    ),
    "a part without a header gets one": (
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\né\n--b\né\n\nx\n--b--\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9\n"
        "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9\n\nx\n"
        "--b--\n",
    ),
    "a message in a message, and one without MIME header in it": (
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: in\n\né\n",
        "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: in\n"
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
        "=C3=A9\n",
    ),
    "a digest": (
        "MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\n\né\n--b--\n",
        "MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9\n--b--\n",
    ),
    "text before and after the parts is encoded without a label": (
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\nprä = \n--b\n\nx\n--b--\nepi = \nepí\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\npr=C3=A4 =3D=20\n--b\n\nx\n--b--\n"
        "epi =3D=20\nep=C3=AD\n",
    ),
    "a multipart without a boundary is one leaf": (
        "MIME-Version: 1.0\nContent-Type: multipart/mixed\n\né~\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9=00\n",
    ),
    "a multipart whose boundary never comes is one leaf": (
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\né\n--c\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: quoted-printable\n\n"
        "=C3=A9\n--c\n",
    ),
    "a missing close delimiter stays missing": (
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\né\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n"
        "Content-Transfer-Encoding: quoted-printable\n\n=C3=A9\n",
    ),
    "quoted-printable with 8-bit text in it is mended": (
        "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9 é =\n= x\n",
        "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n"
        "=C3=A9 =C3=A9 =\n= x\n",
    ),
    "text that would look like a field when it is encoded gets an empty line before it": (
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Transfer-Encoding: quoted-printable\néX: y\n--b--\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9X: y\n--b--\n",
    ),
    "a signed part that can leave as it is stays as it is": (
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Type: multipart/signed; boundary=c\nContent-Transfer-Encoding: 8bit\n\n"
        "--c\nContent-Type: multipart/mixed; boundary=d\nContent-Transfer-Encoding: 8bit\n\n--d--\n--c--\n"
        "--b\nContent-Type: text/plain\n\nné\n--b--\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Type: multipart/signed; boundary=c\nContent-Transfer-Encoding: 8bit\n\n"
        "--c\nContent-Type: multipart/mixed; boundary=d\nContent-Transfer-Encoding: 8bit\n\n--d--\n--c--\n"
        "--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nn=C3=A9\n--b--\n",
    ),
    "data that needs many escapes is shorter in base64": (
        f"MIME-Version: 1.0\nContent-Type: application/x-www-form-urlencoded\n\né{'=' * 12}\n",
        "MIME-Version: 1.0\nContent-Type: application/x-www-form-urlencoded\nContent-Transfer-Encoding: base64\n\n"
        "w6k9PT09PT09PT09PT0NCg==\n",
    ),
    "a soft line break never makes a delimiter": (
        f"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n"
        f"é{'x' * 69}--b--\n--b--\n",
        f"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n"
        f"Content-Transfer-Encoding: quoted-printable\n\n=C3=A9{'x' * 69}=\n=2D=\n-b--\n--b--\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), GOLDEN.values(), ids=GOLDEN.keys())
@pytest.mark.parametrize("spool", [False, True])
def test_the_message_leaves_with_these_octets(before: str, after: str, spool: bool) -> None:
    assert convert(octets(before), spool=spool).decode() == octets(after).decode()


def test_base64_in_one_endless_line_is_broken() -> None:
    flat = "QUJD" * 500
    head = "MIME-Version: 1.0\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n"
    broken = "\n".join(re.findall(".{1,76}", flat))
    assert convert(octets(f"{head}{flat}\n")) == octets(f"{head}{broken}\n")


def test_text_that_is_not_utf_8_has_an_unknown_charset() -> None:
    assert b"charset=unknown-8bit" in convert(b"Subject: s\r\n\r\n\xe9\r\n")
    assert b"charset=unknown-8bit" in convert(b"Subject: s\r\n\r\n" + b"x\r\n" * 200_000 + b"\xc3")
    part = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n%b\r\n--b--\r\n"
    assert b"charset=unknown-8bit" in convert(part % b"\xc3")
    assert b"charset=utf-8" in convert(part % b"\xc3\xa9")
    assert b"charset=utf-8" in convert(b"Subject: s\r\n\r\n" + b"x" * 700 + b"\xc3\xa9" * 400_000)


def test_the_header_of_a_part_is_encoded() -> None:
    start = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n"
    after = convert(octets(
        f"{start}Content-Description: a é\nX: \t as it was\n"
        'Content-Disposition: attachment; filename="é.txt"\n\nplain\n--b--\n'
    ))  # fmt: skip
    assert after.isascii() and after.startswith(octets(start)) and after.endswith(octets("\n\nplain\n--b--\n"))
    assert b"\r\nX: \t as it was\r\n" in after
    part = list(email.message_from_bytes(after).walk())[1]
    assert str(make_header(decode_header(part["Content-Description"]))) == "a é"
    assert part.get_filename() == "é.txt"


UNCHANGED = [
    (b"Subject: s\r\n\r\nplain\r\n", False),
    ("Subject: s\r\n\r\né\r\n".encode(), True),
    ("Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\né\r\n--b--\r\n".encode(), True),
    (b"Content-Transfer-Encoding: 8bit\r\n\r\nplain\r\n", False),
]


@pytest.mark.parametrize(("raw", "eight_bit_ok"), UNCHANGED)
def test_what_the_server_can_take_is_given_back_as_it_is(raw: bytes, eight_bit_ok: bool) -> None:
    fields, body = read(raw)
    done, same = reencode(fields, body, eight_bit_ok=eight_bit_ok, new_writer=BodyWriter)
    assert done is fields and same is body


def test_where_the_server_takes_8_bit_text_only_nul_and_long_lines_are_encoded() -> None:
    raw = octets(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\nprä\n"
        "--b\nX: é\n\né\n--b\nContent-Type: text/plain\n\né@@\n--b\nContent-Type: text/plain\n\n~\n--b--\n"
    )
    after = convert(raw, eight_bit_ok=True)
    assert after.startswith(raw[: raw.index(b"x" * 10) - 6])
    assert after.count(b"quoted-printable") == after.count(b"base64") == 1


REFUSED = {
    "signed text": ("Content-Type: multipart/signed; boundary=b\n\n--b\n\né\n--b--\n", "signed part"),
    "a header of a signed part": (
        "Content-Type: multipart/signed; boundary=b\n\n--b\nSubject: é\n\nx\n--b--\n", "signed part"
    ),
    "a long line in a signed part": ("Content-Type: multipart/signed; boundary=b\n\n--b\n\n@@\n--b--\n", "over 998"),
    "S/MIME": ("Content-Type: application/pkcs7-mime\n\né\n", "signed or encrypted"),
    "a piece of a message": ("Content-Type: message/partial; id=x; number=1\n\né\n", "message/partial"),
    "a body elsewhere": ("Content-Type: message/external-body; access-type=x\n\né\n", "message/external-body"),
    "a delivery status": ("Content-Type: message/delivery-status\n\né\n", "message/delivery-status"),
    "a message that is encoded, or not": (
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nX: y\n\né\n", "message/rfc822"
    ),
    "base64 that is none": ("Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nQUJD\né\n", "base64"),
    "base64 with a NUL": ("Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nQUJD~\n", "base64"),
    "an encoding of one's own": ("Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\né\n", "reader"),
    "an encoding and more": ("Content-Transfer-Encoding: base64 8bit\n\né\n", "reader"),
    "two encodings": (
        "Content-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: base64\n\né\n", "two different"
    ),
    "two encodings the other way round": (
        "Content-Transfer-Encoding: quoted-printable\nContent-Transfer-Encoding: 8bit\n\né\n", "two different"
    ),
    "two structures": ("Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=b\n\né\n", "two different"),
    "an empty boundary": ('Content-Type: multipart/mixed; boundary=""\n\n--\n\né\n----\n', "boundary"),
    "an unquoted boundary": ("Content-Type: multipart/mixed; boundary=a b\n\n--a\n\né\n--a--\n", "boundary"),
    "NUL in the header of a part": ("Content-Type: multipart/mixed; boundary=b\n\n--b\nX: ~\n\né\n--b--\n", "NUL"),
    "an mbox line that is not ASCII": ("Content-Type: message/rfc822\n\nFrom é\nSubject: s\n\nx\n", "no field"),
    "a boundary that is not ASCII": (
        'Content-Type: multipart/mixed; boundary="é"\n\n--é\n\né\n--é--\n', "malformed"
    ),
    "an address in a part that is not ASCII": ("Content-Type: message/rfc822\n\nTo: é@example.org\n\nx\n", "not ASCII"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_encoded_without_loss_is_refused_with_a_reason(raw: str, reason: str) -> None:
    with pytest.raises(errors.DataError, match=reason) as failure:
        convert(octets(raw))
    assert "\n" not in str(failure.value)


def test_a_long_line_in_base64_is_broken_though_8_bit_octets_stand_beside_it_where_they_may() -> None:
    raw = octets("Content-Type: x/y\nContent-Transfer-Encoding: base64\n\n" + "QUJD" * 300 + "\n--\né\n")
    assert convert(raw, eight_bit_ok=True).endswith(octets("QUJD\n--\né\n"))


def test_messages_for_mailboxes_that_are_not_ascii_may_be_encoded_whole() -> None:
    raw = octets("MIME-Version: 1.0\nContent-Type: message/global\n\nTo: é@example.org\n\né\n")
    after = convert(raw)
    assert b"Content-Transfer-Encoding: quoted-printable\r\n\r\nTo: =C3=A9@example.org\r\n\r\n=C3=A9\r\n" in after


def test_a_long_line_in_the_header_of_a_part_is_folded() -> None:
    words = "word " * 300
    after = convert(octets(f"Content-Type: multipart/mixed; boundary=b\n\n--b\nX-Words: {words}\n\nx\n--b--\n"))
    assert max(map(len, after.split(b"\r\n"))) <= 998
    assert after.replace(b"\r\n ", b" ").count(b"word") == 300


def seen(raw: bytes) -> list[tuple[str, str, bytes]]:
    """Tell what a reader sees: type, file name and decoded octets of each leaf, in order."""
    found = []
    for part in email.message_from_bytes(raw).walk():
        if not part.is_multipart():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found.append((part.get_content_type(), str(part.get_filename()), content))
    return found


def is_sendable(raw: bytes, eight_bit_ok: bool) -> bool:
    body = read(raw)[1]
    rest = raw.replace(b"\r\n", b"")
    return not (body.nul or body.long_line or (body.eight_bit and not eight_bit_ok) or b"\r" in rest or b"\n" in rest)


TYPES = [
    b"", b"Content-Type: text/plain; charset=utf-8\n", b"Content-Type: TEXT/html\n", b"Content-Type: image/png\n",
    b"Content-Type: application/json (x)\nX: y\n z\n", b"Content-Disposition: attachment; filename=x\n",
]  # fmt: skip
lines = st.one_of(
    st.sampled_from([b"", b".", b"plain text", b"caf\xc3\xa9", b"\xff\xfe", b"a\0b", b"x" * 998, b"y" * 999, b" "]),
    st.sampled_from([b"--", b"-- ", b"--b9", b"--b0x", b"Content-Type: text/html", b"x" * 76, b"y" * 75 + b" "]),
    st.sampled_from([b"x" * 75 + b"--b0", b"x" * 73 + b"--b1--", b"x" * 74 + b"--b2 " + b"x" * 900 + b"\xe4"]),
    st.binary(max_size=8).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"")),
)
texts = st.lists(lines, max_size=6).map(b"\n".join)
Node = tuple[str, bytes, object]
leaf_nodes = st.tuples(st.sampled_from(["", "8bit", "binary", "7bit", "q", "b"]), st.sampled_from(TYPES), texts)
nodes = st.recursive(
    leaf_nodes,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["mixed", "alternative"]), texts, st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("message"), st.sampled_from([b"", b"Subject: in\n"]), inner),
    ),
    max_leaves=6,
)


def render(node: Node, depth: int = 0) -> bytes:
    """Write a part, LF line ends, the last line left open."""
    kind, text, content = node
    if isinstance(content, bytes):
        encoding = {"q": b"quoted-printable", "b": b"base64"}.get(kind, kind.encode())
        label = b"Content-Transfer-Encoding: %b\n" % encoding if encoding else b""
        if kind == "b":
            content = base64.encodebytes(content)
        elif kind == "q":
            content = quopri.encodestring(content).replace(b"=\n--", b"=\n=2D-")
        return text + label + b"\n" + content
    if isinstance(content, list):
        boundary = b"b%d" % depth
        parts = [b"\n--%b\n%b" % (boundary, render(part, depth + 1)) for part in content]
        close = b"\n--%b--\n%b" % (boundary, text)
        head = b"Content-Type: multipart/%b; boundary=%b\nContent-Transfer-Encoding: 8bit\n\n"
        return head % (kind.encode(), boundary) + text + b"".join(parts) + close
    assert isinstance(content, tuple)
    return b"Content-Type: message/rfc822\n\n" + text + render(content, depth)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(nodes, st.booleans())
def test_every_part_decodes_to_the_same_octets_as_before(node: Node, eight_bit_ok: bool) -> None:
    fields, body = read(b"Subject: s\nMIME-Version: 1.0\n" + render(node) + b"\n")
    before = as_octets(fields, body)
    after = as_octets(*reencode(fields, body, eight_bit_ok=eight_bit_ok, new_writer=BodyWriter))
    assert seen(after) == seen(before)
    assert is_sendable(after, eight_bit_ok)


pieces = st.sampled_from([
    b"\n", b"\n", b"--", b"--b", b"--bc", b"--b--", b"\xc3\xa9", b"-", b" ", b"x", b"=", b"\n\n", b"\n--b\n", b"\0",
    b"\n--b\nContent-Type: multipart/mixed; boundary=", b"bc\n\n", b"\n--bc\n\n", b"\n--bc--\n", b"y" * 990, b"y" * 70,
    b"Content-Type: message/rfc822\n\n", b"Content-Type: multipart/digest; boundary=c\n", b"--c\n", b"\n\n\xff\n",
    b"Content-Transfer-Encoding: quoted-printable\n", b"Content-Transfer-Encoding: base64\n", b"Subject: s\n",
    b"Content-Transfer-Encoding: 8bit\n", b"Content-Type: text/html\n", b" folded\n", b"Content-Type: image/png\n",
])  # fmt: skip
soup = st.lists(pieces, max_size=40).map(b"".join)


# Where the email package is alone: it takes a close delimiter right after another delimiter for no end, a name of any
# length for a field's, and an encoding in a folded field for none.
ODD = re.compile(rb"^--\w+(--)?[ \t]*\n--\w*--|[!-9;-~]{998}.*:|Encoding: .*\n[ \t]", re.MULTILINE)


def outline(raw: bytes) -> list[tuple[str, bytes]]:
    """Forget empty leaves and last line ends: the email package drops some, and adds some to broken multiparts."""
    return [(media, text.rstrip(b"\r\n")) for media, _, text in seen(raw) if text.rstrip(b"\r\n")]


@settings(max_examples=300, derandomize=True)
@given(soup.filter(lambda text: not ODD.search(text)), st.booleans())
def test_no_soup_of_mime_changes_for_the_reader(text: bytes, eight_bit_ok: bool) -> None:
    fields, body = read(b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n" + text + b"\n")
    before = as_octets(fields, body)
    try:
        after = as_octets(*reencode(fields, body, eight_bit_ok=eight_bit_ok, new_writer=BodyWriter))
    except errors.DataError:
        return
    assert is_sendable(after, eight_bit_ok)
    assert outline(after) == outline(before)
