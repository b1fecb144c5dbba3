"""The way of a message that has arrived, by its Received fields: the delays between its hops, and what looks wrong.

Only the fields on top, which one's own servers wrote, can be believed; whoever sends a message can put any others below
them. What is told of them are signs, not proofs.
"""

from pysendmail.message import date
from pysendmail.message.hop import Hop, Party, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from pysendmail.message.header import Field

MOST = 1000
"""The hops that are looked at; servers end a loop after a hundred."""

_PRIVATE = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10",
    "::1/128", "fc00::/7", "fe80::/10", "2002:a00::/24",  # the last one is 10.0.0.0/8 as Google writes it
)  # fmt: skip
_networks: "list[IPv4Network | IPv6Network]" = []  # made of those when they are first asked for
_HOUR = 3600.0
_AHEAD = 300.0  # seconds that a clock may be ahead of ours before it is told


class Stop:
    """A hop with its delay since the one before it (None if unknown), and its signs: pairs of a kind and a text."""

    __slots__ = ("delay", "hop", "signs")

    def __init__(self, hop: Hop) -> None:
        self.hop = hop
        self.delay: float | None = None
        self.signs: list[tuple[str, str]] = []


class Journey:
    """The stops, the oldest first; `total` is from the first date to the last one, `written` what the Date field says.

    `left_out` is how many older fields there are: no honest message has so many.
    """

    __slots__ = ("left_out", "stops", "total", "written")

    def __init__(self, stops: list[Stop], left_out: int, written: date.Moment | None) -> None:
        self.stops = stops
        self.left_out = left_out
        self.written = written
        times = [stop.hop.when.seconds for stop in stops if stop.hop.when is not None]
        self.total = times[-1] - times[0] if len(times) > 1 else None


def follow(fields: "list[Field]", now: float) -> Journey:
    """Follow the way of a message by its header; `now` is by this machine's clock."""
    received = [field for field in fields if field.name == b"received"]
    stops = [Stop(read(field.value)) for field in reversed(received[:MOST])]
    written = next((date.read(field.value) for field in fields if field.name == b"date"), None)
    before: Hop | None = None
    last: date.Moment | None = None
    for stop in stops:
        _judge_form(stop)
        _judge_time(stop, last, now)
        _judge_parties(stop, before)
        before, last = stop.hop, stop.hop.when or last
    return Journey(stops, max(len(received) - MOST, 0), written)


def _judge_form(stop: Stop) -> None:
    hop = stop.hop
    if not hop.by and not hop.origin and not hop.comment.startswith("qmail "):
        stop.signs.append(("form", "it says neither where the message came from nor who took it"))
    elif not hop.by and not hop.comment.startswith("qmail "):
        stop.signs.append(("form", "it does not say who took the message"))
    if hop.when is None:
        stop.signs.append(("date", "its date cannot be read" if hop.dated else "it has no date"))
    elif hop.when.zone is None:
        stop.signs.append(("zone", "its date has no time zone that is known; UTC is assumed"))


def _judge_time(stop: Stop, last: date.Moment | None, now: float) -> None:
    when = stop.hop.when
    if when is None:
        return
    if when.seconds > now + _AHEAD:
        stop.signs.append(("clock", f"its date is {span(when.seconds - now)} in the future by this machine's clock"))
    if last is None:
        return
    stop.delay = when.seconds - last.seconds
    if stop.delay < -_HOUR:
        text = f"it is dated {span(-stop.delay)} before the hop that it follows"
        stop.signs.append(("order", f"{text}: a clock is wrong, or the older fields are forged"))
    elif stop.delay < 0:
        text = f"its clock is {span(-stop.delay)} or more behind that of the hop before it"
        stop.signs.append(("clock", text))


def _judge_parties(stop: Stop, before: Hop | None) -> None:
    hop = stop.hop
    origin, by = hop.origin, hop.by
    known = [name for name in origin.names if "." in name]
    if is_private(origin.address) and known and _organisations(by) and not _organisations(origin) & _organisations(by):
        text = f"{known[0]} is said to have the private address {origin.address}, yet {by.name} is of another organisation"
        stop.signs.append(("private", text))
    if origin.name and origin.reverse and len(known) == 2 and len(_organisations(origin)) > 1:
        text = f"who called himself {origin.name} had an address of {origin.reverse}"
        stop.signs.append(("name", text))
    if before is None or not before.by or not origin:
        return
    if _places(before.by) and _places(origin) and not _are_related(before.by, origin):
        text = f"it came from {shown(origin)}, but the hop before it was to {shown(before.by)}"
        stop.signs.append(("mismatch", text))


def _are_related(one: Party, other: Party) -> bool:
    """Tell whether two ends may be the same machine, or machines of one organisation."""
    if one.address and one.address == other.address:
        return True
    return bool(set(one.names) & set(other.names) or _organisations(one) & _organisations(other))


def _places(party: Party) -> list[str]:
    """List what the rest of the world may know a party by."""
    names = [name for name in party.names if "." in name and not name.endswith((".local", ".localdomain", ".internal"))]
    return names + ([party.address] if party.address and not is_private(party.address) else [])


def _organisations(party: Party) -> set[str]:
    """Return the domains that organisations register, as far as names show them."""
    found = set()
    for name in party.names:
        labels = name.split(".")
        if len(labels) > 1:
            short = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
            found.add(".".join(labels[-3 if short else -2 :]))
    return found


def is_private(address: str) -> bool:
    """Tell whether an address is one that only a local network knows."""
    if not address:
        return False
    from ipaddress import ip_address, ip_network

    if not _networks:
        _networks.extend([ip_network(network) for network in _PRIVATE])
    found = ip_address(address)
    return any([found in network for network in _networks])


def shown(party: Party) -> str:
    """Return the name of a party, else its address."""
    return party.name or (f"[{party.address}]" if party.address else "")


def span(seconds: float) -> str:
    """Return a length of time in its two largest units: `3s`, `2m05s`, `1h30m`, `4d02h`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"
