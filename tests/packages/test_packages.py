"""What is in the packages: lintian's word on them, and the files that are for other programs."""

import pathlib
import re
import shutil
import subprocess

import pytest

from pysendmail import __version__
from tests.conftest import ROOT, skip

DEBIAN = ROOT / "debian"


def content(deb: pathlib.Path) -> dict[str, str]:
    """Give the paths in a package and their modes."""
    done = subprocess.run(["dpkg-deb", "-c", str(deb)], capture_output=True, text=True, check=True, timeout=60)
    fields = [line.split(None, 5) for line in done.stdout.splitlines()]
    return {field[5].split(" -> ")[0].removeprefix("."): field[0] for field in fields}


def test_the_changelog_is_about_this_version() -> None:
    match = re.match(r"pysendmail \((\S+)\)", (DEBIAN / "changelog").read_text())
    assert match is not None and match[1] == __version__


@pytest.mark.servers
def test_lintian_finds_no_error_and_no_warning(packages: pathlib.Path) -> None:
    if shutil.which("lintian") is None:
        skip("lintian is not installed")
    (changes,) = packages.glob("*.changes")
    done = subprocess.run(["lintian", "--fail-on", "error,warning", str(changes)], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.servers
def test_the_paths_of_a_mail_transport_agent_are_in_a_package_of_their_own(packages: pathlib.Path) -> None:
    (mta,) = packages.glob("pysendmail-mta_*.deb")
    (core,) = packages.glob("pysendmail_*.deb")
    paths = {"/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/mailq", "/usr/bin/newaliases"}
    assert paths <= set(content(mta)) and not paths & set(content(core))
    for path, mode in (content(mta) | content(core)).items():
        assert "s" not in mode[1:] and mode[8] != "w" or mode[0] == "l", path


@pytest.mark.servers
def test_every_page_and_module_is_in_a_package(packages: pathlib.Path) -> None:
    names = {pathlib.Path(path).name for deb in packages.glob("*.deb") for path in content(deb)}
    assert {f"{page.name}.gz" for page in (ROOT / "man").glob("*.[1-8]")} <= names
    assert {module.name for module in (ROOT / "pysendmail").rglob("*.py")} <= names


def test_apparmor_can_read_the_profile() -> None:
    parser = shutil.which("apparmor_parser") or shutil.which("apparmor_parser", path="/usr/sbin:/sbin")
    if parser is None:
        skip("apparmor_parser (package apparmor) is not installed")
    profile = DEBIAN / "apparmor" / "usr.sbin.pysendmaild"
    done = subprocess.run([str(parser), "--skip-kernel-load", "--skip-cache", str(profile)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def lines() -> list[str]:
    """Give what the log says of a message that goes well, with each part's own words."""
    from pysendmail.delivery.deliver import outcome_lines
    from pysendmail.smtp.outcome import SENT, Outcome

    outcome = Outcome(b"bob@example.org", SENT, 0, "2.0.0", b"250 2.0.0 Ok: queued as 4Xz", "end of data")
    (line, warning) = outcome_lines("9YGTJ5RWTM23XT2", [outcome], "localhost[127.0.0.1]:587", (0.0, 0.01, 0.2, 1.5))[0]
    assert not warning
    return [
        f"smtp[12]: {line}",
        "pickup[12]: 9YGTJ5RWTM23XT2: uid=0 from=<root@example.net>",
        "cleanup[12]: 9YGTJ5RWTM23XT2: message-id=<one@example.net>",
        "cleanup[12]: 9YGTJ5RWTM23XT2: queued",
        "qmgr[12]: 9YGTJ5RWTM23XT2: from=<>, size=123, nrcpt=1 (queue active)",
        "qmgr[12]: 9YGTJ5RWTM23XT2: removed",
    ]


@pytest.mark.parametrize("clock", ["Nov  8 01:02:03", "2026-11-08T01:02:03.123456+01:00"])
def test_logcheck_is_silent_about_what_goes_well_and_only_that(clock: str) -> None:
    rules = DEBIAN / "pysendmail.logcheck.ignore.server"
    bad = [
        "smtp[12]: 9YGTJ5RWTM23XT2: to=<bob@example.org>, relay=none, delay=1, delays=0/0/1/0, dsn=4.4.1, status=deferred (x)",
        "cleanup[12]: 9YGTJ5RWTM23XT2: fatal: the queue is full",
        "submit[12]: fatal: uid=0: there is no configuration",
        "qmgr[12]: warning: the queue cannot be used",
    ]
    text = "".join([f"{clock} host pysendmail/{line}\n" for line in [*lines(), *bad]])
    done = subprocess.run(["grep", "-Evf", str(rules)], input=text, capture_output=True, text=True)
    assert done.stdout.splitlines() == [f"{clock} host pysendmail/{line}" for line in bad]


def test_the_init_script_has_the_header_that_it_needs() -> None:
    text = (DEBIAN / "pysendmail.init").read_text()
    for word in ("Provides", "Required-Start", "Required-Stop", "Default-Start", "Default-Stop", "Short-Description"):
        assert f"\n# {word}:" in text
    assert subprocess.run(["sh", "-n", str(DEBIAN / "pysendmail.init")]).returncode == 0


def test_logrotate_can_read_its_file(tmp_path: pathlib.Path) -> None:
    tool = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin:/sbin")
    if tool is None:
        skip("logrotate is not installed")
    text = (DEBIAN / "pysendmail.logrotate").read_text().replace("pysendmail pysendmail", "root root")
    file = tmp_path / "pysendmail"
    file.write_text(text.replace("/var/log/pysendmail", str(tmp_path)))
    file.chmod(0o644)
    done = subprocess.run([str(tool), "-d", "-s", str(tmp_path / "state"), str(file)], capture_output=True, text=True)
    assert done.returncode == 0 and "error" not in done.stderr, done.stderr
