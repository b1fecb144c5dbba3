"""`sendmail -bs` speaks SMTP on standard input and output, and its replies tell the truth."""

import email.message
import os
import pathlib
import shutil
import signal
import smtplib
import socket
import subprocess
import threading

import pytest

from tests.command.caller import LIMIT, Caller, field_names, state, terminal, unread, until, until_read
from tests.command.piped import HEADER, PipedSMTP, dialogue
from tests.conftest import skip
from tests.obedient import SILENCE

SCRIPT = b"HELO me\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<r@example.net>\r\nDATA\r\nSubject: x\r\n\r\nt\r\n.\r\n"


def test_a_message_is_repaired_as_any_other_and_leaves_with_the_envelope_of_the_session(caller: Caller) -> None:
    with dialogue(caller) as one:
        assert one.say("EHLO me").startswith("250-")
        assert one.say("MAIL FROM:<ann@example.org> BODY=8BITMIME")[:9] == "250 2.1.0"
        assert one.say("RCPT TO:<joe@example.net>")[:9] == "250 2.1.5"
        assert one.say("DATA")[:3] == "354"
        one.write(b"Subject: hi\nBcc: secret@example.net\nTo: other@example.net\n\n..x\nbare\rcr\n")
        said = one.say(".", "\n")
        assert said.startswith("250 2.0.0 Ok: ") and "was accepted by 127.0.0.1" in said
        assert one.say("QUIT") == "221 2.0.0 Bye"
        assert one.end() == (0, b"")
    (got,) = caller.server.deliveries
    assert (got.sender, got.recipients) == ("ann@example.org", ["joe@example.net"])
    assert field_names(got) == ["subject", "to", "from", "date", "message-id"]
    assert got.body == b".x\r\nbare\r\ncr\r\n"
    assert any("pickup" in line and "from=<ann@example.org>" in line for line in caller.log)


def test_the_dialogue_of_symfony(caller: Caller) -> None:
    with dialogue(caller, "-i") as one:
        assert one.say("HELO [127.0.0.1]")[:3] == "250"
        for number in (1, 2):
            assert one.say("MAIL FROM:<bounce@example.org>")[:3] == "250"
            assert one.say(f"RCPT TO:<r{number}@example.net>")[:3] == "250"
            assert one.say("DATA")[:3] == "354"
            one.write(HEADER + b"\r\nnumber %d\r\n..dot\r\n" % number)
            assert one.say("\r\n.")[:3] == "250"
        assert one.say("RSET")[:3] == "250"
        assert one.say("QUIT")[:3] == "221"
        assert one.end() == (0, b"")
    assert [(got.recipients, got.body) for got in caller.server.deliveries] == [
        ([f"r{number}@example.net"], b"number %d\r\n.dot\r\n\r\n" % number) for number in (1, 2)
    ]


def test_the_dialogue_of_nmh_which_asks_for_the_recipients_first(caller: Caller) -> None:
    with dialogue(caller, "-odb", "-oem", "-om") as one:
        assert one.say("EHLO host")[:3] == "250"
        for end in ("RSET", "DATA"):
            assert one.say("MAIL FROM:<ann@example.org>")[:3] == "250"
            for name in ("joe", "jim"):
                assert one.say(f"RCPT TO:<{name}@example.net>")[:3] == "250"
            said = one.say(end)
        assert said[:3] == "354"
        one.write(HEADER + b"\r\ntext\r\n")
        assert one.say(".")[:3] == "250"
        assert one.say("QUIT")[:3] == "221"
    assert [got.recipients for got in caller.server.deliveries] == [["joe@example.net", "jim@example.net"]]


def test_python_sends_over_a_socket(caller: Caller) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        process = caller.start("-bs", stdin=theirs, stdout=theirs)
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Bcc"] = "ann@example.org", "bob@example.net", "secret@example.net"
    message["Subject"] = "grüße"
    message.set_content("text äöü\n.\n..\n")
    with process, PipedSMTP(ours) as client:
        assert client.send_message(message) == {}
        assert client.sendmail("ann@example.org", ["one@example.net", "two@example.net"], b"Subject: 2\n\nx") == {}
        assert client.docmd("NOOP")[0] == 250
        client.quit()
        assert process.wait(LIMIT) == 0
    first, second = caller.server.deliveries
    assert first.recipients == ["bob@example.net", "secret@example.net"]
    assert b"secret" not in first.data
    assert b"\r\n.\r\n..\r\n" in first.data
    assert second.recipients == ["one@example.net", "two@example.net"]


def test_swaks_sends_through_a_pipe(caller: Caller) -> None:
    swaks = shutil.which("swaks")
    if swaks is None:
        skip("swaks is not installed")
    caller.configure()
    done = subprocess.run(
        [str(swaks), "--pipe", f"{caller.sendmail} -bs", "--from", "ann@example.org", "--to", "joe@example.net,jim@example.net", "--body", "from swaks"],
        env=caller.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (got,) = caller.server.deliveries
    assert got.recipients == ["joe@example.net", "jim@example.net"]
    assert b"from swaks" in got.body


def test_everything_may_come_at_once_and_the_input_may_end_without_quit(caller: Caller) -> None:
    script = b"EHLO me\nMAIL FROM:<a@example.org>\nRCPT TO:<r@example.net>\nDATA\nSubject: x\n\nt\n.\n"
    done = caller.run("-bs", message=script)
    assert done.returncode == 0
    assert [line[:3] for line in done.stdout.decode().splitlines() if line[3] != "-"] == ["220", "250", "250", "250", "354", "250"]
    assert len(caller.server.deliveries) == 1


@pytest.mark.parametrize("end", [b"DATA\r\nSubject: x\r\n\r\nhalf", b"DATA\r\nSubject: x\r\n\r\nhalf\r\n.", b"DATA\r\n", b"BDAT 10 LAST\r\n12345"])
def test_an_input_that_ends_within_a_message_sends_nothing(caller: Caller, end: bytes) -> None:
    done = caller.run("-bs", message=b"HELO me\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<r@example.net>\r\n" + end)
    assert done.returncode == 75
    assert done.stderr == b"sendmail: the input ended within a message, which was not sent\n"
    assert caller.server.messages == []


REPLIES = [
    ({"RCPT": "550 5.1.1 nobody"}, "550 5.1.1 "),
    ({"RCPT": "450 4.2.1 later"}, "451 4.2.1 "),
    ({"MAIL": "550 5.7.1 not you"}, "550 5.7.1 "),
    ({".": "554 5.7.1 spam"}, "554 5.7.1 "),
    ({".": "452 4.3.1 full"}, "451 4.3.1 "),
    ({"greeting": "554 5.3.2 go away"}, "451 4.4.0 "),
    ({"MAIL": "530 5.7.0 log in"}, "451 4.7.0 "),
    ({"MAIL": "552 5.3.4 too big"}, "552 5.3.4 "),
]


@pytest.mark.parametrize(("answers", "expected"), REPLIES)
def test_the_reply_to_the_end_says_what_the_smarthost_said(caller: Caller, answers: dict[str, str], expected: str) -> None:
    caller.server.answers = answers
    with dialogue(caller) as one:
        one.say("HELO me")
        said = one.send(HEADER + b"\r\ntext\r\n")
        assert said.startswith(expected), said
        assert next(iter(answers.values())).split(" ", 2)[2] in said
        assert one.say("QUIT")[:3] == "221"
        assert one.end() == (0, b"")
    assert caller.server.deliveries == []


def test_recipients_that_differ_get_one_reply_that_names_each(caller: Caller) -> None:
    caller.server.answers = {"RCPT TO:<bad@": "550 5.1.1 nobody", "RCPT TO:<later@": "450 4.2.1 later"}
    with dialogue(caller) as one:
        one.say("HELO me")
        said = one.send(HEADER + b"\r\ntext\r\n", "bad@example.net", "good@example.net")
        assert said.startswith("550-5.1.1 bad@example.net: refused: ")
        assert said.endswith("550 5.1.1 the message was accepted for good@example.net")
        said = one.send(HEADER + b"\r\ntext\r\n", "bad@example.net", "later@example.net")
        assert said.startswith("451-4.2.1 bad@example.net: refused: ") and "later@example.net: not sent" in said


def test_with_a_queue_what_is_committed_is_answered_at_once(caller: Caller, tmp_path: pathlib.Path) -> None:
    with dialogue(caller, "-odq", words={"queue": str(tmp_path / "queue.db")}) as one:
        one.say("EHLO me")
        one.say("MAIL FROM:<ann@example.org> RET=HDRS ENVID=id+2B1")
        one.say("RCPT TO:<joe@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;joe+2Bx@example.org")
        one.say("RCPT TO:<jim@example.net> NOTIFY=NEVER")
        one.say("RCPT TO:<jil@example.net>")
        one.say("DATA")
        one.write(HEADER + b"\r\ntext\r\n")
        said = one.say(".")
        assert said.startswith("250 2.0.0 Ok: queued as ")
        assert one.say("QUIT")[:3] == "221"
        assert one.end() == (0, b"")
    assert caller.server.connections == 0
    assert said.rpartition(" ")[2].encode() in caller.run("-bp", words={"queue": str(tmp_path / "queue.db")}).stdout
    assert caller.run("-q", words={"queue": str(tmp_path / "queue.db")}).returncode == 0
    (got,) = caller.server.deliveries
    assert got.sender_words[-2:] == ["RET=HDRS", "ENVID=id+2B1"]
    words = dict(zip(got.recipients, got.recipient_words, strict=True))
    assert words == {
        "joe@example.net": ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;joe+2Bx@example.org"],
        "jim@example.net": ["NOTIFY=NEVER", "ORCPT=rfc822;jim@example.net"],
        "jil@example.net": [],
    }


def test_parameters_of_reports_reach_the_smarthost_without_a_queue_too(caller: Caller) -> None:
    with dialogue(caller) as one:
        one.say("EHLO me")
        one.say("MAIL FROM:<ann@example.org> RET=FULL ENVID=xyz")
        one.say("RCPT TO:<joe@example.net> NOTIFY=FAILURE")
        one.say("DATA")
        one.write(HEADER + b"\r\ntext\r\n")
        assert one.say(".")[:3] == "250"
    (got,) = caller.server.deliveries
    assert got.sender_words[-2:] == ["RET=FULL", "ENVID=xyz"]
    assert got.recipient_words == [["NOTIFY=FAILURE", "ORCPT=rfc822;joe@example.net"]]


def test_in_the_background_each_message_leaves_though_the_session_goes_on(caller: Caller, tmp_path: pathlib.Path) -> None:
    with dialogue(caller, "-odb", words={"queue": str(tmp_path / "queue.db")}) as one:
        one.say("EHLO me")
        for number in range(5):
            assert one.send(HEADER + b"\r\nnumber %d\r\n" % number)[:21] == "250 2.0.0 Ok: queued "
        until(lambda: len(caller.server.deliveries) == 5)
        assert one.say("QUIT")[:3] == "221"
        assert one.end() == (0, b"")


def test_a_session_that_ends_at_once_leaves_its_messages_in_good_hands(caller: Caller, tmp_path: pathlib.Path) -> None:
    one = b"MAIL FROM:<a@example.org>\nRCPT TO:<r@example.net>\nDATA\nSubject: x\n\nt\n.\n"
    done = caller.run("-bs", "-odb", message=b"HELO me\n" + one * 3 + b"QUIT\n", words={"queue": str(tmp_path / "queue.db")})
    assert (done.returncode, done.stderr) == (0, b"")
    until(lambda: len(caller.server.deliveries) == 3)


def test_interactively_whom_the_smarthost_puts_off_is_queued(caller: Caller, tmp_path: pathlib.Path) -> None:
    caller.server.answers = {"RCPT TO:<later@": "450 4.2.1 later"}
    words = {"queue": str(tmp_path / "queue.db")}
    with dialogue(caller, "-odi", words=words) as one:
        one.say("EHLO me")
        said = one.send(HEADER + b"\r\ntext\r\n", "good@example.net", "later@example.net")
        assert said.startswith("250 2.0.0 Ok: queued as ")
    assert [got.recipients for got in caller.server.deliveries] == [["good@example.net"]]
    assert b"later@example.net" in caller.run("-bp", words=words).stdout


def test_a_configuration_that_is_wrong_is_told_in_the_greeting(caller: Caller) -> None:
    with dialogue(caller, greeted=False, words={"prot": "25"}) as one:
        said = one.hear()
        assert said.startswith("421 4.3.5 ") and 'unknown word "prot"' in said
        code, err = one.end()
    assert code == 78
    assert err.count(b"\n") == 1 and b"prot" in err


def test_a_caller_that_says_nothing_is_left_alone_after_the_timeout(caller: Caller) -> None:
    with dialogue(caller, words={"timeout": "1"}) as one:
        assert one.hear() == "421 4.4.2 nothing came for 1 seconds"
        assert one.end() == (75, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_between_commands_is_told_and_ends_the_session(caller: Caller, number: signal.Signals) -> None:
    with dialogue(caller) as one:
        one.say("HELO me")
        one.process.send_signal(number)
        assert one.hear() == f"421 4.3.0 ended by signal {number.value}"
        assert one.end() == (75, b"sendmail: ended by signal %d\n" % number.value)


def test_a_signal_within_a_message_sends_nothing(caller: Caller) -> None:
    with dialogue(caller) as one:
        one.write(b"HELO me\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<r@example.net>\r\nDATA\r\nSubject: x\r\n\r\nhalf\r\n")
        for _ in range(4):
            one.hear()
        assert one.process.stdin is not None
        until_read(one.process.stdin.fileno())
        one.process.send_signal(signal.SIGTERM)
        assert one.hear()[:3] == "421"
        assert one.end()[0] == 75
    assert caller.server.messages == []


def test_a_signal_while_the_smarthost_thinks_leaves_a_doubt_and_says_so(caller: Caller) -> None:
    caller.server.answers = {".": SILENCE}
    with dialogue(caller) as one:
        one.write(SCRIPT)
        assert [one.hear()[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        until(lambda: caller.server.messages)
        one.process.send_signal(signal.SIGTERM)
        said = one.hear()
        assert said.startswith("451 4.4.2 ") and "not known" in said
        assert one.hear() == "421 4.3.0 ended by signal 15"
        assert one.end()[0] == 75


def test_a_signal_that_comes_with_the_answer_does_not_hide_it(caller: Caller) -> None:
    gate = caller.server.gates["."] = threading.Event()
    with dialogue(caller) as one:
        one.write(SCRIPT + SCRIPT)
        assert [one.hear()[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        until(lambda: caller.server.messages)
        one.process.send_signal(signal.SIGSTOP)
        until(lambda: state(one.process.pid) == "T")
        gate.set()
        until(lambda: caller.server.deliveries)
        until(lambda: unread(caller.server.port))
        one.process.send_signal(signal.SIGTERM)
        one.process.send_signal(signal.SIGCONT)
        assert one.hear().startswith("250 2.0.0 Ok: ")
        while (said := one.hear())[:3] in ("250", "354"):
            pass
        assert said == "421 4.3.0 ended by signal 15"
        assert one.end()[0] == 75


def test_a_client_that_hears_nothing_stops_the_session_and_not_the_message_before(caller: Caller) -> None:
    with dialogue(caller) as one:
        one.say("HELO me")
        assert one.process.stdout is not None
        one.process.stdout.close()
        one.write(b"MAIL FROM:<a@example.org>\r\n")
        assert one.process.wait(LIMIT) == 75
        assert one.process.stderr is not None
        assert one.process.stderr.read() == b"sendmail: nobody takes our answers any more; the session is over\n"
    assert caller.server.messages == []


def test_standard_input_that_is_closed_is_no_session(caller: Caller) -> None:
    shell = ["sh", "-c", 'exec "$0" -bs <&-', caller.sendmail]
    caller.configure()
    done = subprocess.run(shell, env=caller.environ, capture_output=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stdout) == (66, b"")
    assert done.stderr == b"sendmail: standard input is closed; there is nobody to speak SMTP to\n"


def test_a_person_may_type_it_at_a_terminal(caller: Caller) -> None:
    with terminal() as (master, slave):
        process = caller.start("-bs", stdin=slave, stdout=slave, stderr=subprocess.PIPE)
        os.write(master, b"helo me\nmail from:<a@example.org>\nrcpt to:<r@example.net>\ndata\nSubject: x\n\nt\n.\nquit\n")
        until(lambda: caller.server.deliveries)
        assert process.wait(LIMIT) == 0
        process.communicate()


def test_empty_messages_and_bad_recipients_are_refused_for_good(caller: Caller) -> None:
    with dialogue(caller) as one:
        one.say("HELO me")
        assert one.send(b"").startswith("554 5.6.0 the input is empty")
        assert one.say("MAIL FROM:<ann@example.org>")[:3] == "250"
        assert one.say("RCPT TO:<a@b@c>").startswith("501 5.1.3 ")
        assert one.say("RSET")[:3] == "250"
        assert one.send(b"Subject: \0x\r\n\r\nt\r\n").startswith("554 5.6.0 NUL in the header")
    assert caller.server.messages == []


def test_unqualified_recipients_are_qualified_and_have_aliases(caller: Caller, tmp_path: pathlib.Path) -> None:
    (tmp_path / "aliases").write_text("team: ann@example.net, bob@example.net\n")
    with dialogue(caller, words={"aliases": str(tmp_path / "aliases")}) as one:
        one.say("HELO me")
        assert one.send(HEADER + b"\r\nt\r\n", "root", "team", "bob@example.net")[:3] == "250"
    assert caller.server.deliveries[0].recipients == ["root@example.org", "ann@example.net", "bob@example.net"]


def test_the_null_sender_stays_null(caller: Caller) -> None:
    with dialogue(caller) as one:
        one.say("HELO me")
        assert one.send(HEADER + b"\r\nt\r\n", sender="")[:3] == "250"
    assert caller.server.deliveries[0].sender == ""


def test_the_dialogue_with_the_smarthost_goes_to_standard_error(caller: Caller) -> None:
    with dialogue(caller, "-v") as one:
        one.say("HELO me")
        assert one.send(HEADER + b"\r\nt\r\n")[:3] == "250"
        one.say("QUIT")
        code, err = one.end()
    assert code == 0
    assert b"--> MAIL FROM:<ann@example.org>" in err


def test_a_smarthost_that_never_answers_is_a_doubt(caller: Caller) -> None:
    caller.server.answers = {".": SILENCE}
    with dialogue(caller, words={"timeout": "2"}) as one:
        one.say("HELO me")
        said = one.send(HEADER + b"\r\nt\r\n")
        assert said.startswith("451 4.4.2 ") and "not known" in said


def test_smtplib_hears_a_refusal_as_an_exception(caller: Caller) -> None:
    caller.server.answers = {".": "554 5.7.1 spam"}
    ours, theirs = socket.socketpair()
    with theirs:
        process = caller.start("-bs", stdin=theirs, stdout=theirs)
    with process, PipedSMTP(ours) as client:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            client.sendmail("ann@example.org", ["one@example.net"], b"Subject: 2\n\nx")
        assert caught.value.smtp_code == 554
        client.quit()


@pytest.mark.parametrize(
    ("words", "code"), [({"passwordeval": "exit 3"}, "451 4.4.0 "), ({"password": ""}, "451 4.3.5 ")]
)
def test_a_password_that_cannot_be_had_is_told_and_may_be_there_later(caller: Caller, words: dict[str, str], code: str) -> None:
    with dialogue(caller, words={"user": "ann", "auth_without_tls": "on", **words}) as one:
        one.say("HELO me")
        said = one.send(HEADER + b"\r\nt\r\n")
        assert said.startswith(code) and "password" in said, said
        assert one.say("QUIT")[:3] == "221"
        assert one.end() == (0, b"")
    assert caller.server.connections == 0
