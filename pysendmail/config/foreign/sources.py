"""Where the programs whose configuration can be imported have it."""

import os

from pysendmail.config.reader import shown
from pysendmail.errors import ConfigError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# program: its main files, a user's own first; ~ is the home folder, and ^ that of configurations
SOURCES: dict[str, tuple[str, ...]] = {
    "msmtp": ("~/.msmtprc", "^/msmtp/config", "/etc/msmtprc"),
    "ssmtp": ("/etc/ssmtp/ssmtp.conf",),
    "nullmailer": ("/etc/nullmailer/remotes",),
    "dma": ("/etc/dma/dma.conf",),
    "esmtp": ("~/.esmtprc", "/etc/esmtprc"),
    "postfix": ("/etc/postfix/main.cf",),
    "exim": ("/etc/exim4/update-exim4.conf.conf",),
}


class Found:
    """A file that can be imported; `own` says that it is the user's, not the system's."""

    __slots__ = ("name", "own", "tool")

    def __init__(self, tool: str, name: str, own: bool) -> None:
        self.tool = tool
        self.name = name
        self.own = own


def candidates(tool: str | None, *, home: str, folder: str, root: str = "") -> list[Found]:
    """Return what is there, one file for each program; `folder` is ~/.config or what is instead."""
    found = []
    for each, names in SOURCES.items():
        if tool in (None, each):
            for name in names:
                path = _path(name, home, folder)
                if path and _is_there(f"{root}{path}"):
                    found.append(Found(each, f"{root}{path}", name[0] in "~^"))
                    break
    return found


def _path(name: str, home: str, folder: str) -> str:
    base = {"~": home, "^": folder}.get(name[0])
    if base is None:
        return name
    return f"{base}{name[1:]}" if base[:1] == "/" else ""


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def choose(
    tool: str | None, *, home: str, folder: str, root: str, useful: "Callable[[Found], bool]"
) -> Found:
    """Return the one file to import. Raises UsageError if there is more than one, ConfigError if there is none."""
    if tool is not None and tool not in SOURCES:
        raise UsageError(f"--from knows {', '.join(SOURCES)}")
    found = candidates(tool, home=home, folder=folder, root=root)
    if len(found) > 1:
        found = [one for one in found if useful(one)] or found
    if len(found) > 1:
        names = ", ".join(f"{one.tool} ({shown(one.name)})" for one in found)
        raise UsageError(f"there is more than one: {names}; --from says which")
    if not found:
        raise ConfigError(f"there is no configuration of {tool or ', '.join(SOURCES)}")
    return found[0]
