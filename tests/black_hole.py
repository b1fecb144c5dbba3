"""An address that never answers: a listener whose queue is full, so that the kernel passes over every new connection."""

import contextlib
import socket
import time
from collections.abc import Iterator


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.9", port: int = 0) -> Iterator[int]:
    """Give the port of such an address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        where = listener.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            filler.setblocking(False)
            filler.connect_ex(where)
        time.sleep(0.05)
        yield where[1]
