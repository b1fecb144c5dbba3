"""Ports of loopback for servers that bind them by themselves, kept from one another and from the kernel's own choice.

Whoever asks the kernel for a free port and lets it go again may lose it to any connection that anybody opens, before the
server that is to have it is up. These lie below the range from which the kernel takes its own, and each stays with the
process that asked for it, however many test runs there are on the machine.
"""

import contextlib
import os
import pathlib
import socket

_LOWEST = 10240
_kept: list[socket.socket] = []


def free_port(address: str = "127.0.0.1") -> int:
    """Find a port, of TCP and UDP, where nobody listens, and keep it from other test runs as long as this one lives."""
    try:
        end = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        end = 32768
    span = end - _LOWEST
    for step in range(span):
        port = _LOWEST + (os.getpid() * 97 + len(_kept) + step) % span
        with contextlib.ExitStack() as stack:
            promise = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                promise.bind(f"\0pysendmail-tests-port-{port}")
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind((address, port))
                stack.pop_all()
                _kept.append(promise)
                return port
    raise AssertionError("no port is free")


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port of TCP over IPv4."""
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(words[1].endswith(f":{port:04X}") and words[3] == "0A" for words in lines)


def own_address() -> str:
    """Name an address of loopback that is this process's alone, for a port that cannot be chosen."""
    number = os.getpid()
    return f"127.{64 + (number >> 16) % 64}.{number >> 8 & 255}.{number & 255}"
