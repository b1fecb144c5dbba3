"""Dates of header fields: of today, obsolete, of asctime, and what is none."""

import pytest

from pysendmail.message.date import read

NOON = 1795867200  # 2026-11-28 12:00:00 UTC


@pytest.mark.parametrize(
    ("text", "seconds", "zone"),
    [
        ("Sat, 28 Nov 2026 12:00:00 +0000", NOON, 0),
        ("Sat, 28 Nov 2026 13:00:00 +0100 (CET)", NOON, 60),
        ("28 Nov 2026 07:00:00 -0500", NOON, -300),
        ("28 Nov 2026 12:00 GMT", NOON, 0),
        ("28 Nov 26 12:00:00 UT", NOON, 0),
        ("28 Nov 126 12:00:00 Z", NOON, 0),
        ("Sat,28 November 2026 07 : 00 : 00 EST", NOON, -300),
        ("Sat (a (nested) comment), 28 (x) Nov 2026 (y) 12:00:00 (z) -0000", NOON, 0),
        ("Sat, 28 Nov 2026 17:30:00 +0530", NOON, 330),
        ("Sat Nov 28 12:00:00 2026", NOON, None),
        ("Sat Nov 28 13:00:00 CET 2026", NOON, 60),
        ("28 Nov 2026 12:00:00", NOON, None),
        ("28 Nov 2026 12:00:00 XYZT", NOON, None),
        ("28 Nov 2026 12:00:00 +9975", NOON, None),
        ("31 Dec 2016 23:59:60 +0000", 1483228800, 0),
        ("28 Nov 99 12:00:00 +0000", 943790400, 0),
    ],
)
def test_a_date_is_read_in_each_of_its_forms(text: str, seconds: int, zone: int | None) -> None:
    found = read(text.encode())
    assert found is not None
    assert (found.seconds, found.zone) == (seconds, zone)


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "Sat", "28 Nov 2026", "32 Nov 2026 12:00:00 +0000", "29 Feb 2026 12:00:00 +0000",
        "28 Nov 2026 24:00:00 +0000", "28 Nov 2026 12:60:00 +0000", "28 Nov 2026 12:00:61 +0000", "28 Xyz 2026 12:00:00 +0000",
        "28 Nov 0 12:00:00 +0000", "28 Nov 99999 12:00:00 +0000", "28 Nov 2026 12 +0000", "-1 Nov 2026 12:00:00 +0000",
        "28 Nov ²026 12:00:00 +0000", "((((((", "(28 Nov 2026 12:00:00 +0000", "a b c d e f", ": : : :",
    ],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str) -> None:
    assert read(text.encode()) is None


def test_a_megabyte_is_no_date_and_takes_no_time() -> None:
    assert read(b"(" * 1_000_000) is None
    assert read(b"28 " * 1_000_000) is None
