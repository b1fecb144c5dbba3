"""A real DNS server on loopback, Debian's knot, with the zones that a test writes, and one that never answers."""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping

import pytest

from tests.conftest import skip
from tests.ports import free_port

LIMIT = 60.0
_SOA = "@ 60 SOA ns.test. root.test. 1 3600 600 86400 5\n@ 60 NS ns.test.\n"


class NameServer:
    """A running server: its address and port."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port


@contextlib.contextmanager
def serving(zones: Mapping[str, str], address: str = "127.0.0.1", port: int = 0) -> Iterator[NameServer]:
    """Serve these zones, each the text of its records; an empty one is in trouble (SERVFAIL)."""
    program = shutil.which("knotd", path="/usr/sbin:/usr/bin")
    if program is None:
        skip("knot is not installed")
    with tempfile.TemporaryDirectory(prefix="pysendmail-dns-") as name:
        folder = pathlib.Path(name)
        port = port or free_port(address)
        (folder / "conf").write_text(_configuration(folder, zones, address, port))
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen([str(program), "-c", str(folder / "conf")], stdout=log, stderr=log)
        try:
            _wait(process, address, port, folder, [zone for zone, text in zones.items() if text])
            yield NameServer(address, port)
        finally:
            process.terminate()
            try:
                process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _configuration(folder: pathlib.Path, zones: Mapping[str, str], address: str, port: int) -> str:
    lines = [
        "server:", f"    rundir: {folder}", f"    listen: {address}@{port}", "    udp-workers: 1", "    tcp-workers: 1",
        "    background-workers: 1", "database:", f"    storage: {folder}/db", "log:", "  - target: stderr", "    any: info",
        "zone:",
    ]  # fmt: skip
    for zone, text in zones.items():
        file = folder / f"{zone}.zone"
        if text:
            file.write_text(_SOA + text)
        lines += [f"  - domain: {zone}", f"    file: {file}", "    semantic-checks: off", "    zonefile-sync: -1"]
    return "\n".join([*lines, ""])


def _wait(process: "subprocess.Popen[bytes]", address: str, port: int, folder: pathlib.Path, zones: list[str]) -> None:
    """Wait until every zone that has a text is served."""
    deadline = time.monotonic() + LIMIT
    for zone in zones:
        question = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0"
        question += b"".join(bytes([len(label)]) + label.encode() for label in zone.split(".")) + b"\0\x00\x06\x00\x01"
        while not _answers(question, address, port):
            assert f"failed to load zone, file '{folder}/{zone}" not in (folder / "log").read_text()
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)


def _answers(question: bytes, address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        try:
            sock.sendto(question, (address, port))
            return sock.recv(4096)[3] & 15 == 0
        except OSError:
            return False


@contextlib.contextmanager
def silent() -> Iterator[NameServer]:
    """Be a server that takes questions and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield NameServer("127.0.0.1", sock.getsockname()[1])


@contextlib.contextmanager
def rubbish(*replies: bytes) -> Iterator[NameServer]:
    """Be a server that answers every question with these octets, behind the question's id if they begin with "id"."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.2)
        ending = threading.Event()

        def talk() -> None:
            while not ending.is_set():
                with contextlib.suppress(OSError):
                    question, peer = sock.recvfrom(4096)
                    for reply in replies:
                        sock.sendto(question[:2] + reply[2:] if reply[:2] == b"id" else reply, peer)

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield NameServer("127.0.0.1", sock.getsockname()[1])
        finally:
            ending.set()
            thread.join()


def ask(patch: pytest.MonkeyPatch, server: NameServer) -> None:
    """Have this process ask that server, whatever /etc/resolv.conf says."""
    from pysendmail.delivery import dns, srv

    def resolver() -> object:
        import dns.resolver as library

        found = library.Resolver(configure=False)
        found.nameservers, found.port = [server.address], server.port
        return found

    patch.setattr(dns, "_resolver", resolver)
    patch.setattr(srv, "_cache", {})
