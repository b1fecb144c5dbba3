"""A machine's /etc below a folder, with files of other programs in it, and senders that use them."""

import os
import pathlib
import subprocess

from pysendmail.config import accounts, reader
from pysendmail.config.accounts import Account
from pysendmail.config.foreign.convert import convert
from pysendmail.config.foreign.translation import LOST, Translation
from tests.command.caller import LIMIT, MESSAGE
from tests.conftest import Installed
from tests.obedient import Delivery, Obedient

MAIN = {"ssmtp": "ssmtp/ssmtp.conf", "nullmailer": "nullmailer/remotes", "dma": "dma/dma.conf"}


class Place:
    """A folder `etc`; `write` puts a file there, readable for its owner and group as packages do it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.root = folder
        self.etc = folder / "etc"

    def write(self, name: str, text: str | bytes, mode: int = 0o640) -> pathlib.Path:
        path = self.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def main(self, tool: str) -> str:
        return str(self.etc / MAIN[tool])

    def convert(self, tool: str) -> Translation:
        """Translate the files as they are used below this folder."""
        return convert(tool, self.main(tool), str(self.root))

    def account(self, tool: str, sender: bytes | None = None, uid: int | None = None) -> Account:
        """Give the account that is taken for a message."""
        file = reader.load(self.main(tool), uid=os.getuid(), home="/nonexistent")
        return accounts.choose(file, sender=sender, uid=uid)[0]

    def send(
        self, installed: Installed, tool: str, *arguments: str, message: bytes = MESSAGE
    ) -> "subprocess.CompletedProcess[bytes]":
        """Send a message through the installed command, with -C and the file's name."""
        command = [installed.sendmail, "-C", self.main(tool), "-i", *arguments]
        environ = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}
        return subprocess.run(command, input=message, env=environ, capture_output=True, timeout=LIMIT, check=False)

    def deliver(
        self, installed: Installed, server: Obedient, tool: str, *arguments: str, message: bytes = MESSAGE
    ) -> Delivery:
        """Send one message that has to arrive without a word."""
        before = len(server.deliveries)
        done = self.send(installed, tool, *arguments, message=message)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert len(server.deliveries) == before + 1
        return server.deliveries[-1]


def remarks(translation: Translation) -> dict[str, str]:
    """Give the verdict and text of each remark by the word, several joined."""
    found: dict[str, str] = {}
    for one in translation.remarks:
        told = f"{one.verdict}: {one.text}"
        found[one.theirs] = f"{found[one.theirs]} / {told}" if one.theirs in found else told
    return found


def lost(translation: Translation) -> list[str]:
    """Give the words that could not be put in ours."""
    return [one.theirs for one in translation.remarks if one.verdict == LOST]
