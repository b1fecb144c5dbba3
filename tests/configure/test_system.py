"""The system's configuration, by root, on a machine whose /etc is a copy: the file, the credential, and the key ring."""

import os
import pathlib
import shutil
import subprocess

import pytest

from tests.configure.conftest import SECRET, Configurer
from tests.obedient import Obedient

ME = "me@localdomain"
pytestmark = pytest.mark.usefixtures("superuser")


@pytest.fixture
def server(identities: dict[str, str]):
    with Obedient(identities, tls="starttls", mechanisms="PLAIN") as running:
        yield running


class Machine:
    """Run commands where /etc is a copy of the machine's, without a configuration of ours."""

    def __init__(self, who: Configurer) -> None:
        self.who = who
        self.etc = who.home / "etc"
        subprocess.run(["cp", "-a", "/etc", str(self.etc)], check=True)
        for name in ("pysendmail", "credstore.encrypted", "credstore", "systemd/system/pysendmail.service.d"):
            shutil.rmtree(self.etc / name, ignore_errors=True)
        for name in ("msmtprc", "ssmtp", "nullmailer", "dma", "mailname"):
            path = self.etc / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        self.home = who.home / "root"
        self.home.mkdir()

    def command(self, *words: str) -> list[str]:
        shell = 'mount --bind "$1" /etc && shift && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh", str(self.etc), *words]

    def configure(self, *arguments: str, server: Obedient, password: str = SECRET) -> str:
        """Run it; it has to work."""
        found = [self.who.command, *self.who.arguments(server), *arguments]
        at = found.index("--file")
        del found[at : at + 2]
        environ = {"HOME": str(self.home), "PATH": f"{self.who.home}/bin:/usr/bin:/bin"}
        done = self.who.run(words=self.command(*found), environ=environ, password=password)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def machine(who: Configurer) -> Machine:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        from tests.conftest import skip

        skip("no mount namespace can be made here")
    return Machine(who)


@pytest.mark.parametrize("option", [(), ("--system",)])
def test_root_writes_the_system_s_file_with_what_a_machine_needs(
    machine: Machine, server: Obedient, option: tuple[str, ...]
) -> None:
    said = machine.configure(ME, *option, server=server)
    path = machine.etc / "pysendmail" / "pysendmail.conf"
    status, folder = path.stat(), path.parent.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 0, 0o600)
    assert folder.st_mode & 0o777 == 0o755
    lines = path.read_text().splitlines()
    assert lines[-3:] == [f"local_sender {ME}", f"null_sender {ME}", f"system_mail {ME}"]
    assert f"root: mail to root goes to {ME}, which no server outside knows" in said
    assert "next: systemctl enable --now pysendmail.socket pysendmail.service starts the daemon\n" in said
    sendmail = machine.command(machine.who.installed.sendmail, "-i", "-f", "root", "root")
    environ = {"HOME": str(machine.home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(sendmail, input="hi\n", env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (delivery,) = server.deliveries
    assert (delivery.sender, delivery.recipients) == (ME, [ME])


def test_a_file_of_root_s_own_that_hides_it_is_told(machine: Machine, server: Obedient) -> None:
    own = machine.home / ".config" / "pysendmail" / "pysendmail.conf"
    own.parent.mkdir(parents=True)
    own.write_text("host x\n")
    assert f"note: for this user {own} holds" in machine.configure(ME, server=server)


def test_a_credential_is_encrypted_and_check_finds_it(machine: Machine, server: Obedient) -> None:
    if shutil.which("systemd-creds") is None:
        from tests.conftest import skip

        skip("systemd-creds is not installed")
    said = machine.configure(ME, "--secret", "credential", server=server)
    assert "next: systemctl daemon-reload && systemctl restart pysendmail.service\n" in said
    path = machine.etc / "pysendmail" / "pysendmail.conf"
    assert "password" not in path.read_text() and path.stat().st_mode & 0o777 == 0o644
    kept = machine.etc / "credstore.encrypted" / "pysendmail.password"
    assert kept.stat().st_mode & 0o777 == 0o600 and SECRET.encode() not in kept.read_bytes()
    unit = machine.etc / "systemd" / "system" / "pysendmail.service.d" / "pysendmail.password.conf"
    wanted = "[Service]\nLoadCredentialEncrypted=pysendmail.password:/etc/credstore.encrypted/pysendmail.password\n"
    assert unit.read_text().endswith(wanted) and unit.stat().st_mode & 0o777 == 0o644
    assert unit.parent.stat().st_mode & 0o777 == 0o755
    before = len(server.commands)
    done = machine.who.run(words=machine.command(machine.who.command, "check"), environ={"HOME": str(machine.home)})
    assert done.returncode == 0 and "login:         accepted for me@localdomain" in done.stdout
    assert any(line.startswith("AUTH") for line in server.commands[before:])
    # and another account's has a name of its own
    machine.configure("you@localdomain", "--account", "you", "--secret", "credential", server=server, password="another")
    assert sorted(os.listdir(kept.parent)) == ["pysendmail.password", "pysendmail.you"]


def test_a_credential_that_cannot_be_made_leaves_everything_as_it_was(machine: Machine, server: Obedient) -> None:
    fake(machine.who, "systemd-creds", "cat >&2; exit 1")
    words = machine.command(
        machine.who.command, "configure", "-y", "--system", "--host", "localhost", "--port", str(server.port), "--secret",
        "credential", "--password-file", "-", "--tls-trust-file", machine.who.ca, ME,
    )  # fmt: skip
    before = tree(machine.etc)
    done = machine.who.run(words=words, environ={"HOME": str(machine.home), "PATH": f"{machine.who.home}/bin:/usr/bin:/bin"})
    assert done.returncode == 75
    assert done.stderr == "pysendmail: systemd-creds failed: ****; nothing was written\n"
    assert tree(machine.etc) == before


def tree(folder: pathlib.Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


def fake(who: Configurer, name: str, script: str) -> None:
    path = who.home / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


RING = """case "$1" in
store) printf '%s\\n' "$@" >"$HOME/ring.args"; cat >"$HOME/ring" ;;
lookup) printf '%s\\n' store --label "pysendmail: $5" "$2" "$3" "$4" "$5" "$6" "$7" | cmp -s - "$HOME/ring.args" && cat "$HOME/ring" ;;
esac"""


def test_a_key_ring_keeps_the_password_and_gives_it_again(who: Configurer, server: Obedient) -> None:
    fake(who, "secret-tool", RING)
    path = {"PATH": f"{who.home}/bin:/usr/bin:/bin"}
    user = "me'; touch $HOME/evil #@localdomain"
    who.good(ME, "--secret", "secret-tool", "--user", user, server=server, environ=path)
    assert not any(line.startswith("password ") for line in who.words)
    assert (who.home / "ring").read_text() == SECRET
    who.environ |= path
    before = len(server.commands)
    who.sends(server)
    assert any(line.startswith("AUTH") for line in server.commands[before:]) and not (who.home / "evil").exists()


def test_a_key_ring_that_is_not_there_or_stays_locked_is_told(who: Configurer, server: Obedient) -> None:
    line = who.refuse(69, ME, "--secret", "secret-tool", server=server, environ={"PATH": "/nonexistent"}) if not (
        shutil.which("secret-tool", path="/usr/bin:/bin")
    ) else ""  # fmt: skip
    assert not line or "it is not installed (package libsecret-tools)" in line
    fake(who, "secret-tool", "exit 1")
    line = who.refuse(
        75, ME, "--secret", "secret-tool", server=server, environ={"PATH": f"{who.home}/bin:/usr/bin:/bin"}
    )  # fmt: skip
    assert "secret-tool failed: it says nothing; nothing was written" in line
    assert not who.path.parent.exists()


def test_a_key_ring_is_none_of_the_system_s(machine: Machine, server: Obedient) -> None:
    words = [machine.who.command, "configure", "-y", "--system", "--secret", "secret-tool", ME]
    done = machine.who.run(words=machine.command(*words))
    assert done.returncode == 64 and "a key ring is a user's" in done.stderr
