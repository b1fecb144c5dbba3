"""The address-list parser: lists of any size, and hypothesis against its own careful path."""

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pysendmail.message.address import AddressList, Mailbox, parse
from pysendmail.message.element import Reader


def test_twenty_thousand_nested_comments_are_read() -> None:
    (mailbox,) = parse(b"(" * 20_000 + b")" * 20_000 + b"a@b").mailboxes
    assert mailbox.address == b"a@b"


@pytest.mark.parametrize(
    ("text", "mailboxes", "errors"),
    [
        (b"," * 1_000_000, 0, 0),
        (b"," * 500_000 + b"a@b", 1, 0),
        (b";" * 200_000, 0, 0),
        (b"a@b;" * 50_000, 50_000, 0),
        (b"a@b c@d," * 30_000, 60_000, 0),
        (b"(a),b@c," * 30_000, 30_000, 0),
        (b'"a,";' * 30_000, 30_000, 0),
        (b"(" * 300_000, 0, 1),
        (b'"' + b"\\" * 300_000 + b'"@b', 1, 0),
        (b'"' * 100_000, 0, 1),
        (b"<" * 100_000, 0, 1),
        (b"<@x," * 50_000, 0, 1),
        (b"a@" * 100_000, 0, 1),
        (b"a " * 100_000, 0, 1),
        (b"a:" * 50_000, 0, 49_999),
    ],
)
def test_large_and_hostile_lists_take_linear_time(text: bytes, mailboxes: int, errors: int) -> None:
    found = parse(text)
    assert (len(found.mailboxes), len(found.errors)) == (mailboxes, errors)


@pytest.mark.parametrize(
    "unit", [b"a@", b"a ", b"a:", b"<", b",", b";", b"(a)", b'"a"', b"[a]", b"a.", b"\x01", b"<a", b"a>,", b"=?x?q?y?= "]
)
def test_a_hostile_list_takes_little_more_memory_than_its_text(unit: bytes) -> None:
    """A daemon reads what any user sends it, and a token takes a hundred times what it stands for."""
    text = unit * (400_000 // len(unit))
    tracemalloc.start()
    try:
        parse(text)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 20_000_000


def test_what_comes_after_too_many_mistakes_is_a_mistake_and_not_lost() -> None:
    text = b"a:" * 60_000 + b"x@y"
    found = parse(text)
    start, end, _ = found.errors[-1]
    assert len(found.errors) == 50_001 and end == len(text) and text[start:end].endswith(b"x@y") and not found.mailboxes


def test_an_element_of_very_many_words_is_no_address_and_its_neighbours_are_read() -> None:
    found = parse(b"a@b, (c)" + b"x " * 60_000 + b"<e@f>, g@h")
    assert [mailbox.address for mailbox in found.mailboxes] == [b"a@b", b"g@h"]
    assert [reason for _, _, reason in found.errors] == ["longer than any address"]


def test_ten_thousand_recipients_are_all_found_in_order() -> None:
    text = b",\r\n ".join([b'"Doe, %d" <u%d@x.org>' % (i, i) if i % 3 else b"u%d@x.org" % i for i in range(10_000)])
    found = parse(text)
    assert [mailbox.address for mailbox in found.mailboxes] == [b"u%d@x.org" % i for i in range(10_000)]
    assert not found.errors and not found.warnings


def test_a_group_of_ten_thousand_is_expanded() -> None:
    found = parse(b"g: " + b", ".join([b"u%d@x" % i for i in range(10_000)]) + b";, last@x")
    assert len(found.mailboxes) == 10_001
    assert not found.errors and not found.warnings


def _facts(found: AddressList) -> tuple[list[tuple[bytes, bytes, int, int]], list[tuple[int, int, str]], list[str]]:
    return [(m.local, m.domain, m.start, m.end) for m in found.mailboxes], found.errors, found.warnings


def _carefully(text: bytes) -> AddressList:
    found = AddressList()
    reader = Reader(text, found)
    reader.read_past(0, len(text))
    reader.finish()
    return found


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            b"a",
            b"b.c",
            b"@",
            b"<",
            b">",
            b",",
            b";",
            b":",
            b" ",
            b"\t",
            b"\r\n ",
            b"\r",
            b"\n",
            b"(",
            b")",
            b'"',
            b"\\",
            b"[",
            b"]",
            b".",
            b"x@y",
            b"<p@q>",
            b'"n"',
            "ü".encode(),
            b"\xff",
            b"\x00",
            b"=?utf-8?q?x?=",
            b"g:",
            b"'",
        ]
    ),
    max_size=14,
).map(b"".join)


@given(FRAGMENTS | st.binary(max_size=40))
@example(b"a@b>")
@example(b"a\rb <c@d>")
@example(b'"a,b" <c@d>x, e@f')
@settings(max_examples=600, deadline=None)
def test_the_fast_path_and_the_careful_one_agree(text: bytes) -> None:
    assert _facts(parse(text)) == _facts(_carefully(text))


@given(FRAGMENTS | st.binary(max_size=40))
@settings(max_examples=400, deadline=None)
def test_whatever_comes_no_address_can_break_a_line_or_a_list(text: bytes) -> None:
    found = parse(text)
    for mailbox in found.mailboxes:
        assert not [octet for octet in mailbox.address if octet < 32 or octet == 127]
        (again,) = parse(b"<" + text[mailbox.start : mailbox.end] + b">").mailboxes
        assert again.key == mailbox.key
        (canonical,) = parse(mailbox.address).mailboxes if b" " not in mailbox.local or mailbox.domain else [mailbox]
        assert (canonical.local, canonical.domain) == (mailbox.local, mailbox.domain)
    spans = sorted([(m.start, m.end) for m in found.mailboxes] + [(start, end) for start, end, _ in found.errors])
    assert all(start < end <= len(text) for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))


LOCALS = st.binary(min_size=1, max_size=12).map(
    lambda octets: bytes(32 + octet % 95 for octet in octets)
) | st.sampled_from([b"a", b"a.b", "jörg".encode(), b"a@b", b'"', b"\\", b"a..b", b".", b" ", b"<x>"])
DOMAINS = st.sampled_from([b"x", b"x.org", b"[1.2.3.4]", "ü.example".encode(), b"a-b.c_d"])
BLANKS = st.sampled_from([b"", b" ", b"\r\n ", b"\t", b" (c, <x@y>) ", b"((\\))) "])
NAMES = st.sampled_from([b"", b"Jane ", b'"Doe, Jane" ', b'"\\"" x.', "Jörg ".encode(), b"=?utf-8?q?x?= ", b"(c) A B "])


@st.composite
def _written(draw: st.DrawFn) -> tuple[bytes, tuple[bytes, bytes]]:
    local, domain = draw(LOCALS), draw(DOMAINS)
    blank = [draw(BLANKS) for _ in range(4)]
    spec = Mailbox(local, b"", 0, 0).address + blank[1] + b"@" + blank[2] + domain
    if draw(st.booleans()):
        spec = draw(NAMES) + b"<" + draw(st.sampled_from([b"", b"@x:", b"@x, @y : "])) + spec + b">"
    return blank[0] + spec + blank[3], (local, domain)


@given(st.lists(_written(), max_size=6), st.sampled_from([b",", b" , ", b",,", b",\r\n "]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_way_to_write_an_address_gives_that_address(
    items: list[tuple[bytes, tuple[bytes, bytes]]], comma: bytes, group: bool
) -> None:
    text = comma.join([written for written, _ in items])
    found = parse(b"g:" + text + b";" if group else text)
    assert found.errors == []
    assert [(mailbox.local, mailbox.domain) for mailbox in found.mailboxes] == [meant for _, meant in items]
