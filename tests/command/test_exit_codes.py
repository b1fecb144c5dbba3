"""The exit code of the installed command, and the one line that goes with it."""

import socket

import pytest

from tests.command.caller import MESSAGE, Caller, two_addresses
from tests.obedient import Obedient
from tests.scripted import CAPABILITIES

# What the server answers to which command, the exit code, and what the line says of it.
ANSWERS: dict[str, tuple[dict[str, str], int, str]] = {
    "a greeting of 4xx": ({"greeting": "421 4.3.2 busy"}, 75, "4.3.2 busy"),
    "a greeting of 5xx": ({"greeting": "554 5.3.2 go away"}, 75, "5.3.2 go away"),
    "a greeting that is none": ({"greeting": "SSH-2.0-OpenSSH"}, 76, "does not speak SMTP"),
    "EHLO and HELO refused": ({"EHLO": "550 no", "HELO": "550 no"}, 75, "550 no"),
    "MAIL deferred": ({"MAIL": "451 4.7.1 greylisted"}, 75, "greylisted"),
    "MAIL refused": ({"MAIL": "550 5.7.1 not you"}, 69, "not you"),
    "MAIL refused for its size": ({"MAIL": "552 5.3.4 too big"}, 65, "too big"),
    "MAIL wants a login": ({"MAIL": "530 5.7.0 log in first"}, 77, "log in first"),
    "MAIL wants stronger login": ({"MAIL": "534 5.7.9 stronger"}, 77, "stronger"),
    "RCPT deferred": ({"RCPT": "450 4.2.1 later"}, 75, "later"),
    "RCPT refused": ({"RCPT": "550 5.1.1 nobody"}, 67, "nobody"),
    "RCPT refused without enhanced code": ({"RCPT": "553 what?"}, 67, "what?"),
    "RCPT with an enhanced code of another class": ({"RCPT": "550 4.1.1 nobody"}, 67, "nobody"),
    "RCPT wants a login": ({"RCPT": "550 5.7.8 who are you"}, 77, "who are you"),
    "the content refused": ({".": "554 5.7.1 spam"}, 65, "spam"),
    "the content deferred": ({".": "452 4.3.1 disk full"}, 75, "disk full"),
    "the content wants a login": ({".": "538 5.7.11 encrypt"}, 77, "encrypt"),
    "a farewell instead of an answer": ({"RCPT": "421 4.4.2 bye"}, 75, "bye"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_the_servers_answer_decides(caller: Caller, case: str) -> None:
    answers, code, says = ANSWERS[case]
    caller.server.answers = answers
    done = caller.run("r@x")
    line = done.stderr.decode()
    assert (done.returncode, done.stdout) == (code, b""), line
    assert line.startswith("sendmail: ") and line.count("\n") == 1 and says in line
    assert caller.server.deliveries == []


# The whole line, with R for the server's name, address and port.
LINES: dict[str, tuple[dict[str, str], str]] = {
    "refused": ({"RCPT": "550 5.1.1 no"}, "r@x: refused: R: 550 5.1.1 no (in reply to RCPT)"),
    "deferred": ({"RCPT": "450 4.2.1 no"}, "R: 450 4.2.1 no (in reply to RCPT)"),
    "the content refused": ({".": "554 no"}, "r@x: refused: R: 554 no (in reply to end of data)"),
    "a greeting": ({"greeting": "554 no"}, "R: the server does not serve us now: 554 no"),
    "too large": ({"EHLO": "250-x\n250 SIZE 9"}, "r@x: refused: R: the message has 85 octets, the server takes 9 at most"),
}


@pytest.mark.parametrize("case", LINES)
def test_the_line_says_who_what_where_and_why(caller: Caller, case: str) -> None:
    caller.server.answers, line = LINES[case]
    message = b"From: a@x\nTo: b@x\nDate: Thu, 1 Jan 1970 00:00:00 +0000\nMessage-ID: <1@x>\n\ntext\n"
    done = caller.run("r@x", message=message)
    where = f"127.0.0.1[127.0.0.1]:{caller.server.port}:"
    assert done.stderr.decode() == f"sendmail: {line.replace('R:', where)}\n"


@pytest.mark.parametrize("capabilities", [CAPABILITIES, ("CHUNKING",), ("PIPELINING",), ()], ids=len)
def test_the_code_is_the_same_whatever_the_server_offers(caller: Caller, capabilities: tuple[str, ...]) -> None:
    for answers, code in (({"RCPT": "550 no"}, 67), ({"MAIL": "550 no"}, 69), ({".": "554 no"}, 65), ({".": "451 no"}, 75)):
        caller.server.capabilities, caller.server.answers = capabilities, answers
        assert caller.run("r@x").returncode == code, answers
    caller.server.answers = {"DATA": "554 no"} if "CHUNKING" not in capabilities else {"BDAT": "554 no"}
    if "CHUNKING" not in capabilities:
        assert caller.run("r@x").returncode == 65


LOGINS: dict[str, tuple[dict[str, str], int]] = {
    "refused": ({"AUTH": "535 5.7.8 bad password"}, 77),
    "refused by any 5xx": ({"AUTH": "501 5.5.4 syntax"}, 77),
    "deferred": ({"AUTH": "454 4.7.0 try later"}, 75),
}


@pytest.mark.parametrize("case", LOGINS)
def test_a_refused_login_is_a_matter_of_permission(caller: Caller, case: str) -> None:
    answers, code = LOGINS[case]
    caller.server.mechanisms, caller.server.answers = "PLAIN", answers
    caller.refuse(code, "r@x", words={"user": "u", "password": "secret", "auth_without_tls": "on"})


def test_a_login_that_is_not_offered_may_be_offered_later(caller: Caller) -> None:
    words = {"user": "u", "password": "secret", "auth_without_tls": "on"}
    assert "does not offer AUTH" in caller.refuse(75, "r@x", words=words)
    caller.server.mechanisms = "NTLM"
    assert "NTLM" in caller.refuse(75, "r@x", words=words)


def test_tls_that_is_not_offered_may_be_offered_later(caller: Caller) -> None:
    assert "STARTTLS" in caller.refuse(75, "r@x", words={"tls": "on"})


def test_a_message_larger_than_the_servers_limit_is_not_sent(caller: Caller) -> None:
    caller.server.capabilities = ("SIZE 200", "PIPELINING")
    assert "200" in caller.refuse(65, "r@x", message=MESSAGE + b"x\n" * 100)
    assert not any(line.startswith("MAIL") for line in caller.server.commands)
    for limit in ("SIZE", "SIZE 0", "SIZE -5", "SIZE many", "SIZE 99999999999999999999999"):
        caller.server.capabilities = (limit,)
        caller.deliver("r@x", message=MESSAGE + b"x\n" * 100)


@pytest.mark.parametrize("words", [{"host": "127.0.0.1"}, {"host": "localhost"}, {"host": "[::1]"}, {"host": "::1"}])
def test_nobody_who_answers_may_answer_later(caller: Caller, words: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    line = caller.refuse(75, "r@x", words={**words, "port": str(port)})
    assert str(port) in line


def test_a_name_without_address_may_have_one_later(caller: Caller) -> None:
    line = caller.refuse(75, "r@x", words={"host": "smarthost.invalid", "timeout": "10"})
    assert "smarthost.invalid" in line


@pytest.mark.usefixtures("superuser")
@pytest.mark.parametrize("greeting", ["", "554 5.3.2 not here", "421 4.3.2 not now"])
def test_all_addresses_of_the_host_are_tried(caller: Caller, greeting: str) -> None:
    """At one of two addresses nobody listens, or somebody who serves nobody; at the other all is well."""
    command = two_addresses(caller)
    words = {"host": "smarthost.test"}
    if not greeting:
        assert caller.deliver(*command, "r@x", command="unshare", words=words).recipients == ["r@x"]
        return
    with Obedient(host="127.0.0.2", port=caller.server.port, answers={"greeting": greeting}) as other:
        assert caller.deliver(*command, "r@x", command="unshare", words=words).recipients == ["r@x"]
        caller.server.answers, other.answers = other.answers, caller.server.answers
        done = caller.run(*command, "r@x", command="unshare", words=words)
        assert (done.returncode, done.stderr, len(other.deliveries)) == (0, b"", 1)
        other.answers = caller.server.answers
        done = caller.run(*command, "r@x", command="unshare", words=words)
        assert done.returncode == 75 and greeting.encode() in done.stderr


CONFIGURATIONS: dict[str, tuple[str, str]] = {
    "an unknown word": ("host 127.0.0.1\nprot 25\n", 'pysendmail.conf:2: unknown word "prot"'),
    "a bad value": ("host 127.0.0.1\n\nport many\n", "pysendmail.conf:3: port"),
    "no host": ("from a@x\n", "host"),
    "not a configuration": ("root:$6$secret:19000::\n", "pysendmail.conf:1: not a configuration line"),
    "no default": ("account a\nhost 127.0.0.1\naccount b\nhost 127.0.0.1\n", "default"),
    "AUTH in clear": ("host 127.0.0.1\ntls off\nuser u\npassword secret\n", "auth_without_tls"),
    "no password": ("host 127.0.0.1\nuser u\n", "no password"),
    "no trust file": ("host 127.0.0.1\nport PORT\ntls_starttls off\ntls_trust_file FILE.pem\n", "pysendmail.conf.pem"),
}


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_what_is_wrong_with_the_configuration_is_named_with_file_and_line(caller: Caller, case: str) -> None:
    text, says = CONFIGURATIONS[case]
    file = caller.home / "pysendmail.conf"
    file.write_text(text.replace("PORT", str(caller.server.port)).replace("FILE", str(file)))
    file.chmod(0o600)
    line = caller.refuse(78, "-C", str(file), "r@x")
    assert says in line and str(file) in line
    assert "secret" not in line and "$6$" not in line


def test_without_any_configuration_it_says_where_it_belongs(caller: Caller) -> None:
    line = caller.refuse(78, "r@x", environ={"HOME": "/nonexistent"})
    assert "/nonexistent/.config/pysendmail/pysendmail.conf" in line and "/etc/pysendmail/pysendmail.conf" in line


@pytest.mark.parametrize("name", ["/nonexistent", "/", "/dev/null", "/dev/tty", "/etc/shadow", "x\udcff\u202e"])
def test_no_file_that_is_named_is_shown_or_waited_for(caller: Caller, name: str) -> None:
    line = caller.refuse(78, "-C", name, "r@x")
    assert "root:" not in line and "\u202e" not in line


def test_each_way_to_report_errors_tells_the_truth_by_the_exit_code(caller: Caller) -> None:
    caller.server.answers["RCPT"] = "550 5.1.1 nobody"
    for how in ("m", "p", "w", "e", "m", "x"):
        assert "nobody" in caller.refuse(67, f"-oe{how}", "r@x")
        assert "nobody" in caller.refuse(67, "-e", how, "r@x")


QUIET: dict[str, tuple[dict[str, str], bytes, list[str], int]] = {
    "refused": ({"RCPT": "550 no"}, MESSAGE, ["r@x"], 67),
    "not connected": ({"greeting": "554 no"}, MESSAGE, ["r@x"], 75),
    "empty": ({}, b"", ["r@x"], 65),
    "nobody": ({}, b"Subject: x\n\n", ["-t"], 64),
    "a bad address": ({}, MESSAGE, ["a@@b"], 65),
    "no account": ({}, MESSAGE, ["-a", "none", "r@x"], 78),
}


@pytest.mark.parametrize("case", QUIET)
@pytest.mark.parametrize("option", ["-oeq", "-eq", "-OErrorMode=quiet"])
def test_the_exit_code_only_mode_says_nothing(caller: Caller, case: str, option: str) -> None:
    answers, message, arguments, code = QUIET[case]
    caller.server.answers = answers
    done = caller.run(option, *arguments, message=message)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")
