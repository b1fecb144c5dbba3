"""pysendmail metrics: the figures of the daemon and its queue for monitoring, as OpenMetrics or in Prometheus' own format.

The two differ in what a counter's family is called, in the type of facts, and in the end. node_exporter's textfile
collector reads the older one, so that is what a file gets.
"""

from time import time

from pysendmail import errors
from pysendmail.command.admin import status, textfile, wording
from pysendmail.command.admin.arguments import add_place
from pysendmail.command.output import Gone, Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from typing import Any

    from pysendmail.command.admin.picture import Live, Picture
    from pysendmail.command.admin.queue_task import OpenQueue

    Labels = dict[str, str]
    Sample = tuple[Labels, float]

PREFIX = "pysendmail_"
_ENDS = ("sent", "deferred", "failed", "uncertain", "held")


class Family:
    """Figures of one name: `kind` is gauge, counter or info; `unit` ends the name; `samples` are labels and values."""

    __slots__ = ("kind", "meaning", "name", "samples", "unit")

    def __init__(self, name: str, kind: str, meaning: str, samples: "list[Sample]", unit: str = "") -> None:
        self.name = f"{PREFIX}{name}_{unit}" if unit else PREFIX + name
        self.kind = kind
        self.meaning = meaning
        self.samples = samples
        self.unit = unit


def add_parser(commands: "Any") -> None:
    """Add `metrics` to the subcommands of an argument parser."""
    text = "print figures for monitoring"
    parser = commands.add_parser("metrics", help=text, description=f"{text.capitalize()}.", allow_abbrev=False)
    add_place(parser)
    parser.add_argument("--prometheus", action="store_true", help="in the older format, which Prometheus has too")
    parser.add_argument("--write", metavar="FILE", help="into FILE, in the older format, for node_exporter")


def run(asked: "Namespace", open_queue: "OpenQueue", live: "Live | None" = None, now: float | None = None) -> int:
    """Print the figures, or write them into the file that was asked for, and return the exit code. Raises Failure."""
    text = gather(asked, open_queue, live, time() if now is None else now)
    if asked.write is not None:
        textfile.write(asked.write, text.encode())
        return 0
    output = Output()
    try:
        output.write(text)
        output.flush()
    except Gone:
        pass
    return 0


def gather(asked: "Namespace", open_queue: "OpenQueue", live: "Live | None", now: float) -> str:
    """Return the text. Raises NoPermission for whom the figures of all do not concern."""

    def open_whole(config: str | None, account: str | None) -> "Any":
        store, uid = open_queue(config, account)
        if uid is not None:
            if store is not None:
                store.close()
            raise errors.NoPermission("only root and the owner of the queue see the figures of all")
        return store, uid

    seen, failure = status.look(asked, open_whole, live, now)
    if failure is not None:
        raise failure
    older = asked.prometheus or asked.write is not None
    return "".join(render(families(seen), older))


def render(found: "list[Family]", older: bool) -> "Iterator[str]":
    """Yield the lines for these families, in Prometheus' format 0.0.4 if `older`, else as OpenMetrics 1.0."""
    for family in found:
        ending = {"counter": "_total", "info": "_info"}.get(family.kind, "")
        name = family.name + ending if older else family.name
        kind = "gauge" if older and family.kind == "info" else family.kind
        yield f"# TYPE {name} {kind}\n"
        if family.unit and not older:
            yield f"# UNIT {name} {family.unit}\n"
        yield f"# HELP {name} {family.meaning}\n"
        for labels, value in family.samples:
            inner = ",".join([f'{key}="{_escaped(text)}"' for key, text in labels.items()])
            yield f"{family.name}{ending}{'{' + inner + '}' if inner else ''} {_value(value)}\n"
    if not older:
        yield "# EOF\n"


def families(seen: "Picture") -> "list[Family]":
    """Return the figures of a picture."""
    found = [
        Family("build", "info", "The release of pysendmail.", [({"version": seen["version"]}, 1)]),
        Family("up", "gauge", "Whether a daemon answers.", [({}, float(seen["daemon"] is not None))]),
    ]
    if seen["daemon"] is not None:
        found += _of_daemon(seen)
    found += _of_queue(seen["queue"])
    found += _of_lanes(seen["lanes"])
    return found


def _of_daemon(seen: "Picture") -> "list[Family]":
    callers, submissions, connections = seen["callers"], seen["submissions"], seen["connections"]
    outcomes: list[Sample] = [({"outcome": name}, submissions[name]) for name in ("accepted", "refused")]
    found = [
        Family("well", "gauge", "Whether all processes of the daemon are there.", [({}, float(seen["daemon"]["well"]))]),
        Family("start_timestamp", "gauge", "When the daemon was started.", [({}, seen["daemon"]["since"])], "seconds"),
        Family("callers", "gauge", "Callers connected.", [({}, callers["callers"])]),
        Family("callers_waiting", "gauge", "Callers who wait for a smarthost's answer.", [({}, callers["waiting"])]),
        Family("callers_following", "gauge", "Callers who follow the log.", [({}, callers["followers"])]),
        Family("callers_turned_away", "counter", "Callers for whom there was no room.", [({}, submissions["turned_away"])]),
        Family("submissions", "counter", "Messages handed in, by what was answered.", outcomes),
        Family("submitted", "counter", "Octets of accepted messages.", [({}, submissions["octets"])], "bytes"),
    ]
    idle = connections["idle"]
    samples: list[Sample] = [({"state": "idle"}, idle), ({"state": "busy"}, max(0, connections["standing"] - idle))]
    found.append(Family("connections", "gauge", "Connections to smarthosts.", samples))
    deliveries = seen["deliveries"]
    if deliveries is not None:
        samples = [({"outcome": name}, deliveries[name]) for name in _ENDS]
        found += [
            Family("recipients", "counter", "Recipients after an attempt, by its outcome.", samples),
            Family("attempts", "counter", "Attempts on messages.", [({}, deliveries["messages"])]),
            Family("attempted", "counter", "Octets of messages in attempts.", [({}, deliveries["octets"])], "bytes"),
            Family("reports", "counter", "Reports sent to senders.", [({}, deliveries["reports"])]),
        ]
    return found


def _of_queue(queue: "Picture") -> "list[Family]":
    states: list[Sample] = [({"state": state}, number) for state, number in queue["recipients"].items()]
    found = [
        Family("queue_messages", "gauge", "Messages in the queue.", [({}, queue["messages"])]),
        Family("queue", "gauge", "Octets of messages in the queue.", [({}, queue["octets"])], "bytes"),
        Family("queue_recipients", "gauge", "Recipients of messages in the queue, by state.", states),
    ]
    if queue["oldest"] is not None:
        meaning = "When the oldest message in the queue came."
        found.append(Family("queue_oldest_timestamp", "gauge", meaning, [({}, queue["oldest"])], "seconds"))
    return found


def _of_lanes(lanes: "list[Picture]") -> "list[Family]":
    def samples(of: str) -> "list[Sample]":
        return [({name: wording.shown(lane[name]) for name in ("account", "config")}, lane[of]) for lane in lanes]

    if not lanes:
        return []
    return [
        Family("lane_open", "gauge", "Whether an account's smarthost is tried now.", samples("open")),
        Family("lane_waiting", "gauge", "Recipients that wait for an account's smarthost.", samples("waiting")),
    ]


def _value(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
