"""The tokeniser of structured fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.message.tokens import (
    ATOM,
    BAD,
    COMMENT,
    LITERAL,
    QUOTED,
    SPACE,
    SPECIAL,
    is_printable,
    tokens,
    unfold,
    unquote,
    why_bad,
)

TABLE = [
    (b"", []),
    (b"a.b", [(ATOM, b"a"), (SPECIAL, b"."), (ATOM, b"b")]),
    (b"a \t\r\n b", [(ATOM, b"a"), (SPACE, b" \t\r\n "), (ATOM, b"b")]),
    (b'"a\\"b" c', [(QUOTED, b'"a\\"b"'), (SPACE, b" "), (ATOM, b"c")]),
    (b'"a\\\\"b', [(QUOTED, b'"a\\\\"'), (ATOM, b"b")]),
    (b'"a\r\n b"', [(QUOTED, b'"a\r\n b"')]),
    (b"(a(b)\\)c)d", [(COMMENT, b"(a(b)\\)c)"), (ATOM, b"d")]),
    (b"[a[b]c]", [(LITERAL, b"[a[b]"), (ATOM, b"c"), (SPECIAL, b"]")]),
    (
        b"<>@,;:)",
        [
            (SPECIAL, b"<"),
            (SPECIAL, b">"),
            (SPECIAL, b"@"),
            (SPECIAL, b","),
            (SPECIAL, b";"),
            (SPECIAL, b":"),
            (SPECIAL, b")"),
        ],
    ),
    (b"\xff\xc3\xbc", [(ATOM, b"\xff\xc3\xbc")]),
    (b"a\r\n", [(ATOM, b"a"), (SPACE, b"\r\n")]),
    (b"a\r\nb", [(ATOM, b"a"), (BAD, b"\r\n"), (ATOM, b"b")]),
    (b"a\rb", [(ATOM, b"a"), (BAD, b"\r"), (ATOM, b"b")]),
    (b"\x00\\", [(BAD, b"\x00"), (BAD, b"\\")]),
    (b'a"b', [(ATOM, b"a"), (BAD, b'"b')]),
    (b'"b\\"', [(BAD, b'"b\\"')]),
    (b"((b)", [(BAD, b"((b)")]),
    (b"(b\\", [(BAD, b"(b\\")]),
    (b"[b", [(BAD, b"[b")]),
    (b'"a\x00b" c', [(BAD, b'"a\x00b"'), (SPACE, b" "), (ATOM, b"c")]),
    (b"(a\nb)c", [(BAD, b"(a\nb)"), (ATOM, b"c")]),
]


@pytest.mark.parametrize(("text", "expected"), TABLE)
def test_text_is_cut_into_tokens(text: bytes, expected: list[tuple[int, bytes]]) -> None:
    assert [(kind, text[start:end]) for kind, start, end in tokens(text)] == expected


@given(st.binary(max_size=60) | st.text(alphabet='a"\\()[] \r\n', max_size=40).map(str.encode))
def test_tokens_cover_the_text_without_gaps(text: bytes) -> None:
    assert b"".join([text[start:end] for _, start, end in tokens(text)]) == text
    assert all(start < end for _, start, end in tokens(text))


@given(st.binary(max_size=30))
def test_a_quoted_string_gives_back_what_was_quoted(text: bytes) -> None:
    printable = bytes(32 + octet % 95 for octet in text)
    quoted = (
        b'"'
        + b"".join([b"\\" + bytes((octet,)) if octet in b'"\\ab' else bytes((octet,)) for octet in printable])
        + b'"'
    )
    assert [kind for kind, _, _ in tokens(quoted)] == [QUOTED]
    assert unquote(quoted) == printable


def test_unquoting_and_unfolding_remove_the_line_ends_of_folds() -> None:
    assert unquote(b'"a\r\n b"') == b"a b"
    assert unfold(b"a\r\n\tb") == b"a\tb"


@pytest.mark.parametrize(
    ("text", "printable"),
    [
        (b"a\tb ", True),
        (b"a\r\n b", True),
        (b"\xff", True),
        (b"a\r\nb", False),
        (b"a\rb", False),
        (b"\x7f", False),
        (b"\x00", False),
    ],
)
def test_only_tabs_and_folds_pass_for_printable_among_control_characters(text: bytes, printable: bool) -> None:
    assert is_printable(text) is printable


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'"a', "quotation mark without its partner"),
        (b"(", "comment that is not closed"),
        (b"[", "[ without its ]"),
        (b"\\", "backslash outside quotation marks"),
        (b"\x01", "control character"),
        (b'"\x01"', "control character"),
    ],
)
def test_a_bad_token_has_a_reason(text: bytes, reason: str) -> None:
    assert why_bad(text, 0, len(text)) == reason
