"""The installed command in a network of its own, where DNS, web and mail servers are at the ports of the real ones."""

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import Installed, skip
from tests.imports import ROOT

# address: what has to be in the file, by which server the test message goes, and a part of what is told
WAYS = {
    "ann@gmail.com": (["host smtp.gmail.com", "port 465", "user ann@gmail.com"], "implicit", "Gmail, known by the domain"),
    "ann@srv.example": (["host post.srv.example", "port 465"], "implicit", "the SRV record _submissions._tcp.srv.example"),
    "ann@down.example": (["host post.down.example", "port 587"], "starttls", "post.down.example port 466, TLS from the start cannot"),
    "ann@auto.example": (["host mta.auto.example", "port 587", "user ann"], "starttls", "the autoconfig of auto.example"),
    "ann@wellknown.example": (["host mta.wellknown.example", "port 465"], "implicit", "the autoconfig of wellknown.example"),
    "ann@workspace.example": (["host smtp.gmail.com", "user ann@workspace.example"], "implicit", "(MX mx.google.com)"),
    "ann@guess.example": (["host mail.guess.example", "port 465"], "implicit", "found by trying usual names and ports"),
}  # fmt: skip
NOWHERE = "ann@nowhere.example"


@pytest.fixture(scope="module")
def results(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> "dict[str, dict[str, Any]]":
    """Configure each of the addresses in the world, once."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode:
        skip("no namespaces for network and mounts can be made here")
    folder = tmp_path_factory.mktemp("world")
    command = [str(installed.prefix / "bin" / "pysendmail"), "configure", "--yes", "--password-file", "-"]
    addresses = [*WAYS, NOWHERE]
    commands = [[*command, "--file", str(folder / one), "--test-to", "bob@example.net", one] for one in addresses]
    world = ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, "-m", "tests.configure.world", str(folder)]
    done = subprocess.run(
        world, input=json.dumps(commands), capture_output=True, text=True, timeout=900, cwd=ROOT, check=False,
        start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = dict(zip(addresses, map(json.loads, done.stdout.splitlines()), strict=True))
    for one, result in found.items():
        path = pathlib.Path(folder / one)
        result["words"] = path.read_text().splitlines() if path.exists() else None
        assert "secret-word" not in result["out"] + result["err"]
    return found


@pytest.mark.parametrize("address", WAYS)
def test_an_address_becomes_a_configuration_that_sends(results: "dict[str, dict[str, Any]]", address: str) -> None:
    words, way, told = WAYS[address]
    result = results[address]
    assert (result["code"], result["err"]) == (0, ""), result["out"]
    assert set(words) <= set(result["words"]) and "password secret-word" in result["words"]
    assert told in result["out"] and "certificate verified, for " in result["out"]
    assert result["sent"] == {"implicit": 0, "starttls": 0} | {way: 1}


def test_an_address_without_a_server_gets_one_line(results: "dict[str, dict[str, Any]]") -> None:
    result = results[NOWHERE]
    assert result["code"] == 64 and result["words"] is None
    line = "pysendmail: no server is known for the mail of nowhere.example; --host, --port and --tls say which\n"
    assert result["err"] == line


def test_a_known_domain_is_told_to_nobody_and_the_address_to_the_domain_only(results: "dict[str, dict[str, Any]]") -> None:
    assert results["ann@gmail.com"]["asked"] == [] and results["ann@srv.example"]["asked"] == []
    assert results["ann@auto.example"]["asked"] == [
        "https://autoconfig.auto.example/mail/config-v1.1.xml?emailaddress=ann%40auto.example"
    ]
