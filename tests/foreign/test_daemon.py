"""The daemon on a machine that has another program's configuration and none of ours."""

import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from tests.command.caller import MESSAGE
from tests.conftest import make_install
from tests.daemon.running import wait_until
from tests.daemon.test_program import Machine
from tests.obedient import Obedient

pytestmark = pytest.mark.usefixtures("superuser")

# Puts the daemon's usual places and what stands in a folder in the way of the machine's own /etc.
MACHINE = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /etc/pysendmail /var/spool
mount -t tmpfs -o mode=755 tmpfs /etc/pysendmail
mount -t tmpfs -o mode=755 tmpfs /var/spool
mount -t overlay -o "lowerdir=${1%/*}/etc:/etc" overlay /etc
echo ready
exec cat
"""


class OldMachine(Machine):
    """A machine whose /etc has more in it."""

    script = MACHINE


@pytest.fixture()
def server() -> Iterator[Obedient]:
    with Obedient(mechanisms="LOGIN CRAM-MD5") as one:
        yield one


@pytest.fixture()
def machine(server: Obedient) -> Iterator[Machine]:
    """A machine that had ssmtp, with the rights of its package, and programs that every user can run."""
    prefix = pathlib.Path(tempfile.mkdtemp(prefix="pysendmail-prefix-"))
    prefix.chmod(0o755)
    make_install(str(prefix))
    etc = prefix / "etc"
    folder = etc / "ssmtp"
    folder.mkdir(parents=True)
    for name, text in (
        (
            "ssmtp.conf",
            f"root=admin@example.net\nmailhub=127.0.0.1:{server.port}\nrewriteDomain=example.org\nUseTLS=NO\n"
            "FromLineOverride=YES\nAuthUser=alice\nAuthPass=a#b=c\nAuthMethod=LOGIN\n",
        ),
        ("revaliases", f"nobody:nobody.else@example.com:127.0.0.1:{server.port}\n"),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o640)
    folder.chmod(0o750)
    etc.chmod(0o755)
    users = "pysendmail:x:54330:54330::/nonexistent:/bin/false\ncarol:x:54321:54321:Carol:/nonexistent:/bin/sh\n"
    for name, line in (("passwd", users), ("group", "pysendmail:x:54330:\n")):
        (etc / name).write_text(pathlib.Path("/etc", name).read_text() + line)
    one = OldMachine(prefix, prefix, server)
    try:
        yield one
    finally:
        one.clear()
        shutil.rmtree(prefix)


def test_a_user_without_the_right_to_read_the_file_sends_by_the_daemon(machine: Machine, server: Obedient) -> None:
    done = machine.run("sbin/sendmail", "-i", "root", uid=54321, message=MESSAGE)
    assert done.returncode == 78 and b"/etc/ssmtp/ssmtp.conf: cannot be read: Permission denied" in done.stderr
    machine.start()
    done = machine.run("sbin/sendmail", "-i", "root", "bob@example.net", uid=54321, message=MESSAGE)
    assert (done.returncode, done.stderr) == (0, b"")
    wait_until(lambda: len(server.deliveries) == 1)
    assert server.deliveries[0].recipients == ["admin@example.net", "bob@example.net"]
    assert server.deliveries[0].sender == "ann@example.org"
    done = machine.run("sbin/sendmail", "-i", "bob@example.net", uid=65534, message=MESSAGE.partition(b"\n")[2])
    assert (done.returncode, done.stderr) == (0, b"")
    wait_until(lambda: len(server.deliveries) == 2)
    assert server.deliveries[1].sender == "nobody.else@example.com"
