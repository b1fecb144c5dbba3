"""Which of an account's servers is tried next, and for how long.

The servers are tried in their order. One that could not be used lately is tried after the others, for some minutes, so
that not every message waits for it. The next server is only ever tried where the one before it has taken nothing: see
`Session.open`, and `Transaction.put_off` for what counts within a transaction.
"""

from time import monotonic

from pysendmail import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pysendmail.config.accounts import Account, Server

CONNECT, READY = 30.0, 60.0
"""Seconds for a connection, and for all until the login is done, while there is another server to be tried."""

_AVOID = 300.0  # seconds


class Failover:
    """The servers of one account, and which of them failed lately. Its methods may be called from any thread."""

    __slots__ = ("_account", "_failed")

    def __init__(self, account: "Account") -> None:
        self._account = account
        self._failed: dict[tuple[str, int], float] = {}

    def failed(self, server: "Server") -> None:
        """Note that a server could not be used."""
        self._failed[server.key] = monotonic() + _AVOID

    def worked(self, server: "Server") -> None:
        """Note that a server can be used."""
        self._failed.pop(server.key, None)

    def order(
        self, deadline: float, passed: "Collection[tuple[str, int]]", only_good: bool = False
    ) -> "Iterator[tuple[Server | errors.Failure, bool]]":
        """Yield each server, but for those in `passed`, with whether it is the last one; or why a domain gave none.

        `only_good` leaves those out that failed lately. Raises ConfigError.
        """
        later: list[Server] = []
        last = len(self._account.servers) - 1
        for number, entry in enumerate(self._account.servers):
            try:
                found = self._expand(entry, deadline)
            except errors.Interrupted:
                raise
            except errors.TempFail as failure:
                yield failure, number == last and not later
                continue
            found = [server for server in found if server.key not in passed]
            good = [server for server in found if monotonic() >= self._failed.get(server.key, 0.0)]
            later += [server for server in found if server not in good]
            for index, server in enumerate(good, 1):
                yield server, number == last and index == len(good) and not later
        for index, server in enumerate([] if only_good else later, 1):
            yield server, index == len(later)

    def _expand(self, entry: "Server", deadline: float) -> "list[Server]":
        domain = entry.domain
        if domain is None:
            return [entry]
        from pysendmail.delivery import srv

        return srv.servers(domain, self._account, min(deadline, monotonic() + CONNECT))
