"""Load SQLite's extension module, without the package around it and without what it loads by the way.

The package `sqlite3` adds conversions of dates that a queue does not need. The extension module itself imports all of
`functools`, only for the cache of its statements, which is a built-in type: more work than loading SQLite. So it gets
that type from a stand-in, unless `functools` is there already. Nobody else sees the stand-in, and where a later Python
wants more of it, the real module serves.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable


def _load() -> object:
    """Return the extension module."""
    if "functools" not in sys.modules and "_sqlite3" not in sys.modules:
        try:
            return _load_lightly()
        except (ImportError, AttributeError, TypeError):
            sys.modules.pop("_sqlite3", None)
    import _sqlite3

    return _sqlite3


def _load_lightly() -> object:
    """Return the extension module, loaded while `functools` has a stand-in."""
    from _functools import _lru_cache_wrapper

    def lru_cache(size: int) -> "Callable[[Callable[..., object]], object]":
        return lambda function: _lru_cache_wrapper(function, size, False, None)

    stand_in = type(sys)("functools")
    stand_in.lru_cache = lru_cache  # type: ignore[attr-defined]
    sys.modules["functools"] = stand_in
    try:
        import _sqlite3

        _sqlite3.connect(":memory:").execute("SELECT 1")
        return _sqlite3
    finally:
        del sys.modules["functools"]


if TYPE_CHECKING:
    sqlite = sqlite3
else:
    sqlite = _load()
