"""The manual of the queue and of its commands says what the code does: states, settings, messages, options, formats."""

import argparse
import re

import pytest

from pysendmail.command.admin import queue
from pysendmail.config import accounts, reader, values
from pysendmail.config.words import WORDS
from pysendmail.queue.states import DONE, MEANING, STATES, TRANSITIONS
from tests.command.test_mailq import parse
from tests.imports import PACKAGE
from tests.test_manual import section

PAGE = "pysendmail-queue.5"
SETTINGS = {
    "queue", "delivery", "retry", "expire", "warn", "keepfailed", "uncertain", "connections", "keep_connections", "rate", "postmaster",
}  # fmt: skip


def column_list(heading: str) -> list[list[str]]:
    """Give the cells of the list in columns with that heading, without the heading."""
    lines = "\n".join(section(PAGE, "DESCRIPTION")).partition(heading)[2].partition("\n.El")[0].strip().splitlines()
    rows = [line.removeprefix(".It ").split(" Ta ") for line in lines]
    return [[cell.removeprefix("Cm ").replace("Fl od", "-od").strip() for cell in row] for row in rows]


def test_the_states_and_their_meanings_are_those_of_the_code() -> None:
    assert column_list(".It Sy State Ta Sy Meaning") == [[state, MEANING[state]] for state in STATES]


def test_the_ways_between_states_are_exactly_those_of_the_code() -> None:
    assert column_list(".It Sy From Ta Sy To Ta Sy By") == [list(row) for row in TRANSITIONS]


def test_each_setting_of_the_queue_has_the_default_of_the_code() -> None:
    rows = column_list(".It Sy Word Ta Sy Default Ta Sy What")
    assert {word for word, *_ in rows} == SETTINGS
    for word, default, _ in rows:
        _, convert, built_in = WORDS[word]
        assert callable(convert)
        assert (None if default == "none" else convert(default)) == built_in, word


def test_what_the_settings_may_be_is_taken() -> None:
    told = {word: what for word, _, what in column_list(".It Sy Word Ta Sy Default Ta Sy What")}
    modes = re.findall(r"interactive|background|queue", told["delivery"])
    assert [values.delivery(mode) for mode in modes] == ["i", "b", "q"]
    choices = re.findall(r"retry|hold", told["uncertain"])
    assert [values.uncertain(choice) for choice in choices] == ["retry", "hold"]
    assert values.rate(told["rate"].rpartition(" ")[2]) == (30, 60.0)


SOURCES = re.sub(r'"\n\s+f?"', "", "".join([path.read_text() for path in sorted((PACKAGE / "queue").glob("*.py"))]))
DIAGNOSTICS = [line.removeprefix(".It ") for line in section(PAGE, "DIAGNOSTICS") if line.startswith(".It ")]


@pytest.mark.parametrize("text", DIAGNOSTICS)
def test_each_message_of_the_manual_is_one_of_the_code(text: str) -> None:
    assert text.startswith("...: ")
    for part in text.removeprefix("...: ").split(" ..."):
        assert part.strip(" ,") in SOURCES, part


def test_the_example_of_a_configuration_has_a_queue() -> None:
    text = "\n".join(section(PAGE, "EXAMPLES")).partition(".Bd -literal -offset indent\n")[2].partition("\n.Ed")[0]
    account, _ = accounts.choose(reader.parse(text.encode(), "example", home="/home/alice"))
    assert account.queue == "/home/alice/.local/state/pysendmail/queue.db"
    assert account.notes == []


def commands() -> dict[str, argparse.ArgumentParser]:
    """Give the parser of each command of the queue."""
    parser = argparse.ArgumentParser(prog="pysendmail")
    queue.add_parser(parser.add_subparsers(dest="top"))
    return inner(inner(parser)["queue"])


def inner(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Give the subparsers of a parser."""
    (found,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found.choices)


def documented(pattern: str) -> set[str]:
    text = "\n".join(section("pysendmail.1", "DESCRIPTION")).partition(".Ss The queue\n")[2].partition("\n.Ss ")[0]
    return set(re.findall(pattern, text, flags=re.M))


def test_the_manual_has_every_command_of_the_queue() -> None:
    assert documented(r"^\.It Cm queue ([a-z]+) ?") == set(commands())


def test_the_manual_has_every_option_of_the_commands_of_the_queue() -> None:
    known = {option for parser in commands().values() for option in parser._option_string_actions}
    told = {"-" + name for name in documented(r"^\.It Fl (\S+)")}
    assert told == known - {"--help", "-h", "--config", "--account"}


def test_conditions_are_offered_where_the_manual_has_them() -> None:
    narrowing = {"--from", "--to", "--older", "--state"}
    for name, parser in commands().items():
        options = set(parser._option_string_actions)
        assert (narrowing <= options) is (name not in ("show", "why", "check")), name
        assert ("--all" in options) is (name in ("hold", "release", "retry", "remove")), name


def test_the_states_to_choose_from_are_those_that_are_listed() -> None:
    (choices,) = {tuple(a.choices or ()) for p in commands().values() for a in p._actions if "--state" in a.option_strings}
    assert choices == tuple(state for state in STATES if state not in DONE)


def test_the_list_in_the_manual_of_mailq_is_one() -> None:
    text = "\n".join(section("mailq.1", "DESCRIPTION")).partition(".Bd -literal\n")[2].partition(".Ed")[0]
    one, two = parse(text)
    assert (one["mark"], two["sender"]) == ("*", "MAILER-DAEMON")
    assert two["recipients"] == {"connect to smtp.example.org: Connection timed out": ["carl@example.net"]}
