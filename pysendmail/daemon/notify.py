"""Telling the service manager how it goes: sd_notify(3) without its library, and its watchdog.

Works with any manager that speaks this protocol. Without one ($NOTIFY_SOCKET) nothing is told.
"""

import _socket
import os
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping

_NAMES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """The way to the service manager; `every` is after how many seconds at most it wants to hear of us, None for never."""

    __slots__ = ("_address", "every")

    def __init__(self, environ: "MutableMapping[str, str]") -> None:
        address, usec, pid = [environ.pop(name, "") for name in _NAMES]
        self._address = ("\0" + address[1:] if address[:1] == "@" else address) if address[:1] in ("@", "/") else ""
        self.every: float | None = None
        if self._address and usec.isdecimal() and int(usec) and pid in ("", str(os.getpid())):
            self.every = int(usec) / 2_000_000

    def tell(self, *lines: str) -> None:
        """Send assignments such as READY=1. A manager who is not there stops nothing."""
        if not self._address:
            return
        try:
            sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
            try:
                sock.settimeout(1)
                sock.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)
            finally:
                sock.close()
        except OSError:
            pass  # the manager will find out by itself, and we have our work to do

    def ready(self, status: str) -> None:
        """Say that the daemon serves."""
        self.tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that the configuration is being read anew; `ready` ends that."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={int(monotonic() * 1_000_000)}", "STATUS=Reading the configuration")

    def stopping(self, status: str) -> None:
        """Say that the daemon ends."""
        self.tell("STOPPING=1", f"STATUS={status}")
