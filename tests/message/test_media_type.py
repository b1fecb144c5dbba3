"""Content-Type and Content-Transfer-Encoding as they are written, rightly and wrongly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.message.media_type import parse_content_type, parse_encoding

BOUNDARIES = [
    (b"multipart/mixed; boundary=abc", b"abc"),
    (b'multipart/mixed; boundary="abc"', b"abc"),
    (b'multipart/mixed;boundary="a b"', b"a b"),
    (b'MULTIPART/Mixed ; charset=utf-8; BOUNDARY = "a;b"', b"a;b"),
    (b'multipart/mixed; boundary="a\\"b\\\\c"', b'a"b\\c'),
    (b"multipart/mixed; boundary=----=_Part_1.2?x/y:z", b"----=_Part_1.2?x/y:z"),
    (b"multipart/mixed (a; boundary=no); boundary=yes (b)", b"yes"),
    (b"multipart/mixed (((deep) (er \\) ;)));\tboundary=yes", b"yes"),
    (b'multipart/mixed; boundary="(no comment)"', b"(no comment)"),
    (b'multipart/mixed (say "a); boundary=yes', b"yes"),
    (b"multipart/mixed; boundary=a(b", b"a(b"),
    (b"multipart/mixed; boundary=a; boundary=b", b"a"),
    (b"multipart/mixed; ; boundary=a;", b"a"),
    (b'multipart/mixed; boundary="abc', b"abc"),
    (b'multipart/mixed; boundary="abc" junk; x=y', b"abc"),
    (b"multipart/mixed; boundary=abc charset=x", b""),
    (b"multipart/mixed; boundary=abc (x)", b"abc"),
    (b'multipart/mixed; boundary*0="ab;"; boundary*1=cd', b"ab;cd"),
    (b"multipart/mixed; boundary*1=cd; boundary*0=ab; boundary*3=no", b"abcd"),
    (b"multipart/mixed; boundary*=us-ascii'en'a%20b%2", b"a b%2"),
    (b"multipart/mixed; boundary*0*=us-ascii''a%3D; boundary*1=%20; boundary*2*=%20", b"a=%20 "),
    (b"multipart/mixed; boundary*0*=us-ascii''a; boundary*1*=b'c'd", b"ab'c'd"),
    (b"multipart/mixed; boundary*=x''long; boundary=short", b"short"),
    (b"multipart/mixed; boundary=", b""),
    (b"multipart/mixed; boundary", b""),
    (b"multipart/mixed", b""),
]


@pytest.mark.parametrize(("value", "boundary"), BOUNDARIES)
def test_the_boundary_is_found_however_it_is_written(value: bytes, boundary: bytes) -> None:
    media, parameters = parse_content_type(value)
    assert media == b"multipart/mixed"
    assert parameters.get(b"boundary", b"") == boundary


MEDIA = [
    (b"text/plain", b"text/plain"),
    (b"Text/HTML; charset=x", b"text/html"),
    (b"(c) text/plain (d)", b"text/plain"),
    (b"text", b""),
    (b"text/", b""),
    (b"/plain", b""),
    (b"text/plain/x", b""),
    (b"text /plain", b""),
    (b'"text/plain"', b""),
    (b"text/pl\xe4in", b""),
    (b"", b""),
    (b";", b""),
]


@pytest.mark.parametrize(("value", "media"), MEDIA)
def test_a_malformed_type_is_no_type(value: bytes, media: bytes) -> None:
    assert parse_content_type(value)[0] == media


ENCODINGS = [
    (b"8bit", b"8bit"),
    (b"Quoted-Printable", b"quoted-printable"),
    (b"BASE64 (really)", b"base64"),
    (b'"7bit"', b"7bit"),
    (b"base64\t 8bit", b"base64 8bit"),
    (b"8bit;", b"8bit"),
    (b"", b""),
]


@pytest.mark.parametrize(("value", "word"), ENCODINGS)
def test_the_encoding_is_a_word_in_lower_case(value: bytes, word: bytes) -> None:
    assert parse_encoding(value) == word


@given(st.text(alphabet="ab/;=\"\\()*'%01 \t\xe4").map(str.encode))
def test_no_value_is_too_odd_to_be_read(value: bytes) -> None:
    media, parameters = parse_content_type(value)
    assert media == b"" or media.count(b"/") == 1
    assert all(b"*" not in name for name in parameters)
    parse_encoding(value)


@pytest.mark.parametrize("odd", [b"(" * 300_000, b'"' * 300_000, b";" * 300_000, b"a*1;" * 80_000, b"%" * 300_000])
def test_long_nonsense_is_read_in_linear_time(odd: bytes) -> None:
    assert parse_content_type(b"text/plain; x*0*=" + odd)[0] in (b"text/plain", b"")
