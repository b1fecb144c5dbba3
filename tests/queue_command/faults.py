"""Run the command under strace and let one system call fail, or kill the command at it.

strace counts the calls of each name for itself. So a traced run first gives all calls behind the start of the
interpreter, and then each case names one of them: (name, number of the call of that name).
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence

LIMIT = 120
ALL = "PYSENDMAIL_EVERY_FAULT"  # set it in the environment to have every case and not a sample of them
ERRORS = ("EIO", "ENOSPC", "EINTR")
# With no thread to be had the runner works in its main thread: then each run makes the same calls.
ONE_THREAD = ("-e", "inject=clone,clone3:error=EAGAIN")
# A failure of these says nothing of the disk or the network, or cannot be.
NEVER_FAIL = {
    "brk", "clone", "clone3", "close", "dup", "exit", "exit_group", "futex", "getegid", "geteuid", "getgid", "getpid",
    "getppid", "getrandom", "getsockopt", "gettid", "getuid", "rt_sigaction", "rt_sigprocmask", "sched_yield",
    "umask", "munmap", "uname",
}  # fmt: skip
# To give a lock back, and to be told of what cannot be, never fails on a local file.
_NEVER_FAILS = re.compile(r"fcntl\(\d+, F_(SETLK, \{l_type=F_UNLCK|[GS]ETFD|GETFL)")
_LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()")


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens at the `number`-th call of `call`: `effect` is as strace has it."""

    call: str
    number: int
    effect: str

    @property
    def kills(self) -> bool:
        return self.effect == "signal=KILL"

    def options(self) -> list[str]:
        # Only traced calls are tampered with, those of ONE_THREAD included; and each thread is counted for itself.
        return ["-e", f"trace={self.call},clone,clone3", "-e", f"inject={self.call}:{self.effect}:when={self.number}"]


def missing() -> str | None:
    """Say why there can be no faults here, None if there can."""
    if shutil.which("strace") is None:
        return "there is no strace"
    tried = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "strace may not trace"


def traced(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    stdin: bytes,
    options: Sequence[str] = (),
    output: pathlib.Path | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command under strace; the exit status is the command's own, negative if a signal ended it."""
    return subprocess.run(
        ["strace", "-f", "-qq", "-o", str(output or "/dev/null"), *options, *command],
        env=dict(env), input=stdin, capture_output=True, timeout=LIMIT, check=False,
    )  # fmt: skip


def calls(trace: str, mark: str) -> list[tuple[str, int, bool]]:
    """List the calls from the one on that mentions `mark`: name, number among those of that name, whether it can fail."""
    seen: Counter[str] = Counter()
    begun, found = False, []
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match is None or match[3] is None:
            continue
        seen[match[3]] += 1
        begun = begun or mark in line
        if begun:
            found.append((match[3], seen[match[3]], match[3] not in NEVER_FAIL and not _NEVER_FAILS.search(line)))
    return found


def faults(found: Sequence[tuple[str, int, bool]]) -> list[Fault]:
    """Give every case: a kill at each call, an end by SIGTERM, and each error where there can be one."""
    cases = []
    for call, number, can_fail in found:
        cases += [Fault(call, number, "signal=KILL"), Fault(call, number, "signal=TERM")]
        if can_fail:
            cases += [Fault(call, number, f"error={error}") for error in ERRORS]
    return cases


def sample(cases: Sequence[Fault], most: int) -> list[Fault]:
    """Give all cases if the environment asks for them, else some, spread evenly: the first and the last always."""
    if os.environ.get(ALL) or len(cases) <= most:
        return list(cases)
    return [cases[number * (len(cases) - 1) // (most - 1)] for number in range(most)]
