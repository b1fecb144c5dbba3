"""The aliases that the daemon knows: read once, and again when one of their files has changed."""

import os

from pysendmail.config import accounts
from pysendmail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pysendmail.config.accounts import Account
    from pysendmail.config.aliases import Aliases

_LOOKED_THROUGH = 1 << 18  # octets of a file that is looked through when it is read; newaliases does it for any
_NOTES = 20


class Aliasing:
    """The alias files; `agent` says that the daemon is one user's, who has no other than he names.

    `note` writes a line of the log.
    """

    __slots__ = ("_agent", "_known", "_note")

    def __init__(self, agent: bool, note: "Callable[[str], None]") -> None:
        self._agent = agent
        self._note = note
        self._known: dict[str, Aliases] = {}

    def of(self, account: "Account") -> "Aliases | None":
        """Return the aliases that hold for an account. Raises ConfigError."""
        name = accounts.alias_file(account, not self._agent)
        if name is None:
            return None
        known = self._known.get(name)
        if known is None or not known.is_current():
            from pysendmail.config import aliases

            known = self._known[name] = aliases.load(name)
            if os.path.getsize(name) <= _LOOKED_THROUGH:
                for number, (text, _) in enumerate(known.problems()):
                    if number == _NOTES:
                        self._note(f"{known.place}: newaliases tells more")
                        break
                    self._note(text)
        return known


def folders(account: "Account", agent: bool) -> set[str]:
    """Return the folders of an account's alias file and of the lists that it includes."""
    from pysendmail.config import aliases

    name = accounts.alias_file(account, not agent)
    if name is None:
        return set()
    try:
        return {os.path.dirname(name), *aliases.load(name).folders()}
    except ConfigError:
        return {os.path.dirname(name)}  # whoever needs it is told
