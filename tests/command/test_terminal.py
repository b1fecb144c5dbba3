"""The message typed on a terminal, or half of it."""

import os
import pathlib
import signal

import pytest

from tests.command.caller import MESSAGE, Caller, state, terminal, until

TEXT = b"From: a@x\nTo: b@x\n\nfirst\n"


def _type(caller: Caller, keys: bytes, *arguments: str) -> tuple[int, bytes]:
    with terminal() as (master, slave):
        process = caller.start(*arguments, stdin=slave)
        with process:
            os.write(master, keys)
            _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_a_lone_dot_ends_what_is_typed(caller: Caller) -> None:
    assert _type(caller, TEXT + b".\nthis is for the shell\n", "r@x") == (0, b"")
    assert [d.body for d in caller.server.deliveries] == [b"first\r\n"]


def test_with_i_a_lone_dot_is_text_on_a_terminal_too(caller: Caller) -> None:
    assert _type(caller, TEXT + b".\nsecond\n\x04", "-i", "r@x") == (0, b"")
    assert [d.body for d in caller.server.deliveries] == [b"first\r\n.\r\nsecond\r\n"]


def test_the_end_of_input_ends_what_is_typed(caller: Caller) -> None:
    assert _type(caller, TEXT + b". \n..\n\x04", "r@x") == (0, b"")
    assert [d.body for d in caller.server.deliveries] == [b"first\r\n. \r\n..\r\n"]


def test_a_dot_behind_text_that_was_sent_on_before_its_line_end_is_text(caller: Caller) -> None:
    assert _type(caller, TEXT + b"word\x04.\nsecond\n\x04", "r@x") == (0, b"")
    assert [d.body for d in caller.server.deliveries] == [b"first\r\nword.\r\nsecond\r\n"]


@pytest.mark.parametrize("waiting", [True, False])
def test_a_terminal_that_is_taken_away_sends_nothing(caller: Caller, waiting: bool) -> None:
    with terminal() as (master, slave):
        process = caller.start("r@x", stdin=slave)
        os.close(slave)
        os.write(master, TEXT)
        until(lambda: _is_reading(process.pid))
        if not waiting:  # then the end of input is all that a later read is told
            process.send_signal(signal.SIGSTOP)
            until(lambda: state(process.pid) == "T")
        os.close(master)
        process.send_signal(signal.SIGCONT)
        with process:
            _, err = process.communicate(timeout=60)
    assert process.returncode == 74
    assert err.count(b"\n") == 1 and b"nothing was sent" in err
    assert caller.server.connections == 0


def test_a_read_error_sends_nothing(caller: Caller) -> None:
    with terminal() as (master, slave):
        os.write(slave, MESSAGE)
        os.close(slave)  # reading from the other end gives what was written, then an error
        assert "nothing was sent" in caller.refuse(74, "r@x", message=None, stdin=master)
        assert "cannot be read" in caller.refuse(66, "r@x", message=None, stdin=master)
    assert caller.server.connections == 0


def _is_reading(pid: int) -> bool:
    """Tell whether a process waits in a read of descriptor 0."""
    words = pathlib.Path(f"/proc/{pid}/syscall").read_text().split()
    return words[1:2] == ["0x0"] and state(pid) == "S"
