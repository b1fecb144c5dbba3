"""Giving up what waits for too long behind a smarthost that cannot be reached.

No attempt is made for these messages, so none of them would ever come to its end by itself. Those who are told nothing
here: senders of a delay, since that report would have to take the same way, and could not arrive before the message; and
nobody hears of a message with the null sender, which therefore goes on waiting: a report on something that is over is
the last trace of it.
"""

from pysendmail import errors
from pysendmail.queue import states
from pysendmail.queue.ledger import Unrecorded
from pysendmail.queue.settle import Settlement, settle
from pysendmail.queue.values import HORIZON, Select
from pysendmail.queue.verdict import Circumstances
from pysendmail.smtp.outcome import from_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.queue.lane import Lane
    from pysendmail.queue.round import Round

_AT_ONCE = 50  # messages


def give_up(round_: "Round", lane: "Lane", failure: errors.Failure, now: float) -> None:
    """End the waiting of messages in a closed lane whose time is over; `failure` is why it is closed."""
    schedule = lane.settings.lane
    if lane.failures < schedule.enough:
        return
    old = Select(
        account=lane.account,
        config=lane.config,
        created_before=now - schedule.expire,
        states=states.WAITING,
        excluded=[Select(sender=b"")],
    )
    try:
        qids = [item.message.qid for item in round_.store.listing(old)]
    except errors.Failure as trouble:
        round_.fail(trouble)
        return
    for start in range(0, len(qids), _AT_ONCE):
        some = Select(qids=qids[start : start + _AT_ONCE], account=lane.account, config=lane.config)
        items = round_.claim(_AT_ONCE, some, HORIZON, due_only=False)
        at = Circumstances(now, round_.chance(), attempts=lane.failures)
        try:
            for item in items:
                outcomes = [(one, from_failure(one.address, failure, "connection")) for one in item.recipients]
                settle(round_, lane, [Settlement(round_, lane, item.message, outcomes, at)])
        except Unrecorded as unrecorded:
            round_.fail(unrecorded.failure)
            return
