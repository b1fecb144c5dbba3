"""What a queue in memory tells of the past and of the present: journeys, and the figures of processes."""

from pysendmail.queue.sights import LEG_AGE, LEGS, Gauge, Leg
from pysendmail.queue.states import RESULTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.queue.values import Message, Recipient, Result

_LIMIT = 1024


class Past:
    """Legs in the order of their ids, and figures; whoever calls holds the lock of the store."""

    __slots__ = ("_gauges", "_last", "_legs")

    def __init__(self) -> None:
        self._legs: list[Leg] = []
        self._last = 0
        self._gauges: dict[str, list[Gauge]] = {}

    def note(self, message: "Message", one: "Recipient", result: "Result") -> None:
        """Add the leg of one result."""
        self._last += 1
        leg = Leg(
            self._last, message.qid, message.uid, message.created, message.sender, result.tried, one.address,
            result.state, result.relay, result.tls, result.dsn, result.reply[:_LIMIT], *result.times,
        )  # fmt: skip
        self._legs.append(leg)

    def journey(
        self, qid: str | None, uid: int | None, after: int, limit: int, among: tuple[str, ...], newest: bool
    ) -> list[Leg]:
        """See Store.journey."""
        found = [leg for leg in self._legs if leg.id > after and qid in (None, leg.qid) and uid in (None, leg.uid)]
        found = [leg for leg in found if leg.state in among]
        return found[max(len(found) - limit, 0) :] if newest else found[:limit]

    def travelled(self, limit: int, uid: int | None) -> list[str]:
        """See Store.travelled."""
        return list(dict.fromkeys([leg.qid for leg in reversed(self._legs) if uid in (None, leg.uid)]))[:limit]

    def tally(self, since: float, until: float, uid: int | None) -> dict[str, int]:
        """See Store.tally."""
        found = dict.fromkeys(RESULTS, 0)
        for leg in self._legs:
            if since < leg.at <= until and uid in (None, leg.uid):
                found[leg.state] += 1
        return found

    def trim(self, now: float) -> None:
        """Forget the oldest legs: those beyond LEGS, and those older than LEG_AGE."""
        newest = self._legs[-LEGS:]
        self._legs = [leg for leg in newest if leg is newest[-1] or leg.at >= now - LEG_AGE]

    def publish(self, process: str, values: dict[str, str], now: float) -> None:
        """See Store.publish."""
        self._gauges[process] = [Gauge(process, name, value, now) for name, value in sorted(values.items())]

    def gauges(self) -> list[Gauge]:
        """See Store.gauges."""
        return [gauge for _, gauges in sorted(self._gauges.items()) for gauge in gauges]
