"""What there is to complete, read from the tables that the commands themselves go by: options.TABLE and the parsers."""

import argparse

from pysendmail import options
from pysendmail.command import daemon
from pysendmail.command.admin import main as admin

_FILES = ("FILE", "file")


class Option:
    """An option of a command: its names, what its value is (`file`, `word` or nothing) and which values there are."""

    __slots__ = ("choices", "names", "text", "value")

    def __init__(self, names: list[str], value: str, choices: list[str], text: str) -> None:
        self.names = names
        self.value = value
        self.choices = choices
        self.text = text


class Command:
    """A command or a subcommand. `path` are the words that lead to it, `words` those that may follow, with a text each."""

    __slots__ = ("files", "options", "path", "text", "words")

    def __init__(self, path: str, text: str = "") -> None:
        self.path = path
        self.text = text
        self.options: list[Option] = []
        self.words: dict[str, str] = {}
        self.files = False


def sendmail() -> list[Command]:
    """Return the sendmail command with those options that do something."""
    command = Command("", "hand a message over")
    for name, (kind, _, argument, text) in options.TABLE.items():
        shown = name.decode()
        if shown == "-b":
            command.options += [Option([f"-b{m.decode()}"], "", [], f"mode: {word}") for m, word in options.MODES.items()]
        elif text and kind == options.REQUIRED:
            command.options.append(Option([shown], "file" if argument in _FILES else "word", [], text))
        elif text:
            command.options.append(Option([shown], "", [], text))
    return [command]


def pysendmail() -> list[Command]:
    """Return pysendmail and its subcommands."""
    return _walk(admin._parser(), "", "")


def pysendmaild() -> list[Command]:
    """Return the daemon's program."""
    return _walk(daemon._parser(), "", "")


def _walk(parser: argparse.ArgumentParser, path: str, text: str) -> list[Command]:
    command = Command(path, text)
    found = [command]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            command.words = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, below in action.choices.items():
                found += _walk(below, f"{path} {name}".strip(), command.words.get(name, ""))
        elif action.option_strings:
            command.options.append(_option(action))
        elif action.metavar in _FILES:
            command.files = True
    return found


def _option(action: argparse.Action) -> Option:
    value = "" if action.nargs == 0 else "file" if action.metavar in _FILES else "word"
    choices = [str(choice) for choice in action.choices or ()]
    return Option(list(action.option_strings), value, choices, (action.help or "").replace("%%", "%"))
