"""Text that is fit to be shown, secrets that are not, and where the lines of the log go."""

import contextlib
import os
import pathlib
import re
import socket
import stat
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysendmail import log
from pysendmail.command.result import record
from pysendmail.delivery.deliver import Report
from pysendmail.log import Log, Masker, delays_text, printable, queue_id
from pysendmail.smtp.outcome import DEFERRED, FAILED, SENT, UNCERTAIN, Outcome
from tests.delivery.memory import parcel

NOW = 1_700_000_000

# Text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain text", "plain text"),
        ("plain text", "plain text"),
        (b"", ""),
        (b"two\r\nlines\ttab", "two lines tab"),
        (b"bare\rcr bare\nlf nul\0 bell\x07 del\x7f esc\x1b[2J", "bare?cr bare?lf nul? bell? del? esc?[2J"),
        (b"8-bit C1 \x9b31m \x85", "8-bit C1 \\x9b31m \\x85"),
        ("C1 \x9b31m \x85 \x80".encode(), "C1 ?31m ? ?"),
        ("C1 \x9b", "C1 ?"),
        ("Grüße 📬 日本".encode(), "Grüße 📬 日本"),
        (b"not utf-8 \xff\xc3", "not utf-8 \\xff\\xc3"),
        ("surrogate \udcff", "surrogate \\xff"),
        ("rtl \u202e lre \u202a iso \u2066\u2069 mark \u200f\u061c", "rtl ? lre ? iso ?? mark ??"),
        ("lines \u2028 \u2029 bom \ufeff soft\xad", "lines ? ? bom ? soft?"),
    ],
)
def test_what_is_shown_is_one_line_without_anything_that_acts(raw: bytes | str, shown: str) -> None:
    assert printable(raw) == shown


@pytest.mark.parametrize("unit", [b"x", "ä".encode(), "📬".encode(), b"\xff", b"\x1b", b"\r\n", b"\t"])
@pytest.mark.parametrize("limit", [3, 64, 1024])
def test_no_text_is_too_long(unit: bytes, limit: int) -> None:
    for count in (limit - 1, limit, limit + 1, 5 * limit, 100_000):
        text = printable(unit * count, limit)
        assert len(text) <= limit
        assert len(unit * count) > limit or "..." not in text or unit == b"\xff"  # which is written as four


@given(st.one_of(st.binary(max_size=200), st.text(st.characters(exclude_categories=()), max_size=100)))
def test_whatever_comes_a_terminal_is_safe_from_it(raw: bytes | str) -> None:
    if isinstance(raw, str):
        raw = raw.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")  # as text gets here
    text = printable(raw)
    assert not re.search("[\0-\x1f\x7f-\x9f\u200e\u200f\u061c\u2028-\u202e\u2066-\u2069]", text)
    text.encode()  # and into any file


# Secrets


PASSWORD = b"c0rrect-horse:battery%staple"
TOKEN = b64encode(bytes(range(256)) * 8).replace(b"=", b"")


@pytest.mark.parametrize("secret", [PASSWORD, b"abc", b"geheim", "pässwörd ✓".encode(), TOKEN, b"two words here"])
@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"\0user\0", b"user=x\x01auth=Bearer "])
def test_a_secret_is_masked_as_it_is_and_inside_any_base64(secret: bytes, before: bytes) -> None:
    masker = Masker([secret])
    assert masker.mask(b"it is " + secret + b" then") == b"it is **** then"
    for after in (b"", b"!", b"\x01\x01", b"more"):
        encoded = b64encode(before + secret + after)
        shown = masker.mask(b"535 " + encoded)
        assert b64encode(before + secret + b"\0\0\0")[(len(before) * 8 + 5) // 6 :][:4] not in shown or len(secret) < 4
        assert encoded not in shown or len(secret) < 4


@pytest.mark.parametrize("secret", [b"", b"a", b"ab"])
def test_what_is_too_short_to_be_told_from_chance_is_not_masked(secret: bytes) -> None:
    assert Masker([secret]).mask(b"a banana and an abbot") == b"a banana and an abbot"


def test_without_secrets_nothing_changes() -> None:
    assert Masker().mask(b"535 5.7.8 no") == b"535 5.7.8 no"
    assert Masker().mask_lines([b"a", b"b"]) == [b"a", b"b"]


def test_the_longer_of_two_secrets_goes_as_a_whole() -> None:
    assert Masker([b"horse", b"correct-horse"]).mask(b"correct-horse") == b"****"
    masker = Masker([b"horse"])
    masker.add([b"battery"])
    assert masker.mask(b"horse battery") == b"**** ****"


@pytest.mark.parametrize("secret", [PASSWORD, b64encode(PASSWORD), TOKEN, b"\0user\0" + PASSWORD])
@pytest.mark.parametrize("width", [5, 20, 76])
@pytest.mark.parametrize("status", [b"", b"5.7.8 "])
def test_a_secret_that_is_folded_takes_the_reply_with_it(secret: bytes, width: int, status: bytes) -> None:
    lines = [status + secret[at : at + width] for at in range(0, len(secret), width)]
    if len(lines) == 1:
        lines = [status + secret[:10], status + secret[10:]]
    masker = Masker([PASSWORD, TOKEN])
    shown = masker.mask_lines([b"5.7.8 no, not", *lines, b"5.7.8 that"])
    joined = masker.mask(b"535 " + b" ".join([b"5.7.8 no, not", *lines]))
    for text in (b"".join(shown), joined):
        assert not any(line.removeprefix(status) in text for line in lines if len(line) > len(status) + 4)
    assert len(shown) == len(lines) + 2


def test_what_is_no_secret_survives_in_a_reply_of_several_lines() -> None:
    lines = [b"5.7.1 your message", b"5.7.1 was refused by horse racing", b"5.7.1 policy"]
    assert Masker([b"horseman", PASSWORD]).mask_lines(lines) == lines


@pytest.mark.parametrize("kept", [12, 30, 200, 1000])
def test_a_long_secret_that_is_cut_off_is_masked_as_far_as_it_goes(kept: int) -> None:
    """A server that does not know a command may repeat its beginning."""
    masker = Masker([TOKEN])
    for text in (TOKEN, b64encode(b"\0\0" + TOKEN), b64encode(b"user=x\x01auth=Bearer " + TOKEN)):
        start = text.find(b64encode(TOKEN)[:8]) if TOKEN[:8] not in text else 0
        piece = text[max(start, 0) :][:kept]
        shown = masker.mask(b'500 unknown: "' + piece + b'" and more')
        if text is TOKEN:
            assert shown == b'500 unknown: "****" and more'
    assert masker.mask(b"a " + TOKEN[:kept] + b" b " + TOKEN[: kept + 3] + b" c") == b"a **** b **** c"


@given(st.binary(min_size=3, max_size=40), st.binary(max_size=20), st.binary(max_size=20))
def test_no_secret_is_left_wherever_it_stands(secret: bytes, before: bytes, after: bytes) -> None:
    if b"*" in secret:
        return
    assert secret not in Masker([secret]).mask(before + secret + after)


# Ids and times


def test_an_id_is_of_capitals_and_digits_and_tells_process_and_time_apart() -> None:
    ids = {queue_id(1_700_000_000 + n / 1_000_000, pid) for n in range(50) for pid in (1, 2, 4194303)}
    assert len(ids) == 150
    assert all(re.fullmatch("[0-9A-Z]{10,20}", each) for each in ids)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0"), (-1, "0"), (0.00001, "0"), (0.004, "0"), (0.016, "0.02"), (0.1, "0.1"), (0.996, "1"), (1.0, "1"),
        (1.25, "1.2"), (2.0, "2"), (9.96, "10"), (12.7, "13"), (100, "100"), (1234.5, "1234"),
    ],
)  # fmt: skip
def test_seconds_are_written_as_postfix_does(seconds: float, text: str) -> None:
    assert delays_text((seconds, 0, 0, 0)) == f"delay={text}, delays={text}/0/0/0"


# Where the lines go


def written(path: pathlib.Path, umask: int = 0o077) -> None:
    before = os.umask(umask)
    try:
        Log(None, str(path)).write("smtp", "one line", 1_700_000_000)
    finally:
        os.umask(before)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_a_log_file_is_for_its_owner_whatever_the_umask(tmp_path: pathlib.Path, umask: int) -> None:
    written(tmp_path / "log", umask)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_a_line_has_the_shape_of_a_system_log(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "log"
    log = Log(None, str(path), tag="tag")
    log.write("smtp", "one", 1_700_000_000)
    log.write_all("qmgr", [("two", False), ("three", True)], 1_700_000_000)
    lines = path.read_text().splitlines()
    assert [line.partition("]: ")[2] for line in lines] == ["one", "two", "three"]
    host = re.escape(os.uname().nodename.split(".")[0])
    assert re.fullmatch(rf"Nov 14 22:13:20 {host} tag/smtp\[{os.getpid()}\]: one", lines[0])
    assert f"tag/qmgr[{os.getpid()}]" in lines[2]


def test_lines_are_added_to_those_that_are_there_and_its_mode_is_its_owners(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    path.chmod(0o640)
    written(path)
    assert path.read_text().startswith("before\n") and path.read_text().endswith("one line\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_is_followed_since_the_owner_of_the_configuration_made_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    written(tmp_path / "link")
    assert (tmp_path / "target").read_text().endswith("one line\n")
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_is_no_failure(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody reads it
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "loop", tmp_path / "no" / "such", pathlib.Path("/dev/full")):
        written(path)
    Log(None, "nul\0inside").write("smtp", "line", 0)


def test_a_pipe_that_is_read_gets_the_lines_and_a_full_one_stops_nothing(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    written(path)
    assert os.read(reader, 1000).endswith(b": one line\n")
    done = threading.Event()

    def fill() -> None:
        for _ in range(10):
            Log(None, str(path)).write("smtp", "x" * 60_000, 0)
        done.set()

    threading.Thread(target=fill, daemon=True).start()
    assert done.wait(10)
    os.close(reader)


def test_the_log_file_is_no_descriptor_for_children(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = []
    real = os.open

    def spy(path: str, how: int, mode: int = 0o777) -> int:
        flags.append(how)
        return real(path, how, mode)

    monkeypatch.setattr(os, "open", spy)
    written(tmp_path / "log")
    assert flags and all(how & os.O_CLOEXEC and how & os.O_APPEND for how in flags)


def test_the_system_log_gets_name_facility_and_priority(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_SYSTEM_LOG", str(folder / "log"))
    with listening(folder) as listener:
        both = Log("LOG_LOCAL3", None, "tag")
        both.write("smtp", "one", NOW)
        both.write("smtp", "two \u00e4", NOW, warning=True)
        both.write("qmgr", "three", NOW)
        said = [listener.recv(9000).decode() for _ in range(3)]
    clock = time.strftime("%b %e %H:%M:%S", time.localtime(NOW))
    assert said == [f"<158>{clock} tag/smtp[{os.getpid()}]: one", f"<156>{clock} tag/smtp[{os.getpid()}]: two \u00e4", f"<158>{clock} tag/qmgr[{os.getpid()}]: three"]
    monkeypatch.setattr(log, "_SYSTEM_LOG", str(folder / "none"))
    Log("LOG_MAIL").write("smtp", "one", NOW)


def test_a_system_log_that_stands_still_is_hardly_waited_for_and_told_what_it_missed(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_SYSTEM_LOG", str(folder / "log"))
    with listening(folder) as listener:
        begun = time.monotonic()
        system = Log("LOG_MAIL")
        for number in range(2000):
            system.write("smtp", f"line {number}", NOW)
        assert time.monotonic() - begun < 5
        listener.setblocking(False)
        count = 0
        with pytest.raises(BlockingIOError):
            while listener.recv(9000):
                count += 1
        system.write("smtp", "again", NOW)
        assert listener.recv(9000).endswith(b"]: warning: %d lines were dropped: the log had no room" % (2000 - count))
        assert listener.recv(9000).endswith(b"]: again")


def test_a_system_log_that_was_started_anew_is_called_again(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_SYSTEM_LOG", str(folder / "log"))
    system: Log | None = None
    for _ in range(2):
        with listening(folder) as listener:
            system = system or Log("LOG_MAIL")
            system.write("smtp", "one", NOW)
            while not listener.recv(9000).endswith(b": one"):
                pass  # what was dropped is told first
        system.write("smtp", "nobody", NOW)


@pytest.fixture
def folder() -> Iterator[pathlib.Path]:
    """Give a folder with a short name, and a process that has not called its log yet."""
    Log.reopen()
    with tempfile.TemporaryDirectory(prefix="pysendmail-") as name:
        yield pathlib.Path(name)
    Log.reopen()


@contextlib.contextmanager
def listening(folder: pathlib.Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "log"))
        listener.settimeout(30)
        yield listener
    (folder / "log").unlink()


# The lines of a delivery

DELIVERY = re.compile(
    r"(?P<qid>[0-9A-Z]+): to=<(?P<to>[^>]*)>, relay=(?P<relay>\S+), delay=[\d.]+, delays=[\d.]+(/[\d.]+){3}, "
    r"dsn=\d\.\d+\.\d+, status=(sent|deferred|bounced) \(.*\)"
)


def test_each_recipient_has_a_line_of_postfixs_shape(tmp_path: pathlib.Path) -> None:
    report = Report()
    report.relay, report.size = "mx.test[192.0.2.1]:587", 300
    report.setup_time, report.transfer_time = 0.00004, 1.26
    report.outcomes = [
        Outcome(b"a@y.test", SENT, 0, "2.0.0", b"250 2.0.0 queued as 1 (x)", "end of data"),
        Outcome(b"b@y.test", DEFERRED, 75, "4.2.1", b"450 4.2.1 later", "RCPT"),
        Outcome(b"c@y.test", FAILED, 67, "5.1.1", b"550-5.1.1 no\r\nstatus=sent (forged)\x1b", "RCPT"),
        Outcome(b"d\r\n@y.test", UNCERTAIN, 75, "4.4.2", "\u202elost".encode(), "end of data"),
    ]
    path = tmp_path / "log"
    recipients = [outcome.recipient for outcome in report.outcomes]
    record(Log(None, str(path)), "4ABC", parcel(*recipients, sender=b"s@x.test"), report, 0.2, 1_700_000_000)
    lines = [line.partition(": ")[2] for line in path.read_text().splitlines()]
    first, *deliveries, last = lines
    assert first == "4ABC: from=<s@x.test>, size=300, nrcpt=4 (queue active)"
    assert last == "4ABC: removed"
    found = [DELIVERY.fullmatch(line) for line in deliveries]
    assert all(found) and len(found) == 4
    assert deliveries[0] == (
        "4ABC: to=<a@y.test>, relay=mx.test[192.0.2.1]:587, delay=1.5, delays=0.2/0/0/1.3, dsn=2.0.0, "
        "status=sent (250 2.0.0 queued as 1 (x))"
    )
    assert [line.partition("status=")[2].split()[0] for line in deliveries] == ["sent", "deferred", "bounced", "deferred"]
    assert "\x1b" not in path.read_text() and "\u202e" not in path.read_text()
