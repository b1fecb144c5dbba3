"""What stands in a command is read strictly, or the command is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.smtp.answer import Refused
from pysendmail.smtp.command_line import (
    has_controls,
    read_body,
    read_chunk,
    read_envid,
    read_notify,
    read_orcpt,
    read_path,
    read_ret,
    read_size,
    split_verb,
)
from pysendmail.smtp.transaction import xtext


@pytest.mark.parametrize(
    ("line", "verb", "rest"),
    [
        (b"NOOP", b"NOOP", b""),
        (b"noop  x y ", b"NOOP", b"x y"),
        (b" rset", b"RSET", b""),
        (b"", b"", b""),
        (b"mail from:<>", b"MAIL", b"from:<>"),
    ],
)
def test_a_line_is_a_verb_in_any_case_and_what_follows_it(line: bytes, verb: bytes, rest: bytes) -> None:
    assert split_verb(line) == (verb, rest)


GOOD = [
    (b"TO:<a@b>", b"a@b", {}),
    (b"to: <a@b> ", b"a@b", {}),
    (b"TO:a@b NOTIFY=NEVER", b"a@b", {b"NOTIFY": b"NEVER"}),
    (b"TO:<root>", b"root", {}),
    (b"TO:<@one,@two:a@b>", b"a@b", {}),
    (b"TO:<@[IPv6:::1]:a@b>", b"a@b", {}),
    (b"TO:<a@[127.0.0.1]>", b"a@[127.0.0.1]", {}),
    (b"TO:<a@[IPv6:::1]>", b"a@[IPv6:::1]", {}),
    (b'TO:<"a b"@c>', b'"a b"@c', {}),
    (b'TO:<"a>b c"@d> X=1', b'"a>b c"@d', {b"X": b"1"}),
    (b'TO:<"a\\">b"@c>', b'"a\\">b"@c', {}),
    (b'TO:<"joe"@c>', b"joe@c", {}),
    (b"TO:<a..b@c>", b'"a..b"@c', {}),
    (b"TO:<|cat@c>", b"|cat@c", {}),
    ("TO:<jö@bücher.example>".encode(), "jö@bücher.example".encode(), {}),
    (b"TO:<a@b>  X=1  y ", b"a@b", {b"X": b"1", b"Y": b""}),
]


@pytest.mark.parametrize(("text", "address", "parameters"), GOOD)
def test_one_address_is_taken_in_each_of_its_forms(text: bytes, address: bytes, parameters: dict[bytes, bytes]) -> None:
    mailbox, found = read_path(text, b"TO:")
    assert mailbox is not None
    assert (mailbox.address, found) == (address, parameters)


@pytest.mark.parametrize("text", [b"FROM:<>", b"from: <> SIZE=3"])
def test_the_null_path_is_no_address(text: bytes) -> None:
    assert read_path(text, b"FROM:")[0] is None


BAD = [
    b"", b"TO", b"TO:", b"TO: ", b"FROM:<a@b>", b"TO <a@b>", b"TO:<a@b", b"TO:a@b>", b"TO:<a@b>x", b"TO:<a@b>X=1",
    b"TO:<a@b><c@d>", b"TO:<a@b>,<c@d>", b"TO:<a@b,c@d>", b"TO:<a@b;c@d>", b"TO:<<a@b>>", b"TO:< a@b>", b"TO:<a@b >",
    b"TO:<a b@c>", b"TO:<a(x)@b>", b"TO:<a@b(x)>", b"TO:Joe <a@b>", b"TO:<Joe <a@b>>", b"TO:<g:a@b;>", b"TO:<g:a@b>",
    b"TO:<a@b@c>", b"TO:<a@>", b"TO:<@b>", b"TO:<a@b..c>", b"TO:<a@b.>", b"TO:<a@b_!c>", b"TO:<a@[x>", b"TO:<a@[]>",
    b'TO:<"a@b>', b'TO:<"a"b"@c>', b'TO:"a b"@c', b'TO:"a"@c', b"TO:<a\\@b>", b"TO:<@one:>", b"TO:<@one,a@b>", b'TO:<"\\">',
    b"TO:<a@b> =1", b"TO:<a@b> X=", b"TO:<a@b> X=1=2", b"TO:<a@b> X=1 x=2", b"TO:<a@b> X_Y=1", b"TO:<\xff@b>", b"TO:<a@\xc3\xbc.\xff>",
    "TO:<a@\u2028b>".encode(), "TO:<a@xn--\u00fc>".encode(),
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_what_is_not_exactly_one_address_is_refused(text: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_path(text, b"TO:")
    assert refused.value.answer.code in (501, 553)
    assert refused.value.answer.status.startswith("5.")


@given(st.binary(max_size=40))
def test_no_octets_get_through_a_path_that_would_end_a_command(noise: bytes) -> None:
    if has_controls(noise):
        return
    try:
        mailbox, parameters = read_path(b"TO:<" + noise + b">", b"TO:")
    except Refused as refused:
        assert refused.answer.code in (501, 553)
        return
    for text in [mailbox.address if mailbox else b"", *parameters, *parameters.values()]:
        assert not has_controls(text)
    if mailbox is not None:
        again, _ = read_path(b"TO:<" + mailbox.address + b">", b"TO:")
        assert again is not None
        assert again.address == mailbox.address


@pytest.mark.parametrize(
    ("text", "size", "last"),
    [(b"0", 0, False), (b"12 LAST", 12, True), (b"0 last", 0, True), (b"999999999999999999", 999999999999999999, False)],
)
def test_a_chunk_has_a_size_and_may_be_the_last(text: bytes, size: int, last: bool) -> None:
    assert read_chunk(text) == (size, last)


@pytest.mark.parametrize(
    "text",
    [b"", b"LAST", b"-1", b"+1", b"1 LAST X", b"1 FIRST", b"1  LAST", b"18446744073709551616", b"1e3", b"0x10", b"1_0", b"\xd9\xa3"],
)
def test_a_chunk_of_no_clear_size_is_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        read_chunk(text)


def test_parameters_are_returned_in_their_one_spelling() -> None:
    assert read_size(b"007") == 7
    assert read_body(b"8bitMime") == b"8BITMIME"
    assert read_ret(b"hdrs") == b"HDRS"
    assert read_envid(b"a+2Bb+3D+20") == b"a+b= "
    assert read_notify(b"delay,success") == b"SUCCESS,DELAY"
    assert read_notify(b"never") == b"NEVER"
    assert read_orcpt(b"rfc822;a+2Bb@c") == b"rfc822;a+b@c"
    assert read_orcpt(b"utf-8;a\\x{2B}@c") == b"utf-8;a\\x{2B}@c"


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (read_size, b"-1"), (read_size, b"1k"), (read_size, b"1" * 19),
        (read_body, b"BINARYMIME"), (read_ret, b"HEADERS"),
        (read_envid, b"+0D+0A"), (read_envid, b"a+2b"), (read_envid, b"a+"), (read_envid, b"a+2"), (read_envid, b"a+GG"),
        (read_envid, b"+FF"), (read_envid, b"x" * 101), (read_envid, b"+00"), (read_envid, b"\xc3\xbc"),
        (read_notify, b"NEVER,SUCCESS"), (read_notify, b"SUCCESS,"), (read_notify, b"MAYBE"),
        (read_orcpt, b"a@b"), (read_orcpt, b"rfc822;"), (read_orcpt, b";a@b"), (read_orcpt, b"rfc822;a+0Ab"),
        (read_orcpt, b"r 2;a"), (read_orcpt, b"rfc822;" + b"x" * 500),
    ],
)  # fmt: skip
def test_a_parameter_of_no_clear_meaning_is_refused(read: object, value: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read(value)  # type: ignore[operator]
    assert refused.value.answer.code == 501


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=100))
def test_what_the_client_writes_as_xtext_the_server_reads(text: str) -> None:
    assert read_envid(xtext(text.encode())) == text.encode()
