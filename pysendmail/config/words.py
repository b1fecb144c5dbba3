"""The one table of words for accounts: what each means, how its value is read, and what holds when it is not written.

Every word of ours and of msmtp's stands here, but for those of the daemon. A word either acts, is an older spelling of
one that acts, is passed over with a note because nothing is lost by it, or is refused because ignoring it would send
mail another way or with less protection than the file asks for.
"""

from pysendmail.config import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ACTS, OLD, NOTED, REFUSED = range(4)

# Words whose values are secret, or may be.
SECRETS = frozenset(("password", "passwordeval"))

# word: (ACTS, converter, default), (OLD, converter, the word that acts) or (NOTED or REFUSED, what is looked at, text)
WORDS: "dict[str, tuple[int, Callable[[str], object], object]]" = {
    # the server
    "host": (ACTS, values.hosts, ""),
    "srv_domains": (ACTS, values.domains, None),
    "port": (ACTS, values.port, 0),
    "source_ip": (ACTS, values.optional_address, None),
    "domain": (ACTS, values.greeting, None),
    "timeout": (ACTS, values.seconds, None),
    # TLS
    "tls": (ACTS, values.tls, "on"),
    "tls_starttls": (ACTS, values.flag, True),
    "tls_trust_file": (ACTS, values.trust, None),
    "tls_crl_file": (ACTS, values.path, None),
    "tls_certcheck": (ACTS, values.flag, True),
    "tls_fingerprint": (ACTS, values.fingerprint, None),
    "tls_host_override": (ACTS, values.optional_host, None),
    "tls_min_version": (ACTS, values.version, "TLS1.2"),
    "tls_cert_file": (ACTS, values.path, None),
    "tls_key_file": (ACTS, values.path, None),
    # login
    "auth": (ACTS, values.login, False),
    "auth_without_tls": (ACTS, values.flag, False),
    "user": (ACTS, values.text, None),
    "password": (ACTS, values.text, None),
    "passwordeval": (ACTS, values.text, None),
    # sender and recipients
    "from": (ACTS, values.sender, None),
    "from_full_name": (ACTS, values.text, None),
    "allow_from_override": (ACTS, values.flag, True),
    "auto_from": (ACTS, values.flag, False),
    "maildomain": (ACTS, values.domain, None),
    "local_sender": (ACTS, values.mailbox, None),
    "null_sender": (ACTS, values.mailbox, None),
    "sender_from_header": (ACTS, values.flag, False),
    "aliases": (ACTS, values.path, None),
    "aliases_headers": (ACTS, values.flag, False),
    "local_mail": (ACTS, values.mailboxes, None),
    "system_mail": (ACTS, values.mailboxes, None),
    "bad_recipients": (ACTS, values.bad_recipients, "refuse"),
    "recipient_domains": (ACTS, values.recipient_domains, None),
    "max_recipients": (ACTS, values.recipients, 1000),
    "extract_minus_args": (ACTS, values.flag, False),
    # the message
    "set_from_header": (ACTS, values.from_header, "auto"),
    "set_date_header": (ACTS, values.auto_header, "auto"),
    "set_msgid_header": (ACTS, values.auto_header, "auto"),
    "undisclosed_recipients": (ACTS, values.flag, False),
    "allow_empty": (ACTS, values.flag, False),
    "privacy": (ACTS, values.flag, False),
    "dsn_notify": (ACTS, values.notify, None),
    "dsn_return": (ACTS, values.returned, None),
    # the queue
    "queue": (ACTS, values.queue, None),
    "delivery": (ACTS, values.delivery, "i"),
    "retry": (ACTS, values.pauses, (60.0, 3600.0)),
    "expire": (ACTS, values.duration, 432000.0),
    "warn": (ACTS, values.duration_or_off, 14400.0),
    "keepfailed": (ACTS, values.duration, 604800.0),
    "connections": (ACTS, values.connections, 4),
    "keep_connections": (ACTS, values.duration_or_off, 60.0),
    "rate": (ACTS, values.rate, None),
    "uncertain": (ACTS, values.uncertain, "retry"),
    "postmaster": (ACTS, values.sender, None),
    # log and callers
    "logfile": (ACTS, values.log_file, None),
    "syslog": (ACTS, values.facility, "LOG_MAIL"),
    "caller_config": (ACTS, values.flag, False),
    # older spellings, most of them msmtp's
    "add_missing_from_header": (OLD, values.missing_header, "set_from_header"),
    "add_missing_date_header": (OLD, values.missing_header, "set_date_header"),
    "connect_timeout": (OLD, values.seconds, "timeout"),
    "tls_nostarttls": (OLD, values.negated, "tls_starttls"),
    "tls_nocertcheck": (OLD, values.negated, "tls_certcheck"),
    # msmtp's, of no consequence here
    "remove_bcc_headers": (NOTED, values.negated, "has no effect: Bcc is always removed"),
    "keepbcc": (NOTED, values.flag, "has no effect: Bcc is always removed"),
    "logfile_time_format": (NOTED, values.empty_is_fine, "has no effect: the log has Postfix's shape"),
    "ntlmdomain": (NOTED, values.empty_is_fine, "has no effect: NTLM is not offered"),
    "proxy_port": (NOTED, values.empty_is_fine, "has no effect without proxy_host"),
    "tls_min_dh_prime_bits": (NOTED, values.small_prime, "has no effect: OpenSSL already asks for as much"),
    "tls_force_sslv3": (NOTED, values.flag, "has no effect: TLS 1.2 is the least that is used"),
    # msmtp's, of consequence
    "eval": (REFUSED, values.any_value, "commands are not run while the file is read; see passwordeval"),
    "protocol": (REFUSED, values.not_smtp, "LMTP is not offered"),
    "socket": (REFUSED, values.empty_is_fine, "local sockets are not offered"),
    "proxy_host": (REFUSED, values.empty_is_fine, "connections through a proxy are not offered"),
    "tls_priorities": (REFUSED, values.empty_is_fine, "priorities are not offered; see tls_min_version"),
}

# Words for the whole file; config/daemon.py reads them, and is loaded where there are any.
OF_THE_DAEMON = ("listen", "submission_socket", "run_as", "idle_exit", "agent", "received_user", "caller")
