"""A machine that had another mail program, or none, from the installation of the packages to their purge."""

import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT, skip
from tests.packages.satellites import PASSWORD, SATELLITES, USER
from tests.servers import ROOTS, missing
from tests.smarthost import Authority, Smarthost, make_authority

pytestmark = pytest.mark.servers

LIFE = pathlib.Path(__file__).with_name("life.sh")
LIMIT = 400
WHOLE = ("plain",)
SMOKE = "nullmailer"


class Life:
    """What happened in the root: exit codes by what was done, and what the smarthost got."""

    def __init__(self, folder: pathlib.Path, server: Smarthost) -> None:
        self.folder = folder
        told = folder / "told"
        lines = told.read_text().splitlines() if told.exists() else []
        self.told = dict(line.split(": ", 1) for line in lines)
        self.server = server

    def ended(self) -> "Life":
        assert (self.folder / "done").exists(), self.read("output")[-6000:] + self.read("console")
        return self

    def left(self) -> set[str]:
        """Give what is there at the end and was not at the beginning.

        Where the root is an overlay, files of the machine itself, which others may change meanwhile, are on another device.
        """
        layer = self.read("layer").strip()
        before = {line.split(" ", 2)[2] for line in self.read("before").splitlines()}
        after = [line.split(" ", 2) for line in self.read("after").splitlines()]
        others = {path for device, kind, path in after if kind != "d" and device != layer}
        above = {str(folder) for path in others if path not in before for folder in pathlib.Path(path).parents}
        return {path for _, _, path in after if path not in before and path not in others and path not in above}

    def read(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8", "replace")

    def subjects(self) -> list[str]:
        lines = [line for one in self.server.received for line in one.data.decode().split("\r\n")]
        return [line.partition(": ")[2] for line in lines if line.startswith("Subject: ")]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def lives(
    authority: Authority, packages: pathlib.Path, upgrades: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Life]]:
    """Have the packages live in all roots that there are, side by side."""
    servers, running = {}, {}
    for name in SATELLITES:
        if missing(name) or missing("plain"):
            continue
        servers[name] = Smarthost(authority, USER, PASSWORD)
        servers[name].start()
        folder = tmp_path_factory.mktemp(name)
        furnish(folder, name, servers[name].port, authority.ca, packages, upgrades)
        what = "whole" if name in WHOLE else "smoke" if name == SMOKE else "short"
        command = f"bash /mnt/life.sh {what}; echo >/mnt/ended"
        process = subprocess.Popen(["sh", str(ROOTS), "run", name, str(folder), "sh", "-c", command], stdin=subprocess.PIPE)
        running[name] = folder, process
    found = {}
    end = time.monotonic() + LIMIT
    for name, (folder, process) in running.items():
        while not (folder / "ended").exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)
        found[name] = Life(folder, servers[name])
    yield found
    for server in servers.values():
        server.stop()


def furnish(
    folder: pathlib.Path, name: str, port: int, ca: pathlib.Path, packages: pathlib.Path, upgrades: pathlib.Path
) -> None:
    """Put what the root needs into the folder that it sees as /mnt."""
    folder.chmod(0o755)
    shutil.copy(ca, folder / "ca.pem")
    shutil.copy(ROOT / "debian" / "tests" / "smoke", folder)
    shutil.copy(cron(), folder / "cron")
    for target, debs in (("old", packages), ("new", upgrades)):
        (folder / target).mkdir()
        for deb in debs.glob("*.deb"):
            shutil.copy(deb, folder / target)
    values = {"@PORT@": str(port), "@USER@": USER, "@PASSWORD@": PASSWORD}
    for target, text in (("satellite", SATELLITES[name]), ("life.sh", LIFE.read_text())):
        for word, value in values.items():
            text = text.replace(word, value)
        (folder / target).write_text(text)


def cron() -> pathlib.Path:
    """Return the cron of the root "plain", or of this machine if it was there before."""
    base = pathlib.Path(os.environ.get("PYSENDMAIL_ROOTS", "/var/tmp/pysendmail-roots")) / "plain"
    places = [base / "upper", base / "tree", pathlib.Path("/")]
    return next(path for place in places if (path := place / "usr/sbin/cron").exists())


@pytest.fixture(params=sorted(SATELLITES))
def life(request: pytest.FixtureRequest, lives: dict[str, Life]) -> Life:
    """Give the life in each root."""
    lacking = missing(request.param) or missing("plain")
    if lacking:
        skip(lacking)
    return lives[request.param].ended()


@pytest.fixture(params=WHOLE)
def whole(request: pytest.FixtureRequest, lives: dict[str, Life]) -> Life:
    """Give the life of those that were upgraded and removed, too."""
    lacking = missing(request.param)
    if lacking:
        skip(lacking)
    return lives[request.param].ended()


def test_installed_they_are_the_mail_program_of_the_machine(life: Life) -> None:
    assert life.told["install"] == "0", life.read("output")[-4000:]
    assert life.told["program"] == "/usr/lib/pysendmail/sendmail"


def test_what_the_machine_sends_goes_on_without_an_edit(life: Life) -> None:
    for what in ("root", "start", "running", "nobody", "nobody-arrives"):
        assert life.told[what] == "0", (what, life.told, life.read("output")[-9000:])
    assert {"from root", "from nobody"} <= set(life.subjects())
    assert {(one.login, bool(one.tls)) for one in life.server.received} == {(USER, True)}


def test_the_next_mail_of_cron_arrives_through_our_program(life: Life) -> None:
    assert life.told["cron"] == "0", life.read("output")[-9000:]
    found = [one for one in life.server.received if b"\r\nSubject: Cron <root@" in b"\r\n" + one.data]
    assert [one.recipients for one in found] == [["bob@example.org"]]
    text = found[0].data.decode()
    assert "touch /tmp/cron-ran; echo from cron\r\n" in text and text.partition("\r\n\r\n")[2] == "from cron\r\n"


def test_a_file_with_a_password_is_roots_alone(life: Life) -> None:
    assert life.read("rights") == "600 root\n"


def test_all_modules_are_compiled(life: Life) -> None:
    assert life.read("compiled") == life.read("modules")


def test_an_upgrade_goes_on_sending(whole: Life) -> None:
    for what in ("upgrade", "restart", "after-upgrade", "after-arrives"):
        assert whole.told[what] == "0", (what, whole.told, whole.read("output")[-9000:])
    assert "after the upgrade" in whole.subjects()


def test_the_packages_own_test_passes(lives: dict[str, Life]) -> None:
    lacking = missing(SMOKE)
    if lacking:
        skip(lacking)
    life = lives[SMOKE].ended()
    assert life.told["wrong"] == "1" and int(life.told["wrong-took"]) < 25, "a wrong configuration is told at once"
    assert life.told["smoke"] == "0", life.read("output")[-4000:]


def test_undelivered_mail_is_kept_by_remove_which_says_so(whole: Life) -> None:
    assert (whole.told["queueing"], whole.told["queued"]) == ("0", "1"), whole.told
    assert (whole.told["remove"], whole.told["stop"], whole.told["gone"]) == ("0", "0", "0"), whole.read("removed")
    count, *owners = whole.told["kept"].split()
    assert (count, set(owners)) == ("1", {"pysendmail"})
    assert "1 undelivered message(s) stay in /var/spool/pysendmail/queue.db" in whole.read("removed")


def test_purge_says_what_it_deletes(whole: Life) -> None:
    assert whole.told["again"] == "0"
    assert "deleting the queue with 1 undelivered message(s)" in whole.read("purged")


def test_purge_leaves_nothing_behind(life: Life) -> None:
    assert (life.told["purge"], life.told["user-gone"]) == ("0", "0"), life.read("purged")
    assert {path for path in life.left() if not path.startswith("/var/lib/dpkg/")} == set()
    assert [path for path in life.left() if "pysendmail" in path] == []
