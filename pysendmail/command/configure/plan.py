"""The file as it would be, read and checked by our own reader before anybody else sees it."""

from pysendmail import errors
from pysendmail.command.configure import editing
from pysendmail.config import accounts, reader
from pysendmail.config.reader import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.command.configure.place import Place
    from pysendmail.command.configure.settings import Settings
    from pysendmail.command.identity import Caller


class Plan:
    """The new text of a file, and the account in it that the settings are for. Raises UsageError and ConfigError."""

    __slots__ = ("account", "file", "name", "place", "reason", "settings", "text")

    def __init__(self, place: "Place", wanted: str, settings: "Settings", caller: "Caller") -> None:
        self.place = place
        self.settings = settings
        self.name = editing.target(place.text, place.file, wanted)
        known = list(place.file.accounts) if place.file is not None else []
        missed: list[str] = []
        for full in (False, True):
            comment = f"made by pysendmail configure for {settings.address.decode('ascii', 'replace')}"
            more = settings.words_of_machine(system=place.system)
            self.text = editing.replace(place.text, known, self.name, settings.words(full=full), more, comment)
            if len(self.text) > reader.FILE_LIMIT:
                raise errors.ConfigError("it would be too large", shown(place.path))
            self.file = reader.parse(self.text, shown(place.path), home=caller.home)
            self.account, _ = accounts.choose(self.file, account=self.name.encode("latin-1"), uid=caller.uid)
            self.reason = f"account {self.name}, {'changed' if self.name in known else 'new'}"
            missed = settings.missed(self.account)
            if not missed:
                return
        text = f"it would say something else than what was asked for: {', '.join(missed)}"
        raise errors.ConfigError(f"{text}; what stands in other sections of it is taken over", shown(place.path))

    @property
    def changes(self) -> bool:
        """Tell whether the file is not so already."""
        return self.text != self.place.text

    @property
    def mode(self) -> int:
        """Return the rights that the file gets: nobody else reads a password, or has ever written where one stands."""
        secret = bool(self.file.secrets)
        status = self.place.status
        if status is None:
            return 0o644 if self.place.system and not secret else 0o600
        return status.st_mode & (0o700 if secret else 0o755) | 0o600

    def lines(self) -> list[str]:
        """Return what is to be shown of it: the whole file if it is new, else what changes."""
        if self.place.status is None:
            return editing.masked(self.text)
        return editing.difference(self.place.text, self.text, shown(self.place.path))
