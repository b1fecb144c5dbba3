"""The daemon's queue, disk, log and clock in trouble while it runs: nothing is lost, and exit codes say the truth."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.command.caller import until
from tests.conftest import skip
from tests.daemon.siege import BOB, LONG, WATCHED, Callers, Siege, show, text
from tests.ports import own_address

pytestmark = pytest.mark.once

STRANGER = 54321
# The command with a clock that is wrong by as many seconds as a file says.
CLOCK = """
import sys, time
path, modules, *sys.argv = sys.argv[1:]
sys.path.insert(0, modules)
true = time.time
time.time = lambda: true() + float(open(path).read() or 0)
from pysendmail import entry
entry.main()
"""


@pytest.fixture
def small_disk(siege: Siege, superuser: None) -> Iterator[pathlib.Path]:
    """Put the queue on a disk of twelve megabytes."""
    siege.queue.parent.mkdir(mode=0o700)
    options = ["-o", "size=12m,mode=0700", "tmpfs", str(siege.queue.parent)]
    if subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True).returncode:
        skip("nothing can be mounted here")
    yield siege.queue.parent
    siege.clear()
    subprocess.run(["umount", "-l", str(siege.queue.parent)], check=True)


def goes_on(siege: Siege, taken: set[str]) -> None:
    """See that what was taken arrives once, and that the daemon takes more."""
    until(lambda: siege.hand_in("afterwards") == 0, 90)
    until(lambda: taken | {"afterwards"} <= set(siege.server.arrived), 120)
    siege.until_empty(90)
    assert max(siege.server.arrived.values()) == 1 and not siege.server.half


def test_a_disk_that_fills_under_load_loses_nothing(siege: Siege, small_disk: pathlib.Path) -> None:
    siege.start(retry="1s 2s")
    with Callers(siege.hand_in, 4, pause=0.01) as callers:
        until(lambda: len(callers.taken) > 20)
        ballast = small_disk / "ballast"
        _fill(ballast)
        until(lambda: 75 in callers.codes.values())
        assert siege.send("-i", BOB.decode(), message=text("full")).returncode == 75
        time.sleep(1)
        used = siege.cpu_over(1)
        ballast.unlink()
        before = len(callers.taken)
        until(lambda: len(callers.taken) > before + 20, 90)
    codes = list(callers.codes.values())
    show("full disk", taken=codes.count(0), refused=codes.count(75), used_in_a_second=used)
    assert set(codes) == {0, 75}
    goes_on(siege, callers.taken)
    assert "full" not in siege.server.arrived


def _fill(path: pathlib.Path) -> None:
    with open(path, "wb", 0) as file:
        for size in (1 << 16, 1 << 12):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def remove(siege: Siege) -> None:
    siege.queue.unlink()


def move_away(siege: Siege) -> None:
    siege.queue.parent.rename(siege.folder / "away")


def replace(siege: Siege) -> None:
    copy = siege.queue.with_name("copy")
    shutil.copy(siege.queue, copy)
    copy.rename(siege.queue)


def empty(siege: Siege) -> None:
    os.truncate(siege.queue, 0)


def overwrite(siege: Siege) -> None:
    with open(siege.queue, "r+b") as file:
        file.write(os.urandom(1 << 16))


def give_away(siege: Siege) -> None:
    os.chown(siege.queue, STRANGER, STRANGER)


def make_read_only(siege: Siege) -> None:
    siege.queue.chmod(0o400)


@pytest.mark.parametrize("harm", [remove, move_away, replace, empty, overwrite, give_away, make_read_only], ids=lambda harm: harm.__name__)
def test_whatever_is_done_to_the_queue_file_no_caller_is_told_what_is_not_so(siege: Siege, superuser: None, harm: Callable[[Siege], None]) -> None:
    siege.server.answers["MAIL"] = "450 4.3.2 later"
    siege.start(retry="1s 2s")
    siege.until_started()
    before = {f"before{number}" for number in range(5)}
    for number in before:
        assert siege.hand_in(number) == 0
    harm(siege)
    codes = [siege.hand_in(f"during{number}") for number in range(5)]
    siege.server.answers.clear()
    used = siege.cpu_over(0.7)
    show(harm.__name__, codes=codes, used=used)
    assert used < 0.5
    if harm in (give_away, make_read_only):
        assert codes == [0] * 5  # whoever has it open is not concerned
        until(lambda: before | {f"during{number}" for number in range(5)} <= set(siege.server.arrived))
        return
    if harm not in (empty, overwrite):  # then it depends on what is still in the log beside it
        assert codes == [75] * 5
    if harm in (remove, move_away, replace):
        until(lambda: before <= set(siege.server.arrived))  # what is open is there until it is closed
    if harm is move_away:
        (siege.folder / "away").rename(siege.queue.parent)
        assert siege.hand_in("back") == 0
        siege.until_empty()
    assert siege.send("-bp").returncode in (0, 69, 71, 75, 78)
    assert len(siege.children()) == 2
    assert siege.stop() == 0
    assert not any("internal error" in line for line in siege.lines())
    if harm is replace:
        siege.start(retry="1s 2s")
        goes_on(siege, before)


def test_a_log_that_cannot_be_written_holds_nothing_up(siege: Siege) -> None:
    siege.start()
    siege.log.unlink(missing_ok=True)
    siege.log.mkdir()
    for number in range(10):
        assert siege.hand_in(number, b"-odi" if number % 2 else b"-odb") == 0
    until(lambda: len(siege.server.arrived) == 10)
    siege.log.rmdir()
    assert siege.hand_in("last") == 0
    siege.until_empty()
    assert any("last" in line or "queued" in line for line in siege.lines())


def test_a_log_on_a_full_disk_holds_nothing_up(siege: Siege) -> None:
    siege.start(logfile="/dev/full")
    for number in range(10):
        assert siege.hand_in(number, b"-odi" if number % 2 else b"-odb") == 0
    until(lambda: len(siege.server.arrived) == 10)


@pytest.mark.parametrize("how", ["gone", "nobody behind it", "full"])
def test_a_system_log_that_is_away_holds_nothing_up(siege: Siege, superuser: None, how: str) -> None:
    """On a /dev of its own, since all programs of the machine share /dev/log."""
    folder = siege.folder / "dev"
    folder.mkdir()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with listener:
        if how != "gone":
            listener.bind(str(folder / "log"))
        if how == "nobody behind it":
            listener.close()
        config = siege.configure(syslog="on")
        shell = 'for one in null full zero random urandom tty; do touch "$1/$one"; mount --bind "/dev/$one" "$1/$one"; done; mount --bind "$1" /dev; shift; exec "$@"'
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh", str(folder), siege.sendmail, "-C", str(config), "-bD"]
        siege.launch(command)
        begun = time.monotonic()
        for number in range(300 if how == "full" else 20):
            assert siege.hand_in(number) == 0
        until(lambda: len(siege.server.arrived) == (300 if how == "full" else 20))
        show(f"/dev/log {how}", seconds=time.monotonic() - begun, used=siege.cpu_over(1))
        assert siege.stop() == 0


@pytest.mark.parametrize("jump", [172800, -172800])
def test_a_clock_that_jumps_makes_no_storm_and_holds_nothing_for_ever(siege: Siege, jump: int) -> None:
    clock = siege.folder / "clock"
    clock.write_text("0")
    modules = pathlib.Path(siege.sendmail).parent.parent / "lib" / "pysendmail"
    config = siege.configure(retry="1s 1s", expire="30d", warn="off")
    command = [sys.executable, "-IS", "-c", CLOCK, str(clock), str(modules), siege.sendmail, "-C", str(config), "-bD"]
    siege.server.answers["MAIL"] = "450 4.3.2 later"
    siege.launch(command)
    for number in range(5):
        assert siege.hand_in(f"before{number}") == 0
    time.sleep(0.7)
    clock.write_text(str(jump))
    assert siege.hand_in("after") == 0
    before = siege.server.connections, siege.server.said_mail
    used = siege.cpu_over(2)
    show(f"clock {jump}", connections=siege.server.connections - before[0], attempts=siege.server.said_mail - before[1], used=used)
    assert used < 1 and siege.server.said_mail - before[1] < 80
    siege.server.answers.clear()
    assert siege.hand_in("new", b"-odi") == 0
    until(lambda: len(siege.server.arrived) == 7, 60)
    siege.until_empty()
    assert max(siege.server.arrived.values()) == 1


def test_a_resolver_that_never_answers_holds_no_other_account_up(siege: Siege, superuser: None) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.bind((own_address(), 53))
        (siege.folder / "resolv.conf").write_text(f"nameserver {own_address()}\noptions timeout:3 attempts:2\n")
        (siege.folder / "nsswitch.conf").write_text("hosts: dns\npasswd: files\ngroup: files\n")
        config = siege.configure(retry="1s 2s")
        config.write_text(config.read_text() + f"account far\nhost smarthost.example\nport 25\ntls off\nfrom far@example.org\nlogfile {siege.log}\nsyslog off\nretry 1s 2s\n")
        shell = 'for one in resolv nsswitch; do mount --bind "$1/$one.conf" "$(readlink -f /etc/$one.conf)"; done; shift; exec "$@"'
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh", str(siege.folder), siege.sendmail, "-C", str(config), "-bD"]
        siege.launch(command)
        for number in range(10):
            assert siege.hand_in(f"far{number}", b"-a", b"far") == 0
        resolver.settimeout(30)
        assert resolver.recv(500)
        for number in range(5):
            assert siege.hand_in(f"near{number}", b"-odi") == 0
        assert len(siege.server.arrived) == 5
        used = siege.cpu_over(0.7)
        begun = time.monotonic()
        assert siege.stop() == 0
        show("resolver dead", used=used, stop=time.monotonic() - begun)
        assert used < 0.5
        assert len(siege.items()) == 10


def test_thousands_that_wait_for_a_dead_smarthost_cost_next_to_nothing(siege: Siege) -> None:
    number = 5000 if LONG else 200
    siege.start(port="9", retry="1s 2s")
    with Callers(siege.hand_in, 4) as callers:
        until(lambda: len(callers.codes) > number)
    time.sleep(0.5)
    seconds = WATCHED
    used = siege.cpu_over(seconds)
    show(f"{len(callers.codes)} wait", seconds=seconds, used=used, pss_kb=siege.pss())
    assert set(callers.codes.values()) == {0}
    assert used < seconds / 4
    siege.stop()
    siege.start(retry="1s 2s")
    goes_on(siege, callers.taken)
