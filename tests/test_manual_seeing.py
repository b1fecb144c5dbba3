"""The manual of the commands that show what happens says what they do: options, and the names in their JSON."""

import argparse
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from pysendmail.command.admin import (
    check,
    configuring,
    findings,
    importing,
    journey,
    journey_object,
    journey_story,
    metrics,
    picture,
    status,
    trace,
)
from pysendmail.command.admin.outlook import Outlook
from pysendmail.message.header import make
from pysendmail.message.journey import follow
from tests.command.queued import NOW, Queue
from tests.command.test_journey import leg
from tests.command.test_status import live, queue
from tests.imports import ROOT
from tests.test_manual import section

PARTS = {
    "import": ("Import", importing.add_parser),
    "log": ("The log", journey.add_parser),
    "status": ("The status", status.add_parser),
    "metrics": ("Monitoring", metrics.add_parser),
    "trace": ("The way of a message", trace.add_parser),
}

__all__ = ["queue"]


def part(heading: str) -> str:
    """Give the text below one heading of the description."""
    text = "\n".join(section("pysendmail.1", "DESCRIPTION")).partition(f".Ss {heading}\n")[2]
    return text.partition("\n.Ss ")[0]


def names(text: str) -> set[str]:
    """Give the words in a text that are marked as names."""
    marked = re.findall(r"^\.(?:Pq with )?Cm ([a-z_ ,.]+)$", text.replace(" No and Cm ", " , "), flags=re.M)
    return set(re.findall(r"[a-z_]+", " ".join(marked)))


@pytest.mark.parametrize("command", PARTS)
def test_the_manual_has_exactly_the_options_of_the_command(command: str) -> None:
    heading, add_parser = PARTS[command]
    told = {"-" + name for name in re.findall(r"^\.It Fl (\S+)", part(heading), flags=re.M)}
    assert told == options(command, add_parser) - {"-h", "--help", "--config", "--account"}
    text = "\n".join(section("pysendmail.1", "SYNOPSIS"))
    assert f"\n.Cm {command}\n" in f"\n{text}\n"


def options(command: str, add_parser: "Callable[[Any], None]") -> set[str]:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_parser(commands)
    return set(commands.choices[command]._option_string_actions)


def test_the_names_in_the_json_of_the_log_are_those_of_the_manual() -> None:
    text = part("The log").partition(".It Fl -json\n")[2].partition(".It Fl a")[0]
    of_leg, _, of_story = text.partition("With ids")
    assert names(of_leg) == set(journey_object.leg(leg()))
    story = json.loads(journey_story.line(None, [leg()], Outlook([], 0.0)))
    assert names(of_story) == set(story) | set(story["recipients"][0])


def test_the_names_in_the_json_of_the_status_are_those_of_the_manual(queue: Queue) -> None:
    text = part("The status").partition(".It Fl -json\n")[2].partition("Times are")[0]
    seen = status.as_object(picture.draw(queue.store, None, NOW, live()))
    known = set(seen)
    for value in [each for name, each in seen.items() if name != "rates"]:
        for inner in value if isinstance(value, list) else [value]:
            known |= set(inner) if isinstance(inner, dict) else set()
    assert names(text) == known | {"minute", "hour"}


def test_every_figure_is_in_the_manual_with_its_labels_and_its_meaning(queue: Queue) -> None:
    told = re.findall(r"^\.It Cm (pysendmail_\S+)(?: Pq (.*))?\n(.*)$", part("Monitoring"), flags=re.M)
    known = []
    for family in metrics.families(picture.draw(queue.store, None, NOW, live())):
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.kind, "")
        known.append((name, ", ".join(family.samples[0][0]), family.meaning))
    assert told == known


def test_the_names_in_the_json_of_a_trace_are_those_of_the_manual() -> None:
    found = follow([make(b"Received", b"x"), make(b"Received", b"from a by b")], 0.0)
    story: dict[str, Any] = trace._object(found)
    (hop, _) = story["hops"]
    told = names(part("The way of a message").partition(".It Fl -json\n")[2])
    assert told == {*story, *hop, *hop["from"], *hop["signs"][0]}


def test_the_manual_has_each_sign_of_a_trace() -> None:
    source = (ROOT / "pysendmail" / "message" / "journey.py").read_text()
    told = set(re.findall(r"^\.It Cm ([a-z]+)$", part("The way of a message"), flags=re.M))
    assert told == set(re.findall(r'signs\.append\(\("([a-z]+)"', source))


def test_the_manual_has_the_options_and_the_json_of_check() -> None:
    text = "\n".join(section("pysendmail.1", "DESCRIPTION")).partition(".Cm check\n")[2].partition("\n.It Cm explain")[0]
    told = {"-" + name for name in re.findall(r"^\.It Fl (\S+)", text, flags=re.M)}
    assert told == options("check", check.add_parser) - {"-h", "--help", "--config", "--account", "--verbose"} | {"-a", "-C"}
    found = findings.Findings(True)
    found.add("step", "text")
    story: dict[str, Any] = found._object("file", "account", {"failed": 0, "warning": 0})
    assert names(text.partition(".It Fl -json\n")[2]) == {*story, *story["findings"][0]}


def test_the_manual_has_the_options_and_the_json_of_configure() -> None:
    text = part("Configuring")
    told = {"-" + name for name in re.findall(r"^\.It Fl (\S+)", text, flags=re.M)}
    wanted = options("configure", configuring.add_parser) - {"-h", "--help", "--verbose", "--yes"}
    assert told == wanted
    source = (ROOT / "pysendmail" / "command" / "admin" / "configuring.py").read_text()
    known = set(re.findall(r'^ +"([a-z]+)": ', source.partition("def _object(")[2], flags=re.M))
    known |= set(re.findall(r'"([a-z]+)": ', source.partition("self.facts: ")[2].partition("\n")[0]))
    of_message = set(re.findall(r'"([a-z]+)": ', source.partition('self.facts["message"] = ')[2].partition("\n")[0]))
    assert len(known) == 15 and names(text.partition(".It Fl -json\n")[2].partition(".It Fl")[0]) == known | of_message
