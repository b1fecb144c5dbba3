"""How real programs call sendmail, how attackers do, and what holds for every command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail.errors import Failure, Unavailable, UsageError
from pysendmail.options import ATTACHED, NONE, TABLE, Options, parse
from tests.test_options import VALID, read, refusal

# --- hostile arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("octet", [bytes([c]) for c in [*range(9), *range(10, 32), 127]])
def test_a_control_character_in_any_argument_is_refused(octet: bytes) -> None:
    for argv in ([b"a@b" + octet], [b"-f", octet + b"a@b"], [b"-Fx" + octet], [b"--", octet], [b"-X", octet],
                 [b"--account=" + octet], [b"-t", b"-V" + octet], [b"--help", octet], [b"-" + octet]):  # fmt: skip
        assert "control character" in refusal(*argv)


def test_a_tab_is_a_blank() -> None:
    assert read("a@b,\tc@d").recipients == [b"a@b,\tc@d"]


EXPLOITS = [
    ["-X/var/www/x.php", "-OQueueDirectory=/tmp"],
    ["-oQ/tmp/", "-X/var/www/cache/phpcode.php"],
    ["-fa@b", "-OQueueDirectory=/tmp", "-X/x.php", "-oQ/tmp", "-oA/etc/passwd", "-oP/root/x", "-oS/x", "-D/tmp/x"],
    ["-O", "AliasFile=/etc/shadow", "-O", "ControlSocketName=/x", "-O", "PidFile=/x", "-O", "StatusFile=/x"],
    ["-oP/tmp/pid", "-oX25", "-D", "MACRO=${run{id}}", "-p", "x:y", "-Ms", "-M", "x"],
    ["-L", "../../etc/x", "--logfile=/var/www/x.php"],
]


@pytest.mark.parametrize("argv", EXPLOITS)
def test_an_exploit_string_gives_no_path_to_anyone(argv: list[str]) -> None:
    options = read(*argv, "-t")
    paths = [getattr(options, slot) for slot in Options.__slots__ if slot not in ("ignored", "tag")]
    assert not any(b"/" in value for value in paths if isinstance(value, bytes))
    assert not any(b"/" in name for name in options.ignored)
    assert options.recipients == []


@pytest.mark.parametrize(
    "argv", [["-be", "${run{/bin/id}}"], ["-bP"], ["-bt"], ["-bhc", "1"], ["-Q", "x"], ["-E"], ["-ps\nx"]]
)
def test_what_others_would_run_is_refused(argv: list[str]) -> None:
    refusal(*argv, "-t")


def test_a_quoted_address_that_smuggles_options_stays_one_argument() -> None:
    smuggled = '"a\\" -oQ/tmp/ -X/var/www/x.php  b"@example.org'
    assert read("-t", "-f" + smuggled).sender == smuggled.encode()
    assert read("-t", smuggled).recipients == [smuggled.encode()]


def test_long_command_lines_are_read_in_linear_time() -> None:
    options = read("-" + "t" * 100_000, *["r@x"] * 100_000, "-F" + "n" * 1_000_000)
    assert len(options.recipients) == 100_000


# --- how real programs call ------------------------------------------------------------------------------------------

R = [b"bob@example.org", b"eve@example.net"]
CALLS: list[tuple[str, str, dict[str, object]]] = [
    ("Debian cron", "-FCronDaemon -i -B8BITMIME -oem {R}",
     {"full_name": b"CronDaemon", "body": b"8BITMIME", "ignore_dots": True}),
    ("cronie", "-FCronDaemon -i -odi -oem -oi -t -f alice", {"sender": b"alice", "extract": True, "delivery": "i"}),
    ("cronie 1.7", "-FCronDaemon -i -odi -oem -oi -t -f <>", {"sender": b"", "extract": True, "errors": "m"}),
    ("Vixie cron", "-FCronDaemon -odi -oem -or0s {R}", {"delivery": "i", "ignore_dots": False}),
    ("BSD cron", "-FCronDaemon -odi -oem -oi -t", {"extract": True, "ignore_dots": True}),
    ("anacron", "-FAnacron -odi {R}", {"full_name": b"Anacron", "ignore_dots": False}),
    ("at", "-i {R}", {"ignore_dots": True}),
    ("systemd-cron 1", "-i -B8BITMIME {R}", {"body": b"8BITMIME"}),
    ("systemd-cron 2", "-i -B 8BITMIME {R}", {"body": b"8BITMIME"}),
    ("sudo", "-t", {"extract": True, "ignore_dots": False}),
    ("mutt", "-oem -oi -B8BITMIME -f a@x -N failure,delay -R hdrs -- {R}",
     {"sender": b"a@x", "notify": b"FAILURE,DELAY", "ret": b"HDRS", "body": b"8BITMIME", "errors": "m"}),
    ("mutt with -t", "-t -oem -oi -- {R}", {"extract": True}),
    ("s-nail", "-i -m -v -F name -f a@x -- {R}", {"verbose": True, "delivery": "i", "full_name": b"name"}),
    ("bsd-mailx", "-i -t -f a@x", {"sender": b"a@x", "extract": True}),
    ("GNU mail", "-oi -f a@x -t", {"sender": b"a@x", "extract": True, "ignore_dots": True}),
    ("alpine, sendmail-path", "-oem -t -oi", {"extract": True}),
    ("alpine, SMTP", "-bs -odb -oem", {"mode": "smtp", "delivery": "b"}),
    ("nmh, SMTP", "-bs -odb -oem -om", {"mode": "smtp"}),
    ("nmh, pipe", "-t -i", {"extract": True, "ignore_dots": True}),
    ("aerc", "{R}", {"ignore_dots": False}),
    ("git send-email", "-f a@x -i {R}", {"sender": b"a@x"}),
    ("git send-email, plain", "-i {R}", {"sender": None}),
    ("PHP mail() with a fifth parameter", "-t -i -fa@x", {"sender": b"a@x", "extract": True}),
    ("PHPMailer isSendmail", "-t -i -oi -fa@x -t", {"sender": b"a@x", "extract": True}),
    ("Symfony, default", "-bs -i", {"mode": "smtp"}),
    ("Symfony, -t", "-oi -fa@x -- {R}", {"sender": b"a@x"}),
    ("Ruby mail", "-i -f a@x -- {R}", {"sender": b"a@x"}),
    ("Ruby mail, exim", "-i -t -f a@x --", {"sender": b"a@x", "extract": True}),
    ("Email::Sender", "-i -f a@x -- {R}", {"sender": b"a@x"}),
    ("MIME::Lite", "-t -oi -oem -fa@x", {"sender": b"a@x", "extract": True}),
    ("mime-construct", "-oi {R}", {"ignore_dots": True}),
    ("Nodemailer", "-i -f a@x {R}", {"sender": b"a@x"}),
    ("Nodemailer with args", "-i -t {R}", {"extract": True}),
    ("Python recipes", "-toi", {"extract": True, "ignore_dots": True}),
    ("Mailman 2", "-f a@x {R}", {"sender": b"a@x", "ignore_dots": False}),
    ("Emacs", "-oi -f a@x -oA/etc/aliases -oep -odi -t -N failure",
     {"errors": "p", "delivery": "i", "notify": b"FAILURE"}),
    ("Emacs, background", "-oi -f a@x -oem -odb -t", {"errors": "m", "delivery": "b"}),
    ("Gnus, mu4e", "-oi --read-envelope-from -f a@x -oem -odb -t", {"read_envelope_from": True, "sender": b"a@x"}),
    ("mu4e for msmtp", "--read-envelope-from -a work -t", {"read_envelope_from": True, "account": b"work"}),
    ("fail2ban", "-f a@x {R}", {"sender": b"a@x", "ignore_dots": False}),
    ("popularity-contest", "-oi -f a@x {R}", {"sender": b"a@x"}),
    ("reportbug", "-f a@x -oi -oem {R}", {"sender": b"a@x", "errors": "m"}),
    ("procmail", "-oi {R}", {"sender": None}),
    ("maildrop", "-oi -f {NULL} {R}", {"sender": b""}),
    ("Dovecot Sieve", "-i -f a@x -- {R}", {"sender": b"a@x"}),
    ("Dovecot Sieve, reject", "-i -f <> -- {R}", {"sender": b""}),
    ("fetchmail", "-i -f a@x -- {R}", {"sender": b"a@x"}),
    ("vacation", "-f alice -- {R}", {"sender": b"alice"}),
    ("RT", "-oi -ODeliveryMode=b -OErrorMode=m -f queue@x -t -f verp@x",
     {"sender": b"verp@x", "delivery": "b", "errors": "m"}),
    ("RT, bounce", "-oi -f <> -t", {"sender": b"", "extract": True}),
    ("Sympa", "-oi -odi -oem -N success,delay,failure -V00000123 -f {NULL} -- {R}",
     {"notify": b"SUCCESS,FAILURE,DELAY", "envid": b"00000123", "sender": b"", "delivery": "i"}),
    ("Bugzilla", "-i -fa@x -ODeliveryMode=deferred -t", {"delivery": "q", "extract": True}),
    ("swaks", "-bs", {"mode": "smtp"}),
    ("init script", "-bd -q30m", {"mode": "daemon", "interval": 1800}),
    ("if-up script", "-q", {"mode": "queue", "interval": None}),
    ("monitoring", "-bp", {"mode": "list"}),
    ("debian maintainer script", "-bi", {"mode": "aliases"}),
]  # fmt: skip


@pytest.mark.parametrize(("caller", "line", "expected"), CALLS, ids=[c[0] for c in CALLS])
def test_real_programs_are_understood(caller: str, line: str, expected: dict[str, object]) -> None:
    argv: list[bytes] = []
    for word in line.encode().split():
        argv += R if word == b"{R}" else [b"" if word == b"{NULL}" else word]
    options = parse(argv)
    for slot, value in expected.items():
        assert getattr(options, slot) == value, slot
    assert options.recipients == (R if "{R}" in line else [])
    assert options.mode == expected.get("mode", "deliver")
    assert options.extract == ("-t" in line.split() or "-toi" in line)


def test_crons_list_of_recipients_is_one_argument() -> None:
    assert read("-i", "a@x,b@y").recipients == [b"a@x,b@y"]


# --- properties ------------------------------------------------------------------------------------------------------

ARGUMENTS = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"-", b"--", b"-q", b"-oM", b"-d", b"-b", b"--debug", b"--from", b"--account=", b"-f", b"-C"]),
    st.builds(lambda letters: b"-" + letters, st.text("tifrFbqoeOBNRVhLXACDdMpGnmqI!0.1s", max_size=5).map(str.encode)),
)


@given(st.lists(ARGUMENTS, max_size=8), st.sampled_from([b"sendmail", b"mailq", b"newaliases", b"smtpd"]))
def test_any_command_line_is_read_or_refused(argv: list[bytes], name: bytes) -> None:
    try:
        options = parse(argv, name)
    except (UsageError, Unavailable) as failure:
        assert str(failure).isprintable() and str(failure).isascii()
    except Failure as failure:
        pytest.fail(f"{failure!r} is no usage error")
    else:
        assert set(options.recipients) <= set(argv)


@st.composite
def _option(draw: st.DrawFn) -> list[bytes]:
    """Give one option of the table with what it takes, in any form; its argument is marked, or of its kind."""
    name = draw(st.sampled_from(sorted(set(TABLE) - {b"-b", b"-I", b"-q", b"--help", b"--version"})))
    kind = TABLE[name][0]
    value = VALID.get(name) or draw(st.sampled_from([b"mark", b"mark@x", b"-mark", b"em", b"i"]))
    flags = draw(st.text("tivGUcmnsx", max_size=3)).encode()
    if kind == NONE:
        return [b"-" + flags + name[1:]] if len(name) == 2 else [name]
    if name.startswith(b"--"):
        return [name + b"=" + value] if kind == ATTACHED or draw(st.booleans()) else [name, value]
    letters = b"-" + flags + name[1:]
    return [letters + value] if kind == ATTACHED or draw(st.booleans()) else [letters, value]


@given(st.lists(st.one_of(_option(), st.just([b"bob@x"]), st.just([b"eve"])), max_size=8), st.booleans())
def test_an_options_argument_is_never_a_recipient_and_no_recipient_is_lost(
    parts: list[list[bytes]], ended: bool
) -> None:
    argv = [argument for part in parts for argument in part] + ([b"--", b"-t"] if ended else [])
    wanted = [part[0] for part in parts if part[0][:1] != b"-"] + ([b"-t"] if ended else [])
    assert parse(argv).recipients == wanted
