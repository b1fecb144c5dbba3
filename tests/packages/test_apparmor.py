"""The profile for AppArmor allows what the daemon does, as far as a trace of its system calls can tell."""

import os
import pathlib
import re
import shutil
import signal
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from tests.command.caller import LIMIT, MESSAGE, until
from tests.conftest import ROOT, make_install, skip
from tests.delivery import certificates
from tests.obedient import Obedient
from tests.packages.apparmor import BASE, Profile, needs
from tests.ports import free_port

TEXT = (ROOT / "debian/apparmor/usr.sbin.pysendmaild").read_text()
CAROL, DAEMON = 54321, 54330
USERS = "pysendmail:x:54330:54330::/nonexistent:/bin/false\ncarol:x:54321:54321:Carol:/nonexistent:/bin/sh\n"
# What a package puts below /usr and /etc lies over what is there; the folders of the daemon are empty.
MACHINE = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/spool
mount -t overlay -o "lowerdir=$1/etc:/etc" overlay /etc
mount -t overlay -o "lowerdir=$1/usr:/usr" overlay /usr
mkdir -p -m 755 /run/credentials/pysendmail.service /run/systemd
echo ready
exec cat
"""


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/a/* r,", "/a/b", True),
        ("/a/* r,", "/a/", False),
        ("/a/* r,", "/a/b/c", False),
        ("/a/** r,", "/a/b/c", True),
        ("/a/** r,", "/a/", False),
        ("/a{,/**} r,", "/a", True),
        ("/a/{b,c}/?.so* r,", "/a/c/x.so.6", True),
        ("/a/[bc] r,", "/a/d", False),
        ("@{X}/b r,", "/one/b", True),
        ("@{X}/b r,", "/two/b", True),
        ("owner /a/b r,", "/a/b", True),
        ("/a/b w,", "/a/b", False),
        ("/a/b r, # comment", "/a/b", True),
        ("# /a/b r,", "/a/b", False),
        ("/a/** r,\ndeny /a/b r,", "/a/b", False),
        ("network inet stream,", "/a", False),
    ],
)
def test_rules_are_read_as_apparmor_reads_them(pattern: str, path: str, fits: bool) -> None:
    profile = Profile(f"@{{X}}=/one /t{{w,}}o\n{pattern}\n".replace("/t{w,}o", "/two"))
    assert (profile.lacking(path, "r") == "") is fits


def test_a_trace_is_read_for_what_it_needs() -> None:
    trace = "\n".join([
        'openat(AT_FDCWD</>, "/etc/a", O_RDONLY|O_CLOEXEC) = 3</etc/a>',
        'openat(AT_FDCWD</>, "/etc/b", O_RDONLY) = -1 ENOENT (No such file or directory)',
        'openat(AT_FDCWD</>, "/s/q", O_RDWR|O_CREAT|O_NOFOLLOW, 0600) = 4</s/q>',
        "mmap(NULL, 4096, PROT_READ|PROT_EXEC, MAP_PRIVATE, 3</lib/x.so>, 0) = 0x7f0000000000",
        "fcntl(4</s/q>, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=1, l_len=1}) = 0",
        "flock(5</s/q-accept>, LOCK_EX|LOCK_NB) = 0",
        'unlink("/s/t") = 0',
        'mkdir("/s/d", 0700) = 0',
        'connect(6<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path="/dev/log"}, 110) = -1 ENOENT (No such file or directory)',
        'renameat(AT_FDCWD</>, "/s/a", AT_FDCWD</>, "/s/b") = 0',
    ])  # fmt: skip
    assert needs(trace) == {
        ("/etc/a", "r"), ("/s/q", "rw"), ("/lib/x.so", "m"), ("/s/q", "k"), ("/s/q-accept", "k"), ("/s/t", "w"), ("/s/d/", "w"),
        ("/dev/log", "rw"), ("/s/a", "w"), ("/s/b", "w"),
    }  # fmt: skip


class Traced:
    """A machine on which the package is installed, and its daemon under strace."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        make_install("/usr", destdir=str(folder), python="/usr/bin/python3")
        etc = folder / "etc"
        (etc / "pysendmail").mkdir(parents=True, exist_ok=True)
        for name, more in (("passwd", USERS), ("group", "pysendmail:x:54330:\n")):
            (etc / name).write_text(pathlib.Path("/etc", name).read_text() + more)
        self.trace = folder / "trace"
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", MACHINE, "sh", str(folder)]
        self.keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.keeper.stdout is not None
        if self.keeper.stdout.readline() != b"ready\n":
            skip("no mount namespace can be made here")
        self.inside = ["nsenter", "--mount", f"--target={self.keeper.pid}", "--"]

    def run(self, *command: str, uid: int = 0, text: bytes = MESSAGE) -> "subprocess.CompletedProcess[bytes]":
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"] if uid else []
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}
        whole = [*self.inside, *become, *command]
        return subprocess.run(whole, input=text, env=environ, capture_output=True, timeout=LIMIT, check=False)

    def start(self, *arguments: str, uid: int = 0, **environ: str) -> "subprocess.Popen[bytes]":
        """Start the daemon in the foreground, each of its processes traced into a file of its own."""
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"] if uid else []
        calls = "trace=%file,%network,mmap,fcntl,flock,fchmod,fchown,ftruncate"
        traced = ["strace", "-ff", "-qq", "-y", "-s", "4096", "-e", calls, "-e", "signal=none", "-o", str(self.trace)]
        words = ["env", "-i", *[f"{name}={value}" for name, value in environ.items()], "/usr/sbin/pysendmaild", "-f", *arguments]
        process = subprocess.Popen([*self.inside, *traced, *become, *words])
        until(lambda: self.run("test", "-S", "/run/pysendmail/submit.sock").returncode == 0)
        return process

    def leader(self) -> int:
        """Return the process id of the daemon's parent process."""
        mine = os.readlink(f"/proc/{self.keeper.pid}/ns/mnt")
        for folder in sorted(pathlib.Path("/proc").glob("[0-9]*"), key=lambda one: int(one.name)):
            try:
                if os.readlink(folder / "ns/mnt") == mine and b"/usr/sbin/pysendmaild" in (folder / "cmdline").read_bytes().split(b"\0")[:3]:
                    return int(folder.name)
            except OSError:
                continue
        raise AssertionError("there is no daemon")

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        os.kill(self.leader(), signal.SIGTERM)
        assert process.wait(LIMIT) == 0

    def needs(self) -> set[tuple[str, str]]:
        """Return what the daemon needed from its own start on."""
        texts = [path.read_text() for path in self.folder.glob("trace.*")]
        # What env did before is not its own; a process that it has made begins with no other program.
        begins = [text.find('execve("/usr/sbin/pysendmaild"') for text in texts]
        return needs("\n".join([text[max(0, begin) :] for text, begin in zip(texts, begins, strict=True)]))

    def close(self) -> None:
        assert self.keeper.stdin is not None and self.keeper.stdout is not None
        self.keeper.stdin.close()
        self.keeper.wait(LIMIT)
        self.keeper.stdout.close()


@pytest.fixture
def machine() -> Iterator[Traced]:
    if os.getuid():
        skip("only root can make a mount namespace")
    if shutil.which("strace") is None:
        skip("there is no strace")
    if not BASE.is_dir():
        skip("the package apparmor is not installed")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pysendmail-apparmor-"))
    folder.chmod(0o755)
    made = Traced(folder)
    yield made
    made.close()
    shutil.rmtree(folder)


def lacking(found: set[tuple[str, str]], profile: Profile) -> list[tuple[str, str]]:
    return sorted((path, less) for path, letters in found if (less := profile.lacking(path, letters)))


def test_all_that_a_daemon_of_roots_opens_is_allowed(machine: Traced, tmp_path: pathlib.Path) -> None:
    etc = machine.folder / "etc"
    authority = certificates.authority()
    (etc / "pysendmail/ca.pem").write_bytes(authority.pem)
    (etc / "pysendmail/admins").write_text("admin@example.net\n")
    (etc / "aliases").write_text("root: :include:/etc/pysendmail/admins\n")
    good = certificates.issue(authority, ("localhost",)).write(tmp_path / "good.pem")
    port = free_port()
    with Obedient({"good": good}, tls="starttls", mechanisms="PLAIN", answers={"RCPT TO:<no@": "550 5.1.1 no"}) as server:
        config = etc / "pysendmail/pysendmail.conf"
        config.write_text(
            f"listen 127.0.0.1:{port}\nhost localhost\nport {server.port}\ntls_trust_file /etc/pysendmail/ca.pem\n"
            "user alice\npassword secret\nmaildomain example.org\nlogfile /var/spool/pysendmail/log\n"
        )
        config.chmod(0o600)
        process = machine.start()
        for uid in (0, CAROL):
            assert machine.run("/usr/sbin/sendmail", "-i", "root", uid=uid).returncode == 0
        assert machine.run("/usr/sbin/sendmail", "-i", "root", text=MESSAGE + b"x" * 70 * 60000).returncode == 0
        assert machine.run("/usr/sbin/sendmail", "-odi", "-i", "no@example.net", "root").returncode in (0, 67)
        with smtplib.SMTP("127.0.0.1", port, timeout=LIMIT) as client:
            client.sendmail("me@example.org", ["root"], MESSAGE.replace(b"\n", b"\r\n"))
        for command in (
            ["/usr/bin/mailq"], ["/usr/bin/newaliases"], ["/usr/sbin/sendmail", "-bv", "root"], ["/usr/sbin/sendmail", "-q"],
            ["/usr/bin/pysendmail", "status"], ["/usr/bin/pysendmail", "log"], ["/usr/bin/pysendmail", "queue", "check"],
        ):  # fmt: skip
            done = machine.run(*command, text=b"")
            assert done.returncode == 0, (command, done.stderr)
        until(lambda: len(server.deliveries) >= 5)
        before = len(list(machine.folder.glob("trace.*")))
        os.kill(machine.leader(), signal.SIGHUP)
        until(lambda: len(list(machine.folder.glob("trace.*"))) > before + 2)
        assert machine.run("/usr/sbin/sendmail", "-i", "root").returncode == 0
        machine.end(process)
    found = machine.needs()
    paths = {path for path, _ in found}
    assert {"/etc/aliases", "/etc/pysendmail/admins", "/etc/pysendmail/ca.pem", "/var/spool/pysendmail/queue.db"} <= paths
    assert lacking(found, Profile(TEXT)) == []
    # What a rule is for, nothing else allows.
    for rule, path in (("/etc/aliases r,", "/etc/aliases"), ("/var/spool/pysendmail/** rwkl,", "/var/spool/pysendmail/queue.db")):
        assert path in {one for one, _ in lacking(found, Profile(TEXT.replace(rule, "")))}


def test_all_that_a_daemon_of_systemds_opens_is_allowed(machine: Traced) -> None:
    with Obedient() as server:
        credentials = "/run/credentials/pysendmail.service"
        script = (
            f"printf 'host 127.0.0.1\\nport {server.port}\\ntls off\\nsyslog on\\n' >{credentials}/msmtprc\n"
            f"printf -- - >{credentials}/pysendmail.conf\nchown -R 54330 {credentials}\n"
            "install -d -o 54330 -g 54330 /run/pysendmail /var/spool/pysendmail\n"
        )
        (machine.folder / "etc/msmtprc").write_text("host 127.0.0.1\n")
        (machine.folder / "etc/msmtprc").chmod(0o600)
        done = machine.run("sh", "-ec", script, text=b"")
        assert done.returncode == 0, done.stderr
        words = {"CREDENTIALS_DIRECTORY": credentials, "NOTIFY_SOCKET": "/run/systemd/notify"}
        process = machine.start("-C", f"{credentials}/pysendmail.conf", uid=DAEMON, **words)
        assert machine.run("/usr/sbin/sendmail", "-i", "bob@example.net", uid=CAROL).returncode == 0
        until(lambda: len(server.deliveries) == 1)
        machine.end(process)
    found = machine.needs()
    assert f"{credentials}/msmtprc" in {path for path, _ in found}
    assert lacking(found, Profile(TEXT)) == []


def test_the_profile_names_each_file_of_another_program_that_is_used() -> None:
    unit = (ROOT / "systemd/system/pysendmail.service").read_text()
    if not BASE.is_dir():
        skip("the package apparmor is not installed")
    profile = Profile(TEXT)
    for name, path in re.findall(r"^LoadCredential=([^:\n]+):(\S+)$", unit, flags=re.M):
        assert profile.lacking(path, "r") == "" and profile.lacking(f"/run/credentials/pysendmail.service/{name}", "r") == ""
