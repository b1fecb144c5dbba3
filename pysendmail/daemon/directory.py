"""Users and groups of this machine, asked once each until somebody says that it was long ago."""

import os
import pwd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection


class Directory:
    """What the system says of users and groups; an answer is kept, but for a name that is not there yet."""

    __slots__ = ("_gids", "_groups", "_users")

    def __init__(self) -> None:
        self._users: dict[bytes, int] = {}
        self._groups: dict[bytes, int] = {}
        self._gids: dict[int, frozenset[int]] = {}

    def forget(self) -> None:
        """Ask for everything anew: users and groups change while a daemon runs."""
        self._users.clear()
        self._groups.clear()
        self._gids.clear()

    def uid_of(self, login: bytes) -> int | None:
        """Return the uid of a login, None if there is no such user."""
        if login not in self._users:
            try:
                self._users[login] = pwd.getpwnam(os.fsdecode(login)).pw_uid
            except KeyError:
                return None
        return self._users[login]

    def gid_of(self, group: bytes) -> int | None:
        """Return the gid of a group, None if there is no such group."""
        if group not in self._groups:
            import grp

            try:
                self._groups[group] = grp.getgrnam(os.fsdecode(group)).gr_gid
            except KeyError:
                return None
        return self._groups[group]

    def gids_of(self, uid: int) -> "Collection[int]":
        """Return the groups of a user, his own and those that have him as a member; none for a uid without a name."""
        if uid not in self._gids:
            try:
                entry = pwd.getpwuid(uid)
            except KeyError:
                return ()
            self._gids[uid] = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
        return self._gids[uid]
