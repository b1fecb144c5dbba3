"""What msmtp's own tests ask for, in the forms in which they call it; the server, which they name there, is configured."""

import email.utils
import os
import re
from email.header import decode_header, make_header

import pytest

from tests.command.caller import Caller
from tests.obedient import Delivery

# Addresses as hard to find as those of RFC 2822's appendix A; folded, commented, in groups, in fields that come again.
HEADER = """\
From: Writer One <writer@example.com>
To: a1@example.com,
\t=?utf-8?B?w4Rubmk=?= <a2@example.com>, Two
\tWords <a3@example.com>,
Cc: local4, "B; \\"Quoted\\" Name" <a5@example.com>
To: Some Group:Member 1 <a6@example.com>,a7@example.com,Member <a8@example.com>;
Cc: Nobody recipients:;
To: "C Title: Private Account" <a9@example.com>
To: Chap(good \\) one) <a10(his name)@example.net(that host)>
Cc:Group(of people)
     :First <a11@(their's host.)example.com>,
              local12, \n\t        Person <a13@example.net> (a friend); (and the end of it)
Bcc:(No list)(begins)Nobody recipients  :(nobody(known))  ;
Bcc: hidden@example.com
Subject: Test

This is a test.
"""
EVERYBODY = [
    "a1@example.com", "a2@example.com", "a3@example.com", "local4@example.org", "a5@example.com", "a6@example.com",
    "a7@example.com", "a8@example.com", "a9@example.com", "a10@example.net", "a11@example.com", "local12@example.org",
    "a13@example.net", "hidden@example.com",
]  # fmt: skip


def sent(caller: Caller, *arguments: str, **words: str) -> Delivery:
    return caller.deliver(*arguments, message=HEADER.encode(), words={"from": "", "set_from_header": "on", **words})


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_it_can_be_run_at_all(caller: Caller, option: str) -> None:
    done = caller.run(option, message=b"")
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout


@pytest.mark.parametrize("name", [(), ("-F", "Test User")])
def test_the_from_field_shows_the_sender_and_the_recipient_is_that_of_the_arguments(
    caller: Caller, name: tuple[str, ...]
) -> None:
    delivery = sent(caller, "--from", "test@example.com", *name, "recipient@example.com")
    # Unlike msmtp we let the author's name stay where -F gives another one.
    assert delivery.recipients == ["recipient@example.com"] and delivery.field("From") == ["Writer One <test@example.com>"]


@pytest.mark.parametrize("name", ["Test User", "Test Üser"])
def test_a_name_for_an_added_from_field_is_encoded_where_it_has_to_be(caller: Caller, name: str) -> None:
    environ = {"LANG": "en_US.UTF-8", "LC_ALL": "en_US.UTF-8"}
    message = b"To: x@example.net\n\ntext\n"
    delivery = caller.deliver("--from", "test@example.com", "-F", name, "r@example.com", message=message, environ=environ)
    (field,) = delivery.field("From")
    assert str(make_header(decode_header(field))) == f"{name} <test@example.com>"
    assert field.isascii() and (name.isascii() or field.lower().startswith("=?utf-8?"))


def test_sender_and_recipients_are_those_of_the_header_when_that_is_asked_for(caller: Caller) -> None:
    delivery = sent(caller, "--read-envelope-from", "--read-recipients")
    assert delivery.sender == "writer@example.com" and delivery.recipients == EVERYBODY
    assert delivery.field("From") == ["Writer One <writer@example.com>"]
    assert not re.search(rb"(?im)^bcc", delivery.header) and b"hidden@" not in delivery.data


def test_date_and_message_id_are_added(caller: Caller) -> None:
    delivery = sent(caller, "--read-envelope-from", "--read-recipients")
    (date,) = delivery.field("Date")
    assert email.utils.format_datetime(email.utils.parsedate_to_datetime(date)) == date
    assert re.fullmatch(r"<.+@example\.com>", delivery.field("Message-ID")[0])


def test_a_login_has_the_password_that_a_command_prints(caller: Caller) -> None:
    caller.server.mechanisms = "PLAIN"
    words = {"auth": "plain", "user": "testuser", "passwordeval": "echo testpassword", "auth_without_tls": "on"}
    delivery = sent(caller, "--from", "test@example.com", "recipient@example.com", **words)
    assert delivery.recipients == ["recipient@example.com"]
    assert any(line.startswith("AUTH PLAIN ") for line in caller.server.commands)


@pytest.mark.parametrize(
    "option", ["--host=localhost", "--port=25", "--auth=plain", "--user=x", "--passwordeval=id", "--set-from-header=on"]
)
def test_what_a_configuration_has_to_say_is_no_option(caller: Caller, option: str) -> None:
    assert option.partition("=")[0] in caller.refuse(os.EX_USAGE, option, "recipient@example.com")
