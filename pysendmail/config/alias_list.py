"""Lists that an alias file includes: what is read, and from where.

They are read with the rights of whoever expands the alias, and may be anywhere. But since what stands in them decides
who gets mail, and `-bv` shows it, nobody else may have a hand in them or have us read what is private:

* the list is a regular file, which not everybody can write (as in Postfix), and neither can everybody its folder,
  unless that is sticky and the file belongs to root, to us or to the alias file's owner;
* everybody can read it; or it belongs to the alias file's owner, and its name leads to it without a symbolic link.
"""

import os

from pysendmail.config.alias_syntax import targets, without_comment
from pysendmail.config.reader import read_regular, shown
from pysendmail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.alias_syntax import Include, Refused
    from pysendmail.message.address import Mailbox

LIMIT = 4 << 20
_WANTED = "expected addresses, parted by commas"


def read(path: bytes, owner: int) -> "list[Mailbox | Include | Refused]":
    """Return what stands in the list, which may be nothing; `owner` is that of the alias file. Raises ConfigError."""
    name = os.fsdecode(path)
    if path[:1] != b"/" or b"\0" in path:
        raise ConfigError("expected the whole path of a file after :include:")
    text, status = read_regular(name, LIMIT)
    try:
        _check(name, status, owner)
    except OSError as error:
        raise ConfigError(f"cannot be read: {os.strerror(error.errno or 0)}", shown(name)) from None
    return parse(text, shown(name))


def parse(text: bytes, place: str) -> "list[Mailbox | Include | Refused]":
    """Read the text of a list. Raises ConfigError."""
    lines = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n")
    bare = [without_comment(line) for line in lines]
    whole = b",".join([line for line in bare if line])
    if b'"' not in whole and b":" not in whole:
        found = targets(whole)
        if found is not None or not whole:
            return found or []
    found = []
    for number, line in enumerate(bare, 1):
        if line.strip(b", \t"):
            more = targets(line)
            if more is None:
                raise ConfigError(_WANTED, f"{place}:{number}")
            found += more
    return found


def _check(name: str, status: os.stat_result, owner: int) -> None:
    folder = os.stat(os.path.dirname(name))
    ours = status.st_uid in (0, owner, os.geteuid())
    if status.st_mode & 0o002:
        raise ConfigError("everybody can write it, so it is not read: run chmod o-w", shown(name))
    if folder.st_mode & 0o002 and not (folder.st_mode & 0o1000 and ours):
        raise ConfigError("everybody can write its folder, so it is not read", shown(name))
    if status.st_mode & 0o004:
        return
    if status.st_uid != owner:
        raise ConfigError("is private to somebody else than the owner of the alias file: run chmod o+r", shown(name))
    there = os.lstat(name)
    if os.path.realpath(name) != os.path.normpath(name) or (there.st_dev, there.st_ino) != (status.st_dev, status.st_ino):
        raise ConfigError("is private, and its name leads to it by a symbolic link: write the name of the file", shown(name))
