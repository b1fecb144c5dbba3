"""Count what the installed command costs, as instructions and as multiples of the bare interpreter: `make bench`.

Instruction counts repeat from run to run, where times do not. They come from valgrind's callgrind, or else from perf.
What crosses the network goes to the embedded smarthost on loopback, in a process that is not counted.
"""

import dataclasses
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable

from tests.conftest import base_python, make_install
from tests.smarthost import Smarthost, make_authority

ROUNDS = 3
HEADER = b"From: alice@example.net\nTo: bob@example.org\nSubject: bench\n"
SMALL = HEADER + b"\n" + b"All work and no play makes mail a dull thing.\n" * 43
LARGE = HEADER + b"\n" + (b"x" * 76 + b"\n") * 136_000
MANY = HEADER + b"Cc: " + b",\n ".join(b"user%d@example.org" % each for each in range(1000)) + b"\n\nHello.\n"

# A counter runs a command with an input and gives the number of instructions that it took.
Counter = Callable[[list[str], bytes], int]


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table: what is measured, by which command, fed with what."""

    title: str
    command: list[str]
    text: bytes = b""


def by_callgrind(command: list[str], text: bytes) -> int:
    """Count with valgrind."""
    wrapped = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command]
    return counted(wrapped, text, rb"Collected : (\d+)")


def by_perf(command: list[str], text: bytes) -> int:
    """Count with the processor's own counter, in user space."""
    return counted(["perf", "stat", "-x,", "-e", "instructions:u", *command], text, rb"(\d+),[^,]*,instructions")


def counted(command: list[str], text: bytes, pattern: bytes) -> int:
    """Run a command under its counter and find the count in what the counter says."""
    done = subprocess.run(command, input=text, capture_output=True, env={"PATH": "/usr/bin:/bin"}, timeout=600)
    found = re.search(pattern, done.stderr)
    if done.returncode != 0 or found is None:
        sys.exit(f"bench: {command[0]} failed on {command[-1]}: {done.stderr.decode('utf-8', 'replace')[-500:]}")
    return int(found[1])


def find_counter() -> tuple[str, Counter]:
    """Give the first counter that works here, or end with what is missing."""
    if shutil.which("valgrind"):
        return "valgrind --tool=callgrind", by_callgrind
    if shutil.which("perf"):
        probe = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", "true"], capture_output=True)
        if re.search(rb"^\d+,", probe.stderr, re.MULTILINE):
            return "perf stat -e instructions:u", by_perf
    sys.exit("bench: instructions cannot be counted here: valgrind is not installed, and perf is not or cannot count")


def write_configuration(path: pathlib.Path, port: int, *words: str) -> pathlib.Path:
    """Write a configuration for the smarthost on `port`."""
    lines = ["host localhost", f"port {port}", "from alice@example.net", "syslog off", *words]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


def rows(folder: pathlib.Path, guarded: Smarthost, clear: Smarthost, ca: pathlib.Path) -> list[Row]:
    """List what is measured; the first row is what the others are multiples of."""
    python = base_python()
    words = (f"tls_trust_file {ca}", "user alice", "password secret")
    by_tls = str(write_configuration(folder / "tls.conf", guarded.port, *words))
    in_clear = str(write_configuration(folder / "clear.conf", clear.port, "tls off"))
    command = [python, "-ISXutf8", str(folder / "prefix/sbin/sendmail")]
    return [
        Row("python3 -IS -c pass", [python, "-IS", "-c", "pass"]),
        Row("sendmail --version", [*command, "--version"]),
        Row("2 KB in clear", [*command, "-C", in_clear, "-i", "bob@example.org"], SMALL),
        Row("2 KB by STARTTLS and AUTH", [*command, "-C", by_tls, "-i", "bob@example.org"], SMALL),
        Row("10 MB in clear", [*command, "-C", in_clear, "-i", "bob@example.org"], LARGE),
        Row("-t, 1,000 recipients, in clear", [*command, "-C", in_clear, "-i", "-t"], MANY),
    ]


def main() -> None:
    """Measure every row and print the table."""
    name, counter = find_counter()
    with tempfile.TemporaryDirectory(prefix="pysendmail-bench-") as temporary:
        folder = pathlib.Path(temporary)
        make_install(str(folder / "prefix"))
        authority = make_authority(folder)
        guarded, clear = Smarthost(authority, "alice", "secret"), Smarthost()
        guarded.start()
        clear.start()
        print(f"{base_python()}, {name}, median of {ROUNDS}\n")
        print(f"{'':34}{'million':>9}{'x bare':>9}{'spread':>9}")
        bare = 0.0
        for row in rows(folder, guarded, clear, authority.ca):
            counts = [counter(row.command, row.text) for _ in range(ROUNDS)]
            median = statistics.median(counts)
            bare = bare or median
            spread = (max(counts) - min(counts)) / median
            print(f"{row.title:34}{median / 1e6:9.1f}{median / bare:9.2f}{spread:9.2%}", flush=True)
        guarded.stop()
        clear.stop()


if __name__ == "__main__":
    main()
