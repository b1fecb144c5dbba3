"""Find the account that is for the domain of a recipient, by the word recipient_domains."""

from pysendmail.config.accounts import Account, named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.reader import File, Section


class Destinations:
    """The accounts that ask for recipients; `uid` is the caller's.

    A domain itself comes before those that it is below, and a longer one of these before a shorter one. Where several
    accounts name the same it is the default account's, so that it parts no message from what is the same, else the first's.
    """

    __slots__ = ("_accounts", "_file", "_sections", "_uid")

    def __init__(self, file: "File", uid: int | None) -> None:
        self._file = file
        self._uid = uid
        self._accounts: dict[str, Account] = {}
        self._sections: dict[str, Section] = {}
        for section in sorted(file.accounts.values(), key=lambda one: one.name != "default"):
            domains, _ = section.words.get("recipient_domains", (None, 0))
            for domain in domains if isinstance(domains, tuple) else ():
                self._sections.setdefault(domain, section)

    def find(self, address: bytes) -> tuple[Account, str] | None:
        """Return the account for an address, its domain in A-labels, and the reason. Raises ConfigError."""
        domain = address.rpartition(b"@")[2].decode("latin-1").lower().removesuffix(".")
        section = self._sections.get(domain)
        at = domain.find(".")
        while section is None and at >= 0:
            section = self._sections.get(domain[at:])
            at = domain.find(".", at + 1)
        if section is None:
            return None
        account = self._accounts.get(section.name)
        if account is None:
            account = self._accounts[section.name] = Account(self._file, section, self._uid)
        return account, f"{named(section)}, for its recipient_domains"
