"""The units are what systemd takes, and the sandbox is tight."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT, Installed, make_install, skip

EXPOSURE = 1.5
UNITS = ("lib/systemd/system/pysendmail.service", "lib/systemd/system/pysendmail.socket")
USER_UNITS = ("lib/systemd/user/pysendmail.service", "lib/systemd/user/pysendmail.socket")


def analyze(*arguments: str, home: str = "/nonexistent") -> "subprocess.CompletedProcess[str]":
    """Run systemd-analyze, which needs no systemd that runs."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        skip("systemd-analyze (package systemd) is not installed")
    environ = {"PATH": os.environ["PATH"], "HOME": home, "XDG_RUNTIME_DIR": home, "SYSTEMD_LOG_LEVEL": "warning"}
    return subprocess.run([str(tool), *arguments], env=environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("units", [UNITS, USER_UNITS], ids=["system", "user"])
def test_systemd_finds_nothing_amiss(installed: Installed, tmp_path: pathlib.Path, units: tuple[str, ...]) -> None:
    manager = ("--user",) if units == USER_UNITS else ()
    paths = [str(installed.prefix / unit) for unit in units]
    done = analyze("verify", "--man=no", *manager, *paths, home=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_would_say_what_is_amiss(installed: Installed, tmp_path: pathlib.Path) -> None:
    unit = tmp_path / "pysendmail.service"
    unit.write_text((installed.prefix / UNITS[0]).read_text().replace("ProtectClock=", "ProtectClocks="))
    assert "ProtectClocks" in analyze("verify", "--man=no", str(unit), str(installed.prefix / UNITS[1])).stderr


def test_the_sandbox_of_the_service_is_tight(installed: Installed) -> None:
    done = analyze("security", "--offline=yes", "--no-pager", str(installed.prefix / UNITS[0]))
    score = re.search(r"Overall exposure level for pysendmail.service: (\d+\.\d+)", done.stdout)
    assert score is not None, done.stderr
    assert float(score[1]) <= EXPOSURE


@pytest.mark.parametrize("prefix", ["/usr", "/opt/a b%c"])
def test_the_units_name_the_programs_where_they_are(tmp_path: pathlib.Path, prefix: str) -> None:
    make_install(prefix, destdir=str(tmp_path))
    written = prefix.replace("%", "%%").replace(" ", "\\x20")
    folder = tmp_path / prefix[1:]
    for unit, program in ((UNITS[0], "sbin/pysendmaild"), (USER_UNITS[0], "bin/pysendmail")):
        text = (folder / unit).read_text()
        assert f"\nExecStart={written}/{program} " in text and "@" not in text.replace("@system-service", "").replace("@priv", "").replace("@resou", "")
        assert (folder / program).exists()


def test_the_user_and_the_folders_are_those_of_the_program(installed: Installed) -> None:
    from pysendmail.config.accounts import SYSTEM_FILE
    from pysendmail.daemon.ground import QUEUE, SOCKET
    from pysendmail.daemon.privileges import _USER
    from pysendmail.entry import SYSTEM_SOCKET

    assert os.fsencode(SOCKET) == SYSTEM_SOCKET
    sysusers = (installed.prefix / "lib/sysusers.d/pysendmail.conf").read_text()
    assert re.search(rf"^u {_USER} - ", sysusers, flags=re.M)
    folders = re.findall(r"^d (\S+) (\S+) (\S+) ", (installed.prefix / "lib/tmpfiles.d/pysendmail.conf").read_text(), flags=re.M)
    assert folders == [
        (os.path.dirname(SYSTEM_FILE), "0755", "root"),
        (os.path.dirname(QUEUE), "0700", _USER),
    ]
    socket, service = [(installed.prefix / unit).read_text() for unit in (UNITS[1], UNITS[0])]
    assert f"ListenStream={SOCKET}\n" in socket and "SocketMode=0666\n" in socket and "DirectoryMode=0755\n" in socket
    assert f"LoadCredential=pysendmail.conf:{SYSTEM_FILE}\n" in service and f"User={_USER}\n" in service
    assert f"ReadWritePaths=-{os.path.dirname(QUEUE)}\n" in service


def test_the_user_s_folders_can_be_made_by_systemd(installed: Installed, tmp_path: pathlib.Path) -> None:
    if shutil.which("systemd-sysusers") is None or shutil.which("systemd-tmpfiles") is None:
        skip("systemd-sysusers and systemd-tmpfiles (package systemd) are not installed")
    if os.getuid():
        skip("only root can make users")
    (tmp_path / "etc").mkdir()
    for tool, kind in (("systemd-sysusers", "sysusers.d"), ("systemd-tmpfiles", "tmpfiles.d")):
        file = str(installed.prefix / f"lib/{kind}/pysendmail.conf")
        more = ["--create"] if kind == "tmpfiles.d" else []
        done = subprocess.run([tool, f"--root={tmp_path}", *more, file], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    (line,) = [line for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("pysendmail:")]
    spool = (tmp_path / "var/spool/pysendmail").stat()
    assert spool.st_uid == int(line.split(":")[2]) and spool.st_mode & 0o777 == 0o700


def test_the_sources_have_no_unit_that_is_not_installed(installed: Installed) -> None:
    names = {path.name for path in (ROOT / "systemd").rglob("*") if path.is_file()}
    assert {pathlib.Path(unit).name for unit in (*UNITS, *USER_UNITS)} | {"pysendmail.conf"} == names
