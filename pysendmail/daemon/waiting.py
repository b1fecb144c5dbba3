"""Callers who wait for the smarthost's answers (-odi).

Their messages are in the queue like all others. When the deliver process says that there is news, it is looked what the
first attempt has brought. A caller who is gone, or has waited for too long, has his message go on as any other one.
Who asks for it (-v) is shown the dialogue with the smarthost meanwhile, within a second of what is said.
"""

from time import time

from pysendmail import errors
from pysendmail.command import console, result
from pysendmail.command.identity import mail_domain
from pysendmail.command.queueing import settings_of
from pysendmail.config import accounts
from pysendmail.daemon.dialogues import Dialogues
from pysendmail.log import printable
from pysendmail.queue import awaited, dialogue, states
from pysendmail.queue.verdict import failure_report
from pysendmail.smtp.outcome import FAILED, SENT, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.daemon.client import Client
    from pysendmail.daemon.hall import Hall
    from pysendmail.daemon.listener import Peer
    from pysendmail.queue.settings import Settings
    from pysendmail.queue.sights import Leg

PATIENCE = 900.0
"""Seconds that a caller is kept waiting; then the message goes on in the queue, which his exit code says."""

_LAST = 3.0  # seconds after which nobody begins a message any more when the daemon is being stopped


class Waiting:
    """The callers who wait, each for one message, which may have parts and is known by the id of the first."""

    __slots__ = ("_callers", "_hall", "_parts", "_since", "dialogues")

    def __init__(self, hall: "Hall") -> None:
        self._hall = hall
        self.dialogues = Dialogues(hall.path)
        self._parts: dict[str, list[str]] = {}
        self._callers: dict[str, Client | Peer] = {}
        self._since: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._callers)

    def begin(self, client: "Client | Peer", qids: list[str]) -> None:
        """Wait for the answers to a message that was just committed, in one or more parts."""
        qid = qids[0]
        self._parts[qid] = qids
        if client.fd < 0:
            self._settle(self._forget(qid))
            return
        self._callers[qid] = client
        self._since[qid] = self._hall.loop.now
        self._look(qid, client)

    def recover(self) -> None:
        """Let messages go on whose callers waited at a process that died, and left nobody behind who knows of them."""
        dialogue.sweep(self._hall.path)
        try:
            left = awaited.recover(self._hall.store, self._settings, time())
        except errors.Failure as trouble:
            left = [("", trouble)]
        for qid, failure in left:
            self._hall.note(f"{qid or 'messages'}: that nobody waits any more cannot be noted now: {failure}")
        self._hall.notify()

    def left(self, client: "Client | Peer") -> None:
        """Note that a caller is gone."""
        self.dialogues.end(client)
        for qid in [qid for qid, one in self._callers.items() if one is client]:
            self._settle(self._forget(qid))

    def look(self) -> None:
        """Look what became of all messages for which somebody waits."""
        for qid, client in list(self._callers.items()):
            self._look(qid, client)

    def tick(self) -> None:
        """Look again, in case that the news went to another process, and end what takes too long."""
        self.look()
        closing = self._hall.closing_for > _LAST
        for qid, client in list(self._callers.items()):
            if self._hall.loop.now - self._since[qid] > PATIENCE or (closing and not self._is_on(qid)):
                self._let_go(qid, client)

    def end(self) -> None:
        """Tell everybody that his message is in the queue."""
        for qid, client in list(self._callers.items()):
            self._look(qid, client)
            if qid in self._callers:
                self._let_go(qid, client)

    def _let_go(self, qid: str, client: "Client | Peer") -> None:
        """Tell a caller that his message is in the queue, where it goes on as any other one."""
        self.dialogues.go_on(client)
        if qid in self._callers:
            self._settle(self._forget(qid))
            client.answer(0)

    def _is_on(self, qid: str) -> bool:
        """Tell whether a message is in the hands of somebody who delivers."""
        try:
            items = [self._hall.store.get(one) for one in self._parts[qid]]
        except errors.Failure:
            return True  # who knows
        return any(one.state == states.ACTIVE for item in items if item is not None for one in item.recipients)

    def _look(self, qid: str, client: "Client | Peer") -> None:
        store, qids = self._hall.store, self._parts[qid]
        try:
            found = self._found(qids)
            self.dialogues.go_on(client)  # which may show that he is gone
            if found is None or qid not in self._callers:
                return
            code = found.code
            options = client.options
            if code and options is not None and options.mail_back and self._can_be_mailed(qids):
                code = 0
            if not awaited.settle(store, qid, self._settings, time(), told=bool(code)):
                return  # it has changed meanwhile
            self._settle_rest(qids[1:], bool(code))
            if found.failed and not code:
                self._hall.notify()  # of the report on them
        except errors.Failure as failure:
            self._hall.note(f"{qid}: the answer cannot be found out now: {failure}")
            return
        self._forget(qid)
        shown = self._journeys(qids, found) if options is not None and options.verbose else ""
        client.answer(code, shown + (self._text(client, found) if code else ""))

    def _settle_rest(self, qids: list[str], told: bool) -> None:
        """Settle the other parts of a message whose first one is settled, so that its caller is told in any case."""
        for qid in qids:
            try:
                if not awaited.settle(self._hall.store, qid, self._settings, time(), told=told):
                    awaited.settle(self._hall.store, qid, self._settings, time())
            except errors.Failure as failure:
                # The deliver process settles it later, and who was refused is told by mail as well.
                self._hall.note(f"{qid}: that its caller has the answer cannot be noted now: {failure}")

    def _found(self, qids: list[str]) -> "awaited.Answer | None":
        """Return the answer to a message with all its parts, None if there is none yet."""
        told: list[awaited.Told] = []
        first = True
        for qid in qids:
            found = awaited.look(self._hall.store, qid, time())
            if isinstance(found, awaited.Pending):
                return None
            told += found.recipients
            first = first and found.awaited
        return awaited.Answer(told, first)

    def _can_be_mailed(self, qids: list[str]) -> bool:
        """Tell whether the sender can be told by mail of all who were refused."""
        items = [item for qid in qids if (item := self._hall.store.get(qid)) is not None]
        failed = [(item.message, one) for item in items for one in item.recipients if one.state == states.FAILED]
        return bool(failed) and all([message.sender and failure_report(message, one) for message, one in failed])

    def _text(self, client: "Client | Peer", found: awaited.Answer) -> str:
        """Return the lines for standard error."""
        if client.options is not None and client.options.errors == "q":
            return ""
        said: list[bytes] = []
        groups: dict[str, list[Outcome]] = {}
        for one in found.failed:
            groups.setdefault(one.relay, []).append(Outcome(one.address, FAILED, one.code, one.dsn, one.reply.encode(), ""))
        for one in found.sent:
            groups.setdefault(one.relay, []).append(Outcome(one.address, SENT, 0, one.dsn, b"", ""))
        with console.Elsewhere(lambda descriptor, data: said.append(data)):
            result.tell(client.program, [(outcomes, relay or "none") for relay, outcomes in groups.items()])
        return b"".join(said).decode("utf-8", "surrogateescape")

    def _journeys(self, qids: list[str], found: awaited.Answer) -> str:
        """Return what -v shows in the end: a line for each attempt that was made, or why there was none."""
        try:
            shown = [_shown(leg) for qid in qids for leg in self._hall.store.journey(qid=qid)]
        except errors.Failure:
            return ""  # the answer counts
        if not shown:
            shown = [f"waits in the queue: {why}" for why in dict.fromkeys([printable(one.reply) for one in found.waiting])]
        return "".join([f"=== {line}\n" for line in shown])

    def _settle(self, qids: list[str]) -> None:
        """Let a message go on without anybody who waits: who was refused is reported to its sender."""
        for qid in qids:
            try:
                awaited.settle(self._hall.store, qid, self._settings, time())
            except errors.Failure as failure:
                # Nobody is forgotten: the deliver process settles what has been left for long.
                self._hall.note(f"{qid}: nobody waits for the answer any more, which cannot be noted now: {failure}")
        self._hall.notify()

    def _settings(self, account: str, config: str) -> "Settings":
        chosen = accounts.choose(self._hall.file, account=account.encode("latin-1") or None)[0]
        return settings_of(chosen, mail_domain(chosen), self._hall.file, self._hall.aliases)

    def _forget(self, qid: str) -> list[str]:
        """Wait for a message no more; return the ids of its parts."""
        client = self._callers.pop(qid, None)
        if client is not None:
            self.dialogues.end(client)
        self._since.pop(qid, None)
        return self._parts.pop(qid)


def _shown(leg: "Leg") -> str:
    seconds = f"{leg.waiting:.3f}+{leg.connecting:.3f}+{leg.sending:.3f} s"
    parts = [f"to=<{printable(leg.recipient, 320)}>", f"relay={leg.relay or 'none'}", leg.tls or "not encrypted", seconds]
    return f"{', '.join(parts)}: {leg.state} ({printable(leg.reply)})"
