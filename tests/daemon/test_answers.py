"""What a caller is told through the daemon: at once that his message is in the queue, or with -odi what became of it."""

import os
import pathlib
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tests.command.caller import LIMIT, MESSAGE, until
from tests.conftest import Installed
from tests.daemon.whole import Whole
from tests.obedient import Obedient

BOB, CAROL, DAVE = "bob@example.net", "carol@example.net", "dave@example.net"
SENDER = "sender@example.org"


@pytest.fixture
def server() -> Iterator[Obedient]:
    with Obedient() as running:
        yield running


@pytest.fixture
def whole(installed: Installed, tmp_path: pathlib.Path, server: Obedient) -> Iterator[Whole]:
    made = Whole(installed.sendmail, tmp_path, server)
    made.start()
    yield made
    made.clear()


def test_in_the_background_nobody_waits_for_the_smarthost(whole: Whole) -> None:
    gate = whole.server.gates["MAIL"] = threading.Event()
    assert whole.send("-i", BOB).returncode == 0
    gate.set()
    until(lambda: len(whole.server.deliveries) == 1)
    until(lambda: whole.waiting() == [])


def test_who_waits_is_told_that_all_were_accepted(whole: Whole) -> None:
    done = whole.send("-odi", BOB, CAROL)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [one.recipients for one in whole.server.deliveries] == [[BOB, CAROL]]


@pytest.mark.parametrize(
    ("answers", "code", "says"),
    [
        ({"RCPT": "550 5.1.1 no such mailbox"}, 67, "refused: "),
        ({".": "554 5.6.0 not this"}, 65, "not this"),
        ({"MAIL": "550 5.7.1 not you"}, 69, "not you"),
        ({"BDAT": "552 5.3.4 too big", ".": "552 5.3.4 too big"}, 65, "too big"),
    ],
)
def test_who_waits_is_told_why_it_was_refused_and_nothing_stays(
    whole: Whole, answers: dict[str, str], code: int, says: str
) -> None:
    whole.server.answers |= answers
    done = whole.send("-odi", BOB)
    assert (done.returncode, done.stdout) == (code, b"") and says in done.stderr.decode(), done.stderr
    assert done.stderr.startswith(b"sendmail: ") and done.stderr.count(b"\n") == 1
    assert whole.waiting() == []


def test_beside_one_who_was_accepted_a_refused_one_is_told_by_the_exit_code(whole: Whole) -> None:
    whole.server.answers[f"RCPT TO:<{BOB}"] = "550 5.1.1 no such mailbox"
    done = whole.send("-odi", BOB, CAROL)
    assert done.returncode == 67 and b"accepted for carol@example.net" in done.stderr and b"no such mailbox" in done.stderr
    assert whole.waiting() == [] and [one.recipients for one in whole.server.deliveries] == [[CAROL]]


def test_beside_one_who_waits_a_refused_one_is_told_by_a_bounce(whole: Whole) -> None:
    whole.server.answers |= {f"RCPT TO:<{BOB}": "550 5.1.1 no such mailbox", f"RCPT TO:<{CAROL}": "450 4.2.0 busy"}
    done = whole.send("-odi", BOB, CAROL, DAVE)
    assert (done.returncode, done.stderr) == (0, b"")
    until(lambda: any(one.sender == "" for one in whole.server.deliveries))
    [bounce] = [one for one in whole.server.deliveries if one.sender == ""]
    assert bounce.recipients == [SENDER] and b"no such mailbox" in bounce.data
    until(lambda: sorted(whole.waiting()) == [(BOB, "failed"), (CAROL, "deferred")])


@pytest.mark.parametrize("answers", [{"RCPT": "450 4.2.0 busy"}, {"greeting": "421 4.3.2 not now"}, {"MAIL": "421 4.7.0 later"}])
def test_what_does_not_work_now_is_queued_and_that_is_success(whole: Whole, answers: dict[str, str]) -> None:
    whole.server.answers |= answers
    done = whole.send("-odi", BOB)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [address for address, _ in whole.waiting()] == [BOB]


def test_a_smarthost_that_is_down_keeps_nobody_waiting(whole: Whole) -> None:
    whole.server.answers["greeting"] = "421 4.3.2 not now"
    assert whole.send("-odi", BOB).returncode == 0
    before = whole.server.connections
    for _ in range(3):  # it is known now, and not asked again for each message
        assert whole.send("-odi", CAROL).returncode == 0
    assert whole.server.connections == before and len(whole.waiting()) == 4


@pytest.mark.parametrize(("options", "code", "quiet"), [("", 67, False), ("-oeq", 67, True), ("-oep", 67, False)])
def test_by_the_exit_code_unless_mail_is_asked_for(whole: Whole, options: str, code: int, quiet: bool) -> None:
    whole.server.answers[f"RCPT TO:<{BOB}"] = "550 5.1.1 no such mailbox"
    done = whole.send("-odi", *options.split(), BOB)
    assert (done.returncode, done.stderr == b"") == (code, quiet)
    assert whole.items() == []


@pytest.mark.parametrize("option", ["-oee", "-oem", "-oew", "-em"])
def test_who_asks_for_mail_gets_it_and_no_exit_code(whole: Whole, option: str) -> None:
    whole.server.answers[f"RCPT TO:<{BOB}"] = "550 5.1.1 no such mailbox"
    done = whole.send("-odi", option, BOB)
    assert (done.returncode, done.stderr) == (0, b"")
    until(lambda: any(one.sender == "" and one.recipients == [SENDER] for one in whole.server.deliveries))


@pytest.mark.parametrize("more", [["-f", "<>"], ["-N", "never"]])
def test_who_cannot_be_told_by_mail_is_told_by_the_exit_code(whole: Whole, more: list[str]) -> None:
    whole.server.answers[f"RCPT TO:<{BOB}"] = "550 5.1.1 no such mailbox"
    assert whole.send("-odi", "-oem", *more, BOB).returncode == 67
    assert whole.items() == []


def test_a_caller_who_goes_away_has_his_sender_told_by_mail(whole: Whole) -> None:
    gate = whole.server.gates["RCPT"] = threading.Event()
    whole.server.answers[f"RCPT TO:<{BOB}"] = "550 5.1.1 no such mailbox"
    process = whole.begin("-odi", BOB)
    until(lambda: whole.waiting() == [(BOB, "active")])
    process.kill()
    process.communicate(timeout=LIMIT)
    time.sleep(0.2)
    gate.set()
    until(lambda: any(one.sender == "" and one.recipients == [SENDER] for one in whole.server.deliveries))


def test_killed_while_somebody_waits_the_daemon_tells_the_sender_when_it_is_back(whole: Whole) -> None:
    gate = whole.server.gates["RCPT"] = threading.Event()
    process = whole.begin("-odi", BOB)
    until(lambda: whole.waiting() == [(BOB, "active")])
    whole.kill()
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 75 and b"may have taken" in err
    whole.server.answers[f"RCPT TO:<{BOB}"] = "550 5.1.1 no such mailbox"
    gate.set()
    whole.start()
    until(lambda: any(one.sender == "" and one.recipients == [SENDER] for one in whole.server.deliveries))


@pytest.mark.parametrize("role", [0, 1])
def test_a_caller_who_waits_outlives_the_death_of_the_other_child(whole: Whole, role: int) -> None:
    gate = whole.server.gates["RCPT"] = threading.Event()
    process = whole.begin("-odi", BOB)
    until(lambda: whole.waiting() == [(BOB, "active")])
    os.kill(whole.children()[role], signal.SIGKILL)
    gate.set()
    process.communicate(timeout=LIMIT)
    assert process.returncode in (0, 75)
    until(lambda: len(whole.server.deliveries) >= 1 and whole.waiting() == [])
    assert len(whole.server.deliveries) <= 2


def test_verbose_shows_the_attempt(whole: Whole) -> None:
    done = whole.send("-v", BOB)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 0 and last.startswith(b"=== to=<bob@example.net>, relay=127.0.0.1[127.0.0.1]:")
    whole.server.answers["RCPT"] = "550 5.1.1 no such mailbox"
    done = whole.send("-v", BOB)
    assert done.returncode == 67 and done.stderr.count(b"no such mailbox") == 3


def test_a_run_of_the_queue_is_asked_for_and_waited_for(whole: Whole) -> None:
    whole.server.answers["RCPT"] = "450 4.2.0 busy"
    for _ in range(3):
        assert whole.send("-odi", BOB).returncode == 0
    whole.server.answers.clear()
    done = whole.send("-q")
    assert (done.returncode, done.stderr) == (0, b"") and len(whole.server.deliveries) == 3 and whole.waiting() == []


def test_a_run_of_the_queue_says_that_the_smarthost_is_down(whole: Whole) -> None:
    whole.server.answers["greeting"] = "421 4.3.2 not now"
    assert whole.send("-odi", BOB).returncode == 0
    done = whole.send("-q")
    assert done.returncode == 0 and b"not now" in done.stderr and done.stderr.count(b"\n") == 1


def test_a_run_can_be_of_some_messages(whole: Whole) -> None:
    whole.server.answers["RCPT"] = "450 4.2.0 busy"
    for recipient in (BOB, CAROL):
        assert whole.send("-odi", recipient).returncode == 0
    whole.server.answers.clear()
    assert whole.send(f"-qR{CAROL}").returncode == 0
    assert whole.waiting() == [(BOB, "deferred")]


def test_queue_only_waits_for_a_run(whole: Whole) -> None:
    assert whole.send("-odq", BOB).returncode == 0
    time.sleep(0.3)
    assert whole.waiting() == [(BOB, "queued")] and whole.server.deliveries == []
    assert whole.send("-q").returncode == 0 and len(whole.server.deliveries) == 1


def test_messages_share_a_warm_connection_and_each_is_one_flight(whole: Whole) -> None:
    for number in range(10):
        assert whole.send("-odi", "-i", BOB, message=MESSAGE + b"%d\n" % number).returncode == 0
    assert whole.server.connections == 1 and len(whole.server.deliveries) == 10


def test_a_warm_connection_that_the_server_ended_costs_nobody_anything(whole: Whole) -> None:
    assert whole.send("-odi", BOB).returncode == 0
    whole.server.answers["MAIL"] = "421 4.4.2 too old"
    assert whole.send("-odi", BOB).returncode == 0
    whole.server.answers.clear()
    assert whole.send("-q").returncode == 0
    until(lambda: len(whole.server.deliveries) == 2)


def test_a_large_message_arrives_whole(whole: Whole) -> None:
    text = b"".join(b"%09d of a long text\n" % number for number in range(300_000))
    assert whole.send("-i", "-odi", BOB, message=MESSAGE + text).returncode == 0
    assert whole.server.deliveries[0].body == (b"text\n" + text).replace(b"\n", b"\r\n")


def test_it_ends_in_order_and_answers_who_waits(whole: Whole) -> None:
    gate = whole.server.gates["RCPT"] = threading.Event()
    process = whole.begin("-odi", BOB)
    until(lambda: any(line.startswith("RCPT") for line in whole.server.commands))
    assert whole.process is not None
    whole.process.terminate()
    time.sleep(0.3)
    gate.set()
    process.communicate(timeout=LIMIT)
    assert process.returncode == 0 and whole.process.wait(LIMIT) == 0
    assert len(whole.server.deliveries) == 1 and whole.waiting() == []


def test_at_its_end_nobody_waits_for_what_is_not_begun_any_more(whole: Whole) -> None:
    whole.server.gates["MAIL"] = gate = threading.Event()
    first = whole.begin("-odi", BOB)
    until(lambda: any(line.startswith("MAIL") for line in whole.server.commands))
    others = [whole.begin("-odi", CAROL) for _ in range(3)]
    until(lambda: len(whole.items()) == 4)
    assert whole.process is not None
    whole.process.terminate()
    time.sleep(0.3)
    gate.set()
    for process in (first, *others):
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0
    assert whole.process.wait(LIMIT) == 0
    assert len(whole.server.deliveries) + len(whole.items()) == 4
