"""Machines that have another program's configuration and none of ours, with the daemon and without."""

import contextlib
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from tests.command.caller import LIMIT, MESSAGE
from tests.conftest import everybodys_python, make_install
from tests.crowd import Crowd
from tests.daemon.running import wait_until
from tests.daemon.test_program import Machine
from tests.obedient import Obedient

pytestmark = pytest.mark.usefixtures("superuser")

# Puts the daemon's usual places and what stands in a folder in the way of the machine's own /etc.
MACHINE = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /etc/pysendmail /var/spool
mount -t tmpfs -o mode=755 tmpfs /var/spool
mount -t overlay -o "lowerdir=${1%/*}/etc:/etc" overlay /etc
mount -t tmpfs -o mode=755 tmpfs /etc/pysendmail
echo ready
exec cat
"""
USERS = "pysendmail:x:54330:54330::/nonexistent:/bin/false\ncarol:x:54321:54321:Carol:/nonexistent:/bin/sh\n"
GROUPS = "pysendmail:x:54330:\n"
CAROL = 54321


class OldMachine(Machine):
    """A machine whose /etc has more in it."""

    script = MACHINE

    def call(self, program: str, *arguments: str, uid: int = 0, home: str = "/nonexistent") -> "subprocess.CompletedProcess[str]":
        """Run a program to its end for a user with this home folder, with a message on its standard input."""
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home}
        command = self.command(program, *arguments, uid=uid)
        message = MESSAGE.decode()
        return subprocess.run(
            command, input=message, env=environ, capture_output=True, text=True, timeout=LIMIT, check=False
        )  # fmt: skip


@contextlib.contextmanager
def old_machine(server: Obedient, files: dict[str, str]) -> Iterator[OldMachine]:
    """Give a machine with these files below /etc, which have the rights that packages give them."""
    prefix = pathlib.Path(tempfile.mkdtemp(prefix="pysendmail-prefix-"))
    prefix.chmod(0o755)
    make_install(str(prefix), python=everybodys_python())
    etc = prefix / "etc"
    etc.mkdir(mode=0o755)
    for name, text in files.items():
        path = etc / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o640)
        if path.parent != etc:
            path.parent.chmod(0o750)
    for name, more in (("passwd", USERS), ("group", GROUPS)):
        (etc / name).write_text(pathlib.Path("/etc", name).read_text() + more)
    machine = OldMachine(prefix, prefix, server)
    try:
        yield machine
    finally:
        machine.clear()
        shutil.rmtree(prefix)


def test_a_user_without_the_right_to_read_the_file_sends_by_the_daemon() -> None:
    with Crowd(mechanisms="LOGIN CRAM-MD5") as server, Crowd(mechanisms="LOGIN") as other:
        config = (
            f"root=admin@example.net\nmailhub=127.0.0.1:{server.port}\nrewriteDomain=example.org\nUseTLS=NO\n"
            "FromLineOverride=YES\nAuthUser=alice\nAuthPass=a#b=c\nAuthMethod=LOGIN\n"
        )
        reverse = f"nobody:nobody.else@example.com:127.0.0.1:{other.port}\n"
        with old_machine(server, {"ssmtp/ssmtp.conf": config, "ssmtp/revaliases": reverse}) as machine:
            done = machine.call("sbin/sendmail", "-i", "root", uid=CAROL)
            assert done.returncode == 78 and "/etc/ssmtp/ssmtp.conf: cannot be read: Permission denied" in done.stderr
            machine.start()
            done = machine.call("sbin/sendmail", "-i", "root", "bob@example.net", uid=CAROL)
            assert (done.returncode, done.stderr) == (0, "")
            wait_until(lambda: len(server.deliveries) == 1)
            assert server.deliveries[0].recipients == ["admin@example.net", "bob@example.net"]
            assert server.deliveries[0].sender == "ann@example.org"
            message = MESSAGE.partition(b"\n")[2]
            assert machine.run("sbin/sendmail", "-i", "bob@example.net", uid=65534, message=message).returncode == 0
            wait_until(lambda: len(other.deliveries) == 1)
            assert other.deliveries[0].sender == "nobody.else@example.com"


def test_a_users_msmtprc_is_used_and_the_log_says_so_for_each_message() -> None:
    with Crowd() as server, old_machine(server, {}) as machine:
        home = machine.prefix / "home"
        home.mkdir()
        text = f"account default\nhost 127.0.0.1\nport {server.port}\nfrom alice@example.org\nlogfile {home}/log\n"
        (home / ".msmtprc").write_text(text)
        for _ in range(2):
            done = machine.call("sbin/sendmail", "-i", "bob@example.net", home=str(home))
            assert (done.returncode, done.stderr) == (0, "")
        assert [delivery.sender for delivery in server.deliveries] == ["alice@example.org"] * 2
        lines = (home / "log").read_text().splitlines()
    told = [line for line in lines if ".msmtprc: the configuration of msmtp is used" in line]
    assert len(told) == 2 and all(": note: " in line for line in told)


def test_the_daemon_takes_a_file_of_ours_as_soon_as_there_is_one() -> None:
    with Crowd() as server, Crowd() as other:
        files = {"nullmailer/remotes": f"127.0.0.1 smtp port={server.port}\n", "nullmailer/defaulthost": "example.org\n"}
        with old_machine(server, files) as machine:
            pid = machine.start()
            assert machine.call("sbin/sendmail", "-i", "bob@example.net", uid=CAROL).returncode == 0
            wait_until(lambda: len(server.deliveries) == 1)
            config = f"host 127.0.0.1\nport {other.port}\ntls off\nsyslog off\nmaildomain example.org\n"
            inside = f"printf '{config}' > /etc/pysendmail/pysendmail.conf && kill -HUP {pid}"
            enter = ["nsenter", "--mount", f"--target={machine.keeper.pid}", "--", "sh", "-c", inside]
            subprocess.run(enter, check=True)

            def arrived() -> bool:
                assert machine.call("sbin/sendmail", "-i", "bob@example.net", uid=CAROL).returncode == 0
                return bool(other.deliveries)

            wait_until(arrived)
