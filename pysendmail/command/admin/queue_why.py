"""pysendmail queue why: one plain sentence a recipient: what happened, when the next attempt comes, what to do."""

from pysendmail.command.admin import queue_object, wording
from pysendmail.queue import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pysendmail.command.admin.outlook import Outlook
    from pysendmail.command.admin.queue_task import Task
    from pysendmail.queue.values import Item, Message, Recipient

_CHECK = "`pysendmail check` tries it"
_NOTHING = "nothing has to be done"
# What to do while it is still tried, and when it is not any more, by the kind of trouble (message/dsn_advice.py).
_MEANWHILE = {
    "login": f"correct user and password in the configuration; {_CHECK}",
    "config": f"correct the configuration; {_CHECK}",
    "security": "`pysendmail check` shows which test of the connection fails",
    "network": f"see that this machine has a connection and that the server is the right one; {_CHECK}",
    "disk": "make room on the disk",
    "full": "the recipient has to make room in the mailbox",
}
_AFTERWARDS = {
    "address": "there is no such address, so send the message anew to the right one",
    "domain": "there is no such domain, so send the message anew to the right address",
    "size": "the message is too large for the server, so send a smaller one",
    "sender": "the server does not take this sender; see the word `from` of the configuration",
    "content": "the server does not take this text, so send another one",
}


def run(task: "Task") -> int:
    """Say it for each message that was asked for."""
    outlook = task.outlook()
    explain = objects if task.asked.json else lines
    return task.each(lambda item: explain(item, outlook), "")


def lines(item: "Item", outlook: "Outlook") -> "Iterator[str]":
    """Yield the sentence of each recipient."""
    for recipient in item.recipients:
        yield f"{item.message.qid}: {wording.address(recipient.address)} {sentence(item.message, recipient, outlook)}\n"


def objects(item: "Item", outlook: "Outlook") -> "Iterator[str]":
    """Yield the sentence of each recipient as a line of JSON."""
    for recipient in item.recipients:
        yield queue_object.line(
            {
                "id": item.message.qid,
                "address": queue_object.text(recipient.address),
                "state": recipient.state,
                "next": outlook.next(item.message, recipient),
                "why": sentence(item.message, recipient, outlook),
            }
        )


def sentence(message: "Message", recipient: "Recipient", outlook: "Outlook") -> str:
    """Return what is to be said of a recipient behind his address."""
    tell = _TELL.get(recipient.state, _tell_waiting)
    return tell(message, recipient, outlook) + "."


def _tell_waiting(message: "Message", recipient: "Recipient", outlook: "Outlook") -> str:
    following = outlook.next(message, recipient)
    lane = outlook.closed(message)
    told = [_so_far(recipient, outlook)]
    reply, status = recipient.reply, recipient.dsn
    if lane is not None:
        reply, status = lane.reply, lane.dsn
        told.append(f"all mail of this account is put off: {wording.shown(reply)}")
    if following is None or following <= outlook.now:
        told.append("the next attempt is due now, and `sendmail -q` makes it at once")
    else:
        told.append(f"the next attempt comes in {wording.duration(following - outlook.now)} ({wording.moment(following)})")
    told.append(_meanwhile(message, recipient, reply, status))
    return "; ".join(told)


def _so_far(recipient: "Recipient", outlook: "Outlook") -> str:
    """Say what the attempts up to now brought."""
    if not recipient.attempts:
        return "was not tried yet"
    tried = f"{wording.number(recipient.attempts, 'attempt')}, the last one {wording.ago(recipient.last_tried, outlook.now)}"
    if recipient.state == states.UNCERTAIN:
        tried += ", when the connection was lost after the message's end"
        return f"may have got it already ({tried}){_answer(recipient)}"
    return f"has not got it yet ({tried}){_answer(recipient)}"


def _answer(recipient: "Recipient") -> str:
    """Return what was said last, to go behind something: by the server if it was he, else what happened instead."""
    if not recipient.reply:
        return ""
    from pysendmail.message.dsn_advice import is_answer

    reply = wording.shown(recipient.reply)
    known = recipient.relay not in ("", "none") and is_answer(recipient.reply)
    return f"; {wording.shown(recipient.relay)} said: {reply}" if known else f": {reply}"


def _meanwhile(message: "Message", recipient: "Recipient", reply: str, status: str) -> str:
    if recipient.state == states.UNCERTAIN:
        return f"ask whether it arrived, and if it did, `pysendmail queue remove {message.qid}`"
    return _MEANWHILE.get(_trouble(recipient, reply, status), _NOTHING)


def _tell_active(message: "Message", recipient: "Recipient", outlook: "Outlook") -> str:
    before = f", after {wording.number(recipient.attempts, 'attempt')}" if recipient.attempts else ""
    return f"is being tried right now{before}{_answer(recipient)}; {_NOTHING}"


def _tell_held(message: "Message", recipient: "Recipient", outlook: "Outlook") -> str:
    before = f"after {wording.number(recipient.attempts, 'attempt')}" if recipient.attempts else "before the first attempt"
    doubt = " (the last of which may have arrived)" if recipient.origin == states.UNCERTAIN else ""
    release = f"`pysendmail queue release {message.qid}` ends that"
    return f"is held {before}{doubt}{_answer(recipient)}; no attempt follows; {release}"


def _tell_failed(message: "Message", recipient: "Recipient", outlook: "Outlook") -> str:
    tried = wording.number(recipient.attempts, "attempt")
    advice = _AFTERWARDS.get(_trouble(recipient, recipient.reply, recipient.dsn), "the cause has to be mended")
    again = f"`pysendmail queue retry {message.qid}` begins anew"
    when = wording.ago(recipient.done, outlook.now)
    return f"failed for good {when}, after {tried}{_answer(recipient)}; no attempt follows; {advice}; {again}"


def _tell_sent(message: "Message", recipient: "Recipient", outlook: "Outlook") -> str:
    return f"was served {wording.ago(recipient.done, outlook.now)}{_answer(recipient)}; {_NOTHING}"


def _tell_removed(message: "Message", recipient: "Recipient", outlook: "Outlook") -> str:
    return f"was taken out of the queue {wording.ago(recipient.done, outlook.now)}; no attempt follows"


_TELL: "dict[str, Callable[[Message, Recipient, Outlook], str]]" = {
    states.ACTIVE: _tell_active,
    states.HELD: _tell_held,
    states.FAILED: _tell_failed,
    states.SENT: _tell_sent,
    states.REMOVED: _tell_removed,
}


def _trouble(recipient: "Recipient", reply: str, status: str) -> str:
    """Name the kind of trouble behind a reply."""
    if not reply and not status:
        return ""
    from pysendmail.message import dsn, dsn_advice

    return dsn_advice.trouble(dsn.Recipient(recipient.address, status, reply, recipient.relay))
