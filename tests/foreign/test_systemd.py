"""The daemon as systemd starts it: a user who can read no configuration, with the credentials that the unit names."""

import os
import pathlib
import re
import subprocess

import pytest

from pysendmail.config import accounts
from tests.command.caller import LIMIT
from tests.conftest import ROOT
from tests.daemon.running import wait_until
from tests.delivery import certificates
from tests.foreign.test_daemon import CAROL, OldMachine, old_machine
from tests.obedient import Obedient

pytestmark = pytest.mark.usefixtures("superuser")

PYSENDMAIL = 54330
PASSWORD = "pass word#1"
FOLDERS = "mkdir -p -m 755 /run/pysendmail /var/spool/pysendmail && chown 54330:54330 /run/pysendmail /var/spool/pysendmail"
UNIT = (ROOT / "systemd/system/pysendmail.service").read_text()
LOADED = dict(re.findall(r"^LoadCredential=([^:\n]+):(\S+)$", UNIT, flags=re.M))
SET = dict(re.findall(r"^SetCredential=([^:\n]+):(.*)$", UNIT, flags=re.M))


def files_of(tool: str, port: int) -> dict[str, str]:
    """Return what a program has below /etc for a login at a server on this machine."""
    return {
        "msmtp": {
            "msmtprc": f"host 127.0.0.1\nport {port}\nauth plain\nuser alice\npassword {PASSWORD}\nauth_without_tls on\n"
            "from alice@example.org\n"
        },
        "ssmtp": {
            "ssmtp/ssmtp.conf": f"mailhub=127.0.0.1:{port}\nUseTLS=NO\nAuthUser=alice\nAuthPass={PASSWORD}\nAuthMethod=LOGIN\n",
            "ssmtp/revaliases": "carol:alice@example.org\n",
        },
        "nullmailer": {
            "nullmailer/remotes": f"127.0.0.1 smtp port={port} user=alice pass='{PASSWORD}' starttls insecure\n",
            "nullmailer/allmailfrom": "alice@example.org\n",
        },
        "dma": {
            "dma/dma.conf": f"SMARTHOST 127.0.0.1\nPORT {port}\nAUTHPATH /etc/dma/auth.conf\nINSECURE\nMASQUERADE alice@example.org\n",
            "dma/auth.conf": f"alice|127.0.0.1:{PASSWORD}\n",
        },
    }[tool]


class Systemd:
    """A stand-in for the service manager on an old machine: what it hands over, and the daemon that it starts."""

    def __init__(self, machine: OldMachine) -> None:
        self.machine = machine
        self.folder = machine.prefix / "credentials"
        self.folder.mkdir(mode=0o700)
        for name, text in {**SET, **self._loaded()}.items():
            path = self.folder / name
            path.write_text(text)
            path.chmod(0o400)
            os.chown(path, PYSENDMAIL, PYSENDMAIL)
        os.chown(self.folder, PYSENDMAIL, PYSENDMAIL)
        self._inside("sh", "-c", FOLDERS)

    def _loaded(self) -> dict[str, str]:
        etc = self.machine.prefix / "etc"
        there = {name: etc / path.removeprefix("/etc/") for name, path in LOADED.items()}
        assert set(LOADED) <= set(SET), "without a value of its own a file that is missing keeps the service from starting"
        return {name: path.read_text() for name, path in there.items() if path.exists()}

    def _inside(self, *command: str, uid: int = 0) -> "subprocess.CompletedProcess[str]":
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"] if uid else []
        enter = ["nsenter", "--mount", f"--target={self.machine.keeper.pid}", "--", *become]
        return subprocess.run([*enter, *command], capture_output=True, text=True, timeout=LIMIT, check=False)

    def start(self) -> "subprocess.CompletedProcess[str]":
        program = str(self.machine.prefix / "sbin/pysendmaild")
        words = [f"CREDENTIALS_DIRECTORY={self.folder}", program, "-C", f"{self.folder}/pysendmail.conf"]
        return self._inside("env", "-i", *words, uid=PYSENDMAIL)

    def reload(self) -> "subprocess.CompletedProcess[str]":
        (pid,) = self.machine.leaders()
        program = str(self.machine.prefix / "sbin/pysendmaild")
        return self._inside(program, "--reload", str(pid), "-C", accounts.SYSTEM_FILE)

    def write(self, path: str, text: str) -> None:
        done = self._inside("sh", "-c", f"umask 077; cat >{path} <<'END'\n{text}END\n")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tool", ["msmtp", "ssmtp", "nullmailer", "dma"])
def test_the_daemon_has_the_password_of_a_file_that_is_for_root_only(tool: str, tmp_path: pathlib.Path) -> None:
    good = certificates.issue(certificates.authority(), ("mx.test",)).write(tmp_path / "good.pem")
    tls = "starttls" if tool == "nullmailer" else "off"  # which never logs in in clear
    with Obedient({"good": good}, mechanisms="PLAIN LOGIN", tls=tls) as server, old_machine(server, files_of(tool, server.port)) as machine:
        for path in files_of(tool, 0):
            (machine.prefix / "etc" / path).chmod(0o600 if f"/etc/{path}" in LOADED.values() else 0o644)
        (machine.prefix / "etc" / path).parent.chmod(0o755)
        done = Systemd(machine).start()
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        done = machine.call("sbin/sendmail", "-i", "bob@example.net", uid=CAROL)
        assert (done.returncode, done.stderr) == (0, "")
        wait_until(lambda: len(server.deliveries) == 1)
        assert any(line.startswith("AUTH ") for line in server.commands)
        assert server.deliveries[0].sender in ("alice@example.org", "ann@example.org")


def test_our_own_file_comes_first_and_nothing_at_all_is_told() -> None:
    with Obedient() as server, Obedient() as other, old_machine(server, files_of("msmtp", other.port)) as machine:
        manager = Systemd(machine)
        own = manager.folder / "pysendmail.conf"
        own.write_text(f"host 127.0.0.1\nport {server.port}\ntls off\nmaildomain example.org\nsyslog off\n")
        assert manager.start().returncode == 0
        assert machine.call("sbin/sendmail", "-i", "bob@example.net", uid=CAROL).returncode == 0
        wait_until(lambda: len(server.deliveries) == 1)
        assert other.deliveries == []
    with Obedient() as server, old_machine(server, {}) as machine:
        done = Systemd(machine).start()
        assert done.returncode == 78
        assert done.stderr == f"pysendmaild: {accounts.SYSTEM_FILE}: cannot be read: No such file or directory\n"


def test_a_reload_takes_a_changed_file_and_then_one_of_ours_with_our_own_defaults() -> None:
    with Obedient() as server, Obedient() as other, Obedient() as last:
        plain = "host 127.0.0.1\nport %d\nfrom alice@example.org\nlogfile %s\n"
        with old_machine(server, {}) as machine:
            log = machine.prefix / "credentials" / "log"
            (machine.prefix / "etc/msmtprc").write_text(plain % (server.port, log))
            (machine.prefix / "etc/msmtprc").chmod(0o600)
            manager = Systemd(machine)
            done = manager.start()
            assert (done.returncode, done.stderr) == (0, "")

            def sent_to(one: Obedient) -> bool:
                assert machine.call("sbin/sendmail", "-i", "bob@example.net", uid=CAROL).returncode == 0
                return bool(one.deliveries)

            wait_until(lambda: sent_to(server))
            (machine.prefix / "etc/msmtprc").write_text(plain % (other.port, log))
            done = manager.reload()
            assert (done.returncode, done.stderr) == (0, "")
            wait_until(lambda: sent_to(other))
            # In our own file TLS is on unless it says otherwise; in msmtp's it is off.
            manager.write(accounts.SYSTEM_FILE, f"host 127.0.0.1\nport {last.port}\nsyslog off\nlogfile {log}\n")
            done = manager.reload()
            assert (done.returncode, done.stderr) == (0, "")
            wait_until(lambda: sent_to(last) or any(line.startswith("EHLO") for line in last.commands))
            assert machine.call("sbin/sendmail", "-i", "bob@example.net", uid=CAROL).returncode == 0
            assert last.deliveries == [] and not any(line.startswith("MAIL") for line in last.commands)


def test_the_unit_starts_for_each_file_that_is_used_and_hands_over_what_may_be_private() -> None:
    socket = (ROOT / "systemd/system/pysendmail.socket").read_text()
    used = [accounts.SYSTEM_FILE, *accounts._OTHERS]
    for unit in (UNIT, socket):
        assert re.findall(r"^ConditionPathExists=(.*)$", unit, flags=re.M) == [f"|{path}" for path in used]
    assert set(used) < set(LOADED.values())
    assert set(SET.values()) == {"-"}
    for name, path in LOADED.items():
        assert name == (path.removeprefix("/etc/").replace("/", "-") if path != accounts.SYSTEM_FILE else "pysendmail.conf")
