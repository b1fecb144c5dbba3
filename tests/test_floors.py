"""A file imports from its own floor or a lower one, and the floor of sans-IO reaches for nothing outside."""

import ast

import pytest

from tests.imports import Import, imports, modules, package_imports

# Floors of modules and of packages; whatever stands in a package has its floor.
FLOORS = {
    "pysendmail.errors": 0,
    "pysendmail.options": 1,
    "pysendmail.folders": 1,
    "pysendmail.log": 1,
    "pysendmail.system_log": 1,
    "pysendmail.wire": 1,
    "pysendmail.message": 1,
    "pysendmail.smtp": 1,
    "pysendmail.config": 2,
    "pysendmail.delivery": 3,
    "pysendmail.queue": 3,
    "pysendmail.command": 4,
    "pysendmail.daemon": 4,
    "pysendmail.entry": 4,
    "pysendmail.__main__": 4,
    "pysendmail": 0,
}
SANS_IO = ("pysendmail.message", "pysendmail.smtp")
OUTSIDE = {
    "socket", "_socket", "ssl", "_ssl", "select", "selectors", "_thread", "threading", "asyncio", "socketserver",
    "subprocess", "multiprocessing", "signal", "http", "urllib", "smtplib", "pwd", "syslog", "random", "secrets",
}  # fmt: skip
FACTS = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "localtime", "perf_counter", "tzset", "sleep"},
    "os": {"environ", "environb", "getenv", "getenvb", "getuid", "getpid", "uname", "getlogin"},
}

IMPORTS = package_imports()


def floor(module: str) -> int | None:
    """Give the floor of a module of pysendmail, None if it has none yet."""
    return FLOORS.get(".".join(module.split(".")[:2]))


def breaches(name: str, found: list[Import]) -> list[str]:
    """Tell which imports of the module `name` go upwards."""
    mine = floor(name)
    told = []
    for entry in found:
        if entry.module.partition(".")[0] == "pysendmail":
            theirs = floor(entry.module)
            if mine is None or theirs is None or theirs > mine:
                told.append(f"{name}:{entry.line} (floor {mine}) imports {entry.module} (floor {theirs})")
    return told


def outside(found: list[Import]) -> list[str]:
    """Tell which imports reach out of the process."""
    return [entry.module for entry in found if entry.module.partition(".")[0] in OUTSIDE]


def facts(source: str) -> list[str]:
    """Tell where a source asks the clock or the environment instead of being told."""
    told = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in FACTS.get(node.value.id, ()):
                told.append(f"line {node.lineno}: {node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            told += [f"line {node.lineno}: {a.name}" for a in node.names if a.name in FACTS.get(node.module or "", ())]
    return told


@pytest.mark.parametrize("name", sorted(IMPORTS))
def test_every_module_has_a_floor_and_never_imports_upwards(name: str) -> None:
    assert floor(name) is not None, f"give {name} a floor"
    assert breaches(name, IMPORTS[name]) == []


@pytest.mark.parametrize("name", [name for name in sorted(IMPORTS) if name.startswith(SANS_IO)])
def test_the_sans_io_floor_reaches_for_no_network_clock_or_environment(name: str) -> None:
    assert outside(IMPORTS[name]) == []
    assert facts(modules()[name].read_text()) == []


def test_the_options_import_nothing_but_the_errors() -> None:
    assert {entry.module for entry in IMPORTS["pysendmail.options"]} == {"pysendmail.errors", "collections.abc"}


def test_the_errors_import_nothing() -> None:
    assert IMPORTS["pysendmail.errors"] == IMPORTS["pysendmail"] == []


@pytest.mark.parametrize(
    ("name", "source", "bad"),
    [
        ("pysendmail.smtp.client", "from pysendmail.delivery import link", 1),
        ("pysendmail.smtp.client", "from pysendmail import errors, log\nimport pysendmail.message.body", 0),
        ("pysendmail.smtp.client", "def f():\n    import pysendmail.config.words", 1),
        ("pysendmail.errors", "if TYPE_CHECKING:\n    from pysendmail.options import Options", 1),
        ("pysendmail.errors", "try:\n    x\nexcept E:\n    from .options import Options", 1),
        ("pysendmail.smtp.client", "from ..delivery.link import Link", 1),
        ("pysendmail.config.words", "from .. import command", 1),
        ("pysendmail.command.submit", "from pysendmail.delivery.link import Link", 0),
        ("pysendmail.delivery.link", "from pysendmail.novelty import x", 1),
        ("pysendmail.options", "import os, sys", 0),
    ],
)
def test_the_gate_sees_each_way_to_import(name: str, source: str, bad: int) -> None:
    assert len(breaches(name, imports(source, name, frozenset(IMPORTS)))) == bad


def test_the_gate_sees_each_way_to_look_outside() -> None:
    reaching = "import _socket\ndef f():\n    from ssl import x\nimport os"
    assert outside(imports(reaching, "m", frozenset())) == ["_socket", "ssl"]
    asking = "import time, os\ndef f():\n    return time.time(), os.environ['TZ']\nfrom time import monotonic"
    assert len(facts(asking)) == 3
    assert facts("import time\ntime.gmtime(0)\nos.pread(1, 2, 3)") == []
