"""Seal the tests from the caller's home, environment, clock zone and signals, and install the command for them."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable

import hypothesis
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A slow machine fails nobody. Where changes are judged, each run tries the same examples; elsewhere each one tries others.
hypothesis.settings.register_profile(
    "pysendmail",
    deadline=None,
    derandomize="PYSENDMAIL_CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("pysendmail")


def pytest_configure() -> None:
    """Let signals act as they do at a terminal: a job in the background of a script inherits some as ignored."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def sealed_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give the test an empty home and take away what could steer a mail program."""
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_CONFIG_HOME", "CREDENTIALS_DIRECTORY", "SSLKEYLOGFILE", "EMAIL", "SMTPSERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr(os, "kill", _kill_one)


def _kill_one(pid: int, number: int, kill: Callable[[int, int], None] = os.kill) -> None:
    """Send a signal, but not to all processes of the test run, or of the machine, where one was not found."""
    assert pid > 0, "a process that was to get a signal is not there"
    kill(pid, number)


def skip(reason: str) -> None:
    """Skip the test, naming what is missing; where nothing may be skipped (PYSENDMAIL_CI is set), fail it."""
    if os.environ.get("PYSENDMAIL_CI"):
        pytest.fail(f"nothing may be skipped here, but {reason}")
    pytest.skip(reason)


@pytest.fixture
def superuser() -> None:
    """Skip a test that has to become another user, or to mount something."""
    if os.geteuid() != 0:
        skip("only root can become another user, or mount something")


@dataclasses.dataclass(frozen=True)
class Installed:
    """What `make install` made: the prefix, and the interpreter that its scripts name."""

    prefix: pathlib.Path
    python: str

    @property
    def sendmail(self) -> str:
        """The path of the command."""
        return str(self.prefix / "sbin" / "sendmail")


def make_install(prefix: str, destdir: str = "", python: str = "", verb: str = "install") -> None:
    """Run `make install`, or another target, without the variables of the make that may have started the tests."""
    inherited = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PREFIX", "DESTDIR", "PYTHON")
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    settings = [f"PREFIX={prefix}", f"DESTDIR={destdir}", f"PYTHON={python or base_python()}"]
    done = subprocess.run(
        ["make", "--no-print-directory", "-C", str(ROOT), verb, *settings],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def base_python() -> str:
    """Name the interpreter below the virtual environment that runs the tests: it has no package but its own."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def everybodys_python() -> str:
    """Name an interpreter that is not hidden in somebody's home."""
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (base_python(), "/usr/bin/python3"):
        try:
            if not subprocess.run([python, "-IS", "-c", check], user=65534, check=False).returncode:
                return python
        except OSError:
            continue  # not there, or not for others
    skip("there is no Python 3.11 that every user may run")
    return ""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the command below a prefix of the tests' own, once."""
    prefix = tmp_path_factory.mktemp("prefix")
    make_install(str(prefix))
    return Installed(prefix, base_python())
