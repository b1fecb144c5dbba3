"""How the value of each word is read, and what is said of one that is not fit."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.config import values
from pysendmail.config.words import ACTS, NOTED, OLD, REFUSED, WORDS
from pysendmail.smtp import sasl

DIGEST = hashlib.sha256(b"certificate").hexdigest()
SHORT = hashlib.sha1(b"certificate").hexdigest()
COLONS = ":".join(DIGEST[at : at + 2] for at in range(0, 64, 2)).upper()
BASE64 = base64.b64encode(bytes.fromhex(DIGEST)).decode()

READ: list[tuple[str, str, object]] = [
    ("host", "smtp.example.org", "smtp.example.org"),
    ("host", "smtp.example.org.", "smtp.example.org"),
    ("host", "my_relay", "my_relay"),
    ("host", "a.example b.example:587", "a.example b.example:587"),
    ("host", "a  [2001:db8::1]:25 [192.0.2.1]:26 2001:db8::2", "a [2001:db8::1]:25 192.0.2.1:26 2001:db8::2"),
    ("host", "SRV:example.org. spare", "srv:example.org spare"),
    ("srv_domains", "Example.ORG  b\u00fccher.example".encode().decode("latin-1"), ("example.org", "xn--bcher-kva.example")),
    ("srv_domains", "", None),
    ("host", "192.0.2.1", "192.0.2.1"),
    ("host", "2001:db8::1", "2001:db8::1"),
    ("host", "[2001:db8::1]", "2001:db8::1"),
    ("host", "fe80::1%eth0", "fe80::1%eth0"),
    ("host", "smtp.b\u00fccher.example".encode().decode("latin-1"), "smtp.xn--bcher-kva.example"),
    ("port", "1", 1),
    ("port", "65535", 65535),
    ("source_ip", "192.0.2.7", "192.0.2.7"),
    ("source_ip", "::1", "::1"),
    ("source_ip", "", None),
    ("domain", "mail.example.org", "mail.example.org"),
    ("domain", "[192.0.2.1]", "[192.0.2.1]"),
    ("domain", "[IPv6:::1]", "[IPv6:::1]"),
    ("domain", "%H.example.org", "%H.example.org"),
    ("domain", "", None),
    ("timeout", "10", 10.0),
    ("timeout", "off", None),
    ("tls", "on", "on"),
    ("tls", "", "on"),
    ("tls", "off", "off"),
    ("tls", "opportunistic", "opportunistic"),
    ("tls_starttls", "", True),
    ("tls_starttls", "off", False),
    ("tls_certcheck", "OFF", False),
    ("tls_trust_file", "system", None),
    ("tls_trust_file", "/etc/ca.pem", "/etc/ca.pem"),
    ("tls_trust_file", "", ""),
    ("tls_crl_file", "/etc/crl.pem", "/etc/crl.pem"),
    ("tls_crl_file", "", None),
    ("tls_min_version", "1.3", "TLS1.3"),
    ("tls_min_version", "TLSv1.2", "TLS1.2"),
    ("tls_fingerprint", COLONS, DIGEST),
    ("tls_fingerprint", DIGEST, DIGEST),
    ("tls_fingerprint", SHORT, SHORT),
    ("tls_fingerprint", f"spki:{DIGEST.upper()}", f"spki:{DIGEST}"),
    ("tls_fingerprint", f"sha256/{BASE64}", f"spki:{DIGEST}"),
    ("tls_fingerprint", f"sha256//{BASE64}", f"spki:{DIGEST}"),
    ("tls_fingerprint", f"{COLONS}  spki:{DIGEST}", f"{DIGEST} spki:{DIGEST}"),
    ("tls_fingerprint", "", None),
    ("tls_host_override", "mail.example.org", "mail.example.org"),
    ("tls_host_override", "", None),
    ("auth", "on", True),
    ("auth", "", True),
    ("auth", "off", False),
    ("auth", "plain", b"PLAIN"),
    ("auth", "Scram-SHA-256", b"SCRAM-SHA-256"),
    ("user", "", None),
    ("user", "J\xfcrgen", b"J\xfcrgen"),
    ("password", ' # " ', b' # " '),
    ("from", "alice@example.org", b"alice@example.org"),
    ("from", "<alice@example.org>", b"alice@example.org"),
    ("from", '"a b"@example.org', b'"a b"@example.org'),
    ("from", "alice", b"alice"),
    ("from", "alice@[IPv6:2001:db8::1]", b"alice@[IPv6:2001:db8::1]"),
    ("from", "*@example.org", b"*@example.org"),
    ("from", "%U@%M", b"%U@%M"),
    ("from", "", None),
    ("null_sender", "cron@example.org", b"cron@example.org"),
    ("null_sender", "cron@b\u00fccher.example".encode().decode("latin-1"), b"cron@xn--bcher-kva.example"),
    ("maildomain", "example.org", b"example.org"),
    ("maildomain", "b\u00fccher.example".encode().decode("latin-1"), b"xn--bcher-kva.example"),
    ("maildomain", "", None),
    ("aliases", "/etc/aliases", "/etc/aliases"),
    ("logfile", "~/mail.log", "~/mail.log"),
    ("logfile", "/dev/stderr", "/dev/stderr"),
    ("syslog", "on", "LOG_MAIL"),
    ("syslog", "", "LOG_MAIL"),
    ("syslog", "off", None),
    ("syslog", "LOG_LOCAL7", "LOG_LOCAL7"),
    ("set_from_header", "on", "on"),
    ("set_from_header", "", "auto"),
    ("set_date_header", "off", "off"),
    ("set_msgid_header", "auto", "auto"),
    ("add_missing_from_header", "off", "off"),
    ("add_missing_date_header", "on", "auto"),
    ("dsn_notify", "off", None),
    ("dsn_notify", "never", b"NEVER"),
    ("dsn_notify", "delay,failure", b"FAILURE,DELAY"),
    ("dsn_notify", "failure, delay, success", b"SUCCESS,FAILURE,DELAY"),
    ("dsn_return", "off", None),
    ("dsn_return", "headers", b"HDRS"),
    ("dsn_return", "full", b"FULL"),
    ("bad_recipients", "skip", "skip"),
    ("max_recipients", "50", 50),
    ("queue", "/var/spool/pysendmail/queue", "/var/spool/pysendmail/queue"),
    ("queue", "~/.local/state/pysendmail/queue", "~/.local/state/pysendmail/queue"),
    ("queue", "off", None),
    ("queue", "OFF", None),
    ("queue", "", None),
    ("delivery", "interactive", "i"),
    ("delivery", "Background", "b"),
    ("delivery", "queue", "q"),
    ("retry", "1m 1h", (60.0, 3600.0)),
    ("retry", "30  90", (30.0, 90.0)),
    ("retry", "5m", (300.0, 3600.0)),
    ("retry", "2h", (7200.0, 7200.0)),
    ("retry", "1h 1h", (3600.0, 3600.0)),
    ("expire", "90", 90.0),
    ("expire", "90s", 90.0),
    ("expire", "30m", 1800.0),
    ("expire", "4h", 14400.0),
    ("expire", "5D", 432000.0),
    ("expire", "1w", 604800.0),
    ("expire", "1h30m", 5400.0),
    ("expire", "1m30", 90.0),
    ("expire", "0h1s", 1.0),
    ("expire", "366d", 31622400.0),
    ("warn", "4h", 14400.0),
    ("warn", "off", None),
    ("warn", "Off", None),
    ("keepfailed", "2w", 1209600.0),
    ("connections", "1", 1),
    ("connections", "100", 100),
    ("rate", "off", None),
    ("rate", "30/m", (30, 60.0)),
    ("rate", "100/1h", (100, 3600.0)),
    ("rate", "1/10", (1, 10.0)),
    ("rate", "1000000/d", (1000000, 86400.0)),
    ("rate", "5/1m30s", (5, 90.0)),
    ("uncertain", "retry", "retry"),
    ("uncertain", "HOLD", "hold"),
    ("postmaster", "<root@example.org>", b"root@example.org"),
    ("postmaster", "", None),
    ("connect_timeout", "7", 7.0),
    ("tls_nostarttls", "", False),
    ("tls_nocertcheck", "", False),
    ("tls_nocertcheck", "off", True),
]

UNFIT = [
    ("host", ""), ("host", "smtp.example.org:0"), ("host", "= smtp.example.org"), ("host", "a .b"), ("host", ".a"),
    ("host", "-a"), ("host", "a..b"), ("host", "a/b"), ("host", "[a]b"), ("host", "1:2:3"), ("host", "\xff"),
    ("host", "a%b"), ("host", "fe80::1%"), ("host", "a:b"), ("host", "[::1]:x"), ("host", "srv:"), ("host", "srv:a:1"), ("host", "a:1 b:65536"),
    ("host", "a " * 17), ("srv_domains", "a b/c"), ("host", "a" * 256),
    ("port", ""), ("port", "0"), ("port", "65536"), ("port", "025"), ("port", "+25"), ("port", "smtp"),
    ("port", "\xb2"),
    ("port", "25 # submission"), ("port", "9" * 5000),
    ("source_ip", "example.org"), ("source_ip", "[::1]"), ("source_ip", "192.0.2"),
    ("domain", "a b"), ("domain", "[a]"), ("domain", "%C"), ("domain", "%H %H"),
    ("timeout", "0"), ("timeout", "-1"), ("timeout", "1.5"), ("timeout", "86401"), ("timeout", "none"),
    ("tls", "yes"), ("tls_starttls", "yes"), ("tls_certcheck", "1"),
    ("tls_trust_file", "ca.pem"), ("tls_crl_file", "~alice/crl"), ("tls_cert_file", "pkcs11:token=x"),
    ("tls_min_version", "1.1"), ("tls_min_version", ""), ("tls_min_version", "SSLv3"),
    ("tls_fingerprint", "00:11"), ("tls_fingerprint", DIGEST[:32]), ("tls_fingerprint", f"spki:{SHORT}"),
    ("tls_fingerprint", f"sha256/{BASE64[:-4]}"), ("tls_fingerprint", f"{DIGEST} x"),
    ("tls_fingerprint", "sha256/\xff"),
    ("tls_fingerprint", f"{DIGEST[:-1]}"), ("tls_fingerprint", "é" * 64),
    ("auth", "ntlm"), ("auth", "gssapi"), ("auth", "plain login"),
    ("from", "Alice <alice@example.org>"), ("from", "a@b,c@d"), ("from", "a@b@c"), ("from", "<>"), ("from", "@b"),
    ("from", "a@"), ("from", "a b@c"), ("from", '"a@b'), ("from", '"a"@b, "c"@d'), ("from", "a@b>"),
    ("null_sender", "cron"), ("null_sender", "*@example.org"),
    ("maildomain", "a b"), ("maildomain", "@b"),
    ("aliases", "aliases"), ("logfile", "-"), ("logfile", "mail.log"),
    ("syslog", "LOG_KERN"), ("syslog", "LOG_LOCAL8"), ("syslog", "LOG_LOCAL77"), ("syslog", "yes"),
    ("set_from_header", "yes"), ("set_date_header", "on"), ("set_msgid_header", "on"),
    ("dsn_notify", ""), ("dsn_notify", "never,failure"), ("dsn_notify", "all"),
    ("dsn_return", ""), ("dsn_return", "all"), ("bad_recipients", "send"), ("max_recipients", "0"),
    ("remove_bcc_headers", "maybe"), ("protocol", "http"), ("tls_min_dh_prime_bits", "4096"),
    ("queue", "queue.db"), ("queue", "./queue"), ("queue", "~alice/queue"), ("queue", "on"),
    ("queue", "postgresql://mail:geheim@db/queue"), ("queue", "PostgreSQL:dbname=x"),
    ("delivery", "fast"), ("delivery", ""), ("delivery", "b"), ("delivery", "deferred"),
    ("retry", ""), ("retry", "1m 1h 2h"), ("retry", "2h 1h"), ("retry", "often"), ("retry", "0 1h"), ("retry", "1m,1h"),
    ("retry", "off"),
    ("expire", ""), ("expire", "0"), ("expire", "0d"), ("expire", "367d"), ("expire", "h"), ("expire", "-1h"),
    ("expire", "1.5h"), ("expire", "5 d"), ("expire", "5y"), ("expire", "off"), ("expire", "1hm"), ("expire", "\xb2"),
    ("expire", "1\xb2h"), ("expire", "9" * 5000), ("expire", "9" * 10 + "s"), ("warn", "never"), ("warn", "0"),
    ("keepfailed", "off"), ("keepfailed", "forever"),
    ("connections", "0"), ("connections", "101"), ("connections", "02"), ("connections", "many"), ("connections", ""),
    ("rate", ""), ("rate", "30"), ("rate", "40/"), ("rate", "/m"), ("rate", "0/s"), ("rate", "1000001/m"),
    ("rate", "30/month"), ("rate", "30/0s"), ("rate", "30/m/m"), ("rate", "30 per m"), ("rate", "1.5/s"),
    ("rate", "on"), ("uncertain", "drop"), ("uncertain", ""), ("uncertain", "on"),
    ("postmaster", "a@b, c@d"), ("postmaster", "Root <root@example.org>"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "value", "meaning"), READ)
def test_a_value_is_read_as_its_word_says(word: str, value: str, meaning: object) -> None:
    assert WORDS[word][1](value) == meaning


@pytest.mark.parametrize(("word", "value"), UNFIT)
def test_an_unfit_value_is_refused_and_never_repeated(word: str, value: str) -> None:
    with pytest.raises(values.Expected) as caught:
        WORDS[word][1](value)
    assert str(caught.value)
    assert len(value) < 3 or value not in str(caught.value)


@given(word=st.sampled_from(sorted(WORDS)), value=st.text(st.characters(min_codepoint=32, max_codepoint=255)))
def test_any_text_is_read_or_refused_but_breaks_nothing(word: str, value: str) -> None:
    try:
        WORDS[word][1](value)
    except values.Expected as expected:
        assert str(expected)


def test_every_word_has_a_doing_and_what_belongs_to_it() -> None:
    for word, (doing, convert, extra) in WORDS.items():
        assert callable(convert), word
        if doing == OLD:
            assert WORDS[str(extra)][0] == ACTS, word
        elif doing in (NOTED, REFUSED):
            assert isinstance(extra, str) and extra, word
        else:
            assert doing == ACTS, word


def test_every_word_of_msmtp_is_known() -> None:
    msmtp = """eval host port source_ip proxy_host proxy_port socket timeout protocol domain auth user password
        passwordeval ntlmdomain tls tls_starttls tls_trust_file tls_crl_file tls_fingerprint tls_key_file tls_cert_file
        tls_certcheck tls_priorities tls_host_override tls_min_dh_prime_bits from from_full_name allow_from_override
        dsn_notify dsn_return set_from_header set_date_header set_msgid_header add_missing_from_header
        add_missing_date_header remove_bcc_headers undisclosed_recipients logfile logfile_time_format syslog aliases
        auto_from maildomain keepbcc connect_timeout tls_nostarttls tls_nocertcheck tls_force_sslv3"""
    assert set(msmtp.split()) <= set(WORDS)


def test_the_mechanisms_are_those_that_the_client_can_do() -> None:
    assert {name.upper().encode() for name in values.MECHANISMS} == set(sasl.SUPPORTED)
