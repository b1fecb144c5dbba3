"""Messages for whose answers somebody waits: what became of each recipient, and the end of the waiting.

Such a message is committed as any other one, with a flag. While that is set, the first attempt makes no report on those
who are refused; the exit code of each is kept instead. Whoever waits looks when he hears that there is news, once after
the commit, and once more when his time is over. In the end he settles it: in one commit the flag goes, and those who
failed are either reported to the sender, or taken out because the caller has the answer by his exit code. A flag that a
crash left is taken away by `recover`, so that nobody fails without a word.
"""

from pysendmail import errors
from pysendmail.queue import states
from pysendmail.queue.values import Result
from pysendmail.queue.verdict import Verdict, failure_report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.queue.settings import Settings
    from pysendmail.queue.sights import Outlook
    from pysendmail.queue.store import Store
    from pysendmail.queue.values import Item, Notice, Recipient

_ATTEMPTS = 10  # looks at a message that goes on changing
_ORDER = (67, 68, 65, 69)  # the most telling of several permanent codes comes first


class Told:
    """What one recipient can be told: `state` is states.SENT, states.FAILED, or that in which he waits (REMOVED: by hand).

    `code` is the exit code for him alone; `reply`, `relay` and `dsn` are those of the last answer.
    """

    __slots__ = ("address", "code", "dsn", "relay", "reply", "state")

    def __init__(self, address: bytes, state: str, code: int, reply: str, relay: str, dsn: str) -> None:
        self.address = address
        self.state = state
        self.code = code
        self.reply = reply
        self.relay = relay
        self.dsn = dsn


class Pending:
    """There is no answer yet: an attempt is on, or is about to begin."""

    __slots__ = ()


class Answer:
    """What became of each recipient in the first attempt.

    `awaited` is false when the flag is gone already: then those who failed have been reported to the sender.
    """

    __slots__ = ("awaited", "recipients")

    def __init__(self, recipients: list[Told], awaited: bool) -> None:
        self.recipients = recipients
        self.awaited = awaited

    @property
    def sent(self) -> list[Told]:
        """Those whom the smarthost has accepted."""
        return [one for one in self.recipients if one.state == states.SENT]

    @property
    def failed(self) -> list[Told]:
        """Those who will not be tried again, because they were refused, given up or removed by hand."""
        return [one for one in self.recipients if one.state in (states.FAILED, states.REMOVED)]

    @property
    def waiting(self) -> list[Told]:
        """Those who stay in the queue."""
        return [one for one in self.recipients if one.state not in (states.SENT, states.FAILED, states.REMOVED)]

    @property
    def code(self) -> int:
        """The exit code for the whole: 0 if all were sent, if anybody waits, or if the failures are reported already."""
        if self.waiting or not self.failed or not self.awaited:
            return 0
        codes = {one.code or errors.Unavailable.exit_code for one in self.failed}
        if errors.TempFail.exit_code in codes:
            return errors.TempFail.exit_code
        return next((code for code in _ORDER if code in codes), min(codes))


def look(store: "Store", qid: str, now: float) -> "Pending | Answer":
    """Return what is known of a message; one that is gone has arrived, unless somebody removed it by hand."""
    item = store.get(qid)
    if item is None:
        return _gone(store, qid)
    untried = [one for one in item.recipients if one.state in (states.QUEUED, states.ACTIVE) and not one.attempts]
    if untried:
        lane = _closed(store, item, now)
        if lane is None or any([one.state == states.ACTIVE for one in untried]):
            return Pending()
    return Answer([_told(one) for one in item.recipients], item.message.awaited)


def _closed(store: "Store", item: "Item", now: float) -> "Outlook | None":
    """Return the lane of a message if it is closed."""
    key = (item.message.account, item.message.config)
    return next((lane for lane in store.outlook(now) if (lane.account, lane.config) == key and lane.until), None)


def _told(one: "Recipient") -> Told:
    code = one.code if one.state == states.FAILED else 0
    return Told(one.address, one.state, code, one.reply, one.relay, one.dsn)


def _gone(store: "Store", qid: str) -> Answer:
    """Return the answer for a message that has left the queue, from what is noted of its journey."""
    last = {leg.recipient: leg for leg in store.journey(qid=qid, limit=1 << 31)}
    told = []
    for leg in last.values():
        if leg.state == states.SENT:
            told.append(Told(leg.recipient, states.SENT, 0, leg.reply, leg.relay, leg.dsn))
        else:
            text = "the message was removed from the queue by hand"
            told.append(Told(leg.recipient, states.REMOVED, errors.TempFail.exit_code, text, "", "4.3.0"))
    return Answer(told, awaited=True)


def settle(
    store: "Store", qid: str, settings: "Callable[[str, str], Settings]", now: float, *, told: bool = False
) -> bool:
    """End the waiting for a message's answers; tell whether somebody was told of its failures as was meant.

    `told`: the caller gets the answer by his exit code, so that those who failed leave the queue without a report; if
    by now somebody waits in it nevertheless, nothing is done and False is returned. Otherwise they are reported to the
    sender; `settings` gives those of an account and a configuration. Raises a Failure if the queue or the report is in
    trouble: then the flag is still there.
    """
    for _ in range(_ATTEMPTS):
        item = store.get(qid)
        if item is None or not item.message.awaited:
            return True
        failed = [one for one in item.recipients if one.state == states.FAILED]
        if told and len(failed) < len([one for one in item.recipients if one.state not in states.DONE]):
            return False
        numbers = [one.number for one in failed]
        notices = [] if told or not failed else _reports(store, item, failed, settings, now)
        if store.settle(qid, numbers, notices, drop=told):
            return True
    raise errors.TempFail("the message changes all the time")


def _reports(
    store: "Store",
    item: "Item",
    failed: "list[Recipient]",
    settings: "Callable[[str, str], Settings]",
    now: float,
) -> "list[Notice]":
    from pysendmail.queue.bounce import notices

    message = item.message
    verdicts = []
    for one in failed:
        result = Result(message.id, one.number, states.FAILED, tried=one.last_tried, dsn=one.dsn, relay=one.relay)
        verdicts.append(Verdict(one, result, failure_report(message, one), one.reply, False))
    return notices(message, verdicts, lambda: store.open(message), settings(message.account, message.config), now)


def recover(
    store: "Store", settings: "Callable[[str, str], Settings]", now: float, *, older: float | None = None
) -> list[tuple[str, errors.Failure]]:
    """Settle all messages for whose answers nobody can wait any more, with reports; return what could not be, and why.

    With `older` only those that came more than so many seconds ago: longer than anybody waits.
    """
    left = []
    for qid in store.awaited():
        try:
            item = store.get(qid)
            if item is None or (older is not None and 0 <= now - item.message.created <= older):
                continue
            settle(store, qid, settings, now)
        except errors.Failure as failure:
            left.append((qid, failure))
    return left
