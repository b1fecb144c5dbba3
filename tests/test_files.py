"""What holds for every file of the tree: its size, its name, and that it speaks of this project only."""

import ast
import pathlib
import re
import sys

import pytest

from tests.imports import COLD, ROOT, package_imports

pytestmark = pytest.mark.once

LONGEST = 500
LEFT_OUT = {"build", "dist", "__pycache__"}
TEXT = {"", ".py", ".md", ".cfg", ".toml", ".sh", ".1", ".5", ".8", ".txt", ".conf", ".yml"}
VAGUE = {"util", "utils", "helper", "helpers", "manager", "common", "misc", "stuff"}


def files() -> list[pathlib.Path]:
    """Give the files of the tree, without what tools leave behind."""
    found = []
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in (".ci", ".gitignore") for part in parts)
        if path.is_file() and not hidden and not LEFT_OUT.intersection(parts) and ".egg-info" not in str(path):
            found.append(path)
    return found


FILES = files()
SOURCES = [path for path in FILES if path.suffix == ".py"]


def named(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def foreign(text: str, root: pathlib.Path = ROOT) -> list[str]:
    """Give what in a text belongs to the place or the time of its writing and not to the project."""
    places = {str(root)}
    if sys.prefix != sys.base_prefix:
        places.add(sys.prefix)
    if len(root.parts) > 2 and root.parts[1] not in ("home", "tmp", "usr", "var", "opt", "srv", "root"):
        places.add(f"/{root.parts[1]}/")
    found = [place for place in places if re.search(r"(?<![\w.])" + re.escape(place), text)]
    return found + re.findall(r"(?i:\bissue\s+#?\d+)|\bTODO\b|\bFIXME\b", text)


def test_no_source_is_longer_than_a_reader_bears() -> None:
    lengths = {named(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_a_files_name_says_what_it_holds() -> None:
    assert [named(path) for path in SOURCES if VAGUE.intersection(path.stem.lower().split("_"))] == []


def test_every_source_that_holds_code_says_what_it_is() -> None:
    trees = {named(path): ast.parse(path.read_text()) for path in SOURCES}
    assert [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []


def test_no_module_of_the_hot_path_imports_from_the_future() -> None:
    found = package_imports()
    assert [name for name in found if name not in COLD and "__future__" in [e.module for e in found[name]]] == []


def test_the_tree_speaks_of_itself_only() -> None:
    told = {named(path): foreign(path.read_text(errors="replace")) for path in FILES if path.suffix in TEXT}
    assert {name: words for name, words in told.items() if words} == {}


def test_the_gate_knows_what_is_foreign() -> None:
    root = pathlib.Path("/place/tree")
    assert foreign("see /place/notes", root) == ["/place/"]
    assert foreign("for issue " + "#7", root) == ["issue #" + "7"]
    assert foreign("mount $home/place/upper", root) == []
    assert foreign("issue a new ticket; /var/tmp", root) == []
    assert foreign("/home/alice/.netrc", pathlib.Path("/home/bob/tree")) == []


def test_the_gate_sees_the_files() -> None:
    names = {named(path) for path in FILES}
    assert {"pysendmail/options.py", "man/sendmail.8", "setup.cfg", "tests/test_files.py"} <= names
    assert not any("__pycache__" in name or name.startswith(".git/") for name in names)
