"""A configuration that is there: what changes in it, what stays, and what is kept of it."""

import os
import pathlib
import subprocess

import pytest

from pysendmail import errors
from pysendmail.command.configure import editing
from pysendmail.config import accounts, reader
from tests.configure.conftest import SECRET, Configurer
from tests.obedient import Obedient

ME = "me@localdomain"
NEW = [("host", b"new"), ("port", b"465"), ("user", b"u"), ("password", b"p")]


def edited(text: str, name: str = "", words: "editing.Words" = NEW) -> str:
    """Edit a text, and see that our reader finds in it what was asked for."""
    raw = text.encode()
    file = reader.parse(raw, "conf")
    target = editing.target(raw, file, name)
    new = editing.replace(raw, file.accounts, target, words, [("local_sender", b"me@x.example")], "made here")
    account, _ = accounts.choose(reader.parse(new, "conf"), account=target.encode())
    assert (account.host, account.port, account.user, account.password) == ("new", 465, b"u", b"p")
    return new.decode()


BLOCK = "host new\nport 465\nuser u\npassword p\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"# made here\n{BLOCK}local_sender me@x.example\n"),
        ("# nothing yet\n", f"# nothing yet\n\n# made here\n{BLOCK}local_sender me@x.example\n"),
        ("host old\n", BLOCK),
        ("host old", BLOCK),
        ("# mine\nhost old\naliases /a\nport 25\ntls off\nuser x\n# end\n", f"# mine\n{BLOCK}aliases /a\n# end\n"),
        ("queue /q\nhost old\r\nport 25\r\n", "queue /q\r\n" + BLOCK.replace("\n", "\r\n")),
        ("\thost  old\n  password\told\n", BLOCK),
        ("listen 127.0.0.1:25\n", f"listen 127.0.0.1:25\n\n# made here\n{BLOCK}local_sender me@x.example\n"),
        ("defaults\nport 25\nqueue /q\n", f"defaults\nport 25\nqueue /q\n\n# made here\naccount default\n{BLOCK}local_sender me@x.example\n"),
        ("account home\nhost old\ntimeout 9\n", f"account home\n{BLOCK}timeout 9\n"),
        (
            "account home\nhost old\naccount work\nhost w\naccount default : home\n",
            f"account home\n{BLOCK}account work\nhost w\naccount default : home\n",
        ),
        ("account default\nqueue /q\nhost old\naccount work\nhost w\n", f"account default\nqueue /q\n{BLOCK}account work\nhost w\n"),
        ("account a\nhost x\naccount default : a\ntimeout 3\n", f"account a\nhost x\naccount default : a\n{BLOCK}timeout 3\n"),
        ("host old\ncaller www-data\ndeny on\n", f"{BLOCK}caller www-data\ndeny on\n"),
    ],
)  # fmt: skip
def test_only_the_lines_about_the_server_of_the_default_account_change(before: str, after: str) -> None:
    assert edited(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("host old\n", f"host old\n\n# made here\naccount work\n{BLOCK}local_sender me@x.example\n"),
        (
            "account home\nhost old\n",
            f"account home\nhost old\n\n# made here\naccount work\n{BLOCK}local_sender me@x.example\n\naccount default : home\n",
        ),
        ("account home\nhost x\naccount work\nhost old\nqueue /q\n", f"account home\nhost x\naccount work\n{BLOCK}queue /q\n"),
        ("account work # odd\nhost x\n", None),
        ("", f"# made here\naccount work\n{BLOCK}local_sender me@x.example\n"),
    ],
)
def test_another_account_is_changed_or_added_and_the_default_stays(before: str, after: str | None) -> None:
    if after is None:
        with pytest.raises(errors.ConfigError):
            edited(before, "work")
        return
    found = edited(before, "work")
    assert found == after
    old = reader.parse(before.encode(), "conf")
    if old.accounts and "work" not in old.accounts:
        assert accounts.choose(reader.parse(found.encode(), "conf"))[0].host == accounts.choose(old)[0].host


def test_several_accounts_without_a_default_need_a_name() -> None:
    with pytest.raises(errors.UsageError, match="--account says which is meant"):
        edited("account a\nhost x\naccount b\nhost y\n")


def test_the_difference_shows_that_a_secret_changes_and_never_the_secret() -> None:
    lines = editing.difference(b"host a\npassword geheim1\npasswordeval x\n", b"host a\npassword geheim2\npasswordeval x\n", "conf")
    assert lines[:2] == ["--- conf (now)", "+++ conf"]
    assert lines[3:] == [" host a", "-password (not shown)", "+password (not shown) (new)", " passwordeval (not shown)"]


def test_controls_of_an_old_file_are_made_harmless() -> None:
    lines = editing.difference("host a\n# \x9b\u202e\n".encode(), b"host b\n", "conf")
    assert not any("\x9b" in line or "\u202e" in line for line in lines)


# With the installed command


@pytest.fixture
def server(identities: dict[str, str]):
    with Obedient(identities, tls="starttls", mechanisms="PLAIN") as running:
        yield running


def write(who: Configurer, text: str, mode: int = 0o600) -> None:
    who.path.parent.mkdir(mode=0o700)
    who.path.write_text(text)
    who.path.chmod(mode)


def others(who: Configurer) -> list[pathlib.Path]:
    return sorted(path for path in who.path.parent.iterdir() if path != who.path)


def test_what_is_there_is_kept_beside_it_and_the_change_is_shown(who: Configurer, server: Obedient) -> None:
    old = "# mine\nhost 127.0.0.1\nport 1\ntls off\npassword before\n"
    write(who, old + "timeout 20\n")
    said = who.good(ME, server=server)
    assert f"{who.path}, which is there, changes:\n" in said
    assert "    -host 127.0.0.1\n" in said and "    +host localhost\n" in said and "before" not in said
    (backup,) = others(who)
    assert backup.name.startswith("pysendmail.conf.2") and f"what it was is in {backup}\n" in said
    assert backup.read_text() == old + "timeout 20\n" and backup.stat().st_mode & 0o777 == 0o600
    assert "timeout 20" in who.words and who.path.read_text().startswith("# mine\nhost localhost\n")
    who.sends(server)
    assert f"{who.path} says so already" in who.good(ME, server=server)
    assert others(who) == [backup]
    who.good(ME, server=server, password="another one")
    assert len(others(who)) == 2


def test_a_file_that_fails_the_checks_leaves_the_old_one(who: Configurer, server: Obedient) -> None:
    write(who, "host old\n")
    server.answers = {"AUTH": "535 5.7.8 bad"}
    assert who.run(ME, server=server).returncode == 77
    assert who.path.read_text() == "host old\n" and others(who) == []


def test_what_other_sections_say_is_overruled(who: Configurer, server: Obedient) -> None:
    write(who, "defaults\ntls off\nport 25\nauth off\ntls_starttls off\ntls_certcheck off\naccount a\nhost 127.0.0.1\n")
    who.good(ME, "--account", "b", server=server)
    assert who.words[-1] == "account default : a"
    assert {"tls on", "tls_starttls on", "auth on", "tls_certcheck on"} <= set(who.words)
    who.sends(server, "-a", "b")
    assert server.deliveries[-1].encrypted


@pytest.mark.parametrize("word", ["tls_host_override other.example", f"tls_fingerprint {'ab' * 32}", "auto_from on"])
def test_what_cannot_be_overruled_is_told(who: Configurer, server: Obedient, word: str) -> None:
    write(who, f"defaults\n{word}\naccount a\nhost x\n")
    line = who.refuse(78, ME, "--account", "b", server=server)
    assert "it would say something else than what was asked for: " in line and server.connections == 0


@pytest.mark.parametrize("address", ["50%Users@localdomain", "*@localdomain", "a?@localdomain"])
def test_an_address_that_a_configuration_cannot_name_is_told(who: Configurer, server: Obedient, address: str) -> None:
    assert "of an address mean something else" in who.refuse(64, address, "--user", "me", server=server)


@pytest.mark.parametrize("text", ["hots x\n", "host a\n\x01\n", "host a\naccount a:b\n", "\x7fELF\0\0"])
def test_a_file_with_a_fault_is_told_and_stays(who: Configurer, server: Obedient, text: str) -> None:
    write(who, text)
    assert f"{who.path}:" in who.refuse(78, ME, server=server)
    assert who.path.read_text() == text


def test_a_symbolic_link_is_not_written_through(who: Configurer, server: Obedient) -> None:
    write(who, "host old\n")
    who.path.rename(who.path.with_name("other"))
    for target in ("other", "nowhere"):
        who.path.symlink_to(target)
        assert "is a symbolic link; name the file itself by --file" in who.refuse(78, ME, server=server)
        assert os.readlink(who.path) == target
        who.path.unlink()


def test_what_is_no_regular_file_is_told(who: Configurer, server: Obedient) -> None:
    who.path.mkdir(parents=True)
    assert "is not a regular file" in who.refuse(78, ME, server=server)
    who.path.rmdir()
    os.mkfifo(who.path)
    assert "is not a regular file" in who.refuse(78, ME, server=server)
    who.path = pathlib.Path("/dev/null")
    assert "is not a regular file" in who.refuse(78, ME, server=server)
    who.path = who.home / "conf" / "pysendmail.conf" / "below"
    assert "is not a folder" in who.refuse(78, ME, server=server)


@pytest.mark.parametrize("name", [".msmtprc", "ssmtp/ssmtp.conf", ""])
def test_other_programs_files_are_left_alone(who: Configurer, server: Obedient, name: str) -> None:
    words = [who.command, *who.arguments(server), ME, "--file", str(who.home / name) if name else ""]
    assert "another program's configuration" in who.refuse(64, words=words) if name else who.refuse(64, words=words)


@pytest.mark.usefixtures("superuser")
def test_a_full_disk_leaves_everything_as_it_was(who: Configurer, server: Obedient) -> None:
    who.path.parent.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(who.path.parent)], check=True)
    try:
        for old in ("", "host old\n"):
            if old:
                (who.path.parent / "filler").unlink()
                who.path.write_text(old)
                who.path.chmod(0o600)
            with pytest.raises(OSError, match="No space"):
                with open(who.path.parent / "filler", "wb", buffering=0) as file:
                    while True:
                        file.write(b"x" * 4096)
            done = who.run(ME, server=server)
            assert done.returncode == 71 and done.stderr.endswith("No space left on device; nothing was changed\n")
            assert (who.path.read_text() if who.path.exists() else "") == old
            assert {path.name for path in who.path.parent.iterdir()} <= {"filler", "pysendmail.conf"}
    finally:
        subprocess.run(["umount", str(who.path.parent)], check=True)


@pytest.mark.usefixtures("superuser")
def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_asked(who: Configurer, server: Obedient) -> None:
    who.path.parent.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(who.path.parent)], check=True)
    try:
        assert "this user cannot write to the folder" in who.refuse(77, ME, server=server)
        assert server.connections == 0
    finally:
        subprocess.run(["umount", str(who.path.parent)], check=True)


@pytest.mark.usefixtures("superuser")
def test_the_owner_of_a_file_stays_its_owner(who: Configurer, server: Obedient) -> None:
    write(who, "host old\n", 0o644)
    os.chown(who.path, 65534, 65534)
    who.good(ME, server=server)
    (backup,) = others(who)
    for path, mode in ((who.path, 0o600), (backup, 0o600)):
        status = path.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (65534, 65534, mode)


def test_the_secret_is_never_in_a_file_that_others_can_read(who: Configurer, server: Obedient) -> None:
    write(who, "host old\n", 0o644)
    who.good(ME, server=server, umask=0)
    for path in who.path.parent.iterdir():
        assert SECRET not in path.read_text() or path.stat().st_mode & 0o077 == 0
    assert who.path.stat().st_mode & 0o777 == 0o600


def test_where_nothing_is_named_it_is_the_users_own_file_or_roots_the_system_s(who: Configurer, server: Obedient) -> None:
    from pysendmail.command.configure import place
    from pysendmail.command.identity import Caller

    caller = Caller()
    caller.home = str(who.home)
    caller.uid = 1234
    assert place._usual(False, caller) == f"{who.home}/.config/pysendmail/pysendmail.conf"
    assert place._usual(True, caller) == "/etc/pysendmail/pysendmail.conf"
    caller.uid = 0
    assert place._usual(False, caller) == "/etc/pysendmail/pysendmail.conf"
