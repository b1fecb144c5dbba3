"""8-bit parameters of MIME fields."""

import email
import email.policy
from email.utils import collapse_rfc2231_value

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysendmail.errors import DataError
from pysendmail.message.header import Field
from pysendmail.message.media_type import parse_content_type
from pysendmail.message.words import encode_field


def encoded(raw: bytes | str, charset: str = "unknown-8bit") -> bytes:
    octets = raw.encode() if isinstance(raw, str) else raw
    return encode_field(Field(octets.partition(b":")[0].lower(), octets + b"\r\n"), charset).raw[:-2]


TABLE = [
    (
        'Content-Type: text/plain; name="ü.txt"; charset=utf-8',
        b"Content-Type: text/plain; name*=utf-8''%C3%BC.txt; charset=utf-8",
    ),
    (
        "Content-Disposition: attachment; filename=ü.txt",
        b"Content-Disposition: attachment; filename*=utf-8''%C3%BC.txt",
    ),
    (
        "Content-Disposition: attachment; filename=ü b.txt; size=3",
        b"Content-Disposition: attachment; filename*=utf-8''%C3%BC%20b.txt; size=3",
    ),
    (
        'Content-Disposition: attachment;filename="a\\"ü;\\\\=*\'%"',
        b"Content-Disposition: attachment; filename*=utf-8''a%22%C3%BC%3B%5C%3D%2A%27%25",
    ),
    (
        'Content-Disposition: attachment;\r\n\tFileName = "ü"',
        b"Content-Disposition: attachment; FileName*=utf-8''%C3%BC",
    ),
    # 8-bit text in comments only
    (
        "Content-Type: text/plain (Größe); charset=utf-8",
        b"Content-Type: text/plain (=?utf-8?q?Gr=C3=B6=C3=9Fe?=); charset=utf-8",
    ),
    ("Content-Type: text/plain; (ö) name=ü", b"Content-Type: text/plain; (=?utf-8?q?=C3=B6?=) name*=utf-8''%C3%BC"),
    # percent signs that are there stay
    ("Content-Disposition: a; filename*=utf-8''%C3%A4ü", b"Content-Disposition: a; filename*=utf-8''%C3%A4%C3%BC"),
    (
        "Content-Disposition: a; filename*0*=utf-8''ü; filename*1*=ö",
        b"Content-Disposition: a; filename*0*=utf-8''%C3%BC; filename*1*=%C3%B6",
    ),
    # the proper form stands beside it
    (
        "Content-Disposition: a; filename=\"ü\"; filename*=utf-8''%C3%BC",
        b"Content-Disposition: a; filename=\"=?utf-8?q?=C3=BC?=\"; filename*=utf-8''%C3%BC",
    ),
    (
        "Content-Disposition: a; filename=ü; filename*0*=utf-8''%C3%BC; filename*1=x",
        b"Content-Disposition: a; filename=\"=?utf-8?q?=C3=BC?=\"; filename*0*=utf-8''%C3%BC; filename*1=x",
    ),
    (
        "Content-Disposition: a; filename=ü; filename*0=u",
        b'Content-Disposition: a; filename="=?utf-8?q?=C3=BC?="; filename*0=u',
    ),
    ('Content-Disposition: a; filename="ü";;', b"Content-Disposition: a; filename*=utf-8''%C3%BC;;"),
]


@pytest.mark.parametrize(("raw", "expected"), TABLE)
def test_a_parameter_that_is_not_ascii_is_encoded(raw: str, expected: bytes) -> None:
    assert encoded(raw).replace(b"\r\n", b"") == expected.replace(b"\r\n", b"")


def test_a_parameter_in_the_charset_of_the_message_bears_its_name() -> None:
    assert encoded(b"Content-Type: a/b; name=\xfc", "iso-8859-1") == b"Content-Type: a/b; name*=iso-8859-1''%FC"
    assert encoded(b"Content-Type: a/b; name=\xfc") == b"Content-Type: a/b; name*=unknown-8bit''%FC"


@pytest.mark.parametrize(
    "raw",
    [
        "Content-Type: multipart/mixed; boundary=ü",
        'Content-Type: multipart/mixed; Boundary="ü"',
        "Content-Type: text/plain; charset=ü",
        "Content-Type: multipart/signed; protocol=ü",
        "Content-Type: multipart/mixed; boundary*=utf-8''ü",
        "Content-Type: text/plain; name*0=ü",
        "Content-Type: tüxt/plain",
        "Content-Disposition: ü; a=b",
        "Content-Type: text/plain; nüme=x",
        "Content-Type: text/plain; ü",
        'Content-Type: text/plain; name="ü',
        'Content-Type: text/plain; name="ü"x',
        'Content-Type: text/plain; name=ü"x"',
        "Content-Type: text/plain; name=ü\\x",
        "Content-Type: text/plain; =ü",
        "Content-Type: text/plain; name=(ü",
    ],
)
def test_what_cannot_be_encoded_safely_is_refused(raw: str) -> None:
    with pytest.raises(DataError, match=r"8-bit text in the content-(type|disposition) field"):
        encoded(raw)


def test_a_long_value_is_continued_over_lines_of_76() -> None:
    value = "日本語のとても長い名前です" * 8 + ".pdf"
    raw = encoded(f'Content-Disposition: attachment; filename="{value}"; size=1')
    assert max(map(len, raw.split(b"\r\n"))) <= 76
    assert b"filename*0*=utf-8''%E6" in raw and b"filename*1*=%" in raw
    message = email.message_from_bytes(raw + b"\r\n\r\n", policy=email.policy.default)
    assert message.get_filename() == value
    assert message["content-disposition"].params["size"] == "1"


CONTROLS = "\x7f" + "".join(map(chr, range(0x80, 0xA0)))
NAMES = st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters=CONTROLS), min_size=1, max_size=80)


@given(NAMES)
@settings(max_examples=200, deadline=None)
def test_readers_get_the_value_back(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    raw = encoded(f'Content-Type: text/plain; name="{quoted}"; charset=utf-8')
    assert raw.isascii()
    assert parse_content_type(raw.partition(b":")[2].replace(b"\r\n", b""))[1] == {
        b"name": name.encode(),
        b"charset": b"utf-8",
    }
    if not name.isascii():
        read = email.message_from_bytes(raw + b"\r\n\r\n").get_param("name")
        assert isinstance(read, tuple)
        assert collapse_rfc2231_value(read) == name
