"""The shells complete what the tables of the commands have: every option, every subcommand, and nothing else."""

import argparse
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

from pysendmail import options
from pysendmail.command.admin.main import _parser
from tests.conftest import Installed, skip

pytestmark = pytest.mark.once

SHELLS = {
    "bash": "share/bash-completion/completions/{}",
    "zsh": "share/zsh/site-functions/{}",
    "fish": "share/fish/vendor_completions.d/{}.fish",
}


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Give the parser of each subcommand by the words that lead to it."""
    found = {"": _parser()}
    for path in ("", "queue"):
        for action in found[path]._actions:
            if isinstance(action, argparse._SubParsersAction):
                found |= {f"{path} {name}".strip(): below for name, below in action.choices.items()}
    return found


PARSERS = parsers()


def offered(path: str) -> set[str]:
    """Give the options and the subcommands that stand in the table."""
    words: set[str] = set()
    for action in PARSERS[path]._actions:
        words |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            words |= set(action.choices)
    return words


def file(installed: Installed, shell: str, program: str) -> pathlib.Path:
    if shutil.which(shell) is None:
        skip(f"{shell} is not installed")
    name = {"pysendmail": "_pysendmail"}.get(program, f"_pysendmail_{program}") if shell == "zsh" else program
    return installed.prefix / SHELLS[shell].format(name)


def run(shell: str, script: str) -> list[str]:
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.stderr == ""
    return done.stdout.splitlines()


def bash(installed: Installed, line: str) -> set[str]:
    """Give what bash offers for the last word of a line."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    program = words[0]
    script = f"""
        compopt() {{ :; }}
        . {shlex.quote(str(file(installed, "bash", program)))}
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
        _pysendmail_{program} && printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return set(run("bash", script)) - {""}


def fish(installed: Installed, line: str) -> set[str]:
    """Give what fish offers for the last word of a line."""
    path = file(installed, "fish", line.split()[0])
    found = run("fish", f"set -g HOME /nonexistent; source {shlex.quote(str(path))}; complete -C {shlex.quote(line)}")
    return {one.split("\t")[0] for one in found}


def zsh(installed: Installed, line: str) -> list[str]:
    """Give the arguments with which the completion for the last word of a line calls zsh's _arguments."""
    words = shlex.split(line) + [""]
    path = file(installed, "zsh", words[0])
    script = f"""
        _arguments() {{ print -rl -- "$@" }}
        words=({shlex.join(words)}) CURRENT={len(words)}
        . {shlex.quote(str(path))}
    """
    return run("zsh", script)


@pytest.mark.parametrize("path", PARSERS)
def test_bash_offers_what_the_parser_takes(installed: Installed, path: str) -> None:
    line = f"pysendmail {path}".strip()
    assert bash(installed, f"{line} ") == offered(path)
    assert bash(installed, f"{line} --j") == {word for word in offered(path) if word.startswith("--j")}


@pytest.mark.parametrize("path", PARSERS)
def test_fish_offers_what_the_parser_takes(installed: Installed, path: str) -> None:
    line = f"pysendmail {path}".strip()
    found = fish(installed, f"{line} -") | fish(installed, f"{line} --")
    assert found == {word for word in offered(path) if word.startswith("-")}
    words = {word for word in offered(path) if not word.startswith("-")}
    if words:
        assert fish(installed, f"{line} ") == words


@pytest.mark.parametrize("path", PARSERS)
def test_zsh_offers_what_the_parser_takes(installed: Installed, path: str) -> None:
    specs = zsh(installed, f"pysendmail {path}")
    found = {match[0] for spec in specs if (match := re.match(r"-[^\[]+", spec))}
    for spec in specs:
        if spec.startswith("*:command:(("):
            found |= set(re.findall(r"(?<![\\\w])(\w+)\\:", spec))
    assert found == offered(path)


@pytest.mark.parametrize("shell", SHELLS)
def test_sendmail_s_options_are_those_that_do_something(installed: Installed, shell: str) -> None:
    wanted = {name.decode() for name, row in options.TABLE.items() if row[3] and name != b"-b"}
    wanted |= {f"-b{mode.decode()}" for mode in options.MODES}
    if shell == "bash":
        found = bash(installed, "sendmail -")
    elif shell == "fish":
        found = fish(installed, "sendmail -") | fish(installed, "sendmail --")
        found |= fish(installed, "sendmail -b")
        found = {one for one in found if one != "-b"}
    else:
        found = {match[0] for spec in zsh(installed, "sendmail") if (match := re.match(r"-[^\[]+", spec))}
    assert found == wanted


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_value_out_of_a_few_is_offered(installed: Installed, shell: str) -> None:
    complete = {"bash": bash, "fish": fish}[shell]
    assert complete(installed, "pysendmail queue list --state h") == {"held"}


@pytest.mark.parametrize("program", ["sendmail", "pysendmail", "pysendmaild"])
@pytest.mark.parametrize("shell", SHELLS)
def test_every_program_has_a_file_that_the_shell_can_read(installed: Installed, shell: str, program: str) -> None:
    path = file(installed, shell, program)
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
