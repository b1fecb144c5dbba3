"""Read another program's configuration: the translation, and our own reader's view of it."""

from pysendmail.config import reader
from pysendmail.config.foreign.source import Files
from pysendmail.config.foreign.translation import SAME, Translation
from pysendmail.config.words import SECRETS
from pysendmail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.config.foreign.source import Source

# Users that packages give a file with a password to.
_OWNERS = ("mail", "nullmail", "exim", "Debian-exim", "postfix")


def convert(tool: str, name: str, root: str = "", credentials: str = "") -> Translation:
    """Return what the program's configuration says in our words. Raises ConfigError."""
    return _convert(tool, Files(name, root, credentials))


def _convert(tool: str, files: Files) -> Translation:
    translation = Translation(tool, reader.shown(files.main))
    _converter(tool)(files, translation)
    _complete(files, translation)
    return translation


def _complete(files: Files, translation: Translation) -> None:
    """Account for lines of which nothing was said, since they only count together with others."""
    told = {one.place for one in translation.remarks}
    for source in files.read:
        for line in source.lines():
            if line.text.strip(" \t") and line.text[0] not in "# \t" and line.place not in told:
                translation.remark(line, "(line)", SAME, "it counts together with others")


def _converter(tool: str) -> "Callable[[Files, Translation], None]":
    from importlib import import_module

    converter: Callable[[Files, Translation], None] = import_module(f"pysendmail.config.foreign.{tool}").convert
    return converter


def load(name: str, *, uid: int, home: str) -> reader.File:
    """Read the configuration for `uid`. Raises ConfigError, also for a password that anybody can read."""
    tool = reader.foreign_tool(name)
    files = Files(name)
    translation = _convert(tool, files)
    file = parse(translation, home)
    check_rights(translation, files.read, uid)
    own = translation.users.get(_login(uid))
    if own is not None:
        file.accounts["default"] = file.accounts[own[0]]
    return file


def parse(translation: Translation, home: str) -> reader.File:
    """Have our own reader take the translation; errors name the places in the program's files. Raises ConfigError."""
    if not translation.default.get("host"):
        raise ConfigError("it names no server to send to", translation.place)
    text, origins = translation.text()
    return reader.parse(text, translation.place, home=home, tool=translation.tool, origins=origins)


def text_for_daemon(name: str, uid: int, home: str, credentials: str = "") -> bytes:
    """Return the configuration in our words, found good but for its accounts. Raises ConfigError."""
    files = Files(name, credentials=credentials)
    translation = _convert(reader.foreign_tool(name), files)
    parse(translation, home)
    check_rights(translation, files.read, uid)
    return translation.text()[0]


def check_rights(translation: Translation, read: "list[Source]", uid: int) -> None:
    """Refuse a password that anybody could read or write. The group is the package's or the administrator's choice."""
    if not translation.has_secret():
        return
    holders = {place.rpartition(":")[0] for draft in translation.accounts for place in _secret_places(draft.words)}
    for source in read:
        if source.place not in holders:
            continue
        if source.status.st_uid not in (uid, 0) and not _is_service(source.status.st_uid):
            raise ConfigError("a password stands in it, so it must belong to you or to root: run chown", source.place)
        if source.status.st_mode & 0o026:
            text = f"a password stands in it that others can read or change: run chmod o=,g-w {source.place}"
            raise ConfigError(text, source.place)


def _secret_places(words: dict[str, tuple[str, str]]) -> list[str]:
    return [place for word, (_, place) in words.items() if word in SECRETS]


def _is_service(uid: int) -> bool:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name in _OWNERS
    except KeyError:
        return False


def _login(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name if uid >= 0 else ""
    except KeyError:
        return ""
