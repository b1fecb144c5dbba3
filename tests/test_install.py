"""`make install` puts the command below any prefix, the same each time, and `make uninstall` takes it away again."""

import marshal
import os
import pathlib
import shutil
import stat
import subprocess
import types

import pytest

from tests.conftest import ROOT, Installed, base_python, make_install

PROGRAMS = ("sbin/sendmail", "sbin/pysendmaild", "bin/pysendmail")
LINKS = ("lib/sendmail", "bin/mailq", "bin/newaliases")


def snapshot(folder: pathlib.Path) -> dict[str, tuple[int, bytes]]:
    """Give mode and content (a link's target) of everything below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        content = os.readlink(path).encode() if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(folder))] = (mode, content)
    return found


def byte_codes(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.rglob("*.pyc"))


def test_the_command_is_a_script_of_four_lines_without_site_packages(installed: Installed) -> None:
    assert (installed.prefix / "sbin/sendmail").read_text() == (
        f"#!{installed.python} -ISXutf8\n"
        f"import sys; sys.path.insert(0, '{installed.prefix}/lib/pysendmail')\n"
        "from pysendmail.entry import main\n"
        "main()\n"
    )


def test_the_other_names_are_relative_links_to_the_command(installed: Installed) -> None:
    for link in LINKS:
        path = installed.prefix / link
        assert os.readlink(path) == "../sbin/sendmail"
        assert path.resolve() == (installed.prefix / "sbin/sendmail").resolve()


def test_every_manual_page_is_installed_in_its_section(installed: Installed) -> None:
    pages = sorted((ROOT / "man").glob("*.[1-8]"))
    for page in pages:
        target = installed.prefix / f"share/man/man{page.suffix[1:]}" / page.name
        assert target.read_bytes() == page.read_bytes()


def test_the_installed_programs_run(installed: Installed) -> None:
    for program in PROGRAMS:
        done = subprocess.run([installed.prefix / program, "--version"], capture_output=True, env={}, timeout=30)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"pysendmail" in done.stdout
    done = subprocess.run([installed.prefix / "bin/mailq"], capture_output=True, env={}, timeout=30)
    assert (done.returncode, done.stdout) == (0, b"Mail queue is empty\n")


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o177, 0o777], ids=oct)
def test_modes_do_not_depend_on_the_umask(umask: int, tmp_path: pathlib.Path) -> None:
    old = os.umask(umask)
    try:
        make_install(str(tmp_path / "prefix"))
    finally:
        os.umask(old)
    for name, (mode, _) in snapshot(tmp_path).items():
        if not stat.S_ISLNK(mode):
            runs = stat.S_ISDIR(mode) or name.removeprefix("prefix/") in PROGRAMS
            assert stat.S_IMODE(mode) == (0o755 if runs else 0o644), name


def test_a_prefix_may_hold_blanks_and_quotes(tmp_path: pathlib.Path) -> None:
    prefix = tmp_path / "a prefix with 'quotes' & \"more\" #1"
    make_install(str(prefix))
    done = subprocess.run([prefix / "sbin/sendmail", "--version"], capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")


def test_installing_twice_changes_nothing(tmp_path: pathlib.Path) -> None:
    make_install(str(tmp_path))
    before = snapshot(tmp_path)
    make_install(str(tmp_path))
    assert snapshot(tmp_path) == before


def test_a_staged_installation_knows_nothing_of_the_stage(tmp_path: pathlib.Path) -> None:
    make_install("/usr", destdir=str(tmp_path))
    files = {name: content for name, (mode, content) in snapshot(tmp_path).items() if not stat.S_ISDIR(mode)}
    assert "usr/sbin/sendmail" in files
    assert [name for name, content in files.items() if str(tmp_path).encode() in content] == []
    for path in byte_codes(tmp_path):
        code = marshal.loads(path.read_bytes()[16:])
        assert isinstance(code, types.CodeType)
        assert code.co_filename.startswith("/usr/lib/pysendmail/pysendmail/")


def test_every_module_is_compiled_and_the_byte_code_is_taken_as_fresh(installed: Installed) -> None:
    modules = sorted((installed.prefix / "lib/pysendmail").rglob("*.py"))
    assert len(modules) == len(byte_codes(installed.prefix)) > 10
    for path in byte_codes(installed.prefix):
        source = path.parent.parent / (path.name.split(".")[0] + ".py")
        stamp = int.from_bytes(path.read_bytes()[8:12], "little"), int.from_bytes(path.read_bytes()[12:16], "little")
        assert stamp == (int(source.stat().st_mtime), source.stat().st_size)


def test_a_module_of_an_earlier_version_goes(tmp_path: pathlib.Path) -> None:
    make_install(str(tmp_path))
    before = snapshot(tmp_path)
    old = tmp_path / "lib/pysendmail/pysendmail/gone"
    old.mkdir()
    (old / "old.py").write_text("")
    make_install(str(tmp_path))
    assert snapshot(tmp_path) == before


def test_another_mail_program_s_link_is_replaced_and_not_written_through(tmp_path: pathlib.Path) -> None:
    (tmp_path / "sbin").mkdir()
    (tmp_path / "other").write_text("another mail program")
    (tmp_path / "sbin/sendmail").symlink_to("../other")
    make_install(str(tmp_path))
    assert (tmp_path / "other").read_text() == "another mail program"
    assert not (tmp_path / "sbin/sendmail").is_symlink()


def test_uninstalling_leaves_no_file(tmp_path: pathlib.Path) -> None:
    make_install(str(tmp_path))
    make_install(str(tmp_path), verb="uninstall")
    assert [name for name, (mode, _) in snapshot(tmp_path).items() if not stat.S_ISDIR(mode)] == []
    make_install(str(tmp_path), verb="uninstall")


def test_uninstalling_leaves_another_mail_program_alone(tmp_path: pathlib.Path) -> None:
    make_install(str(tmp_path))
    (tmp_path / "sbin/sendmail").write_text("#!/bin/sh\nexit 75\n")
    make_install(str(tmp_path), verb="uninstall")
    assert (tmp_path / "sbin/sendmail").exists() and (tmp_path / "bin/mailq").is_symlink()
    assert not (tmp_path / "lib/pysendmail").exists()


def test_installing_needs_only_make_and_python_and_the_sources(tmp_path: pathlib.Path) -> None:
    tree, tools, prefix = tmp_path / "tree", tmp_path / "tools", tmp_path / "prefix"
    tree.mkdir()
    tools.mkdir()
    for name in ("Makefile", "install.py"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "pysendmail", tree / "pysendmail", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("completions", "man", "systemd"):
        shutil.copytree(ROOT / name, tree / name)
    for tool in ("make", "sh"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    before = snapshot(tree)
    done = subprocess.run(
        ["make", "install", f"PREFIX={prefix}", f"PYTHON={base_python()}"],
        cwd=tree,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (prefix / "sbin/sendmail").exists()
    assert snapshot(tree) == before


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["PREFIX=relative/prefix"], "PREFIX must be an absolute path"),
        (["PREFIX=/dev/null/x"], "/dev/null"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(settings: list[str], reason: str) -> None:
    command = ["make", "-s", "-C", str(ROOT), "install", f"PYTHON={base_python()}", "DESTDIR=", *settings]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1 and reason in lines[0]
