"""A smarthost on loopback that does what it is told, and remembers each message with its envelope."""

import dataclasses
import threading
from collections.abc import Mapping

from tests.scripted import CAPABILITIES, LIMIT, Peer, ScriptedServer

SILENCE = "(never answered)"


@dataclasses.dataclass
class Delivery:
    """One message as it was accepted: paths without angle brackets, the words behind them, octets without dot stuffing."""

    sender: str
    sender_words: list[str]
    recipients: list[str]
    recipient_words: list[list[str]]
    data: bytes
    verb: str
    encrypted: bool

    @property
    def header(self) -> bytes:
        """The header with the line end of its last field."""
        return self.data.partition(b"\r\n\r\n")[0] + b"\r\n"

    @property
    def body(self) -> bytes:
        """What stands behind the empty line."""
        return self.data.partition(b"\r\n\r\n")[2]

    def field(self, name: str) -> list[str]:
        """Return the value of each field of this name, unfolded."""
        lines = self.header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t").decode("utf-8", "replace").split("\r\n")
        return [line[len(name) + 1 :].strip() for line in lines if line.lower().startswith(name.lower() + ":")]


class Obedient(ScriptedServer):
    """Accept every command but those whose beginning stands in `answers`, which get the reply that is written there.

    The end of the message is known as "." there, and SILENCE answers nothing until the client goes. What stands in
    `gates` is answered when the event there is set. `mechanisms` are offered for AUTH, and any login is good. `tls` is
    "off", "starttls" or "implicit".
    """

    def __init__(
        self,
        identities: dict[str, str] | None = None,
        *,
        capabilities: tuple[str, ...] = CAPABILITIES,
        mechanisms: str = "",
        answers: Mapping[str, str] | None = None,
        tls: str = "off",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(self._talk, identities or {}, host, port)
        self.capabilities = capabilities
        self.mechanisms = mechanisms
        self.answers = dict(answers or {})
        self.tls = tls
        self.deliveries: list[Delivery] = []
        self.commands: list[str] = []
        self.gates: dict[str, threading.Event] = {}

    def _talk(self, peer: Peer) -> None:
        if self.tls == "implicit":
            peer.tls()
        self._say(peer, self._answer("greeting", "220 mx.test ESMTP"))
        sender = ""
        recipients: list[str] = []
        while True:
            line = peer.hear().decode("utf-8", "surrogateescape")
            self.commands.append(line)
            verb = line.partition(" ")[0].upper()
            good = {"EHLO": self._offer(peer), "DATA": "354 go ahead", "STARTTLS": "220 go ahead", "QUIT": "221 bye"}
            if verb == "AUTH":
                reply = self._log_in(peer, line)
            elif verb == "BDAT":
                reply = self._take(peer, sender, recipients, line)
            elif (verb == "RCPT" and not sender) or (verb == "DATA" and not recipients):
                reply = "503 5.5.1 out of turn"
            else:
                reply = self._answer(line, good.get(verb, "250 2.0.0 ok"))
            self._say(peer, reply)
            if verb in ("MAIL", "RSET", "EHLO"):
                sender, recipients = line if verb == "MAIL" and reply[:1] == "2" else "", []
            elif verb == "RCPT" and reply[:1] == "2":
                recipients.append(line)
            elif verb == "DATA" and reply[:1] == "3":
                self._say(peer, self._take(peer, sender, recipients, line))
            elif verb == "STARTTLS":
                peer.tls()
            elif verb == "QUIT":
                peer.hang_up()

    def _say(self, peer: Peer, reply: str) -> None:
        if reply == SILENCE:
            peer.stall()
        peer.say(*reply.split("\n"))

    def _answer(self, line: str, good: str) -> str:
        for start, gate in self.gates.items():
            if line.upper().startswith(start.upper()):
                gate.wait(LIMIT)
        return next((reply for start, reply in self.answers.items() if line.upper().startswith(start.upper())), good)

    def _offer(self, peer: Peer) -> str:
        words = ["mx.test", *self.capabilities]
        if self.mechanisms:
            words.append(f"AUTH {self.mechanisms}")
        if self.tls == "starttls" and not peer.encrypted:
            words.append("STARTTLS")
        return "\n".join(f"250{' ' if number == len(words) else '-'}{word}" for number, word in enumerate(words, 1))

    def _log_in(self, peer: Peer, line: str) -> str:
        if len(line.split()) < 3:
            peer.say("334 ")
            peer.hear()
        return self._answer(line, "235 2.7.0 welcome")

    def _take(self, peer: Peer, sender: str, recipients: list[str], line: str) -> str:
        if line[:4].upper() == "BDAT":
            data = peer.octets(int(line.split()[1]))
        else:
            pieces = []
            while (piece := peer.hear()) != b".":
                pieces.append(piece[1:] if piece[:1] == b"." else piece)
            data = b"".join(piece + b"\r\n" for piece in pieces)
        if not recipients:
            return "554 5.5.1 no valid recipients"
        self.messages.append(data)
        reply = self._answer(".", "250 2.0.0 kept")
        if reply[:1] == "2":
            (path, *words), *others = [_path(each) for each in (sender, *recipients)]
            paths, parameters = [each[0] for each in others], [each[1:] for each in others]
            self.deliveries.append(Delivery(path, words, paths, parameters, data, line[:4].upper(), peer.encrypted))
        return reply


def _path(line: str) -> list[str]:
    """Cut `MAIL FROM:<a@b> SIZE=1` into the path and the words behind it."""
    path, _, words = line.partition(":<")[2].rpartition(">")
    return [path, *words.split()]
