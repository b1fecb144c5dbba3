"""Standard output for what may be long: it goes out in blocks and waits for its reader, who may be a person with a pager."""

import os
import select

from pysendmail import errors
from pysendmail.command.console import elsewhere

_BLOCK = 1 << 16


class Gone(Exception):
    """Nobody reads any more, as after `| head`; what is left need not be made."""


class Output:
    """Text on its way to a descriptor; `flush` must come at the end."""

    __slots__ = ("_descriptor", "_parts", "_size")

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._parts: list[str] = []
        self._size = 0

    def write(self, text: str) -> None:
        """Take `text`, and send what has come together if that is a block. Raises what `flush` raises."""
        self._parts.append(text)
        self._size += len(text)
        if self._size >= _BLOCK:
            self.flush()

    def flush(self) -> None:
        """Send what has come together. Raises Gone if nobody reads, TempFail where it cannot be written."""
        data = memoryview("".join(self._parts).encode("utf-8", "backslashreplace"))
        self._parts.clear()
        self._size = 0
        away = elsewhere()
        if away is not None:
            away.write(self._descriptor, bytes(data))
            return
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # whoever shares the descriptor has made it so
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            except (BrokenPipeError, ConnectionResetError):
                raise Gone from None
            except OSError as error:
                raise errors.TempFail(f"cannot be written: {error.strerror}", "standard output") from error
