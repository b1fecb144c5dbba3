"""Deliver one message over one route, and say what became of each recipient."""

from time import monotonic

from pysendmail import errors
from pysendmail.delivery.session import Route, Session
from pysendmail.message.render import render
from pysendmail.smtp.outcome import Mail, Outcome, from_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.message.body import Body
    from pysendmail.message.header import Field
    from pysendmail.smtp.client import Client

_SLOWEST = 8192  # octets a second; what a slower connection has not done by then is given up
_PER_RECIPIENT = 1  # seconds, where each command waits for its answer
_ROUNDS = 4  # times of `timeout` that connecting, greeting, TLS and AUTH may take together
_FEWEST = 100  # recipients that every server takes in one transaction (RFC 5321 section 4.5.3.1.8)


class Parcel:
    """What is to be delivered: a prepared header, a body, the envelope, and the DSN parameters of RFC 3461."""

    __slots__ = ("body", "envid", "fields", "notify", "recipients", "ret", "reverse_path")

    def __init__(
        self,
        fields: "list[Field]",
        body: "Body",
        reverse_path: bytes,
        recipients: list[bytes],
        notify: bytes | None = None,
        ret: bytes | None = None,
        envid: bytes | None = None,
    ) -> None:
        self.fields = fields
        self.body = body
        self.reverse_path = reverse_path
        self.recipients = recipients
        self.notify = notify
        self.ret = ret
        self.envid = envid


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


def deliver(parcel: Parcel, route: Route) -> Report:
    """Deliver `parcel` in as many transactions as the server needs. Raises nothing that a recipient's outcome can say."""
    report = Report()
    started = monotonic()
    session = Session(route, started + _ROUNDS * route.account.timeout)
    outcomes: dict[bytes, Outcome] = {}
    try:
        client = session.open()
        report.setup_time = monotonic() - started
        mail = _mail(parcel, client)
        report.size = mail.size
        _send_all(session, parcel, mail, outcomes)
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


def _mail(parcel: Parcel, client: "Client") -> Mail:
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
    )


def _send_all(session: Session, parcel: Parcel, mail: Mail, outcomes: dict[bytes, Outcome]) -> None:
    """Run transactions until each recipient has his outcome; a new connection is made only where the last one got on."""
    account = session.route.account
    most, waiting = account.max_recipients, parcel.recipients
    setup = _ROUNDS * account.timeout
    sending = 2 * account.timeout + mail.size / _SLOWEST + _PER_RECIPIENT * min(most, len(waiting))
    rounds = 1 + len(waiting) // min(most, _FEWEST)
    end = monotonic() + rounds * (setup + sending + session.route.patience.end_of_data)
    while waiting:
        if monotonic() >= end:
            raise errors.TempFail("the server took too long over other recipients", session.relay)
        now, waiting = waiting[:most], waiting[most:]
        session.deadline = min(end, monotonic() + sending)
        transaction = session.send(mail, now)
        usable = session.usable  # which listens once more, and may hear something that changes an outcome
        outcomes.update(transaction.outcomes)
        left = transaction.left_over
        if left and left == now[-len(left) :]:  # from one recipient on nobody was taken: so many fit into a transaction
            most = len(now) - len(left)
        waiting = left + waiting
        if waiting and not usable:
            if not transaction.spent:
                raise errors.TempFail("the connection ended before this recipient's turn", session.relay)
            session.close()
            session.deadline = min(end, monotonic() + setup)
            mail = _mail(parcel, session.open())  # another address may be another server, which takes another form
