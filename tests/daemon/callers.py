"""A daemon's policy without a daemon: users, groups, a queue's count and a clock are given."""

from pysendmail.command.compose import Composed
from pysendmail.command.envelope import Envelope
from pysendmail.command.identity import Caller
from pysendmail.config import reader
from pysendmail.daemon.directory import Directory
from pysendmail.daemon.policy import Policy
from pysendmail.options import parse
from tests.command.submissions import NOW, QID, message, user

OWN = 990  # the daemon's own uid
ACCOUNT = "host smtp.example\nfrom %s@example.org\nmaildomain example.org\n"


class Machine(Directory):
    """A machine whose users and groups are those of a test; every question is noted."""

    users = {b"alice": 1001, b"bob": 1002, b"toor": 0, b"twin": 1001}
    groups = {b"staff": 50, b"web": 33, b"domain users": 600}
    members = {1001: {1001, 50}, 1002: {1002, 50, 33}, 0: {0, 50}, OWN: {OWN, 50}}

    def __init__(self) -> None:
        self.asked: list[object] = []

    def uid_of(self, login: bytes) -> int | None:
        self.asked.append(login)
        return self.users.get(login)

    def gid_of(self, group: bytes) -> int | None:
        self.asked.append(group)
        return self.groups.get(group)

    def gids_of(self, uid: int) -> set[int]:
        self.asked.append(uid)
        return self.members.get(uid, set())


ALICE, BOB, CAROL = user(1001, b"alice"), user(1002, b"bob"), user(1003, b"carol")
ROOT, DAEMON = user(0, b"root"), user(OWN, b"pysendmail")
PEER = Caller.of_nobody()


class Door:
    """Where callers hand in their messages; `waiting` is how many of anybody's are in the queue."""

    def __init__(self, sections: str, config: str = ACCOUNT % "account") -> None:
        self.file = reader.parse((sections + "defaults\naccount default\n" + config).encode(), "conf")
        self.waiting = 0
        self.clock = 1000.0
        self.machine = Machine()
        self.policy = Policy(self.file.daemon.callers, OWN, lambda uid: self.waiting, self.machine)

    def take(self, text: bytes, *arguments: str, caller: Caller = ALICE, envelope: Envelope | None = None) -> Composed:
        options = parse([argument.encode() for argument in arguments], b"sendmail")
        (found,) = self.policy.compose(
            options, caller, self.file, message(text), now=NOW, clock=self.clock, qid=QID, envelope=envelope, received=False
        )
        return found
