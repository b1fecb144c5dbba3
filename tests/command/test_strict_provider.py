"""What programs of the system send arrives at a provider that takes no address but one's own."""

import pathlib
import subprocess
from collections.abc import Iterator, Mapping

import pytest

from tests.command.caller import Caller
from tests.command.piped import Dialogue
from tests.conftest import Installed
from tests.strict import CALLS, CRON, CRONIE, FIXED, OWN, SELECTIVE, Strict


@pytest.fixture
def strict(installed: Installed, tmp_path: pathlib.Path) -> Iterator[Caller]:
    """Give a caller whose smarthost is strict."""
    with Strict() as server:
        made = Caller(installed.sendmail, tmp_path, server)
        (tmp_path / "aliases").write_text(f"root: {OWN}\n")
        made.words |= {"aliases": str(tmp_path / "aliases"), "maildomain": "box.example.net"}
        yield made


@pytest.mark.parametrize("words", [SELECTIVE, FIXED], ids=["local_sender", "from"])
@pytest.mark.parametrize("name", CALLS)
def test_each_of_them_arrives(strict: Caller, name: str, words: Mapping[str, str]) -> None:
    arguments, message = CALLS[name]
    delivery = strict.deliver(*arguments, message=message, words=words)
    assert (delivery.sender, delivery.recipients) == (OWN, [OWN])
    assert delivery.body.replace(b"\r\n", b"\n") == (message.partition(b"\n\n")[2] if b"\n\n" in message else message)


@pytest.mark.parametrize("name", CALLS)
def test_without_these_words_none_of_them_does(strict: Caller, name: str) -> None:
    arguments, message = CALLS[name]
    assert strict.run(*arguments, message=message).returncode in (67, 69)
    assert strict.server.deliveries == []


def test_what_cron_says_of_itself_stays(strict: Caller) -> None:
    delivery = strict.deliver(*CALLS["cron of Debian"][0], message=CRON, words=SELECTIVE)
    assert delivery.field("From") == [f"{OWN} (Cron Daemon)"]
    assert delivery.field("X-Original-From") == ["root (Cron Daemon)"]
    assert delivery.field("To") == [OWN] and delivery.field("Reply-To") == []
    delivery = strict.deliver(*CALLS["cronie"][0], message=CRONIE, words=FIXED)
    assert delivery.field("From") == [f'"(Cron Daemon)" <{OWN}>']
    assert delivery.field("Reply-To") == []  # the alias of root is the author that is wanted
    delivery = strict.deliver("-f", "bob@x.org", "root", message=CRON.replace(b"root (", b"bob@x.org ("), words=FIXED)
    assert (delivery.field("From"), delivery.field("Reply-To")) == ([f"{OWN} (Cron Daemon)"], ["bob@x.org (Cron Daemon)"])


def test_an_author_of_ones_own_domain_is_left_alone_by_local_sender(strict: Caller) -> None:
    strict.refuse(69, "-f", "bob@provider.example", "root", words=SELECTIVE)


def test_over_smtp_on_a_pipe_they_arrive_as_well(strict: Caller) -> None:
    for sender in ("", "root", "www-data@localhost"):
        with strict.start("-bs", words=SELECTIVE) as process:
            dialogue = Dialogue(process)
            assert dialogue.hear()[:3] == "220"
            assert dialogue.send(CRON.replace(b"\n", b"\r\n"), "root", sender=sender)[:3] == "250"
            assert dialogue.say("QUIT")[:3] == "221"
    assert [one.sender for one in strict.server.deliveries] == [OWN] * 3


def test_a_report_of_ours_arrives_too(strict: Caller) -> None:
    queue = strict.home / "queue.db"
    words = {**SELECTIVE, "queue": str(queue), "delivery": "queue"}
    assert strict.run("-f", "root", "gone@example.net", message=CRON, words=words).returncode == 0
    for _ in range(2):  # the message, then the report
        assert strict.run("-q", words=words).returncode == 0
    (report,) = strict.server.deliveries
    assert report.sender == OWN and report.recipients == [OWN]
    assert report.field("From") == [f"Mail Delivery System <{OWN}>"]
    assert b"gone@example.net" in report.body


def test_the_manual_command_tells_where_the_sender_comes_from(strict: Caller, installed: Installed) -> None:
    strict.configure(**SELECTIVE)
    program = str(pathlib.Path(installed.sendmail).parent.parent / "bin" / "pysendmail")
    done = subprocess.run(
        [program, "explain", "--", "-f", "root", "root"], input=CRON, env=strict.environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"local_sender of the account; -f gave <root@box.example.net>" in done.stdout
