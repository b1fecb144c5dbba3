"""The password command: what it is given, what is taken from it, and that it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import pysendmail
from pysendmail import errors
from pysendmail.config import passwordeval
from tests.config.terminal import Terminal

ROOT = str(Path(pysendmail.__file__).parents[1])


def run(command: bytes | str, seconds: float = 20, environ: dict[str, str] | None = None) -> bytes:
    octets = command if isinstance(command, bytes) else command.encode()
    return passwordeval.run(octets, environ=environ or {}, place="account test", seconds=seconds)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (b"echo secret", b"secret"),
        (b"printf secret", b"secret"),
        (b"printf 'secret\\r\\n'", b"secret"),
        (b"printf 'one\\ntwo\\n'", b"one"),
        (b"printf ' blanks \\t\\n'", b" blanks \t"),
        (b"printf '\\377\\344 #\\n'", b"\xff\xe4 #"),
        (b"printf 'cr\\rinside\\n'", b"cr\rinside"),
        (b"echo 'a b' | tr a-z A-Z", b"A B"),
        (b"printf sec; sleep 0.02; echo ret", b"secret"),
        (b"head -c 65536 /dev/zero | tr '\\0' x", b"x" * 65536),
        (b"exec >&-; exit 0; echo no", None),
    ],
)
def test_the_first_line_is_the_password(command: bytes, expected: bytes | None) -> None:
    if expected is None:
        with pytest.raises(errors.TempFail, match="printed no password"):
            run(command)
    else:
        assert run(command) == expected


@pytest.mark.parametrize(
    ("command", "failure", "text"),
    [
        (b"echo hush; exit 1", errors.TempFail, "exit status 1"),
        (b"echo hush; exit 125", errors.TempFail, "exit status 125"),
        (b"echo hush; kill -9 $$", errors.TempFail, "signal 9"),
        (b"exit 0", errors.TempFail, "printed no password"),
        (b"printf '\\nhush\\n'", errors.TempFail, "printed no password"),
        (b"printf '\\r\\nhush\\n'", errors.TempFail, "printed no password"),
        (b"no-such-command-hush 2>/dev/null", errors.ConfigError, "exit status 127"),
        (b"/etc/passwd 2>/dev/null", errors.ConfigError, "exit status 126"),
        (b"yes hush", errors.ConfigError, "over 65536 octets"),
        (b"echo \0", errors.TempFail, "could not be run"),
    ],
)
def test_a_failed_command_is_one_line_without_what_it_printed(
    command: bytes, failure: type[errors.Failure], text: str
) -> None:
    with pytest.raises(failure, match=text) as caught:
        run(command)
    line = str(caught.value)
    assert line.startswith("account test: ")
    assert "hush" not in line
    assert "\n" not in line


def gone(pid: int) -> bool:
    """Tell whether the process ends within some seconds; one that nobody has reaped yet counts as ended."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


def test_a_command_that_hangs_is_killed_with_all_its_children(tmp_path: Path) -> None:
    with pytest.raises(errors.TempFail, match="did not end within 0.3 seconds"):
        run(f"sleep 600 & echo $! >{tmp_path}/child; echo $$ >{tmp_path}/shell; wait", seconds=0.3)
    assert gone(int((tmp_path / "child").read_text()))
    assert gone(int((tmp_path / "shell").read_text()))


def test_a_command_that_closes_its_output_and_hangs_is_killed() -> None:
    with pytest.raises(errors.TempFail, match="did not end"):
        run("echo secret; exec >&- ; sleep 600", seconds=0.2)


def test_a_command_that_prints_without_end_is_killed(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="over"):
        run(f"echo $$ >{tmp_path}/pid; exec yes")
    assert gone(int((tmp_path / "pid").read_text()))


def test_what_stays_in_the_background_is_neither_waited_for_nor_killed(tmp_path: Path) -> None:
    assert run(f"sleep 600 & echo $! >{tmp_path}/agent; echo secret") == b"secret"
    agent = int((tmp_path / "agent").read_text())
    os.kill(agent, signal.SIGKILL)  # raises if it is gone


def test_the_command_works_without_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    assert run("echo secret") == b"secret"
    with pytest.raises(errors.TempFail, match="did not end"):
        run("sleep 600", seconds=0.1)


def test_input_is_empty_and_no_descriptor_is_handed_on() -> None:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    os.set_inheritable(writer, True)
    try:
        # Listing takes a descriptor of its own; the shell's are those below it.
        assert run("cat; ls /proc/$$/fd | tr '\\n' ' '").split()[:3] == [b"0", b"1", b"2"]
        assert run(f"ls /proc/$$/fd | grep -cE '^({reader}|{writer})$' || :") == b"0"
        assert run("readlink /proc/$$/fd/0") == b"/dev/null"
    finally:
        os.close(reader)
        os.close(writer)


def test_the_command_has_its_own_process_group() -> None:
    own = int(run("cut -d' ' -f5 /proc/$$/stat"))
    assert own not in (os.getpgrp(), 0)


def test_the_environment_is_passed_on_but_for_what_subverts_programs() -> None:
    harmful = {
        "LD_PRELOAD": "/x.so",
        "LD_LIBRARY_PATH": "/x",
        "PYTHONPATH": "/x",
        "BASH_ENV": "/x",
        "ENV": "/x",
        "BASH_FUNC_echo%%": "() { printf evil; }",
        "SHELLOPTS": "xtrace",
        "IFS": "e",
    }
    harmless = {
        "GPG_TTY": "/dev/pts/9",
        "HOME": "/h",
        "DBUS_SESSION_BUS_ADDRESS": "unix:x",
        "PATH": os.environ.get("PATH", os.defpath),
    }
    assert passwordeval.clean({**harmful, **harmless}) == harmless
    assert run('echo "$GPG_TTY:$LD_PRELOAD:$PYTHONPATH:${LD_LIBRARY_PATH-unset}"', environ={**harmful, **harmless}) == (
        b"/dev/pts/9:::unset"
    )


def test_an_empty_environment_is_enough() -> None:
    assert run("cat /proc/$$/comm") == b"sh"


def test_signals_that_we_ignore_work_in_the_command() -> None:
    ignored = {name: signal.signal(name, signal.SIG_IGN) for name in (signal.SIGPIPE, signal.SIGXFSZ)}
    try:
        mask = int(run("sed -n 's/^SigIgn:[[:space:]]*//p' /proc/$$/status"), 16)
    finally:
        for name, handler in ignored.items():
            signal.signal(name, handler)
    assert not mask & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


def test_an_ignored_sigchld_loses_no_exit_status() -> None:
    old = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert run("echo secret") == b"secret"
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        with pytest.raises(errors.TempFail, match="exit status 3"):
            run("exit 3")
    finally:
        signal.signal(signal.SIGCHLD, old)


def test_no_process_and_no_descriptor_is_left_behind() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for command in ("echo x", "exit 1", "exit 0", "yes", "sleep 600"):
        try:
            run(command, seconds=0.1)
        except errors.Failure:
            pass
    assert sorted(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_the_command_says_on_standard_error_reaches_ours(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("echo 'key ring is locked' >&2; echo secret") == b"secret"
    captured = capfd.readouterr()
    assert captured.err == "key ring is locked\n"
    assert captured.out == ""


def test_an_interruption_kills_the_command(tmp_path: Path) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(f"echo $$ >{tmp_path}/pid; exec sleep 600")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert gone(int((tmp_path / "pid").read_text()))


def test_the_command_is_run_without_heavy_imports() -> None:
    program = f"""import sys; sys.path.insert(0, {ROOT!r})
from pysendmail.config import passwordeval
assert passwordeval.run(b"echo x", environ={{}}, place="p") == b"x"
for name in ("subprocess", "signal", "enum", "re", "threading", "selectors"):
    assert name not in sys.modules, name"""
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)


RUN = """
import os
from pysendmail import errors
from pysendmail.config import passwordeval
try:
    print("got", passwordeval.run({command!r}, environ=dict(os.environ), place="p", seconds={seconds},
                                  terminal={terminal}), flush=True)
except errors.TempFail as error:
    print("failed:", error, flush=True)
print("ours again:", os.tcgetpgrp(0) == os.getpgrp(), flush=True)
"""


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def test_a_command_may_ask_on_the_terminal_and_gives_it_back(terminals: list[Terminal]) -> None:
    command = b"printf 'pass phrase: ' >/dev/tty; read answer </dev/tty; echo \"$answer\""
    terminals.append(Terminal(RUN.format(command=command, seconds=20, terminal=True)))
    terminals[0].read_until(b"pass phrase: ")
    terminals[0].type(b"open sesame\n")
    terminals[0].read_until(b"got b'open sesame'")
    terminals[0].read_until(b"ours again: True")
    assert terminals[0].wait() == 0


def test_a_command_that_asks_before_its_turn_goes_on_when_the_turn_comes(terminals: list[Terminal]) -> None:
    late = """
import os, time
lend = os.tcsetpgrp
def lend_late(fd, group):
    while open(f"/proc/{group}/stat").read().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.01)
    os.tcsetpgrp = lend
    lend(fd, group)
os.tcsetpgrp = lend_late
"""
    command = b'read answer </dev/tty; echo "$answer"'
    terminals.append(Terminal(late + RUN.format(command=command, seconds=20, terminal=True)))
    terminals[0].type(b"open sesame\n")
    terminals[0].read_until(b"got b'open sesame'")


def test_control_c_on_the_terminal_ends_the_command_and_not_us(terminals: list[Terminal]) -> None:
    command = b"read turn </dev/tty; printf 'pass phrase: ' >/dev/tty; read answer </dev/tty; echo \"$answer\""
    terminals.append(Terminal(RUN.format(command=command, seconds=20, terminal=True)))
    terminals[0].type(b"what can read this has its turn\n")
    terminals[0].read_until(b"pass phrase: ")
    terminals[0].type(b"\x03")
    terminals[0].read_until(b"failed: p: the passwordeval command was killed by signal 2")
    terminals[0].read_until(b"ours again: True")


def test_a_command_that_may_not_ask_is_stopped_and_killed_in_time(terminals: list[Terminal]) -> None:
    command = b'read answer </dev/tty; echo "$answer"'
    terminals.append(Terminal(RUN.format(command=command, seconds=0.2, terminal=False)))
    terminals[0].type(b"not for you\n")
    terminals[0].read_until(b"failed: p: the passwordeval command did not end")
    terminals[0].read_until(b"ours again: True")
