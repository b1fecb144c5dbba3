"""Read from the sources, without running them, which module imports which."""

import ast
import dataclasses
import pathlib
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pysendmail"

# Modules that the ordinary delivery does not load, and that may therefore load what they like.
COLD = frozenset({"pysendmail.command.program", "pysendmail.message.folding", "pysendmail.message.words"})


@dataclasses.dataclass(frozen=True)
class Import:
    """One imported module: its dotted name, the line, and whether it is loaded together with the importing file."""

    module: str
    line: int
    at_once: bool


def modules(package: pathlib.Path = PACKAGE) -> dict[str, pathlib.Path]:
    """Give every module of the package by its dotted name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: str, name: str, known: frozenset[str], is_package: bool = False) -> list[Import]:
    """Give the imports of the module `name`; `known` are the modules that `from package import x` may mean."""
    found = []
    for node, at_once in _statements(ast.parse(source).body, True):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, at_once) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, name, is_package)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.append(Import(inner if inner in known else base, node.lineno, at_once))
    return found


def _base(node: ast.ImportFrom, name: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _statements(body: list[ast.stmt], at_once: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """Walk all statements; what stands in a function or under `if TYPE_CHECKING` is not loaded at once."""
    for node in body:
        yield node, at_once
        later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        )
        inner = [n for field in ("body", "orelse", "finalbody") for n in getattr(node, field, [])]
        for handler in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
            inner += handler.body
        yield from _statements(inner, at_once and not later)


def package_imports() -> dict[str, list[Import]]:
    """Give the imports of every module of pysendmail."""
    paths = modules()
    known = frozenset(paths)
    return {
        name: imports(path.read_text(), name, known, path.name == "__init__.py") for name, path in paths.items()
    }  # fmt: skip
