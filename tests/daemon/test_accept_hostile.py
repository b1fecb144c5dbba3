"""Callers who lie, stall, vanish, or come in crowds: they get their own share of the accept process and no more."""

import contextlib
import os
import random
import resource
import socket
import threading

import pytest

from pysendmail import wire
from tests.command.caller import until
from tests.daemon.door import Door, answer, message

BOB = b"bob@example.net"
WHOLE = message(b"-i", BOB)


def serves(door: Door) -> None:
    """See that an honest caller is served."""
    before = len(door.items())
    door.submit("-i", BOB.decode())
    assert len(door.items()) > before


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"EHLO x\r\nMAIL FROM:<>\r\n", wire.end(0), wire.frame(wire.DATA, b"x"),
        wire.frame(wire.EXIT, b"\0"), wire.request(b"sendmail", [BOB]) * 2, wire.frame(wire.REQUEST, b""),
        wire.frame(wire.REQUEST, b"1"), wire.frame(wire.REQUEST, b"1\0"), wire.request(b"sendmail", [BOB]) + wire.frame(wire.FACTS, b""),
        wire.frame(wire.FACTS, b"columns=99999999999999\0x\0=\0columns=-1") + wire.request(b"sendmail", [BOB]) + wire.end(1),
        WHOLE[:-1] + b"\0", WHOLE[:-13] + wire.end(1 << 63), WHOLE[:-13] + wire.frame(wire.END, b""),
        wire.request(b"sendmail", [b"-bd"]), wire.request(b"sendmail", [b"-C/etc/shadow", BOB]), wire.request(b"/bin/sh", [b"-c", b"id"]),
        wire.request(b"pysendmail", [b"check"]), wire.request(b"pysendmail", []), wire.request(b"pysendmail", [b"queue", b"list", b"-C", b"/etc/shadow"]),
        wire.request(b"sendmail", [b"a\nb@x"]) + wire.end(0), wire.REQUEST + b"\xff\xff\xff\xff" + b"x" * 100_000,
        wire.DATA + b"\xff\xff\xff\xff",
    ],
    ids=range(25),
)  # fmt: skip
def test_what_is_no_request_ends_the_connection_and_does_nothing(door: Door, data: bytes) -> None:
    with door.call() as line:
        line.sendall(data)
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_WR)
        code, _ = answer(line)
    assert code != 0 or b"queue" in data
    assert door.items() == []
    serves(door)
    assert door.process is not None and door.process.poll() is None


def test_octets_at_random_do_no_harm(door: Door) -> None:
    choice = random.Random(4711)
    for _ in range(150):
        data = bytearray(choice.choice([WHOLE, WHOLE * 2, wire.request(b"mailq", []), choice.randbytes(300)]))
        for _ in range(choice.randrange(4)):
            data[choice.randrange(len(data))] = choice.randrange(256)
        with door.call() as line, contextlib.suppress(OSError):
            line.sendall(bytes(data[: choice.randrange(len(data)) + 1]))
            if choice.random() < 0.5:
                line.shutdown(socket.SHUT_WR)
                answer(line)
    serves(door)
    assert not any("internal error" in line for line in door.lines())


def test_a_killed_caller_sends_no_half_message_wherever_it_is_cut(door: Door) -> None:
    for cut in range(0, len(WHOLE), 7):
        with door.call() as line:
            line.sendall(WHOLE[:cut])
    serves(door)
    assert len(door.items()) == 1


def test_one_octet_at_a_time_makes_the_same_message(door: Door) -> None:
    with door.call() as line:
        for at in range(len(WHOLE)):
            line.sendall(WHOLE[at : at + 1])
        assert answer(line) == (0, b"")
    assert len(door.items()) == 1


def test_a_caller_who_is_gone_before_the_commit_may_or_may_not_have_sent_but_nothing_half(door: Door) -> None:
    for _ in range(50):
        with door.call() as line:
            line.sendall(WHOLE)
    serves(door)
    assert {text.partition(b"\r\n\r\n")[2] for text in door.texts()} == {b"text\r\n"}


def test_a_caller_who_never_reads_gets_no_more_than_the_kernel_holds(door: Door) -> None:
    for number in range(3):
        door.submit(*[f"user{number}.{each}.{'x' * 40}@example.net" for each in range(900)])
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            line = stack.enter_context(door.call())
            line.sendall(wire.request(b"mailq", []))
        serves(door)
        assert door.memory() < 90 << 20


def test_stalled_callers_hold_nobody_up_and_cost_little(door: Door) -> None:
    _allow_descriptors(2000)
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(door.call()) for _ in range(250)]
        for number, line in enumerate(stalled):
            line.sendall([b"", b"R\0", WHOLE[:20], WHOLE[:60], WHOLE[:-1]][number % 5])
        honest = [stack.enter_context(door.call()) for _ in range(250)]
        for line in honest:
            line.sendall(WHOLE)
        assert [answer(line) for line in honest] == [(0, b"")] * 250
        assert door.memory() < 100 << 20
        serves(door)
    assert len(door.items()) == 251
    until(lambda: door.descriptors() < 40)


def test_many_at_once_are_each_served_once(door: Door) -> None:
    codes: list[int] = []

    def work() -> None:
        for _ in range(50):
            with door.call() as line:
                line.sendall(WHOLE)
                codes.append(answer(line)[0])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert codes == [0] * 400 and len(door.items()) == 400


def test_ten_gigabytes_are_refused_before_they_fill_the_disk(door: Door) -> None:
    """The end of what is taken is made of what the disk has; here a small one stands in for it."""
    if os.geteuid() != 0:
        from tests.conftest import skip

        skip("only root can mount a small disk")
    import subprocess

    door.clear()
    door.queue.parent.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", door.queue.parent], check=True)
    try:
        door.start()
        with door.call() as line:
            line.sendall(wire.request(b"sendmail", [BOB]))
            piece = wire.frame(wire.DATA, b"0123456789abcde\n" * 32768)
            with pytest.raises(OSError, match="Broken pipe|reset"):
                for _ in range(20_000):
                    line.sendall(piece)
            code, text = answer(line)
        assert code == 75 and b"no room" in text
        serves(door)
        assert door.stop() == 0
    finally:
        subprocess.run(["umount", "-l", door.queue.parent], check=True)


def test_many_large_requests_are_not_kept_all_at_once(door: Door) -> None:
    before = door.memory()
    turned_away = 0
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            line = stack.enter_context(door.call())
            try:
                line.sendall(wire.REQUEST + (3 << 20).to_bytes(4, "big") + b"x" * ((3 << 20) - 1))
            except OSError:
                assert answer(line)[0] == 75
                turned_away += 1
        serves(door)
        assert door.memory() - before < 64 << 20
    assert turned_away > 40


def test_when_descriptors_run_out_the_silent_ones_go_and_honest_ones_come_in(door: Door) -> None:
    door.clear()
    door.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (110, 110)))
    with contextlib.ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(door.call())
        with door.call() as line:
            line.sendall(WHOLE)
            assert answer(line)[0] in (0, 75)
    serves(door)


def _allow_descriptors(number: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, hard), hard))


def test_headers_of_many_short_lines_take_no_more_memory_than_all_others_leave(door: Door) -> None:
    """A line takes more memory than it has octets."""
    lines = b"X: x\n" + b" x\n" * 250_000
    pieces = [wire.frame(wire.DATA, lines[at : at + wire.PIECE]) for at in range(0, len(lines), wire.PIECE)]
    before = door.memory()
    codes = []
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            line = stack.enter_context(door.call())
            try:
                line.sendall(b"".join([wire.request(b"sendmail", [b"-i", BOB]), *pieces]))
            except OSError:
                codes.append(answer(line)[0])
        serves(door)
        assert door.memory() - before < 80 << 20
    assert set(codes) == {75}


def test_a_header_of_more_lines_than_any_list_needs_is_refused(door: Door) -> None:
    said = door.refuse(65, "-i", BOB.decode(), text=b"X: x\n" + b" x\n" * 400_000)
    assert "more than 300000 lines" in said
