"""The manual says what the code does: options, modes, exit codes and messages, compared both ways."""

import pathlib
import re
import shutil
import subprocess

import pytest

from pysendmail import errors
from pysendmail.options import ATTACHED, MODES, NONE, REQUIRED, TABLE, parse
from tests.conftest import skip
from tests.imports import ROOT

MANUAL = ROOT / "man"
PAGES = sorted(MANUAL.glob("*.[1-9]"))


def section(page: str, name: str) -> list[str]:
    """Give the lines of one section of a manual page."""
    text = (MANUAL / page).read_text()
    return re.split(r"^\.Sh ", text.partition(f"\n.Sh {name}\n")[2], maxsplit=1, flags=re.M)[0].splitlines()


def headings(lines: list[str]) -> list[str]:
    """Give the options that head a paragraph, one by one: `Fl f Ar address`."""
    found = []
    for line in lines:
        if line.startswith(".It Fl "):
            found += line.removeprefix(".It ").split(" , ")
    return [heading if heading.startswith("Fl ") else "Fl " + heading for heading in found]


def as_written(name: bytes, kind: int, argument: str) -> str:
    """Give the heading that a row of the option table should have in the manual."""
    macro = "Fl " + name[1:].decode()
    if name.startswith(b"--"):
        return macro + {NONE: "", REQUIRED: f" Ns = Ns Ar {argument}", ATTACHED: f" Ns Op = Ns Ar {argument}"}[kind]
    return macro + {NONE: "", REQUIRED: f" Ar {argument}", ATTACHED: f" Ns Op Ar {argument}"}[kind]


def exit_codes(page: str) -> set[int]:
    """Give the exit codes that a page documents."""
    found = [re.match(r"\.It (\d+)", line) for line in section(page, "EXIT STATUS")]
    return {int(match[1]) for match in found if match}


def failures(kind: type[errors.Failure] = errors.Failure) -> list[type[errors.Failure]]:
    """Give all classes of failure."""
    return [kind] + [deeper for below in kind.__subclasses__() for deeper in failures(below)]


HEADINGS = headings(section("sendmail.8", "OPTIONS"))
# Settings have two letters, -odb and -bd: the first is the option, the rest its argument.
SETTINGS = [heading.removeprefix("Fl ") for heading in HEADINGS if re.fullmatch(r"Fl [bo][A-Za-z]+", heading)]


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_option_stands_in_the_manual_as_it_takes_its_argument(name: bytes) -> None:
    kind, _, argument, _ = TABLE[name]
    assert HEADINGS.count(as_written(name, kind, argument)) == 1


def test_the_manual_has_no_option_that_the_table_lacks() -> None:
    table = {as_written(name, kind, argument) for name, (kind, _, argument, _) in TABLE.items()}
    assert set(HEADINGS) - {f"Fl {setting}" for setting in SETTINGS} == table


def test_the_manual_and_the_table_have_the_same_modes() -> None:
    documented = {setting[1:] for setting in SETTINGS if setting[0] == "b"}
    assert documented == {mode.decode() for mode in MODES}


def test_every_setting_of_the_manual_acts() -> None:
    settings = [setting[1:] for setting in SETTINGS if setting[0] == "o"]
    assert {"i", "v", "em", "ep", "eq", "ew", "ee", "di", "db", "dq", "dd"} == set(settings)
    plain = parse([])
    for setting in settings:
        options = parse([b"-o", setting.encode()])
        now = (options.ignore_dots, options.delivery, options.errors, options.verbose)
        before = (plain.ignore_dots, plain.delivery, plain.errors, plain.verbose)
        assert now != before or setting == "em", setting
    assert plain.errors == "m", "the manual calls -oem the default"


def test_the_manual_has_exactly_the_exit_codes_of_the_errors() -> None:
    assert exit_codes("sendmail.8") == {0} | {kind.exit_code for kind in failures()}


@pytest.mark.parametrize("page", ["mailq.1", "newaliases.1", "pysendmail.1"])
def test_the_other_pages_know_no_other_exit_codes(page: str) -> None:
    assert {0, 64} <= exit_codes(page) <= exit_codes("sendmail.8")


@pytest.mark.parametrize(
    "argv", [["-Z"], ["--host=x"], ["-t", "-f"], ["-bt"], ["-q", "30m"], ["-Fa\nb"]], ids=lambda argv: argv[-1].strip()
)
def test_the_diagnostics_of_the_manual_are_those_of_the_parser(argv: list[str]) -> None:
    diagnostics = [line.removeprefix(".It ") for line in section("sendmail.8", "DIAGNOSTICS") if line[:4] == ".It "]
    with pytest.raises(errors.UsageError) as caught:
        parse([argument.encode() for argument in argv])
    said = f"sendmail: {caught.value}"
    patterns = [re.escape(line).replace(r"\.\.\.", ".*") for line in diagnostics]
    assert [pattern for pattern in patterns if re.fullmatch(pattern, said)], said


def test_every_page_names_existing_pages_of_ours() -> None:
    ours = {page.name for page in PAGES} | {"pysendmail.conf.5"}
    for page in PAGES:
        for name, number in re.findall(r"^\.Xr (\S+) (\d)", page.read_text(), flags=re.M):
            assert f"{name}.{number}" in ours or name in ("systemd", "syslog", "msmtp", "pass"), f"{page.name}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_finds_nothing_amiss(page: pathlib.Path) -> None:
    if shutil.which("mandoc") is None:
        skip("mandoc is not installed")
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", page], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
