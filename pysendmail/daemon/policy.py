"""What a caller may do: which section of the configuration is his, and what it says of a message.

A section of the login or the uid counts before one of a group, and that before `*`; of several the first in the file.
Root and the daemon's own user are bound by a section of their login or uid only. Whoever is in no section may do all,
but a peer of the listener, who has no uid, only where there is no section at all.
"""

from pysendmail import errors
from pysendmail.command.compose import compose_all
from pysendmail.command.identity import NO_UID
from pysendmail.config.callers import EVERYBODY, GROUP, LISTENER, USER
from pysendmail.daemon.directory import Directory
from pysendmail.daemon.rates import Rates
from pysendmail.daemon.senders import Senders
from pysendmail.log import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.command.compose import Composed
    from pysendmail.command.envelope import Envelope
    from pysendmail.command.identity import Caller
    from pysendmail.command.intake import Message
    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases
    from pysendmail.config.callers import Rule
    from pysendmail.config.reader import File
    from pysendmail.options import Options


class Policy:
    """The sections of a configuration, and what their callers have used of their rates.

    `own` is the uid of the daemon; `waiting` returns how many messages of a uid are in the queue.
    """

    __slots__ = ("_directory", "_own", "_rates", "_rules", "_waiting")

    def __init__(
        self, rules: "list[Rule]", own: int, waiting: "Callable[[int], int]", directory: Directory | None = None
    ) -> None:
        self._rules = rules
        self._own = own
        self._waiting = waiting
        self._rates = Rates()
        self._directory = directory or Directory()

    def forget_users(self) -> None:
        """Ask the system anew for users and groups."""
        self._directory.forget()

    def rule_of(self, caller: "Caller") -> "Rule | None":
        """Return the section that holds for a caller, None if none does. Raises NoPermission for whoever may do nothing."""
        rule = self._find(caller)
        if rule is None and caller.uid == NO_UID and self._rules:
            raise _refusal("who connects to the listener may not send, because no caller section is for listener")
        if rule is not None and rule.deny:
            raise _refusal(f"{_name(caller)} may not send ({_section(rule)})")
        return rule

    def compose(
        self,
        options: "Options",
        caller: "Caller",
        file: "File",
        message: "Message",
        *,
        now: float,
        clock: float,
        qid: str,
        envelope: "Envelope | None" = None,
        received: bool = True,
        aliases: "Callable[[Account], Aliases | None] | None" = None,
    ) -> "list[Composed]":
        """Compose the parts of a message as the caller's section permits it; `clock` never goes back.

        Raises as compose does; NoPermission for what the caller may not do, TempFail for what he may do later.
        """
        rule = self.rule_of(caller)
        if rule is not None:
            check_size(rule, sum([len(field.raw) for field in message.fields]) + message.body.size)
            self._check_pace(rule, caller, clock)
        parts = compose_all(
            options, caller, file, message, now=now, qid=qid, envelope=envelope, received=received, aliases=aliases,
            forced=None if rule is None else rule.use_account,
        )  # fmt: skip
        if rule is not None:
            written = any(field.name == b"from" and field.value for field in message.fields)
            for composed in parts:
                check_senders(rule, caller, composed, written)
            if rule.rate is not None:
                self._rates.use(caller.uid, rule.rate, clock)
        return parts

    def notes(self) -> list[str]:
        """Return a note for each section of a user or group that this machine does not have; it binds nobody."""
        ask = {USER: self._directory.uid_of, GROUP: self._directory.gid_of}
        return [
            f"{rule.place}: caller: there is no such {rule.kind} here, and the section is for nobody"
            for rule in self._rules
            if rule.kind in ask and rule.number is None and ask[rule.kind](rule.name) is None
        ]

    def _find(self, caller: "Caller") -> "Rule | None":
        if caller.uid == NO_UID:
            return next((rule for rule in self._rules if rule.kind == LISTENER), None)
        for rule in self._rules:
            if rule.kind == USER and self._is_user(rule, caller):
                return rule
        if caller.uid in (0, self._own):
            return None
        for rule in self._rules:
            if rule.kind == GROUP and self._is_member(rule, caller):
                return rule
        return next((rule for rule in self._rules if rule.kind == EVERYBODY), None)

    def _is_user(self, rule: "Rule", caller: "Caller") -> bool:
        if rule.number is not None:
            return rule.number == caller.uid
        return rule.name == caller.login or self._directory.uid_of(rule.name) == caller.uid

    def _is_member(self, rule: "Rule", caller: "Caller") -> bool:
        gid = rule.number if rule.number is not None else self._directory.gid_of(rule.name)
        return gid is not None and gid in self._directory.gids_of(caller.uid)

    def _check_pace(self, rule: "Rule", caller: "Caller", clock: float) -> None:
        if rule.messages is not None and self._waiting(caller.uid) >= rule.messages:
            text = f"{_name(caller)} has {rule.messages} messages in the queue, which is all that {_section(rule)} allows"
            raise errors.TempFail(f"{text}; try later")
        if rule.rate is not None and (wait := self._rates.wait(caller.uid, rule.rate, clock)):
            count, period = rule.rate
            text = f"{_section(rule)} allows {_name(caller)} {count} messages in {period:.0f} s"
            raise errors.TempFail(f"{text}; try in {int(wait) + 1} s")


def check_size(rule: "Rule", size: int) -> None:
    """Raise DataError for a message of so many octets if it is larger than the section allows."""
    if rule.size is not None and size > rule.size:
        error = errors.DataError(f"the message is larger than {rule.size} octets, which is all that {_section(rule)} allows")
        error.status = "5.3.4"
        raise error


def check_senders(rule: "Rule", caller: "Caller", composed: "Composed", written: bool) -> None:
    """Let the message leave from an address that the section allows. Raises NoPermission if it may not be brought there.

    `written` tells that the message came with a From field.
    """
    senders = Senders(rule, None if caller.uid == NO_UID else caller.login)
    offence = senders.offence(composed)
    if offence is None or senders.align(composed, written):
        return
    where, address = offence
    text = f"{_name(caller)} may not send as {printable(address, 320)} ({where})"
    raise _refusal(f"{text}; {_section(rule)} allows {senders}")


def _refusal(text: str) -> errors.NoPermission:
    error = errors.NoPermission(text)
    error.status = "5.7.1"
    error.temporary = False
    return error


def _name(caller: "Caller") -> str:
    """Name a caller in a text for himself."""
    return "who connects to the listener" if caller.uid == NO_UID else f"user {printable(caller.login, 64)}"


def _section(rule: "Rule") -> str:
    """Name a section."""
    return f"caller {printable(rule.shown.encode('latin-1'), 64)} at {rule.place}"
