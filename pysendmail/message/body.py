"""The body of a message: brought into its wire form while it is read, then readable again and again.

On the wire each line ends with CRLF and nothing else is a CR or an LF (RFC 5321 section 2.3.8); a stray one is what
lets a receiver see a second message inside the first. So line ends are put right here, at the only door, and the
facts that decide how the body travels (8-bit, NUL, overlong lines) are found in the same pass. Up to 1 MiB stays in
memory; a larger body moves to a file without a name, so that memory stays flat however large the message is.

All work is done on whole chunks by the bytes type: nothing here loops over lines.
"""

import os

from pysendmail import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Body", "BodyWriter", "Survey", "dot_stuff"]

_MEMORY = 1 << 20
_CHUNK = 1 << 18
_LINE = 1000  # octets of the longest line that SMTP must take, its CRLF included (RFC 5321 section 4.5.3.1.6)
_FOLDERS = ("/var/tmp", "/tmp")  # fixed: the caller's TMPDIR must not say where mail is written
_NAMELESS: int = getattr(os, "O_TMPFILE", 0)


class Survey:
    """Collect the facts about text in wire form that decide how it can travel.

    `size` is in octets with CRLFs. `eight_bit`: an octet over 127; `nul`: an octet 0; `long_line`: a line of more
    than 998 octets without its CRLF.
    """

    __slots__ = ("_open", "eight_bit", "long_line", "nul", "size")

    def __init__(self) -> None:
        self.size = 0
        self.eight_bit = False
        self.nul = False
        self.long_line = False
        self._open = 0

    def add(self, data: bytes) -> None:
        """Take the next stretch of text, cut anywhere."""
        self.size += len(data)
        if not self.eight_bit and not data.isascii():
            self.eight_bit = True
        if not self.nul and b"\0" in data:
            self.nul = True
        if not self.long_line:
            self._measure(data)

    def finish(self) -> None:
        """Judge a last line that has no CRLF."""
        if self._open > _LINE - 2:
            self.long_line = True

    def _measure(self, data: bytes) -> None:
        # The last line end within the next 1,000 octets vouches for all lines before it: one look per 1,000 octets.
        room = _LINE - self._open
        start, end = 0, len(data)
        while start < end:
            after = data.rfind(b"\n", start, start + room) + 1
            if not after:
                break
            start, room = after, _LINE
        self._open = _LINE - room + end - start
        if self._open >= _LINE:
            self.long_line = True


class Body:
    """A finished body in wire form: CRLF line ends, and one at the end unless the body is empty.

    `size`, `eight_bit`, `nul` and `long_line` are as in Survey. Made by BodyWriter.
    """

    __slots__ = ("_data", "_spool", "eight_bit", "long_line", "nul", "size")

    def __init__(self, survey: Survey, size: int, data: bytes, spool: "_Spool | None") -> None:
        self.size = size
        self.eight_bit = survey.eight_bit
        self.nul = survey.nul
        self.long_line = survey.long_line
        self._data = data
        self._spool = spool

    def chunks(self, size: int = _CHUNK) -> "Iterator[bytes]":
        """Yield the body from its beginning in chunks of `size` octets, the last one shorter.

        Each call reads anew and disturbs no other. Raises TempFail when the file cannot be read.
        """
        spool, data, total = self._spool, self._data, self.size
        if spool is not None:
            for start in range(0, total, size):
                yield spool.read(min(size, total - start), start)
        elif total > size:
            for start in range(0, total, size):
                yield data[start : start + size]
        elif data:
            yield data

    def close(self) -> None:
        """Give back the file, if there is one; the body cannot be read any more. Closing twice does no harm."""
        if self._spool is not None:
            self._spool.close()


class BodyWriter:
    """Make a Body from raw octets.

    `memory`: octets that are kept in memory before the body moves to a file in the first of `folders` that takes one.
    """

    __slots__ = ("_carry", "_folders", "_held", "_memory", "_spool", "_survey", "_tail")

    def __init__(self, memory: int = _MEMORY, folders: "Iterable[str]" = _FOLDERS) -> None:
        self._memory = memory
        self._folders = folders
        self._held = bytearray()
        self._spool: _Spool | None = None
        self._survey = Survey()
        self._carry = b""
        self._tail = b""

    def feed(self, raw: bytes) -> None:
        """Take the next octets as they came, cut anywhere; LF, CRLF, CR CR LF and any other CR become CRLF.

        Raises TempFail when the file cannot be written.
        """
        if self._carry:
            raw = self._carry + raw
            self._carry = b""
        if raw.endswith(b"\r"):  # what these one or two CRs are depends on what follows them
            cut = -2 if raw.endswith(b"\r\r") else -1
            raw, self._carry = raw[:cut], raw[cut:]
        if raw:
            self.add_wire(_wire(raw))

    def add_wire(self, data: bytes) -> None:
        """Take the next octets of text that is in wire form already, cut anywhere.

        Not to be mixed with feed() but where a line ends. Raises TempFail when the file cannot be written.
        """
        self._survey.add(data)
        self._tail = data[-5:] if len(data) >= 5 else (self._tail + data)[-5:]
        self._held += data
        if len(self._held) > (self._memory if self._spool is None else _CHUNK):
            self._flush()

    def finish(self, drop_final_dot: bool = False) -> Body:
        """Complete the last line and return the body; a last line that is a lone dot goes if `drop_final_dot`.

        Raises TempFail when the file cannot be written.
        """
        if self._carry:
            self.add_wire(b"\r\n" * len(self._carry))
            self._carry = b""
        if self._tail and not self._tail.endswith(b"\n"):
            self.add_wire(b"\r\n")
        size = self._survey.size
        if drop_final_dot and (self._tail == b"\r\n.\r\n" or self._tail == b".\r\n"):
            size -= 3
        if self._spool is not None:
            self._flush()
        return Body(self._survey, size, bytes(self._held[:size]), self._spool)

    def _flush(self) -> None:
        if self._spool is None:
            self._spool = _Spool(self._folders)
        self._spool.write(self._held)
        self._held = bytearray()


def dot_stuff(chunks: "Iterable[bytes]") -> "Iterator[bytes]":
    """Double the dot of each line that begins with one (RFC 5321 section 4.5.2); the text must be in wire form."""
    fresh = True
    for chunk in chunks:
        first = fresh and chunk.startswith(b".")
        if chunk:
            fresh = chunk.endswith(b"\n")
        if b"." in chunk:
            chunk = chunk.replace(b"\n.", b"\n..")
            if first:
                chunk = b"." + chunk
        yield chunk


def _wire(raw: bytes) -> bytes:
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n")
        if b"\r" in raw:  # what was CR CR LF is CR LF by now; any CR left after that stood alone
            raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return raw.replace(b"\n", b"\r\n")


class _Spool:
    """A file without a name: it goes with its descriptor, however this process ends."""

    __slots__ = ("_fd", "_folder")

    def __init__(self, folders: "Iterable[str]") -> None:
        self._fd = -1
        troubles = []
        for folder in folders:
            try:
                self._fd = _open_nameless(folder)
            except OSError as error:
                troubles.append(f"{folder}: {error.strerror}")
                continue
            self._folder = folder
            return
        raise _disk_trouble(f"cannot make a temporary file for the message ({', '.join(troubles)})")

    def write(self, data: bytearray) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise _disk_trouble(f"cannot store the message in {self._folder}: {error.strerror}") from error

    def read(self, size: int, start: int) -> bytes:
        data = b""
        try:
            while len(data) < size:
                more = os.pread(self._fd, size - len(data), start + len(data))
                if not more:  # a part of a message is never sent as if it were the whole
                    raise OSError(0, "the temporary file is too short")
                data = data + more if data else more
        except OSError as error:
            raise _disk_trouble(f"cannot read the message back from {self._folder}: {error.strerror}") from error
        return data

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


def _open_nameless(folder: str) -> int:
    """Open a new file of mode 0600, close-on-exec as Python opens all, that no other process can reach by a name."""
    fd = -1
    if _NAMELESS:
        try:
            fd = os.open(folder, _NAMELESS | os.O_RDWR | os.O_EXCL, 0o600)
        except OSError:
            pass  # some file systems cannot do it; a name that lives for a moment can
    if fd < 0:
        path = os.path.join(folder, ".pysendmail-" + os.urandom(16).hex())
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        os.unlink(path)
    os.fchmod(fd, 0o600)  # the caller's umask has no say
    return fd


def _disk_trouble(text: str) -> errors.TempFail:
    failure = errors.TempFail(text)
    failure.status = "4.3.1"
    return failure
