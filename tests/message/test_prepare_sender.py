"""Who sends: the reverse-path of the envelope, and the address by which an account is chosen."""

from typing import Any

import pytest

from pysendmail import errors
from pysendmail.message.header import Field, HeaderReader
from pysendmail.message.prepare import header_from
from tests.message.submission import submit

MESSAGE = b"From: Writer <w@from.org>\nTo: r@x.org\n\n"


@pytest.mark.parametrize(
    ("changed", "sender"),
    [
        ({}, b"alice@example.org"),
        ({"account_from": b"acc@x.org"}, b"acc@x.org"),
        ({"account_from": b"acc"}, b"acc@example.org"),
        ({"account_from": b""}, b"alice@example.org"),
        ({"sender": b"s@x.org", "account_from": b"acc@x.org"}, b"s@x.org"),
        ({"sender": b"<s@x.org>"}, b"s@x.org"),
        ({"sender": b"Name <s@x.org>"}, b"s@x.org"),
        ({"sender": b"root"}, b"root@example.org"),
        ({"sender": b""}, b""),
        ({"sender": b"<>", "account_from": b"acc@x.org"}, b""),
        ({"sender": b"<>", "sender_from_header": True}, b""),
        ({"sender": b"u@b\xc3\xbccher.example"}, b"u@xn--bcher-kva.example"),
        ({"sender": b"\xc3\xbc@x.org"}, b"\xc3\xbc@x.org"),
        ({"sender_from_header": True, "account_from": b"acc@x.org"}, b"w@from.org"),
        ({"sender_from_header": True, "sender": b"s@x.org"}, b"s@x.org"),
        ({"login": b"a b"}, b'"a b"@example.org'),
        ({"maildomain": b""}, b"alice"),
    ],
)
def test_the_envelope_sender_is_chosen_in_this_order(changed: dict[str, Any], sender: bytes) -> None:
    assert submit(MESSAGE, **changed).sender == sender


@pytest.mark.parametrize(
    ("header", "sender"),
    [
        (b"From: w\n", b"w@example.org"),
        (b"From: u@b\xc3\xbccher.example\n", b"u@xn--bcher-kva.example"),
        (b"Resent-From: n@x.org\nResent-To: m@x.org\nFrom: w@x.org\n", b"n@x.org"),
        (b"From:\nFrom: second@x.org\n", b"second@x.org"),
        (b"From: first@x.org, other@x.org\nFrom: second@x.org\n", b"first@x.org"),
        (b"Subject: none\n", b"acc@x.org"),
        (b"From: John Smith\n", b"acc@x.org"),
    ],
)
def test_the_from_field_gives_the_sender_where_it_is_to(header: bytes, sender: bytes) -> None:
    prepared = submit(header + b"\n", b"r@x.org", sender_from_header=True, account_from=b"acc@x.org")
    assert prepared.sender == sender


@pytest.mark.parametrize(
    "sender", [b"a@@x.org", b"a@x.org, b@x.org", b"John Smith", b"u@\xff.org", b"u@\xcd\xb8.org", b"a@x.org\r\nDATA"]
)
def test_a_sender_that_is_no_address_is_refused(sender: bytes) -> None:
    with pytest.raises(errors.DataError):
        submit(MESSAGE, sender=sender)


def test_an_account_whose_from_is_no_address_is_an_error_of_the_configuration() -> None:
    with pytest.raises(errors.ConfigError, match="from"):
        submit(MESSAGE, account_from=b"a@@x.org")


def fields(header: bytes) -> list[Field]:
    reader = HeaderReader()
    reader.feed(header)
    reader.finish()
    return reader.fields


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"From: A <a@x.org>\n", b"a@x.org"),
        (b"from :root (Cron Daemon)\n", b"root"),
        (b"To: a@x.org\n", None),
        (b"From:\n", None),
        (b"From: John Smith\n", None),
        (b"From: John Smith\nFrom: b@x.org\n", None),
        (b"From: a@B\xc3\xbccher.example\n", b"a@xn--bcher-kva.example"),
        (b"From: a@\xff.example\n", None),
        (b"From: a@\xcd\xb8.example\n", b"a@\xcd\xb8.example"),
        (b"Resent-From: n@x.org\nFrom: a@x.org\n", b"n@x.org"),
        (b"Resent-To: n@x.org\nReceived: y\nResent-From: o@x.org\nFrom: a@x.org\n", b"a@x.org"),
    ],
)
def test_the_account_is_chosen_by_this_address(header: bytes, found: bytes | None) -> None:
    assert header_from(fields(header)) == found


@pytest.mark.parametrize(
    ("message", "address"),
    [
        (b"From: root\nTo: a@x.org\n\n", b"root@example.org"),
        (b"To: a@x.org\n\n", b"alice@example.org"),
        (b"Resent-To: a@x.org\nFrom: b@x.org\n\n", b"alice@example.org"),
    ],
)
def test_the_address_in_the_final_header_is_told(message: bytes, address: bytes) -> None:
    assert header_from(submit(message).fields) == address
