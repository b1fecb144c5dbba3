"""A client that means ill gets nowhere, and costs no more than its share."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.smtp.answer import Answer
from pysendmail.smtp.server import LINE_LIMIT, Limits, Server
from tests.smtp.serving import OK, Recorder, codes, drain, serve, talk

MAIL = b"EHLO me\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\n"


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\r\n.\r\r\n", b"\n\n.\r\n", b"\r\n\x00.\r\n.\n",
        b"\r\n.\n\r\n", b"\r\n.\r\r\n", b"\r\n\n.\r\n", b"x\ny\r\n.\r\n", b"x\ry\r\n.\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("cut", [1, 2, 3, 1000])
def test_a_smuggled_message_drops_the_first_one_and_ends_the_connection(end: bytes, cut: int) -> None:
    server, recorder = serve()
    inner = b"MAIL FROM:<admin@x>\r\nRCPT TO:<victim@y>\r\nDATA\r\nSubject: smuggled\r\n\r\n\r\n.\r\n"
    attack = MAIL + b"DATA\r\nA: b\r\n\r\ntext" + end + inner
    said = b"".join([talk(server, attack[at : at + cut]) for at in range(0, len(attack), cut)])
    assert codes(said) == [250, 250, 250, 354, 550]
    assert b"550 5.5.2 bare " in said
    assert server.closing
    assert (recorder.messages, recorder.dropped) == ([], 1)


@pytest.mark.parametrize("end", [b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n. \r\n", b"\r\n.\t\r\n", b"\r\n..\r\n"])
def test_what_only_looks_like_the_end_is_text(end: bytes) -> None:
    server, recorder = serve()
    said = talk(server, MAIL + b"DATA\r\nA: b\r\n\r\ntext" + end + b"QUIT\r\n.\r\nNOOP\r\n")
    assert codes(said) == [250, 250, 250, 354, 250, 250]
    assert recorder.texts[0].endswith(b"QUIT\r\n")


@pytest.mark.parametrize("command", [b"NOOP\n", b"NO\rOP\r\n", b"\n", b"\r\r\n", b"MAIL FROM:<a@b>\nRCPT TO:<c@d>\r\n"])
def test_a_command_with_a_stray_line_end_ends_the_connection(command: bytes) -> None:
    server, _ = serve()
    assert talk(server, command + b"NOOP\r\n")[:14] == b"550 5.5.2 bare"
    assert server.closing


@pytest.mark.parametrize("chunks", [b"BDAT 2 LAST\r\na\n", b"BDAT 2\r\na\rBDAT 1\r\nb", b"BDAT 2 LAST\r\na\r", b"BDAT 1\r\n\nBDAT 0 LAST\r\n"])
def test_chunks_with_a_stray_line_end_end_the_connection(chunks: bytes) -> None:
    server, recorder = serve()
    assert b"550 5.5.2 bare" in talk(server, MAIL + chunks + b"NOOP\r\n")
    assert (server.closing, recorder.messages, recorder.dropped) == (True, [], 1)


@pytest.mark.parametrize(
    "size", [b"18446744073709551616", b"-1", b"+5", b"", b"5 5", b"0x10", b"NaN", b"5 LAST LAST", b"9" * 1000]
)
def test_a_chunk_of_an_impossible_size_ends_the_connection(size: bytes) -> None:
    server, recorder = serve()
    assert codes(talk(server, MAIL + b"BDAT " + size + b"\r\nQUIT\r\n")) == [250, 250, 250, 501]
    assert (server.closing, recorder.messages) == (True, [])


def test_a_huge_chunk_is_drained_and_not_kept() -> None:
    server, recorder = serve(limits=Limits(size=1000))
    tracemalloc.start()
    try:
        assert codes(talk(server, MAIL + b"BDAT 999999999999999999 LAST\r\n")) == [250, 250, 250]
        for _ in range(200):
            assert talk(server, b"x" * 65536) == b""
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert (recorder.dropped, recorder.texts) == (1, [])


def test_an_endless_line_is_thrown_away_while_it_comes() -> None:
    server, _ = serve()
    tracemalloc.start()
    try:
        for _ in range(160):
            assert talk(server, b"x" * 65536) == b""
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert talk(server, b"\r\nNOOP\r\n") == b"500 5.5.2 the line is too long\r\n250 2.0.0 Ok\r\n"


@pytest.mark.parametrize(("size", "code"), [(LINE_LIMIT - 1, 250), (LINE_LIMIT, 250), (LINE_LIMIT + 1, 500), (LINE_LIMIT * 40, 500)])
@pytest.mark.parametrize("cut", [7, 100_000])
def test_the_limit_of_a_line_is_the_same_however_it_comes(size: int, code: int, cut: int) -> None:
    server, _ = serve()
    line = b"NOOP " + b"x" * (size - 7) + b"\r\n"
    said = b"".join([talk(server, line[at : at + cut]) for at in range(0, len(line), cut)])
    assert codes(said) == [code]


def test_a_million_recipients_are_refused_in_bounded_memory() -> None:
    server, recorder = serve(limits=Limits(recipients=100))
    talk(server, b"MAIL FROM:<s@x>\r\n")
    block = b"RCPT TO:<somebody@example.org>\r\n" * 2000
    tracemalloc.start()
    try:
        said = []
        for _ in range(500):
            said += codes(talk(server, block))
            if server.closing:
                break
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert said[:101] == [250] * 100 + [452]
    assert said[-1] == 421
    assert len(said) < 1200
    assert recorder.messages == []


def test_the_recipients_within_the_limit_get_their_message() -> None:
    server, recorder = serve(limits=Limits(recipients=2))
    said = talk(server, b"MAIL FROM:<s@x>\r\n" + b"RCPT TO:<a@y>\r\n" * 4 + b"DATA\r\n.\r\n")
    assert codes(said) == [250, 250, 250, 452, 452, 354, 250]
    assert len(recorder.messages[0][0].recipients) == 2


def test_a_client_that_talks_and_never_listens_is_not_read_any_more() -> None:
    server, _ = serve(limits=Limits(idle=10**9))
    server.feed(b"NOOP\r\n" * 100_000)
    assert not server.wants_input
    assert len(server.output()) < 20_000
    assert len(drain(server)) < 100_000 * len(b"250 2.0.0 Ok\r\n")
    assert server.wants_input


@pytest.mark.parametrize("storm", [b"RSET\r\n", b"NOOP\r\n", b"VRFY x\r\n", b"EHLO x\r\n", b"HELO x\r\n", b"HELP\r\n"])
def test_a_storm_of_idle_commands_is_ended(storm: bytes) -> None:
    server, _ = serve()
    said = codes(talk(server, storm * 2000))
    assert (len(said), said[-1], server.closing) == (1001, 421, True)


def test_a_storm_of_refused_senders_or_recipients_is_ended() -> None:
    recorder = Recorder()
    server, _ = serve(recorder, limits=Limits(size=10))
    assert codes(talk(server, b"MAIL FROM:<s@x> SIZE=11\r\n" * 2000))[-1] == 421
    server, _ = serve(recorder)
    recorder.refuse_rcpt = {b"r@y": Answer(550, "5.1.1", "nobody")}
    said = codes(talk(server, b"MAIL FROM:<s@x>\r\n" + b"RCPT TO:<r@y>\r\n" * 2000))
    assert said == [250] + [550] * 1020 + [421]


def test_messages_that_are_refused_again_and_again_are_a_storm_too() -> None:
    recorder = Recorder()
    server, _ = serve(recorder, limits=Limits(idle=5, size=1))
    said = codes(talk(server, b"MAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nBDAT 2 LAST\r\nxx" * 20))
    assert said[-2:] == [552, 421]
    assert len(said) == 6 * 3 + 1


def test_garbage_is_answered_so_many_times_and_then_no_more() -> None:
    server, recorder = serve()
    said = codes(talk(server, MAIL + b"garbage\r\n" * 100))
    assert said == [250] * 3 + [500] * 20 + [421]
    assert (server.closing, recorder.messages) == (True, [])


def test_mistakes_are_forgiven_by_a_message() -> None:
    server, _ = serve()
    for _ in range(5):
        assert codes(talk(server, b"garbage\r\n" * 15 + b"MAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nDATA\r\n.\r\n"))[-1] == 250


def test_a_guesser_of_passwords_has_few_tries() -> None:
    server, recorder = serve(login=True)
    said = codes(talk(server, b"AUTH PLAIN AGpvZQBiYWQ=\r\n" * 50))
    assert said[-1] == 421
    assert len(recorder.logins) <= 5


def test_text_that_follows_a_refused_data_is_not_a_message() -> None:
    server, recorder = serve()
    said = codes(talk(server, b"MAIL FROM:<s@x>\r\nDATA\r\nSubject: x\r\n\r\nMAIL FROM:<a@b>\r\n.\r\n"))
    assert said == [250, 554, 500, 500, 503, 500]
    assert recorder.messages == []


SCRAPS = [
    b"EHLO me\r\n", b"HELO me\r\n", b"MAIL FROM:<s@x>\r\n", b"RCPT TO:<r@y>\r\n", b"DATA\r\n", b".\r\n", b"BDAT 3\r\n", b"abc",
    b"BDAT 2 LAST\r\n", b"BDAT 0 LAST\r\n", b"BDAT x\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n", b"AUTH PLAIN\r\n", b"*\r\n",
    b"text\r\n", b"..\r\n", b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"RCPT TO:<a\r\n@b>\r\n", b"x" * 3000, b"GET / HTTP/1.0\r\n",
]  # fmt: skip


def _run(pieces: list[bytes], strict: bool, login: bool) -> tuple[bytes, list[bytes], int, bool]:
    recorder = Recorder(slow=True)
    server = Server(recorder, "here", strict=strict, limits=Limits(size=50, recipients=2, errors=6, idle=20), login=login)
    said = drain(server)
    for piece in pieces:
        server.feed(piece)
        said += drain(server)
        while server.waiting_for == "answer":
            server.answer(OK)
            said += drain(server)
    server.lost()
    assert recorder.open is None
    return said, recorder.texts, recorder.dropped, server.closing


@given(st.lists(st.sampled_from(SCRAPS), max_size=40), st.booleans(), st.booleans(), st.data())
def test_every_dialogue_is_the_same_however_it_is_cut(
    scraps: list[bytes], strict: bool, login: bool, data: st.DataObject
) -> None:
    raw = b"".join(scraps)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    borders = [0, *cuts, len(raw)]
    pieces = [raw[a:b] for a, b in zip(borders, borders[1:], strict=False)]
    whole = _run([raw], strict, login)
    assert _run(pieces, strict, login)[:2] == whole[:2]
    said = whole[0]
    assert said.count(b"\r\n") == said.count(b"\n") == said.count(b"\r")
    if strict:
        for text in whole[1]:
            assert text.count(b"\r\n") == text.count(b"\n") == text.count(b"\r")
