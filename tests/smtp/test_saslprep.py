"""SASLprep: the examples of RFC 4013 section 3, and what it must refuse."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysendmail import errors
from pysendmail.smtp.saslprep import prepare


def prepared(text: str, stored: bool = True) -> str:
    return prepare(text.encode(), "the password", stored=stored).decode()


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b\u3000c", "a b c"),
        ("e\u0301", "\u00e9"),
        ("\ufb01le", "file"),
        ("\u200b\u200d\ufe00x", " x"),  # U+200B stands in C.1.2 and in B.1, and counts as a blank
        ("\u0627\u0628 1 \u0627", "\u0627\u0628 1 \u0627"),
        ("", ""),
        (" two words ", " two words "),
    ],
)
def test_text_takes_its_one_form(text: str, result: str) -> None:
    assert prepared(text) == result


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\u0007", "control"),
        ("a\x7fb", "control"),
        ("\u00e9\x00", "must not"),
        ("\u00e9\u0085", "must not"),
        ("\u0627\u0031", "both ends"),
        ("\u0627a\u0627", "both directions"),
        ("a\u0627", "both directions"),
        ("1\u0627", "both ends"),
        ("\ue000", "must not"),
        ("\ufdd0", "must not"),
        ("\ufffd", "must not"),
        ("\u2ff0", "must not"),
        ("\u202ea", "must not"),
        ("\u0340\u0341\u200e", "must not"),
        ("\U000e0041", "must not"),
    ],
)
def test_prohibited_text_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(errors.ConfigError, match=why):
        prepared(text)


def test_the_refused_text_is_never_shown() -> None:
    with pytest.raises(errors.ConfigError) as caught:
        prepared("hush-hush\u00e9\x01")
    assert "hush" not in str(caught.value)
    assert "the password" in str(caught.value)


def test_young_characters_are_refused_in_passwords_and_pass_in_user_names() -> None:
    with pytest.raises(errors.ConfigError, match=r"Unicode 3\.2"):
        prepared("\U0001f600")
    assert prepared("\U0001f600", stored=False) == "\U0001f600"


def test_octets_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(errors.ConfigError, match="not UTF-8") as caught:
        prepare(b"p\xe4ss", "the password", stored=True)
    assert "auth plain" in str(caught.value)
    with pytest.raises(errors.ConfigError, match="not UTF-8"):
        prepare(b"\xed\xa0\x80", "the password", stored=True)  # half a surrogate pair


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_printable_ascii_stays_as_it_is(text: str) -> None:
    assert prepared(text) == text


@settings(deadline=None)
@given(st.text())
def test_preparing_twice_changes_nothing_more(text: str) -> None:
    try:
        once = prepared(text, stored=False)
    except errors.ConfigError:
        return
    assert prepared(once, stored=False) == once
