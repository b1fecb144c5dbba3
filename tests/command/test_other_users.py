"""Who calls is who the kernel says, and what he may do: other users, the system's configuration, rights of files."""

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from tests.command.caller import MESSAGE, Caller, Done
from tests.conftest import Installed, skip
from tests.obedient import Obedient

pytestmark = pytest.mark.usefixtures("superuser")

NOBODY, NAMELESS = 65534, 54321
# Runs the command as user $4 with an /etc of its own at $1: what a Python needs, the system's configuration $2 with mode
# $3, and nobody's home at $5.
OWN_ETC = """
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
for name in passwd group nsswitch.conf ld.so.cache hosts localtime resolv.conf; do
    test -e /etc/$name && cp -L /etc/$name "$1/$name"
done
if test -n "$2"; then
    file=$1/pysendmail/pysendmail.conf
    mkdir "$1/pysendmail"
    printf '%s' "$2" > "$file"
    chmod "$3" "$file"
fi
sed -i "s|^nobody:.*|nobody:x:65534:65534:nobody:$5:/bin/false|" "$1/passwd"
mount --bind "$1" /etc
mount -t tmpfs -o mode=755 tmpfs /run
user=$4
shift 5
exec setpriv --reuid "$user" --regid "$user" --clear-groups -- "$@"
"""


class Everybody(Caller):
    """Run the command as any user, with a system configuration or without one."""

    def configure(self, **words: str) -> None:
        super().configure(**words)
        self.path.chmod(0o644)

    def as_user(
        self, user: int, *arguments: str, system: str = "", mode: str = "644", **more: object
    ) -> "Done[bytes]":
        etc = self.home / "etc"
        etc.mkdir(exist_ok=True)
        shell = ["--mount", "--propagation", "private", "sh", "-c", OWN_ETC, "sh", str(etc), system, mode, str(user)]
        home = str(more.pop("home", "/nonexistent"))
        return self.run(*shell, home, self.sendmail, *arguments, command="unshare", **more)  # type: ignore[arg-type]


@pytest.fixture
def everybody(public: Installed, server: Obedient) -> Iterator[Everybody]:
    """Give a caller whose home everybody can enter."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        skip("no mount namespace can be made here")
    home = tempfile.mkdtemp(prefix="pysendmail-tests-home-")
    os.chmod(home, 0o755)
    caller = Everybody(public.sendmail, pathlib.Path(home), server)
    caller.words["logfile"] = ""
    yield caller
    shutil.rmtree(home)


def _text(caller: Caller, **words: str) -> str:
    return "".join(f"{word} {value}\n" for word, value in {**caller.words, **words}.items() if value)


def _readable(caller: Caller) -> str:
    """Write the configuration where everybody can read it, and return its name."""
    path = caller.home / "everybodys.conf"
    path.write_text(_text(caller))
    path.chmod(0o644)
    return str(path)


# The user, the system's configuration ("" for none), and the exit code for a configuration of his own choice.
CHOICES: list[tuple[int, str, str, int]] = [
    (33, "host 127.0.0.1\n", "644", 77),
    (1, "host 127.0.0.1\n", "644", 77),
    (999, "host 127.0.0.1\n", "644", 77),
    (33, "host 127.0.0.1\ncaller_config off\n", "644", 77),
    (33, "caller_config on\nhost 127.0.0.1\n", "644", 0),
    (33, "caller_config on\nhost 127.0.0.1\n", "600", 77),  # it cannot read what might permit it
    (33, "caller_config on\nthis is wrong\n", "644", 77),
    (33, "", "644", 0),
    (0, "host 127.0.0.1\n", "644", 0),
    (1000, "host 127.0.0.1\n", "644", 0),
    (NOBODY, "host 127.0.0.1\n", "644", 0),
]


@pytest.mark.parametrize(("user", "system", "mode", "code"), CHOICES)
@pytest.mark.parametrize("option", ["-C", "--file"])
def test_services_may_not_choose_a_configuration(
    everybody: Everybody, user: int, system: str, mode: str, code: int, option: str
) -> None:
    done = everybody.as_user(user, option, _readable(everybody), "r@x", system=system, mode=mode)
    assert done.returncode == code, done.stderr.decode()
    assert len(everybody.server.deliveries) == (code == 0)
    if code:
        assert b"caller_config" in done.stderr


@pytest.mark.parametrize("user", [33, NOBODY, NAMELESS])
def test_everybody_uses_the_systems_configuration(everybody: Everybody, user: int) -> None:
    system = _text(everybody, **{"from": "", "logfile": "/var/log/no-right-to-write"})
    environ = {"HOME": "/nonexistent", "LOGNAME": "root", "USER": "root", "USERNAME": "root"}
    done = everybody.as_user(user, "-i", "r@x", system=system, environ=environ)
    assert (done.returncode, done.stderr) == (0, b"")
    try:
        login = pwd.getpwuid(user).pw_name
    except KeyError:
        login = str(user)
    assert [d.sender for d in everybody.server.deliveries] == [f"{login}@example.org"]


def test_the_callers_own_configuration_comes_before_the_systems(everybody: Everybody) -> None:
    everybody.words["from"] = "own@example.org"
    system = _text(everybody, **{"from": "system@example.org"})
    for user in (33, NOBODY):
        assert everybody.as_user(user, "r@x", system=system).returncode == 0
        assert everybody.server.deliveries.pop().sender == "own@example.org"


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_without_a_home_in_the_environment_it_is_that_of_the_password_file(
    everybody: Everybody, home: str | None
) -> None:
    everybody.words["from"] = "own@example.org"
    system = _text(everybody, **{"from": "system@example.org"})
    everybody.environ.pop("HOME")
    environ = {} if home is None else {"HOME": home}
    for folder, sender in ((everybody.home, "own@example.org"), ("/nonexistent", "system@example.org")):
        done = everybody.as_user(NOBODY, "r@x", system=system, environ=environ, home=folder)
        assert (done.returncode, done.stderr) == (0, b"")
        assert everybody.server.deliveries.pop().sender == sender


def test_a_system_configuration_with_a_password_that_all_can_read_is_refused(everybody: Everybody) -> None:
    system = _text(everybody, user="u", password="secret", auth_without_tls="on")
    environ = {"HOME": "/nonexistent"}
    done = everybody.as_user(NOBODY, "r@x", system=system, environ=environ)
    assert done.returncode == 78 and b"secret" not in done.stderr
    done = everybody.as_user(NOBODY, "r@x", system=system, mode="600", environ=environ)
    assert done.returncode == 78 and b"Permission denied" in done.stderr


# The words, the file's mode and owner, and whether it is taken.
RIGHTS: list[tuple[dict[str, str], int, int, bool]] = [
    ({"password": "secret"}, 0o600, 0, True),
    ({"password": "secret"}, 0o400, 0, True),
    ({"password": "secret"}, 0o640, 0, False),
    ({"password": "secret"}, 0o604, 0, False),
    ({"password": "secret"}, 0o602, 0, False),
    ({"password": "secret"}, 0o600, NOBODY, False),
    ({"passwordeval": "echo secret"}, 0o644, 0, True),
    ({"passwordeval": "echo secret"}, 0o646, 0, False),
    ({"passwordeval": "echo secret"}, 0o644, NOBODY, False),
    ({}, 0o644, NOBODY, True),
]


@pytest.mark.parametrize(("words", "mode", "owner", "good"), RIGHTS)
def test_a_secret_is_taken_only_from_a_file_that_is_safe(
    caller: Caller, words: dict[str, str], mode: int, owner: int, good: bool
) -> None:
    caller.server.mechanisms = "PLAIN"
    file = caller.home / "secret.conf"
    login = {"user": "u", "auth_without_tls": "on"} if words else {}
    file.write_text(_text(caller, **login, **words))
    file.chmod(mode)
    os.chown(file, owner, owner)
    if good:
        caller.deliver("-C", str(file), "r@x")
    else:
        line = caller.refuse(78, "-C", str(file), "r@x")
        assert str(file) in line and "secret." in line and " secret" not in line


def test_a_large_message_of_another_user_passes_through_as_well(everybody: Everybody) -> None:
    done = everybody.as_user(NOBODY, "-C", _readable(everybody), "r@x", message=MESSAGE + b"x\n" * 1_000_000, umask=0o777)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(everybody.server.deliveries) == 1


def _check(everybody: Everybody, public: Installed, system: str, mode: str = "644", user: int = NOBODY) -> "Done[bytes]":
    everybody.sendmail = str(public.prefix / "bin" / "pysendmail")
    return everybody.as_user(user, "check", system=system, mode=mode, environ={"HOME": "/nonexistent"})


def test_a_check_by_who_may_not_have_the_password_goes_on_without_it(everybody: Everybody, public: Installed) -> None:
    everybody.server.mechanisms = "PLAIN"
    system = _text(everybody, user="me", auth_without_tls="on", passwordeval="cat /root/no-such-secret 2>/dev/null", **{"from": "me@box"})
    done = _check(everybody, public, system)
    out = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b""), out
    assert "\nwarning:       password: this user cannot reach it" in out and "mend: run it as root" in out
    assert "\nconnection:" in out and "\nnote:          login: not tried" in out
    assert not any(line.startswith("AUTH") for line in everybody.server.commands)
    done = _check(everybody, public, system, user=0)
    assert done.returncode != 0 and b"\nfailed:        password: " in done.stdout


def test_a_check_by_root_finds_what_systemd_hands_to_the_daemon(everybody: Everybody, public: Installed) -> None:
    everybody.server.mechanisms = "PLAIN"
    system = _text(everybody, user="me", auth_without_tls="on", **{"from": "me@box"})
    assert b"failed:        password:" in _check(everybody, public, system, user=0).stdout
    store = everybody.home / "credstore"
    store.mkdir()
    (store / "pysendmail.password").write_text("secret\n")
    etc = everybody.home / "etc"
    shell = OWN_ETC.replace('mount --bind "$1" /etc\n', f'cp -r {store} "$1/credstore"\nmount --bind "$1" /etc\n')
    words = ["sh", "-c", shell, "sh", str(etc), system, "644", "0", "/nonexistent"]
    command = [str(public.prefix / "bin" / "pysendmail"), "check"]
    done = everybody.run("--mount", *words, *command, command="unshare", environ={"HOME": "/nonexistent"})
    assert done.returncode == 0, done.stdout
    assert b"\nlogin:         accepted for me" in done.stdout


def test_a_check_by_who_may_not_read_the_configuration_says_so(everybody: Everybody, public: Installed) -> None:
    done = _check(everybody, public, _text(everybody), mode="600")
    assert (done.returncode, done.stderr) == (78, b"")
    assert b"configuration: /etc/pysendmail/pysendmail.conf: cannot be read: Permission denied; mend: run it as root" in done.stdout
