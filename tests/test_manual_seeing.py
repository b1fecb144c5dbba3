"""The manual of the commands that show what happens says what they do: options, and the names in their JSON."""

import argparse
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from pysendmail.command.admin import journey, journey_object, journey_story
from pysendmail.command.admin.outlook import Outlook
from tests.command.test_journey import leg
from tests.test_manual import section

PARTS = {"log": ("The log", journey.add_parser)}


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
