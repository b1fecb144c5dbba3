"""Who sends and who receives: the envelope that the installed command makes of arguments, header and configuration."""

import os
import pathlib
import pwd

import pytest

from tests.command.caller import Caller
from tests.scripted import CAPABILITIES

BODY = b"\ntext\n"
OWN = "sender@example.org"
LOGIN = pwd.getpwuid(os.getuid()).pw_name

SENDERS: dict[str, tuple[list[str], str]] = {
    "none": ([], OWN),
    "an address": (["-f", "a@example.net"], "a@example.net"),
    "in angle brackets": (["-f", "<a@example.net>"], "a@example.net"),
    "with a name": (["-f", "Ann Lee <a@example.net>"], "a@example.net"),
    "with a comment": (["-f", "a@example.net (Ann)"], "a@example.net"),
    "unqualified": (["-f", "alice"], "alice@example.org"),
    "null in brackets": (["-f", "<>"], ""),
    "null in brackets, attached": (["-f<>"], ""),
    "null in brackets with blanks": (["-f", " < > "], ""),
    "empty": (["-f", ""], ""),
    "blank": (["-f", "  "], ""),
    "quoted": (["-f", '"a b"@example.net'], '"a b"@example.net'),
    "quoted without need": (["-f", '"ab"@example.net'], "ab@example.net"),
    "a source route": (["-f", "<@x.example,@y.example:a@example.net>"], "a@example.net"),
    "a domain literal": (["-f", "a@[192.0.2.1]"], "a@[192.0.2.1]"),
    "a UTF-8 domain": (["-f", "a@bücher.example"], "a@xn--bcher-kva.example"),
    "a leading dash": (["-f", "-a@example.net"], "-a@example.net"),
}


@pytest.mark.parametrize("case", SENDERS)
def test_the_envelope_sender_is_the_one_of_the_argument(caller: Caller, case: str) -> None:
    arguments, sender = SENDERS[case]
    delivery = caller.deliver(*arguments, "r@example.net", message=b"From: x@example.com\n" + BODY)
    assert delivery.sender == sender
    assert delivery.field("From") == ["x@example.com"]


@pytest.mark.parametrize("sender", ["a@@b", "a b@example.net", "a@b, c@d", "a@", "<a@b", "a@b>", "@b"])
def test_a_sender_that_is_no_address_sends_nothing(caller: Caller, sender: str) -> None:
    assert "sender" in caller.refuse(65, "-f", sender, "r@example.net")


WORDS: list[tuple[dict[str, str], list[str], str]] = [
    ({"sender_from_header": "on"}, [], "x@example.com"),
    ({"sender_from_header": "on"}, ["-f", "a@b.example"], "a@b.example"),
    ({"from": ""}, [], f"{LOGIN}@example.org"),
    ({"from": "", "maildomain": "mail.example"}, ["-f", "alice"], "alice@mail.example"),
    ({"from": "bücher@bücher.example"}, [], "bücher@xn--bcher-kva.example"),
    ({"null_sender": "bounces@example.org"}, ["-f", "<>"], "bounces@example.org"),
    ({"allow_from_override": "off"}, ["-f", "a@b.example"], OWN),
    ({"allow_from_override": "off"}, ["-f", "<>"], OWN),
    ({"maildomain": "bücher.example"}, ["-f", "alice"], "alice@xn--bcher-kva.example"),
]


@pytest.mark.parametrize(("words", "arguments", "sender"), WORDS)
def test_the_configuration_has_its_say_about_the_sender(
    caller: Caller, words: dict[str, str], arguments: list[str], sender: str
) -> None:
    delivery = caller.deliver(*arguments, "r@example.net", message=b"From: x@example.com\n" + BODY, words=words)
    assert delivery.sender == sender


@pytest.mark.parametrize(
    ("sender", "domain"), [("me@my.example", "my.example"), ("me@bücher.example", "xn--bcher-kva.example")]
)
def test_without_maildomain_the_accounts_own_domain_qualifies_names(caller: Caller, sender: str, domain: str) -> None:
    mailname = pathlib.Path("/etc/mailname")
    if mailname.exists():
        domain = mailname.read_text().strip()
    assert caller.deliver("-f", "alice", "r@x", words={"maildomain": "", "from": sender}).sender == f"alice@{domain}"


# name: (header, arguments, recipients)
RECIPIENTS: dict[str, tuple[str, str, list[str]]] = {
    "To, Cc and Bcc": ("To: a@x\nCc: b@x\nBcc: c@x", "-t", ["a@x", "b@x", "c@x"]),
    "only the arguments without -t": ("To: a@x\nCc: b@x\nBcc: c@x", "r@x", ["r@x"]),
    "arguments in addition": ("To: a@x", "-t r@x", ["a@x", "r@x"]),
    "each once": ("To: a@x, A@x\nCc: a@X\nBcc: a@x", "-t a@x", ["a@x", "A@x"]),
    "Bcc alone": ("Bcc: a@x", "-t", ["a@x"]),
    "Bcc in any spelling": ("bCC: a@x\nBCC :b@x\nBcc\t: c@x", "-t", ["a@x", "b@x", "c@x"]),
    "several To": ("To: a@x\nTo: b@x", "-t", ["a@x", "b@x"]),
    "folded": ("To: a@x,\n b@x,\n\tc@x", "-t", ["a@x", "b@x", "c@x"]),
    "a quoted local part": ('To: "a, b"@x, "c@d"@x', "-t", ['"a, b"@x', '"c@d"@x']),
    "comments": ("To: a@x (Ann, of (nested) fame), (who?) b@x", "-t", ["a@x", "b@x"]),
    "names": ('To: Ann <a@x>, "Lee, Bob" <b@x>', "-t", ["a@x", "b@x"]),
    "encoded words": ("To: =?utf-8?q?J=C3=B6rg=2C?= <a@x>", "-t", ["a@x"]),
    "UTF-8 names": ("To: Jörg <a@x>", "-t", ["a@x"]),
    "a group": ("To: friends: a@x, Bob <b@x>;, c@x", "-t", ["a@x", "b@x", "c@x"]),
    "an empty group": ("To: undisclosed-recipients:;\nBcc: a@x", "-t", ["a@x"]),
    "source routes": ("To: <@h1,@h2:a@x>", "-t", ["a@x"]),
    "a domain literal": ("To: a@[192.0.2.1], b@[IPv6:::1]", "-t", ["a@[192.0.2.1]", "b@[IPv6:::1]"]),
    "spaces around dots": ("To: a . b @ x . y", "-t", ["a.b@x.y"]),
    "semicolons": ("To: a@x; b@x", "-t", ["a@x", "b@x"]),
    "blanks between": ("To: a@x b@x", "-t", ["a@x", "b@x"]),
    "words before brackets": ("To: alice@evil <bob@x>", "-t", ["bob@x"]),
    "unqualified": ("To: alice, Bob <bob>", "-t", ["alice@example.org", "bob@example.org"]),
    "an unqualified argument": ("", "alice", ["alice@example.org"]),
    "empty pieces": ("To: , a@x,, b@x,", "-t", ["a@x", "b@x"]),
    "an empty To": ("To:\nCc: a@x", "-t", ["a@x"]),
    "a UTF-8 domain": ("To: a@bücher.example", "-t", ["a@xn--bcher-kva.example"]),
    "a domain in two spellings": ("To: a@bücher.example\nCc: a@xn--bcher-kva.example", "-t", ["a@xn--bcher-kva.example"]),
    "no recipient from an unparsable field": ("To: @@@\nCc: a@x", "-t", ["a@x"]),
    "Apparently-To is no recipient field": ("Apparently-To: b@x\nTo: a@x", "-t", ["a@x"]),
    "the Resent block alone": ("Resent-To: a@x\nResent-Bcc: b@x\nTo: c@x\nBcc: d@x", "-t", ["a@x", "b@x"]),
    "the first Resent block alone": (
        "Resent-From: me@x\nResent-To: a@x\nReceived: x\nResent-From: you@x\nResent-To: b@x\nTo: c@x", "-t", ["a@x"]),
    "To when the Resent block names nobody": ("Resent-From: me@x\nTo: c@x", "-t", ["c@x"]),
    "a line of blanks inside": ("To: a@x,\n   \n b@x", "-t", ["a@x", "b@x"]),
    "no field from the text": ("To: a@x\nthis is text\nBcc: b@x", "-t", ["a@x"]),
    "no field from behind an mbox line in the text": ("To: a@x\n\nFrom here\nBcc: b@x", "-t", ["a@x"]),
}  # fmt: skip


@pytest.mark.parametrize("case", RECIPIENTS)
def test_the_recipients_are_these_and_no_others(caller: Caller, case: str) -> None:
    header, arguments, recipients = RECIPIENTS[case]
    delivery = caller.deliver(*arguments.split(), message=header.encode() + b"\n" + BODY if header else BODY)
    assert delivery.recipients == recipients


def test_a_bare_cr_makes_no_new_field(caller: Caller) -> None:
    delivery = caller.deliver("-t", message=b"To: a@x\nSubject: x\rBcc: b@x\n" + BODY)
    assert delivery.recipients == ["a@x"]
    assert delivery.field("Subject") == ["x Bcc: b@x"]


def test_who_asks_for_it_has_the_arguments_taken_away_from_the_header(caller: Caller) -> None:
    words = {"extract_minus_args": "on"}
    message = b"To: a@x, b@x\nCc: c@x\n" + BODY
    assert caller.deliver("-t", "B@x", "c@X", message=message, words=words).recipients == ["a@x", "b@x"]
    caller.refuse(64, "-t", "a@x,b@x,c@x", message=message, words=words)


NOBODY = ["", "To: undisclosed-recipients:;\n", "Subject: a@x\n", "To:\nCc: ,\n"]


@pytest.mark.parametrize("header", NOBODY)
def test_without_any_recipient_nothing_is_sent(caller: Caller, header: str) -> None:
    assert "no recipients" in caller.refuse(64, "-t", message=header.encode() + BODY)


def test_without_any_recipient_the_message_is_not_even_read(caller: Caller) -> None:
    process = caller.start("-i")
    assert process.wait(60) == 64
    process.communicate()


BAD = ["a@@b", "a@", "@b", "a@b@c", "<a@b", "a b c", "a@[", '"a@b', "a@b..c", "a,b@@c"]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("where", ["argument", "header"])
def test_a_bad_address_among_good_ones_is_named_and_nothing_is_sent(caller: Caller, bad: str, where: str) -> None:
    if where == "argument":
        line = caller.refuse(65, "good@example.net", bad)
    else:
        line = caller.refuse(65, "-t", message=f"To: good@example.net, {bad}\n".encode() + BODY)
    assert any(piece in line for piece in (bad, bad.split(",")[-1], bad.split()[0], bad.strip('"<')))


def test_a_setting_sends_to_the_good_ones_and_reports_the_bad(caller: Caller) -> None:
    done = caller.run("good@example.net", "bad@@x", words={"bad_recipients": "skip"})
    assert done.returncode == 65
    assert [d.recipients for d in caller.server.deliveries] == [["good@example.net"]]
    assert b"bad@@x" in done.stderr and b"accepted for good@example.net" in done.stderr


def test_aliases_are_expanded_and_each_of_their_members_counts_once(caller: Caller) -> None:
    (caller.home / "aliases").write_text("crew: ann@x, bob\nbob: robert@y\nroot: ann@x\n")
    delivery = caller.deliver("crew", "root", "ROBERT@y", "ann@X", words={"aliases": str(caller.home / "aliases")})
    assert delivery.recipients == ["ann@x", "robert@y", "ROBERT@y"]


def test_warnings_about_odd_lists_go_to_the_log_only(caller: Caller) -> None:
    caller.deliver("-t", message=b"To: a@x; b@x\nCc: c@x d@x\n" + BODY)
    assert len([line for line in caller.log if "note: to:" in line or "note: cc:" in line]) == 2


def test_a_utf8_local_part_needs_smtputf8(caller: Caller) -> None:
    delivery = caller.deliver("jörg@example.net")
    assert delivery.recipients == ["jörg@example.net"] and "SMTPUTF8" in delivery.sender_words
    assert "SMTPUTF8" not in caller.deliver("j@bücher.example").sender_words
    caller.server.capabilities = tuple(word for word in CAPABILITIES if word != "SMTPUTF8")
    assert "SMTPUTF8" in caller.refuse(65, "jörg@example.net")
    assert "SMTPUTF8" in caller.refuse(65, "-f", "jörg@example.net", "r@example.net")


def test_delivery_reports_are_asked_for_only_where_they_are_offered(caller: Caller) -> None:
    arguments = ("-N", "failure", "-R", "hdrs", "-V", "id=1", "r@example.net")
    delivery = caller.deliver(*arguments)
    assert {"RET=HDRS", "ENVID=id+3D1"} <= set(delivery.sender_words)
    assert delivery.recipient_words == [["NOTIFY=FAILURE", "ORCPT=rfc822;r@example.net"]]
    caller.server.capabilities = tuple(word for word in CAPABILITIES if word != "DSN")
    delivery = caller.deliver(*arguments)
    assert delivery.recipient_words == [[]]
    assert [word for word in delivery.sender_words if not word.startswith("SIZE=")] == []


def test_nothing_is_delivered_here_and_no_forward_file_is_read(caller: Caller) -> None:
    login = pwd.getpwuid(os.getuid()).pw_name
    (caller.home / ".forward").write_text("somebody@else.example\n")
    assert caller.deliver(login, environ={"MAIL": str(caller.home / "mailbox")}).recipients == [f"{login}@example.org"]
    assert not (caller.home / "mailbox").exists()
