"""8-bit header text as encoded words: tables of bytes, and losslessness under Python's own decoder."""

import email
import email.policy
from email.header import decode_header
from email.headerregistry import AddressHeader
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pysendmail.errors import DataError
from pysendmail.message.address import parse
from pysendmail.message.header import Field
from pysendmail.message.sender import canonical
from pysendmail.message.words import encode_field, encode_phrase, header_charset


def field(raw: bytes | str) -> Field:
    octets = raw.encode() if isinstance(raw, str) else raw
    return Field(octets.partition(b":")[0].strip().lower(), octets + b"\r\n")


def encoded(raw: bytes | str, charset: str = "unknown-8bit") -> bytes:
    return encode_field(field(raw), charset).raw[:-2]


def decoded(raw: bytes) -> bytes:
    """Give the octets that a reader sees in the field's value, charsets left aside."""
    value = raw.partition(b":")[2].replace(b"\r\n", b"").decode("ascii")
    return b"".join([part.encode("ascii") if isinstance(part, str) else part for part, _ in decode_header(value)])


def parsed(raw: bytes) -> Any:
    """Let Python's parser of whole messages read the field."""
    return email.message_from_bytes(raw + b"\r\n\r\n", policy=email.policy.default)[raw.partition(b":")[0].decode()]


UNSTRUCTURED = [
    ("Subject: Grüße aus Köln", b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= aus =?utf-8?q?K=C3=B6ln?="),
    ("Subject: é ü", b"Subject: =?utf-8?q?=C3=A9_=C3=BC?="),
    ("Subject: é  ü", b"Subject: =?utf-8?q?=C3=A9__=C3=BC?="),
    ("Subject:é", b"Subject:=?utf-8?q?=C3=A9?="),
    ("Subject: é ", b"Subject: =?utf-8?q?=C3=A9?="),
    ("Subject: a  (ü),  b", b"Subject: a  =?utf-8?q?=28=C3=BC=29=2C?=  b"),
    ("Subject: é\r\n\tü", b"Subject: =?utf-8?q?=C3=A9=09=C3=BC?="),
    ("Subject: a\r\n\té\r\n b", b"Subject: a\r\n\t=?utf-8?q?=C3=A9?=\r\n b"),
    ("Subject : é", b"Subject : =?utf-8?q?=C3=A9?="),
    ("Subject: привет", b"Subject: =?utf-8?b?0L/RgNC40LLQtdGC?="),
    ("X-Odd_Name: é", b"X-Odd_Name: =?utf-8?q?=C3=A9?="),
    # blanks at encoded words that were there are kept inside ours
    ("Subject: =?utf-8?q?x?= é", b"Subject: =?utf-8?q?x?= =?utf-8?q?_=C3=A9?="),
    ("Subject: é =?utf-8?q?x?=", b"Subject: =?utf-8?q?=C3=A9_?= =?utf-8?q?x?="),
    ("Subject: é =?utf-8?q?x?= ü", b"Subject: =?utf-8?q?=C3=A9_?= =?utf-8?q?x?= =?utf-8?q?_=C3=BC?="),
    ("Subject: =?x é", b"Subject: =?x =?utf-8?q?=C3=A9?="),
]


@pytest.mark.parametrize(("raw", "expected"), UNSTRUCTURED)
def test_words_of_a_text_that_are_not_ascii_become_encoded_words(raw: str, expected: bytes) -> None:
    assert encoded(raw) == expected


def test_a_field_in_ascii_is_left_alone() -> None:
    given_field = field(b"Subject: =?broken \x01 text" + b" x" * 500)
    assert encode_field(given_field, "utf-8") is given_field


def test_text_that_is_not_utf_8_bears_the_charset_of_the_message() -> None:
    assert encoded(b"Subject: K\xf6ln", "iso-8859-15") == b"Subject: =?iso-8859-15?q?K=F6ln?="
    assert encoded("Subject: 日本".encode("euc-jp"), "euc-jp") == b"Subject: =?euc-jp?q?=C6=FC=CB=DC?="


@pytest.mark.parametrize(
    "charset",
    [
        "",
        "unknown-8bit",
        "us-ascii",
        "x-none",
        "utf-8",
        "utf-16",
        "cp037",
        "unicode_escape",
        "raw_unicode_escape",
        "idna",
        "punycode",
        "rot13",
        "hex",
        "utf-7",
        "charmap",
        "mbcs",
        "latin-1\r\nBcc: x",
        "ü",
        "a b",
        "euc-jp",
        "x" * 200,
    ],
)
def test_without_a_usable_charset_text_that_is_not_utf_8_is_unknown_8bit(charset: str) -> None:
    assert encoded(b"Subject: K\xf6ln", charset) == b"Subject: =?unknown-8bit?q?K=F6ln?="


def test_where_the_charset_is_unknown_a_text_that_is_utf_8_is_still_utf_8() -> None:
    assert encoded("Subject: ü a ".encode() + b"\xff") == b"Subject: =?utf-8?q?=C3=BC?= a =?unknown-8bit?q?=FF?="


def test_a_long_text_is_folded_into_words_of_75_and_lines_of_76_characters() -> None:
    text = "日本語のとても長い件名です" * 20
    raw = encoded("Subject: " + text)
    lines = raw.split(b"\r\n")
    assert len(lines) > 5
    assert max(map(len, lines)) <= 76
    for line in lines[1:]:
        assert line.startswith(b" =?utf-8?b?") and line.endswith(b"?=") and line.count(b"=?") == 1 and len(line) <= 76
    assert str(parsed(raw)) == text


@pytest.mark.parametrize("size", range(60, 100, 3))
def test_what_follows_a_long_text_keeps_the_lines_short(size: int) -> None:
    raw = encoded("Subject: " + "ü" * size + " plain" * 30 + " ü plain" * 10)
    assert max(map(len, raw.split(b"\r\n"))) <= 76
    assert b"?= plain" in raw


def test_comments_stand_whole_in_short_lines() -> None:
    raw = encoded("To: " + ", ".join([f"user{'x' * (i % 17)}@x.org (Größe Ä {i} ü)" for i in range(100)]))
    assert max(map(len, raw.split(b"\r\n"))) <= 76
    assert b"(\r\n" not in raw
    assert raw.count(b"(=?utf-8?q?Gr=C3=B6=C3=9Fe_=C3=84?=") == 100


def test_a_text_that_fits_on_a_line_of_its_own_is_not_cut_in_two() -> None:
    assert encoded("To: someone.with.a.long.name@a.host.example.org, Jörg Müller-Lüdenscheidt <j@x>") == (
        b"To: someone.with.a.long.name@a.host.example.org,\r\n"
        b" =?utf-8?q?J=C3=B6rg_M=C3=BCller-L=C3=BCdenscheidt?= <j@x>"
    )


def test_each_encoded_word_decodes_for_itself() -> None:
    for text in ("ü" * 200, "日" * 200, "\U0001f600" * 100, "aü" * 100):
        words = encoded("Subject: " + text).split(b" ", 1)[1].split(b"\r\n ")
        assert "".join([decode_header(word.decode())[0][0].decode() for word in words]) == text


def test_a_long_name_of_a_field_leaves_the_words_on_the_next_line() -> None:
    name = b"X-" + b"a" * 60
    assert encoded(name + b": \xc3\xbc") == name + b":\r\n =?utf-8?q?=C3=BC?="


def test_a_long_plain_word_stays_in_the_line_of_the_name() -> None:
    assert encoded(b"X-Url: " + b"a" * 200 + b" \xc3\xbc") == b"X-Url: " + b"a" * 200 + b"\r\n =?utf-8?q?=C3=BC?="


TEXT = st.lists(
    st.sampled_from(
        [
            "a",
            "word",
            "é",
            "Grüße",
            "日本語",
            " ",
            "  ",
            "\t",
            "\r\n ",
            "_",
            "?",
            "=",
            '"',
            "(ü)",
            "\U0001f600",
            "x" * 90,
            "ü" * 60,
            ",",
        ]
    ),
    min_size=1,
    max_size=25,
).map("".join)


@given(TEXT | st.text(st.characters(codec="utf-8", min_codepoint=33, exclude_characters="\x7f"), min_size=1))
@example("x\r\n \r\n é")
@settings(max_examples=400, deadline=None)
def test_no_octet_of_a_text_is_lost(text: str) -> None:
    raw = encoded("Subject: " + text)
    assert raw.isascii()
    expected = text.replace("\r\n", "").strip(" \t")
    if "=?" not in text:
        assert decoded(raw).strip(b" \t").decode() == expected
    for line in raw.split(b"\r\n"):
        assert len(line) <= 76 or b"=?" not in line or max(map(len, text.split())) > 70


CHARSETS = ["iso-8859-1", "windows-1252", "koi8-r", "big5", "shift_jis", "gb18030", "euc-kr", "x"]


@given(st.binary(min_size=1, max_size=200), st.sampled_from(CHARSETS))
@settings(max_examples=300, deadline=None)
def test_no_octet_of_any_charset_is_lost(octets: bytes, charset: str) -> None:
    text = octets.translate(None, b"\r\n \t=")
    assert decoded(encoded(b"Subject: " + text, charset)).strip(b" ") == text


WIDE = ["shift_jis", "euc-jp", "gb18030", "big5-hkscs"]


@given(st.text("日本語ひらがな漢字", min_size=30, max_size=100), st.sampled_from(WIDE))
@settings(max_examples=50, deadline=None)
def test_no_character_of_a_charset_with_wide_characters_is_split(text: str, charset: str) -> None:
    try:
        octets = text.encode(charset)
    except UnicodeEncodeError:
        return
    raw = encoded(b"Subject: " + octets, charset)
    words = raw.split(b" ", 1)[1].split(b"\r\n ")
    if charset.encode() in words[0]:
        assert "".join([decode_header(word.decode())[0][0].decode(charset) for word in words]) == text


# Address fields.

ADDRESSES = [
    ("To: Jörg Müller <j@x>", b"To: =?utf-8?q?J=C3=B6rg_M=C3=BCller?= <j@x>"),
    ('To: "Müller, Jörg" <j@x>', b"To: =?utf-8?q?M=C3=BCller=2C_J=C3=B6rg?= <j@x>"),
    ('To: "M\\"ü" <j@x>', b"To: =?utf-8?q?M=22=C3=BC?= <j@x>"),
    ('To: "Doe, Jane" ü <j@x>', b'To: "Doe, Jane" =?utf-8?q?=C3=BC?= <j@x>'),
    ("To: Jörg Q. Doe <j@x>, a@b", b"To: =?utf-8?q?J=C3=B6rg?= Q. Doe <j@x>, a@b"),
    ("To: Jörg<j@x>", b"To: =?utf-8?q?J=C3=B6rg?= <j@x>"),
    ("To:Jörg <j@x>", b"To: =?utf-8?q?J=C3=B6rg?= <j@x>"),
    ("To: J.ö <j@x>", b"To: =?utf-8?q?J=2E=C3=B6?= <j@x>"),
    ('To: a"ö"b <j@x>', b"To: =?utf-8?q?a=C3=B6b?= <j@x>"),
    ("To: j@x (Jörg)", b"To: j@x (=?utf-8?q?J=C3=B6rg?=)"),
    ("To: j@x (a (ö b) \\(ü)", b"To: j@x (a (=?utf-8?q?=C3=B6?= b) =?utf-8?q?=28=C3=BC?=)"),
    ("To: j@x(ü ö)", b"To: j@x (=?utf-8?q?=C3=BC_=C3=B6?=)"),
    ("To: Freunde für immer: a@b, ö <c@d>;", b"To: Freunde =?utf-8?q?f=C3=BCr?= immer: a@b, =?utf-8?q?=C3=B6?= <c@d>;"),
    ("To: ö:a@b;", b"To: =?utf-8?q?=C3=B6?= :a@b;"),
    ("To: =?utf-8?q?x?= ö <a@b>", b"To: =?utf-8?q?x?= =?utf-8?q?_=C3=B6?= <a@b>"),
    ("To: (=?utf-8?q?x?= ö) a@b", b"To: (=?utf-8?q?x?= =?utf-8?q?_=C3=B6?=) a@b"),
    ("To: (ö =?utf-8?q?x?=) a@b", b"To: (=?utf-8?q?=C3=B6_?= =?utf-8?q?x?=) a@b"),
    ("To: ö (ü) é <a@b>", b"To: =?utf-8?q?=C3=B6?= (=?utf-8?q?=C3=BC?=) =?utf-8?q?=C3=A9?= <a@b>"),
    ("To: ö@x <a@b>", b"To: =?utf-8?q?=C3=B6=40x?= <a@b>"),
    # domains
    ("To: Jane <j@müller.example>", b"To: Jane <j@xn--mller-kva.example>"),
    ("To: j @ müller . example (x)", b"To: j @ xn--mller-kva . example (x)"),
    ("To: <@ü.de:j@ö.de>", b"To: <@xn--tda.de:j@xn--nda.de>"),
    ("To: j (ö) @x", b"To: j (=?utf-8?q?=C3=B6?=) @x"),
    # what is no address stays none
    ('From: "Jörg <j@x>, c@d', b"From: =?utf-8?q?=22J=C3=B6rg_=3Cj=40x=3E=2C_c=40d?="),
    ("To: jörg@x@y, b@c", b"To: =?utf-8?q?j=C3=B6rg=40x=40y?= , b@c"),
    ("To: b@c@d, ö <x@y>", b"To: b@c@d, =?utf-8?q?=C3=B6?= <x@y>"),
    ("To: Jörg Müller", b"To: =?utf-8?q?J=C3=B6rg_M=C3=BCller?="),
]


@pytest.mark.parametrize(("raw", "expected"), ADDRESSES)
def test_names_and_comments_of_addresses_become_encoded_words(raw: str, expected: bytes) -> None:
    assert encoded(raw) == expected


@pytest.mark.parametrize(
    "raw", ["To: jörg@x", "To: <jörg@x>", 'Cc: "ö"@x', "From: Jörg <jörg@x>", "To: a@b, ö.b@c", "To: <@x:ö@y>", "To: ö"]
)
def test_a_local_part_that_is_not_ascii_cannot_be_encoded(raw: str) -> None:
    with pytest.raises(DataError, match="local part"):
        encoded(raw)


def test_a_domain_without_a_labels_cannot_be_encoded() -> None:
    with pytest.raises(DataError, match=r"the to field: bad domain"):
        encoded("To: a@-ü-.de")


def test_other_charsets_name_the_words_of_addresses_too() -> None:
    assert encoded(b"To: J\xf6rg <j@x>", "iso-8859-1") == b"To: =?iso-8859-1?q?J=F6rg?= <j@x>"


CONTROLS = "\x7f" + "".join(map(chr, range(0x80, 0xA0)))
NAMES = st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters=CONTROLS), min_size=1, max_size=60)


@given(st.lists(NAMES.filter(lambda name: name.strip() == name and "=?" not in name), min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_names_in_quotes_are_shown_as_they_were_and_addresses_stay(names: list[str]) -> None:
    quoted = [name.replace("\\", "\\\\").replace('"', '\\"') for name in names]
    raw = encoded("To: " + ",\r\n ".join([f'"{name}" <u{i}@x.org>' for i, name in enumerate(quoted)]))
    assert raw.isascii()
    found = parse(raw.partition(b":")[2])
    assert [mailbox.address for mailbox in found.mailboxes] == [b"u%d@x.org" % i for i in range(len(names))]
    assert found.errors == []
    starts = [0] + [mailbox.end + 2 for mailbox in found.mailboxes]
    for name, start, mailbox in zip(names, starts, found.mailboxes, strict=False):
        if not name.isascii():
            phrase = raw.partition(b":")[2][start : mailbox.start - 1]
            assert decoded(b"x:" + phrase.strip()).strip(b" ").decode() == name


def test_python_reads_the_encoded_addresses() -> None:
    header = parsed(encoded('To: Jörg Müller <j@x.org>, "Größe, Ä" <k@x.org>, Ö: (ü) l@x.org;'))
    assert isinstance(header, AddressHeader)
    assert [(address.display_name, address.addr_spec) for address in header.addresses] == [
        ("Jörg Müller", "j@x.org"),
        ("Größe, Ä", "k@x.org"),
        ("", "l@x.org"),
    ]
    assert header.groups[-1].display_name == "Ö"


def test_ten_thousand_addresses_are_encoded_and_folded() -> None:
    raw = encoded("To: " + ", ".join([f"Jörg {i} <u{i}@x.org>" for i in range(10_000)]))
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert len(parse(raw[3:]).mailboxes) == 10_000


# Other structured fields.

STRUCTURED = [
    ("Keywords: a, ü ö, b", b"Keywords: a, =?utf-8?q?=C3=BC_=C3=B6?= , b"),
    ("In-Reply-To: vom März <a@b>", b"In-Reply-To: vom =?utf-8?q?M=C3=A4rz?= <a@b>"),
    ("List-Id: Größe <a.b>", b"List-Id: =?utf-8?q?Gr=C3=B6=C3=9Fe?= <a.b>"),
    ("Received: from x (hélo [1.2.3.4]) by y; Mon", b"Received: from x (=?utf-8?q?h=C3=A9lo?= [1.2.3.4]) by y; Mon"),
    (
        "Date: Mon, 1 Jan 2024 00:00:00 +0000 (Zürich)",
        b"Date: Mon, 1 Jan 2024 00:00:00 +0000 (=?utf-8?q?Z=C3=BCrich?=)",
    ),
    ("List-Unsubscribe: <https://x/ü?a=(b>, <mailto:a@b>", b"List-Unsubscribe: <https://x/%C3%BC?a=(b>, <mailto:a@b>"),
    ("List-Post: NO (für Gäste)", b"List-Post: NO (=?utf-8?q?f=C3=BCr_G=C3=A4ste?=)"),
    ("List-Help: <https://x/ü", b"List-Help: <https://x/%C3%BC"),
]


@pytest.mark.parametrize(("raw", "expected"), STRUCTURED)
def test_phrases_and_comments_of_other_fields_are_encoded_where_they_stand(raw: str, expected: bytes) -> None:
    assert encoded(raw) == expected


@pytest.mark.parametrize(
    "raw", ["Message-ID: <ü@x>", "References: <a@b> <ü@x>", "In-Reply-To: <ü@x", "Content-ID: <ü>", "List-Id: x <ü.x>"]
)
def test_an_identifier_that_is_not_ascii_cannot_be_encoded(raw: str) -> None:
    with pytest.raises(DataError, match="identifier that is not ASCII"):
        encoded(raw)


KINDS = ["To", "Keywords", "References", "List-Post", "Received", "Content-Type", "Content-Disposition", "Subject"]
SHARDS = [*"üa@<>()\"\\,;:. []=*'%", "\r\n ", "=?utf-8?q?x?=", "x@y", "name"]


@given(st.sampled_from(KINDS), st.lists(st.sampled_from(SHARDS), max_size=16).map("".join))
@settings(max_examples=600, deadline=None)
def test_every_field_is_encoded_or_refused_and_keeps_its_addresses(name: str, text: str) -> None:
    try:
        raw = encoded(name + ":" + text)
    except DataError:
        return
    assert raw.isascii()
    assert raw.startswith(name.encode() + b":")
    assert all(line[:1] in (b" ", b"\t") for line in raw.split(b"\r\n")[1:])
    if name == "To":
        before, after = parse(text.encode()), parse(raw[3:])
        assert [mailbox.address for mailbox in after.mailboxes] == [canonical(mailbox, b"") for mailbox in before.mailboxes]


# Names for fields that we write ourselves.

PHRASES = [
    (b"", b""),
    (b"CronDaemon", b"CronDaemon"),
    (b"Jane Doe", b"Jane Doe"),
    (b" Jane Doe ", b"Jane Doe"),
    (b"Jane  Doe", b'"Jane  Doe"'),
    (b"Jane\tDoe", b'"Jane\tDoe"'),
    (b"John Q. Public", b'"John Q. Public"'),
    (b"Doe, Jane", b'"Doe, Jane"'),
    (b'The "Boss" \\', b'"The \\"Boss\\" \\\\"'),
    (b"a@b", b'"a@b"'),
    (b"x (y)", b'"x (y)"'),
    ("Jörg M.".encode(), b"=?utf-8?q?J=C3=B6rg_M=2E?="),
    (b"J\xf6rg", b"=?iso-8859-1?q?J=F6rg?="),
    (b"=?utf-8?q?J=C3=B6rg?=", b"=?utf-8?q?J=C3=B6rg?="),
    (b"=?utf-8?q?J=C3=B6rg?= Q. Doe", b'=?utf-8?q?J=C3=B6rg?= "Q." Doe'),
]


@pytest.mark.parametrize(("text", "expected"), PHRASES)
def test_a_name_becomes_a_phrase(text: bytes, expected: bytes) -> None:
    assert encode_phrase(text, "iso-8859-1") == expected


@pytest.mark.parametrize(
    "text", [b"a\r\nBcc: x", b"a\r\n b", b"a\nb", b"a\rb", b"a\x00b", b"\x1b[1m", b"\x7f", "ü\r\n x".encode()]
)
def test_a_name_with_a_control_character_is_refused(text: bytes) -> None:
    with pytest.raises(DataError, match="control character"):
        encode_phrase(text, "utf-8")


@given(NAMES)
@settings(max_examples=300, deadline=None)
def test_a_phrase_before_an_address_is_read_as_one_name(name: str) -> None:
    phrase = encode_phrase(name.encode(), "utf-8")
    assert phrase.isascii()
    found = parse(phrase + b" <a@b>")
    assert [mailbox.address for mailbox in found.mailboxes] == [b"a@b"]
    assert not found.errors and not found.warnings
    if not name.isascii():
        assert decoded(b"x:" + phrase).decode() == name.strip(" \t")


def test_a_long_name_becomes_several_words_on_one_line() -> None:
    phrase = encode_phrase(("Größe " * 30).encode(), "utf-8")
    assert b"\r\n" not in phrase
    assert max(map(len, phrase.split(b" "))) <= 75
    assert decoded(b"x:" + phrase).decode() == ("Größe " * 30).strip()


# The charset of the message.


@pytest.mark.parametrize(
    ("raws", "charset"),
    [
        ([], "unknown-8bit"),
        ([b"Subject: x"], "unknown-8bit"),
        ([b"Content-Type: text/plain"], "unknown-8bit"),
        ([b"Content-Type: text/plain; charset=ISO-8859-1"], "iso-8859-1"),
        ([b"Subject: x", b'CONTENT-TYPE: text/plain; format=flowed;\r\n charset="koi8-r"'], "koi8-r"),
        ([b"Content-Type: text/plain; charset=\xff"], "\ufffd"),
        ([b"Content-Type: text/plain; charset=a", b"Content-Type: text/plain; charset=b"], "a"),
    ],
)
def test_the_charset_is_that_of_the_first_content_type(raws: list[bytes], charset: str) -> None:
    assert header_charset([field(raw) for raw in raws]) == charset
