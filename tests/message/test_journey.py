"""The way of a message: hops as servers write them, their delays, and the signs of forgery."""

import pytest

from pysendmail.message import journey
from pysendmail.message.header import HeaderReader
from pysendmail.message.hop import read

NOW = 1795867200.0  # 2026-11-28 12:00:00 UTC


def way(*received: str, date: str = "") -> journey.Journey:
    """Follow a message with these Received fields, the oldest first."""
    reader = HeaderReader()
    lines = [f"Received: {value}" for value in reversed(received)] + ([f"Date: {date}"] if date else []) + ["", ""]
    reader.feed("\n".join(lines).encode())
    return journey.follow(reader.fields, NOW)


def kinds(*received: str) -> list[list[str]]:
    return [[kind for kind, _ in stop.signs] for stop in way(*received).stops]


def at(clock: str) -> str:
    return f"; Sat, 28 Nov 2026 {clock} +0000"


@pytest.mark.parametrize(
    ("value", "name", "reverse", "address"),
    [
        ("from a.example (b.example [192.0.2.1]) by c.example", "a.example", "b.example", "192.0.2.1"),
        ("from a.example (unknown [192.0.2.1]) by c.example", "a.example", "", "192.0.2.1"),
        ("from a.example (b.example. [2001:db8::1]) by c.example", "a.example", "b.example", "2001:db8::1"),
        ("from a.example (IDENT:root@b.example [192.0.2.1] (may be forged)) by c.example", "a.example", "b.example", "192.0.2.1"),
        ("from [192.0.2.1] (helo=a.example) by c.example", "a.example", "", "192.0.2.1"),
        ("from b.example ([192.0.2.1] helo=a.example) by c.example", "a.example", "b.example", "192.0.2.1"),
        ("from b.example ([192.0.2.1]:4711 helo=a.example) by c.example", "a.example", "b.example", "192.0.2.1"),
        ("from [IPv6:2001:db8::1] by c.example", "", "", "2001:db8::1"),
        ("from A.Example. (2001:DB8::1) by c.example with Microsoft SMTP Server", "a.example", "", "2001:db8::1"),
        ("from b.example[192.0.2.1] by c.example", "", "", ""),
        ("FROM a.example BY c.example", "a.example", "", ""),
    ],
)
def test_who_handed_it_over_is_found_in_what_servers_write(value: str, name: str, reverse: str, address: str) -> None:
    hop = read(value.encode())
    assert (hop.origin.name, hop.origin.reverse, hop.origin.address) == (name, reverse, address)
    assert hop.by.name == "c.example"


def test_the_other_clauses_are_read_too() -> None:
    hop = read(b"from a (b) by c (Postfix) via x with ESMTPS (TLS1.3) id 4F (y) for <d@e>; 28 Nov 2026 12:00 +0000")
    assert (hop.protocol, hop.id, hop.recipient, hop.by.name) == ("ESMTPS", "4F", "d@e", "c")
    assert hop.when is not None


def test_a_semicolon_in_a_comment_or_a_quoted_string_does_not_begin_the_date() -> None:
    hop = read(b'from a by b id "x;y" (p;q); 28 Nov 2026 12:00 +0000 (r;s)')
    assert hop.when is not None and hop.when.seconds == NOW


def test_the_oldest_hop_comes_first_and_zones_are_reckoned_with() -> None:
    found = way(
        "from a.example by b.example; 28 Nov 2026 06:00:00 -0500",
        "from b.example by c.example; 28 Nov 2026 12:00:05 +0100",
        date="28 Nov 2026 10:59:58 +0000",
    )
    assert [stop.delay for stop in found.stops] == [None, 5]
    assert found.total == 5
    assert found.written is not None and found.written.seconds == NOW - 3602
    assert [stop.signs for stop in found.stops] == [[], []]


def test_a_hop_without_a_date_leaves_the_delay_to_the_one_after_it() -> None:
    found = way(
        "from a.example by b.example" + at("10:00:00"), "from b.example by c.example", "from c.example by d.example" + at("10:01:00")
    )  # fmt: skip
    assert [stop.delay for stop in found.stops] == [None, None, 60]
    assert found.total == 60
    assert [kind for kind, _ in found.stops[1].signs] == ["date"]


def test_a_clock_that_is_behind_is_told_from_an_order_that_cannot_be() -> None:
    assert kinds("from a.x by b.x" + at("10:00:10"), "from b.x by c.x" + at("10:00:00")) == [[], ["clock"]]
    assert kinds("from a.x by b.x" + at("10:00:10"), "from b.x by c.x" + at("08:00:00")) == [[], ["order"]]


def test_a_date_in_the_future_is_told() -> None:
    assert kinds("from a.x by b.x; 29 Nov 2026 12:00:00 +0000") == [["clock"]]
    assert kinds("from a.x by b.x" + at("12:04:00")) == [[]]


def test_hops_that_do_not_join_are_told() -> None:
    apart = ["from a.example by relay.bank.com" + at("10:00:00"), "from dyn.isp.net ([198.51.100.3]) by mx.us.example" + at("10:00:01")]
    assert kinds(*apart) == [[], ["mismatch"]]


@pytest.mark.parametrize(
    ("by", "origin"),
    [
        ("mx1.example.co.uk", "out.example.co.uk"),
        ("localhost", "mx.example.com"),
        ("mail", "mx.example.com"),
        ("a.example.com", "localhost ([127.0.0.1])"),
        ("2002:a05:6402:5189:b0:5d0:2a8b:57b3", "mail-ot1-f41.google.com"),
        ("a.internal", "out.example.com"),
        ("other.example ([192.0.2.7])", "x.example.com ([192.0.2.7])"),
    ],
)
def test_hops_that_may_join_are_not_told(by: str, origin: str) -> None:
    assert kinds(f"from a by {by}" + at("10:00:00"), f"from {origin} by mx.example.org" + at("10:00:01")) == [[], []]


def test_suffixes_under_which_organisations_register_are_no_organisation() -> None:
    apart = ["from a by mx.bank.co.uk" + at("10:00:00"), "from thief.co.uk by mx.example.org" + at("10:00:01")]
    assert kinds(*apart) == [[], ["mismatch"]]


def test_a_foreign_name_with_a_private_address_is_told() -> None:
    assert kinds("from mail.bank.com (mail.bank.com [10.0.0.5]) by mx.example.org" + at("10:00:00")) == [["private"]]
    assert kinds("from pc.example.org (pc.example.org [10.0.0.5]) by mx.example.org" + at("10:00:00")) == [[]]
    assert kinds("from [10.0.0.5] by mx.example.org" + at("10:00:00")) == [[]]


def test_who_calls_himself_by_anothers_name_is_told() -> None:
    assert kinds("from mail.bank.com (dyn.isp.net [198.51.100.3]) by mx.example.org" + at("10:00:00")) == [["name"]]


def test_a_field_that_says_nothing_is_told_and_one_of_qmail_is_not() -> None:
    assert kinds("rubbish" + at("10:00:00")) == [["form"]]
    assert kinds("(qmail 7 invoked by uid 1000)" + at("10:00:00")) == [[]]
    assert kinds("") == [["form", "date"]]


@pytest.mark.parametrize(
    "octets",
    [b"(" * 4_000_000, b"from " * 800_000, b'"' * 4_000_001, b"[" * 4_000_000, b"a;" * 2_000_000, b"()" * 2_000_000, b"\\" * 4_000_000],
)
def test_four_megabytes_in_one_field_are_read_in_linear_time(octets: bytes) -> None:
    assert read(octets).when is None


def test_a_megabyte_of_clauses_makes_no_large_text() -> None:
    hop = read(b"from a by " + b"b" * 1_000_000 + b" id x; 28 Nov 2026 12:00 +0000")
    assert len(hop.by.name) <= 16384
    assert hop.when is not None
