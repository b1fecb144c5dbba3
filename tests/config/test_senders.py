"""Which `from` fits an address best, and the patterns in it."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.config.senders import best, fits
from pysendmail.config.values import is_pattern


@pytest.mark.parametrize(
    ("candidates", "address", "found"),
    [
        ([b"a@x.org"], b"a@x.org", 0),
        ([b"a@x.org"], b"a@X.ORG", 0),
        ([b"a@x.org"], b"b@x.org", None),
        ([b"a@x.org"], b"a@y.org", None),
        ([None, b"a@x.org"], b"a@x.org", 1),
        ([b"A@x.org", b"a@x.org"], b"a@x.org", 1),
        ([b"A@x.org", b"*@x.org"], b"a@x.org", 0),
        ([b"a@x.org", b"a+b@x.org"], b"a+b@x.org", 1),
        ([b"*@x.org", b"a@x.org"], b"a+b@x.org", 1),
        ([b"a+b@x.org"], b"a@x.org", None),
        ([b"*@x.org", b"a*@x.org", b"*"], b"ab@x.org", 1),
        ([b"*", b"*@x.org"], b"b@x.org", 1),
        ([b"*@X.org"], b"B@x.ORG", 0),
        ([b"*"], b"root", 0),
        ([b"root"], b"root", 0),
        ([b"root"], b"root@x", None),
        ([b"a@x.org", b"a@x.org"], b"a@x.org", 0),
        ([b"*@x.org", b"?@x.org"], b"a@x.org", 0),
        ([b"[a-c]@x.org"], b"B@x.org", 0),
        ([b"[!a-c]@x.org"], b"b@x.org", None),
        (["a@bücher.example".encode()], b"a@xn--bcher-kva.example", 0),
        (["*@bücher.example".encode()], b"a@xn--bcher-kva.example", 0),
        ([b"*\xff@*", b"a@\xff.org"], b"a@x.org", None),
        ([b"a@[192.0.2.1]"], b"a@[192.0.2.1]", 0),
    ],
)
def test_the_best_fit_is_found(candidates: list[bytes | None], address: bytes, found: int | None) -> None:
    assert best(candidates, address) == found


@pytest.mark.parametrize(
    ("value", "pattern"),
    [(b"a@x", False), (b"*@x", True), (b"a?@x", True), (b"[ab]@x", True), (b"a@[1.2.3.4]", False), (b"a@x[12]", True)],
)
def test_brackets_around_a_whole_domain_make_no_pattern(value: bytes, pattern: bool) -> None:
    assert is_pattern(value) is pattern


LETTERS = "ab-]!["


@given(st.text("*?" + LETTERS, max_size=12), st.text(LETTERS, max_size=12))
def test_patterns_match_as_those_of_the_shell(pattern: str, text: str) -> None:
    assert fits(pattern, text) is fnmatch.fnmatchcase(text, pattern)


def test_many_stars_take_no_ages() -> None:
    assert not fits("a*" * 300 + "b", "a" * 2000)
