"""Memory stays flat however large the message is, and the message arrives whole."""

import os
import pathlib
import shutil
import zlib
from collections.abc import Iterator

import pytest

from tests.command.caller import Caller
from tests.conftest import Installed, base_python
from tests.obedient import Obedient
from tests.scripted import CAPABILITIES, Gone, Peer

pytestmark = pytest.mark.once

MIB = 1 << 20
SLACK = 20 * 1024  # KiB
HEAD = b"From: a@x\nTo: b@x\nSubject: y\nDate: Thu, 1 Jan 1970 00:00:00 +0000\nMessage-ID: <1@x>\n\n"
OFFER = tuple(word for word in CAPABILITIES if not word.startswith("SIZE"))
# A process that starts the command and tells its peak; one of these tests' own size would be counted as the command's.
MEASURE = """
import os, sys
child = os.fork()
if not child:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Sink(Obedient):
    """Take the message without keeping it: only its size and checksum."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)  # type: ignore[arg-type]
        self.size = self.checksum = 0

    def _take(self, peer: Peer, sender: str, recipients: list[str], line: str) -> str:
        room = bytearray(MIB)
        left = int(line.split()[1]) if line.startswith("BDAT") else None
        data, peer.buffer = peer.buffer, b""
        tail = b""
        while True:
            self.size += len(data)
            self.checksum = zlib.crc32(data, self.checksum)
            tail = (tail + data[-5:])[-5:]
            if tail == b"\r\n.\r\n" if left is None else self.size == left:
                return "250 2.0.0 kept"
            count = peer.socket.recv_into(room)
            if not count:
                raise Gone
            data = bytes(memoryview(room)[:count])


def pieces(block: bytes, size: int) -> Iterator[bytes]:
    yield HEAD
    for _ in range(size // len(block)):
        yield block


def peak(caller: Caller, message: Iterator[bytes]) -> int:
    """Pipe the message through the command and return its peak memory in KiB."""
    process = caller.start("-IS", "-c", MEASURE, caller.sendmail, "-i", "r@x", command=base_python())
    assert process.stdin is not None
    with process:
        for piece in message:
            process.stdin.write(piece)
        out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, b"")
    return int(out)


# A mebibyte, nearly: lines of base64, lines that begin with dots, and lines that have to be encoded.
BASE64 = (b"QUJD" * 19 + b"\n") * (MIB // 77)
DOTS = (b"." * 30 + b"\n") * (MIB // 31)
UMLAUTS = (("ä" * 20 + " and more text of a line").encode() + b"\n") * (MIB // 65)


@pytest.mark.parametrize(
    ("block", "without"),
    [(BASE64, ""), (BASE64, "CHUNKING"), (DOTS, "CHUNKING"), (UMLAUTS, ""), (UMLAUTS, "8BITMIME")],
    ids=["BDAT", "DATA", "dots", "8-bit", "8-bit encoded"],
)
def test_a_message_of_64_mebibytes_takes_hardly_more_memory_than_a_small_one(
    installed: Installed, tmp_path: pathlib.Path, block: bytes, without: str
) -> None:
    with Sink(capabilities=tuple(word for word in OFFER if word != without)) as server:
        caller = Caller(installed.sendmail, tmp_path, server)
        small = peak(caller, iter([HEAD, b"text\n" * 200]))
        server.size = server.checksum = 0
        large = peak(caller, pieces(block, 64 * MIB))
    assert large - small < SLACK
    if without != "8BITMIME":
        wire = b"".join(pieces(block, 64 * MIB)).replace(b"\n", b"\r\n")
        if without == "CHUNKING":
            wire = wire.replace(b"\n.", b"\n..") + b".\r\n"
        assert (server.size, server.checksum) == (len(wire), zlib.crc32(wire))


@pytest.mark.skipif(not os.environ.get("PYSENDMAIL_CI"), reason="a gibibyte takes a while; where PYSENDMAIL_CI is set")
def test_a_message_of_a_gibibyte_takes_hardly_more_memory_than_a_small_one(
    installed: Installed, tmp_path: pathlib.Path
) -> None:
    assert shutil.disk_usage("/var/tmp").free > 2 << 30, "there is no room for it in /var/tmp"
    with Sink(capabilities=OFFER) as server:
        caller = Caller(installed.sendmail, tmp_path, server)
        small = peak(caller, iter([HEAD, b"text\n" * 200]))
        server.size = server.checksum = 0
        large = peak(caller, pieces(BASE64, 1024 * MIB))
    assert large - small < SLACK
    block = BASE64.replace(b"\n", b"\r\n")
    checksum, size = zlib.crc32(HEAD.replace(b"\n", b"\r\n")), len(HEAD) + HEAD.count(b"\n")
    for _ in range(1024 * MIB // len(BASE64)):
        checksum, size = zlib.crc32(block, checksum), size + len(block)
    assert (server.size, server.checksum) == (size, checksum)
