"""Keeping accept away from files that are none of its business, by Landlock (Linux 5.13 and later).

Where root did not start the daemon, its children have the same user, and whoever took over accept could open the files
that hold the secrets: systemd's credentials below /run, or the configuration in a home folder. So accept gives up for
good to read what lies there, and to use TCP where the kernel can forbid that (Linux 6.7). What is open stays open: the
listening sockets. A kernel without Landlock changes nothing.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # system calls, the same on all architectures
_VERSION = 1  # flag: only tell which version the kernel has
_PATH_BENEATH = 1
_READ_FILE = 1 << 2
_TCP = 1 << 0 | 1 << 1  # bind and connect
_NET_SINCE = 4
# Folders of the root that may hold what belongs to others, of which only what is named is readable.
_CLOSED = frozenset(("home", "root", "run"))


def confine(readable: "Iterable[str]") -> bool:
    """Read from now on only files outside /home, /root and /run, and below `readable`; tell whether it is so."""
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).syscall
    except AttributeError:
        return False
    version = call(_CREATE, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    # struct landlock_ruleset_attr: handled_access_fs, handled_access_net
    handled = (ctypes.c_uint64 * 2)(_READ_FILE, _TCP if version >= _NET_SINCE else 0)
    rules = call(_CREATE, handled, ctypes.c_size_t(16 if version >= _NET_SINCE else 8), 0)
    if rules < 0:
        return False
    try:
        for path in _allowed(readable):
            try:
                fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # what is not there needs no permission
            # struct landlock_path_beneath_attr, packed: allowed_access (8 octets), parent_fd (4)
            rule = (ctypes.c_uint32 * 3)(_READ_FILE, 0, fd)
            call(_ADD, rules, _PATH_BENEATH, rule, 0)
            os.close(fd)
        return bool(call(_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)


def _allowed(readable: "Iterable[str]") -> "list[str]":
    top = [f"/{name}" for name in os.listdir("/") if name not in _CLOSED]
    # A link such as /bin leads elsewhere, which has its own rule.
    return [path for path in top if not os.path.islink(path)] + list(readable)
