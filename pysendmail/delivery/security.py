"""The TLS of one account: its contexts, made once each, and the session that a further connection resumes."""

from pysendmail.delivery.tls import TLS, Context, TLSSettings, context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pysendmail.config.accounts import Account
    from pysendmail.delivery.tls import Session


# Debian's tools make this file and the folder of hashed links beside it of the same certificates, and most files written
# for msmtp name it. The folder is read a certificate at a time, which saves most of the time of a delivery.
_SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


class Security:
    """Make the TLS end of each connection of an account."""

    __slots__ = ("_account", "_contexts", "_session")

    def __init__(self, account: "Account") -> None:
        self._account = account
        self._contexts: dict[tuple[bool, bool, str], Context] = {}
        self._session: Session | None = None

    def context(self, verify: bool, bundle: bool = False, host: str = "") -> Context:
        """Return the context; `bundle` looks for roots in the system's one large file. Raises ConfigError.

        `host` is whom the certificate has to be for, the account's first host if it is not given.
        """
        key = (verify, bundle, host or self._account.host)
        if key not in self._contexts:
            self._contexts[key] = context(self._settings(verify, key[2]), bundle=bundle)
        return self._contexts[key]

    def tls(self, verify: bool, bundle: bool, host: str = "") -> TLS:
        """Return a new TLS end."""
        kept = self.context(verify, bundle, host)
        resumable = self._session if self._session is not None and self._session.context is kept else None
        return TLS(kept, kept.settings.host, resumable)

    def remember(self, tls: TLS) -> None:
        """Keep the session of a connection that comes to its end."""
        self._session = tls.session or self._session

    def _settings(self, verify: bool, host: str) -> TLSSettings:
        account = self._account
        return TLSSettings(
            verify=verify and account.tls_certcheck,
            trust=None if account.tls_trust_file == _SYSTEM_BUNDLE else account.tls_trust_file,
            crl_file=account.tls_crl_file,
            fingerprint=account.tls_fingerprint,
            min_version=account.tls_min_version,
            cert_file=account.tls_cert_file,
            key_file=account.tls_key_file,
            host=account.tls_host_override or host,
        )
