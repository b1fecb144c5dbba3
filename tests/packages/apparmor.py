"""AppArmor's file rules, read from a profile and what it includes, and what a trace of system calls needs of them.

Only what decides about files is looked at: paths with their variables, alternations and globs, and the letters behind
them. It is for machines whose kernel cannot enforce a profile.
"""

import itertools
import os
import pathlib
import re
from collections.abc import Iterator

BASE = pathlib.Path("/etc/apparmor.d")
_INCLUDE = re.compile(r'#?include\s+(if\s+exists\s+)?(?:<([^>]+)>|"([^"]+)")')
_VARIABLE = re.compile(r"(@\{\w+\})\s*\+?=\s*(.+)")
_RULE = re.compile(r'((?:audit|allow|deny|owner|file)\s+)*("?)((?:/|@\{)[^"\s]*|[^"]*)\2\s+([rwamklxipuPUcC]+)(?:\s*->\s*\S+)?\s*,')


class Profile:
    """The file rules of a profile."""

    def __init__(self, text: str, base: pathlib.Path = BASE) -> None:
        self._base = base
        self._variables: dict[str, list[str]] = {}
        rules = list(self._rules(text))
        # Variables of the kernel's or of the profile's own.
        self._variables.setdefault("@{profile_name}", ["pysendmaild"])
        self._allowed = [(self._regex(path), letters) for denied, path, letters in rules if not denied]
        self._denied = [(self._regex(path), letters) for denied, path, letters in rules if denied]

    def _rules(self, text: str) -> Iterator[tuple[bool, str, str]]:
        for line in text.splitlines():
            line = line.strip()
            if found := _INCLUDE.match(line):
                for included in self._included(found[2] or found[3], bool(found[1])):
                    yield from self._rules(included)
                continue
            line = re.sub(r"(^|\s)#.*", "", line)
            if found := _VARIABLE.match(line):
                self._variables.setdefault(found[1], []).extend(value.strip('"') for value in found[2].split())
            elif (found := _RULE.match(line)) and found[3][:1] in "/@":
                yield "deny" in line.partition(found[3])[0], found[3], found[4]

    def _included(self, name: str, optional: bool) -> list[str]:
        path = self._base / name
        if path.is_dir():
            return [one.read_text() for one in sorted(path.iterdir()) if one.is_file()]
        if not path.exists() and optional:
            return []
        return [path.read_text()]

    def _regex(self, pattern: str) -> "re.Pattern[str]":
        return re.compile("|".join([_translated(one) for one in self._filled(pattern)]))

    def _filled(self, pattern: str) -> list[str]:
        """Put in the values of variables, each combination of them."""
        names = re.findall(r"@\{\w+\}", pattern)
        if not names:
            return [re.sub("/{2,}", "/", pattern)]
        filled = []
        for values in itertools.product(*[self._variables[name] for name in names]):
            text = pattern
            for name, value in zip(names, values, strict=True):
                text = text.replace(name, value, 1)
            filled += self._filled(text)
        return filled

    def lacking(self, path: str, letters: str) -> str:
        """Return which of these permissions the profile does not give for a path; one that ends with / is a folder."""
        given = {letter for regex, allowed in self._allowed if regex.fullmatch(path) for letter in allowed}
        given -= {letter for regex, denied in self._denied if regex.fullmatch(path) for letter in denied}
        if "w" in given:
            given.add("a")
        return "".join([letter for letter in letters if letter not in given])


def _translated(pattern: str) -> str:
    """Write a glob of AppArmor's as a regular expression."""
    out: list[str] = []
    at = depth = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "\\":
            at += 1
            out.append(re.escape(pattern[at]))
        elif letter == "*":
            double = pattern[at : at + 2] == "**"
            at += double
            # Behind a slash a star is not nothing.
            some = out[-1:] == ["/"] and (at + 1 == len(pattern) or pattern[at + 1] in "/,}")
            out.append((".+" if some else ".*") if double else ("[^/]+" if some else "[^/]*"))
        elif letter == "?":
            out.append("[^/]")
        elif letter == "[":
            end = pattern.index("]", at + 2)
            out.append("[" + pattern[at + 1 : end].replace("\\", r"\\") + "]")
            at = end
        elif letter == "{":
            depth += 1
            out.append("(?:")
        elif letter == "}" and depth:
            depth -= 1
            out.append(")")
        elif letter == "," and depth:
            out.append("|")
        else:
            out.append(re.escape(letter))
        at += 1
    return "".join(out)


_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+)(?:<(.*?)>)?(?: (E\w+).*)?$")
_OPEN = frozenset(("open", "openat", "creat"))
_TWO = frozenset(("rename", "renameat", "renameat2", "link", "linkat"))
_WRITES = frozenset(("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "chmod", "fchmodat", "chown", "lchown", "fchownat", "truncate"))
_BY_DESCRIPTOR = {"fchmod": "w", "fchown": "w", "ftruncate": "w", "flock": "k"}


def needs(trace: str) -> set[tuple[str, str]]:
    """Return what the system calls in the output of `strace -y` need, as (path, letters); calls that failed need nothing.

    But a socket that nobody listens at, or that is not there, needs as much as one that works.
    """
    found: set[tuple[str, str]] = set()
    for line in trace.splitlines():
        call = _CALL.match(line.strip())
        if call is None:
            continue
        name, arguments, result, path, error = call.groups()
        if name in ("connect", "bind") and (where := re.search(r'sun_path="(/[^"]+)"', arguments)):
            found.add((where[1], "rw" if name == "connect" else "w"))
        elif error or result == "-1":
            continue
        elif name in _OPEN and "O_PATH" not in arguments:
            found.add(_opened(path, arguments))
        elif name == "mmap" and (mapped := re.search(r"\d+<(/.*)>, ", arguments)):
            letters = "m" * ("PROT_EXEC" in arguments) + "rw" * ("MAP_SHARED" in arguments and "PROT_WRITE" in arguments)
            found.add((_bare(mapped[1]), letters))
        elif name == "fcntl" and re.search(r"F_(OFD_)?SETLKW?", arguments) and "F_UNLCK" not in arguments:
            found.add((_descriptor(arguments), "k"))
        elif name in _BY_DESCRIPTOR and "LOCK_UN" not in arguments:
            found.add((_descriptor(arguments), _BY_DESCRIPTOR[name]))
        elif name in _WRITES or name in _TWO:
            for one in _names(arguments):
                folder = name in ("mkdir", "mkdirat", "rmdir")
                found.add((f"{one.rstrip('/')}/" if folder else one, "l" if name.startswith("link") else "w"))
    folders = {path for path, _ in found if path[-1:] == "/"}
    return {
        (f"{path}/" if f"{path}/" in folders else path, letters) for path, letters in found if path[:1] == "/" and letters
    }


def _opened(path: str, arguments: str) -> tuple[str, str]:
    flags = arguments.rpartition('"')[2]
    letters = "rw" if "O_RDWR" in flags else "w" if "O_WRONLY" in flags else "r"
    if ("O_CREAT" in flags or "O_TRUNC" in flags) and "w" not in letters:
        letters += "w"
    path = _bare(path or "")
    return (f"{path.rstrip('/')}/" if "O_DIRECTORY" in flags or os.path.isdir(path) else path), letters


def _bare(path: str) -> str:
    return path.removesuffix("<char 1:3>").removesuffix(" (deleted)").partition("<char")[0]


def _descriptor(arguments: str) -> str:
    found = re.match(r"\d+<(.*?)>(,|$)", arguments)
    return _bare(found[1]) if found else ""


def _names(arguments: str) -> list[str]:
    """Return the names in the arguments, those that are relative below the folder of their descriptor."""
    found = re.findall(r'(?:\d+|AT_FDCWD)<(/[^>]*)>, "([^"]+)"', arguments)
    if found:
        return [name if name[0] == "/" else f"{folder.rstrip('/')}/{name}" for folder, name in found]
    return [name for name in re.findall(r'"([^"]+)"', arguments) if name[0] == "/"]
