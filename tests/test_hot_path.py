"""The ordinary delivery, and putting a message into the queue, load exactly the modules that are listed here.

Nothing among them costs milliseconds.
"""

import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from pysendmail import wire
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.values import Select
from tests.conftest import Installed, skip
from tests.imports import COLD, ROOT, modules, package_imports
from tests.smarthost import Smarthost, make_authority

# What the standard library may add to a bare `python3 -I -S`: built in, frozen, or a shared object without a wrapper.
CHEAP = {
    "_abc", "_collections", "_collections_abc", "_signal", "_socket", "_ssl", "_stat", "_thread", "abc", "binascii",
    "errno", "gc", "genericpath", "os", "os.path", "posix", "posixpath", "pwd", "select", "stat", "sys", "syslog",
    "resource", "time",
}  # fmt: skip

# What a queue needs besides: shared objects and built-in modules without a wrapper.
OF_THE_QUEUE = {"_functools", "_sqlite3", "fcntl"}

# The modules of ours that one message through STARTTLS and AUTH needs, in the order of the alphabet.
ORDINARY = """
pysendmail
pysendmail.command
pysendmail.command.compose
pysendmail.command.console
pysendmail.command.identity
pysendmail.command.intake
pysendmail.command.main
pysendmail.command.result
pysendmail.command.submit
pysendmail.config
pysendmail.config.accounts
pysendmail.config.credentials
pysendmail.config.reader
pysendmail.config.values
pysendmail.config.words
pysendmail.delivery
pysendmail.delivery.connect
pysendmail.delivery.deliver
pysendmail.delivery.interruption
pysendmail.delivery.link
pysendmail.delivery.parcel
pysendmail.delivery.security
pysendmail.delivery.session
pysendmail.delivery.tls
pysendmail.delivery.tls_context
pysendmail.delivery.tls_files
pysendmail.entry
pysendmail.errors
pysendmail.log
pysendmail.message
pysendmail.message.address
pysendmail.message.body
pysendmail.message.facts
pysendmail.message.fixups
pysendmail.message.header
pysendmail.message.prepare
pysendmail.message.recipients
pysendmail.message.render
pysendmail.message.sender
pysendmail.options
pysendmail.smtp
pysendmail.smtp.client
pysendmail.smtp.extensions
pysendmail.smtp.outcome
pysendmail.smtp.reply
pysendmail.smtp.sasl
pysendmail.smtp.transaction
""".split()

# The modules of ours that put one message into a queue which is there already.
QUEUED = """
pysendmail
pysendmail.command
pysendmail.command.compose
pysendmail.command.console
pysendmail.command.identity
pysendmail.command.intake
pysendmail.command.main
pysendmail.command.queueing
pysendmail.command.submit
pysendmail.config
pysendmail.config.accounts
pysendmail.config.reader
pysendmail.config.values
pysendmail.config.words
pysendmail.delivery
pysendmail.delivery.interruption
pysendmail.delivery.parcel
pysendmail.entry
pysendmail.errors
pysendmail.log
pysendmail.message
pysendmail.message.address
pysendmail.message.body
pysendmail.message.facts
pysendmail.message.fixups
pysendmail.message.header
pysendmail.message.prepare
pysendmail.message.recipients
pysendmail.message.sender
pysendmail.options
pysendmail.queue
pysendmail.queue.database
pysendmail.queue.engine
pysendmail.queue.location
pysendmail.queue.schedule
pysendmail.queue.schema
pysendmail.queue.settings
pysendmail.queue.sqlite
pysendmail.queue.states
pysendmail.queue.store
pysendmail.queue.trouble
pysendmail.queue.values
""".split()

# All that handing a message over to a daemon loads, ours and others: what a bare interpreter has loaded comes free.
HANDED_OVER = "_socket gc pysendmail pysendmail.entry".split()

# Runs the command, and at its end, however it comes, writes which modules were loaded and the exit code.
PROBE = """
import sys
bare = set(sys.modules)
root, report, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = "sendmail"
sys.path.insert(0, root)
import posix
leave = posix._exit
def tell(code):
    names = sorted(set(sys.modules) - bare)
    file = posix.open(report, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC, 0o600)
    posix.write(file, " ".join([str(code), *names]).encode())
    leave(code)
posix._exit = tell
from pysendmail import entry
try:
    tell(entry.main() or 0)
except SystemExit as end:
    tell(end.code or 0)
"""

LOAD_ALL = """
import sys
bare = set(sys.modules)
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    __import__(name)
print(*sorted(set(sys.modules) - bare))
"""


def python(program: str, *arguments: str, stdin: bytes = b"", home: str = "/nonexistent", **environ: str) -> str:
    """Run a program as the installed command runs, without site-packages and without the caller's environment."""
    command = [sys.executable, "-I", "-S", "-c", program, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, env={"HOME": home, **environ}, timeout=60, check=False)
    assert done.stderr == b"", done.stderr.decode()
    return done.stdout.decode()


def foreign_modules(loaded: list[str]) -> set[str]:
    """Give those of the loaded modules that are not ours."""
    return {name for name in loaded if name.partition(".")[0] != "pysendmail"}


def own_modules(loaded: list[str]) -> list[str]:
    """Give those of the loaded modules that are ours, in the order of the alphabet."""
    return sorted(name for name in loaded if name.partition(".")[0] == "pysendmail")


def test_no_module_loads_what_is_costly_when_it_is_imported() -> None:
    names = [name for name in modules() if name not in COLD and "__main__" not in name]
    assert foreign_modules(python(LOAD_ALL, str(ROOT), *names).split()) <= CHEAP | OF_THE_QUEUE


def test_no_cold_module_is_on_the_list() -> None:
    for listed in (ORDINARY, QUEUED):
        assert COLD.isdisjoint(listed) and set(modules()) >= COLD | set(listed)


def test_the_gate_sees_what_is_loaded_by_the_way() -> None:
    assert not set(python(LOAD_ALL, str(ROOT), "socket").split()) <= CHEAP


def allowed(name: str) -> set[str]:
    """Give what the module `name` may import at its top."""
    return {"pysendmail", *CHEAP, *(OF_THE_QUEUE if name.startswith("pysendmail.queue.") else ())}


def test_a_module_names_at_its_top_only_what_is_cheap() -> None:
    foreign = [
        f"{name}:{entry.line}: {entry.module}"
        for name, found in package_imports().items()
        for entry in found
        if entry.at_once and name not in COLD and entry.module.partition(".")[0] not in allowed(name)
    ]
    assert foreign == []


@pytest.mark.parametrize("queue", ["", "queue {}/queue"], ids=["without a queue", "with a queue"])
def test_the_ordinary_delivery_loads_exactly_the_listed_modules(tmp_path: pathlib.Path, queue: str) -> None:
    authority = make_authority(tmp_path)
    smarthost = Smarthost(authority, "alice", "geheim")
    smarthost.start()
    config = tmp_path / "conf"
    config.write_text(
        f"host localhost\nport {smarthost.port}\ntls_trust_file {authority.ca}\n"
        "from alice@example.org\nmaildomain example.org\nuser alice\npassword geheim\nsyslog off\n"
        + queue.format(tmp_path)
    )
    config.chmod(0o600)
    try:
        code, *loaded = send(tmp_path)
    finally:
        smarthost.stop()
    assert (code, [m.recipients for m in smarthost.received]) == ("0", [["bob@example.net"]])
    assert foreign_modules(loaded) <= CHEAP
    assert own_modules(loaded) == ORDINARY
    assert not (tmp_path / "queue").exists()


def test_putting_a_message_into_the_queue_loads_exactly_the_listed_modules(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "spool" / "queue"
    (tmp_path / "conf").write_text(
        f"host localhost\nport 1\nfrom alice@example.org\nmaildomain example.org\nsyslog off\nqueue {path}\n"
    )
    code, *making = send(tmp_path, "-odq")
    assert code == "0"
    assert foreign_modules(making) <= CHEAP | OF_THE_QUEUE
    code, *loaded = send(tmp_path, "-odq")
    assert code == "0"
    assert foreign_modules(loaded) - CHEAP == {"_functools", "_sqlite3"}
    assert own_modules(loaded) == QUEUED
    assert own_modules(making) == sorted([*QUEUED, "pysendmail.folders", "pysendmail.queue.room"])
    store = SqliteStore(str(path))
    try:
        addresses = [[one.address for one in item.recipients] for item in store.listing(Select())]
    finally:
        store.close()
    assert addresses == [[b"bob@example.net"], [b"bob@example.net"]]


def test_handing_over_to_a_daemon_loads_next_to_nothing(tmp_path: pathlib.Path) -> None:
    with Counter(tmp_path / "pysendmail" / "submit.sock") as daemon:
        report = tmp_path / "report"
        message = b"To: bob@example.net\n\ntext\n"
        python(PROBE, str(ROOT), str(report), "-t", "-i", stdin=message, XDG_RUNTIME_DIR=str(tmp_path))
    assert report.read_text().split() == ["0", *HANDED_OVER]
    assert daemon.taken == [([b"sendmail", b"-t", b"-i"], message)]


def test_handing_over_costs_little_more_than_the_bare_interpreter(installed: Installed, tmp_path: pathlib.Path) -> None:
    if shutil.which("valgrind") is None:
        skip("valgrind is not installed")
    with Counter(tmp_path / "pysendmail" / "submit.sock") as daemon:
        environ = {"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
        bare = instructions([installed.python, "-I", "-S", "-c", "pass"], b"", environ)
        command = [installed.python, "-ISXutf8", installed.sendmail, "-i", "-f", "a@example.org", "bob@example.net"]
        ours = instructions(command, b"Subject: x\n\n" + b"0123456789abcde\n" * 128, environ)
    assert len(daemon.taken) == 1
    assert ours <= 1.3 * bare, (ours, bare)


def instructions(command: list[str], text: bytes, environ: dict[str, str]) -> int:
    """Count the instructions that a command takes; they repeat, whatever else the machine does."""
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run([*tool, *command], input=text, env=environ, capture_output=True, timeout=120, check=True)
    found = re.search(rb"I +refs: +([\d,]+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1].replace(b",", b""))


class Counter:
    """Take messages as a daemon does, say yes to each, and keep them with the words of the command."""

    def __init__(self, path: pathlib.Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self.taken: list[tuple[list[bytes], bytes]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Counter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line:
                self._take(line)

    def _take(self, line: socket.socket) -> None:
        decoder = wire.Decoder()
        words: list[bytes] = []
        text = b""
        while data := line.recv(65536):
            for kind, content in decoder.feed(data):
                if kind == ord(wire.REQUEST):
                    words = content.split(b"\0")[1:]
                elif kind == ord(wire.DATA):
                    text += content
                elif kind == ord(wire.END) and int.from_bytes(content, "big") == len(text):
                    self.taken.append((words, text))
                    line.sendall(wire.frame(wire.EXIT, b"\0"))
                    return


def send(folder: pathlib.Path, *arguments: str) -> list[str]:
    """Send a message by the configuration `conf` of a folder; return the exit code and what was loaded."""
    report = folder / "report"
    message = b"To: bob@example.net\nSubject: hot path\n\ntext\n"
    options = ["-C", str(folder / "conf"), *arguments, "-t", "-i"]
    python(PROBE, str(ROOT), str(report), *options, stdin=message, home=str(folder))
    return report.read_text().split()
