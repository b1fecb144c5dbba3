"""The dialogues that callers are shown who wait for the answers to a message and want to see them (-v)."""

from pysendmail.daemon.client import Client
from pysendmail.queue.dialogue import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.daemon.listener import Peer

_MOST = 64  # messages or parts of them at a time


class Dialogues:
    """Who is shown what."""

    __slots__ = ("_queue", "_shown")

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._shown: dict[Client, _Shown] = {}

    def begin(self, client: "Client | Peer", qids: "list[str]") -> None:
        """Show a caller the dialogues about what is about to be committed; who speaks SMTP could not see them."""
        if not isinstance(client, Client):
            return
        if sum([len(one.readers) for one in self._shown.values()]) + len(qids) > _MOST:
            client.show(b"=== the dialogue is not shown, since too many others want to see theirs\n")
            return
        shown = _Shown()
        try:
            for qid in qids:
                shown.readers[qid] = Reader(self._queue, qid)
        except OSError as error:
            shown.close()
            client.show(f"=== the dialogue cannot be shown: {error.strerror}\n".encode())
        else:
            self._shown[client] = shown

    def go_on(self, client: "Client | Peer") -> None:
        """Show a caller what was said since the last time, if he is to see it."""
        shown = self._shown.get(client) if isinstance(client, Client) else None
        if shown is not None and (said := shown.news()) and isinstance(client, Client):
            client.show(said)

    def end(self, client: "Client | Peer") -> None:
        """Show a caller no more."""
        shown = self._shown.pop(client, None) if isinstance(client, Client) else None
        if shown is not None:
            shown.close()


class _Shown:
    """What one caller sees: the dialogue about each part of his message."""

    __slots__ = ("_last", "readers")

    def __init__(self) -> None:
        self.readers: dict[str, Reader] = {}
        self._last = ""

    def news(self) -> bytes:
        """Return what was said since the last time; where there are several parts, with the id before what concerns it."""
        said: list[bytes] = []
        for qid, reader in self.readers.items():
            try:
                lines = reader.read()
            except OSError:
                continue  # the answer counts
            if lines and len(self.readers) > 1 and self._last != qid:
                self._last = qid
                said.append(f"=== {qid}:\n".encode())
            said.append(lines)
        return b"".join(said)

    def close(self) -> None:
        for reader in self.readers.values():
            reader.close()
