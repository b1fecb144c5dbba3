"""The whole daemon with aliases and a strict provider: by frames, by -bs and by the listener."""

import os
import pathlib
import pwd
import smtplib
import tempfile
from collections.abc import Iterator

import pytest

from tests.command.caller import LIMIT, until
from tests.conftest import Installed, skip
from tests.daemon.whole import Whole
from tests.obedient import Obedient
from tests.ports import free_port
from tests.strict import CALLS, CRON, OWN, SELECTIVE, Strict


@pytest.fixture
def strict(installed: Installed, tmp_path: pathlib.Path) -> Iterator[Whole]:
    """Give a daemon, not started yet, whose smarthost is strict."""
    with Strict() as server:
        made = Whole(installed.sendmail, tmp_path, server)
        tmp_path.chmod(0o755)
        (tmp_path / "aliases").write_text(f"root: :include:{tmp_path}/admins\nnoreply: /dev/null\n")
        (tmp_path / "admins").write_text(f"{OWN}\n")
        made.words |= {"aliases": str(tmp_path / "aliases"), "maildomain": "box.example.net", **SELECTIVE}
        del made.words["from"]
        yield made
        made.clear()


def test_what_programs_send_arrives_through_the_daemon(strict: Whole) -> None:
    strict.start()
    for arguments, message in CALLS.values():
        done = strict.send("-odi", *arguments, message=message)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), arguments
    until(lambda: len(strict.server.deliveries) == len(CALLS))
    assert {(one.sender, *one.recipients) for one in strict.server.deliveries} == {(OWN, OWN)}


def test_sessions_of_smtp_have_aliases_and_a_sender_too(strict: Whole) -> None:
    port = free_port()
    strict.start(listen=f"127.0.0.1:{port}")
    with smtplib.SMTP("127.0.0.1", port, timeout=LIMIT) as client:
        text = CRON.replace(b"\n", b"\r\n")
        assert client.sendmail("root@localhost", ["root", "root@localhost"], text) == {}
        with pytest.raises(smtplib.SMTPDataError) as caught:
            client.sendmail("root", ["noreply"], text)
        assert caught.value.smtp_code == 550 and b"/dev/null" not in caught.value.smtp_error
    said = b"EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<root>\r\nDATA\r\n" + text + b".\r\nQUIT\r\n"
    done = strict.send("-bs", message=said)
    assert done.returncode == 0 and b"queued as" in done.stdout
    until(lambda: len(strict.server.deliveries) == 2)
    assert {(one.sender, *one.recipients) for one in strict.server.deliveries} == {(OWN, OWN)}


def test_a_list_that_has_changed_counts_from_the_next_message_on(strict: Whole) -> None:
    strict.start()
    assert strict.send("-odi", "root", message=CRON).returncode == 0
    (strict.folder / "admins").write_text("somebody@else.example\n")
    done = strict.send("-odi", "root", message=CRON)
    assert done.returncode == 67 and b"somebody@else.example" in done.stderr
    (strict.folder / "admins").unlink()
    done = strict.send("root", message=CRON)
    assert done.returncode == 78 and b"admins: cannot be read" in done.stderr and strict.waiting() == []
    assert strict.send("me@provider.example", message=CRON).returncode == 0


def test_an_alias_of_nobody_is_refused_and_the_rest_is_not_queued(strict: Whole) -> None:
    strict.start()
    done = strict.send("noreply", "root", message=CRON)
    assert done.returncode == 67 and strict.waiting() == []
    assert b'the alias "noreply" leads to nobody' in done.stderr and done.stderr.count(b"\n") == 1


def test_who_is_skipped_for_it_is_reported(strict: Whole) -> None:
    strict.start(bad_recipients="skip")
    assert strict.send("noreply", "root", message=CRON).returncode == 0
    until(lambda: len(strict.server.deliveries) == 2)
    report = next(one for one in strict.server.deliveries if one.field("Auto-Submitted"))
    assert b"noreply" in report.body and report.field("From") == [f"Mail Delivery System <{OWN}>"]


def test_the_daemon_checks_and_lists_its_aliases(strict: Whole) -> None:
    strict.start()
    done = strict.send("-bi", "-v")
    assert (done.returncode, done.stdout) == (0, f"root: {OWN}\n".encode())
    assert b"aliases:2: a file is not offered as an alias; mail for it is refused" in done.stderr
    assert f"root... to {OWN} by ".encode() in strict.send("-bv", "root").stdout
    (strict.folder / "aliases").write_text("x\nroot: bob\nbob: root\n")
    done = strict.send("-bi")
    assert done.returncode == 78 and b"root -> bob -> root" in done.stderr and b"aliases:1: " in done.stderr
    assert "aliases:1: expected name" in strict.log.read_text()


def test_a_list_in_a_home_folder_can_be_included_though_homes_are_closed_to_the_daemon(strict: Whole) -> None:
    home = pwd.getpwuid(os.getuid()).pw_dir
    if not os.access(home, os.W_OK):
        skip("there is no home folder to write in")
    with tempfile.TemporaryDirectory(prefix="pysendmail-tests-", dir=home) as folder:
        os.chmod(folder, 0o755)
        admins = pathlib.Path(folder) / "admins"
        admins.write_text(f"{OWN}\n")
        (strict.folder / "aliases").write_text(f"root: :include:{admins}\n")
        strict.start()
        done = strict.send("-odi", "root", message=CRON)
        assert (done.returncode, done.stderr) == (0, b"")
        assert strict.server.deliveries[0].recipients == [OWN]


@pytest.mark.parametrize("mode", ["-odb", "-odi"])
def test_a_report_for_a_local_user_goes_to_who_his_alias_names(installed: Installed, tmp_path: pathlib.Path, mode: str) -> None:
    (tmp_path / "aliases").write_text(f"root: :include:{tmp_path}/admins\n")
    (tmp_path / "admins").write_text("admin@example.net\n")
    with Obedient(answers={"RCPT TO:<nobody@": "550 5.1.1 no such user", "RCPT TO:<late@": "451 4.3.0 later"}) as server:
        made = Whole(installed.sendmail, tmp_path, server)
        made.words["aliases"] = str(tmp_path / "aliases")
        try:
            made.start()
            done = made.send(mode, "-froot@localhost", "nobody@example.com", "late@example.com")
            assert (done.returncode, done.stderr) == (0, b"")
            until(lambda: [(one.sender, one.recipients) for one in server.deliveries] == [("", ["admin@example.net"])])
            (tmp_path / "admins").write_text("other@example.net\n")
            done = made.send(mode, "-froot@example.org", "nobody@example.com", "late@example.com")
            until(lambda: [one.recipients for one in server.deliveries[1:]] == [["other@example.net"]])
        finally:
            made.clear()
