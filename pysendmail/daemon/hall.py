"""The accept process at work: who is there, what is being committed, who waits for what.

Everything here happens in the loop's thread, but for the commits (committer.py) and the requests that are no messages
(requests.py), which have threads of their own.
"""

import os
import sys
from _thread import start_new_thread
from time import time

from pysendmail import errors
from pysendmail.command.identity import NO_UID, Caller
from pysendmail.config import accounts
from pysendmail.daemon.aliasing import Aliasing
from pysendmail.daemon.channel import Channel
from pysendmail.daemon.client import Client
from pysendmail.daemon.committer import Committer, Job
from pysendmail.daemon.connection import ANSWERED, ASKING, SENDING, SERVED, WAITING
from pysendmail.daemon.doorway import Doorway
from pysendmail.daemon.followers import Followers
from pysendmail.daemon.handover import Handover
from pysendmail.daemon.loop import Loop
from pysendmail.daemon.places import Places
from pysendmail.daemon.policy import Policy
from pysendmail.daemon.register import Register
from pysendmail.daemon.waiting import Waiting
from pysendmail.log import Log
from pysendmail.queue.bounce import ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pysendmail.command.envelope import Envelope
    from pysendmail.command.intake import Message
    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases
    from pysendmail.config.reader import File
    from pysendmail.daemon.listener import Peer
    from pysendmail.options import Options
    from pysendmail.queue.store import Store

_MEMORY = 16 << 20  # octets of messages that are kept in memory while they come in, for all callers together
_MOST_OF_ONE = 1 << 20
_REQUESTS = 32 << 20  # octets of arguments of all callers
_SIGN = 20.0  # seconds after which who waits is told that we are alive
_KNOWN = 1000  # callers whose entries of the password file are kept
_KNOWN_FOR = 60.0  # seconds for which these, and groups, are taken as they were
_COUNTED = 2.0  # seconds for which it is known how many messages of a uid are in the queue
_SERVING_END = 30.0  # seconds that callers have to finish when the daemon is being stopped
_ARRIVING = 2.0  # seconds that one of them may be silent before he has asked for anything


class Hall:
    """What the accept process knows.

    `store` is the queue at `path`; `notify` is called when something was committed. `own` is the daemon's own uid.
    `agent`: it is one user's daemon.
    """

    def __init__(
        self,
        file: "File",
        store: "Store",
        path: str,
        notify: "Callable[[], None]",
        agent: bool = False,
        started: float = 0.0,
    ) -> None:
        self.loop = Loop()
        self.file = file
        self.path = path
        self.store = store
        self.own = os.geteuid()
        self.doorway = Doorway(self)
        self.clients: set[Client | Peer] = set()
        self.active = self.loop.now  # when there was last something to do
        self._notify = notify
        self._committer = Committer(store, notify)
        self._committer.start()
        self._callers: dict[int, Caller] = {}
        self._forget_at = self.loop.now + _KNOWN_FOR
        self._aliasing = Aliasing(agent, self.note)
        self._log = _log_of(file)
        self._stopping = 0.0
        self._waiting = Waiting(self)
        self.places = Places(self._begin, lambda uid: uid in (0, self.own))
        self.followers = Followers()
        self.register = Register(started)
        self._counts: dict[int, list[float]] = {}
        self._policy = Policy(file.daemon.callers, self.own, self._queued_of)
        for text in self._policy.notes():
            self.note(text)

    # Coming and going

    def converse(self, client: Client, options: "Options") -> None:
        """Put one who speaks SMTP in a caller's place."""
        from pysendmail.daemon.listener import Peer

        self.clients.discard(client)
        self.clients.add(Peer(self, client.line, client.uid, options, strict=False))

    def left(self, client: "Client | Peer") -> None:
        """Note that a caller's connection has ended."""
        self.clients.discard(client)
        self._waiting.left(client)
        self.doorway.left(client.uid)

    # Rules for what comes in

    def check_open(self) -> None:
        """Raise TempFail if no message is taken any more on a connection that may bring one after the other."""
        if self._stopping:
            raise errors.TempFail("the daemon is being stopped; try later")

    def check_requests(self) -> None:
        """Raise TempFail if callers make us keep too much of what is not complete."""
        if sum([client.held for client in self.clients]) > _REQUESTS:
            raise errors.TempFail("too much is coming in at once; try later")

    def check_room(self, size: int) -> None:
        """Raise TempFail unless the disk of the queue has so many octets left."""
        try:
            status = os.statvfs(os.path.dirname(self.path))
        except OSError as error:
            raise errors.TempFail(f"cannot be used: {error.strerror}", os.path.dirname(self.path)) from None
        if status.f_bavail * status.f_frsize < size:
            failure = errors.TempFail("there is no room for a message of this size on the disk of the queue; try later")
            failure.status = "4.3.1"
            raise failure

    def coming_of(self, uid: int) -> int:
        """Return how many octets of messages are coming in from one uid; they lie on the disk already."""
        return sum([client.coming for client in self.clients if client.uid == uid])

    def room(self) -> "dict[str, Any]":
        """Return how much of a message is kept in memory, and where the rest of it goes."""
        share = _MEMORY // max(1, len(self.clients))
        return {"memory": max(8192, min(_MOST_OF_ONE, share)), "folders": (os.path.dirname(self.path),)}

    def aliases(self, account: "Account") -> "Aliases | None":
        """Return the aliases that hold for an account; the system's daemon has some of its own. Raises ConfigError."""
        return self._aliasing.of(account)

    def caller(self, uid: int) -> Caller:
        """Return who a uid is; the password file is not asked for each message."""
        known = self._callers.get(uid)
        if known is None:
            if len(self._callers) >= _KNOWN:
                self._callers.clear()
            known = self._callers[uid] = Caller.of_nobody() if uid == NO_UID else Caller.of(uid)
        return known

    def check_caller(self, uid: int) -> None:
        """Raise NoPermission if a uid may send nothing."""
        self._policy.rule_of(self.caller(uid))

    # Messages

    def largest_of(self, uid: int) -> int:
        """Return how many octets a message of a user may have. Raises NoPermission if he may send none."""
        rule = self._policy.rule_of(self.caller(uid))
        return rule.size if rule is not None and rule.size is not None else sys.maxsize

    def submit(self, client: "Client | Peer", message: "Message", envelope: "Envelope | None" = None) -> str:
        """Have a message committed, all of its parts or none, and answer its caller when that is done; return its id.

        `envelope` is that of an SMTP session. Raises the Failure that is the answer.
        """
        options = client.options
        assert options is not None
        now = time()
        qid = ids.next(now)
        caller = self.caller(client.uid)
        parts = self._policy.compose(
            options, caller, self.file, message,
            now=now, clock=self.loop.now, qid=qid, envelope=envelope, aliases=self.aliases,
        )  # fmt: skip
        handover = Handover(parts, options, client.uid, now, self.file, self.aliases)
        if handover.awaited and options.verbose:
            self._waiting.dialogues.begin(client, handover.qids)
        loop = self.loop

        def done(failure: errors.Failure | None) -> None:
            try:
                message.body.close()
                handover.tell(failure)
            finally:
                loop.post(lambda: self._committed(client, handover, failure))

        client.job = Job(handover.entries, done)
        self._committer.take(client.job)
        return qid

    def _committed(self, client: "Client | Peer", handover: Handover, failure: errors.Failure | None) -> None:
        if failure is not None:
            failure.logged = True
            self._waiting.dialogues.end(client)
            client.refuse(failure)
            return
        client.job = None
        if handover.awaited:
            self._waiting.begin(client, handover.qids)
        elif client.fd >= 0:
            client.answer(0)

    def recover(self) -> None:
        """Take care of what a process before us has left half done."""
        self._waiting.recover()

    def hear(self) -> None:
        """Look what became of the messages for whose answers somebody waits."""
        self._waiting.look()

    def _queued_of(self, uid: int) -> int:
        """Return how many messages of a uid are in the queue, as of a moment ago and with all that came since."""
        counted = self._counts.get(uid)
        if counted is None or self.loop.now > counted[0] + _COUNTED:
            counted = self._counts[uid] = [self.loop.now, self.store.waiting_of(uid)]
        counted[1] += 1
        return int(counted[1]) - 1

    # Requests

    def serve(self, client: Client) -> None:
        """Have a request that is no message answered in a thread."""
        self.places.take(client)

    def _begin(self, client: Client) -> None:
        try:
            start_new_thread(self._serve, (client,))
        except RuntimeError:
            text = f"{client.program}: the system has no thread to spare; try later\n"
            self.loop.post(lambda: self._served(client, errors.TempFail.exit_code, text))

    def _serve(self, client: Client) -> None:
        from pysendmail.daemon import requests

        code = requests.answer(self, client, Channel(client.line))
        self.loop.post(lambda: self._served(client, code))

    def _served(self, client: Client, code: int, text: str = "") -> None:
        client.served(code, text)
        self.places.vacate(client.uid)

    def notify(self) -> None:
        """Tell the deliver process that there is something to do."""
        self._notify()

    # Time

    def tick(self) -> None:
        """Do what has to be done once in a while."""
        now = self.loop.now
        for client in list(self.clients):
            if client.state in (ASKING, SENDING, ANSWERED):
                if now - client.last > client.patience:
                    client.expire()
            elif client.state == WAITING and now - client.spoken > _SIGN:
                client.reassure()
        if self.clients:
            self.active = now
        self.doorway.resume()
        if len(self._counts) > _KNOWN:
            self._counts.clear()
        if now >= self._forget_at:
            self._forget_at = now + _KNOWN_FOR
            self._callers.clear()
            self._policy.forget_users()
        self._waiting.tick()

    def check_committer(self) -> None:
        """Raise SoftwareError if nothing can be committed any more: then another process has to do it."""
        if self._committer.failure is not None:
            raise self._committer.failure

    @property
    def idle(self) -> float:
        """Seconds for which there has been nothing to do."""
        return 0.0 if self.clients else self.loop.now - self.active

    def stop(self) -> None:
        """Take nobody else; who is here may finish."""
        if not self._stopping:
            self._stopping = self.loop.now + _SERVING_END
            self.doorway.close()

    @property
    def awaiting(self) -> int:
        """How many callers wait for the answers of a smarthost."""
        return len(self._waiting)

    @property
    def committed(self) -> tuple[int, int]:
        """How many submissions were committed, and their octets."""
        return self._committer.messages, self._committer.octets

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return bool(self._stopping)

    @property
    def closing_for(self) -> float:
        """Seconds since `stop` was called."""
        return self.loop.now - (self._stopping - _SERVING_END) if self._stopping else 0.0

    @property
    def ended(self) -> bool:
        """Whether all is done after `stop`; who has just come in has something to ask."""
        if not self._stopping:
            return False
        now = self.loop.now
        return now >= self._stopping or not any(one.state != ASKING or now < one.last + _ARRIVING for one in self.clients)

    def close(self) -> None:
        """Commit what is complete, answer whom that concerns, and end."""
        self._committer.stop()
        self.loop.attend()
        self._waiting.end()
        for client in list(self.clients):
            if client.state == SERVED:
                continue  # its thread ends with the process
            client.refuse(errors.TempFail("the daemon is being stopped; nothing was sent, try later"))
            client.close()

    def note(self, text: str) -> None:
        """Write a line of the log that is about no message."""
        self._log.write("pickup", text, time(), warning=True)


def _log_of(file: "File") -> Log:
    """Return the log for what concerns no account: that of the default one."""
    try:
        account, _ = accounts.choose(file)
    except errors.ConfigError:
        return Log()
    return Log(account.syslog, account.logfile)
