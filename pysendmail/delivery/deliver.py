"""Deliver one message over one route, and say what became of each recipient."""

from time import monotonic

from pysendmail import errors
from pysendmail.delivery.session import Route, Session
from pysendmail.log import delays_text, printable
from pysendmail.message.render import render
from pysendmail.smtp.outcome import DEFERRED, FAILED, SENT, UNCERTAIN, Mail, Outcome, from_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pysendmail.config.accounts import Account
    from pysendmail.delivery.parcel import Parcel
    from pysendmail.smtp.client import Client
    from pysendmail.smtp.transaction import Transaction

_SLOWEST = 8192  # octets a second; what a slower connection has not done by then is given up
_PER_RECIPIENT = 1  # seconds, where each command waits for its answer
ROUNDS = 4  # times of `timeout` that connecting, greeting, TLS and AUTH may take together
_FEWEST = 100  # recipients that every server takes in one transaction (RFC 5321 section 4.5.3.1.8)
_AT_ONCE = (16384, 10)  # octets and recipients that the system surely takes for an idle connection without a wait
# Postfix knows four words for what became of a recipient; for an uncertain one the text says the rest.
_WORDS = {SENT: "sent", DEFERRED: "deferred", FAILED: "bounced", UNCERTAIN: "deferred"}


class Report:
    """The outcome of each recipient, in the order of the envelope, with where and how long (seconds)."""

    __slots__ = ("outcomes", "relay", "setup_time", "size", "tls", "transfer_time")

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.relay = "none"
        self.tls = ""
        self.size = 0
        self.setup_time = 0.0
        self.transfer_time = 0.0


def deliver(parcel: "Parcel", route: Route) -> Report:
    """Deliver `parcel` in as many transactions as the server needs. Raises nothing that a recipient's outcome can say."""
    report = Report()
    started = monotonic()
    session = Session(route, started + ROUNDS * route.account.timeout)
    outcomes: dict[bytes, Outcome] = {}
    try:
        client = session.open()
        report.setup_time = monotonic() - started
        mail = make_mail(parcel, client)
        report.size = mail.size
        send_all(session, parcel, mail, lambda transaction: outcomes.update(transaction.outcomes), session.open)
    except errors.Failure as failure:
        report.setup_time = report.setup_time or monotonic() - started
        for recipient in parcel.recipients:
            outcomes.setdefault(recipient, from_failure(recipient, failure, "connection"))
    finally:
        report.relay, report.tls = session.relay, session.tls_facts
        report.transfer_time = monotonic() - started - report.setup_time
        session.close()
    report.outcomes = [outcomes[recipient] for recipient in parcel.recipients]
    masked = {text: route.masker.mask(text) for text in {outcome.text for outcome in report.outcomes}}
    for outcome in report.outcomes:
        outcome.text = masked[outcome.text]
    return report


def make_mail(parcel: "Parcel", client: "Client") -> Mail:
    """Give the message the form that the server can take."""
    offered = client.extensions
    form = render(
        parcel.fields,
        parcel.body,
        [parcel.reverse_path, *parcel.recipients],
        eight_bit_ok=b"8BITMIME" in offered,
        utf8_ok=b"SMTPUTF8" in offered,
    )
    return Mail(
        parcel.reverse_path,
        parcel.recipients,
        form.size,
        form.chunks,
        eight_bit=form.eight_bit,
        utf8=form.utf8,
        notify=parcel.notify,
        ret=parcel.ret,
        envid=parcel.envid,
        each=parcel.each,
    )


def send_all(
    session: Session,
    parcel: "Parcel",
    mail: Mail,
    settle: "Callable[[Transaction], None]",
    reopen: "Callable[[], Client]",
    served: bool = False,
    begun: "Transaction | None" = None,
) -> None:
    """Run transactions until each recipient has his outcome; raises the failure that leaves recipients without one.

    `settle` is told each transaction before the next one begins. A first one in which the server put everybody off is
    not settled, but made again at the account's next server if that can be used. `reopen` opens the session again. A new
    connection is made only where the last one got on, or where it had `served` before and the server ended it without a
    look at this transaction. `begun` is the first transaction if it is on its way (begin).
    """
    account = session.route.account
    most, waiting = account.max_recipients, parcel.recipients
    setup = ROUNDS * account.timeout
    sending = _time_for(account, mail, min(most, len(waiting)))
    settled = False
    rounds = 1 + len(waiting) // min(most, _FEWEST)
    end = monotonic() + rounds * (setup + sending + session.route.patience.end_of_data)
    while waiting:
        if monotonic() >= end:
            raise errors.TempFail("the server took too long over other recipients", session.relay)
        now, waiting = waiting[:most], waiting[most:]
        if begun is None:
            session.deadline = min(end, monotonic() + sending)
            begun = session.begin(mail, now)
        session.finish()
        transaction, begun = begun, None
        usable = session.usable  # which listens once more, and may hear something that changes an outcome
        again = served and transaction.unseen
        if not (again or settled) and transaction.put_off and (other := _next_server(session, parcel, end)) is not None:
            mail, waiting, served = other, now + waiting, False
            continue
        left = now
        if not again:
            settle(transaction)
            settled = True
            left, served = transaction.left_over, True
            if left and left == now[-len(left) :]:  # from one recipient on nobody was taken: so many fit into a transaction
                most = len(now) - len(left)
        waiting = left + waiting
        if waiting and not usable:
            if not (again or transaction.spent):
                raise errors.TempFail("the connection ended before this recipient's turn", session.relay)
            session.close()
            session.deadline = min(end, monotonic() + setup)
            mail = make_mail(parcel, reopen())  # another address may be another server, which takes another form
            served = False


def begin(session: Session, mail: Mail) -> "Transaction | None":
    """Begin to send a small message over an idle connection, if all of it can leave without a wait for anything."""
    client, account = session.client, session.route.account
    octets, recipients = _AT_ONCE
    if client is None or mail.size > octets or len(mail.recipients) > min(account.max_recipients, recipients):
        return None
    if not (b"PIPELINING" in client.extensions and b"CHUNKING" in client.extensions):
        return None
    session.deadline = monotonic() + _time_for(account, mail, len(mail.recipients))
    return session.begin(mail, mail.recipients)


def _time_for(account: "Account", mail: Mail, recipients: int) -> float:
    """Return how many seconds one transaction may take, but for the answer to the message."""
    return 2 * account.timeout + mail.size / _SLOWEST + _PER_RECIPIENT * recipients


def _next_server(session: Session, parcel: "Parcel", end: float) -> Mail | None:
    """Go over to the next server; return the message as that one takes it, None where no other can be used."""
    before = session.deadline
    session.deadline = min(end, monotonic() + ROUNDS * session.route.account.timeout)
    try:
        if session.open_next() and session.client is not None:
            return make_mail(parcel, session.client)
    except errors.Interrupted:
        raise
    except errors.Failure:
        pass  # it would not do for the other one; what this one said remains the outcome
    session.deadline = before
    return None


def envelope_line(qid: str, reverse_path: bytes, size: int, recipients: int) -> str:
    """Return the line of the log, under `qmgr`, that opens a delivery."""
    return f"{qid}: from=<{printable(reverse_path, 320)}>, size={size}, nrcpt={recipients} (queue active)"


def outcome_lines(
    qid: str, outcomes: "Iterable[Outcome]", relay: str, delays: "tuple[float, float, float, float]"
) -> "list[tuple[str, bool]]":
    """Return the line of each recipient, under `smtp`, with whether it is a warning; `delays` as in log.delays_text."""
    times = delays_text(delays)
    shown: dict[bytes, str] = {}
    lines = []
    for outcome in outcomes:
        text = shown.get(outcome.text)
        if text is None:
            text = shown[outcome.text] = printable(outcome.text)
        to = printable(outcome.recipient, 320)
        line = f"{qid}: to=<{to}>, relay={relay}, {times}, dsn={outcome.dsn}, status={_WORDS[outcome.state]} ({text})"
        lines.append((line, outcome.state != SENT))
    return lines
