"""A client is answered as the standards say, in the order of its commands."""

import pytest

from pysendmail.errors import SoftwareError
from pysendmail.smtp.answer import Answer
from pysendmail.smtp.server import Limits
from tests.smtp.serving import OK, Recorder, addresses, codes, drain, serve, talk

MAIL = b"EHLO me\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\n"


def test_ehlo_names_what_is_offered() -> None:
    server, _ = serve(limits=Limits(size=1000))
    said = talk(server, b"EHLO me\r\n")
    assert said == (
        b"250-here\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n"
        b"250-ENHANCEDSTATUSCODES\r\n250 CHUNKING\r\n"
    )


def test_helo_alone_is_enough_to_send() -> None:
    server, recorder = serve()
    said = talk(server, b"HELO [127.0.0.1]\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nDATA\r\n")
    assert said.startswith(b"250 here\r\n")
    assert codes(said) == [250, 250, 250, 354]
    assert codes(talk(server, b"A: b\r\n\r\nt\r\n.\r\nQUIT\r\n")) == [250, 221]
    envelope, text = recorder.messages[0]
    assert text == b"A: b\r\n\r\nt\r\n"
    assert (envelope.hello, envelope.extended, addresses(envelope)) == (b"[127.0.0.1]", False, [b"r@y"])
    assert server.closing


def test_a_whole_session_may_come_in_one_piece_and_is_answered_in_order() -> None:
    server, recorder = serve()
    one = b"MAIL FROM:<s@x> SIZE=3\r\nRCPT TO:<a@y>\r\nRCPT TO:<b@y>\r\nDATA\r\nx\r\n.\r\n"
    said = talk(server, b"EHLO me\r\n" + one + b"MAIL FROM:<>\r\nRCPT TO:<c@y>\r\nBDAT 2\r\nyzBDAT 3 LAST\r\n.\r\nNOOP\r\nQUIT\r\n")
    assert codes(said) == [250, 250, 250, 250, 354, 250, 250, 250, 250, 250, 250, 221]
    assert recorder.texts == [b"x\r\n", b"yz.\r\n"]
    assert [addresses(envelope) for envelope, _ in recorder.messages] == [[b"a@y", b"b@y"], [b"c@y"]]
    assert recorder.messages[1][0].sender is None


def test_parameters_reach_the_envelope() -> None:
    server, recorder = serve()
    said = talk(
        server,
        "EHLO me\r\nMAIL FROM:<sö@x> SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=a+2Bb SIZE=4\r\n"
        "RCPT TO:<r@y> NOTIFY=DELAY,FAILURE ORCPT=rfc822;o+3Dp@z\r\nRCPT TO:<q@y>\r\nBDAT 4 LAST\r\nabcd".encode(),
    )
    assert codes(said) == [250] * 5
    envelope, _ = recorder.messages[0]
    assert envelope.sender is not None
    assert envelope.sender.address == "sö@x".encode()
    assert (envelope.utf8, envelope.body, envelope.ret, envelope.envid) == (True, b"8BITMIME", b"HDRS", b"a+b")
    assert (envelope.size, envelope.received) == (4, 4)
    first, second = envelope.recipients
    assert (first.notify, first.orcpt) == (b"FAILURE,DELAY", b"rfc822;o=p@z")
    assert (second.notify, second.orcpt) == (None, None)


COMMANDS = [
    (b"NOOP anything", b"250 2.0.0 Ok\r\n"),
    (b"RSET", b"250 2.0.0 Ok\r\n"),
    (b"VRFY joe", b"252 2.0.0 send a message, and its delivery will tell\r\n"),
    (b"VRFY", b"501 5.5.4 write VRFY address\r\n"),
    (b"EXPN list", b"502 5.5.1 EXPN is not offered\r\n"),
    (b"HELP", b"214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT AUTH STARTTLS\r\n"),
    (b"STARTTLS", b"502 5.5.1 STARTTLS is not offered: this connection does not leave the machine\r\n"),
    (b"AUTH PLAIN", b"502 5.5.1 AUTH is not offered\r\n"),
    (b"EHLO", b"501 5.5.4 write EHLO name\r\n"),
    (b"HELO a b", b"501 5.5.4 write HELO name\r\n"),
    (b"XYZZY", b"500 5.5.1 the command is not known; HELP lists those that are\r\n"),
    (b"", b"500 5.5.1 the command is not known; HELP lists those that are\r\n"),
    (b"NO\0OP", b"500 5.5.2 control character in a command\r\n"),
    (b"MAIL FROM:<a\tb@c>", b"500 5.5.2 control character in a command\r\n"),
    (b"RCPT TO:<a@b>", b"503 5.5.1 MAIL has to come first\r\n"),
    (b"DATA", b"503 5.5.1 MAIL has to come first\r\n"),
    (b"DATA x", b"501 5.5.4 DATA takes no argument\r\n"),
    (b"MAIL", b"501 5.5.4 write MAIL FROM:<address>\r\n"),
    (b"MAIL FROM:<a@b> BODY=BINARYMIME", b"501 5.5.4 BODY is 7BIT or 8BITMIME\r\n"),
    (b"MAIL FROM:<a@b> FOO=1", b"555 5.5.4 the parameter FOO is not known here\r\n"),
    (b"MAIL FROM:<a@b> SMTPUTF8=1", b"555 5.5.4 the parameter SMTPUTF8 is not known here\r\n"),
    (b"MAIL FROM:<a@b> NOTIFY=NEVER", b"555 5.5.4 the parameter NOTIFY is not known here\r\n"),
    (b"MAIL FROM:<a@b> AUTH=<>", b"555 5.5.4 the parameter AUTH is not known here\r\n"),
    ("MAIL FROM:<ö@b>".encode(), b"553 5.6.7 an address that is not ASCII needs the SMTPUTF8 of MAIL\r\n"),
    (b"GET / HTTP/1.1", b"421 4.7.0 this is no web server\r\n"),
    (b"Host: 127.0.0.1", b"421 4.7.0 this is no web server\r\n"),
]


@pytest.mark.parametrize(("command", "answer"), COMMANDS)
def test_each_command_has_its_answer(command: bytes, answer: bytes) -> None:
    server, _ = serve()
    assert talk(server, command + b"\r\n") == answer
    assert server.closing == answer.startswith(b"421")


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        (b"MAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\n", [250, 503]),
        (b"MAIL FROM:<a@b>\r\nDATA\r\n", [250, 554]),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<>\r\nDATA\r\n", [250, 501, 554]),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d> SIZE=1\r\n", [250, 555]),
        (b"MAIL FROM:<a@b>\r\nRSET\r\nRCPT TO:<c@d>\r\n", [250, 250, 503]),
        (b"MAIL FROM:<a@b>\r\nEHLO me\r\nRCPT TO:<c@d>\r\n", [250, 250, 503]),
        (b"MAIL FROM:<a@b>\r\nHELO me\r\nMAIL FROM:<a@b>\r\n", [250, 250, 250]),
        (b"MAIL FROM:<a@b>\r\nEHLO\r\nRCPT TO:<c@d>\r\n", [250, 501, 250]),
    ],
)
def test_commands_out_of_order_are_refused(commands: bytes, expected: list[int]) -> None:
    server, _ = serve()
    assert codes(talk(server, commands)) == expected


def test_everything_is_dealt_with_octet_by_octet_as_in_one_piece() -> None:
    script = MAIL + b"DATA\r\nA: b\r\n\r\n..x\r\n.\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nBDAT 0\r\nBDAT 3 LAST\r\nx\r\nBDAT 1\r\ny\r\nQUIT\r\nNOOP\r\n"
    server, whole = serve()
    expected = talk(server, script)
    slow, recorder = serve()
    said = b"".join([talk(slow, script[at : at + 1]) for at in range(len(script))])
    assert said == expected
    assert recorder.texts == whole.texts == [b"A: b\r\n\r\n.x\r\n", b"x\r\n"]


def test_the_answer_to_a_message_may_come_later_and_nothing_overtakes_it() -> None:
    server, recorder = serve(Recorder(slow=True))
    said = talk(server, MAIL + b"DATA\r\nx\r\n.\r\nNOOP\r\nMAIL FROM:<s@x>\r\n")
    assert codes(said) == [250, 250, 250, 354]
    assert server.waiting_for == "answer"
    assert not server.wants_input
    assert talk(server, b"RCPT TO:<r@z>\r\n") == b""
    server.answer(Answer(250, "2.0.0", "Ok: queued as 1"))
    assert codes(drain(server)) == [250, 250, 250, 250]
    assert server.wants_input
    assert len(recorder.messages) == 1


def test_an_answer_without_a_message_is_a_mistake_of_ours() -> None:
    server, _ = serve()
    with pytest.raises(SoftwareError):
        server.answer(OK)


def test_what_the_machine_waits_for_is_told() -> None:
    server, _ = serve(Recorder(slow=True), login=False)
    assert server.waiting_for == "command"
    talk(server, MAIL + b"DATA\r\n")
    assert server.waiting_for == "message"
    talk(server, b".\r\n")
    assert server.waiting_for == "answer"
    server.answer(OK)
    talk(server, b"QUIT\r\n")
    assert server.waiting_for == "nothing"


def test_refusals_of_the_receiver_are_passed_on_and_do_not_count_as_mistakes() -> None:
    recorder = Recorder()
    server, _ = serve(recorder, limits=Limits(errors=2))
    recorder.refuse_mail = Answer(550, "5.7.1", "not you")
    assert talk(server, b"MAIL FROM:<s@x>\r\n" * 5) == b"550 5.7.1 not you\r\n" * 5
    recorder.refuse_mail = None
    recorder.refuse_rcpt = {b"bad@y": Answer(550, "5.1.1", "nobody")}
    said = talk(server, b"MAIL FROM:<s@x>\r\n" + b"RCPT TO:<bad@y>\r\n" * 5 + b"RCPT TO:<good@y>\r\nDATA\r\n.\r\n")
    assert codes(said) == [250, 550, 550, 550, 550, 550, 250, 354, 250]
    assert addresses(recorder.messages[0][0]) == [b"good@y"]


def test_a_message_that_the_receiver_cannot_begin_is_never_asked_for() -> None:
    recorder = Recorder()
    server, _ = serve(recorder)
    recorder.refuse_begin = Answer(452, "4.3.1", "disk full")
    assert codes(talk(server, MAIL + b"DATA\r\n")) == [250, 250, 250, 452]
    assert codes(talk(server, b"RSET\r\n" + MAIL + b"BDAT 3\r\nabcBDAT 2\r\ndeBDAT 0 LAST\r\nNOOP\r\n"))[-4:] == [452, 503, 503, 250]
    assert (recorder.messages, recorder.dropped) == ([], 0)


def test_a_message_that_is_refused_half_way_is_taken_to_its_end_and_then_answered() -> None:
    recorder = Recorder()
    server, _ = serve(recorder)
    talk(server, MAIL + b"DATA\r\nfirst\r\n")
    recorder.refuse_data = Answer(452, "4.3.1", "disk full")
    assert talk(server, b"second\r\nthird\r\n" * 1000) == b""
    assert talk(server, b".\r\nNOOP\r\n") == b"452 4.3.1 disk full\r\n250 2.0.0 Ok\r\n"
    assert (recorder.messages, recorder.dropped) == ([], 1)


def test_a_message_over_the_limit_is_drained_and_refused_whether_or_not_it_was_announced() -> None:
    server, recorder = serve(limits=Limits(size=10))
    assert codes(talk(server, b"MAIL FROM:<s@x> SIZE=11\r\nMAIL FROM:<s@x> SIZE=10\r\nRCPT TO:<r@y>\r\nDATA\r\n")) == [552, 250, 250, 354]
    assert talk(server, b"12345678\r\n" * 1000) == b""
    assert sum(recorder.pieces) == 0
    assert codes(talk(server, b".\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nBDAT 6\r\n123456BDAT 6\r\n123456BDAT 1 LAST\r\n1NOOP\r\n")) == [552, 250, 250, 250, 552, 503, 250]
    assert codes(talk(server, b"MAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nDATA\r\n12345678\r\n.\r\n")) == [250, 250, 354, 250]
    assert recorder.texts == [b"12345678\r\n"]


def test_chunks_whose_recipients_were_refused_are_skipped_and_not_read_as_commands() -> None:
    recorder = Recorder()
    server, _ = serve(recorder)
    recorder.refuse_rcpt = {b"r@y": Answer(550, "5.1.1", "nobody")}
    said = talk(server, MAIL + b"BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
    assert codes(said) == [250, 250, 550, 554, 503, 250]
    assert not server.closing


@pytest.mark.parametrize("chunk", [b"BDAT 6 LAST\r\nQUIT\r\n", b"BDAT 6\r\nQUIT\r\n"])
def test_a_chunk_without_a_sender_is_skipped_and_does_not_stop_the_next_message(chunk: bytes) -> None:
    server, recorder = serve()
    said = talk(server, chunk + MAIL + b"BDAT 1 LAST\r\nx")
    assert codes(said) == [503, 250, 250, 250, 250]
    assert recorder.texts == [b"x"]


def test_the_two_ways_to_send_a_message_are_not_mixed() -> None:
    server, recorder = serve()
    said = talk(server, MAIL + b"BDAT 3\r\nabcDATA\r\nRCPT TO:<q@y>\r\nMAIL FROM:<t@x>\r\nNOOP\r\nBDAT 1 LAST\r\nd")
    assert codes(said) == [250, 250, 250, 250, 503, 503, 503, 250, 250]
    assert recorder.texts == [b"abcd"]
    assert addresses(recorder.messages[0][0]) == [b"r@y"]


def test_rset_forgets_chunks() -> None:
    server, recorder = serve()
    assert codes(talk(server, MAIL + b"BDAT 3\r\nabcRSET\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nBDAT 0 LAST\r\n")) == [250, 250, 250, 250, 250, 250, 250, 250]
    assert (recorder.texts, recorder.dropped) == ([b""], 1)


def test_a_client_that_goes_half_way_leaves_no_message() -> None:
    for end in (b"DATA\r\nhalf\r\n", b"DATA\r\nhalf\r\n.", b"BDAT 10\r\n12345", b"BDAT 5\r\n12345", b"BDAT 10 LAST\r\n12345"):
        server, recorder = serve()
        talk(server, MAIL + end)
        server.lost()
        server.lost()
        assert (recorder.messages, recorder.dropped) == ([], 1)
        assert drain(server) == b""


def test_a_client_that_goes_before_the_answer_leaves_the_message_to_the_receiver() -> None:
    server, recorder = serve(Recorder(slow=True))
    talk(server, MAIL + b"DATA\r\nx\r\n.\r\nMAIL FROM:<t@x>\r\n")
    server.lost()
    assert (len(recorder.messages), recorder.dropped) == (1, 0)
    server.answer(OK)
    assert drain(server) == b""
    assert server.closing


def test_the_driver_may_end_it_with_a_last_word() -> None:
    server, recorder = serve()
    talk(server, MAIL + b"DATA\r\nhalf\r\n")
    server.close(Answer(421, "4.4.2", "you took too long"))
    assert drain(server) == b"421 4.4.2 you took too long\r\n"
    assert talk(server, b".\r\nNOOP\r\n") == b""
    assert (server.closing, recorder.dropped, recorder.messages) == (True, 1, [])


def test_a_421_of_the_receiver_is_the_last_word_too() -> None:
    server, _ = serve(Recorder(slow=True))
    talk(server, MAIL + b"DATA\r\nx\r\n.\r\nNOOP\r\n")
    server.answer(Answer(421, "4.3.2", "going down"))
    assert drain(server) == b"421 4.3.2 going down\r\n"
    assert server.closing


def test_the_lenient_manner_takes_lines_that_end_with_lf() -> None:
    server, recorder = serve(strict=False)
    said = talk(server, b"EHLO me\nMAIL FROM:<s@x>\nRCPT TO:<r@y>\r\r\nDATA\nA: b\n\n..x\n.\nQUIT\n")
    assert codes(said) == [250, 250, 250, 354, 250, 221]
    assert recorder.texts == [b"A: b\n\n.x\n"]


def test_the_lenient_manner_takes_utf8_that_was_not_announced() -> None:
    server, _ = serve(strict=False)
    assert codes(talk(server, "MAIL FROM:<sö@x>\nRCPT TO:<r@bücher.example>\n".encode())) == [250, 250]
    assert codes(talk(server, b"RCPT TO:<r\xff@y>\n")) == [553]


def test_auth_is_insisted_on_where_it_is_offered() -> None:
    server, recorder = serve(login=True)
    assert talk(server, b"EHLO me\r\n").endswith(b"250 AUTH PLAIN LOGIN\r\n")
    assert codes(talk(server, b"MAIL FROM:<s@x>\r\nAUTH PLAIN AGpvZQBiYWQ=\r\nAUTH PLAIN AGpvZQBzZWNyZXQ=\r\n")) == [530, 535, 235]
    assert recorder.logins == [(b"joe", b"bad"), (b"joe", b"secret")]
    assert codes(talk(server, b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\nMAIL FROM:<s@x> AUTH=<>\r\nRCPT TO:<r@y>\r\nDATA\r\n.\r\n")) == [503, 250, 250, 354, 250]
    assert recorder.messages[0][0].login == b"joe"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"AUTH PLAIN", b"AGpvZQBzZWNyZXQ="], [b"334 ", b"235 2.7.0 Ok"]),
        ([b"AUTH LOGIN", b"am9l", b"c2VjcmV0"], [b"334 VXNlcm5hbWU6", b"334 UGFzc3dvcmQ6", b"235 2.7.0 Ok"]),
        ([b"auth login am9l", b"c2VjcmV0"], [b"334 UGFzc3dvcmQ6", b"235 2.7.0 Ok"]),
        ([b"AUTH PLAIN", b"*", b"NOOP"], [b"334 ", b"501 5.7.0 AUTH was cancelled", b"250 2.0.0 Ok"]),
        ([b"AUTH PLAIN =", b"NOOP"], [b"501 5.5.2 PLAIN wants a user and a password", b"250 2.0.0 Ok"]),
        ([b"AUTH PLAIN !!!", b"NOOP"], [b"501 5.5.2 that is no base64", b"250 2.0.0 Ok"]),
        ([b"AUTH PLAIN b3RoZXIAam9lAHNlY3JldA=="], [b"501 5.5.2 PLAIN wants a user and a password"]),
        ([b"AUTH CRAM-MD5"], [b"504 5.5.4 the mechanism is not offered"]),
        ([b"AUTH"], [b"504 5.5.4 the mechanism is not offered"]),
    ],
)
def test_the_exchanges_of_auth(lines: list[bytes], expected: list[bytes]) -> None:
    server, _ = serve(login=True)
    assert [talk(server, line + b"\r\n").rstrip(b"\r\n") for line in lines] == expected


def test_an_answer_stays_within_the_limits_of_a_line_whatever_is_in_it() -> None:
    text = "a\r\nb\x00\u202e\xfc " + "word " * 300 + "\U0001f600" * 300 + "\n250 2.0.0 Ok"
    wire = Answer(550, "5.1.1", text).wire
    lines = wire.split(b"\r\n")
    assert lines.pop() == b""
    assert all([len(line) <= 510 and line.isascii() and line.startswith((b"550-5.1.1 ", b"550 5.1.1 ")) for line in lines])
    assert [line for line in lines if line[3:4] == b" "] == [lines[-1]] == [b"550 5.1.1 250 2.0.0 Ok"]
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert b"".join([line[10:] for line in lines]).count(b"word") == 300
    assert len(Answer(550, "5.1.1", "x\n" * 100_000).wire) < 65536
