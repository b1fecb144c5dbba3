"""Which program's configuration there is, where there is none of ours."""

import os

from pysendmail.config.reader import shown
from pysendmail.errors import ConfigError

ROOT = ""
# What may be used as it is: the program, and the name of its main file.
_SYSTEM = (
    ("ssmtp", "/etc/ssmtp/ssmtp.conf"),
    ("nullmailer", "/etc/nullmailer/remotes"),
    ("dma", "/etc/dma/dma.conf"),
)


def find(folder: str, home: str, credentials: str = "") -> str | None:
    """Return the name of the one file that can be used, None if there is none; `folder` is ~/.config or what is instead.

    `credentials` is the folder of systemd's. A user's msmtprc comes before the system's, as for msmtp. Raises ConfigError
    if there is more than one program's.
    """
    own = [f"{home}/.msmtprc"] if home[:1] == "/" else []
    own += [f"{folder}/msmtp/config"] if folder else []
    msmtp = next((name for name in [*own, f"{ROOT}/etc/msmtprc"] if _is_there(name)), None)
    found = [("msmtp", msmtp)] if msmtp else []
    found += [(tool, f"{ROOT}{name}") for tool, name in _SYSTEM if _is_there(f"{ROOT}{name}")]
    if len(found) > 1:
        found = [one for one in found if _names_server(*one, credentials)] or found
    if len(found) > 1:
        names = " and ".join(shown(name) for _, name in found)
        tools = "|".join(tool for tool, _ in found)
        raise ConfigError(
            f"there is no configuration, and more than one of other programs: {names};"
            f" pysendmail import --from {tools} --write makes one of ours"
        )
    return found[0][1] if found else None


def _is_there(name: str) -> bool:
    """Tell whether there is a file; what may not be looked at is there, so that its absence is not taken for granted."""
    try:
        os.stat(name)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _names_server(tool: str, name: str, credentials: str) -> bool:
    """Tell whether a configuration is more than what a package that is gone has left behind."""
    from pysendmail.config.foreign.convert import convert

    if tool == "msmtp":
        return True
    try:
        return bool(convert(tool, name, ROOT, credentials).default.get("host"))
    except ConfigError:
        return True  # whoever uses it is told what is wrong
