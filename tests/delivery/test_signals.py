"""Waiting for signals: none is lost, none is made up, and nothing is left behind."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pysendmail.delivery.signals import Signals
from tests.conftest import ROOT

NUMBERS = (signal.SIGUSR1, signal.SIGUSR2)


def come(number: int) -> None:
    """Have a signal come to the main thread: the test's process may have others, which do not block it."""
    signal.pthread_kill(threading.main_thread().ident or 0, number)


@pytest.fixture
def waited() -> Iterator[Signals]:
    """Give what waits, with its signals blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
    made = Signals(NUMBERS)
    yield made
    made.close()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_signal_that_has_come_before_is_told_at_once(waited: Signals) -> None:
    come(signal.SIGUSR1)
    assert waited.wait(60.0) == [signal.SIGUSR1]
    assert waited.wait(0.0) == []


def test_each_one_is_told_once(waited: Signals) -> None:
    for _ in range(3):
        come(signal.SIGUSR2)
        come(signal.SIGUSR1)
    assert sorted(waited.wait(60.0)) == sorted(NUMBERS)
    assert waited.wait(0.0) == []


def test_a_signal_ends_the_wait(waited: Signals) -> None:
    timer = threading.Timer(0.2, come, (signal.SIGUSR1,))
    timer.start()
    begun = time.monotonic()
    assert waited.wait(60.0) == [signal.SIGUSR1]
    assert time.monotonic() < begun + 30.0
    timer.join()


def test_without_one_the_time_is_waited_for(waited: Signals) -> None:
    begun = time.monotonic()
    assert waited.wait(0.2) == []
    assert time.monotonic() >= begun + 0.19


def test_what_the_signals_do_otherwise_is_as_before(waited: Signals) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        come(signal.SIGUSR1)
        assert waited.wait(60.0) == [signal.SIGUSR1] and heard == []
        come(signal.SIGUSR1)
        assert heard == []  # it is blocked
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)
        assert heard == [signal.SIGUSR1]
        fd = signal.set_wakeup_fd(-1)
        assert fd == -1
    finally:
        signal.signal(signal.SIGUSR1, before)


STOPPED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pysendmail.delivery.signals import Signals
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGHUP])
waited = Signals([signal.SIGTERM, signal.SIGHUP])
print("ready", flush=True)
print(waited.wait(0.5), flush=True)
print(waited.wait(60.0), flush=True)
"""


def test_a_process_that_was_stopped_until_the_time_was_over_hears_of_none() -> None:
    command = [sys.executable, "-IS", "-c", STOPPED, str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.0)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == b"[]\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == b"[%d]\n" % signal.SIGTERM
