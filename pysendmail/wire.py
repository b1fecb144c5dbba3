"""Frames between the command and the daemon, as pysendmail-protocol(7) describes them; both ends, without I/O.

A frame is one octet that names its kind, four octets with the length of what follows (big-endian), and that. The command
sends perhaps FACTS, then REQUEST, DATA as often as it takes, and END, which bears how many octets of DATA there were:
only an END that is right makes a message of them, so a command that was killed never sends half a one. The daemon
answers OUT and ERR (text for standard output and error), ALIVE while it has nothing to say yet, and EXIT, the last one.
After a REQUEST with -bs, if it is not refused, the daemon's greeting begins SMTP, and there are no frames any more.
"""

VERSION = b"1"
REQUEST, FACTS, DATA, END = b"R", b"F", b"D", b"E"
OUT, ERR, ALIVE, EXIT = b"O", b"S", b"A", b"X"

HEAD = 5  # octets before the content
PIECE = 1 << 16  # what the command reads and sends at once
_LIMITS = {82: 3 << 20, 70: 1024, 68: 1 << 20, 69: 8}  # octets that a frame of the command may hold, by its kind
_DATA = 68


class Broken(Exception):
    """What came is no frame; the text says why."""


def frame(kind: bytes, content: bytes) -> bytes:
    """Return a frame."""
    return kind + len(content).to_bytes(4, "big") + content


def request(name: bytes, arguments: "list[bytes]") -> bytes:
    """Return the frame that begins a request: the version, the name of the program, its arguments; parted by NUL."""
    return frame(REQUEST, b"\0".join([VERSION, name, *arguments]))


def end(size: int) -> bytes:
    """Return the frame that ends a message of `size` octets."""
    return frame(END, size.to_bytes(8, "big"))


class Decoder:
    """Cut what a command sends into frames; `held` octets are kept because the rest of their frame is missing."""

    __slots__ = ("_held", "_kind", "_left")

    def __init__(self) -> None:
        self._kind = 0
        self._left = 0  # octets of the present frame that are missing
        self._held = bytearray()  # and no list of pieces, which may come octet by octet

    @property
    def held(self) -> int:
        """How many octets are kept."""
        return len(self._held)

    def feed(self, data: bytes) -> "list[tuple[int, bytes]]":
        """Return the frames (kind, content) that `data` completes; those of DATA as they come, in pieces.

        Raises Broken.
        """
        found: list[tuple[int, bytes]] = []
        at, size = 0, len(data)
        while at < size:
            if self._kind:
                piece = data[at : at + self._left]
                at += len(piece)
                self._take(piece, found)
            else:
                missing = HEAD - len(self._held)
                self._held += data[at : at + missing]
                at += missing
                if len(self._held) == HEAD:
                    self._begin(found)
        return found

    def _begin(self, found: "list[tuple[int, bytes]]") -> None:
        head = bytes(self._held)
        self._held.clear()
        self._kind, self._left = head[0], int.from_bytes(head[1:], "big")
        limit = _LIMITS.get(self._kind)
        if limit is None:
            raise Broken("an unknown kind of frame")
        if self._left > limit:
            raise Broken("a frame is too long")
        if not self._left:
            self._take(b"", found)

    def _take(self, piece: bytes, found: "list[tuple[int, bytes]]") -> None:
        self._left -= len(piece)
        if self._kind == _DATA:
            if piece:
                found.append((_DATA, piece))
        else:
            self._held += piece
            if not self._left:
                found.append((self._kind, bytes(self._held)))
                self._held.clear()
        if not self._left:
            self._kind = 0
