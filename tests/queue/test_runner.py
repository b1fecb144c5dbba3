"""One round of the queue: what is tried, over which connections, and what becomes of each recipient."""

import threading

import pytest

from pysendmail.queue.report import RoundReport
from pysendmail.queue.schedule import Schedule
from pysendmail.queue.settings import Settings
from pysendmail.queue.values import QueuedRecipient, Select
from pysendmail.smtp.sasl import Credentials
from tests.delivery.memory import DATA_ONLY, LOCK_STEP, Connection, Hang, Smarthost
from tests.queue.running import DAY, HOUR, MINUTE, Desk, mails, replying
from tests.queue.stores import NOW

A, B, C = b"a@y.test", b"b@y.test", b"c@y.test"


def test_an_empty_queue_calls_nobody() -> None:
    desk = Desk(Smarthost())
    report = desk.round()
    assert (report.done, report.total, desk.smarthost.connections, desk.asked) == (0, 0, [], [])


@pytest.mark.parametrize("way", [(), DATA_ONLY, LOCK_STEP], ids=["CHUNKING", "DATA", "lock-step"])
def test_what_waits_is_sent_byte_for_byte_and_gone(way: tuple[str, ...]) -> None:
    desk = Desk(Smarthost(None, *([way] if way else [])))
    qid = desk.add(A, B, data=b"line\n.dot\n", header=b"From: a@x\r\nTo: b@y,\r\n c@z\r\n")
    report = desk.round()
    assert desk.smarthost.accepted == [([A, B], b"From: a@x\r\nTo: b@y,\r\n c@z\r\n\r\nline\r\n.dot\r\n")]
    assert desk.store.get(qid) is None
    assert (report.total, report.messages, report.sent, report.done) == (2, 1, 2, 2)
    assert (report.failure, report.troubles, report.stopped) == (None, [], False)


def test_one_connection_serves_many_messages() -> None:
    desk = Desk(Smarthost(), settings=Settings(connections=1))
    for _ in range(250):
        desk.add()
    assert desk.round().sent == 250
    assert len(desk.smarthost.connections) == 1
    assert len(desk.smarthost.accepted) == 250
    assert [line for line in desk.smarthost.lines if line.startswith((b"EHLO", b"QUIT"))] == [b"EHLO me.test", b"QUIT"]


def test_the_message_leaves_under_its_own_envelope() -> None:
    desk = Desk(Smarthost())
    one = QueuedRecipient(A, b"rfc822;old+a@y.test", b"SUCCESS,FAILURE")
    desk.add(one, QueuedRecipient(B), sender=b"s@x.test", ret=b"HDRS", envid=b"id+1")
    desk.round()
    assert desk.smarthost.lines[1:4] == [
        b"MAIL FROM:<s@x.test> SIZE=50 RET=HDRS ENVID=id+2B1",
        b"RCPT TO:<a@y.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;old+2Ba@y.test",
        b"RCPT TO:<b@y.test>",
    ]


def test_the_accounts_null_sender_takes_the_place_of_the_null_sender() -> None:
    desk = Desk(Smarthost())
    desk.words["null_sender"] = "daemon@x.test"
    desk.add(sender=b"")
    desk.round()
    assert mails(desk.smarthost) == [b"MAIL FROM:<daemon@x.test> SIZE=50"]


def test_eight_bit_text_is_encoded_for_a_server_that_takes_none() -> None:
    desk = Desk(Smarthost(None, ("PIPELINING",)))
    desk.add(data="grün\n".encode(), header="Subject: schön\r\nFrom: a@x\r\n".encode())
    assert desk.round().sent == 1
    ((_, text),) = desk.smarthost.accepted
    assert text.isascii() and b"gr=C3=BCn" in text and b"Subject: =?" in text


def test_each_recipient_has_an_outcome_of_his_own() -> None:
    desk = Desk(Smarthost(replying((b"RCPT TO:<b@", b"450 4.2.1 busy"), (b"RCPT TO:<c@", b"550 5.1.1 nobody"))))
    qid = desk.add(A, B, C)
    report = desk.round()
    assert desk.states(qid) == {A: "sent", B: "deferred", C: "failed"}
    assert (report.sent, report.deferred, report.failed, report.reports) == (2, 1, 1, 1)  # the report is sent as well
    one = desk.item(qid).recipients[1]
    assert (one.attempts, one.due, one.reply, one.dsn) == (1, NOW + MINUTE, "450 4.2.1 busy", "4.2.1")
    assert (one.relay, one.first_tried, one.last_tried) == ("mx.test[192.0.2.1]:25", NOW, NOW)
    desk.smarthost.answer = replying()
    desk.later(HOUR)
    assert desk.smarthost.recipients() == [A, b"alice@example.org", B]
    assert desk.states(qid) == {A: "sent", B: "sent", C: "failed"}


def test_only_what_is_due_is_tried_and_a_forced_round_tries_all() -> None:
    desk = Desk(Smarthost(replying((b"RCPT", b"450 later"))))
    desk.add()
    desk.round()
    assert len(mails(desk.smarthost)) == 1
    desk.later(MINUTE - 1)
    assert len(mails(desk.smarthost)) == 1
    desk.round(due_only=False)
    assert len(mails(desk.smarthost)) == 2
    assert desk.round(due_only=False).deferred == 1  # once a round
    desk.later(2 * HOUR)
    assert len(mails(desk.smarthost)) == 4


def test_a_selection_limits_a_round() -> None:
    desk = Desk(Smarthost())
    first, second, third = desk.add(A), desk.add(B), desk.add(C, account="other")
    assert desk.round(Select(qids=[second]), due_only=False).sent == 1
    assert desk.smarthost.recipients() == [B]
    assert desk.round(Select(account="other"), due_only=False).sent == 1
    assert desk.asked == ["", "other"]
    assert desk.states(first) == {A: "queued"}
    assert desk.states(third) == {}


def test_what_is_held_is_left_alone() -> None:
    desk = Desk(Smarthost())
    qid = desk.add()
    desk.store.hold(Select())
    assert desk.round(due_only=False).done == 0
    assert set(desk.states(qid).values()) == {"held"}
    assert desk.smarthost.connections == []


def test_a_message_that_is_put_off_for_ever_ends_in_one_report_and_is_kept_for_a_while() -> None:
    desk = Desk(Smarthost(replying((b"RCPT TO:<bob", b"450 4.2.1 later"))))
    desk.settings = Settings(schedule=Schedule(60, HOUR, 5 * DAY, None), host="me.test", domain=b"me.test")
    qid = desk.add(b"bob@y.test")
    rounds = 0
    while desk.states(qid) != {b"bob@y.test": "failed"}:
        rounds += 1
        assert rounds < 200
        due = desk.runner.next_due()
        assert due is not None and desk.clock.now <= due <= desk.clock.now + HOUR
        desk.clock.now = due
        desk.round()
    assert 5 * DAY <= desk.clock.now - NOW < 5 * DAY + HOUR
    assert "given up after 5 days" in desk.one(qid).reply
    assert f"{qid}: from=<alice@example.org>, status=expired, returned to sender" in desk.log.of("qmgr")
    desk.later(1)
    assert desk.smarthost.recipients() == [b"alice@example.org"]
    desk.later(6 * DAY)
    assert desk.store.get(qid) is not None
    desk.later(2 * DAY)
    assert desk.store.get(qid) is None


def test_a_failed_recipient_can_be_sent_again() -> None:
    desk = Desk(Smarthost(replying((b"RCPT TO:<bob", b"550 5.1.1 no"))))
    qid = desk.add(b"bob@y.test")
    desk.round()
    desk.smarthost.answer = replying()
    desk.store.retry(Select(qids=[qid]), desk.clock.now)
    desk.later(10 * DAY)
    assert b"bob@y.test" in desk.smarthost.recipients()
    assert desk.store.get(qid) is None


def test_a_message_retried_by_hand_after_its_time_gets_a_fair_number_of_attempts() -> None:
    desk = Desk(Smarthost(replying((b"RCPT TO:<bob", b"450 no"))))
    desk.settings = Settings(schedule=Schedule(60, HOUR, 5 * DAY, None))
    qid = desk.add(b"bob@y.test", created=NOW - 9 * DAY)
    for number in range(desk.settings.schedule.enough):
        assert desk.states(qid) == {b"bob@y.test": "queued" if not number else "deferred"}
        desk.later(HOUR)
    assert desk.states(qid) == {b"bob@y.test": "failed"}


@pytest.mark.parametrize("jump", [-30 * DAY, -DAY, -HOUR - 1, 30 * DAY, 3650 * DAY])
def test_a_clock_that_jumps_holds_nothing_back_for_long_and_ends_nothing(jump: float) -> None:
    desk = Desk(Smarthost(replying((b"RCPT TO:<bob", b"450 no"))))
    qid = desk.add(b"bob@y.test")
    desk.round()
    desk.clock.now += jump
    due = desk.runner.next_due()
    assert due is not None and due <= desk.clock.now + HOUR
    desk.clock.now = due
    report = desk.round()
    assert report.deferred == 1
    assert desk.one(qid).state == "deferred"
    assert report.reports == (1 if jump > 0 else 0)  # of the delay, which is what the clock says
    assert desk.one(qid).due <= desk.clock.now + HOUR


def test_a_delay_is_told_once_and_the_report_leaves_in_the_same_round() -> None:
    desk = Desk(Smarthost(replying((b"RCPT TO:<bob", b"450 4.7.1 greylisted"))))
    qid = desk.add(b"bob@y.test")
    desk.round()
    assert desk.later(3 * HOUR).reports == 0
    report = desk.later(HOUR)
    assert (report.reports, report.deferred, report.sent) == (1, 1, 1)
    assert desk.one(qid).warned
    ((recipients, text),) = desk.smarthost.accepted
    assert recipients == [b"alice@example.org"] and b"Action: delayed" in text
    for _ in range(5):
        assert desk.later(3 * HOUR).reports == 0


def test_a_report_of_failure_leaves_in_the_same_round_under_the_null_sender() -> None:
    desk = Desk(Smarthost(replying((b"RCPT TO:<bob", b"550 5.1.1 nobody here"))))
    desk.add(b"bob@y.test")
    report = desk.round(due_only=False)
    assert (report.failed, report.sent, report.reports) == (1, 1, 1)
    ((recipients, text),) = desk.smarthost.accepted
    assert recipients == [b"alice@example.org"]
    assert mails(desk.smarthost)[1].startswith(b"MAIL FROM:<> ")
    assert b"550 5.1.1 nobody here" in text


def test_success_is_reported_where_the_smarthost_does_not_do_it() -> None:
    wanted = QueuedRecipient(A, None, b"SUCCESS")
    offering, other = Desk(Smarthost()), Desk(Smarthost(None, ("PIPELINING",)))
    for desk in (offering, other):
        desk.add(wanted)
        desk.round()
    assert offering.smarthost.recipients() == [A]
    assert other.smarthost.recipients() == [A, b"alice@example.org"]
    assert b"Action: relayed" in other.smarthost.accepted[1][1]


def test_ten_thousand_recipients_go_in_as_many_transactions_as_it_takes() -> None:
    desk = Desk(Smarthost())
    names = [b"%d@y.test" % number for number in range(2500)]
    qid = desk.add(*names)
    assert desk.round().sent == 2500
    assert [len(recipients) for recipients, _ in desk.smarthost.accepted] == [1000, 1000, 500]
    assert desk.smarthost.recipients() == names
    assert desk.store.get(qid) is None


def test_each_transaction_is_recorded_before_the_next_one_begins() -> None:
    """Whatever happens in the second transaction, those of the first are marked."""
    seen: list[dict[bytes, str]] = []

    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line.startswith(b"MAIL"):
            seen.append(desk.states(qid))
        return None

    desk = Desk(Smarthost(answer), settings=Settings(connections=1))
    desk.words["max_recipients"] = 1
    qid = desk.add(A, B, C)
    last = desk.add(A)
    desk.round()
    assert seen[:3] == [
        {A: "active", B: "active", C: "active"},
        {A: "sent", B: "active", C: "active"},
        {A: "sent", B: "sent", C: "active"},
    ]
    assert seen[3] == {}  # the whole message, before the next one
    assert desk.states(last) == {}


def test_two_recipients_of_the_same_address_get_one_copy() -> None:
    desk = Desk(Smarthost())
    qid = desk.add(A, A)
    assert desk.round().sent == 2
    assert desk.smarthost.recipients() == [A]
    assert desk.store.get(qid) is None


def test_the_log_has_the_lines_of_any_delivery() -> None:
    desk = Desk(Smarthost(replying((b"RCPT TO:<b@", b"450 4.2.1 busy"))))
    qid = desk.add(A, created=NOW - 75)
    other = desk.add(B)
    desk.round()
    mine = [line for part, line in desk.log.lines if line.startswith(qid)]
    assert mine == [
        f"{qid}: from=<alice@example.org>, size=50, nrcpt=1 (queue active)",
        f"{qid}: to=<a@y.test>, relay=mx.test[192.0.2.1]:25, delay=75, delays=75/0/0/0, dsn=2.0.0, "
        "status=sent (250 2.0.0 kept)",
        f"{qid}: removed",
    ]
    theirs = [line for part, line in desk.log.lines if line.startswith(other)]
    assert len(theirs) == 2 and "status=deferred (450 4.2.1 busy)" in theirs[1]


def test_no_secret_gets_into_the_queue_or_the_log() -> None:
    secret = b"c0rrect-horse-battery"
    desk = Desk(Smarthost(replying((b"RCPT", b"550 5.1.1 " + secret)), ("PIPELINING", "AUTH PLAIN")))
    desk.credentials = Credentials(b"u", secret)
    desk.words |= {"auth": "on", "user": "u", "auth_without_tls": "on"}
    qid = desk.add()
    desk.round()
    assert "****" in desk.one(qid).reply
    assert not any([secret.decode() in line for _, line in desk.log.lines])
    (report,) = desk.reports()
    assert b"****" in desk.text(report) and secret not in desk.text(report)


def test_progress_is_told_and_the_last_figures_in_any_case() -> None:
    desk = Desk(Smarthost())
    gate = threading.Event()

    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line == b"." and len(desk.smarthost.accepted) == 2:
            gate.wait(5)
        return None

    desk.smarthost.answer = answer
    for _ in range(3):
        desk.add()
    seen: list[tuple[int, int]] = []

    def progress(report: RoundReport) -> None:
        seen.append((report.done, report.total))
        if report.done == 2:
            gate.set()

    desk.round(progress=progress)
    assert (2, 3) in seen
    assert seen[-1] == (3, 3)


# Several connections


def test_further_connections_are_made_when_much_waits_and_never_more_than_permitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pysendmail.queue.team._QUICK", 0.0)  # each gets a thread, as with a slow smarthost
    waiting = threading.Barrier(3, timeout=10)
    open_at_once: list[int] = []

    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line == b"." and len(desk.smarthost.accepted) >= 20 and connection.number not in open_at_once:
            open_at_once.append(connection.number)
            waiting.wait()  # passes only when three connections are at it together
        return None

    desk = Desk(Smarthost(answer), settings=Settings(connections=3))
    for _ in range(60):
        desk.add()
    assert desk.round().sent == 60
    assert sorted(open_at_once) == [0, 1, 2]
    assert len(desk.smarthost.connections) == 3
    assert len(desk.smarthost.accepted) == 60


def test_a_few_messages_are_worth_one_connection() -> None:
    desk = Desk(Smarthost(), settings=Settings(connections=10))
    for _ in range(4):
        desk.add()
    assert desk.round().sent == 4
    assert len(desk.smarthost.connections) == 1


def test_a_server_that_lets_in_only_one_is_content_with_that() -> None:
    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line == b"greeting" and connection.number:
            raise Hang(b"421 4.7.0 too many connections")
        return None

    desk = Desk(Smarthost(answer), settings=Settings(connections=4))
    for _ in range(60):
        desk.add()
    report = desk.round()
    assert (report.sent, report.troubles) == (60, [])
    assert len(desk.smarthost.connections) <= 4
    assert desk.store.counts().messages == 0


def test_a_connection_carries_so_many_messages_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysendmail.queue.courier.MESSAGES", 3)
    desk = Desk(Smarthost(), settings=Settings(connections=1))
    for _ in range(7):
        desk.add()
    assert desk.round().sent == 7
    assert [len([line for line in each.lines if line.startswith(b"MAIL")]) for each in desk.smarthost.connections] == [3, 3, 1]


@pytest.mark.parametrize("last", [b"421 4.7.0 enough", b""])
@pytest.mark.parametrize("way", [(), DATA_ONLY, LOCK_STEP], ids=["CHUNKING", "DATA", "lock-step"])
def test_a_server_that_ends_a_connection_after_two_messages_gets_the_rest_over_new_ones(
    way: tuple[str, ...], last: bytes
) -> None:
    """It says so in answer to MAIL, or has simply gone by then; no message is marked for it, and none is sent twice."""

    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line.startswith(b"MAIL") and len([each for each in connection.lines if each.startswith(b"MAIL")]) == 3:
            raise Hang(last)
        return None

    desk = Desk(Smarthost(answer, *([way] if way else [])), settings=Settings(connections=1))
    for number in range(6):
        desk.add(b"%d@y.test" % number)
    report = desk.round()
    if last or way:
        assert (report.sent, report.deferred, report.uncertain) == (6, 0, 0)
        assert desk.smarthost.recipients() == [b"%d@y.test" % number for number in range(6)]
    else:  # all of the third message had left for a server that said nothing any more: that is a doubt
        assert (report.sent, report.uncertain) == (4, 2)
    assert len(desk.smarthost.connections) == (3 if report.sent == 6 else 2)


def test_a_server_that_goes_after_each_message_gets_each_over_a_connection_of_its_own() -> None:
    def answer(connection: Connection, line: bytes) -> bytes | None:
        if line == b".":
            raise Hang(b"250 2.0.0 kept")
        return None

    desk = Desk(Smarthost(answer), settings=Settings(connections=1))
    for _ in range(5):
        desk.add()
    assert desk.round().sent == 5
    assert (len(desk.smarthost.connections), len(desk.smarthost.accepted)) == (5, 5)


# Accounts


def test_each_account_has_its_own_way() -> None:
    desk = Desk(Smarthost())
    desk.add(A, account="one")
    desk.add(B, account="two", config="/etc/x")
    desk.add(C, account="one")
    assert desk.round().sent == 3
    assert sorted(desk.asked) == ["one", "two"]
    assert len(desk.smarthost.connections) == 2


def test_no_password_is_asked_for_where_nothing_is_to_be_sent() -> None:
    desk = Desk(Smarthost(replying((b"RCPT", b"450 later"))))
    desk.add()
    desk.round()
    desk.later(1)
    assert desk.asked == [""]


def test_a_rate_lets_so_many_leave_and_the_rest_waits_for_its_time() -> None:
    desk = Desk(Smarthost(), settings=Settings(connections=3, rate=(4, HOUR)))
    for _ in range(30):
        desk.add()
    assert desk.round().sent == 4
    (lane,) = desk.store.lanes()
    assert lane.until > desk.clock.now and lane.waiting == 26 and "rate" in lane.reply and lane.failures == 0
    assert desk.later(MINUTE).sent == 0  # the lane is closed
    assert desk.round(due_only=False).sent == 0  # and even a forced round keeps to the rate
