"""Where the configuration is to stand, what stands there now, and whether it may be changed."""

import os
import stat

from pysendmail import errors
from pysendmail.config import accounts, reader
from pysendmail.config.accounts import SYSTEM_FILE
from pysendmail.config.reader import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.identity import Caller

_OWN_FILE = "pysendmail/pysendmail.conf"


class Place:
    """A configuration file: its path, its text (empty if there is none yet), what was read from it, and its status."""

    __slots__ = ("file", "path", "status", "system", "text")

    def __init__(self, path: str) -> None:
        self.path = path
        self.system = path == SYSTEM_FILE
        self.text = b""
        self.file: reader.File | None = None
        self.status: os.stat_result | None = None

    def changed(self) -> bool:
        """Tell whether somebody else has changed it since it was read."""
        now = _status(self.path)
        if now is None or self.status is None:
            return now is not self.status
        return any([getattr(now, name) != getattr(self.status, name) for name in ("st_ino", "st_mtime_ns", "st_size")])


def find(path: str | None, system: bool, caller: "Caller") -> Place:
    """Return the file that is to be written: the one named, the system's, or the caller's own; root's is the system's.

    Raises UsageError, ConfigError, NoPermission.
    """
    if path is not None and system:
        raise errors.UsageError("--system has no meaning beside --file")
    place = Place(_named(path) if path is not None else _usual(system, caller))
    if reader.is_msmtp(place.path) or reader.foreign_tool(place.path):
        raise errors.UsageError("this name is that of another program's configuration", shown(place.path))
    place.status = _status(place.path)
    if place.status is not None:
        _read(place, caller)
    _require_writable(place, caller)
    return place


def _named(path: str) -> str:
    if not path or not path.isprintable() or os.path.basename(path) in ("", ".", ".."):
        raise errors.UsageError("--file: expected the name of a file")
    return absolute(path)


def absolute(path: str) -> str:
    """Return a file's name from the root on. Raises UsageError where the current folder is gone."""
    try:
        return os.path.abspath(path)
    except OSError:
        raise errors.UsageError("the current folder is gone; write the whole name", shown(path)) from None


def _usual(system: bool, caller: "Caller") -> str:
    if system or caller.uid == 0:
        return SYSTEM_FILE
    xdg = os.environ.get("XDG_CONFIG_HOME", "")
    folder = xdg if xdg[:1] == "/" else f"{caller.home}/.config" if caller.home[:1] == "/" else ""
    if not folder:
        raise errors.ConfigError("the home folder is not known; --file says where the configuration is to be")
    return f"{folder}/{_OWN_FILE}"


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise errors.NoPermission(f"cannot be looked at: {error.strerror}", shown(path)) from None


def _read(place: Place, caller: "Caller") -> None:
    mode = place.status.st_mode if place.status is not None else 0
    if stat.S_ISLNK(mode):
        text = "is a symbolic link; name the file itself by --file"
        raise errors.ConfigError(text, shown(place.path))
    place.text, _ = reader.read_regular(place.path, reader.FILE_LIMIT)
    place.file = reader.parse(place.text, shown(place.path), home=caller.home)


def _require_writable(place: Place, caller: "Caller") -> None:
    """Tell at once, before anything is asked, where nothing could be written at the end."""
    folder = os.path.dirname(place.path)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise errors.ConfigError("is not a folder", shown(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        hint = "; run it as root" if place.system and caller.uid else ""
        raise errors.NoPermission(f"this user cannot write to the folder{hint}", shown(folder))


def used_by(caller: "Caller") -> str:
    """Return the file by which this caller's messages go, empty if there is none."""
    try:
        return accounts.find_file(None, home=caller.home, xdg=os.environ.get("XDG_CONFIG_HOME"), uid=caller.uid)
    except errors.ConfigError:
        return ""
