"""The ordinary delivery loads exactly the modules that are listed here, and nothing that costs milliseconds."""

import pathlib
import subprocess
import sys

from tests.imports import COLD, ROOT, modules, package_imports
from tests.smarthost import Smarthost, make_authority

# What the standard library may add to a bare `python3 -I -S`: built in, frozen, or a shared object without a wrapper.
CHEAP = {
    "_abc", "_collections", "_collections_abc", "_signal", "_socket", "_ssl", "_stat", "_thread", "abc", "binascii",
    "errno", "gc", "genericpath", "os", "os.path", "posix", "posixpath", "pwd", "select", "stat", "sys", "syslog",
    "resource", "time",
}  # fmt: skip

# The modules of ours that one message through STARTTLS and AUTH needs, in the order of the alphabet.
ORDINARY = """
pysendmail
pysendmail.command
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

# Runs the command, and at its end, however it comes, writes which modules were loaded and the exit code.
PROBE = """
import sys
bare = set(sys.modules)
root, report, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = "sendmail"
sys.path.insert(0, root)
import os
leave = os._exit
def tell(code):
    names = sorted(set(sys.modules) - bare)
    file = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(file, " ".join([str(code), *names]).encode())
    leave(code)
os._exit = tell
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


def python(program: str, *arguments: str, stdin: bytes = b"", home: str = "/nonexistent") -> str:
    """Run a program as the installed command runs, without site-packages and without the caller's environment."""
    command = [sys.executable, "-I", "-S", "-c", program, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, env={"HOME": home}, timeout=60, check=False)
    assert done.stderr == b"", done.stderr.decode()
    return done.stdout.decode()


def test_no_module_loads_what_is_costly_when_it_is_imported() -> None:
    loaded = python(LOAD_ALL, str(ROOT), *[name for name in modules() if name not in COLD and "__main__" not in name])
    assert [name for name in loaded.split() if not name.startswith("pysendmail") and name not in CHEAP] == []


def test_no_cold_module_is_on_the_list() -> None:
    assert COLD.isdisjoint(ORDINARY) and set(modules()) >= COLD | set(ORDINARY)


def test_the_gate_sees_what_is_loaded_by_the_way() -> None:
    assert not set(python(LOAD_ALL, str(ROOT), "socket").split()) <= CHEAP


def test_a_module_names_at_its_top_only_what_is_cheap() -> None:
    foreign = [
        f"{name}:{entry.line}: {entry.module}"
        for name, found in package_imports().items()
        for entry in found
        if entry.at_once and name not in COLD and entry.module.partition(".")[0] not in {"pysendmail", *CHEAP}
    ]
    assert foreign == []


def test_the_ordinary_delivery_loads_exactly_the_listed_modules(tmp_path: pathlib.Path) -> None:
    authority = make_authority(tmp_path)
    smarthost = Smarthost(authority, "alice", "geheim")
    smarthost.start()
    config = tmp_path / "conf"
    config.write_text(
        f"host localhost\nport {smarthost.port}\ntls_trust_file {authority.ca}\n"
        "from alice@example.org\nmaildomain example.org\nuser alice\npassword geheim\nsyslog off\n"
    )
    config.chmod(0o600)
    report = tmp_path / "report"
    message = b"To: bob@example.net\nSubject: hot path\n\ntext\n"
    try:
        python(PROBE, str(ROOT), str(report), "-C", str(config), "-t", "-i", stdin=message, home=str(tmp_path))
    finally:
        smarthost.stop()
    code, *loaded = report.read_text().split()
    assert (code, [m.recipients for m in smarthost.received]) == ("0", [["bob@example.net"]])
    assert sorted(name for name in loaded if not name.startswith("pysendmail") and name not in CHEAP) == []
    assert [name for name in loaded if name.startswith("pysendmail")] == ORDINARY
