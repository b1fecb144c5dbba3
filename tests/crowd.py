"""An obedient smarthost that serves any number of connections at once."""

import contextlib
import socket
import threading

from tests.obedient import Obedient
from tests.scripted import LIMIT, Gone, Peer


class Crowd(Obedient):
    """Serve each connection in a thread; `peers` are all of them, `standing` those that have not ended."""

    peers: list[Peer]
    standing: int

    def _serve(self) -> None:
        self.peers = []
        self.standing = 0
        self._lock = threading.Lock()
        while True:
            raw, _ = self.listener.accept()
            if self._stopping:
                raw.close()
                break
            with self._lock:
                self.connections += 1
                self.standing += 1
            raw.settimeout(LIMIT * 3)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(raw, self)
            self.peers.append(peer)
            threading.Thread(target=self._attend, args=(peer,), daemon=True).start()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.raw.shutdown(socket.SHUT_RDWR)

    def _attend(self, peer: Peer) -> None:
        try:
            self.script(peer)
        except Gone:
            pass
        finally:
            with contextlib.suppress(OSError):
                peer.socket.close()
                peer.raw.close()
            with self._lock:
                self.standing -= 1
