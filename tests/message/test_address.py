"""The address-list parser: tables of bytes, senders and domains."""

import pytest

from pysendmail.errors import DataError
from pysendmail.message.address import Mailbox, domain_to_ascii, parse, parse_sender

GOOD = [
    # ordinary
    (b"a@b", [b"a@b"]),
    (b"a@b, c@d", [b"a@b", b"c@d"]),
    (b"Jane Doe <j@x.org>", [b"j@x.org"]),
    (b"J. Doe <j@x.org>", [b"j@x.org"]),
    (b"<j@x.org>", [b"j@x.org"]),
    (b"Jane<j@x.org>", [b"j@x.org"]),
    (b'"Doe, Jane" <j@x.org>, "x" <y@z>', [b"j@x.org", b"y@z"]),
    (b'"Doe, \\"Jane\\"" <j@x.org>', [b"j@x.org"]),
    (b'"a@evil, b@evil" <c@good>', [b"c@good"]),
    (b"user+tag=x/y@x.org", [b"user+tag=x/y@x.org"]),
    (b"J@X.Org", [b"J@X.Org"]),
    # unqualified
    (b"root", [b"root"]),
    (b"root, daemon", [b"root", b"daemon"]),
    (b"Root <root>", [b"root"]),
    (b"first.last", [b"first.last"]),
    # empty elements
    (b"", []),
    (b" \t ", []),
    (b",", []),
    (b",, a@b , ,c@d,,", [b"a@b", b"c@d"]),
    (b"(only a comment)", []),
    (b"a@b, (nobody), c@d", [b"a@b", b"c@d"]),
    # comments
    (b"a@b (Alice)", [b"a@b"]),
    (b"(x) a (y) @ (z) b (w)", [b"a@b"]),
    (b"(a, b@c) d@e", [b"d@e"]),
    (b"(a (b (c) d) \\) e) f@g", [b"f@g"]),
    (b"Jane (the <x@y>, too) <j@x>", [b"j@x"]),
    (b"j(o)@x", [b"j@x"]),
    # quoting
    (b'"john doe"@x', [b'"john doe"@x']),
    (b'"john"@x', [b"john@x"]),
    (b'"a@evil"@good', [b'"a@evil"@good']),
    (b'"a\\"b\\\\c"@x', [b'"a\\"b\\\\c"@x']),
    (b'"a\\b"@x', [b"ab@x"]),
    (b'"a"."b"@x', [b"a.b@x"]),
    (b'a."b c"@x', [b'"a.b c"@x']),
    (b'"a,b"@x, c@d', [b'"a,b"@x', b"c@d"]),
    (b'"."@x', [b'"."@x']),
    # dots
    (b"a . b @ c . d", [b"a.b@c.d"]),
    (b"a..b@x", [b'"a..b"@x']),
    (b"a.@x", [b'"a."@x']),
    (b".a@x", [b'".a"@x']),
    # folds
    (b"a@b,\r\n c@d,\r\n\te@f", [b"a@b", b"c@d", b"e@f"]),
    (b" a@b,\r\n c@d\r\n", [b"a@b", b"c@d"]),
    (b"Jane\r\n Doe\r\n <a@b>", [b"a@b"]),
    (b"a\r\n @\r\n b", [b"a@b"]),
    (b"a@b,\r\n \r\n c@d", [b"a@b", b"c@d"]),
    (b'"a\r\n b"@c', [b'"a b"@c']),
    # groups
    (b"undisclosed-recipients:;", []),
    (b"undisclosed-recipients: ;", []),
    (b"Undisclosed recipients:;", []),
    (b'"x:y": a@b;', [b"a@b"]),
    (b"g: a@b, Jane <c@d>;, e@f", [b"a@b", b"c@d", b"e@f"]),
    (b"g: a@b, , c@d ,;", [b"a@b", b"c@d"]),
    (b"g:;, h:;, i: a@b;", [b"a@b"]),
    (b"A.B.: a@b;", [b"a@b"]),
    # routes
    (b"<@x,@y:a@b>", [b"a@b"]),
    (b"Jane <@x.org:a@b>, c@d", [b"a@b", b"c@d"]),
    (b"<@x , , @[1.2.3.4] : a@b>", [b"a@b"]),
    # literals
    (b"a@[127.0.0.1]", [b"a@[127.0.0.1]"]),
    (b"a@[IPv6:::1], c@d", [b"a@[IPv6:::1]", b"c@d"]),
    (b"<a@[ 1.2.\r\n 3.4 ]>", [b"a@[1.2.3.4]"]),
    # encoded words and UTF-8
    (b"=?utf-8?q?J=C3=B6rg?= <j@x>", [b"j@x"]),
    ("Jörg Müller <j@x>".encode(), [b"j@x"]),
    ("jörg@müller.example".encode(), ["jörg@müller.example".encode()]),
    (b"J\xf6rg <j@x>", [b"j@x"]),
    (b'"J\xf6rg, x" <j@x>', [b"j@x"]),
    # words before <...> are a name
    (b"alice@evil <bob@good>", [b"bob@good"]),
    (b"a@x b@y <c@z>", [b"c@z"]),
    (b"[list] Jane <a@b>", [b"a@b"]),
    # domains that servers judge
    (b"a@-b-", [b"a@-b-"]),
    (b"a@b_c.d--e", [b"a@b_c.d--e"]),
    (b"a%b@c, d!e@f", [b"a%b@c", b"d!e@f"]),
]


@pytest.mark.parametrize(("text", "addresses"), GOOD)
def test_a_good_list_gives_its_addresses_and_no_error(text: bytes, addresses: list[bytes]) -> None:
    found = parse(text)
    assert [mailbox.address for mailbox in found.mailboxes] == addresses
    assert found.errors == []


BAD = [
    (b"a@b@c", b"a@b@c"),
    (b"<a@b@c>", b"<a@b@c>"),
    (b"<a@b", b"<a@b"),
    (b"a@b>", b"a@b>"),
    (b"Jane <a@b", b"Jane <a@b"),
    (b"Jane a@b>", b"Jane a@b>"),
    (b"<a@b>>", b"<a@b>>"),
    (b"<<a@b>>", b"<<a@b>>"),
    (b"<a@b<", b"<a@b<"),
    (b"a> <b@c>", b"a> <b@c>"),
    (b"<a@b> <c@d>", b"<a@b> <c@d>"),
    (b"John <ceo@x> <b@y>", b"John <ceo@x> <b@y>"),
    (b"<a@b> Jane", b"<a@b> Jane"),
    (b"<a@b>.", b"<a@b>."),
    (b'"x" <a@b>c', b'"x" <a@b>c'),
    (b'"x" <a@b@c>', b'"x" <a@b@c>'),
    (b'"x" y@z <a@b', b'"x" y@z <a@b'),
    (b"<>", b"<>"),
    (b"Jane <>", b"Jane <>"),
    (b"@", b"@"),
    (b"@b", b"@b"),
    (b"a@", b"a@"),
    (b"<a@>", b"<a@>"),
    (b"<@b>", b"<@b>"),
    (b'""@b', b'""@b'),
    (b".@b", b".@b"),
    (b"..@b", b"..@b"),
    (b"a@.b", b"a@.b"),
    (b"a@b.", b"a@b."),
    (b"a@b..c", b"a@b..c"),
    (b"a@b c.d", b"a@b c.d"),
    (b"a b@c", b"a b@c"),
    (b"John Smith", b"John Smith"),
    (b'"John Smith"', b'"John Smith"'),
    (b"<John Smith>", b"<John Smith>"),
    (b"=?utf-8?q?Doe", b"=?utf-8?q?Doe"),
    (b'"a"b@c', b'"a"b@c'),
    (b'a@b"c"@d', b'a@b"c"@d'),
    (b'a@"b"', b'a@"b"'),
    (b"a@b'", b"a@b'"),
    (b"a@b/c", b"a@b/c"),
    (b'"a@b', b'"a@b'),
    (b'"a\\"@b', b'"a\\"@b'),
    (b"(a@b", b"(a@b"),
    (b"a@b)", b"a@b)"),
    (b"a@b (c", b"a@b (c"),
    (b"a@[1.2.3.4", b"a@[1.2.3.4"),
    (b"a@1.2]", b"a@1.2]"),
    (b"a@[]", b"a@[]"),
    (b"a@[1.2]x", b"a@[1.2]x"),
    (b"a@x[1.2]", b"a@x[1.2]"),
    (b"a@[x\\]", b"a@[x\\]"),
    (b"a\\b@c", b"a\\b@c"),
    (b"<@x:>", b"<@x:>"),
    (b"<@x a@b>", b"<@x a@b>"),
    (b"<@x:@y:a@b>", b"<@x:@y:a@b>"),
    (b"<mailto:a@b>", b"<mailto:a@b>"),
    (b":", b":"),
    (b"a@b: ;", b"a@b"),
    (b"<a@b>: ;", b"<a@b>"),
    (b"a@b@c, (x)", b"a@b@c"),
    # octets
    (b"a\x00@b", b"a\x00@b"),
    (b"a@b\x7f", b"a@b\x7f"),
    (b"a\x1b@b", b"a\x1b@b"),
    (b"a@b\rc@d", b"a@b\rc@d"),
    (b"a@b\nc@d", b"a@b\nc@d"),
    (b"a@b\r\nc@d", b"a@b\r\nc@d"),
    (b'"a\tb"@c', b'"a\tb"@c'),
    (b'"a\x01b" <c@d>', b'"a\x01b" <c@d>'),
    (b'"a\r\nb" <c@d>', b'"a\r\nb" <c@d>'),
    (b"a\rb <c@d>", b"a\rb <c@d>"),
    (b"a@b (x\x00y)", b"a@b (x\x00y)"),
    (b"\xff@b", b"\xff@b"),
    (b"a@\xff", b"a@\xff"),
    ("a\x80@b".encode(), "a\x80@b".encode()),
    ("a\x9f@b".encode(), "a\x9f@b".encode()),
    ("a@b，c@d".encode(), "a@b，c@d".encode()),
]


@pytest.mark.parametrize(("text", "bad"), BAD)
def test_a_doubtful_piece_is_an_error_and_gives_no_address(text: bytes, bad: bytes) -> None:
    found = parse(text)
    assert [(text[start:end], bool(reason)) for start, end, reason in found.errors] == [(bad, True)]
    assert found.mailboxes == []


@pytest.mark.parametrize(
    ("text", "bad"),
    [pair for pair in BAD if not pair[0].startswith((b'"a@b', b'"a\\"@b', b"(a@b")) and pair[0][-1:] != b":"],
)
def test_good_neighbours_before_a_bad_piece_are_read(text: bytes, bad: bytes) -> None:
    found = parse(b"x@y, " + text)
    assert [mailbox.address for mailbox in found.mailboxes] == [b"x@y"]
    assert [(start, end) for start, end, _ in found.errors] == [(5 + text.index(bad), 5 + text.index(bad) + len(bad))]


@pytest.mark.parametrize(
    "text", [b"a@b@c", b"<a@b", b"a@b>", b"John Smith", b"a@b\x7f", b"<a@b> <c@d>", b"\xff@b", b"a)"]
)
def test_good_neighbours_after_a_bad_piece_are_read(text: bytes) -> None:
    found = parse(text + b", Jane <x@y>, z@w")
    assert [mailbox.address for mailbox in found.mailboxes] == [b"x@y", b"z@w"]
    assert [(start, end) for start, end, _ in found.errors] == [(0, len(text))]


def test_nothing_after_an_unbalanced_quotation_mark_is_a_recipient() -> None:
    found = parse(b'a@b, "c, d@e, f@g')
    assert [mailbox.address for mailbox in found.mailboxes] == [b"a@b"]
    assert [(start, end) for start, end, _ in found.errors] == [(5, 17)]


def test_the_halves_of_an_address_with_a_comma_in_its_brackets_are_both_bad() -> None:
    found = parse(b"<a@b, c@d>")
    assert found.mailboxes == []
    assert [reason for _, _, reason in found.errors] == ["< without its >", "> without its <"]


REASONS = [
    (b"a@b@c", "more than one @"),
    (b"John Smith", "a name without an address"),
    (b"a\x00@b", "control character"),
    (b'"a', "quotation mark without its partner"),
    (b"(a", "comment that is not closed"),
    (b"a@[b", "[ without its ]"),
    (b"a\\b", "backslash outside quotation marks"),
    (b"a@b..c", "empty label in the domain"),
    (b"a@", "no domain after the @"),
    (b"@a", "nothing before the @"),
    (b"<>", "nothing between < and >"),
    (b"\xff@b", "octets that are not UTF-8"),
    (b"g: h: a@b;", "group inside a group"),
    (b"@x:a@b", "colon after what is not the name of a group"),
]


@pytest.mark.parametrize(("text", "reason"), REASONS)
def test_an_error_says_what_is_wrong(text: bytes, reason: str) -> None:
    assert parse(text).errors[0][2] == reason


WARNED = [
    (b"a@x; b@x", [b"a@x", b"b@x"], "addresses separated by a semicolon"),
    (b"a@x;", [b"a@x"], "addresses separated by a semicolon"),
    (b"a@x b@x", [b"a@x", b"b@x"], "addresses separated by blanks only"),
    (b"a@x\r\n b@x\r\n c@x", [b"a@x", b"b@x", b"c@x"], "addresses separated by blanks only"),
    (b'"a b"@x (c) d . e@x', [b'"a b"@x', b"d.e@x"], "addresses separated by blanks only"),
    (b"undisclosed-recipients:", [], "group without its semicolon"),
    (b"g: a@b, c@d", [b"a@b", b"c@d"], "group without its semicolon"),
    (b"mailto:a@b", [b"a@b"], "group without its semicolon"),
    (b"alice@evil <bob@good>", [b"bob@good"], "@ in the name before an address in angle brackets"),
]


@pytest.mark.parametrize(("text", "addresses", "warning"), WARNED)
def test_a_lenient_reading_leaves_a_warning(text: bytes, addresses: list[bytes], warning: str) -> None:
    found = parse(text)
    assert [mailbox.address for mailbox in found.mailboxes] == addresses
    assert found.warnings == [warning]
    assert found.errors == []


def test_a_warning_is_given_once_however_often_it_applies() -> None:
    assert parse(b"a@x; b@x; c@x; d@x e@x f@x").warnings == [
        "addresses separated by a semicolon",
        "addresses separated by blanks only",
    ]


def test_ordinary_lists_give_no_warning() -> None:
    assert parse(b'a@b, Jane <c@d>, "x, y" <e@f>, g: h@i;, (j) k@l').warnings == []


SPANS = [
    (b" a@b ", b"a@b"),
    (b"Jane <a@b>", b"a@b"),
    (b"Jane < a@b >", b"a@b"),
    (b'"b@c" <b@c>', b"b@c"),
    (b'"x,y" < b@c >', b"b@c"),
    (b"(c) a (d) @ b (e)", b"a (d) @ b"),
    (b"<@x,@y:a@b>", b"@x,@y:a@b"),
    (b"<(c) @x : a@b (d)>", b"@x : a@b"),
    (b"g: root;", b"root"),
]


@pytest.mark.parametrize(("text", "written"), SPANS)
def test_a_mailbox_knows_where_it_was_written(text: bytes, written: bytes) -> None:
    (mailbox,) = parse(text).mailboxes
    assert text[mailbox.start : mailbox.end] == written


def test_the_second_of_two_like_addresses_has_a_place_of_its_own() -> None:
    text = b'aa@b, a@b, x <a@b>,"y" <a@b>'
    assert [mailbox.start for mailbox in parse(text).mailboxes] == [0, 6, 14, 24]


def test_a_mailbox_holds_what_is_meant_not_how_it_was_written() -> None:
    (mailbox,) = parse(b'"a\\"b" (c) @ (d) X . Org').mailboxes
    assert (mailbox.local, mailbox.domain) == (b'a"b', b"X.Org")
    assert mailbox.key == (b'a"b', b"x.org")


def test_spellings_of_one_mailbox_share_the_key_and_others_do_not() -> None:
    assert len({mailbox.key for mailbox in parse(b'a@B, "a"@b, <@x:a@b>, a (c)@ b').mailboxes}) == 1
    assert len({mailbox.key for mailbox in parse(b"a@b, A@b, a, a@c").mailboxes}) == 4


def test_a_mailbox_shows_itself() -> None:
    assert repr(Mailbox(b"a", b"b", 1, 4)) == "Mailbox(b'a', b'b', 1, 4)"


# The sender of -f.


@pytest.mark.parametrize("text", [b"", b" ", b"\t", b"<>", b" <> ", b"< >", b"<(nobody)>"])
def test_the_null_sender_is_nobody(text: bytes) -> None:
    assert parse_sender(text) == (None, b"")


SENDERS = [
    (b"a@b", b"a@b", b""),
    (b" a@b ", b"a@b", b""),
    (b"<a@b>", b"a@b", b""),
    (b"alice", b"alice", b""),
    (b"Jane Doe <a@b>", b"a@b", b"Jane Doe"),
    (b'"Doe, \\"J\\"" <a@b>', b"a@b", b'Doe, "J"'),
    (b'Jane "Q." (x) Doe <a@b>', b"a@b", b"Jane Q. Doe"),
    ("Jörg <a@b>".encode(), b"a@b", "Jörg".encode()),
    (b"=?utf-8?q?x?= <a@b>", b"a@b", b"=?utf-8?q?x?="),
    (b"a@b (Jane)", b"a@b", b""),
    (b'"a b"@c', b'"a b"@c', b""),
    (b"Jane <@x:a@b>", b"a@b", b"Jane"),
    (b"Jane < (x) a@b > ", b"a@b", b"Jane"),
]


@pytest.mark.parametrize(("text", "address", "name"), SENDERS)
def test_a_sender_is_one_address_with_its_name(text: bytes, address: bytes, name: bytes) -> None:
    mailbox, found_name = parse_sender(text)
    assert mailbox is not None
    assert (mailbox.address, found_name) == (address, name)


def test_a_name_may_stand_before_the_null_sender() -> None:
    assert parse_sender(b"Mail Daemon <>") == (None, b"Mail Daemon")


@pytest.mark.parametrize(
    "text",
    [
        b"a@b, c@d",
        b"a@b,",
        b"a@b c@d",
        b"a@b;",
        b"g: a@b;",
        b"a@b@c",
        b"<a@b",
        b"a b",
        b"(x)",
        b",",
        b"a@b\r\n",
        b"a@b\nc",
        b"<a@b>\r\n c",
        b"a\x00@b",
        b"a@b\x7f",
        b"\xff@x",
        b"<a@b>\n",
        b"\r\n",
        b'"a',
        b'"a <>',
    ],
)
def test_anything_else_as_a_sender_is_refused(text: bytes) -> None:
    with pytest.raises(DataError, match="bad sender address"):
        parse_sender(text)


# Domains.


@pytest.mark.parametrize(
    "domain", [b"x.org", b"X.Org", b"-a-", b"_dmarc.x", b"[1.2.3.4]", b"[IPv6:::1]", b"xn--mgba3gch31f060k.com"]
)
def test_a_domain_in_ascii_stays_as_it_is(domain: bytes) -> None:
    assert domain_to_ascii(domain) == domain


@pytest.mark.parametrize(
    "domain",
    [
        b"",
        b".",
        b"a.",
        b".a",
        b"a..b",
        b"a b",
        b"a\tb",
        b"a\x00",
        b"a\n",
        b"a@b",
        b"a/b",
        b"[",
        b"[]",
        b"[1",
        b"[a[b]",
        b"[a b]",
        b"a[1]",
        b"\xff",
        b"\xc3",
        "a\u2028b".encode(),
        "\x85".encode(),
    ],
)
def test_what_can_be_no_domain_is_refused(domain: bytes) -> None:
    with pytest.raises(DataError, match="bad domain"):
        domain_to_ascii(domain)
