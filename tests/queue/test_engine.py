"""SQLite's module is loaded without what it loads by the way, and works all the same."""

import os
import subprocess

import pytest

from tests.conftest import ROOT, base_python

LIGHT = """
import sys
sys.path.insert(0, sys.argv[1])
bare = set(sys.modules)
{before}
from pysendmail.queue.sqlite import SqliteStore
from pysendmail.queue.engine import sqlite
store = SqliteStore(sys.argv[2])
for _ in range(300):
    store._database.read(f"SELECT {{_ % 200}}")
store.close()
import os
loaded = sorted(set(sys.modules) - bare)
os.write(1, " ".join(loaded).encode())
os._exit(0)
"""

# What the enqueueing of a message may load of the standard library, and of ours.
CHEAP = {
    "_functools", "_sqlite3", "binascii", "time",
    "os", "os.path", "posixpath", "genericpath", "stat", "_stat", "_collections_abc",
}
HOT = {
    f"pysendmail.queue.{name}" for name in "database engine location schema sqlite states store trouble values".split()
}  # fmt: skip


def load(path: str, before: str = "") -> set[str]:
    command = [base_python(), "-I", "-S", "-c", LIGHT.format(before=before), str(ROOT), path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def test_enqueueing_loads_only_what_is_listed(path: str) -> None:
    load(path)  # makes the queue, which takes more
    loaded = load(path)
    assert {name for name in loaded if not name.startswith("pysendmail")} - CHEAP == set()
    assert {name for name in loaded if name.startswith("pysendmail.queue.")} == HOT


@pytest.mark.parametrize(
    "before",
    [
        "import functools",
        "import _sqlite3",
        "import sqlite3",
        # Pythons whose extension module wants something else of functools
        "import _functools as f; c = []; r = f._lru_cache_wrapper;"
        "f._lru_cache_wrapper = lambda *a: r(*a) if c else c.append(1)",
        "import _functools; del _functools._lru_cache_wrapper",
    ],
)
def test_whatever_was_loaded_before_it_works(path: str, before: str) -> None:
    load(path, before)
    assert os.path.exists(path)


def test_the_stand_in_is_gone_afterwards(path: str) -> None:
    before = ""
    after = "import functools\nassert functools.partial(int, '7')() == 7\n"
    command = LIGHT.format(before=before).replace("import os\n", after + "import os\n")
    done = subprocess.run([base_python(), "-I", "-S", "-c", command, str(ROOT), path], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
