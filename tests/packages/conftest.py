"""The packages, built once; and a life of theirs in a root, from installation to purge."""

import pathlib
import shutil
import subprocess

import pytest

from tests.conftest import ROOT, skip

TOOLS = {"dh": "debhelper", "dh_python3": "dh-python", "dpkg-buildpackage": "dpkg-dev"}


def built(folder: pathlib.Path) -> pathlib.Path:
    """Build the packages from a copy of the sources, as `make deb` does."""
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            skip(f"{tool} (package {package}) is not installed")
    names = ("CHANGES", "LICENSE", "Makefile", "README.md", "completions", "debian", "install.py", "man", "pysendmail", "systemd")
    tree = folder / "tree"
    tree.mkdir()
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, tree / name)
    done = subprocess.run(["make", "-C", str(tree), "deb"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return tree / "dist"


def newer(debs: pathlib.Path, folder: pathlib.Path) -> None:
    """Make packages of a later version, which hold the same."""
    for deb in sorted(debs.glob("*.deb")):
        tree = folder / deb.stem
        subprocess.run(["dpkg-deb", "-R", str(deb), str(tree)], check=True, timeout=60)
        control = tree / "DEBIAN" / "control"
        version = [line for line in control.read_text().splitlines() if line.startswith("Version: ")][0].split()[1]
        control.write_text(control.read_text().replace(version, f"{version}+1"))
        subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "-b", str(tree), str(folder)], check=True, capture_output=True, timeout=60)
        shutil.rmtree(tree)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return the folder with the packages and what describes them."""
    return built(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def upgrades(packages: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return the folder with the packages of a later version."""
    folder = tmp_path_factory.mktemp("upgrades")
    newer(packages, folder)
    return folder
